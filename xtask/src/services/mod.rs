//! The servers that tests, demo and benchmarks run against.

mod account;
pub(crate) mod install;
pub(crate) mod mongo;
mod pgbouncer;
mod postgres;
mod redis;
mod server;
pub(crate) mod state;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, anyhow, bail};

use self::account::Account;
use self::mongo::Mongo;
use self::pgbouncer::{Mode, PgBouncer};
use self::postgres::{Kind, Postgres};
use self::redis::Redis;
use self::server::{Place, Server};
use self::state::State;
use crate::settings::{self, PASSWORD, Settings};
use crate::tools;
use crate::workspace::Workspace;

/// Each setting and the server that gives its value, in the order of their start.
const SERVICES: [(&str, &str); 7] = [
    (settings::MONGODB, "mongo"),
    (settings::POSTGRES, "postgres"),
    (settings::POSTGRES_NEWEST, "postgres-newest"),
    (settings::SUPABASE, "supabase"),
    (settings::POOLER, "supabase-pooler"),
    (settings::SESSION_POOLER, "supabase-session-pooler"),
    (settings::REDIS, "redis"),
];

/// Whether our PostgreSQL servers wait for the disk. See [`Postgres::set_fsync`].
pub(crate) fn set_fsync(workspace: &Workspace, on: bool) -> Result<()> {
    let account = Account::ordinary();
    let root = account.data_root(workspace)?;
    for (setting, kind) in [
        (settings::POSTGRES, Kind::Plain),
        (settings::POSTGRES_NEWEST, Kind::Newest),
        (settings::SUPABASE, Kind::Supabase),
    ] {
        if is_ours(setting) {
            Postgres::new(kind, account, workspace, &root).set_fsync(on)?;
        }
    }
    Ok(())
}

/// Starts each server that the caller has not replaced by their own; returns all settings.
pub(crate) fn up(workspace: &Workspace) -> Result<Settings> {
    let services = workspace.services();
    let _lock = state::lock(&services)?;
    let place = Place {
        workspace,
        state: Mutex::new(State::load(workspace)?),
    };

    let mut needs = Vec::new();
    if is_ours(settings::MONGODB) {
        needs.push(install::PYTHON.or(settings::MONGODB));
    }
    if is_ours(settings::POSTGRES) {
        needs.extend(postgres_needs(settings::POSTGRES));
    }
    if is_ours(settings::POSTGRES_NEWEST) {
        needs.extend(postgres_needs(settings::POSTGRES_NEWEST));
    }
    if is_ours(settings::SUPABASE) {
        needs.extend(postgres_needs(settings::SUPABASE));
    }
    if is_ours(settings::POOLER) {
        needs.push(install::PGBOUNCER.or(settings::POOLER));
    }
    if is_ours(settings::SESSION_POOLER) {
        needs.push(install::PGBOUNCER.or(settings::SESSION_POOLER));
    }
    if is_ours(settings::REDIS) {
        needs.push(install::REDIS.or(settings::REDIS));
    }
    install::ensure(&needs)?;

    let account = Account::ordinary();
    let root = account.data_root(workspace)?;
    let mongo = || {
        tools::mongo(workspace)?;
        server::up(&place, &Mongo::new(workspace)).map(drop)
    };
    let postgres = |kind: Kind| {
        tools::postgres(workspace, kind.version())?;
        let postgres = Postgres::new(kind, account, workspace, &root);
        server::up(&place, &postgres)
    };
    let plain = || postgres(Kind::Plain).map(drop);
    let newest = || postgres(Kind::Newest).map(drop);
    let supabase = || {
        let database = postgres(Kind::Supabase)?;
        for (setting, mode) in [
            (settings::POOLER, Mode::Transaction),
            (settings::SESSION_POOLER, Mode::Session),
        ] {
            if is_ours(setting) {
                let pooler = PgBouncer::new(mode, account, &root, Some(database));
                server::up(&place, &pooler)?;
            }
        }
        Ok(())
    };
    let redis = || server::up(&place, &Redis::new(&services)).map(drop);

    let wanted: [(&str, &(dyn Fn() -> Result<()> + Sync)); 5] = [
        (settings::MONGODB, &mongo),
        (settings::POSTGRES, &plain),
        (settings::POSTGRES_NEWEST, &newest),
        (settings::SUPABASE, &supabase),
        (settings::REDIS, &redis),
    ];
    let failures: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = wanted
            .iter()
            .filter(|(setting, _)| is_ours(setting))
            .map(|(_, start)| scope.spawn(start))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| {
                let outcome = thread
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("a thread that started a server panicked")));
                outcome.err().map(|error| format!("{error:#}"))
            })
            .collect()
    });
    if !failures.is_empty() {
        bail!(failures.join("\n"));
    }

    let found = found(&place, &root);
    write_env(workspace, &found)?;
    for setting in poolers_left_out() {
        eprintln!(
            "the database of {} is your own, so no pooler is started for it: set {setting} if it has one",
            settings::SUPABASE
        );
    }
    Ok(found)
}

