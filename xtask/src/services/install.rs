//! Installation of missing programs, by the system's package manager.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs};

use anyhow::{Result, bail};

use super::account;
use crate::process;

/// A program, the Debian packages that contain it, and the setting that replaces it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    pub(crate) what: &'static str,
    pub(crate) packages: &'static [&'static str],
    pub(crate) instead: Option<&'static str>,
    pub(crate) present: fn() -> bool,
}

pub(crate) const POSTGRES_CLIENT: Need = Need {
    what: "PostgreSQL's client programs, version 15 or newer",
    packages: &["postgresql-client"],
    instead: None,
    present: || postgres_client().is_some(),
};
pub(crate) const PGBOUNCER: Need = Need {
    what: "PgBouncer",
    packages: &["pgbouncer"],
    instead: None,
    present: || process::which("pgbouncer").is_some(),
};
pub(crate) const REDIS: Need = Need {
    what: "Redis",
    packages: &["redis-server"],
    instead: None,
    present: || process::which("redis-server").is_some(),
};
pub(crate) const PYTHON: Need = Need {
    what: "Python 3 with venv",
    packages: &["python3", "python3-venv"],
    instead: None,
    present: || process::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])),
};
pub(crate) const MONGO_LIBRARIES: Need = Need {
    what: "the libraries MongoDB needs (libssl 3, libcurl 4)",
    packages: &["libssl3", "libcurl4"],
    instead: None,
    present: || false,
};
pub(crate) const CHROMIUM: Need = Need {
    what: "Chromium",
    packages: &["chromium"],
    instead: None,
    present: || process::which("chromium").is_some(),
};
pub(crate) const NODE: Need = Need {
    what: "Node.js 18 or newer with npm",
    packages: &["nodejs", "npm"],
    instead: None,
    present: || node_major().is_some_and(|major| major >= 18) && process::which("npm").is_some(),
};

impl Need {
    /// This need, with the setting that names the caller's own server instead.
    pub(crate) const fn or(mut self, setting: &'static str) -> Self {
        self.instead = Some(setting);
        self
    }
}

/// Installs what is missing, or fails with what is missing and what to do about it.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();

    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = match install(&missing) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let mut advice = String::new();
    for need in &missing {
        advice.push_str("\n  ");
        advice.push_str(need.what);
        advice.push_str(": install the package ");
        advice.push_str(&need.packages.join(", "));
        if let Some(setting) = need.instead {
            advice.push_str(", or set ");
            advice.push_str(setting);
            advice.push_str(" to the address of a server of your own");
        }
    }
    bail!("programs are missing:{advice}\n{why:#}");
}

fn install(missing: &[&Need]) -> Result<()> {
    if process::which("apt-get").is_none() {
        bail!("they cannot be installed automatically: this system has no apt-get");
    }
    if !account::is_root() {
        bail!("they cannot be installed automatically: only root may run apt-get");
    }
    let packages: BTreeSet<&str> = missing
        .iter()
        .flat_map(|need| need.packages.iter().copied())
        .collect();
    let packages = Vec::from_iter(packages);
    eprintln!("installing {}", packages.join(" "));
    if apt(&packages).is_err() {
        process::capture(Command::new("apt-get").args(["update", "-qq"]))?;
        apt(&packages)?;
    }
    // The libraries of MongoDB are checked by running it.
    for need in missing {
        if need.packages != MONGO_LIBRARIES.packages && !(need.present)() {
            bail!(
                "{} is installed, but {} is not found",
                need.packages.join(", "),
                need.what
            );
        }
    }
    Ok(())
}

fn apt(packages: &[&str]) -> Result<String> {
    process::capture(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// The directory of `psql` and its like: the system's oldest from version 15 on.
pub(crate) fn postgres_client() -> Option<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|version| *version >= 15)
        .collect();
    versions.sort_unstable();
    versions
        .into_iter()
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default()))
        .find(|dir| {
            ["psql", "pg_dump", "pg_restore"]
                .iter()
                .all(|program| dir.join(program).is_file())
        })
}

fn node_major() -> Option<u32> {
    let version = process::capture(Command::new("node").arg("--version")).ok()?;
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}
