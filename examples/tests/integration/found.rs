//! What the tool finds out by itself: the form of ids, what stays behind, one database on both
//! sides; and files as editors and spreadsheets save them.

use crate::common;

use std::fs;

use authorstack_core::{Book, Id, User, testing::servers};
use authorstack_examples::{
    dataset,
    scratch::Scratch,
    tool::{Answer, Tool},
};
use authorstack_postgres::IdForm;
use bson::{doc, oid::ObjectId};
use common::{TOOL, fresh};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

/// Three databases with three users; their sales hold the users' ids in these forms.
async fn with_sales(forms: &[IdForm]) -> (Scratch, Tool, Vec<ObjectId>) {
    let (scratch, _) = fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let tool = Tool::new(TOOL, &scratch).unwrap();
    let database = scratch.mongodb().await.unwrap();
    let (ids, users) = dataset::sound_users(7, 3);
    dataset::insert(&database, "users", &users).await.unwrap();
    let books = dataset::sound_books(1_000, &ids, 1);
    dataset::insert(&database, "books", &books).await.unwrap();
    let book = books[0].get_object_id("_id").unwrap();
    let mut old = scratch.postgres().await.unwrap();
    for (day, form) in forms.iter().enumerate() {
        let book = form.write::<Book>(Id::from_bytes(book.bytes()));
        for id in &ids {
            let user = form.write::<User>(Id::from_bytes(id.bytes()));
            let sql = format!(
                "insert into sales_data (user_id, book_id, date, platform, units, revenue) \
                 values ('{user}', '{book}', date '2026-01-01' + {day}, 'kdp', 1, 2.50)"
            );
            old.execute(AssertSqlSafe(sql)).await.unwrap();
        }
    }
    (scratch, tool, ids)
}

fn sales(answer: &Answer) -> &Value {
    let kinds = answer.json["kinds"].as_array().unwrap();
    let sales = kinds.iter().find(|kind| kind["kind"] == "sales_data");
    sales.unwrap()
}

#[tokio::test]
async fn the_form_of_ids_is_found() {
    for (form, name) in [
        (IdForm::Embedded, "embedded"),
        (IdForm::PaddedLeft, "padded-left"),
        (IdForm::PaddedRight, "padded-right"),
    ] {
        let (scratch, tool, _) = with_sales(&[form, form]).await;
        let auto = ["--postgres-ids", "auto"];
        let plan = tool.ask(&[&["plan"], &auto[..]].concat()).unwrap();
        assert_eq!(plan.code, Some(0), "{} {}", plan.json, plan.stderr);
        assert_eq!(plan.json["postgres_ids"], name);
        let said = format!("users: 3 ids, 3 {} ({name}, all known)", form.description());
        assert!(plan.stderr.contains(&said), "{}", plan.stderr);
        let run = tool.ask(&[&["run"], &auto[..]].concat()).unwrap();
        assert_eq!(run.code, Some(0), "{} {}", run.json, run.stderr);
        assert_eq!(sales(&run)["written"], 6);
        // Without MongoDB, the target's users are the known ones.
        let mut tool = tool;
        tool.mongodb_url = String::new();
        let verify = tool.ask(&[&["verify"], &auto[..]].concat()).unwrap();
        assert_eq!(verify.code, Some(0), "{} {}", verify.json, verify.stderr);
        scratch.remove().await.unwrap();
    }
}

