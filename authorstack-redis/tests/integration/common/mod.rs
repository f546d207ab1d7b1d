//! What the tests on Redis share.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not each test uses all; a failed check of a test panics"
)]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command},
    time::Duration,
};

pub(crate) mod node;

use authorstack_core::testing::servers::{fresh_name, setting};
use authorstack_redis::{RedisConfig, RedisStore};
use tempfile::TempDir;

/// The Redis of the tests.
pub(crate) fn url() -> String {
    setting("AUTHORSTACK_TEST_REDIS_URL")
}

/// The Redis of the tests, with keys that no other test uses.
pub(crate) async fn fresh() -> (RedisStore, String) {
    let prefix = format!("{}:", fresh_name());
    let config = RedisConfig::new(url()).key_prefix(prefix.clone());
    (RedisStore::connect(config).await.unwrap(), prefix)
}

/// A Redis server of a test's own: to kill, to pause, to fill. It ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl Server {
    /// Starts one with these arguments.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut server = Self {
            child: None,
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
        };
        // Another program may have taken the port meanwhile.
        while !server.is_started().await {
            server.port = free_port();
        }
        server
    }

    /// Starts it again at the same port, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        assert!(self.is_started().await, "port {} is taken", self.port);
    }

    async fn is_started(&mut self) -> bool {
        let log = self.dir.path().join("log");
        drop(fs::remove_file(&log));
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &self.port.to_string()])
            .arg("--logfile")
            .arg(&log)
            .arg("--dir")
            .arg(self.dir.path());
        let mut child = command.args(&self.arguments).spawn().unwrap();
        loop {
            if child.try_wait().unwrap().is_some() {
                let log = fs::read_to_string(&log).unwrap_or_default();
                assert!(log.contains("Address already in use"), "{log}");
                return false;
            }
            let log = fs::read_to_string(&log).unwrap_or_default();
            if log.contains("Ready to accept connections") {
                self.child = Some(child);
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops its process where it stands: connections stay, nothing is answered.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that is free at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
