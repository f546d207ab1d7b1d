//! How the process of a server is started, found and stopped.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::state::{Entry, State};
use crate::process;
use crate::workspace::Workspace;

const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 5;
const LOG_LINES: usize = 20;
const LOG_LIMIT: u64 = 20 * 1024 * 1024;

/// What each server does in its own way.
pub(crate) trait Server: Sync {
    fn name(&self) -> &'static str;

    /// The name of the program that runs.
    fn program(&self) -> &'static str;

    /// A path that is in this server's command line and in no other's.
    fn marker(&self) -> PathBuf;

    /// The signal that makes it shut down properly.
    fn stop_signal(&self) -> &'static str {
        "TERM"
    }

    /// Whether its files were made with the current settings for this port.
    fn is_current(&self, port: u16) -> bool;

    /// Makes its files. Called before each start.
    fn prepare(&self, port: u16) -> Result<()>;

    /// The command that runs it in the foreground.
    fn command(&self, port: u16) -> Command;

    /// Whether it accepts connections.
    fn answers(&self, port: u16) -> bool;

    /// Does what needs a running server, such as making roles; does nothing the second time.
    fn finish(&self, port: u16) -> Result<()>;
}

/// What all servers share.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) state: Mutex<State>,
}

impl Place<'_> {
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.workspace.services().join(format!("{name}.log"))
    }

    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        self.with_state(|state| state.get(name))
    }

    fn remember(&self, name: &str, entry: Entry) -> Result<()> {
        self.with_state(|state| state.set(name, entry))
    }

    fn with_state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(
            &mut self
                .state
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// A free port: the one used before, or one below the range that the kernel uses for outgoing
    /// connections.
    fn free_port(&self, name: &str, attempt: u32) -> Result<u16> {
        let taken: Vec<u16> = self.with_state(|state| state.ports().collect());
        if attempt == 0
            && let Some(entry) = self.entry(name)
            && is_free(entry.port)
        {
            return Ok(entry.port);
        }
        // Each checkout on this machine starts its search at another port.
        let mut hasher = DefaultHasher::new();
        (self.workspace.root(), name).hash(&mut hasher);
        let start = u16::try_from(hasher.finish() % 10_000)?;
        let port = (0..10_000)
            .map(|step| 20_000 + (start + step) % 10_000)
            .find(|port| !taken.contains(port) && is_free(*port))
            .context("no free port between 20000 and 29999")?;
        self.remember(name, Entry { port, pid: None })?;
        Ok(port)
    }
}

/// Starts a server unless it runs; returns its port.
pub(crate) fn up(place: &Place<'_>, server: &dyn Server) -> Result<u16> {
    let name = server.name();
    if let Some(entry) = running(place, server)
        && server.is_current(entry.port)
    {
        return Ok(entry.port);
    }
    let started = Instant::now();
    stop_all(server)?;
    let mut attempt = 0;
    loop {
        let port = place.free_port(name, attempt)?;
        server
            .prepare(port)
            .with_context(|| format!("cannot prepare {name}"))?;
        match start(place, server, port) {
            Ok(pid) => {
                server
                    .finish(port)
                    .with_context(|| format!("{name} is up but cannot be set up"))?;
                place.remember(
                    name,
                    Entry {
                        port,
                        pid: Some(pid),
                    },
                )?;
                let seconds = started.elapsed().as_secs_f32();
                eprintln!("{name} is up at 127.0.0.1:{port} ({seconds:.1} s)");
                return Ok(port);
            }
            Err(error) if attempt + 1 == ATTEMPTS => return Err(error),
            // Another program has taken the port, or processes of a killed server still run.
            Err(_) => {
                attempt += 1;
                sleep(Duration::from_millis(500));
            }
        }
    }
}

/// Stops a server; returns whether it ran.
pub(crate) fn down(place: &Place<'_>, server: &dyn Server) -> Result<bool> {
    let stopped = stop_all(server)?;
    if let Some(Entry { port, pid: Some(_) }) = place.entry(server.name()) {
        place.remember(server.name(), Entry { port, pid: None })?;
    }
    Ok(stopped)
}

/// The server's port and process, if it is up and ready.
pub(crate) fn running(place: &Place<'_>, server: &dyn Server) -> Option<Entry> {
    let entry = place.entry(server.name())?;
    let ours = is_ours(entry.pid?, server);
    (ours && accepts(entry.port)).then_some(entry)
}

/// Whether anything listens on that port.
pub(crate) fn accepts(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn start(place: &Place<'_>, server: &dyn Server, port: u16) -> Result<u32> {
    let log = place.log(server.name());
    let mut child = spawn(&server.command(port), &log)
        .with_context(|| format!("cannot start {}", server.name()))?;
    let deadline = Instant::now() + START_LIMIT;
    while !server.answers(port) {
        if let Some(status) = child.try_wait()? {
            bail!(
                "{} ended with {status}; the end of {}:\n{}",
                server.name(),
                log.display(),
                tail(&log)
            );
        }
        if Instant::now() > deadline {
            bail!(
                "{} does not answer after {} s; the end of {}:\n{}",
                server.name(),
                START_LIMIT.as_secs(),
                log.display(),
                tail(&log)
            );
        }
        sleep(POLL);
    }
    Ok(child.id())
}

/// Starts it in its own session, so that it lives on after us and the terminal. Each wrapper
/// (`setsid`, `unshare`, `setpriv`) is replaced by the program that it starts, so the child's id
/// is the server's.
fn spawn(command: &Command, log: &Path) -> Result<Child> {
    let grown = fs::metadata(log).is_ok_and(|file| file.len() > LOG_LIMIT);
    let output = if grown {
        File::create(log)?
    } else {
        OpenOptions::new().create(true).append(true).open(log)?
    };
    let mut session = Command::new("setsid");
    session
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AUTHORSTACK_") || text.starts_with("PG") {
            session.env_remove(&name);
        }
    }
    Ok(session.spawn()?)
}

/// Stops every process of this server, even if the state file does not know it.
fn stop_all(server: &dyn Server) -> Result<bool> {
    let found = processes(server)?;
    for (signal, limit) in [
        (server.stop_signal(), STOP_LIMIT),
        ("KILL", Duration::from_secs(5)),
    ] {
        for pid in &found {
            if is_ours(*pid, server) {
                signal_process(*pid, signal);
            }
        }
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if !found.iter().any(|pid| is_ours(*pid, server)) {
                return Ok(!found.is_empty());
            }
            sleep(POLL);
        }
    }
    bail!("{} cannot be stopped: processes {found:?}", server.name());
}

fn signal_process(pid: u32, signal: &str) {
    // The `kill` of the shell: a minimal system has no other.
    process::succeeds(Command::new("sh").args([
        "-c",
        "kill -s \"$0\" \"$1\"",
        signal,
        &pid.to_string(),
    ]));
}

fn processes(server: &dyn Server) -> Result<Vec<u32>> {
    let proc = fs::read_dir("/proc").context("the servers need Linux: there is no /proc here")?;
    Ok(proc
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_ours(*pid, server))
        .collect())
}

/// Whether a process is this server: its arguments name the program and the marker. A zombie has
/// no arguments.
fn is_ours(pid: u32, server: &dyn Server) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let (marker, program) = (server.marker(), server.program());
    let mut arguments = line
        .split(|byte| *byte == 0)
        .map(|argument| Path::new(OsStr::from_bytes(argument)));
    arguments.any(|argument| argument.file_name().is_some_and(|name| name == program))
        && arguments.any(|argument| argument == marker)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
