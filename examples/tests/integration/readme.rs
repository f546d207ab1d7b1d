//! The README's first screen shows what runs.

use std::fs;

use authorstack_core::testing::servers::workspace;

#[test]
fn the_readme_shows_the_quickstart() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let example = fs::read_to_string(workspace().join("examples/quickstart.rs")).unwrap();
    let (_, code) = example.split_once("\n\n").unwrap();
    assert!(
        readme.contains(&format!("```rust\n{code}```\n")),
        "the README shows other code"
    );
    assert!(code.lines().count() < 30, "a quickstart is short");
}
