//! AuthorStack's development tasks.

mod ci;
mod host;
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
    /// Handle the servers that the tests need: on 127.0.0.1, with their data in target/services
    Services {
        #[command(subcommand)]
        action: Action,
    },
    /// Run the tests, with the servers that they need
    Test(Rest),
    /// Check the house rules: no circle of files, no operation named by a literal
    Check,
    /// Count what the records alone need, and test what a host shares with our crates
    Host,
    /// Run what CI runs
    Ci,
    /// Run the demo, with the servers that it needs
    Demo(Rest),
    /// Run a benchmark of the examples or of the host, with the servers that it needs
    Bench {
        /// The benchmark's name
        name: String,
        #[command(flatten)]
        rest: Rest,
    },
}

#[derive(Debug, Args)]
struct Rest {
    /// Passed on unchanged
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Install the programs that are missing, and start the servers that are down
    Up,
    /// Stop the servers and keep their data
    Down,
    /// Print a line for each server
    Status,
    /// Print the settings by which tests find the servers, as KEY=value lines
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
        Task::Host => {
            host::count(&workspace)?;
            host::minimum_version(&workspace)?;
            host::test(&workspace)
        }
        Task::Ci => ci::run(&workspace),
        Task::Demo(rest) => programs::demo(&workspace, &rest.args),
        Task::Bench { name, rest } => programs::bench(&workspace, &name, &rest.args),
    }
}
