//! The analytics move from a database that an old app has made with the schema's own SQL.

use crate::common;

use std::{collections::BTreeMap, fs, sync::Arc};

use authorstack_core::{
    AuthorStack, Days, Id, SalesFilter, TotalsBy,
    migrate::{
        self, BatchLimits, Destination, Kind, KindReport, References, RejectLine, RowRange,
        RunOptions, Scanned, ScannedBatch, Silent, Snapshot, UnfitRow,
    },
    testing::servers,
};
use authorstack_examples::{
    dataset::{self, Analytics, Dataset, Size},
    scratch::Scratch,
    tool::Tool,
};
use authorstack_postgres::{IdForm, IdMap, PostgresConfig, PostgresStore};
use authorstack_supabase::{PoolMode, SupabaseConfig, SupabaseStore};
use common::{TOOL, fresh};
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

const SIZE: Size = Size {
    users: 10,
    books: 30,
};

struct Moved {
    data: Dataset,
    analytics: Analytics,
    scratch: Scratch,
    tool: Tool,
}

/// Three databases with the dirty data set, nothing moved yet.
async fn filled(seed: u64, sales: usize) -> Moved {
    let (scratch, _) = fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let tool = Tool::new(TOOL, &scratch).unwrap();
    let data = dataset::generate(seed, SIZE);
    data.insert(&scratch.mongodb().await.unwrap())
        .await
        .unwrap();
    let analytics = data.analytics(seed, SIZE, sales);
    let mut database = scratch.postgres().await.unwrap();
    analytics.insert(&mut database).await.unwrap();
    Moved {
        data,
        analytics,
        scratch,
        tool,
    }
}

impl Moved {
    fn cases(&self) -> Vec<dataset::Case> {
        let all = self.data.cases.iter().chain(&self.analytics.cases);
        all.cloned().collect()
    }

    fn total(&self) -> u64 {
        self.data.total() + self.analytics.total()
    }
}

async fn execute(database: &mut PgConnection, sql: &str) {
    database.execute(AssertSqlSafe(sql)).await.unwrap();
}

async fn text(database: &mut PgConnection, sql: &str) -> String {
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(database).await;
    row.unwrap().get(0)
}

/// What `plan`, `run` and `verify` must agree on.
#[tokio::test]
async fn every_case_is_carried_or_rejected_with_its_field() {
    let moved = filled(41, 60).await;
    let tool = &moved.tool;
    let plan = tool.ask(&["plan"]).unwrap();
    assert_eq!(plan.code, Some(1), "{} {}", plan.json, plan.stderr);
    assert_eq!(plan.sum("read"), moved.total());
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    for count in ["read", "written", "rejected"] {
        assert_eq!(
            plan.sum(count),
            run.sum(count),
            "{count}: {} {}",
            plan.json,
            run.json
        );
    }
    let rejects = tool.rejects().unwrap();
    let surprises = dataset::surprises(&moved.cases(), &rejects);
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert_eq!(rejects.len() as u64, run.sum("rejected"));
    // The record is whole, even if a number is larger than readers of JSON accept.
    let is_large =
        |line: &&RejectLine| line.kind == Kind::AiInsights && line.problems.0[0].field == "content";
    let large = rejects.iter().find(is_large);
    let number = large.unwrap().record["content"]["a"][0].as_str();
    assert_eq!(number.unwrap().len(), 401);

    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    assert_eq!(verified.sum("read"), moved.total());
    assert_eq!(verified.sum("rejected"), run.sum("rejected"));
    assert_eq!(verified.sum("unchanged"), run.sum("written"));

    // A second run writes nothing, and rejects the same records.
    let again = tool.ask(&["run"]).unwrap();
    assert_eq!(again.sum("written"), 0, "{}", again.json);
    assert_eq!(again.sum("rejected"), run.sum("rejected"));
    let surprises = dataset::surprises(&moved.cases(), &tool.rejects().unwrap());
    assert!(surprises.is_empty(), "{surprises:#?}");
    moved.scratch.remove().await.unwrap();
}

