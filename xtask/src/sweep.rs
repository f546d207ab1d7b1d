//! Removal of the databases that killed tests have left behind.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::process;
use crate::services::{install, mongo};
use crate::settings::{self, Settings};
use crate::tools::Venv;
use crate::workspace::Workspace;

const PREFIX: &str = "as_test_";

/// A test ends after five minutes, so a database that was seen this long ago belongs to no test.
/// Connections do not tell: a test of another run may be between two of them.
const AGE_SECONDS: u64 = 15 * 60;

/// When each database was first seen, by server and name.
type Seen = BTreeMap<String, BTreeMap<String, u64>>;

/// Drops the test databases that were there a quarter of an hour ago.
pub(crate) fn leftovers(workspace: &Workspace, settings: &Settings) -> Result<()> {
    let file = workspace.services().join("seen.json");
    let old: Seen = fs::read(&file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let venv = Venv::of(workspace);
    let mut seen = Seen::new();
    for server in [
        settings::SUPABASE,
        settings::POSTGRES,
        settings::POSTGRES_NEWEST,
        settings::MONGODB,
    ] {
        let Some(url) = settings.get(server) else {
            continue;
        };
        // The driver comes with our own server, and may be missing for one of the caller's.
        if server == settings::MONGODB && venv.mongod().is_none() {
            continue;
        }
        let mut kept = BTreeMap::new();
        let mut expired = Vec::new();
        for name in list(server, url, &venv)? {
            let first = old
                .get(server)
                .and_then(|names| names.get(&name))
                .copied()
                .unwrap_or(now);
            if first + AGE_SECONDS <= now {
                expired.push(name);
            } else {
                kept.insert(name, first);
            }
        }
        if !expired.is_empty() {
            eprintln!("removing {} databases of killed tests", expired.len());
            drop_all(server, url, &venv, &expired)?;
        }
        seen.insert(server.to_owned(), kept);
    }
    fs::write(file, serde_json::to_vec_pretty(&seen)?)?;
    Ok(())
}

fn list(server: &str, url: &str, venv: &Venv) -> Result<Vec<String>> {
    let names = if server == settings::MONGODB {
        mongo::script(venv, &["list", url, PREFIX])?
    } else {
        let query =
            format!("select datname from pg_database where starts_with(datname, '{PREFIX}')");
        process::capture(psql(url).args(["-c", &query]))?
    };
    Ok(names.lines().map(str::to_owned).collect())
}

fn drop_all(server: &str, url: &str, venv: &Venv, names: &[String]) -> Result<()> {
    if server == settings::MONGODB {
        let mut arguments = vec!["drop", url];
        arguments.extend(names.iter().map(String::as_str));
        mongo::script(venv, &arguments)?;
        return Ok(());
    }
    for name in names {
        let quoted = name.replace('"', "\"\"");
        let unmark = format!("alter database \"{quoted}\" is_template false");
        let remove = format!("drop database if exists \"{quoted}\" with (force)");
        // A database may be kept by a replication slot in it. The tests run all the same.
        if let Err(error) = process::capture(psql(url).args(["-c", &unmark, "-c", &remove])) {
            eprintln!("the database {name} cannot be removed: {error:#}");
        }
    }
    Ok(())
}

fn psql(url: &str) -> Command {
    let program = install::postgres_client().map_or_else(|| "psql".into(), |bin| bin.join("psql"));
    let mut command = Command::new(program);
    command.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", url]);
    command
}
