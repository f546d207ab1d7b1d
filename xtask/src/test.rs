//! All tests, with the servers and tools they need.

use std::process::Command;

use anyhow::Result;

use crate::settings::{self, Settings};
use crate::tools::{self, Node};
use crate::workspace::Workspace;
use crate::{process, services, sweep};

/// What a program finds in its environment when we run it.
#[derive(Debug)]
pub(crate) struct Environment {
    settings: Settings,
    node: Node,
}

impl Environment {
    /// Starts the servers that are down, and installs the tools that are missing.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        eprintln!("servers and tools: starting what is down, installing what is missing");
        Ok(Self {
            settings: services::up(workspace)?,
            node: tools::node(workspace)?,
        })
    }

    /// Gives a command the settings of the tests, and removes those of production.
    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        settings::without_production(command);
        command
            .envs(&self.settings)
            .env("AUTHORSTACK_TEST_NODE_PATH", self.node.modules())
            .env("AUTHORSTACK_TEST_SUPABASE_CLI", self.node.supabase())
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let environment = Environment::ready(workspace)?;
    tools::browser()?;
    let schemathesis = tools::schemathesis(workspace)?;
    let venv = tools::cargo(workspace)?;
    sweep::leftovers(workspace, &environment.settings)?;

    let packages = has_option(arguments, "-p", "--package");
    let selected = packages || has_option(arguments, "-E", "--filterset");
    let nextest = || {
        let mut nextest = Command::new(venv.program("cargo-nextest"));
        process::without_package(&mut nextest);
        nextest
            .args(["nextest", "run", "--all-features"])
            .current_dir(workspace.root());
        if tools::in_ci() {
            nextest.args(["--profile", "ci"]);
        }
        nextest
    };
    let mut all = nextest();
    if !packages {
        all.arg("--workspace");
    }
    eprintln!("building and running the tests: a first build takes a few minutes");
    all.args(arguments)
        .env("AUTHORSTACK_TEST_SCHEMATHESIS", schemathesis);
    process::run(environment.apply(&mut all))?;
    // A run of chosen tests does not wait for those in the documentation.
    if selected {
        return Ok(());
    }

    if let Some(newest) = environment.settings.get(settings::POSTGRES_NEWEST) {
        eprintln!("running the tests of authorstack-postgres on the newest PostgreSQL");
        let mut again = nextest();
        again.args(["--workspace", "-E", "package(authorstack-postgres)"]);
        process::run(
            environment
                .apply(&mut again)
                .env(settings::POSTGRES, newest),
        )?;
    }

    eprintln!("building and running the examples in the documentation");
    let mut doctests = process::cargo();
    doctests
        .args(["test", "--doc", "--workspace", "--all-features"])
        .current_dir(workspace.root());
    process::run(environment.apply(&mut doctests))
}

fn has_option(arguments: &[String], short: &str, long: &str) -> bool {
    arguments
        .iter()
        .any(|argument| argument.starts_with(short) || argument.starts_with(long))
}