/// Sales of one key whose platforms differ by capitals only are not merged: one moves, the other is
/// named.
#[tokio::test]
async fn two_spellings_of_one_sale_are_named() {
    let moved = filled(50, 20).await;
    let mut old = moved.scratch.postgres().await.unwrap();
    for (number, platform, revenue) in [(900_001, "Kdp:DE", 1), (900_002, "kdp:de", 2)] {
        let insert = format!(
            "insert into sales_data (id, user_id, book_id, platform, date, revenue, units) \
             select {number}, user_id, book_id, '{platform}', '1999-12-31', {revenue}, 1 \
             from sales_data where id = (select min(id) from sales_data)"
        );
        execute(&mut old, &insert).await;
    }
    let run = moved.tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let rejects = moved.tool.rejects().unwrap();
    let refused: Vec<&RejectLine> = rejects
        .iter()
        .filter(|line| line.kind == Kind::SalesData && line.key.starts_with("90000"))
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].key, "900002");
    assert!(refused[0].reason.contains("sale 900001"), "{refused:?}");
    let mut new = moved.scratch.supabase().await.unwrap();
    let held =
        "select string_agg(concat(id, platform, revenue), ' ') from sales_data where id > 900000";
    assert_eq!(text(&mut new, held).await, "900001kdp:de1.00");
    let verified = moved.tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    assert_eq!(verified.sum("rejected"), run.sum("rejected"));
    moved.scratch.remove().await.unwrap();
}

/// Sums, numbers and sequences are the source's.
#[tokio::test]
async fn money_numbers_and_sequences_arrive() {
    let moved = filled(42, 90).await;
    let run = moved.tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let mut old = moved.scratch.postgres().await.unwrap();
    let mut new = moved.scratch.supabase().await.unwrap();
    let rejected: Vec<String> = moved
        .tool
        .rejects()
        .unwrap()
        .into_iter()
        .filter(|line| line.kind == Kind::SalesData)
        .map(|line| line.key)
        .collect();
    let sums = |utc: &str| {
        format!(
            "select concat_ws(' ', count(*), sum(revenue), sum(units), sum(coalesce(page_reads, 0)), \
           sum(id), max(id), min({utc}), max({utc}), md5(string_agg(id || ' ' || user_id || ' ' || book_id \
             || ' ' || lower(btrim(platform)) || ' ' || date || ' ' || revenue || ' ' || coalesce({utc}::text, '-'), ',' order by id))) \
         from sales_data where id <> all ('{{{}}}'::bigint[])",
            rejected.join(",")
        )
    };
    execute(&mut new, "set timezone = 'UTC'").await;
    // An infinite moment is set aside.
    let theirs = text(&mut old, &sums("nullif(synced_at, '-infinity')")).await;
    let ours = text(&mut new, &sums("(synced_at at time zone 'UTC')")).await;
    assert_eq!(ours, theirs);
    for kind in Kind::ANALYTICS {
        let behind = format!(
            "select (nextval(pg_get_serial_sequence('public.{kind}', 'id')) > max(id))::text from public.{kind}"
        );
        assert_eq!(text(&mut new, &behind).await, "true", "{kind}");
    }
    // The JSON of breakdowns and insights is the source's, numbers included.
    let json = "select string_agg(content::text, ',' order by id) from ai_insights where id <= 20";
    let (theirs, ours) = (text(&mut old, json).await, text(&mut new, json).await);
    assert_eq!(ours, theirs);

    let store = SupabaseStore::connect(SupabaseConfig::new(moved.scratch.supabase_db_url()))
        .await
        .unwrap();
    let azure = PostgresStore::connect(PostgresConfig::new(moved.scratch.postgres_url().unwrap()))
        .await
        .unwrap();
    let user: String = text(
        &mut new,
        "select user_id::text from sales_data order by id limit 1",
    )
    .await;
    let user = Id::from_uuid(user.parse().unwrap()).unwrap();
    let days = Days::new("2024-01-01".parse().unwrap(), "2024-12-31".parse().unwrap()).unwrap();
    let filter = SalesFilter::of(days);
    let ours = AuthorStack::builder().analytics(&store).build();
    let theirs = AuthorStack::builder().analytics(&azure).build();
    for by in [
        TotalsBy::Month,
        TotalsBy::Platform,
        TotalsBy::Market,
        TotalsBy::Book,
        TotalsBy::Currency,
    ] {
        let totals = ours.sales().totals(user, &filter, by).await.unwrap();
        let expected = theirs.sales().totals(user, &filter, by).await.unwrap();
        assert_eq!(totals, expected);
    }
    store.close().await;
    azure.close().await;
    moved.scratch.remove().await.unwrap();
}

