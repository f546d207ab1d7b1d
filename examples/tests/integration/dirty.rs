//! Dirty data moves or is rejected by name, on real servers: each case of the data set.

use std::collections::BTreeMap;

use authorstack_core::{
    migrate::{Kind, RejectLine},
    testing::servers,
};
use authorstack_examples::{
    dataset::{self, Dataset, SECRET, Size},
    scratch::Scratch,
    tool::Tool,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Decode, PgConnection, Postgres, Row, Type};
use uuid::Uuid;

const TOOL: &str = env!("CARGO_BIN_EXE_authorstack-migrate");

struct Moved {
    data: Dataset,
    scratch: Scratch,
    tool: Tool,
}

/// A data set of this seed, moved.
async fn moved(seed: u64) -> Moved {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let scratch = Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap();
    let data = dataset::generate(
        seed,
        Size {
            users: 20,
            books: 200,
        },
    );
    data.insert(&scratch.mongodb().await.unwrap())
        .await
        .unwrap();
    let tool = Tool::new(TOOL, &scratch).unwrap();
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(run.json["status"], "incomplete");
    for kind in run.json["kinds"].as_array().unwrap() {
        let named = data.records.iter();
        let named = named.filter(|(of, _)| kind["kind"] == of.as_str());
        let read: u64 = named.map(|(_, records)| *records).sum();
        assert_eq!(kind["read"], read, "every record is accounted for: {kind}");
    }
    assert_eq!(
        run.sum("read"),
        run.sum("written") + run.sum("unchanged") + run.sum("rejected")
    );
    Moved {
        data,
        scratch,
        tool,
    }
}

/// The only value that a statement about one record answers.
async fn value<T>(database: &mut PgConnection, sql: &'static str, id: Uuid) -> T
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    sqlx::query(sql)
        .bind(id)
        .fetch_one(database)
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn every_case_is_carried_or_rejected_with_its_field() {
    let moved = moved(11).await;
    let lines = moved.tool.rejects().unwrap();
    assert_eq!(dataset::surprises(&moved.data.cases, &lines), [""; 0]);

    // Rows in = rows out + rejects, counted by the server itself.
    let mut database = moved.scratch.supabase().await.unwrap();
    for (kind, records) in &moved.data.records {
        let sql = format!("select count(*) from public.{kind}");
        let counted = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut database);
        let rows: i64 = counted.await.unwrap().get(0);
        let rejected = lines.iter().filter(|line| line.kind == *kind).count();
        let accounted = usize::try_from(rows).unwrap() + rejected;
        assert_eq!(accounted as u64, *records, "{kind}");
    }
    moved.scratch.remove().await.unwrap();
}

#[tokio::test]
async fn what_is_set_aside_is_listed_and_kept() {
    let moved = moved(16).await;
    let mut database = moved.scratch.supabase().await.unwrap();
    let noted = "select kind, convert_from(key, 'utf8'), problems from authorstack.set_aside";
    let rows = sqlx::query(noted).fetch_all(&mut database).await.unwrap();
    let noted: BTreeMap<(String, String), String> = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect();
    let mut cases = 0;
    for case in &moved.data.cases {
        if let dataset::Fate::SetAside(field) = case.fate {
            let key = (case.kind.to_string(), case.key.clone());
            let of_part = case.key.contains(".comments.");
            let found = noted.get(&key);
            assert!(
                of_part || found.is_some_and(|it| it.contains(field)),
                "{case:?}: {found:?}"
            );
            cases += 1;
        }
    }
    assert!(cases > 30, "{cases}");
    let sql = "select preferences from users where id = $1";
    let mut all = moved.data.cases.iter();
    let theme = all.find(|case| case.about == "a theme that does not exist");
    let id: authorstack_core::Id<()> = theme.unwrap().key.parse().unwrap();
    let preferences: Value = value(&mut database, sql, id.to_uuid()).await;
    assert_eq!(preferences["_setAside"], json!({ "theme": "solarized" }));
    let run = moved.tool.ask(&["run"]).unwrap();
    assert!(run.sum("set_aside") >= cases, "{}", run.json);
    assert_eq!(run.sum("written"), 0, "a second run changes nothing");
    moved.scratch.remove().await.unwrap();
}

#[tokio::test]
async fn verify_knows_the_rejects_and_finds_no_difference() {
    let moved = moved(12).await;
    let verified = moved.tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    assert_eq!(
        verified.sum("rejected"),
        moved.tool.rejects().unwrap().len() as u64
    );
    assert_eq!(verified.code, Some(1), "rejects are to be looked at");
    moved.scratch.remove().await.unwrap();
}

#[tokio::test]
async fn rejects_are_whole_and_keep_secrets_to_themselves() {
    let moved = moved(13).await;
    let text = moved.tool.rejects_text().unwrap();
    assert!(
        !text.contains(SECRET),
        "a password hash is in the rejects file"
    );
    let lines = moved.tool.rejects().unwrap();
    let line = |about: &str| {
        let mut cases = moved.data.cases.iter();
        let case = cases.find(|case| case.about == about).unwrap();
        let of = |line: &&RejectLine| line.kind == case.kind && line.key == case.key;
        lines.iter().find(of).unwrap()
    };
    let hashed = line("a password hash beside a broken field");
    assert_eq!(hashed.record["name"]["first"], "Ada", "the rest is whole");
    assert!(
        hashed.record["passwordHash"].is_object(),
        "the field is marked"
    );
    let credits = &hashed.reason;
    assert!(
        credits.contains("credits") && credits.contains("many"),
        "{credits}"
    );
    let days = &line("NaN days").record["duration"];
    assert!(days.to_string().contains("NaN"), "{days}");
    // A part shows the record that it belongs to.
    let comment = line("an author who is gone in a comment");
    assert!(comment.record["postId"]["$oid"].is_string());
    assert!(comment.record["comments"]["content"].is_string());
    // The bytes that JSON cannot hold are in another member.
    assert!(line("bytes in a title that are not UTF-8").record["$bson"].is_string());
    moved.scratch.remove().await.unwrap();
}

