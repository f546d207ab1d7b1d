//! Databases as years of other people's code leave them: `plan`, `run`, `verify`, `repair`, a second
//! `run` and both lanes agree with an oracle that follows the documented rules alone.
//!
//! `AUTHORSTACK_YEARS_SEEDS=1000` tries so many seeds, and `AUTHORSTACK_YEARS_FIRST=17` begins with
//! this one.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Debug,
    sync::Arc,
};

use async_trait::async_trait;
use authorstack_core::{
    Error,
    migrate::{
        self, BatchLimits, Destination, Digest, Kind, Original, Position, Problems, Record,
        RunOptions, Scanned, ScannedBatch, Silent, Snapshot, SourceSet, Strict, Verification,
    },
    testing::servers,
};
use authorstack_examples::{
    legacy::{self, Can, Form, Legacy, Outcomes, Row},
    scratch::Scratch,
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{IdForm, IdMap, PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row as _};
use tokio::task::JoinHandle;

/// What the databases have.
const CAN: Can = Can::ALL;

/// How many tests share the seeds.
const PARTS: u64 = 20;
/// How many seeds are tried, if the environment names no other number.
const SEEDS: u64 = 200;
/// How many seeds of one test are tried side by side.
const SIDE_BY_SIDE: usize = 4;

fn number(name: &str, default: u64) -> u64 {
    let given = env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap())
}

/// The settings of the connections that look at the target, whatever is set for the database.
const PLAIN: &str = "set standard_conforming_strings = on; set datestyle = 'ISO, MDY'; \
                     set timezone = 'UTC'; set extra_float_digits = 1; set bytea_output = 'hex'";

/// Tries the seeds of one test.
async fn seeds(part: u64) {
    let first = number("AUTHORSTACK_YEARS_FIRST", 1);
    let last = first + number("AUTHORSTACK_YEARS_SEEDS", SEEDS);
    let mine: Vec<u64> = (first..last).filter(|seed| seed % PARTS == part).collect();
    if mine.is_empty() {
        return;
    }
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let template = Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap();
    let store = target(&template).await;
    store.migrate().await.unwrap();
    store.close().await;
    let tried = stream::iter(mine).map(|seed| try_seed(seed, &template));
    let found: Vec<_> = tried.buffer_unordered(SIDE_BY_SIDE).collect().await;
    let (found, removals): (Vec<Vec<String>>, Vec<_>) = found.into_iter().unzip();
    for removal in removals {
        removal.await.unwrap().unwrap();
    }
    template.remove().await.unwrap();
    let found: Vec<String> = found.into_iter().flatten().collect();
    assert!(
        found.is_empty(),
        "{} surprises:\n{}",
        found.len(),
        found.join("\n")
    );
}

macro_rules! parts {
    ($($name:ident: $part:literal),+) => {$(
        #[tokio::test]
        async fn $name() {
            seeds($part).await;
        }
    )+};
}
parts! {
    databases_of_years_move_as_documented_00: 0,
    databases_of_years_move_as_documented_01: 1,
    databases_of_years_move_as_documented_02: 2,
    databases_of_years_move_as_documented_03: 3,
    databases_of_years_move_as_documented_04: 4,
    databases_of_years_move_as_documented_05: 5,
    databases_of_years_move_as_documented_06: 6,
    databases_of_years_move_as_documented_07: 7,
    databases_of_years_move_as_documented_08: 8,
    databases_of_years_move_as_documented_09: 9,
    databases_of_years_move_as_documented_10: 10,
    databases_of_years_move_as_documented_11: 11,
    databases_of_years_move_as_documented_12: 12,
    databases_of_years_move_as_documented_13: 13,
    databases_of_years_move_as_documented_14: 14,
    databases_of_years_move_as_documented_15: 15,
    databases_of_years_move_as_documented_16: 16,
    databases_of_years_move_as_documented_17: 17,
    databases_of_years_move_as_documented_18: 18,
    databases_of_years_move_as_documented_19: 19
}