/// Indexes, keys and checks are as before a first load.
#[tokio::test]
async fn a_first_load_leaves_the_schema_as_it_was() {
    let moved = filled(43, 30).await;
    let schema = "\
        select string_agg(line, e'\\n' order by line) from ( \
          select indexdef as line from pg_indexes where schemaname = 'public' \
          union all select concat(conrelid::regclass, ' ', conname, ' ', pg_get_constraintdef(oid), convalidated, conindid::regclass) \
            from pg_constraint where connamespace = 'public'::regnamespace \
          union all select concat(oid::regclass, reloptions) \
            from pg_class where relnamespace = 'public'::regnamespace \
          union all select concat(attrelid::regclass, attname, attnotnull, attidentity) from pg_attribute \
            where attrelid::regclass::text = any (array['sales_data', 'daily_aggregates']) and attnum > 0) as lines";
    let store = SupabaseStore::connect(SupabaseConfig::new(moved.scratch.supabase_db_url()))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let mut database = moved.scratch.supabase().await.unwrap();
    let before = text(&mut database, schema).await;
    assert!(before.contains("sales_data_pkey") && before.contains("PRIMARY KEY"));
    let run = moved.tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(text(&mut database, schema).await, before);
    let left = "select count(*)::text from authorstack.deferred_ddl";
    assert_eq!(text(&mut database, left).await, "0");
    moved.scratch.remove().await.unwrap();
}

/// What changes in the source afterwards is found, and copied again.
#[tokio::test]
async fn repair_copies_again_what_differs() {
    let moved = filled(44, 60).await;
    let tool = &moved.tool;
    let run = tool.ask(&["run"]).unwrap();
    let mut old = moved.scratch.postgres().await.unwrap();
    let mut new = moved.scratch.supabase().await.unwrap();
    execute(&mut old, "update sales_data set revenue = revenue + 0.01 where id in (select id from sales_data where revenue between 1 and 50 order by id limit 7)").await;
    execute(
        &mut old,
        "insert into sales_data (user_id, book_id, platform, date, revenue, units) \
        select user_id, book_id, 'lulu', date, 1.23, 1 from sales_data where platform = 'kdp' order by id limit 3",
    )
    .await;
    execute(
        &mut new,
        "delete from sales_data where id in (select id from sales_data where revenue > 60 order by id limit 2)",
    )
    .await;
    execute(&mut new, "delete from public.checklists where id = (select min(id::text)::uuid from public.checklists)").await;
    execute(&mut new, "update public.books set title = 'lost' where id = (select min(id::text)::uuid from public.books)").await;
    let number = "select min(id)::text from sales_data where platform = 'lulu'";
    let number = text(&mut old, number).await;
    let own = format!(
        "insert into sales_data (id, user_id, book_id, platform, date, revenue, units) \
         select {number}, user_id, book_id, 'itch', date, 9.99, 1 from sales_data order by id limit 1"
    );
    execute(&mut new, &own).await;

    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.code, Some(1));
    let sales = |answer: &authorstack_examples::tool::Answer| {
        let kinds = answer.json["kinds"].as_array().unwrap().clone();
        kinds
            .into_iter()
            .find(|kind| kind["kind"] == "sales_data")
            .unwrap()
    };
    let found = sales(&verified);
    assert_eq!(found["differing"].as_u64().unwrap(), 7 + 3 + 2, "{found}");
    let repaired = tool.ask(&["repair"]).unwrap();
    assert_eq!(repaired.code, Some(1), "{}", repaired.stderr);
    let answered = sales(&repaired);
    // A sale that was written in the target has the number of a new one: it is left alone.
    let (copied, left) = (7 + 2 + 2, 1);
    assert_eq!(
        (&answered["written"], &answered["differing"]),
        (&copied.into(), &left.into()),
        "{answered}"
    );
    assert_eq!(repaired.sum("written"), copied + 2, "{}", repaired.json);
    for kind in repaired.json["kinds"].as_array().unwrap() {
        let count = |name: &str| kind[name].as_u64().unwrap();
        let accounted = ["written", "unchanged", "rejected", "differing"].map(count);
        assert_eq!(count("read"), accounted.iter().sum::<u64>(), "{kind}");
    }
    let reject = tool
        .rejects()
        .unwrap()
        .into_iter()
        .find(|line| line.record["platform"] == "lulu")
        .unwrap();
    assert!(
        reject.reason.contains("id: ") && reject.reason.contains("number of another sale"),
        "{}",
        reject.reason
    );
    execute(
        &mut new,
        "update sales_data set id = 500000 where platform = 'itch'",
    )
    .await;
    let repaired = tool.ask(&["repair", "--kind", "sales_data"]).unwrap();
    assert_eq!(
        (repaired.sum("written"), repaired.sum("differing")),
        (1, 1),
        "{}",
        repaired.json
    );
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 1, "{}", verified.json);
    assert_eq!(sales(&verified)["differences"][0]["key"], "500000");
    assert_eq!(verified.sum("rejected"), run.sum("rejected"));
    moved.scratch.remove().await.unwrap();
}

