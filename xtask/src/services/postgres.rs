//! PostgreSQL: clusters like that of a managed PostgreSQL, and one like that of a Supabase project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::account::Account;
use super::install;
use super::server::{self, Server};
use crate::process;
use crate::settings::PASSWORD;
use crate::tools::PostgresVersion;
use crate::workspace::Workspace;

const TEMPLATE: &str = "authorstack_template";
const PLAIN: &str = include_str!("../../sql/plain.sql");
const SUPABASE_ROLES: &str = include_str!("../../sql/supabase_roles.sql");
const SUPABASE_DATABASE: &str = include_str!("../../sql/supabase_database.sql");

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    // The path of a socket in a deep folder would be too long; everyone connects by TCP.
    "unix_socket_directories=",
    "ssl=off",
    "shared_buffers=256MB",
    "max_connections=300",
    "max_wal_size=2GB",
    "wal_level=logical",
    "max_wal_senders=64",
    "max_replication_slots=64",
    "log_checkpoints=off",
];

/// A client proves its password by so many rounds of SHA-256. With the usual 4,096, tests in debug
/// builds spent a third of their time on it.
const CHEAP_PROOF: &str = "scram_iterations=1";

/// Which of the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The oldest version that we support.
    Plain,
    /// The newest version that we support.
    Newest,
    Supabase,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "postgres",
            Self::Newest => "postgres-newest",
            Self::Supabase => "supabase",
        }
    }

    pub(crate) fn version(self) -> PostgresVersion {
        match self {
            Self::Plain => PostgresVersion::Oldest,
            Self::Newest => PostgresVersion::Newest,
            Self::Supabase => PostgresVersion::Supabase,
        }
    }
}

/// One cluster.
#[derive(Debug)]
pub(crate) struct Postgres {
    kind: Kind,
    account: Account,
    /// The server's programs.
    bin: PathBuf,
    /// The clients' programs.
    client: PathBuf,
    dir: PathBuf,
}

impl Postgres {
    pub(crate) fn new(kind: Kind, account: Account, workspace: &Workspace, root: &Path) -> Self {
        Self {
            kind,
            account,
            bin: kind.version().bin(workspace),
            client: install::postgres_client().unwrap_or_default(),
            dir: root.join(kind.name()),
        }
    }

    fn superuser(&self) -> &'static str {
        match self.kind {
            Kind::Plain | Kind::Newest => "cluster_admin",
            Kind::Supabase => "supabase_admin",
        }
    }

    /// What the cluster is made from. When that changes, a new cluster is made.
    fn inputs(&self) -> String {
        let sql = match self.kind {
            Kind::Plain | Kind::Newest => PLAIN.to_owned(),
            Kind::Supabase => [SUPABASE_ROLES, SUPABASE_DATABASE].concat(),
        };
        let proof = if self.has_cheap_proof() {
            CHEAP_PROOF
        } else {
            ""
        };
        format!(
            "-- PostgreSQL {} {proof}\n{sql}",
            self.kind.version().number()
        )
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("made-from.sql")
    }

    fn has_cheap_proof(&self) -> bool {
        // PostgreSQL 15 does not know the setting.
        !matches!(self.kind, Kind::Plain)
    }

    fn is_made(&self) -> bool {
        fs::read_to_string(self.stamp()).is_ok_and(|stamp| stamp == self.inputs())
    }

    /// Whether the server waits for its disk, while it runs. Tests lose nothing when the machine
    /// fails; without waiting they take a quarter less time. Benchmarks measure with it.
    pub(crate) fn set_fsync(&self, on: bool) -> Result<()> {
        self.write_fsync(on)?;
        let mut reload = self.account.command(&self.bin.join("pg_ctl"));
        reload.args(["reload", "-s", "-D"]).arg(self.data());
        process::capture(reload.current_dir("/"))?;
        Ok(())
    }

    fn write_fsync(&self, on: bool) -> Result<()> {
        let setting = format!("fsync = {}\n", if on { "on" } else { "off" });
        fs::write(self.data().join("postgresql.auto.conf"), setting)?;
        self.account.own(&self.dir)
    }

    fn psql(&self, port: u16, database: &str) -> Command {
        psql(&self.client, port, self.superuser(), database)
    }

    fn apply(&self, port: u16, database: &str, sql: &str) -> Result<()> {
        process::feed(self.psql(port, database).args(["-1", "-f", "-"]), sql)?;
        Ok(())
    }

    /// Removes the lock file of a server that has ended, if its process id now belongs to another
    /// program: PostgreSQL would take that program for itself. If no process has the id, the file
    /// stays: PostgreSQL uses it to check that all its processes have ended.
    fn remove_stale_lock(&self) -> Result<()> {
        let file = self.data().join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else {
            return Ok(());
        };
        let Some(pid) = text
            .lines()
            .next()
            .and_then(|line| line.parse::<u32>().ok())
        else {
            return Ok(());
        };
        let program = fs::read_to_string(format!("/proc/{pid}/comm"));
        if program.is_ok_and(|program| program.trim() != "postgres") {
            fs::remove_file(file)?;
        }
        Ok(())
    }
}

