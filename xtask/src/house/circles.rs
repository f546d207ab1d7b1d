//! Circles: files of a crate that depend on each other, directly or through others.
//!
//! A file depends on another where it writes a path to it that begins with `crate`, `super` or
//! `self`. The path is followed through re-exports to the file that defines the name. A module
//! that only declares its children, re-exports them or calls them does not depend on them: that a
//! parent and its children know each other is how modules work. Tests are left out: what is marked
//! `#[cfg(test)]`, and files named `tests.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::source::{self, ModulePath, Source};

/// How many re-exports a name may pass through.
const STEPS: u8 = 8;

/// The files of a library or a program, by the modules that they are.
type Modules = BTreeMap<ModulePath, (PathBuf, Source)>;

/// For each module, the modules that it depends on, and by which names.
type Edges<'a> = BTreeMap<&'a ModulePath, BTreeMap<&'a ModulePath, BTreeSet<&'a str>>>;

/// Describes each circle in a crate's files, which are given by their paths in `src` and texts.
pub(super) fn find(files: &[(PathBuf, String)]) -> Vec<String> {
    let mut crates: BTreeMap<PathBuf, Modules> = BTreeMap::new();
    let is_test = |file: &Path| file.file_stem().is_some_and(|stem| stem == "tests");
    for (file, text) in files.iter().filter(|(file, _)| !is_test(file)) {
        // A program in `src/bin` is a crate of its own.
        let parts = if file.starts_with("bin") { 2 } else { 0 };
        let root: PathBuf = file.iter().take(parts).collect();
        let module = module(file.strip_prefix(&root).unwrap_or(file));
        let source = source::read(text, &module);
        let modules = crates.entry(root).or_default();
        modules.insert(module, (file.clone(), source));
    }
    crates
        .into_values()
        .flat_map(|modules| circles(&modules))
        .collect()
}

/// The module that a file is, by its path from the crate's root.
fn module(file: &Path) -> ModulePath {
    let file = file.with_extension("");
    let mut module: ModulePath = file
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let is_root = file == Path::new("lib") || file == Path::new("main");
    if is_root || file.ends_with("mod") {
        module.pop();
    }
    module
}

fn circles(modules: &Modules) -> Vec<String> {
    let edges: Edges<'_> = modules
        .iter()
        .map(|(module, (_, source))| {
            let mut needs: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for path in &source.paths {
                if let Some(need) = resolve(modules, path, STEPS).filter(|need| *need != module) {
                    let name = path.last().map(String::as_str);
                    needs.entry(need).or_default().extend(name);
                }
            }
            (module, needs)
        })
        .collect();
    let reached: BTreeMap<_, _> = edges
        .keys()
        .map(|from| (*from, reach(&edges, from)))
        .collect();

    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (module, there) in &reached {
        if there.contains(module) && !seen.contains(module) {
            let circle: BTreeSet<_> = there
                .iter()
                .copied()
                .filter(|other| reached[other].contains(module))
                .collect();
            circles.push(describe(modules, &edges, &circle));
            seen.extend(circle);
        }
    }
    circles
}

/// Every module that one leads to, by one edge or more.
fn reach<'a>(edges: &Edges<'a>, from: &'a ModulePath) -> BTreeSet<&'a ModulePath> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        open.extend(edges[module].keys().filter(|need| reached.insert(**need)));
    }
    reached
}

/// The module whose file defines what a path names. What the root has from elsewhere, in a way
/// that is not seen in its text, is left out.
fn resolve<'a>(modules: &'a Modules, path: &[String], steps: u8) -> Option<&'a ModulePath> {
    let length = (0..=path.len())
        .rev()
        .find(|length| modules.contains_key(&path[..*length]))?;
    let (module, (_, source)) = modules.get_key_value(&path[..length])?;
    let inner = (length > 0).then_some(module);
    let Some(name) = path.get(length) else {
        return inner;
    };
    let steps = steps.checked_sub(1)?;
    if source.defined.contains(name) {
        return Some(module);
    }
    if let Some(target) = source.names.get(name) {
        return resolve(modules, &[target, &path[length + 1..]].concat(), steps);
    }
    let globbed = source.globs.iter().find_map(|glob| {
        let found = resolve(modules, &[glob, &path[length..]].concat(), steps)?;
        modules[found].1.defined.contains(name).then_some(found)
    });
    globbed.or(inner)
}

fn describe(modules: &Modules, edges: &Edges<'_>, circle: &BTreeSet<&ModulePath>) -> String {
    let file = |module: &ModulePath| modules[module].0.display();
    let lines = circle.iter().map(|module| {
        let needs: Vec<_> = edges[module]
            .iter()
            .filter(|(need, _)| circle.contains(**need))
            .map(|(need, names)| {
                let names: Vec<_> = names.iter().copied().collect();
                format!("{} ({})", file(need), names.join(", "))
            })
            .collect();
        format!("\n  {} uses {}", file(module), needs.join(", "))
    });
    let lines: String = lines.collect();
    format!("a circle of {} files{lines}", circle.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(file, text)| (file.into(), (*text).to_owned()))
            .collect();
        find(&files)
    }

    #[test]
    fn a_store_and_its_repositories_are_a_circle() {
        let found = circles(&[
            (
                "lib.rs",
                "mod books;\nmod error;\nmod store;\npub use store::Store;",
            ),
            (
                "books.rs",
                "use crate::{Store, error::map};\npub(crate) struct Books(Store);",
            ),
            ("error.rs", "pub(crate) fn map() {}"),
            (
                "store.rs",
                "pub struct Store;\nfn books() { super::books::Books(Store) }",
            ),
        ]);
        let expected = "a circle of 2 files\n  \
            books.rs uses store.rs (Store)\n  \
            store.rs uses books.rs (Books)";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_circle_goes_through_several_files_and_folders() {
        let found = circles(&[
            ("a/mod.rs", "mod inner; pub(crate) use inner::*;"),
            ("a/inner.rs", "pub(crate) struct A; use crate::b::B;"),
            ("b.rs", "use super::c::C as Other; pub struct B;"),
            ("c.rs", "pub type C = crate::a::A;"),
            ("d.rs", "use crate::{a::A, b::B};"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a circle of 3 files\n  a/inner.rs uses b.rs (B)"));
    }

    #[test]
    fn tests_parents_and_programs_make_no_circle() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "mod child; #[cfg(test)] mod tests { use crate::b::B; }\npub struct A;",
            ),
            ("a/child.rs", "use super::A;"),
            (
                "b.rs",
                "#[cfg(test)]\nmod tests;\n// use crate::b::C\nuse crate::a::A; struct B;",
            ),
            ("b/tests.rs", "use crate::a::A; use super::B;"),
            ("bin/tool/main.rs", "mod a; use crate::a::A; struct Tool;"),
            (
                "bin/tool/a.rs",
                "pub struct A; fn text() -> &'static str { \"crate::Tool\" }",
            ),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn an_inline_module_belongs_to_its_file() {
        let found = circles(&[
            (
                "a.rs",
                "mod inner { use super::X; fn f() { crate::b::f(); } } struct X;",
            ),
            ("b.rs", "pub fn f() { self::g() } fn g() {}"),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
