//! What a host gets with our crates: how much is compiled for the records alone, and whether crates
//! that it shares with us behave as they do without us.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;
use crate::workspace::Workspace;

/// The most crates for records and values, ours included.
const MOST: usize = 35;

/// What the records alone must never need.
const NEVER: [&str; 6] = ["tokio", "blake3", "futures", "async-trait", "bson", "url"];

/// The features of a host's program are its own: the folder is no part of the workspace.
const FOLDER: &str = "tests-host";

/// Runs the host's tests without our crates and with them.
pub(crate) fn test(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root().join(FOLDER);
    // The same versions as in the workspace; Cargo leaves out what is not needed.
    let (ours, its) = (
        workspace.root().join("Cargo.lock"),
        folder.join("Cargo.lock"),
    );
    fs::copy(&ours, &its).with_context(|| its.display().to_string())?;
    for features in [&[][..], &["--features", "authorstack"]] {
        let mut command = process::cargo();
        command
            .arg("test")
            .args(features)
            .env(
                "CARGO_TARGET_DIR",
                workspace.root().join("target").join(FOLDER),
            )
            .current_dir(&folder);
        process::run(&mut command)?;
    }
    Ok(())
}

/// Counts the crates that are compiled for the records and values alone.
pub(crate) fn count(workspace: &Workspace) -> Result<()> {
    let crates = needed(workspace, &["--no-default-features"])?;
    for name in NEVER {
        if crates
            .iter()
            .any(|found| found.split(' ').next() == Some(name))
        {
            bail!("the records alone need {name}; put what needs it behind a feature");
        }
    }
    if crates.len() > MOST {
        let listed: Vec<&str> = crates.iter().map(String::as_str).collect();
        bail!(
            "the records alone need {} crates, more than {MOST}:\n  {}",
            crates.len(),
            listed.join("\n  ")
        );
    }
    eprintln!(
        "the records alone need {} crates of at most {MOST}",
        crates.len()
    );
    Ok(())
}

/// The crates that core needs with these features.
fn needed(workspace: &Workspace, features: &[&str]) -> Result<BTreeSet<String>> {
    let tree = process::capture(
        process::cargo()
            .args(["tree", "--package", "authorstack-core"])
            .args(features)
            .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .current_dir(workspace.root()),
    )?;
    Ok(crates(&tree))
}

/// Each crate once, with its version. `cargo tree` marks those that it has listed before.
fn crates(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        format!("{name} {}", words.next().unwrap_or_default())
    });
    lines.filter(|line| !line.trim().is_empty()).collect()
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    rust_version: Option<String>,
}

/// Checks that no crate which core needs asks for a newer Rust than core promises. What of the
/// standard library core itself uses, clippy compares with that version (`incompatible_msrv`). A
/// compiler of that version builds core as well, if it is installed.
pub(crate) fn minimum_version(workspace: &Workspace) -> Result<()> {
    let metadata = process::capture(
        process::cargo()
            .args(["metadata", "--format-version", "1"])
            .current_dir(workspace.root()),
    )?;
    let metadata: Metadata = serde_json::from_str(&metadata)?;
    let needed = needed(workspace, &[])?;
    let is_needed =
        |package: &Package| needed.contains(&format!("{} v{}", package.name, package.version));
    let least = metadata
        .packages
        .iter()
        .find(|package| package.name == "authorstack-core")
        .and_then(|package| package.rust_version.clone())
        .context("authorstack-core states no rust-version")?;
    let newer: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| is_needed(package))
        .filter_map(|package| {
            let needs = package.rust_version.as_deref()?;
            let is_newer = numbers(needs) > numbers(&least);
            is_newer.then(|| format!("{} needs {needs}", package.name))
        })
        .collect();
    if !newer.is_empty() {
        bail!(
            "authorstack-core promises Rust {least}, but {}",
            newer.join(", ")
        );
    }
    let mut check = Command::new("cargo");
    check
        .arg(format!("+{least}"))
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN")
        .current_dir(workspace.root());
    let is_installed = process::capture(Command::new("rustup").args(["toolchain", "list"]))
        .is_ok_and(|list| list.lines().any(|line| line.starts_with(&least)));
    if !is_installed {
        eprintln!("no crate of core needs more than Rust {least}, which is not installed here");
        return Ok(());
    }
    process::run(check.args([
        "check",
        "--package",
        "authorstack-core",
        "--no-default-features",
    ]))
}

fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_counts_once() {
        let tree = "core v0.1.0 (/tmp/core)\nserde v1.0.2\n\nserde v1.0.2 (*)\nsyn v2.0.1\nsyn v3.0.1 (proc-macro)\n";
        let found: Vec<String> = crates(tree).into_iter().collect();
        assert_eq!(
            found,
            ["core v0.1.0", "serde v1.0.2", "syn v2.0.1", "syn v3.0.1"]
        );
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("1.95") > numbers("1.88.0"));
        assert!(numbers("1.9") < numbers("1.10"));
        assert_eq!(numbers("1.85"), numbers("1.85.0"));
    }
}