impl Server for Postgres {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn program(&self) -> &'static str {
        "postgres"
    }

    fn marker(&self) -> PathBuf {
        self.data()
    }

    /// A "fast" shutdown: clients are disconnected.
    fn stop_signal(&self) -> &'static str {
        "INT"
    }

    fn is_current(&self, _port: u16) -> bool {
        self.is_made()
    }

    fn prepare(&self, _port: u16) -> Result<()> {
        if self.is_made() {
            self.write_fsync(false)?;
            return self.remove_stale_lock();
        }
        if self.dir.exists() {
            eprintln!("{}: making a new, empty cluster", self.name());
            fs::remove_dir_all(&self.dir)?;
        }
        fs::create_dir_all(&self.dir)?;
        let password = self.dir.join("password");
        fs::write(&password, PASSWORD)?;
        self.account.own(&self.dir)?;
        process::capture(
            self.account
                .command(&self.bin.join("initdb"))
                .args(["-U", self.superuser(), "--auth", "scram-sha-256"])
                .args(["--encoding", "UTF8", "--locale", "C.UTF-8"])
                .arg("--pwfile")
                .arg(&password)
                .arg("-D")
                .arg(self.data())
                .current_dir("/"),
        )
        .context("cannot make the cluster")?;
        fs::remove_file(password)?;
        self.write_fsync(false)
    }

    fn command(&self, port: u16) -> Command {
        let mut command = self.account.command(&self.bin.join("postgres"));
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        if self.has_cheap_proof() {
            command.args(["-c", CHEAP_PROOF]);
        }
        command
    }

    fn answers(&self, port: u16) -> bool {
        server::accepts(port)
            && process::succeeds(self.psql(port, "template1").args(["-c", "select 1"]))
    }

    fn finish(&self, port: u16) -> Result<()> {
        if self.is_made() {
            return Ok(());
        }
        if self.has_cheap_proof() {
            // The password that initdb stored is still the expensive one.
            let again = format!("alter role {} password :'password'", self.superuser());
            self.apply(port, "postgres", &again)?;
        }
        match self.kind {
            Kind::Plain | Kind::Newest => self.apply(port, "postgres", PLAIN)?,
            Kind::Supabase => {
                self.apply(port, "postgres", SUPABASE_ROLES)?;
                self.apply(port, "postgres", SUPABASE_DATABASE)?;
                let create =
                    format!("create database {TEMPLATE} owner postgres template template0");
                process::capture(self.psql(port, "template1").args(["-c", &create]))?;
                self.apply(port, TEMPLATE, SUPABASE_DATABASE)?;
                // Nobody can connect to it: a copy fails while a connection is open.
                let close =
                    format!("alter database {TEMPLATE} is_template true allow_connections false");
                process::capture(self.psql(port, "template1").args(["-c", &close]))?;
            }
        }
        fs::write(self.stamp(), self.inputs())?;
        Ok(())
    }
}

/// A `psql` that ignores the caller's settings and stops at the first error.
pub(crate) fn psql(bin: &Path, port: u16, user: &str, database: &str) -> Command {
    let mut command = Command::new(bin.join("psql"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command
        .args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"])
        .args(["-v", &format!("password={PASSWORD}")])
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-U", user, "-d", database])
        .env("PGPASSWORD", PASSWORD)
        .env("PGCONNECT_TIMEOUT", "5");
    command
}
