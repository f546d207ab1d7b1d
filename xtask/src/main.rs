//! AuthorStack's development tasks.

mod ci;
mod house;
mod packages;
mod process;
mod programs;
mod services;
mod settings;
mod sweep;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The servers tests run against, in target/services, on 127.0.0.1
    Services {
        #[command(subcommand)]
        action: Action,
    },
    /// Run all tests, with the servers they need
    Test(Rest),
    /// Check the house rules: no circle of files, operations named in one place
    Check,
    /// Run what CI runs
    Ci,
    /// Run the demo, with the servers it needs
    Demo(Rest),
    /// Run a benchmark of the examples crate, with the servers it needs
    Bench {
        /// The benchmark's name
        name: String,
        #[command(flatten)]
        rest: Rest,
    },
}

#[derive(Debug, Args)]
struct Rest {
    /// Passed on as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Install what is missing and start what is down
    Up,
    /// Stop them; their data stays
    Down,
    /// One line for each server
    Status,
    /// The settings by which tests find them, as KEY=value lines
    Env,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Services { action } => match action {
            Action::Up => services::up(&workspace).map(drop),
            Action::Down => services::down(&workspace),
            Action::Status => services::status(&workspace),
            Action::Env => services::env(&workspace),
        },
        Task::Test(rest) => test::run(&workspace, &rest.args),
        Task::Check => house::check(&workspace),
        Task::Ci => ci::run(&workspace),
        Task::Demo(rest) => programs::demo(&workspace, &rest.args),
        Task::Bench { name, rest } => programs::bench(&workspace, &name, &rest.args),
    }
}