/// Stops every server of this checkout.
pub(crate) fn down(workspace: &Workspace) -> Result<()> {
    let services = workspace.services();
    let _lock = state::lock(&services)?;
    let place = Place {
        workspace,
        state: Mutex::new(State::load(workspace)?),
    };
    let root = Account::ordinary().data_root(workspace)?;
    match fs::remove_file(services.join("env")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Poolers stop before the database that they connect to.
    for server in all(workspace, &root).iter().rev() {
        if server::down(&place, server.as_ref())? {
            eprintln!("{} is down", server.name());
        }
    }
    Ok(())
}

/// Prints the state and the address of each server.
pub(crate) fn status(workspace: &Workspace) -> Result<()> {
    let place = Place {
        workspace,
        state: Mutex::new(State::load(workspace)?),
    };
    let root = Account::ordinary().data_root(workspace)?;
    let found = found(&place, &root);
    for (setting, name) in SERVICES {
        let (state, address) = match (settings::external(setting), found.get(setting)) {
            (Some(url), _) => ("external", settings::masked(&url)),
            (None, Some(url)) => ("up", settings::masked(url)),
            (None, None) if poolers_left_out().any(|pooler| pooler == setting) => {
                ("none", format!("{setting} is not set"))
            }
            (None, None) => ("down", String::new()),
        };
        println!("{name:<24} {state:<9} {address}");
    }
    Ok(())
}

/// Prints the settings as `KEY=value` lines.
pub(crate) fn env(workspace: &Workspace) -> Result<()> {
    let place = Place {
        workspace,
        state: Mutex::new(State::load(workspace)?),
    };
    let root = Account::ordinary().data_root(workspace)?;
    let found = found(&place, &root);
    for (setting, name) in SERVICES {
        if is_ours(setting) && !found.contains_key(setting) {
            bail!("{name} is down: run `cargo xtask services up`");
        }
    }
    print!("{}", lines(&found));
    Ok(())
}

/// What a PostgreSQL server of ours needs: its programs are a Node package, its clients are not.
fn postgres_needs(setting: &'static str) -> [install::Need; 2] {
    [
        install::NODE.or(setting),
        install::POSTGRES_CLIENT.or(setting),
    ]
}

/// Whether we run this setting's server.
fn is_ours(setting: &str) -> bool {
    let pooler = setting == settings::POOLER || setting == settings::SESSION_POOLER;
    settings::external(setting).is_none()
        && !(pooler && settings::external(settings::SUPABASE).is_some())
}

/// The poolers that do not exist: the database is the caller's, and they have named no pooler.
fn poolers_left_out() -> impl Iterator<Item = &'static str> {
    [settings::POOLER, settings::SESSION_POOLER]
        .into_iter()
        .filter(|setting| settings::external(setting).is_none() && !is_ours(setting))
}

/// Every server that we can run, in the order of their start.
fn all(workspace: &Workspace, root: &Path) -> [Box<dyn Server>; 7] {
    let account = Account::ordinary();
    [
        Box::new(Mongo::new(workspace)),
        Box::new(Postgres::new(Kind::Plain, account, workspace, root)),
        Box::new(Postgres::new(Kind::Newest, account, workspace, root)),
        Box::new(Postgres::new(Kind::Supabase, account, workspace, root)),
        Box::new(PgBouncer::new(Mode::Transaction, account, root, None)),
        Box::new(PgBouncer::new(Mode::Session, account, root, None)),
        Box::new(Redis::new(&workspace.services())),
    ]
}

/// The settings as they are now: the caller's own, and those of our servers that are up.
fn found(place: &Place<'_>, root: &Path) -> Settings {
    let servers = all(place.workspace, root);
    SERVICES
        .iter()
        .filter_map(|(setting, name)| {
            if !is_ours(setting) {
                return Some((*setting, settings::external(setting)?));
            }
            let server = servers.iter().find(|server| server.name() == *name)?;
            let port = server::running(place, server.as_ref())?.port;
            Some((*setting, address(setting, port)))
        })
        .collect()
}

fn address(setting: &str, port: u16) -> String {
    match setting {
        settings::MONGODB => {
            format!("mongodb://127.0.0.1:{port}/?replicaSet=rs0&directConnection=false")
        }
        settings::REDIS => format!("redis://127.0.0.1:{port}"),
        settings::POSTGRES | settings::POSTGRES_NEWEST => {
            format!("postgres://admin:{PASSWORD}@127.0.0.1:{port}/postgres")
        }
        _ => format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"),
    }
}

fn lines(settings: &Settings) -> String {
    settings.iter().fold(String::new(), |text, (name, value)| {
        text + name + "=" + value + "\n"
    })
}

/// Writes `target/services/env`, for tests that are not started by `cargo xtask`.
fn write_env(workspace: &Workspace, settings: &Settings) -> Result<()> {
    let file = workspace.services().join("env");
    let new = file.with_extension("new");
    // It may contain the password of the caller's own server.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?
        .write_all(lines(settings).as_bytes())?;
    fs::rename(new, file)?;
    Ok(())
}