/// Rejects are fixed by hand and replayed; a second run leaves them alone.
#[tokio::test]
async fn fixed_rows_are_replayed() {
    let moved = filled(45, 30).await;
    let tool = &moved.tool;
    let run = tool.ask(&["run"]).unwrap();
    let mut fixed: Vec<RejectLine> = Vec::new();
    for mut line in tool.rejects().unwrap() {
        let fix = match (line.kind, line.problems.0[0].field.as_str()) {
            (Kind::SalesData, "revenue") => ("revenue", "12.50".into()),
            (Kind::SalesData, "currency") => ("currency", "EUR".into()),
            (Kind::SyncLogs, "status") => ("status", "success".into()),
            (Kind::RevenueForecasts, "predicted_revenue") => {
                ("predicted_revenue", serde_json::json!(7.25))
            }
            _ => continue,
        };
        line.record[fix.0] = fix.1;
        fixed.push(line);
    }
    assert!(fixed.len() >= 5, "{}", fixed.len());
    let lines: Vec<String> = fixed
        .iter()
        .map(|line| serde_json::to_string(line).unwrap() + "\n")
        .collect();
    fs::write(tool.folder().join("fixed.jsonl"), lines.concat()).unwrap();
    let replayed = tool.ask(&["replay", "fixed.jsonl"]).unwrap();
    assert_eq!(
        replayed.code,
        Some(0),
        "{} {}",
        replayed.json,
        tool.rejects_text().unwrap()
    );
    let mut new = moved.scratch.supabase().await.unwrap();
    let revenue = "select concat(revenue, currency) from sales_data where revenue = 12.50 and units = 1 and date > '2030-01-01'";
    assert_eq!(text(&mut new, revenue).await, "12.50USD");
    let again = tool.ask(&["run"]).unwrap();
    let open = run.sum("rejected") - fixed.len() as u64;
    assert_eq!(
        (again.sum("written"), again.sum("rejected")),
        (0, open),
        "{}",
        again.json
    );
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(
        (verified.sum("differing"), verified.sum("rejected")),
        (0, open),
        "{}",
        verified.json
    );
    moved.scratch.remove().await.unwrap();
}

