//! BullMQ, run by Node on a test's queue.

use std::{path::PathBuf, process::Stdio};

use authorstack_core::{
    queue::JobQueue,
    serde_json::{self, Value},
    testing::servers,
};
use authorstack_redis::RedisQueue;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// BullMQ of one version on a queue of ours.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    version: &'static str,
    url: String,
    prefix: String,
    queue: String,
}

/// A step that goes on.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

fn node_path() -> PathBuf {
    let path = std::env::var_os("AUTHORSTACK_TEST_NODE_PATH").map_or_else(
        || servers::workspace().join("target/tools/node/node_modules"),
        PathBuf::from,
    );
    assert!(
        path.join("bullmq6").is_dir(),
        "no BullMQ in {}: run `cargo xtask services up`, or set AUTHORSTACK_TEST_NODE_PATH to a \
         node_modules directory that holds it",
        path.display()
    );
    path
}

impl Node {
    /// `version` is the package: bullmq (5) or bullmq6.
    pub(crate) fn new(version: &'static str, url: &str, prefix: &str, queue: &RedisQueue) -> Self {
        Self {
            version,
            url: url.to_owned(),
            prefix: format!("{prefix}authorstack:queue"),
            queue: queue.name().to_string(),
        }
    }

    /// Does a step to its end.
    pub(crate) async fn run(&self, step: &str, input: Value) -> Value {
        let mut running = self.start(step, input).await;
        running.answer().await
    }

    /// Begins a step.
    pub(crate) async fn start(&self, step: &str, input: Value) -> Running {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bullmq/run.js");
        let mut child = Command::new("node")
            .args([
                script,
                step,
                self.version,
                &self.url,
                &self.prefix,
                &self.queue,
            ])
            .env("NODE_PATH", node_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("node cannot be run, install Node.js 20: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        stdin
            .write_all(format!("{input}\n").as_bytes())
            .await
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Running {
            child,
            input: Some(stdin),
            output,
        }
    }
}

impl Running {
    /// Its next line.
    pub(crate) async fn line(&mut self) -> String {
        let line = self.output.next_line().await.unwrap();
        line.expect("node ended; its error is above")
    }

    /// Its answer, which is its last line.
    pub(crate) async fn answer(&mut self) -> Value {
        let line = self.line().await;
        assert!(self.child.wait().await.unwrap().success());
        serde_json::from_str(&line).unwrap()
    }

    /// Ends its input, and waits for its answer.
    pub(crate) async fn close(mut self) -> Value {
        self.input = None;
        self.answer().await
    }

    /// Kills it.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