#[tokio::test]
async fn mixed_forms_and_unknown_ids_ask_for_a_decision() {
    let (scratch, tool, _) = with_sales(&[IdForm::Embedded, IdForm::PaddedRight]).await;
    let run = tool.ask(&["run", "--postgres-ids", "auto"]).unwrap();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let error = run.json["error"].as_str().unwrap();
    for part in [
        "--postgres-ids",
        "several forms",
        "users: 6 ids",
        "3 in AuthorStack's form (embedded, all known)",
        "3 padded with zeros behind (padded-right, all known)",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    let run = tool.ask(&["run", "--postgres-ids", "embedded"]).unwrap();
    assert_eq!(sales(&run)["written"], 3, "{}", run.json);
    let mut old = scratch.postgres().await.unwrap();
    old.execute("update sales_data set user_id = gen_random_uuid(), book_id = gen_random_uuid()")
        .await
        .unwrap();
    let run = tool.ask(&["run", "--postgres-ids", "auto"]).unwrap();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let error = run.json["error"].as_str().unwrap();
    assert!(error.contains("no known form"), "{error}");
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn what_stays_behind_and_what_is_missing_is_named() {
    let (scratch, tool, _) = with_sales(&[IdForm::Embedded]).await;
    let database = scratch.mongodb().await.unwrap();
    let audit = database.collection("audit\u{1b}[2J");
    audit.insert_one(doc! {"a": 1}).await.unwrap();
    database
        .create_collection("recent_books")
        .view_on("books")
        .await
        .unwrap();
    let mut old = scratch.postgres().await.unwrap();
    old.execute("create table coupons (id int); drop table sync_logs, ai_insights")
        .await
        .unwrap();
    let plan = tool.ask(&["plan"]).unwrap();
    assert_eq!(plan.code, Some(0), "{} {}", plan.json, plan.stderr);
    let strangers = plan.json["strangers"].as_array().unwrap();
    let has = |form: &str, name: &str, missing: bool| {
        let found = strangers
            .iter()
            .any(|it| it["form"] == form && it["name"] == name && it["missing"] == json!(missing));
        assert!(found, "{form} {name}: {strangers:?}");
    };
    has("collection", "audit\u{1b}[2J", false);
    has("view", "recent_books", false);
    has("table", "coupons", false);
    has("table", "sync_logs", true);
    has("collection", "checklists", true);
    let output = tool.command(&["plan"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        r"MongoDB: the collection audit\u{1b}[2J, about 1 record: the schema does not know it",
        "PostgreSQL: the table coupons",
        "PostgreSQL lacks the table sync_logs",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // Of what is missing there is nothing to move, and the rest is not held up.
    for command in ["run", "run", "verify", "repair"] {
        let answer = tool.ask(&[command]).unwrap();
        assert_eq!(answer.code, Some(0), "{} {}", answer.json, answer.stderr);
    }
    let only = tool.ask(&["run", "--kind", "sync_logs"]).unwrap();
    assert_eq!(only.code, Some(0), "{} {}", only.json, only.stderr);
    assert_eq!(only.json["kinds"][0]["read"], 0);
    // A table with a fault hinders only its own kind.
    old.execute("alter table revenue_forecasts drop column predicted_revenue")
        .await
        .unwrap();
    let forecasts = tool.ask(&["run", "--kind", "revenue_forecasts"]).unwrap();
    assert_eq!(forecasts.code, Some(2), "{}", forecasts.json);
    let sales = tool.ask(&["run", "--kind", "sales_data"]).unwrap();
    assert_eq!(sales.code, Some(0), "{} {}", sales.json, sales.stderr);
    scratch.remove().await.unwrap();
}

/// An app that has added a column for the market to the unique key: the schema knows one sale of a day.
#[tokio::test]
async fn markets_of_a_day_under_a_widened_key_are_rejected_as_planned() {
    // Small batches read rows one by one where one of them cannot move.
    for batch in ["10000", "2"] {
        let (scratch, tool, _) = with_sales(&[IdForm::Embedded; 4]).await;
        let mut old = scratch.postgres().await.unwrap();
        old.execute(
            "alter table sales_data add column marketplace text, \
               drop constraint sales_data_user_id_book_id_platform_date_key; \
             alter table sales_data add unique (user_id, book_id, platform, date, marketplace); \
             update sales_data set marketplace = 'us'; \
             insert into sales_data (user_id, book_id, platform, date, units, revenue, marketplace) \
               select user_id, book_id, platform, date, 2, 7.25, 'de' from sales_data where id % 2 = 0",
        )
        .await
        .unwrap();
        let plan = tool.ask(&["plan"]).unwrap();
        let run = tool.ask(&["run", "--batch-records", batch]).unwrap();
        for answer in [&plan, &run] {
            assert_eq!(answer.code, Some(1), "{} {}", answer.json, answer.stderr);
            assert_eq!(sales(answer)["read"], 18, "{}", answer.json);
            assert_eq!(sales(answer)["rejected"], 6, "{}", answer.json);
        }
        let reasons = tool.ask(&["plan", "--details"]).unwrap();
        let examples = sales(&reasons)["examples"].as_array().unwrap();
        let keys: Vec<&str> = examples
            .iter()
            .filter_map(|it| it["key"].as_str())
            .collect();
        assert_eq!(keys, ["13", "14", "15", "16", "17", "18"]);
        for example in examples {
            let reason = example["reason"].to_string();
            assert!(
                reason.contains("is of the same user, book, platform and day"),
                "{reason}"
            );
        }
        let mut new = scratch.supabase().await.unwrap();
        let held: String = sqlx::query_scalar(
            "select string_agg(concat(id, ' ', revenue, ' ', extra ->> 'marketplace'), ', ' order by id) \
             from public.sales_data where id < 5",
        )
        .fetch_one(&mut new)
        .await
        .unwrap();
        assert_eq!(held, "1 2.50 us, 2 2.50 us, 3 2.50 us, 4 2.50 us");
        let verify = tool.ask(&["verify"]).unwrap();
        assert_eq!(sales(&verify)["differing"], 0, "{}", verify.json);
        assert_eq!(sales(&verify)["rejected"], 6, "{}", verify.json);
        scratch.remove().await.unwrap();
    }
}

#[tokio::test]
async fn one_database_on_both_sides_is_refused() {
    let (scratch, mut tool) = fresh().await;
    let database = scratch.mongodb().await.unwrap();
    let (_, users) = dataset::sound_users(7, 2);
    dataset::insert(&database, "users", &users).await.unwrap();
    let first = tool.ask(&["run"]).unwrap();
    assert_eq!(first.code, Some(0), "{} {}", first.json, first.stderr);
    tool.postgres_url = Some(tool.supabase_db_url.clone());
    let plan = tool.ask(&["plan"]).unwrap();
    assert_eq!(plan.code, Some(1), "{} {}", plan.json, plan.stderr);
    let blockers = plan.json["blockers"].to_string();
    assert!(blockers.contains("are one database"), "{blockers}");
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{} {}", run.json, run.stderr);
    let error = run.json["error"].as_str().unwrap();
    assert!(error.contains("are one database"), "{error}");
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn files_are_read_as_editors_save_them() {
    let (scratch, tool, ids) = with_sales(&[IdForm::Embedded]).await;
    let mut old = scratch.postgres().await.unwrap();
    let other = "aaaaaaaa-6d5c-4d6f-9c3c-5d8a1c1b7d11";
    let mine = IdForm::Embedded.write::<User>(Id::from_bytes(ids[0].bytes()));
    let sql = format!("update sales_data set user_id = '{other}' where user_id = '{mine}'");
    old.execute(AssertSqlSafe(sql)).await.unwrap();
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.json["rejects_file"], "authorstack-rejects.jsonl");
    let said = tool.command(&["run"]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("1 reject is in authorstack-rejects.jsonl: fix its line"),
        "{said}"
    );
    let verify = tool.command(&["verify"]).output().unwrap();
    let verify = String::from_utf8_lossy(&verify.stdout).into_owned();
    assert!(verify.contains("user_id 1"), "{verify}");

    // A map from a spreadsheet.
    let map = format!("\u{feff}uuid;id\r\n\"{other}\";\"{}\"\r\n", ids[0].to_hex());
    fs::write(tool.folder().join("ids.csv"), map).unwrap();
    let plan = tool.ask(&["plan", "--id-map-file", "ids.csv"]).unwrap();
    assert_eq!(plan.code, Some(0), "{} {}", plan.json, plan.stderr);

    // The rejects file, pretty-printed by an editor that marks the order of bytes.
    let line: Value = serde_json::from_str(tool.rejects_text().unwrap().trim()).unwrap();
    let mut fixed = line.clone();
    fixed["record"]["user_id"] = json!(mine.to_string());
    let pretty = format!(
        "\u{feff}{}\n\n",
        serde_json::to_string_pretty(&fixed).unwrap()
    );
    let file = tool.folder().join("authorstack-rejects.jsonl");
    fs::write(&file, pretty.replace('\n', "\r\n")).unwrap();
    let replay = tool.ask(&["replay", "authorstack-rejects.jsonl"]).unwrap();
    assert_eq!(replay.code, Some(0), "{} {}", replay.json, replay.stderr);
    assert_eq!(replay.sum("written"), 1);
    // An object that does not end is named by its first line, and nothing is loaded.
    let broken = serde_json::to_string_pretty(&line).unwrap();
    let broken = format!("\n{}\n{line}\n", broken.trim_end_matches('}'));
    fs::write(tool.folder().join("broken.jsonl"), broken).unwrap();
    let refused = tool.ask(&["replay", "broken.jsonl"]).unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let error = refused.json["error"].as_str().unwrap();
    assert!(error.contains("line 2"), "{error}");
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn colours_are_only_where_they_are_wanted() {
    let (scratch, tool) = fresh().await;
    let database = scratch.mongodb().await.unwrap();
    let (_, users) = dataset::sound_users(7, 2);
    dataset::insert(&database, "users", &users).await.unwrap();
    let coloured = |variables: &[(&str, &str)], form: &str| {
        let mut command = tool.command(&["plan", "--output", form]);
        command.env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains('\u{1b}')
    };
    let forced = ("CLICOLOR_FORCE", "1");
    assert!(coloured(&[forced], "text"));
    assert!(!coloured(&[forced], "json"));
    assert!(!coloured(&[("CLICOLOR_FORCE", "")], "text"));
    assert!(!coloured(&[], "text"), "this is no terminal");
    assert!(!coloured(&[("NO_COLOR", "1")], "text"));
    scratch.remove().await.unwrap();
}
