//! Mongoose, run by Node on a test's database.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use authorstack_core::testing::servers;
use authorstack_mongo::MongoStore;
use serde_json::Value;

/// Where Node finds Mongoose.
fn node_path() -> PathBuf {
    let path = std::env::var_os("AUTHORSTACK_TEST_NODE_PATH").map_or_else(
        || servers::workspace().join("target/tools/node/node_modules"),
        PathBuf::from,
    );
    assert!(
        path.join("mongoose").is_dir(),
        "no Mongoose in {}: run `cargo xtask services up`, or set AUTHORSTACK_TEST_NODE_PATH to a \
         node_modules directory that holds it",
        path.display()
    );
    path
}

/// Runs a step of `mongoose/run.js` on the store's database.
pub(crate) async fn mongoose(store: &MongoStore, step: &'static str, input: Value) -> Value {
    let database = store.database().name().to_owned();
    let run = move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mongoose/run.js");
        let mut node = Command::new("node")
            .arg(script)
            .args([step, &servers::mongodb_url(), &database])
            .env("NODE_PATH", node_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node cannot be run, install Node.js 20: {error}"));
        let mut stdin = node.stdin.take().unwrap();
        stdin.write_all(input.to_string().as_bytes()).unwrap();
        drop(stdin);
        let output = node.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{step}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}
