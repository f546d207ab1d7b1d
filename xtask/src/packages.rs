//! The workspace's packages: what they say of themselves, and whether they can be published.

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::workspace::Workspace;
use crate::{process, tools};

/// What every published crate brings beside its sources.
const FILES: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// The most keywords, and the most categories, that crates.io takes.
const MOST: usize = 5;

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A package's manifest, as `cargo metadata` prints it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) rust_version: Option<String>,
    description: Option<String>,
    license: Option<String>,
    readme: Option<String>,
    keywords: Vec<String>,
    categories: Vec<String>,
    metadata: Value,
    publish: Option<Vec<String>>,
}

impl Package {
    fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|to| !to.is_empty())
    }

    /// What a published crate needs and this one lacks, in its manifest or among its files.
    fn lacks(&self, files: &[&str]) -> Vec<String> {
        let few = |list: &[String]| !list.is_empty() && list.len() <= MOST;
        let manifest = [
            ("description", self.description.is_some()),
            ("license", self.license.is_some()),
            ("readme", self.readme.as_deref() == Some("README.md")),
            ("rust-version", self.rust_version.is_some()),
            ("keywords (one to five)", few(&self.keywords)),
            ("categories (one to five)", few(&self.categories)),
            (
                "package.metadata.docs.rs",
                self.metadata.pointer("/docs/rs").is_some(),
            ),
        ];
        let missing = manifest.into_iter().filter(|(_, given)| !given);
        let mut lacks: Vec<_> = missing.map(|(what, _)| what.to_owned()).collect();
        let absent = FILES.iter().filter(|file| !files.contains(file));
        lacks.extend(absent.map(|file| format!("the file {file}")));
        lacks
    }
}

/// The packages of the workspace.
pub(crate) fn of(workspace: &Workspace) -> Result<Vec<Package>> {
    let metadata = process::capture(
        process::cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(workspace.root()),
    )?;
    Ok(serde_json::from_str::<Metadata>(&metadata)?.packages)
}

/// Packs the crates for others, and checks that they bring what they need. They are not built
/// from their packages: clippy and the tests have compiled the same sources.
pub(crate) fn check(workspace: &Workspace, packages: &[Package]) -> Result<()> {
    let cargo = |arguments: &[&str]| {
        let mut command = process::cargo();
        command.arg("package").args(arguments);
        // CI works on a clean clone: a changed file there is a step's mistake. A developer checks
        // what is to be committed.
        if !tools::in_ci() {
            command.arg("--allow-dirty");
        }
        command.current_dir(workspace.root());
        command
    };
    let published = || packages.iter().filter(|package| package.is_published());
    let mut pack = cargo(&["--no-verify"]);
    for package in published() {
        pack.args(["--package", &package.name]);
    }
    process::run(&mut pack)?;
    let mut incomplete = String::new();
    for package in published() {
        let files = process::capture(&mut cargo(&["--list", "--package", &package.name]))?;
        let lacks = package.lacks(&files.lines().collect::<Vec<_>>());
        if !lacks.is_empty() {
            incomplete += "\n  ";
            incomplete += &package.name;
            incomplete += ": ";
            incomplete += &lacks.join(", ");
        }
    }
    if !incomplete.is_empty() {
        bail!("crates are not ready to be published; what is missing:{incomplete}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(manifest: Value) -> Package {
        serde_json::from_value(manifest).unwrap()
    }

    #[test]
    fn what_is_missing_is_named() {
        let complete = package(json!({
            "name": "a", "rust_version": "1.95", "description": "A", "license": "MIT",
            "readme": "README.md", "keywords": ["a"], "categories": ["database"],
            "metadata": {"docs": {"rs": {"all-features": true}}}, "publish": null,
        }));
        assert!(complete.is_published());
        assert!(complete.lacks(&FILES).is_empty());
        assert_eq!(complete.lacks(&FILES[..2]), ["the file LICENSE-APACHE"]);

        let bare = package(json!({
            "name": "b", "license": "MIT", "readme": "README.md", "rust_version": "1.95",
            "keywords": ["1", "2", "3", "4", "5", "6"], "metadata": null, "publish": [],
        }));
        assert!(!bare.is_published());
        let lacks = [
            "description",
            "keywords (one to five)",
            "categories (one to five)",
            "package.metadata.docs.rs",
        ];
        assert_eq!(bare.lacks(&FILES), lacks);
    }
}