/// A scan that keeps digests alone finds what one that keeps the records finds, however it is cut.
async fn digests(source: &dyn Snapshot, surprises: &mut Surprises) -> anyhow::Result<()> {
    let limits = BatchLimits {
        records: 7,
        ..BatchLimits::default()
    };
    for kind in Kind::DOCUMENTS {
        let (mut entries, mut others) = (Vec::new(), Vec::new());
        let mut scan = source.scan(*kind, None, BatchLimits::default());
        while let Some(batch) = scan.try_next().await? {
            for item in batch.items {
                match &item.outcome {
                    Ok(record) if record.check().is_ok() => {
                        entries.push((record.key(), Digest::of(record)));
                    }
                    Ok(record) if source.has_checked(*kind) => {
                        surprises.add(&format!("{kind} {} is not checked", record.key()));
                    }
                    _ => others.push(found(&item)),
                }
            }
        }
        let mut digests = source.digests(*kind, limits, Arc::new(|record, _| Digest::of(record)));
        let (mut kept, mut whole) = (Vec::new(), Vec::new());
        while let Some(batch) = digests.try_next().await? {
            kept.extend(batch.entries);
            whole.extend(batch.others.iter().map(found));
        }
        surprises.differ((kind, "keys and digests"), entries, kept);
        surprises.differ((kind, "records without digests"), others, whole);
    }
    Ok(())
}

/// What was found of a record that cannot move.
fn found(item: &Scanned) -> (String, Option<Problems>, [u8; 32]) {
    let problems = item.outcome.as_ref().err().cloned();
    (item.key.clone(), problems, item.original_digest())
}

async fn target(scratch: &Scratch) -> SupabaseStore {
    let config = SupabaseConfig::new(scratch.supabase_db_url()).max_connections(6);
    SupabaseStore::connect(config).await.unwrap()
}

/// What was found with one seed, and the removal of its databases, which takes a while. A failure is
/// one of the surprises, so that every seed is tried.
async fn try_seed(seed: u64, template: &Scratch) -> (Vec<String>, JoinHandle<anyhow::Result<()>>) {
    let mut surprises = Surprises {
        seed,
        step: "making the databases",
        found: Vec::new(),
    };
    let scratch = template.copy(&servers::fresh_name()).await.unwrap();
    let scratch = scratch
        .with_empty_postgres(&postgres_url(seed))
        .await
        .unwrap();
    if let Err(error) = years(seed, &scratch, &mut surprises).await {
        surprises.add(&format!("{error:#}"));
    }
    let removal = tokio::spawn(async move { scratch.remove().await });
    (surprises.found, removal)
}

/// The old and the new version of PostgreSQL in turn.
fn postgres_url(seed: u64) -> String {
    match seed % 2 {
        0 => servers::setting("AUTHORSTACK_TEST_POSTGRES_URL"),
        _ => servers::setting("AUTHORSTACK_TEST_POSTGRES_NEWEST_URL"),
    }
}

struct Surprises {
    seed: u64,
    step: &'static str,
    found: Vec<String>,
}

