//! Clients of vendors, run by Node.

#![allow(clippy::panic, reason = "a failed step of a test panics")]

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// Where Node finds a package.
fn modules(package: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/node/node_modules");
    let path = env::var_os("AUTHORSTACK_TEST_NODE_PATH").map_or(ours, PathBuf::from);
    assert!(
        path.join(package).is_dir(),
        "no {package} in {}: run `cargo xtask services up`, or set AUTHORSTACK_TEST_NODE_PATH to a \
         node_modules directory that holds it",
        path.display()
    );
    path
}

/// A new RSA key of 2048 bits, as PKCS#8.
pub(crate) async fn rsa_key() -> Vec<u8> {
    const SCRIPT: &str = "process.stdout.write(crypto.generateKeyPairSync('rsa', { \
        modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'der' }, \
        privateKeyEncoding: { type: 'pkcs8', format: 'der' } }).privateKey)";
    let run = || {
        let output = Command::new("node").args(["-e", SCRIPT]).output();
        output.unwrap_or_else(|error| panic!("node cannot be run, install Node.js 20: {error}"))
    };
    match tokio::task::spawn_blocking(run).await {
        Ok(output) => output.stdout,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Runs a step of a script that uses a package. The script reads JSON and answers JSON.
///
/// # Panics
/// If the package or Node is missing, or the step fails.
pub async fn run(package: &str, script: impl Into<PathBuf>, step: &str, input: &Value) -> Value {
    let (modules, script) = (modules(package), script.into());
    let (step, input) = (step.to_owned(), input.to_string());
    let run = move || {
        let mut node = Command::new("node")
            .arg(script)
            .arg(&step)
            .env("NODE_PATH", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node cannot be run, install Node.js 20: {error}"));
        let written = node
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(input.as_bytes()));
        let output = node.wait_with_output();
        let output = output.unwrap_or_else(|error| panic!("{step}: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{step}: {errors}");
        assert!(matches!(written, Some(Ok(()))), "{step}: it read nothing");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{step}: {error}"))
    };
    match tokio::task::spawn_blocking(run).await {
        Ok(answer) => answer,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
