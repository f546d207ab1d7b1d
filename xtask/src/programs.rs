//! The demo, and the benchmarks of the examples and of the host.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::services::{self, install};
use crate::test::Environment;
use crate::workspace::Workspace;
use crate::{process, tools};

const PACKAGE: &str = "authorstack-examples";

/// Its benchmark is the one against routes written by hand.
const HOST: &str = "authorstack-host";

/// The profile of the tests.
const TESTED: &str = "dev";

pub(crate) fn demo(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let environment = Environment::ready(workspace)?;
    let profile = if tools::in_ci() { TESTED } else { "release" };
    let programs = build(workspace, profile)?;
    eprintln!("running the demo");
    let mut demo = Command::new(programs.join("authorstack-demo"));
    demo.args(arguments).current_dir(workspace.root());
    process::run(environment.apply(with_tool(&mut demo, &programs)))
}

pub(crate) fn bench(workspace: &Workspace, name: &str, arguments: &[String]) -> Result<()> {
    let environment = Environment::ready(workspace)?;
    let programs = build(workspace, "release")?;
    eprintln!("building and running the benchmark {name}");
    let mut bench = process::cargo();
    bench
        .args(["bench", "--package", PACKAGE, "--package", HOST])
        .args(["--bench", name, "--"])
        .args(arguments)
        .current_dir(workspace.root());
    services::set_fsync(workspace, true)?;
    let measured = process::run(environment.apply(with_tool(&mut bench, &programs)));
    services::set_fsync(workspace, false)?;
    measured
}

/// Builds the programs of the examples; returns the folder that they are in. In the profile of the
/// tests they are those that the tests have built, with the same features, so that nothing is built
/// twice.
fn build(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    eprintln!(
        "building the migration tool and the demo, profile {profile}: \
         a first build takes a few minutes"
    );
    let mut build = process::cargo();
    build
        .args(["build", "--bins", "--profile", profile])
        .current_dir(workspace.root());
    if profile == TESTED {
        build.args(["--workspace", "--all-features", "--tests"]);
    } else {
        build.args(["--package", PACKAGE]);
    }
    process::run(&mut build)?;
    let folder = if profile == TESTED { "debug" } else { profile };
    Ok(workspace.build_dir().join(folder))
}

/// Tells a command where the migration tool and PostgreSQL's own programs are.
fn with_tool<'a>(command: &'a mut Command, programs: &Path) -> &'a mut Command {
    let tool = programs.join("authorstack-migrate");
    command
        .env("AUTHORSTACK_TEST_MIGRATE_BIN", tool)
        .envs(install::postgres_client().map(|bin| ("AUTHORSTACK_TEST_POSTGRES_BIN", bin)))
}
