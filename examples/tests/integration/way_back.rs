//! The way back: what moved to Supabase moves from there into empty databases.

use crate::common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Stdio,
    time::Instant,
};

use authorstack_core::{
    migrate::{BatchLimits, Kind, Problems, Record, ScannedBatch, Snapshot},
    testing::servers,
};
use authorstack_examples::{
    dataset::{self, Analytics, Case, Dataset, Fate, Size},
    scratch::Scratch,
    tool::{Answer, Tool},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{IdMap, PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId};
use common::{TOOL, fresh};
use futures::TryStreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

const SMALL: Size = Size {
    users: 10,
    books: 40,
};

/// The services as an old app leaves them, Supabase after a move, and empty services.
struct Way {
    data: Dataset,
    analytics: Analytics,
    /// The services that the data comes from, and Supabase.
    old: Scratch,
    /// The services that it goes back to, and another Supabase.
    new: Scratch,
    /// Moves from Supabase to the new services.
    back: Tool,
}

fn postgres_url() -> String {
    servers::setting("AUTHORSTACK_TEST_POSTGRES_URL")
}

/// Databases without any table, and a Supabase project of their own.
async fn empty() -> Scratch {
    let (scratch, _) = fresh().await;
    scratch.with_empty_postgres(&postgres_url()).await.unwrap()
}

/// The tool between the services of one set of databases and the Supabase of another.
fn between(services: &Scratch, supabase: &Scratch) -> Tool {
    let mut tool = Tool::new(TOOL, services).unwrap();
    tool.supabase_db_url = supabase.supabase_db_url();
    tool
}

fn ask_back(tool: &Tool, arguments: &[&str]) -> Answer {
    let arguments = [arguments, &["--from", "supabase"]].concat();
    tool.ask(&arguments).unwrap()
}

impl Way {
    /// The dirty data set, moved to Supabase.
    async fn new(seed: u64, size: Size, sales: usize) -> Self {
        let (old, _) = fresh().await;
        let old = old.with_postgres(&postgres_url()).await.unwrap();
        let data = dataset::generate(seed, size);
        let database = old.mongodb().await.unwrap();
        data.insert(&database).await.unwrap();
        let analytics = data.analytics(seed, size, sales);
        let mut database = old.postgres().await.unwrap();
        analytics.insert(&mut database).await.unwrap();
        let run = between(&old, &old).ask(&["run"]).unwrap();
        assert_eq!(run.code, Some(1), "{} {}", run.json, run.stderr);
        let new = empty().await;
        let back = between(&new, &old);
        Self {
            data,
            analytics,
            old,
            new,
            back,
        }
    }

    fn cases(&self) -> impl Iterator<Item = &Case> {
        self.data.cases.iter().chain(&self.analytics.cases)
    }

    /// Runs the way back, and says how many records have moved.
    fn run(&self) -> Answer {
        let run = ask_back(&self.back, &["run"]);
        assert_eq!(run.code, Some(0), "{} {}", run.json, run.stderr);
        run
    }

    #[track_caller]
    fn assert_equal(&self) {
        let verified = ask_back(&self.back, &["verify"]);
        let found = (verified.code, verified.sum("differing"));
        assert_eq!(found, (Some(0), 0), "{} {}", verified.json, verified.stderr);
        assert_eq!(verified.sum("read"), verified.sum("unchanged"));
    }

    async fn remove(self) {
        self.old.remove().await.unwrap();
        self.new.remove().await.unwrap();
    }
}

/// All documents of a database, by their collections and ids.
async fn documents(scratch: &Scratch) -> BTreeMap<(Kind, String), RawDocumentBuf> {
    let database = scratch.mongodb().await.unwrap();
    let mut all = BTreeMap::new();
    for &kind in Kind::DOCUMENTS {
        if kind.description().part_of.is_some() {
            continue;
        }
        let collection = database.collection::<RawDocumentBuf>(kind.as_str());
        let found = collection.find(doc! {}).await.unwrap();
        let found: Vec<RawDocumentBuf> = found.try_collect().await.unwrap();
        for document in found {
            let id = match document.get("_id") {
                Ok(Some(RawBsonRef::ObjectId(id))) => id.to_hex(),
                other => format!("{other:?}"),
            };
            assert!(all.insert((kind, id), document).is_none());
        }
    }
    all
}

/// The fields of a document by their names, as texts: so NaN equals itself. Those that the schema
/// has may be stored as another type of number, which MongoDB takes for the same; the others have
/// their types.
fn fields(kind: Kind, document: &RawDocumentBuf) -> BTreeMap<String, String> {
    let document = Document::try_from(document).unwrap();
    let shown = document.into_iter().filter_map(|(name, value)| {
        let field = kind.fields().iter().find(|field| field.name == name);
        // What the table computes, a checklist's progress, is put right by the move.
        if field.is_some_and(|field| field.column.is_none()) {
            return None;
        }
        let value = in_order(value, field.is_some());
        let text = match (name.as_str(), value) {
            // Records of their own in Supabase, which have no order but that of their keys.
            ("likes" | "comments" | "priceHistory", Bson::Array(parts)) => {
                let mut parts: Vec<String> = parts.iter().map(|it| format!("{it:?}")).collect();
                parts.sort();
                format!("{parts:?}")
            }
            (_, value) => format!("{value:?}"),
        };
        Some((name, text))
    });
    shown.collect()
}

/// What stands in the field `legacy`, at any depth, with its types.
fn unknown_values(document: &RawDocumentBuf) -> Vec<String> {
    fn find(value: Bson, found: &mut Vec<String>) {
        match value {
            Bson::Document(document) => {
                for (name, value) in document {
                    if name == "legacy" {
                        found.push(format!("{:?}", in_order(value, false)));
                    } else {
                        find(value, found);
                    }
                }
            }
            Bson::Array(items) => items.into_iter().for_each(|item| find(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    find(Document::try_from(document).unwrap().into(), &mut found);
    found.sort();
    found
}

/// A value whose documents have their fields in the order of the names; numbers of known fields as
/// their digits.
fn in_order(value: Bson, is_known: bool) -> Bson {
    match value {
        Bson::Document(document) => {
            let fields: BTreeMap<String, Bson> = document.into_iter().collect();
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| (name, in_order(value, is_known)));
            Bson::Document(fields.collect())
        }
        Bson::Array(items) => {
            let items = items.into_iter();
            items.map(|item| in_order(item, is_known)).collect()
        }
        Bson::Int32(number) if is_known => Bson::Symbol(number.to_string()),
        Bson::Int64(number) if is_known => Bson::Symbol(number.to_string()),
        Bson::Double(number) if is_known => Bson::Symbol(number.to_string()),
        other => other,
    }
}

/// All rows of a PostgreSQL database, by their tables and numbers: every column as JSON. Dates
/// have milliseconds, as a record has them.
async fn rows(database: &mut PgConnection) -> BTreeMap<(Kind, i64), Value> {
    database.execute("set time zone 'UTC'").await.unwrap();
    let mut all = BTreeMap::new();
    for &kind in Kind::ANALYTICS {
        let columns = sqlx::query(
            "select column_name::text, data_type::text from information_schema.columns \
             where table_schema = 'public' and table_name = $1 order by column_name",
        );
        let columns = columns.bind(kind.as_str());
        let columns = columns.fetch_all(&mut *database).await.unwrap();
        let columns = columns.iter().map(|column| {
            let (name, form): (String, String) = (column.get(0), column.get(1));
            let value = match form.as_str() {
                form if form.starts_with("timestamp") => {
                    format!("date_trunc('milliseconds', {name}::timestamp)")
                }
                "numeric" => format!("{name}::text"),
                _ => name.clone(),
            };
            format!("'{name}', {value}")
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        assert!(!columns.is_empty(), "there is no table {kind}");
        // An old table has no column `extra`; a new one has null there.
        let sql = format!(
            "select id::bigint, (jsonb_build_object({columns}) - (case when \
               jsonb_build_object({columns})->'extra' = 'null' then 'extra' else '' end))::text \
             from {kind}"
        );
        for row in sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut *database)
            .await
            .unwrap()
        {
            let json: String = row.get(1);
            let json = serde_json::from_str(&json).unwrap_or(Value::String(json));
            all.insert((kind, row.get(0)), json);
        }
    }
    all
}

type Records = BTreeMap<(Kind, String), Result<Record, Problems>>;

async fn records(snapshot: &impl Snapshot) -> Records {
    let mut all = BTreeMap::new();
    for &kind in snapshot.kinds() {
        let scan = snapshot.scan(kind, None, BatchLimits::default());
        let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
        for item in batches.into_iter().flat_map(|batch| batch.items) {
            let twice = all.insert((kind, item.key), item.outcome);
            assert!(twice.is_none(), "{kind}: {twice:?}");
        }
    }
    all
}

/// A Supabase database, read as records.
async fn supabase_records(scratch: &Scratch) -> Records {
    let config = SupabaseConfig::new(scratch.supabase_db_url());
    let store = SupabaseStore::connect(config).await.unwrap();
    let all = records(&store.migration()).await;
    store.close().await;
    all
}

/// MongoDB and PostgreSQL, read as records.
async fn services_records(scratch: &Scratch) -> Records {
    let mongodb = MongoStore::connect(MongoConfig::new(scratch.mongodb_url())).await;
    let mut all = records(&mongodb.unwrap()).await;
    let config = PostgresConfig::new(scratch.postgres_url().unwrap());
    let postgres = PostgresStore::connect(config).await.unwrap();
    all.extend(records(&postgres.migration(IdMap::default())).await);
    postgres.close().await;
    all
}

#[track_caller]
fn assert_same_records(ours: &Records, theirs: &Records) {
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        theirs.keys().collect::<Vec<_>>()
    );
    for (key, record) in ours {
        assert!(record.is_ok(), "{key:?}: {record:?}");
        assert_eq!(Some(record), theirs.get(key), "{key:?}");
    }
}

/// Everything has come, each record once, and is the same on both sides.
async fn assert_all_is_there(way: &Way) {
    way.assert_equal();
    let there = supabase_records(&way.old).await;
    assert_same_records(&there, &services_records(&way.new).await);
    let from_supabase = rows(&mut way.old.supabase().await.unwrap()).await;
    let in_services = rows(&mut way.new.postgres().await.unwrap()).await;
    assert_eq!(in_services.len(), from_supabase.len());
    // JSON that an old app has stored in another form is equal as a record.
    let dirty: BTreeSet<(Kind, &str)> = way
        .cases()
        .map(|case| (case.kind, case.key.as_str()))
        .collect();
    for ((kind, number), row) in &from_supabase {
        if !dirty.contains(&(*kind, number.to_string().as_str())) {
            assert_eq!(
                in_services.get(&(*kind, *number)),
                Some(row),
                "{kind} {number}"
            );
        }
    }
}

#[tokio::test]
async fn a_round_trip_ends_with_equal_documents_and_rows() {
    let way = Way::new(61, SMALL, 30).await;
    let plan = ask_back(&way.back, &["plan"]);
    assert_eq!(plan.code, Some(0), "{} {}", plan.json, plan.stderr);
    let run = way.run();
    for count in ["read", "written", "rejected"] {
        assert_eq!(plan.sum(count), run.sum(count), "{count}: {}", plan.json);
    }
    assert_eq!(way.back.rejects_text().unwrap(), "");
    assert_all_is_there(&way).await;

    // Every sound document is as it was, field for field, and some dirty ones with all that they
    // hold beside.
    let (before, after) = (documents(&way.old).await, documents(&way.new).await);
    let is_dirty: BTreeSet<(Kind, &str)> = way
        .cases()
        .map(|case| {
            let whole = case.kind.description().part_of.unwrap_or(case.kind);
            let key = case.key.split('.').next().unwrap_or_default();
            (whole, key)
        })
        .collect();
    let mut equal = BTreeMap::<Kind, u32>::new();
    for ((kind, id), document) in &before {
        // What has no id that is an ObjectId is a dirty one.
        let is_sound = ObjectId::parse_str(id).is_ok() && !is_dirty.contains(&(*kind, id.as_str()));
        if is_sound {
            assert!(after.contains_key(&(*kind, id.clone())), "{kind} {id}");
            let found = fields(*kind, &after[&(*kind, id.clone())]);
            assert_eq!(found, fields(*kind, document), "{kind} {id}");
            *equal.entry(*kind).or_default() += 1;
        }
    }
    for kind in Kind::DOCUMENTS {
        assert!(
            kind.description().part_of.is_some() || equal.contains_key(kind),
            "no sound document of {kind}"
        );
    }
    let carried = |case: &&Case| case.fate == Fate::Carried;
    let extras = way
        .cases()
        .filter(carried)
        .filter(|case| case.about == "unknown fields of every type");
    let mut found = 0;
    for case in extras {
        let whole = case.kind.description().part_of.unwrap_or(case.kind);
        let id = case.key.split('.').next().unwrap_or_default().to_owned();
        let key = (whole, id);
        let (before, after) = (&before[&key], &after[&key]);
        if whole == case.kind {
            assert_eq!(fields(whole, after), fields(whole, before), "{case:?}");
        }
        let unknown = unknown_values(before);
        assert!(!unknown.is_empty(), "{case:?}");
        assert_eq!(unknown_values(after), unknown, "{case:?}");
        found += 1;
    }
    assert!(found > 5, "{found}");

    // Every sound row is as it was, its number included.
    let before = rows(&mut way.old.postgres().await.unwrap()).await;
    let after = rows(&mut way.new.postgres().await.unwrap()).await;
    let dirty: BTreeMap<(Kind, &str), &Case> = way
        .cases()
        .map(|case| ((case.kind, case.key.as_str()), case))
        .collect();
    for ((kind, number), row) in &before {
        let found = after.get(&(*kind, *number));
        match dirty.get(&(*kind, number.to_string().as_str())) {
            None => assert_eq!(found, Some(row), "{kind} {number}"),
            Some(case) => {
                let moves = !matches!(case.fate, Fate::Rejected(_));
                assert_eq!(found.is_some(), moves, "{case:?}");
            }
        }
    }

    // The next row has the number after the last one.
    let mut database = way.new.postgres().await.unwrap();
    for kind in Kind::ANALYTICS {
        let sql = format!(
            "select nextval(pg_get_serial_sequence('public.{kind}', 'id')) - max(id) from {kind}"
        );
        let next = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut database);
        let next: i64 = next.await.unwrap().get(0);
        assert_eq!(next, 1, "{kind}");
    }

    // From there to another Supabase: every record is as in the first.
    let third = Tool::new(TOOL, &way.new).unwrap();
    let run = third.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(0), "{} {}", run.json, run.stderr);
    let there = supabase_records(&way.old).await;
    assert_same_records(&there, &supabase_records(&way.new).await);
    way.remove().await;
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let way = Way::new(62, SMALL, 10).await;
    let first = way.run();
    let before = documents(&way.new).await;
    let rows_before = rows(&mut way.new.postgres().await.unwrap()).await;
    let second = way.run();
    assert_eq!(second.sum("written"), 0, "{}", second.json);
    assert_eq!(second.sum("unchanged"), first.sum("read"));
    let repaired = ask_back(&way.back, &["repair"]);
    assert_eq!(
        (repaired.code, repaired.sum("written")),
        (Some(0), 0),
        "{}",
        repaired.json
    );
    assert!(documents(&way.new).await == before);
    let rows_after = rows(&mut way.new.postgres().await.unwrap()).await;
    assert_eq!(rows_after, rows_before);
    // What the way to Supabase has noted is its own: nothing is to be moved there again.
    let forth = between(&way.old, &way.old).ask(&["run"]).unwrap();
    assert_eq!(forth.sum("written"), 0, "{}", forth.json);
    way.remove().await;
}

#[tokio::test]
async fn a_way_back_that_is_killed_ends_complete() {
    const KILLS: u32 = 8;
    const RUN: &[&str] = &["run", "--batch-records", "50", "--from", "supabase"];
    let way = Way::new(
        63,
        Size {
            users: 50,
            books: 800,
        },
        3,
    )
    .await;
    let started = Instant::now();
    let run = way.back.ask(RUN).unwrap();
    let whole = started.elapsed();
    assert_eq!(run.code, Some(0), "{} {}", run.json, run.stderr);
    let expected = documents(&way.new).await;
    let expected_rows = rows(&mut way.new.postgres().await.unwrap()).await;
    way.new.remove().await.unwrap();

    let seed = rand::random();
    println!("the moments follow from seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut way = way;
    let mut kills = 0;
    while kills < KILLS {
        // Each round goes into empty databases, with a ledger as after a run that has ended.
        way.new = empty().await;
        way.back = between(&way.new, &way.old);
        loop {
            let mut child = way
                .back
                .command(RUN)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let moment = whole.mul_f64(random.random_range(0.05..0.7));
            tokio::time::sleep(moment).await;
            if kills < KILLS && child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                continue;
            }
            let status = tokio::task::spawn_blocking(move || child.wait());
            let status = status.await.unwrap().unwrap();
            assert_eq!(status.code(), Some(0), "after {kills} kills");
            break;
        }
        assert_all_is_there(&way).await;
        let found = documents(&way.new).await;
        assert!(found == expected, "after {kills} kills");
        let found = rows(&mut way.new.postgres().await.unwrap()).await;
        assert_eq!(found, expected_rows, "after {kills} kills");
        way.new.remove().await.unwrap();
    }
    way.old.remove().await.unwrap();
}

fn kind_of(answer: &Answer, kind: Kind) -> Value {
    let mut kinds = answer.json["kinds"].as_array().into_iter().flatten();
    let found = kinds.find(|found| found["kind"] == kind.as_str());
    found.cloned().unwrap_or_default()
}

#[tokio::test]
async fn what_changes_after_the_move_is_named_and_put_right() {
    let way = Way::new(64, SMALL, 10).await;
    way.run();
    let database = way.new.mongodb().await.unwrap();
    let books = database.collection::<Document>("books");
    let changed: Document = books.find_one(doc! {}).await.unwrap().unwrap();
    let id = changed.get_object_id("_id").unwrap();
    let change = doc! {"$set": {"title": "another title"}};
    books.update_one(doc! {"_id": id}, change).await.unwrap();
    let posts = database.collection::<Document>("community_posts");
    let commented = doc! {"comments.1": {"$exists": true}};
    let commented: Document = posts.find_one(commented).await.unwrap().unwrap();
    let post = commented.get_object_id("_id").unwrap();
    let change = doc! {"$pop": {"comments": -1}};
    posts.update_one(doc! {"_id": post}, change).await.unwrap();

    let mut rows_of_services = way.new.postgres().await.unwrap();
    let change = "update sales_data set revenue = revenue + 1 \
                  where id = (select min(id) from sales_data)";
    rows_of_services.execute(change).await.unwrap();
    let removed = "delete from sync_logs where id = (select min(id) from sync_logs)";
    rows_of_services.execute(removed).await.unwrap();

    let verified = ask_back(&way.back, &["verify"]);
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    assert_eq!(verified.sum("differing"), 4, "{}", verified.json);
    for kind in [
        Kind::Books,
        Kind::PostComments,
        Kind::SalesData,
        Kind::SyncLogs,
    ] {
        assert_eq!(kind_of(&verified, kind)["differing"], 1, "{kind}");
    }
    let named = verified.json.to_string();
    assert!(
        named.contains(&id.to_hex()) && named.contains("title"),
        "{named}"
    );
    assert!(named.contains(&post.to_hex()), "{named}");

    let repaired = ask_back(&way.back, &["repair"]);
    assert_eq!(
        repaired.code,
        Some(0),
        "{} {}",
        repaired.json,
        repaired.stderr
    );
    assert_eq!(repaired.sum("written"), 4, "{}", repaired.json);
    assert_all_is_there(&way).await;
    let now: Document = books.find_one(doc! {"_id": id}).await.unwrap().unwrap();
    assert_eq!(now, changed);

    // What only the services have is named, and stays.
    let follows = database.collection::<Document>("follows");
    let own = doc! {"_id": ObjectId::new(), "followerId": ObjectId::new(), "authorId": id};
    follows.insert_one(own).await.unwrap();
    for command in ["verify", "repair"] {
        let found = ask_back(&way.back, &[command]);
        assert_eq!(found.code, Some(1), "{}", found.json);
        let follows = kind_of(&found, Kind::Follows);
        assert_eq!(follows["differing"], 1, "{follows}");
    }
    way.remove().await;
}

#[tokio::test]
async fn rows_that_are_no_records_are_named_and_the_rest_moves() {
    let way = Way::new(65, SMALL, 10).await;
    let mut supabase = way.old.supabase().await.unwrap();
    // Rows from before there were such checks.
    supabase
        .execute(
            "alter table public.books drop constraint books_isbn_check, \
               drop constraint books_created_at_check; \
             alter table public.sync_logs drop constraint sync_logs_synced_at_check",
        )
        .await
        .unwrap();
    for change in [
        "update public.books set isbn = 'no isbn' where id = (select min(id::text)::uuid from public.books)",
        "update public.books set created_at = 'infinity' where id = (select max(id::text)::uuid from public.books)",
        "update public.sync_logs set synced_at = 'infinity' where id = (select min(id) from public.sync_logs)",
    ] {
        let done = supabase.execute(change).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{change}");
    }
    let run = ask_back(&way.back, &["run"]);
    assert_eq!(run.code, Some(1), "{} {}", run.json, run.stderr);
    assert_eq!(run.sum("rejected"), 3, "{}", run.json);
    assert_eq!(run.sum("read"), run.sum("written") + 3, "{}", run.json);
    let mut rejects = way.back.rejects().unwrap();
    assert_eq!(rejects.len(), 3);
    for (kind, field) in [
        (Kind::Books, "isbn"),
        (Kind::Books, "createdAt"),
        (Kind::SyncLogs, "synced_at"),
    ] {
        let is_named = rejects.iter().any(|line| {
            line.kind == kind && line.problems.0.iter().any(|found| found.field == field)
        });
        assert!(is_named, "{kind} {field}: {rejects:#?}");
    }
    let verified = ask_back(&way.back, &["verify"]);
    let found = (verified.sum("differing"), verified.sum("rejected"));
    assert_eq!(found, (0, 3), "{}", verified.json);

    // Two lines are fixed and replayed; one row is fixed in Supabase.
    rejects.retain(|line| line.kind == Kind::Books);
    let mut fixed = String::new();
    for line in &mut rejects {
        let is_isbn = line.problems.0.iter().any(|found| found.field == "isbn");
        if is_isbn {
            line.record["isbn"] = json!("978-3-16-148410-0");
        } else {
            line.record["created_at"] = json!("2024-01-01T00:00:00Z");
        }
        fixed += &serde_json::to_string(line).unwrap();
        fixed.push('\n');
    }
    fs::write(way.back.folder().join("fixed.jsonl"), fixed).unwrap();
    let replayed = ask_back(&way.back, &["replay", "fixed.jsonl"]);
    let left = way.back.rejects_text().unwrap();
    assert_eq!(replayed.sum("written"), 2, "{} {left}", replayed.json);
    assert_eq!(way.back.rejects().unwrap().len(), 1);
    // The settled file changes nothing any more, and a line of a book that moved is refused.
    let again = ask_back(&way.back, &["replay", "fixed.jsonl"]);
    assert_eq!((again.sum("written"), again.sum("unchanged")), (0, 2));
    let mut forged = rejects[0].clone();
    forged.key = "6b0379ca3f6979be1a457c2c".to_owned();
    let forged = serde_json::to_string(&forged).unwrap() + "\n";
    fs::write(way.back.folder().join("forged.jsonl"), forged).unwrap();
    let refused = ask_back(&way.back, &["replay", "forged.jsonl"]);
    assert_eq!((refused.sum("written"), refused.sum("rejected")), (0, 1));
    assert_eq!(refused.json["refused"].as_array().unwrap().len(), 1);
    let verified = ask_back(&way.back, &["verify"]);
    let found = (verified.sum("differing"), verified.sum("rejected"));
    assert_eq!(found, (0, 1), "{}", verified.json);
    supabase
        .execute(
            "update public.sync_logs set synced_at = '2024-01-01Z' where synced_at = 'infinity'",
        )
        .await
        .unwrap();
    let again = ask_back(&way.back, &["run"]);
    assert_eq!(again.code, Some(0), "{} {}", again.json, again.stderr);
    assert_eq!((again.sum("written"), again.sum("rejected")), (1, 0));
    let isbn = doc! {"isbn": {"$regex": "^978"}, "title": {"$exists": true}};
    let database = way.new.mongodb().await.unwrap();
    let books = database.collection::<Document>("books");
    assert!(books.count_documents(isbn).await.unwrap() > 0);
    way.remove().await;
}

/// A reject of a row can be any row: each is read again from the JSON that it would be kept as.
#[tokio::test]
async fn every_row_is_read_again_from_its_json() {
    let way = Way::new(66, SMALL, 5).await;
    let there = supabase_records(&way.old).await;
    let config = SupabaseConfig::new(way.old.supabase_db_url());
    let store = SupabaseStore::connect(config).await.unwrap();
    let migration = store.migration();
    let mut supabase = way.old.supabase().await.unwrap();
    let mut expected: BTreeMap<Kind, Vec<&Record>> = BTreeMap::new();
    for ((kind, _), record) in &there {
        let record = record.as_ref().unwrap();
        expected.entry(*kind).or_default().push(record);
    }
    for &kind in Kind::DATA {
        let sql = format!("select to_jsonb(held)::text from public.{kind} as held");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut supabase);
        let rows = rows.await.unwrap();
        let expected = &expected[&kind];
        assert_eq!(rows.len(), expected.len(), "{kind}");
        for row in rows {
            let json: String = row.get(0);
            let json: Value = serde_json::from_str(&json).unwrap();
            let record = migration.decode(kind, &json);
            let record = record.unwrap_or_else(|problems| panic!("{problems}: {json}"));
            assert!(expected.contains(&&record), "{kind}: {record:?}");
        }
    }
    store.close().await;
    way.remove().await;
}
