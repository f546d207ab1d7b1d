//! What CI runs. Steps that fail fast come first.

use std::env;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::packages::Package;
use crate::workspace::Workspace;
use crate::{host, house, packages, process, programs, test, tools};

/// Crates that no other step compiles by themselves, without the features that others ask for.
const ALONE: [&str; 2] = ["authorstack-core", "authorstack-appwrite"];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let cargo = |arguments: &[&str]| {
        let mut command = process::cargo();
        command.args(arguments).current_dir(workspace.root());
        command
    };
    step("formatting", || {
        process::run(&mut cargo(&["fmt", "--all", "--check"]))
    })?;

    step("house rules", || house::check(workspace))?;

    step("crates of the records alone", || {
        host::count(workspace)?;
        host::minimum_version(workspace)
    })?;

    let packages = packages::of(workspace)?;
    step("clippy", || {
        process::run(
            cargo(&["clippy", "--workspace", "--all-targets", "--all-features"])
                .args(["--", "-D", "warnings"]),
        )
    })?;
    step("minimum Rust version", || {
        minimum_version(workspace, &packages)
    })?;
    // A host's program has the other crates, without `auth`.
    step("crates on their own", || {
        for name in ALONE {
            process::run(&mut cargo(&[
                "check",
                "--package",
                name,
                "--no-default-features",
            ]))?;
        }
        Ok(())
    })?;
    step("a host's program", || host::test(workspace))?;
    step("documentation", || {
        process::run(
            cargo(&["doc", "--workspace", "--all-features", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    })?;

    step("packages", || packages::check(workspace, &packages))?;

    let helper = |name: &str| -> Result<Command> {
        let venv = tools::cargo(workspace)?;
        let mut command = Command::new(venv.program(name));
        command.current_dir(workspace.root());
        Ok(command)
    };
    step("licences, sources and duplicate dependencies", || {
        // Advisories are left out: their database changes without any change here, so a commit
        // that passed yesterday could fail today.
        process::run(helper("cargo-deny")?.args(["check", "bans", "licenses", "sources"]))
    })?;
    step("unused dependencies", || {
        process::run(&mut helper("cargo-shear")?)
    })?;
    step("tests", || test::run(workspace, &[]))?;
    step("demo", || programs::demo(workspace, &[]))
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("\n== {name} ==");
    let started = Instant::now();
    let outcome = work();
    let seconds = started.elapsed().as_secs_f32();
    match outcome {
        Ok(()) => {
            eprintln!("== {name}: passed in {seconds:.1} s ==");
            Ok(())
        }
        Err(error) => Err(error.context(format!("{name}: failed after {seconds:.1} s"))),
    }
}

/// Checks that everything compiles with the oldest Rust version that we promise.
fn minimum_version(workspace: &Workspace, packages: &[Package]) -> Result<()> {
    // Core promises an older one; `host::minimum_version` looks after that.
    let minimum = packages
        .iter()
        .filter_map(|package| package.rust_version.as_deref())
        .max_by_key(|version| numbers(version))
        .context("no package states a rust-version")?;
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let current = process::capture(Command::new(rustc).arg("--version"))?;
    let current = current
        .split_whitespace()
        .nth(1)
        .context("rustc names no version")?;
    let (now, least) = (numbers(current), numbers(minimum));
    if now < least {
        bail!("Rust {minimum} or newer is needed; this is {current}");
    }
    if now.starts_with(&least[..least.len().min(2)]) {
        eprintln!("this is Rust {current}: every build here is the check for {minimum}");
        return Ok(());
    }
    // With these variables set, the other toolchain would run this one's programs.
    let mut check = Command::new("cargo");
    check
        .arg(format!("+{minimum}"))
        .args(["check", "--workspace", "--all-features", "--all-targets"])
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN")
        .current_dir(workspace.root());
    process::run(&mut check).with_context(|| {
        format!("the check with Rust {minimum} failed; `rustup toolchain install {minimum}` if it is missing")
    })
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .collect()
}
