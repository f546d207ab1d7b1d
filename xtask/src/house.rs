//! House rules that the compiler does not know: no circle of files in a crate, no operation named
//! by a literal outside core's layers, and no source folder that looks like a build's output.

mod circles;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::source::Token;
use crate::workspace::Workspace;

/// Only here may an operation be named by a literal.
const LAYERS: &str = "authorstack-core/src/layers";

/// Checks the rules; the error lists each place that breaks one.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let root = workspace.root();
    let mut broken = Vec::new();
    let mut count = 0;
    for folder in crates(root)? {
        let src = folder.join("src");
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        list(&folder, &mut files, &mut folders)?;
        for target in folders
            .iter()
            .filter(|found| found.starts_with(&src) && found.ends_with("target"))
        {
            let name = short(root, target);
            broken.push(format!("{name}: no source folder is named `target`"));
        }
        let mut sources = Vec::new();
        for file in files {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let name = short(root, &file);
            if !name.starts_with(LAYERS) && names_operation(&text) {
                broken.push(format!(
                    "{name}: an operation is named by a literal, use `layers::Operation`"
                ));
            }
            count += 1;
            if let Ok(inner) = file.strip_prefix(&src) {
                sources.push((inner.to_owned(), text));
            }
        }
        let name = short(root, &folder);
        for circle in circles::find(&sources) {
            broken.push(format!("{name}: {circle}"));
        }
    }
    if !broken.is_empty() {
        bail!("house rules are broken\n{}", broken.join("\n"));
    }
    eprintln!("the house rules hold in {count} files");
    Ok(())
}

/// The folders of the workspace's crates.
fn crates(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(root)? {
        let folder = entry?.path();
        if folder.join("Cargo.toml").is_file() && folder.join("src").is_dir() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Every Rust file and every folder below a folder.
fn list(folder: &Path, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for path in entries.iter().map(fs::DirEntry::path) {
        if path.is_dir() {
            list(&path, files, folders)?;
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn short(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.display().to_string()
}

fn names_operation(text: &str) -> bool {
    let call = [
        Token::Word("in_operation"),
        Token::Mark('('),
        Token::Literal,
    ];
    source::tokens(text)
        .windows(call.len())
        .any(|tokens| tokens == call)
}

#[cfg(test)]
mod tests {
    use super::names_operation;

    #[test]
    fn a_literal_names_an_operation() {
        assert!(names_operation(
            "error.in_operation(\n  \"books.create\",\n)"
        ));
        assert!(!names_operation("error.in_operation(Operation::Connect)"));
        assert!(!names_operation("// error.in_operation(\"connect\")"));
        assert!(!names_operation(r#"let code = "in_operation(\"x\")";"#));
    }
}
