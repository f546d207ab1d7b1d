//! The tool where things go wrong at the edges: stray arguments, files in the way, a target or a
//! folder that changes under a run.

use crate::common;

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
};

use authorstack_core::migrate::Kind;
use authorstack_examples::{
    dataset::{self, Size},
    scratch::Scratch,
    tool::Tool,
};
use bson::doc;
use common::{TOOL, filled, fresh, signal, wait_for_books};
use serde_json::Value;
use sqlx::{Executor, Row};

const REJECTS: &str = "authorstack-rejects.jsonl";
const SECRET: &str = "hush-hush";

/// One author whose only book has an impossible ISBN, which the settings say is to be rejected.
async fn one_wrong_isbn() -> (Scratch, Tool) {
    let (scratch, tool) = fresh().await;
    let database = scratch.mongodb().await.unwrap();
    let (ids, users) = dataset::sound_users(42, 1);
    dataset::insert(&database, "users", &users).await.unwrap();
    let book = doc! { "userId": ids[0], "title": "The Tide House", "isbn": "978-3-16-148410-1" };
    let books = [book.try_into().unwrap()];
    dataset::insert(&database, "books", &books).await.unwrap();
    let settings = tool.folder().join("authorstack.toml");
    fs::write(settings, "strict = true\n").unwrap();
    (scratch, tool)
}

