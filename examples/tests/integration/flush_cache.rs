//! `authorstack-migrate flush-cache`, the program itself, on a Redis.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Output},
    time::Duration,
};

use redis::Commands;
use serde_json::Value;
use tempfile::TempDir;

const TOOL: &str = env!("CARGO_BIN_EXE_authorstack-migrate");

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A Redis for one test: a flush walks over the whole database.
struct Redis {
    server: Child,
    port: u16,
    folder: TempDir,
}

impl Redis {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        loop {
            let port = free_port();
            let mut server = Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                .args(["--save", "", "--appendonly", "no", "--logfile", "log"])
                .args(arguments)
                .current_dir(folder.path())
                .spawn()
                .unwrap();
            // Another program may have taken the port meanwhile: then it ends, and is tried again.
            while server.try_wait().unwrap().is_none() {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                if log.contains("Ready to accept connections") {
                    return Self {
                        server,
                        port,
                        folder,
                    };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn tool(&self, arguments: &[&str]) -> Command {
        let mut tool = Command::new(TOOL);
        tool.arg("flush-cache").args(arguments);
        tool.env_remove("AUTHORSTACK_REDIS_URL")
            .current_dir(self.folder.path());
        tool
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn ask(tool: &mut Command) -> (Option<i32>, Value, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tool.args(["--output", "json"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    (
        status.code(),
        serde_json::from_slice(&stdout).unwrap_or_default(),
        stderr,
    )
}

#[test]
fn the_cache_is_emptied_and_nothing_else() {
    let redis = Redis::start(&[]);
    let mut connection = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    for number in 0..3_000 {
        let _: () = connection
            .set(format!("authorstack:user:{number}"), "old")
            .unwrap();
    }
    let stays = [
        "authorstack:ai-ratelimit:1",
        "authorstack:queue:data-sync:wait",
        "authorstack:ratelimit:1",
        "session:authorstack:user:1",
    ];
    for name in ["authorstack:sales:1:day", "authorstack:dashboard:1"]
        .iter()
        .chain(&stays)
    {
        let _: () = connection.set(name, "value").unwrap();
    }

    let mut tool = redis.tool(&[]);
    let (code, answer, stderr) = ask(tool.env("AUTHORSTACK_REDIS_URL", redis.url()));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(answer["command"], "flush-cache");
    assert_eq!(
        (&answer["status"], &answer["removed"]),
        (&"complete".into(), &3_002.into())
    );
    let mut left: Vec<String> = connection.keys("*").unwrap();
    left.sort();
    assert_eq!(left, stays);

    // The setting's other places, and the words for people.
    let file = redis.folder.path().join("authorstack.toml");
    std::fs::write(&file, format!("redis_url = {:?}\n", redis.url())).unwrap();
    let output = redis.tool(&[]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("0 keys were removed from the cache"),
        "{text}"
    );
    let (code, answer, _) = ask(&mut redis.tool(&["--redis-url", &redis.url()]));
    assert_eq!((code, &answer["removed"]), (Some(0), &0.into()));
}

#[test]
fn what_is_wrong_is_said_without_the_password() {
    let redis = Redis::start(&["--requirepass", "other"]);
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}", redis.port);
    for (url, part) in [
        (None, "is missing"),
        (Some(url("default:hush-hush")), "password"),
        (
            Some("redis://u:hush-hush@db.example.org".to_owned()),
            "clear text",
        ),
        (Some("u:hush-hush".to_owned()), "cannot be"),
    ] {
        let mut tool = redis.tool(&[]);
        if let Some(url) = url {
            tool.env("AUTHORSTACK_REDIS_URL", url);
        }
        let (code, answer, stderr) = ask(&mut tool);
        let error = answer["error"].as_str().unwrap_or_default();
        assert_eq!(code, Some(2), "{stderr}");
        assert!(
            error.contains("AUTHORSTACK_REDIS_URL") && error.contains(part),
            "{error}"
        );
        assert!(
            !stderr.contains("hush-hush") && !error.contains("hush-hush"),
            "{stderr}"
        );
    }
}

#[test]
fn a_server_that_is_down_is_said_so() {
    let mut redis = Redis::start(&[]);
    drop(redis.server.kill());
    drop(redis.server.wait());
    let (code, answer, stderr) = ask(redis.tool(&[]).env("AUTHORSTACK_REDIS_URL", redis.url()));
    assert_eq!(
        (code, &answer["status"]),
        (Some(3), &"failed".into()),
        "{stderr}"
    );
}
