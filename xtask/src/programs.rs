//! The demo and the benchmarks of the examples crate.

use anyhow::Result;

use crate::test::Environment;
use crate::workspace::Workspace;
use crate::{process, tools};

const PACKAGE: &str = "authorstack-examples";

pub(crate) fn demo(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let environment = Environment::ready(workspace)?;
    let mut command = process::cargo();
    command.args(["run", "--quiet", "--package", PACKAGE]);
    // CI has built the development profile for the tests already.
    if !tools::in_ci() {
        command.arg("--release");
    }
    command
        .args(["--bin", "authorstack-demo", "--"])
        .args(arguments)
        .current_dir(workspace.root());
    process::run(environment.apply(&mut command))
}

pub(crate) fn bench(workspace: &Workspace, name: &str, arguments: &[String]) -> Result<()> {
    let environment = Environment::ready(workspace)?;
    let mut command = process::cargo();
    command
        .args(["bench", "--package", PACKAGE, "--bench", name, "--"])
        .args(arguments)
        .current_dir(workspace.root());
    environment.apply(&mut command);
    if name == "migrate" {
        const TOOL: &str = "authorstack-migrate";
        let mut build = process::cargo();
        build
            .args(["build", "--release", "--package", PACKAGE, "--bin", TOOL])
            .current_dir(workspace.root());
        process::run(&mut build)?;
        let tool = workspace.build_dir().join("release").join(TOOL);
        command.env("AUTHORSTACK_TEST_MIGRATE_BIN", tool);
    }
    process::run(&mut command)
}
