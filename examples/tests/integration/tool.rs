//! The tool's answers: to wrong settings, wrong targets, a second run, an interruption.

use crate::common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use authorstack_core::testing::servers;
use authorstack_examples::{
    dataset::{self, Size},
    scratch::Scratch,
    tool::{Answer, Tool},
};
use common::{TOOL, filled, signal, wait_for_books};
use sqlx::{AssertSqlSafe, Executor, Row};
use url::Url;

const SMALL: Size = Size {
    users: 5,
    books: 20,
};

/// Whether the target is as it was made: no table, no schema of ours.
async fn is_untouched(scratch: &Scratch) -> bool {
    let sql = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('public', 'authorstack', 'supabase_migrations') and c.relkind = 'r'";
    let mut database = scratch.supabase().await.unwrap();
    let tables: i64 = sqlx::query(sql)
        .fetch_one(&mut database)
        .await
        .unwrap()
        .get(0);
    tables == 0
}

#[track_caller]
fn assert_refused(answer: &Answer, code: i32, status: &str, says: &[&str]) {
    assert_eq!(answer.code, Some(code), "{} {}", answer.json, answer.stderr);
    assert_eq!(answer.json["status"], status, "{}", answer.json);
    assert_eq!(
        answer.json["kinds"],
        serde_json::json!([]),
        "{}",
        answer.json
    );
    let error = answer.json["error"].as_str().unwrap();
    for part in says {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
        assert!(
            answer.stderr.contains(part),
            "{part:?} is not in {:?}",
            answer.stderr
        );
    }
    assert!(answer.stderr.contains("hint: "), "{}", answer.stderr);
}

fn changed(url: &str, change: impl FnOnce(&mut Url)) -> String {
    let mut url = Url::parse(url).unwrap();
    change(&mut url);
    url.into()
}

#[tokio::test]
async fn wrong_settings_are_named_and_nothing_moves() {
    const SECRET: &str = "hush-hush";
    let (scratch, tool) = filled(SMALL).await;
    let mongodb = |url: String| {
        (
            url,
            tool.supabase_db_url.clone(),
            "--mongodb-url",
            "MONGODB_URL",
        )
    };
    let supabase = |url: String| {
        (
            tool.mongodb_url.clone(),
            url,
            "--supabase-db-url",
            "SUPABASE_DB_URL",
        )
    };
    let free_port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (old, new) = (&tool.mongodb_url, &tool.supabase_db_url);
    let hide = |url: &mut Url| url.set_password(Some(SECRET)).unwrap();
    let cases = [
        ("no address at all", mongodb(String::new()), "missing"),
        ("no address at all", supabase(String::new()), "missing"),
        (
            "not a URL",
            mongodb(format!("u:{SECRET}@nowhere")),
            "mongodb://",
        ),
        (
            "not a URL",
            supabase(format!("u:{SECRET}@nowhere")),
            "postgres://",
        ),
        ("another store's URL", mongodb(new.clone()), "mongodb://"),
        ("another store's URL", supabase(old.clone()), "postgres://"),
        (
            "a refused password",
            mongodb(changed(old, |url| {
                url.set_username("nobody").unwrap();
                hide(url);
            })),
            "password",
        ),
        (
            "a refused password",
            supabase(changed(new, hide)),
            "password",
        ),
        (
            "no server",
            mongodb(changed(old, |url| {
                url.set_port(Some(free_port)).unwrap();
                url.set_query(Some("serverSelectionTimeoutMS=500"));
            })),
            "address",
        ),
        (
            "no server",
            supabase(changed(new, |url| url.set_port(Some(free_port)).unwrap())),
            "address",
        ),
        (
            "a missing database",
            mongodb(changed(old, |url| url.set_path("/as_test_nothing_here"))),
            "as_test_nothing_here",
        ),
        (
            "a missing database",
            supabase(changed(new, |url| url.set_path("/as_test_nothing_here"))),
            "as_test_nothing_here",
        ),
    ];
    for (about, (mongodb_url, supabase_db_url, flag, variable), says) in cases {
        let mut tool = Tool::new(TOOL, &scratch).unwrap();
        (tool.mongodb_url, tool.supabase_db_url) = (mongodb_url, supabase_db_url);
        for command in ["plan", "run", "verify"] {
            println!("{about}: {flag}, {command}");
            let answer = tool.ask(&[command]).unwrap();
            assert_refused(&answer, 2, "failed", &[flag, variable, says]);
            let shown = format!("{} {}", answer.json, answer.stderr);
            assert!(!shown.contains(SECRET), "{about}: {shown}");
        }
    }
    assert!(is_untouched(&scratch).await);
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_target_with_other_tables_is_blocked_and_untouched() {
    let (scratch, tool) = filled(SMALL).await;
    let mut database = scratch.supabase().await.unwrap();
    database
        .execute("create table public.users (id int); insert into public.users values (7)")
        .await
        .unwrap();
    for command in ["plan", "run"] {
        let answer = tool.ask(&[command]).unwrap();
        assert_eq!(answer.code, Some(1), "{}", answer.stderr);
        assert_eq!(answer.json["status"], "blocked");
        let said = format!("{} {}", answer.json["error"], answer.json["blockers"]);
        assert!(
            said.contains("public.users") && said.contains("rename"),
            "{said}"
        );
    }
    let sql = "select (select count(*) from pg_tables where schemaname = 'public'),
        (select count(*) from public.users where id = 7)";
    let row = sqlx::query(sql).fetch_one(&mut database).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (1, 1));
    scratch.remove().await.unwrap();
}

