//! The migration tool as a program that others start.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use authorstack_core::migrate::RejectLine;
use serde_json::Value;
use tempfile::TempDir;

use crate::scratch::Scratch;

/// The tool, with its settings and a folder of its own to run in.
#[derive(Debug)]
pub struct Tool {
    program: PathBuf,
    folder: TempDir,
    /// The source.
    pub mongodb_url: String,
    /// The source of the analytics; none where they are not moved.
    pub postgres_url: Option<String>,
    /// The target.
    pub supabase_db_url: String,
    /// Further settings, by their names in the environment.
    pub more: Vec<(&'static str, String)>,
}

/// What the tool printed with `--output json`.
#[derive(Debug)]
pub struct Answer {
    /// The exit code.
    pub code: Option<i32>,
    /// The JSON object on stdout; null when there was none.
    pub json: Value,
    /// Progress and messages.
    pub stderr: String,
}

impl Tool {
    /// The program, moving from one of the databases to the other.
    ///
    /// # Errors
    /// When there is no room for its folder.
    pub fn new(program: impl Into<PathBuf>, scratch: &Scratch) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The data set mixes the forms of ids, so that the tool asks which one is right.
        let settings = "postgres_ids = \"embedded\"\n";
        fs::write(folder.path().join("authorstack.toml"), settings)?;
        Ok(Self {
            program: program.into(),
            folder,
            mongodb_url: scratch.mongodb_url().to_owned(),
            postgres_url: scratch.postgres_url(),
            supabase_db_url: scratch.supabase_db_url(),
            more: Vec::new(),
        })
    }

    /// The folder that the tool runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The tool with these arguments, its settings in its environment.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("AUTHORSTACK_MONGODB_URL", &self.mongodb_url)
            .env("AUTHORSTACK_SUPABASE_DB_URL", &self.supabase_db_url)
            .env_remove("AUTHORSTACK_POSTGRES_URL")
            .envs(
                self.postgres_url
                    .iter()
                    .map(|url| ("AUTHORSTACK_POSTGRES_URL", url)),
            )
            .envs(self.more.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder())
            .stdin(Stdio::null());
        command
    }

    /// Runs the tool for its answer.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn ask(&self, arguments: &[&str]) -> Result<Answer> {
        let arguments = [arguments, &["--output", "json"]].concat();
        let output = self
            .command(&arguments)
            .output()
            .context("starting the tool")?;
        Ok(Answer {
            code: output.status.code(),
            json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The text of the rejects file; empty where there is none.
    ///
    /// # Errors
    /// When the file is not text.
    pub fn rejects_text(&self) -> Result<String> {
        let file = self.folder().join("authorstack-rejects.jsonl");
        if file.exists() {
            Ok(fs::read_to_string(file)?)
        } else {
            Ok(String::new())
        }
    }

    /// The lines of the rejects file.
    ///
    /// # Errors
    /// When a line is not one of a rejects file.
    pub fn rejects(&self) -> Result<Vec<RejectLine>> {
        let text = self.rejects_text()?;
        let lines: Result<_, _> = text.lines().map(serde_json::from_str).collect();
        lines.context("a line of the rejects file")
    }
}

impl Answer {
    /// The sum of a count over all kinds.
    #[must_use]
    pub fn sum(&self, count: &str) -> u64 {
        let kinds = self.json["kinds"].as_array().into_iter().flatten();
        kinds.filter_map(|kind| kind[count].as_u64()).sum()
    }
}

/// The kernel's own high-water mark of a process's memory, in megabytes; 0 where it is not known.
#[must_use]
pub fn resident_peak(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
