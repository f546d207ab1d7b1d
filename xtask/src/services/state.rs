//! What is remembered from one run to the next: the port and the process of each server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::Workspace;

/// The last known port and process of one server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) port: u16,
    /// Set when the server is ready, cleared when it is stopped.
    pub(crate) pid: Option<u32>,
}

/// `state.json`.
#[derive(Debug)]
pub(crate) struct State {
    file: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl State {
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let file = workspace.services().join("state.json");
        let entries = match fs::read(&file) {
            // A crash may leave a broken file. Only the ports are lost then: the processes are
            // found by their command lines.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        Ok(Self { file, entries })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Entry> {
        self.entries.get(name).copied()
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.entries.values().map(|entry| entry.port)
    }

    pub(crate) fn set(&mut self, name: &str, entry: Entry) -> Result<()> {
        self.entries.insert(name.to_owned(), entry);
        let json = serde_json::to_vec_pretty(&self.entries)?;
        let new = self.file.with_extension("json.new");
        fs::write(&new, json)?;
        fs::rename(&new, &self.file)?;
        Ok(())
    }
}

/// Locks a directory until the result is dropped; waits for another `cargo xtask` in it.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir)?;
    let file = File::create(dir.join("lock"))?;
    if file.try_lock().is_err() {
        eprintln!(
            "waiting for another `cargo xtask` that uses {}",
            dir.display()
        );
        file.lock()?;
    }
    Ok(file)
}