#[tokio::test]
async fn what_is_carried_arrives_as_it_was() {
    let moved = moved(14).await;
    let mut database = moved.scratch.supabase().await.unwrap();
    let key = |about: &str, kind: Kind| {
        let mut cases = moved.data.cases.iter();
        let case = cases.find(|case| case.about == about && case.kind == kind);
        let id: authorstack_core::Id<()> = case.unwrap().key.parse().unwrap();
        id.to_uuid()
    };
    for about in ["int32", "int64", "double", "string", "Decimal128"] {
        let article = if about.starts_with('i') { "an" } else { "a" };
        let sql = "select credits from users where id = $1";
        let id = key(&format!("credits as {article} {about}"), Kind::Users);
        let credits: i64 = value(&mut database, sql, id).await;
        assert_eq!(
            credits,
            if about == "int64" { 12_000_000_000 } else { 12 },
            "{about}"
        );
        let sql = "select metadata from books where id = $1";
        let id = key(&format!("a page count as {article} {about}"), Kind::Books);
        let metadata: Value = value(&mut database, sql, id).await;
        assert_eq!(metadata, json!({ "pageCount": 312 }), "{about}");
    }

    let sql = "select extra from books where id = $1";
    let id = key("unknown fields of every type", Kind::Books);
    let extra: Value = value(&mut database, sql, id).await;
    let legacy = &extra["legacy"];
    assert_eq!(
        legacy["owner"],
        json!({ "$oid": "070707070707070707070707" })
    );
    assert_eq!(
        legacy["since"],
        json!({ "$date": "2014-05-13T16:53:20.123Z" })
    );
    assert_eq!(
        legacy["first"],
        json!({ "$date": { "$numberLong": "-62200000000000" } })
    );
    assert_eq!(legacy["price"], json!({ "$numberDecimal": "19.90" }));
    assert_eq!(legacy["blob"]["$binary"]["base64"], "AAH+/w==");
    assert_eq!(legacy["counts"]["large"], 9_007_199_254_740_993_i64);
    assert_eq!(
        legacy["nested"][0]["deeper"][0]["id"]["$oid"],
        "080808080808080808080808"
    );
    assert_eq!(legacy["текст"], "ключ");

    let id = key("NaN in an unknown field", Kind::Books);
    let extra: Value = value(&mut database, sql, id).await;
    assert_eq!(extra["score"], json!({ "$numberDouble": "NaN" }));
    assert_eq!(extra["scores"][1], json!({ "$numberDouble": "-0.0" }));

    let sql = "select length(extra ->> 'manuscript') from books where id = $1";
    let id = key("an unknown field of 10 MB", Kind::Books);
    let length: i32 = value(&mut database, sql, id).await;
    assert_eq!(length, 10_485_772);

    let sql = "select extract(year from published_date)::int from books where id = $1";
    let years: BTreeMap<&str, i32> = BTreeMap::from([
        ("a date before 1970", 1860),
        ("a date before our era", -769),
        ("a date after 9999", 12_921),
    ]);
    for (about, year) in years {
        let id = key(about, Kind::Books);
        let found: i32 = value(&mut database, sql, id).await;
        assert_eq!(found, year, "{about}");
    }
    moved.scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_reject_is_fixed_and_replayed() {
    let moved = moved(15).await;
    let fix = |about: &str, change: &dyn Fn(&mut Value)| {
        let case = moved
            .data
            .cases
            .iter()
            .find(|case| case.about == about)
            .unwrap();
        let lines = moved.tool.rejects().unwrap();
        let mut line = lines.into_iter().find(|line| line.key == case.key).unwrap();
        change(&mut line.record);
        serde_json::to_string(&line).unwrap() + "\n"
    };
    let secret = "a password hash beside a broken field";
    let fixed = [
        // What makes no sense elsewhere is set aside, as in a run.
        fix(secret, &|user| user["credits"] = 7.into()),
        fix("an array where the title belongs", &|book| {
            book["title"] = "One".into();
        }),
        fix("a string as _id", &|_| {}),
    ]
    .concat();
    let file = moved.tool.folder().join("fixed.jsonl");
    std::fs::write(&file, fixed).unwrap();
    let before = moved.tool.rejects().unwrap().len();
    let replayed = moved.tool.ask(&["replay", "fixed.jsonl"]).unwrap();
    assert_eq!(replayed.code, Some(1), "{}", replayed.stderr);
    assert_eq!(
        (replayed.sum("written"), replayed.sum("rejected")),
        (2, 1),
        "{}",
        replayed.json
    );
    assert_eq!(moved.tool.rejects().unwrap().len(), before - 2);

    // The secret that the line left out was read from the source.
    let mut database = moved.scratch.supabase().await.unwrap();
    let sql = "select count(*) from users where extra->>'passwordHash' = $1";
    let query = sqlx::query(sql).bind(SECRET);
    let hashes: i64 = query.fetch_one(&mut database).await.unwrap().get(0);
    assert_eq!(hashes, 1);

    // A later run leaves what was fixed alone, and verify counts it as equal.
    let again = moved.tool.ask(&["run"]).unwrap();
    assert_eq!(again.sum("written"), 0, "{}", again.json);
    assert_eq!(again.sum("rejected"), (before - 2) as u64);
    let verified = moved.tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    moved.scratch.remove().await.unwrap();
}
