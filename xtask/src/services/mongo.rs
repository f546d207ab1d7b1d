//! MongoDB, as a replica set of one server: transactions and change streams need a replica set.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::server::{self, Server};
use crate::process;
use crate::tools::Venv;
use crate::workspace::Workspace;

const SCRIPT: &str = include_str!("../../python/mongo.py");

/// The one MongoDB server.
#[derive(Debug)]
pub(crate) struct Mongo {
    dir: PathBuf,
    venv: Venv,
}

impl Mongo {
    pub(crate) fn new(workspace: &Workspace) -> Self {
        Self {
            dir: workspace.services().join("mongo"),
            venv: Venv::of(workspace),
        }
    }
}

impl Server for Mongo {
    fn name(&self) -> &'static str {
        "mongo"
    }

    fn program(&self) -> &'static str {
        "mongod"
    }

    fn marker(&self) -> PathBuf {
        self.dir.clone()
    }

    fn is_current(&self, _port: u16) -> bool {
        true
    }

    fn prepare(&self, _port: u16) -> Result<()> {
        Ok(fs::create_dir_all(&self.dir)?)
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(self.venv.mongod().unwrap_or_else(|| "mongod".into()));
        command
            .args(["--replSet", "rs0", "--bind_ip", "127.0.0.1"])
            .args(["--port", &port.to_string(), "--nounixsocket"])
            .args(["--wiredTigerCacheSizeGB", "1"])
            // A transaction that a test has left open would keep its database from being dropped.
            .args(["--setParameter", "transactionLifetimeLimitSeconds=5"])
            .arg("--dbpath")
            .arg(&self.dir);
        command
    }

    fn answers(&self, port: u16) -> bool {
        server::accepts(port)
    }

    /// Makes the replica set, or updates its port, and waits until it has a primary.
    fn finish(&self, port: u16) -> Result<()> {
        script(&self.venv, &["primary", &format!("127.0.0.1:{port}")])
            .context("the replica set cannot be made")?;
        Ok(())
    }
}

/// Runs `python/mongo.py`.
pub(crate) fn script(venv: &Venv, arguments: &[&str]) -> Result<String> {
    process::capture(
        Command::new(venv.program("python"))
            .args(["-c", SCRIPT])
            .args(arguments),
    )
}
