//! PgBouncer in transaction mode and in session mode, in front of the Supabase-like cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::account::Account;
use super::install;
use super::postgres::psql;
use super::server::{self, Server};
use crate::process;
use crate::settings::PASSWORD;

/// When a server connection goes back to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Transaction,
    Session,
}

/// One pooler.
#[derive(Debug)]
pub(crate) struct PgBouncer {
    mode: Mode,
    account: Account,
    dir: PathBuf,
    /// The port of the cluster behind it; not needed to find the pooler or to stop it.
    database: Option<u16>,
}

impl PgBouncer {
    pub(crate) fn new(mode: Mode, account: Account, root: &Path, database: Option<u16>) -> Self {
        let dir = root.join(name(mode));
        Self {
            mode,
            account,
            dir,
            database,
        }
    }

    fn ini(&self) -> PathBuf {
        self.dir.join("pgbouncer.ini")
    }

    fn config(&self, port: u16) -> String {
        let mode = match self.mode {
            Mode::Transaction => "transaction",
            Mode::Session => "session",
        };
        let users = self.dir.join("users.txt");
        format!(
            "[databases]\n\
             * = host=127.0.0.1 port={database}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = scram-sha-256\n\
             auth_file = {users}\n\
             pool_mode = {mode}\n\
             max_client_conn = 500\n\
             default_pool_size = 20\n\
             server_idle_timeout = 2\n\
             autodb_idle_timeout = 10\n\
             ignore_startup_parameters = extra_float_digits,options\n\
             log_connections = 0\n\
             log_disconnections = 0\n",
            database = self.database.unwrap_or_default(),
            users = users.display(),
        )
    }
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Transaction => "supabase-pooler",
        Mode::Session => "supabase-session-pooler",
    }
}

impl Server for PgBouncer {
    fn name(&self) -> &'static str {
        name(self.mode)
    }

    fn program(&self) -> &'static str {
        "pgbouncer"
    }

    fn marker(&self) -> PathBuf {
        self.ini()
    }

    fn is_current(&self, port: u16) -> bool {
        fs::read_to_string(self.ini()).is_ok_and(|ini| ini == self.config(port))
    }

    fn prepare(&self, port: u16) -> Result<()> {
        fs::create_dir_all(&self.dir)?;
        fs::write(self.ini(), self.config(port))?;
        fs::write(
            self.dir.join("users.txt"),
            format!("\"postgres\" \"{PASSWORD}\"\n"),
        )?;
        self.account.own(&self.dir)
    }

    fn command(&self, _port: u16) -> Command {
        let program = process::which("pgbouncer").unwrap_or_else(|| "pgbouncer".into());
        let mut command = self.account.command(&program);
        command.arg(self.ini());
        command
    }

    fn answers(&self, port: u16) -> bool {
        let bin = install::postgres_client().unwrap_or_default();
        server::accepts(port)
            && process::succeeds(psql(&bin, port, "postgres", "postgres").args(["-c", "select 1"]))
    }

    fn finish(&self, _port: u16) -> Result<()> {
        Ok(())
    }
}
