//! The account of servers that refuse to run as root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

const USER: &str = "postgres";

/// How to run a server under an account that is not root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// We are an ordinary user already.
    Own,
    /// `postgres` inside a user namespace, root outside. Preferred for root: it needs no
    /// directory that another user can reach, and the files stay the caller's.
    Namespace,
    /// The system's user `postgres`, where user namespaces are forbidden.
    System,
}

impl Account {
    /// The way that works on this machine; found out once.
    pub(crate) fn ordinary() -> Self {
        static FOUND: OnceLock<Account> = OnceLock::new();
        *FOUND.get_or_init(|| {
            if !is_root() {
                Self::Own
            } else if process::succeeds(namespace().arg("true")) {
                Self::Namespace
            } else {
                Self::System
            }
        })
    }

    /// A command that runs a program under this account.
    pub(crate) fn command(self, program: &Path) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Namespace => {
                let mut command = namespace();
                command.arg(program);
                command
            }
            Self::System => {
                let mut command = setpriv();
                command.arg(program);
                command
            }
        }
    }

    /// The directory in which this account's servers keep their data.
    pub(crate) fn data_root(self, workspace: &Workspace) -> Result<PathBuf> {
        let services = workspace.services();
        fs::create_dir_all(&services)?;
        if self != Self::System || process::succeeds(setpriv().args(["test", "-x"]).arg(&services))
        {
            return Ok(services);
        }
        let place = workspace.root().to_string_lossy().replace('/', "-");
        let outside = PathBuf::from(format!("/var/tmp/authorstack-services{place}"));
        fs::create_dir_all(&outside)?;
        eprintln!(
            "user {USER} cannot reach {}; its servers' data is in {}",
            services.display(),
            outside.display(),
        );
        Ok(outside)
    }

    /// Makes this account the owner of a directory and everything in it.
    pub(crate) fn own(self, dir: &Path) -> Result<()> {
        let owner = match self {
            Self::Own => return Ok(()),
            // Data from a time when namespaces were forbidden belongs to `postgres`.
            Self::Namespace if fs::metadata(dir)?.uid() == 0 => return Ok(()),
            Self::Namespace => "root",
            Self::System => USER,
        };
        process::capture(Command::new("chown").args(["-R", owner]).arg(dir))
            .with_context(|| format!("cannot give {} to {owner}", dir.display()))?;
        Ok(())
    }
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-user", USER, "--map-group", USER])
        .arg("--");
    command
}

fn setpriv() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--init-groups", "--"]);
    command
}