/// The same rows with ids padded on either side, and with UUIDs that a file maps.
#[tokio::test]
async fn other_forms_of_ids_are_read() {
    for (form, option) in [
        (IdForm::PaddedLeft, "padded-left"),
        (IdForm::PaddedRight, "padded-right"),
    ] {
        let moved = filled(46, 20).await;
        let mut old = moved.scratch.postgres().await.unwrap();
        // Only what has AuthorStack's form becomes padded.
        for kind in Kind::ANALYTICS {
            for column in ["user_id", "book_id"] {
                let digits = IdForm::Embedded.digits(column);
                let padded = match form {
                    IdForm::PaddedLeft => format!("('00000000' || {digits})::uuid"),
                    _ => format!("({digits} || '00000000')::uuid"),
                };
                let holds = IdForm::Embedded.holds(column);
                let sql = format!("update {kind} set {column} = {padded} where {holds}");
                if column == "user_id" || matches!(kind, Kind::SalesData | Kind::AiInsights) {
                    execute(&mut old, &sql).await;
                }
            }
        }
        let embedded = [
            "run",
            "--batch-records",
            "100",
            "--postgres-ids",
            "embedded",
        ];
        let hint = moved.tool.ask(&embedded).unwrap();
        assert_eq!(hint.code, Some(1), "{}", hint.stderr);
        let text = moved.tool.rejects_text().unwrap();
        assert!(
            text.contains(&format!("postgres_ids set to {option}")),
            "{text}"
        );
        let run = moved.tool.ask(&["run", "--postgres-ids", option]).unwrap();
        let sales = moved.tool.rejects().unwrap();
        let sales: Vec<_> = sales
            .iter()
            .filter(|line| line.kind == Kind::SalesData)
            .collect();
        // The case in this form is right now; those in the other two forms are still wrong.
        assert!(sales.len() < 16, "{sales:#?}");
        assert_eq!(
            run.sum("read"),
            run.sum("written") + run.sum("unchanged") + run.sum("rejected")
        );
        let verified = moved
            .tool
            .ask(&["verify", "--postgres-ids", option])
            .unwrap();
        assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
        moved.scratch.remove().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_maps_other_uuids() {
    let moved = filled(47, 20).await;
    let tool = &moved.tool;
    let mut old = moved.scratch.postgres().await.unwrap();
    let run = tool.ask(&["run"]).unwrap();
    // One user's sales have a UUID of another service now, their numbers stay.
    let user = text(
        &mut old,
        "select user_id::text from sales_data order by id limit 1",
    )
    .await;
    let digits = text(
        &mut old,
        &format!(
            "select {} from (select '{user}'::uuid as u) as one",
            IdForm::Embedded.digits("u")
        ),
    )
    .await;
    let book = "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11";
    execute(&mut old, &format!("update sales_data set user_id = 'aaaaaaaa-6d5c-4d6f-9c3c-5d8a1c1b7d11' where user_id = '{user}'")).await;
    let map = format!("uuid,id\n{book},{digits}\naaaaaaaa-6d5c-4d6f-9c3c-5d8a1c1b7d11,{user}\n");
    fs::write(tool.folder().join("ids.csv"), map).unwrap();
    let mapped = tool.ask(&["run", "--id-map-file", "ids.csv"]).unwrap();
    assert_eq!(
        mapped.sum("rejected") + 1,
        run.sum("rejected"),
        "{}",
        mapped.json
    );
    assert_eq!(
        mapped.sum("written"),
        1,
        "the book that is mapped now: {}",
        mapped.json
    );
    let verified = tool.ask(&["verify", "--id-map-file", "ids.csv"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);

    // Two UUIDs of one book: the sales of one day cannot both move.
    execute(&mut old, &format!(
        "insert into sales_data (user_id, book_id, platform, date, revenue, units) \
         select user_id, 'bbbbbbbb-6d5c-4d6f-9c3c-5d8a1c1b7d11', platform, date, 3.33, 1 from sales_data \
         where book_id = '{book}'")).await;
    let map = fs::read_to_string(tool.folder().join("ids.csv")).unwrap()
        + &format!("bbbbbbbb-6d5c-4d6f-9c3c-5d8a1c1b7d11,{digits}\n");
    fs::write(tool.folder().join("ids.csv"), map).unwrap();
    let collided = tool.ask(&["run", "--id-map-file", "ids.csv"]).unwrap();
    assert_eq!(
        collided.sum("rejected"),
        run.sum("rejected"),
        "{}",
        collided.json
    );
    let reason = tool
        .rejects()
        .unwrap()
        .into_iter()
        .find(|line| line.record["revenue"] == 3.33)
        .unwrap()
        .reason;
    assert!(
        reason.contains("date: sale ") && reason.contains("same user, book, platform and day"),
        "{reason}"
    );
    let verified = tool.ask(&["verify", "--id-map-file", "ids.csv"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);

    // Into an empty table: the first of the two moves.
    let mut new = moved.scratch.supabase().await.unwrap();
    execute(
        &mut new,
        "truncate public.sales_data; truncate authorstack.checkpoints, authorstack.rejects cascade",
    )
    .await;
    let again = tool
        .ask(&["run", "--id-map-file", "ids.csv", "--kind", "sales_data"])
        .unwrap();
    assert_eq!(
        again.sum("read"),
        again.sum("written") + again.sum("rejected")
    );
    assert!(
        tool.rejects()
            .unwrap()
            .iter()
            .any(|line| line.record["revenue"] == 3.33)
    );

    fs::write(tool.folder().join("ids.csv"), "uuid,id\nx,y\n").unwrap();
    let wrong = tool.ask(&["run", "--id-map-file", "ids.csv"]).unwrap();
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("--id-map-file") && wrong.stderr.contains("line 2"),
        "{}",
        wrong.stderr
    );
    moved.scratch.remove().await.unwrap();
}

/// The tool moves what has an address.
#[tokio::test]
async fn either_source_may_be_left_out() {
    let moved = filled(48, 5).await;
    let mut tool = moved.tool;
    let postgres = tool.postgres_url.take();
    let documents = tool.ask(&["run"]).unwrap();
    assert_eq!(
        documents.json["kinds"].as_array().unwrap().len(),
        Kind::DOCUMENTS.len()
    );
    let lacks = tool.ask(&["run", "--kind", "sales_data"]).unwrap();
    assert_eq!(lacks.code, Some(2));
    assert!(lacks.stderr.contains("--postgres-url"), "{}", lacks.stderr);
    tool.postgres_url = postgres;
    let mongodb = std::mem::take(&mut tool.mongodb_url);
    let rows = tool.ask(&["run"]).unwrap();
    assert_eq!(
        rows.json["kinds"].as_array().unwrap().len(),
        Kind::ANALYTICS.len()
    );
    assert_eq!(rows.sum("read"), moved.analytics.total());
    // The users were moved before: rows without a user are found without MongoDB, too.
    let plan = tool.ask(&["plan"]).unwrap();
    assert_eq!(plan.sum("rejected"), rows.sum("rejected"), "{}", plan.json);
    tool.mongodb_url = mongodb;
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    // A database without the tables is a wrong setting.
    tool.postgres_url = Some(servers::setting("AUTHORSTACK_TEST_POSTGRES_URL"));
    let wrong = tool.ask(&["plan"]).unwrap();
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(
        wrong
            .stderr
            .contains("no table of the analytics, such as sales_data"),
        "{}",
        wrong.stderr
    );
    moved.scratch.remove().await.unwrap();
}

/// The fast lane refuses the same rows as reading them as records does.
#[tokio::test]
async fn both_lanes_refuse_the_same() {
    let moved = filled(49, 5).await;
    let config = PostgresConfig::new(moved.scratch.postgres_url().unwrap());
    let store = PostgresStore::connect(config).await.unwrap();
    let source = store.migration(IdMap::default());
    let (mut refused, mut without) = (0, 0);
    for &kind in Kind::ANALYTICS {
        let lane = source.rows(kind).unwrap();
        let mut reader = lane
            .open(kind, RowRange::ALL, u64::MAX, &References::default())
            .await
            .unwrap()
            .unwrap();
        let by_rules: Vec<Vec<UnfitRow>> = reader.refused().try_collect().await.unwrap();
        let by_rules = by_rules
            .into_iter()
            .map(|rows| rows.into_iter().map(|unfit| unfit.row).collect());
        let by_rules: Vec<Vec<Scanned>> = by_rules.collect();
        let by_rules: BTreeMap<String, String> = problems(by_rules.into_iter().flatten());
        let aside: Vec<Vec<Scanned>> = reader.set_aside().try_collect().await.unwrap();
        let aside = set_aside(aside.iter().flatten());
        let limits = BatchLimits {
            records: 7,
            ..BatchLimits::default()
        };
        let batches: Vec<ScannedBatch> =
            source.scan(kind, None, limits).try_collect().await.unwrap();
        assert!(batches.iter().all(|batch| batch.items.len() <= 7));
        let items = batches.into_iter().flat_map(|batch| batch.items);
        let items: Vec<Scanned> = items.collect();
        assert_eq!(items.len() as u64, reader.rows(), "{kind}");
        let movable = reader.digest().await.unwrap().unwrap().rows;
        assert_eq!(movable + by_rules.len() as u64, reader.rows(), "{kind}");
        // What is encoded is decoded to the same record.
        for item in &items {
            let Ok(record) = &item.outcome else { continue };
            let json = source.encode(kind, &item.original);
            let read = source.decode_setting_aside(kind, &json);
            let (decoded, aside) = read.unwrap_or_else(|problems| panic!("{problems}: {json}"));
            assert_eq!(&decoded, record, "{json}");
            assert_eq!(aside.is_empty(), item.set_aside.is_empty(), "{json}");
            let keys = std::slice::from_ref(&item.key);
            let found = source.fetch(kind, keys).await.unwrap();
            let [one] = found.as_slice() else {
                panic!("{} times {}", found.len(), item.key)
            };
            assert_eq!(one.outcome.as_ref(), Ok(record));
        }
        refused += by_rules.len();
        without += aside.len();
        assert_eq!(set_aside(items.iter()), aside, "{kind}");
        assert_eq!(problems(items.into_iter()), by_rules, "{kind}");
        reader.close().await.unwrap();
    }
    assert!(refused > 15 && without > 10, "{refused} {without}");
    store.close().await;
    moved.scratch.remove().await.unwrap();
}

fn set_aside<'s>(items: impl Iterator<Item = &'s Scanned>) -> BTreeMap<String, String> {
    let aside = items.filter(|item| !item.set_aside.is_empty());
    aside
        .map(|item| (item.key.clone(), item.set_aside.to_string()))
        .collect()
}

fn problems(items: impl Iterator<Item = Scanned>) -> BTreeMap<String, String> {
    items
        .filter_map(|item| Some((item.key, item.outcome.err()?.to_string())))
        .collect()
}

/// A rule of the target's owner refuses rows: they are found among the others.
#[tokio::test]
async fn a_table_that_refuses_rows_gets_the_others() {
    let moved = filled(50, 30).await;
    let tool = &moved.tool;
    let store = SupabaseConfig::new(moved.scratch.supabase_db_url());
    let store = SupabaseStore::connect(store).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let mut new = moved.scratch.supabase().await.unwrap();
    execute(
        &mut new,
        "alter table sales_data add constraint not_seven check (units <> 7)",
    )
    .await;
    let mut old = moved.scratch.postgres().await.unwrap();
    let sevens = "select count(*)::text from sales_data where units = 7";
    let sevens: u64 = text(&mut old, sevens).await.parse().unwrap();
    assert!(sevens > 10);
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let rejects = tool.rejects().unwrap();
    let refused = rejects
        .iter()
        .filter(|line| line.reason.contains("not_seven"));
    assert_eq!(refused.count() as u64, sevens);
    assert_eq!(
        rejects.len() as u64,
        sevens
            + moved
                .cases()
                .iter()
                .filter(|case| matches!(case.fate, dataset::Fate::Rejected(_)))
                .count() as u64
    );
    assert_eq!(run.sum("read"), moved.total());
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(
        (verified.sum("differing"), verified.sum("rejected")),
        (0, rejects.len() as u64),
        "{}",
        verified.json
    );
    execute(&mut new, "alter table sales_data drop constraint not_seven").await;
    let again = tool.ask(&["run"]).unwrap();
    assert_eq!(again.sum("written"), sevens, "{}", again.json);
    moved.scratch.remove().await.unwrap();
}

/// A user who is created, with sales, while the rows move: the next run takes them.
#[tokio::test]
async fn the_next_run_has_what_came_meanwhile() {
    let moved = filled(51, 5).await;
    let tool = &moved.tool;
    tool.ask(&["run"]).unwrap();
    let mut old = moved.scratch.postgres().await.unwrap();
    let user = text(
        &mut old,
        "select user_id::text from sales_data order by id limit 1",
    )
    .await;
    execute(&mut old, &format!(
        "insert into sales_data (user_id, book_id, platform, date, revenue, units) values ('{user}', '{user}', 'itch', '2025-05-05', 1, 1); \
         insert into sync_logs (user_id, platform, status) values ('{user}', 'itch', 'success'); \
         insert into ai_insights (user_id, insight_type, content) values ('{user}', 'trend', '1')")).await;
    let again = tool.ask(&["run"]).unwrap();
    assert_eq!(again.sum("written"), 3, "{}", again.json);
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    moved.scratch.remove().await.unwrap();
}

/// Sales that are partitioned by month, on both sides.
#[tokio::test]
async fn partitioned_sales_move_as_plain_ones() {
    const SCRIPT: &str =
        include_str!("../../../authorstack-supabase/supabase/optional/partition_sales_data.sql");
    let moved = filled(52, 60).await;
    let tool = &moved.tool;
    let mut old = moved.scratch.postgres().await.unwrap();
    execute(
        &mut old,
        "alter table sales_data rename to sales_plain; \
         alter index sales_data_user_id_book_id_platform_date_key rename to plain_key; \
         create table sales_data (like sales_plain including defaults) partition by range (date); \
         create table sales_old partition of sales_data for values from (minvalue) to ('2024-01-10'); \
         create table sales_new partition of sales_data for values from ('2024-01-10') to (maxvalue); \
         insert into sales_data select * from sales_plain where date < 'infinity'; \
         create unique index on sales_data (user_id, book_id, platform, date); \
         create index on sales_data (id)",
    )
    .await;
    let store = SupabaseConfig::new(moved.scratch.supabase_db_url());
    let store = SupabaseStore::connect(store).await.unwrap();
    store.migrate().await.unwrap();
    let mut new = moved.scratch.supabase().await.unwrap();
    execute(&mut new, &format!("begin; {SCRIPT}; commit")).await;
    execute(
        &mut new,
        "select authorstack.make_sales_partition('2024-01-01')",
    )
    .await;
    let indexes = "select string_agg(indexdef, e'\\n' order by indexdef) from pg_indexes \
                   where tablename like 'sales_data%'";
    let before = text(&mut new, indexes).await;

    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    // All but the one without a day.
    assert_eq!(run.sum("read"), moved.total() - 1);
    assert_eq!(text(&mut new, indexes).await, before);
    let partitions = "select count(distinct tableoid)::text from sales_data";
    assert_ne!(text(&mut new, partitions).await, "1");
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    assert_eq!(verified.sum("unchanged"), run.sum("written"));

    let changed = "update sales_data set units = units + 1, revenue = revenue + 1 \
                   where id in (select id from sales_data where revenue < 100 order by id limit 5)";
    execute(&mut old, changed).await;
    let again = tool.ask(&["run"]).unwrap();
    assert_eq!(again.sum("written"), 5, "{}", again.json);
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    // New sales have numbers after those that moved.
    let behind = "select (nextval(pg_get_serial_sequence('public.sales_data', 'id')) > max(id))::text \
                  from sales_data";
    assert_eq!(text(&mut new, behind).await, "true");
    store.close().await;
    moved.scratch.remove().await.unwrap();
}

/// The target is reached through a pooler, in either mode.
#[tokio::test]
async fn rows_move_through_poolers() {
    let poolers = [
        (servers::supabase_pooler_url(), PoolMode::Transaction),
        (servers::supabase_session_pooler_url(), PoolMode::Session),
    ];
    for (pooler, mode) in poolers {
        let moved = filled(53, 40).await;
        let mut documents = Tool::new(TOOL, &moved.scratch).unwrap();
        documents.postgres_url = None;
        assert_eq!(documents.ask(&["run"]).unwrap().code, Some(1));
        let config = PostgresConfig::new(moved.scratch.postgres_url().unwrap());
        let azure = PostgresStore::connect(config).await.unwrap();
        let config = SupabaseConfig::new(moved.scratch.through(&pooler.parse().unwrap()));
        let store = SupabaseStore::connect(config.pool_mode(mode))
            .await
            .unwrap();
        let source: Arc<dyn Snapshot> = Arc::new(azure.migration(IdMap::default()));
        let target = Destination::transactional(Arc::new(store.migration()));
        let options = RunOptions {
            limits: BatchLimits {
                records: 20,
                ..BatchLimits::default()
            },
            ..RunOptions::default()
        };
        let cases = moved.analytics.cases.iter();
        let rejected = cases
            .filter(|case| matches!(case.fate, dataset::Fate::Rejected(_)))
            .count() as u64;
        for written in [moved.analytics.total() - rejected, 0] {
            let from = Arc::clone(&source);
            let report = migrate::run(from, &target, &options, &Silent)
                .await
                .unwrap();
            let sum = |count: fn(&KindReport) -> u64| report.kinds.iter().map(count).sum::<u64>();
            assert_eq!(sum(|kind| kind.counts.written), written, "{report:?}");
            assert_eq!(sum(|kind| kind.counts.rejected), rejected, "{report:?}");
        }
        let found = migrate::verify(source, &target, Kind::ANALYTICS, &Silent)
            .await
            .unwrap();
        assert!(
            found.kinds.iter().all(|kind| kind.report.differing == 0),
            "{found:?}"
        );
        store.close().await;
        azure.close().await;
        moved.scratch.remove().await.unwrap();
    }
}