impl Surprises {
    fn add(&mut self, what: &str) {
        self.found
            .push(format!("seed {} {}: {what}", self.seed, self.step));
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the values are made for this call"
    )]
    fn differ<T: Debug + PartialEq>(&mut self, what: impl Debug, expected: T, found: T) {
        if expected != found {
            self.add(&format!("{what:?}: expected {expected:?}, found {found:?}"));
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one command after another")]
async fn years(seed: u64, scratch: &Scratch, surprises: &mut Surprises) -> anyhow::Result<()> {
    let mut legacy = Legacy::generate(seed, CAN);
    legacy.write_documents(&scratch.mongodb().await?).await?;
    let mut analytics = scratch.postgres().await?;
    legacy.create_tables(&mut analytics).await?;
    legacy.write_rows(&mut analytics).await?;
    for setting in legacy.settings() {
        for (database, scratch) in [
            (&mut analytics, scratch),
            (&mut scratch.supabase().await?, scratch),
        ] {
            let sql = format!("alter database {} set {setting}", scratch.name());
            database.execute(AssertSqlSafe(sql)).await?;
        }
    }

    let documents = MongoStore::connect(MongoConfig::new(scratch.mongodb_url())).await?;
    let rows = PostgresConfig::new(scratch.postgres_url().unwrap_or_default()).max_connections(4);
    let rows = rows.ids(match legacy.form() {
        Form::Embedded => IdForm::Embedded,
        Form::PaddedLeft => IdForm::PaddedLeft,
        Form::PaddedRight => IdForm::PaddedRight,
    });
    let rows = PostgresStore::connect(rows).await?;
    let rows: Arc<dyn Snapshot> = Arc::new(rows.migration(IdMap::parse(&legacy.id_map())?));
    let documents: Arc<dyn Snapshot> = Arc::new(documents);
    let source: Arc<dyn Snapshot> = Arc::new(SourceSet::new(vec![
        Arc::clone(&documents),
        Arc::clone(&rows),
    ]));
    let store = target(scratch).await;
    let destination = Destination::transactional(Arc::new(store.migration()));
    let mut target = scratch.supabase().await?;
    target.execute(PLAIN).await?;
    let strict = seed.is_multiple_of(4);
    let source = strictly(strict, source);

    let unnumbered = legacy.unnumbered();
    if !unnumbered.is_empty() {
        surprises.step = "plan of rows without numbers";
        let plan = migrate::plan(Arc::clone(&source), &destination, Kind::DATA, &Silent).await;
        let error = plan.err().map_or(String::new(), |error| error.to_string());
        for kind in unnumbered {
            if !(error.contains(kind.as_str()) && error.contains("number")) {
                surprises.add(&format!("{kind} is not refused by name: {error:?}"));
            }
        }
        legacy.number();
        legacy.write_rows(&mut analytics).await?;
    }

    let oracle = legacy::judge(legacy.candidates(), strict);
    surprises.step = "plan";
    let plan = migrate::plan(Arc::clone(&source), &destination, Kind::DATA, &Silent).await?;
    surprises.differ("blockers", Vec::new(), plan.blockers.clone());
    for kind in &plan.kinds {
        let of = &oracle[&kind.report.kind];
        let counts = kind.report.counts;
        surprises.differ(
            (kind.report.kind, "read, moving, rejected"),
            (of.read, of.rows.len() as u64, of.rejects.len() as u64),
            (counts.read, counts.written, counts.rejected),
        );
        let faults = legacy::faults(of);
        let named = kind.rejected_fields.keys();
        let wrong: Vec<&String> = named.filter(|field| !faults.contains(*field)).collect();
        surprises.differ(
            (kind.report.kind, "fields that are sound"),
            Vec::new(),
            wrong,
        );
    }

    surprises.step = "digests";
    digests(documents.as_ref(), surprises).await?;

    surprises.step = "run";
    let options = RunOptions {
        kinds: Vec::new(),
        ..RunOptions::default()
    };
    let report = migrate::run(Arc::clone(&source), &destination, &options, &Silent).await?;
    for kind in &report.kinds {
        let of = &oracle[&kind.kind];
        surprises.differ(
            (kind.kind, "read, written, rejected"),
            (of.read, of.rows.len() as u64, of.rejects.len() as u64),
            (kind.counts.read, kind.counts.written, kind.counts.rejected),
        );
    }
    compare(&oracle, &destination, &mut target, surprises).await?;
    if seed.is_multiple_of(5) {
        surprises.step = "checks that the first load put off";
        pass_checks(&mut target, surprises).await?;
    }

    surprises.step = "verify";
    let verified = migrate::verify(Arc::clone(&source), &destination, Kind::DATA, &Silent).await?;
    agree(&oracle, &verified, surprises);

    surprises.step = "repair";
    let repaired = migrate::repair(Arc::clone(&source), &destination, Kind::DATA, &Silent).await?;
    agree(&oracle, &repaired, surprises);

    surprises.step = "second run";
    let report = migrate::run(Arc::clone(&source), &destination, &options, &Silent).await?;
    for kind in &report.kinds {
        let of = &oracle[&kind.kind];
        surprises.differ(
            (kind.kind, "written, unchanged, rejected"),
            (0, of.rows.len() as u64, of.rejects.len() as u64),
            (
                kind.counts.written,
                kind.counts.unchanged,
                kind.counts.rejected,
            ),
        );
    }
    compare(&oracle, &destination, &mut target, surprises).await?;
    let by_fast_lane = dump(&mut target).await?;

    surprises.step = "slow lane";
    let source_of_rows = Slow(Arc::clone(&rows));
    let by_one: Arc<dyn Snapshot> = Arc::new(SourceSet::new(vec![
        Arc::clone(&documents),
        Arc::new(source_of_rows),
    ]));
    let by_one = strictly(strict, by_one);
    let tables: Vec<String> = Kind::ANALYTICS
        .iter()
        .map(|kind| format!("public.{kind}"))
        .collect();
    let empty = format!("truncate {}", tables.join(", "));
    target.execute(AssertSqlSafe(empty)).await?;
    let analytics_alone = RunOptions {
        kinds: Kind::ANALYTICS.to_vec(),
        ..RunOptions::default()
    };
    migrate::run(Arc::clone(&by_one), &destination, &analytics_alone, &Silent).await?;
    compare(&oracle, &destination, &mut target, surprises).await?;
    let by_slow_lane = dump(&mut target).await?;
    for (kind, rows) in &by_fast_lane {
        for (key, row) in rows {
            let other = by_slow_lane[kind].get(key);
            let differences = match other {
                Some(other) => legacy::differences(row, other),
                None => vec!["is not there".to_owned()],
            };
            for difference in differences {
                surprises.add(&format!("{kind} {key}: the lanes differ: {difference}"));
            }
        }
    }
    let verified = migrate::verify(by_one, &destination, Kind::ANALYTICS, &Silent).await?;
    agree(&oracle, &verified, surprises);

    surprises.step = "repair after changes";
    legacy.change();
    legacy.write_documents(&scratch.mongodb().await?).await?;
    legacy.write_rows(&mut analytics).await?;
    let oracle = legacy::judge(legacy.candidates(), strict);
    migrate::repair(Arc::clone(&source), &destination, Kind::DATA, &Silent).await?;
    compare(&oracle, &destination, &mut target, surprises).await?;
    let verified = migrate::verify(source, &destination, Kind::DATA, &Silent).await?;
    agree(&oracle, &verified, surprises);
    store.close().await;
    Ok(())
}

/// The source, or the same one that sets nothing aside.
fn strictly(strict: bool, source: Arc<dyn Snapshot>) -> Arc<dyn Snapshot> {
    if strict {
        Arc::new(Strict::new(source))
    } else {
        source
    }
}

/// Asks the target whether its rows pass the checks that apply to new rows only.
async fn pass_checks(target: &mut PgConnection, surprises: &mut Surprises) -> anyhow::Result<()> {
    let checks = "select conname::text, format('select count(*) from %s where not (%s)', \
                    conrelid::regclass, pg_get_expr(conbin, conrelid)) \
                  from pg_constraint where contype = 'c' and not convalidated \
                    and connamespace = 'public'::regnamespace";
    let checks = target.fetch_all(checks).await?;
    anyhow::ensure!(checks.len() > 50, "only {} checks", checks.len());
    for check in checks {
        let (name, count): (String, String) = (check.try_get(0)?, check.try_get(1)?);
        let row = target.fetch_one(AssertSqlSafe(count)).await?;
        surprises.differ(name, 0, row.try_get::<i64, _>(0)?);
    }
    Ok(())
}

/// Compares the target's rows and the open rejects with the oracle's.
async fn compare(
    oracle: &Outcomes,
    destination: &Destination,
    target: &mut PgConnection,
    surprises: &mut Surprises,
) -> anyhow::Result<()> {
    let mut rejects: BTreeMap<(Kind, String), BTreeSet<String>> = BTreeMap::new();
    let open: Vec<_> = destination.rejects().try_collect().await?;
    for reject in open.into_iter().flatten() {
        let fields = reject.problems.0.into_iter().map(|problem| problem.field);
        rejects.insert((reject.kind, reject.key), fields.collect());
    }
    let mut aside: BTreeMap<(Kind, String), BTreeSet<String>> = BTreeMap::new();
    let noted: Vec<_> = destination.set_aside().try_collect().await?;
    for noted in noted.into_iter().flatten() {
        let fields = noted.fields.0.into_iter().map(|problem| problem.field);
        aside.insert((noted.kind, noted.key), fields.collect());
    }
    for (kind, of) in oracle {
        for (key, fields) in &of.aside {
            let found = aside.remove(&(*kind, key.clone()));
            let right = |found: &BTreeSet<String>| {
                found.is_subset(fields) && places(found) == places(fields)
            };
            if !found.as_ref().is_some_and(right) {
                surprises.add(&format!(
                    "{kind} {key}: {fields:?} to be set aside, is {found:?}"
                ));
            }
        }
        for reject in &of.rejects {
            let [key, other] = &reject.keys;
            let found = rejects.remove(&(*kind, other.clone()));
            let found = found.or_else(|| rejects.remove(&(*kind, key.clone())));
            let right = |found: &BTreeSet<String>| found.is_subset(&reject.faults);
            if !found.as_ref().is_some_and(right) {
                let faults = &reject.faults;
                surprises.add(&format!(
                    "{kind} {key}: to be rejected for {faults:?}, is {found:?}"
                ));
            }
        }
        let mut rows = rows(*kind, target).await?;
        for (key, expected) in &of.rows {
            match rows.remove(&key_of(*kind, expected)) {
                None => surprises.add(&format!("{kind} {key}: is not there")),
                Some(found) => {
                    for difference in legacy::differences(expected, &found) {
                        surprises.add(&format!("{kind} {key}: {difference}"));
                    }
                }
            }
        }
        for key in rows.keys() {
            surprises.add(&format!("{kind} {key}: should not be there"));
        }
    }
    for ((kind, key), fields) in aside {
        surprises.add(&format!("{kind} {key}: {fields:?} should not be set aside"));
    }
    for ((kind, key), fields) in rejects {
        surprises.add(&format!(
            "{kind} {key}: should move, is rejected for {fields:?}"
        ));
    }
    Ok(())
}

/// The fields that hold what is set aside. Of a list that is set aside whole, not every fault needs
/// to be named.
fn places(paths: &BTreeSet<String>) -> BTreeSet<String> {
    let places = paths.iter().map(|path| {
        let names: Vec<&str> = path.split('.').take(2).collect();
        match names.as_slice() {
            ["preferences" | "metadata" | "comments" | "priceHistory", _] => names.join("."),
            _ => names[0].to_owned(),
        }
    });
    places.collect()
}

/// Compares a verification with the oracle.
fn agree(oracle: &Outcomes, verified: &Verification, surprises: &mut Surprises) {
    for kind in &verified.kinds {
        let counts = kind.report.counts;
        let of = &oracle[&kind.report.kind];
        surprises.differ(
            (kind.report.kind, "read, unchanged, rejected, differing"),
            (of.read, of.rows.len() as u64, of.rejects.len() as u64, 0),
            (
                counts.read,
                counts.unchanged,
                counts.rejected,
                kind.report.differing,
            ),
        );
        for difference in &kind.differences {
            surprises.add(&format!("{}: {difference}", kind.report.kind));
        }
    }
}

/// What makes a row one: its columns of the key.
fn key_of(kind: Kind, row: &Row) -> String {
    let columns: &[&str] = match kind {
        Kind::PostLikes => &["post_id", "user_id"],
        Kind::PostComments => &["post_id", "id"],
        Kind::CompetitorPrices => &["competitor_id", "date"],
        _ => &["id"],
    };
    let values = columns.iter().map(|column| row[*column].to_string());
    values.collect::<Vec<_>>().join(" ")
}

/// The rows of a table, each value in the oracle's form.
async fn rows(kind: Kind, target: &mut PgConnection) -> anyhow::Result<BTreeMap<String, Row>> {
    let sql = format!(
        "select string_agg(format(case format_type(atttypid, null) \
           when 'timestamp with time zone' then '%L, (extract(epoch from t.%I) * 1000000)::bigint' \
           when 'numeric' then '%L, trim_scale(t.%I)::text' \
           else '%L, t.%I' end, attname, attname), ', ') \
         from pg_attribute where attrelid = 'public.{kind}'::regclass and attnum > 0 \
         and not attisdropped"
    );
    let columns: String = sqlx::query(AssertSqlSafe(sql))
        .fetch_one(&mut *target)
        .await?
        .get(0);
    let sql = format!("select json_build_object({columns})::text from public.{kind} as t");
    let mut rows = BTreeMap::new();
    for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(target).await? {
        let text: String = row.get(0);
        let value = authorstack_core::json::parse(text.as_bytes());
        if let Value::Object(row) = value.map_err(|error| anyhow::anyhow!("{error}: {text}"))? {
            rows.insert(key_of(kind, &row), row);
        }
    }
    Ok(rows)
}

/// All rows of the analytics.
async fn dump(target: &mut PgConnection) -> anyhow::Result<BTreeMap<Kind, BTreeMap<String, Row>>> {
    let mut all = BTreeMap::new();
    for kind in Kind::ANALYTICS {
        all.insert(*kind, rows(*kind, target).await?);
    }
    Ok(all)
}

/// A source whose rows are read one by one.
#[derive(Debug)]
struct Slow(Arc<dyn Snapshot>);

#[async_trait]
impl Snapshot for Slow {
    async fn origin(&self, kind: Kind) -> authorstack_core::Result<Option<String>> {
        self.0.origin(kind).await
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn kinds(&self) -> &[Kind] {
        self.0.kinds()
    }

    async fn check(&self, kinds: &[Kind]) -> Result<(), Error> {
        self.0.check(kinds).await
    }

    async fn count(&self, kind: Kind) -> Result<u64, Error> {
        self.0.count(kind).await
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch, Error>> {
        self.0.scan(kind, after, limits)
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>, Error> {
        self.0.fetch(kind, keys).await
    }

    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.0.encode(kind, original)
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        self.0.decode(kind, value)
    }
}
