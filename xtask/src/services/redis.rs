//! Redis, without persistence.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::server::Server;
use crate::process;

/// The one Redis server.
#[derive(Debug)]
pub(crate) struct Redis {
    dir: PathBuf,
}

impl Redis {
    pub(crate) fn new(services: &Path) -> Self {
        Self {
            dir: services.join("redis"),
        }
    }
}

impl Server for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn program(&self) -> &'static str {
        "redis-server"
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
        let program = process::which("redis-server").unwrap_or_else(|| "redis-server".into());
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            // It must keep its command line, by which we find its process.
            .args(["--set-proc-title", "no"])
            .arg("--dir")
            .arg(&self.dir);
        command
    }

    fn answers(&self, port: u16) -> bool {
        ping(port).unwrap_or(false)
    }

    fn finish(&self, _port: u16) -> Result<()> {
        Ok(())
    }
}

fn ping(port: u16) -> Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG")
}
