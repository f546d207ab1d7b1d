//! `verify` finds every change of the source, and `repair` mends it: values exchanged between
//! neighbours, copied from one to another, with the other sign, and other by one bit, in every
//! column of every kind. What the slow lane reads says what has changed.

use crate::common;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use authorstack_core::{
    fields::Shape,
    migrate::{
        self, BatchLimits, Destination, Kind, Problems, Record, ScannedBatch, Silent, Snapshot,
        Verification,
    },
    testing::servers,
};
use authorstack_examples::{
    dataset::{self, Size},
    scratch::Scratch,
    tool::Tool,
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{IdMap, PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::Collection;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

const SIZE: Size = Size {
    users: 10,
    books: 30,
};

type Outcome = Result<Record, Problems>;

/// What both sides of a kind hold, as records one by one.
async fn records(side: &dyn Snapshot, kind: Kind) -> BTreeMap<String, Outcome> {
    let scan = side.scan(kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
    let items = batches.into_iter().flat_map(|batch| batch.items);
    items.map(|item| (item.key, item.outcome)).collect()
}

/// The keys whose records differ.
fn changed(
    before: &BTreeMap<String, Outcome>,
    after: &BTreeMap<String, Outcome>,
) -> BTreeSet<String> {
    let keys = before.keys().chain(after.keys());
    let changed = keys.filter(|key| before.get(*key) != after.get(*key));
    changed.cloned().collect()
}

fn listed(found: &Verification) -> BTreeSet<String> {
    let kinds = found.kinds.iter();
    let differences = kinds.flat_map(|kind| &kind.differences);
    differences.map(|found| found.key.clone()).collect()
}

struct Sides {
    source: Arc<dyn Snapshot>,
    /// The source of the documents.
    mongo: MongoStore,
    target: Destination,
    scratch: Scratch,
    database: PgConnection,
    supabase: SupabaseStore,
    azure: PostgresStore,
}

/// A source whose records have been moved.
async fn moved(seed: u64) -> Sides {
    let (scratch, _) = common::fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let data = dataset::generate(seed, SIZE);
    let documents = scratch.mongodb().await.unwrap();
    data.insert(&documents).await.unwrap();
    let mut database = scratch.postgres().await.unwrap();
    let analytics = data.analytics(seed, SIZE, 60);
    analytics.insert(&mut database).await.unwrap();
    let tool = Tool::new(common::TOOL, &scratch).unwrap();
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);

    let config = PostgresConfig::new(scratch.postgres_url().unwrap());
    let azure = PostgresStore::connect(config).await.unwrap();
    let config = SupabaseConfig::new(scratch.supabase_db_url());
    let supabase = SupabaseStore::connect(config).await.unwrap();
    let mongo = MongoStore::connect(MongoConfig::new(scratch.mongodb_url())).await;
    Sides {
        mongo: mongo.unwrap(),
        source: Arc::new(azure.migration(IdMap::default())),
        target: Destination::transactional(Arc::new(supabase.migration())),
        scratch,
        database,
        supabase,
        azure,
    }
}

impl Sides {
    async fn verify(&self, kind: Kind) -> Verification {
        let source = Arc::clone(&self.source);
        let found = migrate::verify(source, &self.target, &[kind], &Silent).await;
        found.unwrap()
    }

    async fn repair(&self, kind: Kind) -> Verification {
        let source = Arc::clone(&self.source);
        let found = migrate::repair(source, &self.target, &[kind], &Silent).await;
        found.unwrap()
    }

    async fn execute(&mut self, sql: String) {
        self.database.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    async fn remove(self) {
        self.supabase.close().await;
        self.azure.close().await;
        self.scratch.remove().await.unwrap();
    }
}

/// SQL of the changes of a column: what becomes of it in the first row and in the second of a pair.
/// `{1}` and `{2}` stand for the values there.
fn changes(shape: Shape) -> Vec<(&'static str, &'static str)> {
    let mut changes = vec![("{2}", "{1}"), ("{2}", "{2}")];
    changes.extend(match shape {
        Shape::Whole(..) => vec![("- {1}", "- {2}"), ("{1} # 1", "{2}"), ("{1} # 64", "{2}")],
        Shape::Decimal => vec![
            ("- {1}", "- {2}"),
            ("{1} + 0.01", "{2} - 0.01"),
            ("{1} + 0.01", "{2}"),
        ],
        Shape::Day => vec![("{1} + 1", "{2} - 1"), ("{1} + 1", "{2}")],
        Shape::Moment => vec![
            ("{1} + interval '1 ms'", "{2} - interval '1 ms'"),
            ("{1} + interval '1 ms'", "{2}"),
        ],
        Shape::Json | Shape::Sums => vec![(
            "regexp_replace({1}::text, '\": ([1-9])', '\": -\\1', 'g')::jsonb",
            "regexp_replace({2}::text, '\": ([1-9])', '\": -\\1', 'g')::jsonb",
        )],
        Shape::Text | Shape::TextOrEmpty => vec![("overlay({1} placing 'X' from 1 for 1)", "{2}")],
        // Another user or book is one of those there are.
        Shape::Id => Vec::new(),
        Shape::Texts | Shape::Bool | Shape::Float | Shape::Part | Shape::Parts => {
            unreachable!("the analytics have no {shape:?}")
        }
    });
    changes
}

/// A change of a column.
#[derive(Debug, Clone, Copy)]
struct Change {
    column: &'static str,
    first: &'static str,
    second: &'static str,
}

impl Change {
    /// SQL that makes it in the pairs that a condition chooses.
    fn sql(self, kind: Kind, pairs: &str) -> String {
        let Self { column, .. } = self;
        let value = |change: &str| {
            let change = change.replace("{1}", &format!("a.{column}"));
            change.replace("{2}", &format!("b.{column}"))
        };
        format!(
            "update {kind} as t set {column} = case t.id when one then {} else {} end \
             from pairs join kept as a on a.id = one join kept as b on b.id = two \
             where t.id in (one, two) and {pairs}",
            value(self.first),
            value(self.second)
        )
    }

    /// SQL that undoes it.
    fn undo(self, kind: Kind) -> String {
        let Self { column, .. } = self;
        format!(
            "update {kind} as t set {column} = kept.{column} from kept \
             where kept.id = t.id and t.{column} is distinct from kept.{column}"
        )
    }
}

/// The changes of all columns, each made in every pair alone: a verification lists exactly the
/// records that are other than before. Returns those that a repair mends, and how many records
/// were changed.
async fn found(sides: &mut Sides, kind: Kind) -> (Vec<Change>, usize) {
    let before = records(sides.source.as_ref(), kind).await;
    let identity = kind.description().identity;
    let (mut mended, mut tried) = (Vec::new(), 0);
    for field in kind.fields() {
        let Some(column) = field.column.filter(|column| *column != "id") else {
            continue;
        };
        for (first, second) in changes(field.shape) {
            let change = Change {
                column,
                first,
                second,
            };
            sides.execute(change.sql(kind, "true")).await;
            let after = records(sides.source.as_ref(), kind).await;
            let expected = changed(&before, &after);
            let found = sides.verify(kind).await;
            assert_eq!(listed(&found), expected, "{kind} {change:?}");
            tried += expected.len();
            sides.execute(change.undo(kind)).await;

            let is_readable = |key: &String| after.get(key).is_some_and(Result::is_ok);
            if !identity.contains(&column) && expected.iter().all(is_readable) {
                mended.push(change);
            }
        }
    }
    (mended, tried)
}

#[tokio::test]
async fn every_change_of_rows_is_found_and_mended() {
    let mut sides = moved(71).await;
    // Exchanged values may meet halfway.
    sides
        .execute(
            "alter table sales_data drop constraint sales_data_user_id_book_id_platform_date_key; \
             alter table daily_aggregates drop constraint daily_aggregates_user_id_date_key"
                .to_owned(),
        )
        .await;
    for &kind in Kind::ANALYTICS {
        let known = sides.verify(kind).await;
        assert_eq!(listed(&known), BTreeSet::new(), "{kind}");
        let held = records(&sides.supabase.migration(), kind).await;
        // At most as many as a verification lists.
        // A change may not fit into a column beside what was set aside.
        let sound = held.iter().filter(|(_, record)| {
            let is_aside = format!("{record:?}").contains(authorstack_core::SET_ASIDE);
            !is_aside
        });
        let keys: Vec<&String> = sound.map(|(key, _)| key).take(90).collect();
        let pairs: Vec<String> = keys
            .as_chunks::<2>()
            .0
            .iter()
            .enumerate()
            .map(|(place, [one, two])| format!("({place}, {one}, {two})"))
            .collect();
        sides
            .execute(format!(
                "create table kept as select * from {kind}; create index on kept (id); \
                 create table pairs as select * from (values {}) as pair (place, one, two)",
                pairs.join(", ")
            ))
            .await;
        let (mended, tried) = found(&mut sides, kind).await;
        assert!(
            mended.len() >= 5 && tried > 100,
            "{kind} {mended:?} {tried}"
        );

        // Each change in pairs of its own.
        for (index, change) in mended.iter().enumerate() {
            let pairs = format!("place % {} = {index}", mended.len());
            sides.execute(change.sql(kind, &pairs)).await;
        }
        let found = listed(&sides.verify(kind).await);
        assert!(found.len() > 3, "{kind} {found:?}");
        for undone in [false, true] {
            if undone {
                for change in &mended {
                    sides.execute(change.undo(kind)).await;
                }
            }
            sides.repair(kind).await;
            let left = listed(&sides.verify(kind).await);
            assert_eq!(left, BTreeSet::new(), "{kind}, undone: {undone}");
            let (ours, theirs) = (sides.source.as_ref(), &sides.supabase.migration());
            let (ours, theirs) = (records(ours, kind).await, records(theirs, kind).await);
            for (key, theirs) in theirs {
                assert_eq!(ours.get(&key), Some(&theirs), "{kind} {key}");
            }
        }
        sides.execute("drop table kept, pairs".to_owned()).await;
    }
    sides.remove().await;
}

/// The smallest change of a value; `None` if it is of no such type.
fn nudged(value: &Bson) -> Option<Bson> {
    Some(match value {
        Bson::String(text) if !text.is_empty() => Bson::String(format!("{text}x")),
        Bson::Int32(number) => Bson::Int32(number ^ 1),
        Bson::Int64(number) => Bson::Int64(number ^ 1),
        Bson::Double(number) => Bson::Double(f64::from_bits(number.to_bits() ^ 1)),
        Bson::Boolean(flag) => Bson::Boolean(!flag),
        Bson::DateTime(at) => {
            Bson::DateTime(bson::DateTime::from_millis(at.timestamp_millis() ^ 1))
        }
        Bson::Array(items) if !items.is_empty() => Bson::Array(items[1..].to_vec()),
        _ => return None,
    })
}

/// The documents, with the values of these fields exchanged between neighbours.
fn exchanged(documents: &[Document], names: &[&str]) -> Vec<Document> {
    let mut exchanged = documents.to_vec();
    for [one, two] in exchanged.as_chunks_mut::<2>().0 {
        for name in names {
            let (first, second) = (one.remove(name), two.remove(name));
            for (document, value) in [(&mut *one, second), (&mut *two, first)] {
                if let Some(value) = value {
                    document.insert(*name, value);
                }
            }
        }
    }
    exchanged
}

/// Puts these documents in the place of those with their ids.
async fn put(collection: &Collection<Document>, documents: &[Document]) {
    let ids: Vec<&Bson> = documents.iter().filter_map(|it| it.get("_id")).collect();
    let these = doc! { "_id": { "$in": ids.into_iter().cloned().collect::<Vec<_>>() } };
    collection.delete_many(these).await.unwrap();
    collection.insert_many(documents).await.unwrap();
}

/// All records of some kinds, by kind and key.
async fn all(side: &dyn Snapshot, kinds: &[Kind]) -> BTreeMap<String, Outcome> {
    let mut all = BTreeMap::new();
    for &kind in kinds {
        let found = records(side, kind).await.into_iter();
        all.extend(found.map(|(key, outcome)| (format!("{kind} {key}"), outcome)));
    }
    all
}

async fn differences(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
) -> BTreeSet<String> {
    let found = migrate::verify(Arc::clone(source), target, kinds, &Silent).await;
    let found = found.unwrap();
    let kinds = found.kinds.iter().flat_map(|kind| {
        let keys = kind.differences.iter().map(|found| &found.key);
        keys.map(move |key| format!("{} {key}", kind.report.kind))
    });
    kinds.collect()
}

#[tokio::test]
async fn every_change_of_documents_is_found_and_mended() {
    let sides = moved(72).await;
    let source: Arc<dyn Snapshot> = Arc::new(sides.mongo.clone());
    let database = sides.scratch.mongodb().await.unwrap();
    let (mut tried, mut mended) = (0, 0);
    let whole = Kind::DOCUMENTS.iter().copied();
    for kind in whole.filter(|kind| kind.description().part_of.is_none()) {
        let parts = Kind::DOCUMENTS.iter().copied();
        let is_of = |part: &Kind| *part == kind || part.description().part_of == Some(kind);
        let kinds: Vec<Kind> = parts.filter(is_of).collect();
        let before = all(source.as_ref(), &kinds).await;
        let held = all(&sides.supabase.migration(), &kinds).await;
        let collection: Collection<Document> = database.collection(kind.as_str());
        let raw: Collection<RawDocumentBuf> = collection.clone_with_type();
        let sorted = raw.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let documents: Vec<RawDocumentBuf> = sorted.try_collect().await.unwrap();
        // Some texts are no UTF-8.
        let documents = documents.into_iter();
        let documents = documents.filter_map(|raw| Document::try_from(raw).ok());
        let is_held = |document: &Document| {
            let id = document.get_object_id("_id");
            id.is_ok_and(|id| held.contains_key(&format!("{kind} {}", id.to_hex())))
        };
        let documents: Vec<Document> = documents.filter(is_held).take(8).collect();
        let names: BTreeSet<&String> = documents.iter().flat_map(Document::keys).collect();
        let names: Vec<&String> = names.into_iter().filter(|name| *name != "_id").collect();
        // Each field is exchanged alone; of other values, each document has one at a time.
        let mut rounds: Vec<(String, Vec<Document>)> = names
            .iter()
            .map(|name| ((*name).clone(), exchanged(&documents, &[name.as_str()])))
            .collect();
        for some in names.chunks(documents.len()) {
            let one_each = documents.iter().zip(some.iter().cycle());
            let nudged = one_each.map(|(document, name)| {
                let mut document = document.clone();
                if let Some(value) = document.get(name).and_then(nudged) {
                    document.insert((*name).clone(), value);
                }
                document
            });
            rounds.push((format!("{some:?}"), nudged.collect()));
        }
        let unique = kind.description().unique;
        let mut mend: Vec<&str> = Vec::new();
        for (index, (what, changed_ones)) in rounds.iter().enumerate() {
            put(&collection, changed_ones).await;
            let after = all(source.as_ref(), &kinds).await;
            let mut expected = changed(&before, &after);
            // What was rejected when it moved is no difference.
            expected.retain(|key| held.contains_key(key) || !before.contains_key(key));
            let found = differences(&source, &sides.target, &kinds).await;
            assert_eq!(found, expected, "{kind} {what}");
            tried += expected.len();

            let is_readable = |key: &String| after.get(key).is_some_and(Result::is_ok);
            let is_free = unique.iter().all(|unique| unique.field != what.as_str())
                && kind.description().exclusive.is_none();
            if is_free && expected.iter().all(is_readable) {
                mend.extend(names.get(index).map(|name| name.as_str()));
            }
        }
        for (documents, is_changed) in [
            (exchanged(&documents, &mend), true),
            (documents.clone(), false),
        ] {
            put(&collection, &documents).await;
            let found = differences(&source, &sides.target, &kinds).await;
            mended += if is_changed { found.len() } else { 0 };
            let from = Arc::clone(&source);
            let repair = migrate::repair(from, &sides.target, &kinds, &Silent);
            repair.await.unwrap();
            let left = differences(&source, &sides.target, &kinds).await;
            assert_eq!(
                left,
                BTreeSet::new(),
                "{kind} {mend:?}, undone: {}",
                !is_changed
            );
        }
    }
    assert!(tried > 200 && mended > 20, "{tried} {mended}");
    sides.remove().await;
}