/// An older tool makes such a schema, and so does a run that is killed between two migrations.
#[tokio::test]
async fn an_older_schema_gives_the_same_plan_and_is_brought_up_to_date() {
    let (scratch, tool) = filled(SMALL).await;
    let migrations = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../authorstack-supabase/supabase/migrations"
    );
    let files = fs::read_dir(migrations).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let planned = |pending: usize| {
        let mut answer = tool.ask(&["plan"]).unwrap();
        assert_eq!(answer.code, Some(1), "{}", answer.stderr);
        let migrations = answer.json["schema_migrations"].take();
        assert_eq!(migrations.as_array().unwrap().len(), pending);
        for kind in answer.json["kinds"].as_array_mut().unwrap() {
            kind["seconds"].take();
        }
        answer.json
    };
    let expected = planned(files.len());
    let mut database = scratch.supabase().await.unwrap();
    // The last ones are left to the run.
    for (before, file) in files[..files.len() - 4].iter().enumerate() {
        let sql = fs::read_to_string(file).unwrap();
        database.execute(AssertSqlSafe(sql)).await.unwrap();
        let pending = files.len() - before - 1;
        if pending.is_multiple_of(4) {
            assert_eq!(planned(pending), expected, "{pending} are pending");
        }
    }
    assert_eq!(tool.ask(&["run"]).unwrap().code, Some(1));
    assert_eq!(tool.ask(&["verify"]).unwrap().sum("differing"), 0);
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_blocked() {
    let (scratch, tool) = filled(SMALL).await;
    assert_eq!(tool.ask(&["run"]).unwrap().code, Some(1));
    let mut database = scratch.supabase().await.unwrap();
    database
        .execute(
            "insert into authorstack.schema_version (version) values ('29990101000000');
             delete from public.books",
        )
        .await
        .unwrap();
    let answer = tool.ask(&["run"]).unwrap();
    assert_refused(
        &answer,
        1,
        "blocked",
        &["29990101000000", "update", "--supabase-db-url"],
    );
    let books = sqlx::query("select count(*) from public.books");
    let books: i64 = books.fetch_one(&mut database).await.unwrap().get(0);
    assert_eq!(books, 0, "nothing moved");
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_second_run_beside_a_running_one_is_refused() {
    let (scratch, tool) = filled(Size {
        users: 50,
        books: 5_000,
    })
    .await;
    let mut first = tool
        .command(&["run", "--batch-records", "50"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_books(&scratch).await;
    signal(first.id(), "-STOP");
    let second = tool.ask(&["run"]).unwrap();
    assert_refused(&second, 4, "blocked", &["another run"]);
    signal(first.id(), "-CONT");
    let first = tokio::task::spawn_blocking(move || first.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.code(), Some(1), "the first run is not disturbed");
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_run_says_so_and_resumes() {
    let (scratch, tool) = filled(Size {
        users: 50,
        books: 5_000,
    })
    .await;
    let arguments = ["run", "--batch-records", "50", "--output", "json"];
    let run = tool
        .command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_books(&scratch).await;
    signal(run.id(), "-INT");
    let output = tokio::task::spawn_blocking(move || run.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("run again to resume"));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["status"], "failed");

    let resumed = tool.ask(&["run"]).unwrap();
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let (scratch, tool) = filled(SMALL).await;
    let file = tool.folder().join("authorstack.toml");
    let plan = |arguments: &[&str], variable: Option<&str>| {
        let mut command = tool.command(&[&["plan", "--quiet"], arguments].concat());
        match variable {
            Some(url) => command.env("AUTHORSTACK_MONGODB_URL", url),
            None => command.env_remove("AUTHORSTACK_MONGODB_URL"),
        };
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (right, wrong) = (tool.mongodb_url.as_str(), "not-a-url");
    let settings = |url: &str| format!("mongodb_url = {url:?}\nkinds = [\"users\"]\n");

    fs::write(&file, settings(right)).unwrap();
    assert_eq!(plan(&[], None).0, Some(1), "the file alone");
    assert_eq!(
        plan(&[], Some(wrong)).0,
        Some(2),
        "the environment wins over the file"
    );
    assert_eq!(
        plan(&["--mongodb-url", right], Some(wrong)).0,
        Some(1),
        "a flag wins over both"
    );
    fs::write(&file, settings(wrong)).unwrap();
    assert_eq!(plan(&[], Some(right)).0, Some(1));

    let other = tool.folder().join("other.toml");
    fs::write(&other, settings(right)).unwrap();
    assert_eq!(plan(&["--config", "other.toml"], None).0, Some(1));
    assert_eq!(
        plan(&["--config", "none.toml"], None).0,
        Some(2),
        "a file that is named must exist"
    );

    for (text, says) in [
        ("mongodb_uri = \"mongodb://u:hush-hush@h\"", "mongodb_uri"),
        ("mongodb_url = mongodb://u:hush-hush@h", "line 1"),
        ("\nbatch_records = \"hush-hush\"", "batch_records"),
        ("kinds = [\"hush-hush\"]", "kinds"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, stderr) = plan(&[], None);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(
            stderr.contains(says) && !stderr.contains("hush-hush"),
            "{stderr}"
        );
    }
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn the_rejects_file_is_private_and_replaces_only_its_like() {
    let (scratch, tool) = filled(SMALL).await;
    let file = tool.folder().join("authorstack-rejects.jsonl");
    fs::write(&file, "my precious notes\n").unwrap();
    let refused = tool.ask(&["run"]).unwrap();
    assert_refused(
        &refused,
        2,
        "failed",
        &["authorstack-rejects.jsonl", "--rejects-file"],
    );
    assert!(is_untouched(&scratch).await);
    assert_eq!(fs::read_to_string(&file).unwrap(), "my precious notes\n");
    let refused = tool
        .ask(&["run", "--rejects-file", "nowhere/r.jsonl"])
        .unwrap();
    assert_refused(&refused, 2, "failed", &["nowhere", "folder"]);

    fs::remove_file(&file).unwrap();
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.json["rejects_file"], "authorstack-rejects.jsonl");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let lines = tool.rejects().unwrap();
    assert_eq!(lines.len() as u64, run.sum("rejected"));
    tool.ask(&["run"]).unwrap();
    assert_eq!(
        tool.rejects().unwrap(),
        lines,
        "a second run writes the same rejects"
    );
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_broken_line_is_named_and_nothing_is_replayed() {
    let (scratch, tool) = filled(SMALL).await;
    tool.ask(&["run"]).unwrap();
    let text = tool.rejects_text().unwrap();
    let (first, _) = text.split_once('\n').unwrap();
    let before = tool.rejects().unwrap().len();
    for (broken, says) in [("{\"kind\":", "line 3"), ("{\"kind\":\"users\"}", "line 3")] {
        let file = tool.folder().join("broken.jsonl");
        fs::write(&file, format!("{first}\n\n{broken}\n")).unwrap();
        let answer = tool.ask(&["replay", "broken.jsonl"]).unwrap();
        assert_refused(&answer, 2, "failed", &["broken.jsonl", says]);
    }
    let answer = tool.ask(&["replay", "none.jsonl"]).unwrap();
    assert_refused(&answer, 2, "failed", &["none.jsonl"]);
    assert_eq!(tool.rejects().unwrap().len(), before);
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_clean_migration_ends_with_zero_and_leaves_no_rejects_file() {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let scratch = Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap();
    let database = scratch.mongodb().await.unwrap();
    let (ids, users) = dataset::sound_users(32, 10);
    dataset::insert(&database, "users", &users).await.unwrap();
    let books = dataset::sound_books(1_000, &ids, 100);
    dataset::insert(&database, "books", &books).await.unwrap();
    let tool = Tool::new(TOOL, &scratch).unwrap();
    for (command, written) in [("plan", 110), ("run", 110), ("run", 0), ("verify", 0)] {
        let answer = tool.ask(&[command]).unwrap();
        assert_eq!(
            answer.code,
            Some(0),
            "{command}: {} {}",
            answer.json,
            answer.stderr
        );
        assert_eq!(answer.json["status"], "complete");
        assert_eq!(answer.json["command"], command);
        assert_eq!(
            (answer.sum("read"), answer.sum("written")),
            (110, written),
            "{command}"
        );
        assert_eq!(answer.json["rejects_file"], serde_json::Value::Null);
        assert_eq!(answer.json["error"], serde_json::Value::Null);
    }
    assert_eq!(tool.rejects_text().unwrap(), "");

    // A row that someone changed by hand is found, by its id and its field.
    let mut target = scratch.supabase().await.unwrap();
    let sql = "update public.books set title = 'Changed' where id =
        (select id from public.books order by id limit 1) returning id::text";
    let id: String = sqlx::query(AssertSqlSafe(sql))
        .fetch_one(&mut target)
        .await
        .unwrap()
        .get(0);
    let answer = tool.ask(&["verify"]).unwrap();
    assert_eq!(
        (answer.code, answer.sum("differing")),
        (Some(1), 1),
        "{}",
        answer.json
    );
    let difference = &answer.json["kinds"][1]["differences"][0];
    assert_eq!(difference["fields"], serde_json::json!(["title"]));
    assert!(id.starts_with(&difference["key"].as_str().unwrap()[..8]));
    scratch.remove().await.unwrap();
}

#[test]
fn help_is_enough_to_start_with() {
    let ask = |arguments: &[&str]| Command::new(TOOL).args(arguments).output().unwrap();
    let help = ask(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for part in [
        "plan",
        "run",
        "verify",
        "replay",
        "AUTHORSTACK_MONGODB_URL",
        "supabase_db_url",
        "authorstack.toml",
        "Exit codes",
        "130",
    ] {
        assert!(text.contains(part), "{part} is not in --help");
    }
    let wrong = ask(&["move", "--output", "json"]);
    assert_eq!(wrong.status.code(), Some(2));
    let answer: serde_json::Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(answer["status"], "failed");
}