fn starts(tool: &Tool, arguments: &[&str]) -> Child {
    tool.command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn ends(child: Child) -> (Output, Value) {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, json)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn is_untouched(scratch: &Scratch) -> bool {
    let sql = "select count(*) from pg_namespace where nspname = 'authorstack'";
    let mut database = scratch.supabase().await.unwrap();
    let schemas: i64 = sqlx::query(sql)
        .fetch_one(&mut database)
        .await
        .unwrap()
        .get(0);
    schemas == 0
}

#[test]
fn an_address_in_a_wrong_place_is_not_shown() {
    let address = format!("mongodb://u:{SECRET}@db.example.org/app");
    let missing = format!("--config={address}");
    let settings = format!("host=db.example.org user=u password={SECRET}");
    let settings_file = format!("--config={settings}");
    let cases: &[&[&str]] = &[
        &["run", &address],
        &["run", "--mongo-url", &address],
        &["run", "--kind", &address],
        &["run", "--batch-records", &address],
        &["run", "--output", "json", "--config", &address],
        &["run", &missing],
        &["replay", &address, "--mongodb-url=x"],
        &[&address],
        &["plan", &settings],
        &[&settings],
        &["run", "--config", &settings],
        &["run", &settings_file],
        &["run", "--kind", &settings],
        &[
            "run",
            "--supabase-db-url",
            &settings,
            "--mongodb-url",
            &settings,
        ],
    ];
    for arguments in cases {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(TOOL)
            .args(*arguments)
            .args(["--output=json"])
            .env_remove("AUTHORSTACK_MONGODB_URL")
            .env_remove("AUTHORSTACK_SUPABASE_DB_URL")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = format!("{} {}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn wrong_usage_is_answered_in_json_too() {
    for (arguments, command, says) in [
        (&["replay"][..], Value::from("replay"), "<FILE>"),
        (&["plan", "--kind", "songs"], "plan".into(), "users, books"),
        (
            &["verify", "--batch-bytes", "0"],
            "verify".into(),
            "--batch-bytes",
        ),
        (&[], Value::Null, "requires a subcommand"),
    ] {
        let output = Command::new(TOOL)
            .args(arguments)
            .args(["--output", "json"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["command"], command);
        assert_eq!(answer["status"], "failed");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(says), "{error}");
        assert!(text(&output.stderr).contains("--help"));
    }
}

#[tokio::test]
async fn a_place_that_can_be_no_rejects_file_is_refused_at_the_start() {
    let (scratch, tool) = one_wrong_isbn().await;
    fs::create_dir(tool.folder().join("folder")).unwrap();
    fs::write(tool.folder().join("bytes"), [0xff, 0xfe, b'\n']).unwrap();
    let not_a_file = tool.folder().join("bytes/rejects.jsonl");
    for (place, says) in [
        ("folder", "no rejects file"),
        ("bytes", "no rejects file"),
        ("/dev/null", "no rejects file"),
        ("/proc/rejects.jsonl", "its folder"),
        (not_a_file.to_str().unwrap(), "bytes/rejects.jsonl"),
    ] {
        let answer = tool.ask(&["run", "--rejects-file", place]).unwrap();
        assert_eq!(answer.code, Some(2), "{place}: {}", answer.stderr);
        let error = answer.json["error"].as_str().unwrap();
        assert!(
            error.contains("--rejects-file") && error.contains(says),
            "{error}"
        );
    }
    assert!(is_untouched(&scratch).await);
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_fixed_line_is_replayed_from_the_rejects_file_itself() {
    let (scratch, tool) = one_wrong_isbn().await;
    let file = tool.folder().join(REJECTS);
    let output = tool.command(&["run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    for line in [
        "users              rows in 1 = written 1 + unchanged 0 + rejected 0",
        "books              rows in 1 = written 0 + unchanged 0 + rejected 1",
        "total              rows in 2 = written 1 + unchanged 0 + rejected 1",
        REJECTS,
    ] {
        assert!(report.contains(line), "{line:?} is not in\n{report}");
    }

    // Unchanged, it is rejected again and stays in the file.
    let before = tool.rejects().unwrap();
    let again = tool.ask(&["replay", REJECTS]).unwrap();
    assert_eq!(
        (again.code, again.sum("rejected")),
        (Some(1), 1),
        "{}",
        again.stderr
    );
    assert_eq!(again.json["rejects_file"], REJECTS);
    assert_eq!(tool.rejects().unwrap(), before);

    let fixed = tool.rejects_text().unwrap().replace("148410-1", "148410-0");
    fs::write(&file, fixed).unwrap();
    let replayed = tool.ask(&["replay", REJECTS]).unwrap();
    assert_eq!(
        (replayed.code, replayed.sum("written")),
        (Some(0), 1),
        "{}",
        replayed.stderr
    );
    assert_eq!(replayed.json["rejects_file"], Value::Null);
    assert!(!file.exists(), "no reject is open, so there is no file");
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(
        verified.code,
        Some(0),
        "{} {}",
        verified.json,
        verified.stderr
    );
    assert_eq!(verified.sum("unchanged"), 2);
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_line_that_is_no_text_is_named_by_its_number() {
    let (scratch, tool) = one_wrong_isbn().await;
    assert_eq!(tool.ask(&["run"]).unwrap().code, Some(1));
    let mut lines = tool
        .rejects_text()
        .unwrap()
        .replace("148410-1", "148410-0")
        .into_bytes();
    lines.extend(b"\n\xff\xfe\n");
    fs::write(tool.folder().join("fixed.jsonl"), lines).unwrap();
    let answer = tool.ask(&["replay", "fixed.jsonl"]).unwrap();
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    assert!(
        answer.json["error"].as_str().unwrap().contains("line 3"),
        "{}",
        answer.json
    );
    assert_eq!(tool.rejects().unwrap().len(), 1, "nothing was loaded");
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn quiet_says_nothing_where_nothing_is_wrong() {
    let (scratch, tool) = one_wrong_isbn().await;
    let output = tool.command(&["plan", "--quiet"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "");
    assert!(
        text(&output.stdout).contains("books: 1 record, by field: isbn 1"),
        "{}",
        text(&output.stdout)
    );
    let output = tool.command(&["plan"]).output().unwrap();
    let lines = text(&output.stderr);
    assert!(
        lines.contains("users: 1 to read") && lines.contains("books: 1 read"),
        "{lines}"
    );
    assert!(is_untouched(&scratch).await, "a plan changes nothing");
    scratch.remove().await.unwrap();
}

const MANY: Size = Size {
    users: 50,
    books: 5_000,
};
const RUN: &[&str] = &["run", "--batch-records", "50", "--output", "json"];

#[tokio::test]
async fn a_run_that_fails_on_the_way_still_writes_its_rejects() {
    let (scratch, tool) = filled(MANY).await;
    let run = starts(&tool, RUN);
    wait_for_books(&scratch).await;
    let mut database = scratch.supabase().await.unwrap();
    let hide = "alter table public.books rename to hidden";
    database.execute(hide).await.unwrap();
    let (output, answer) = ends(run).await;
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{answer} {stderr}");
    assert_eq!(answer["status"], "failed");
    assert_eq!(answer["rejects_file"], REJECTS, "{stderr}");
    assert!(stderr.contains("run again to resume"), "{stderr}");
    let users = tool.rejects().unwrap();
    assert!(!users.is_empty(), "the users' rejects were known");

    let show = "alter table public.hidden rename to books";
    database.execute(show).await.unwrap();
    let resumed = tool.ask(&["run"]).unwrap();
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    assert_eq!(
        verified.sum("rejected"),
        tool.rejects().unwrap().len() as u64
    );
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn rejects_that_cannot_be_written_stay_in_the_target() {
    let (scratch, tool) = filled(MANY).await;
    let folder = tool.folder().join("sub");
    fs::create_dir(&folder).unwrap();
    let place = ["--rejects-file", "sub/rejects.jsonl"];
    let run = starts(&tool, &[RUN, &place].concat());
    wait_for_books(&scratch).await;
    fs::remove_dir_all(&folder).unwrap();
    let (output, answer) = ends(run).await;
    assert_eq!(
        output.status.code(),
        Some(3),
        "{answer} {}",
        text(&output.stderr)
    );
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.contains("sub/rejects.jsonl") && error.contains("kept in the ledger"),
        "{error}"
    );
    assert_eq!(
        answer["kinds"].as_array().unwrap().len(),
        Kind::DOCUMENTS.len(),
        "the answer has what was counted"
    );

    fs::create_dir(&folder).unwrap();
    let again = tool.ask(&[&["run"][..], &place].concat()).unwrap();
    assert_eq!(
        (again.code, again.sum("written")),
        (Some(1), 0),
        "{}",
        again.json
    );
    let lines = fs::read_to_string(folder.join("rejects.jsonl")).unwrap();
    assert_eq!(lines.lines().count() as u64, again.sum("rejected"));
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_terminated_run_ends_like_an_interrupted_one() {
    let (scratch, tool) = filled(MANY).await;
    let run = starts(&tool, RUN);
    wait_for_books(&scratch).await;
    signal(run.id(), "-TERM");
    let (output, answer) = ends(run).await;
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(answer["command"], "run");
    let books = answer["kinds"][1]["read"].as_u64().unwrap();
    assert!(books > 0 && books < 5_000, "{answer}");
    let resumed = tool.ask(&["run"]).unwrap();
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains("resumed after"),
        "{}",
        resumed.stderr
    );
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn kinds_can_be_moved_one_by_one() {
    let (scratch, tool) = one_wrong_isbn().await;
    for (kind, code) in [("users", 0), ("books", 1)] {
        let answer = tool.ask(&["run", "--kind", kind]).unwrap();
        assert_eq!(answer.code, Some(code), "{}", answer.stderr);
        let kinds = answer.json["kinds"].as_array().unwrap();
        assert_eq!((kinds.len(), &kinds[0]["kind"]), (1, &Value::from(kind)));
    }
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn what_makes_no_sense_is_set_aside_and_listed() {
    let (scratch, tool) = one_wrong_isbn().await;
    fs::remove_file(tool.folder().join("authorstack.toml")).unwrap();
    let plan = tool.ask(&["plan"]).unwrap();
    assert_eq!(plan.code, Some(0), "{} {}", plan.json, plan.stderr);
    assert_eq!(plan.json["kinds"][1]["set_aside_fields"]["isbn"], 1);
    let output = tool.command(&["plan"]).output().unwrap();
    let report = text(&output.stdout);
    assert!(
        report.contains("books: 1 field, in records by field: isbn 1"),
        "{report}"
    );

    let list = tool.folder().join("authorstack-set-aside.jsonl");
    fs::write(&list, "my notes\n").unwrap();
    let refused = tool.ask(&["run"]).unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("--set-aside-file"),
        "{}",
        refused.stderr
    );
    fs::remove_file(&list).unwrap();

    let output = tool.command(&["run"]).output().unwrap();
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}");
    for part in [
        "rejected 0; carried, 1 field set aside",
        "1 field was set aside",
        "authorstack-set-aside.jsonl",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
    let line: Value = serde_json::from_str(fs::read_to_string(&list).unwrap().trim()).unwrap();
    assert_eq!(line["kind"], "books");
    assert_eq!(line["fields"][0]["field"], "isbn");
    let again = tool.ask(&["run"]).unwrap();
    assert_eq!(again.json["kinds"][1]["set_aside"], 1, "{}", again.json);
    assert_eq!(again.json["set_aside_file"], "authorstack-set-aside.jsonl");
    let verify = tool.ask(&["verify"]).unwrap();
    assert_eq!(verify.code, Some(0), "{} {}", verify.json, verify.stderr);

    // Strictly, it is a reject.
    let strict = tool.ask(&["plan", "--strict"]).unwrap();
    assert_eq!(strict.code, Some(1), "{}", strict.stderr);
    assert_eq!(strict.json["kinds"][1]["rejected_fields"]["isbn"], 1);
    scratch.remove().await.unwrap();
}
