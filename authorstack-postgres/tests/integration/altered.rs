//! Tables that an old app has altered.

use authorstack_core::migrate::{
    BatchLimits, Kind, Record, References, RowRange, Scanned, ScannedBatch, Sink, SinkBatch,
    Snapshot, UnfitRow,
};
use authorstack_postgres::{IdMap, PostgresMigration};
use futures::TryStreamExt;

use crate::common::{Database, on_database};

const USER: &str = "6b0379ca-3f69-879b-8e1a-457c2c000000";
const BOOK: &str = "6b0379ca-3f69-879b-8e1a-457c2e000000";

async fn altered(database: &Database, sql: &str) -> PostgresMigration {
    let store = database.store().await;
    store.migrate().await.unwrap();
    database.execute(sql).await;
    store.migration(IdMap::default())
}

/// Every row of a kind: its record as JSON, or its problems. Both lanes say the same.
async fn read(migration: &PostgresMigration, kind: Kind) -> Vec<String> {
    let scan = migration.scan(kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
    let items: Vec<Scanned> = batches.into_iter().flat_map(|batch| batch.items).collect();
    let lane = Snapshot::rows(migration, kind).unwrap();
    let references = References::default();
    let opened = lane.open(kind, RowRange::ALL, u64::MAX, &references);
    let mut reader = opened.await.unwrap().unwrap();
    let refused: Vec<Vec<UnfitRow>> = reader.refused().try_collect().await.unwrap();
    let refused = refused
        .into_iter()
        .map(|rows| rows.into_iter().map(|unfit| unfit.row).collect());
    let refused: Vec<Vec<Scanned>> = refused.collect();
    let refused: Vec<String> = refused
        .into_iter()
        .flatten()
        .map(|item| format!("{}: {}", item.key, item.outcome.unwrap_err()))
        .collect();
    let sound = reader.digest().await.unwrap().unwrap().rows;
    let copied: Vec<Vec<u8>> = reader.copy().try_collect().await.unwrap();
    assert!(!copied.is_empty());
    reader.close().await.unwrap();
    assert_eq!(sound + refused.len() as u64, items.len() as u64);
    let said: Vec<String> = items
        .iter()
        .filter_map(|item| Some(format!("{}: {}", item.key, item.outcome.as_ref().err()?)))
        .collect();
    assert_eq!(said, refused);
    // What a rejects file has is read as the same record.
    for item in &items {
        let json = migration.encode(kind, &item.original);
        let again = migration.decode(kind, &json);
        let lenient = migration.decode_setting_aside(kind, &json);
        match &item.outcome {
            Ok(record) if !item.set_aside.is_empty() => {
                // What the server cannot hold as JSON is a text there, and a text is JSON.
                let is_text = item.set_aside.0[0].field == "factors";
                let same = lenient.is_ok_and(|(again, _)| again == *record);
                assert!(same || is_text, "{json}");
            }
            Ok(record) => assert_eq!(again.as_ref(), Ok(record), "{json}"),
            // What the server cannot hold as JSON is a text there, and a text is JSON.
            Err(problems) => assert!(
                again.is_err() || ["content", "factors"].contains(&problems.0[0].field.as_str()),
                "{json}"
            ),
        }
    }
    items
        .into_iter()
        .map(|item| match item.outcome {
            Ok(record) => json(&record),
            Err(problems) => format!("{}: {problems}", item.key),
        })
        .collect()
}

fn json(record: &Record) -> String {
    let json = match record {
        Record::Sale(sale) => serde_json::to_string(sale),
        Record::DailyAggregate(day) => serde_json::to_string(day),
        Record::SyncLog(log) => serde_json::to_string(log),
        Record::Insight(insight) => serde_json::to_string(insight),
        Record::Forecast(forecast) => serde_json::to_string(forecast),
        other => panic!("{other:?}"),
    };
    json.unwrap()
}

#[tokio::test]
async fn what_converts_without_loss_is_converted() {
    on_database(async |database| {
        let migration = altered(
            database,
            &format!(
                "alter table sales_data alter user_id type text, alter book_id type varchar(40), \
                   alter platform type text, alter date type text, \
                   alter revenue type double precision, alter units type bigint, \
                   alter page_reads type text, alter currency type char(3), \
                   alter synced_at type timestamptz; \
                 insert into sales_data (user_id, book_id, platform, date, revenue, units, \
                   page_reads, currency, synced_at) values \
                 ('{USER}', '6B0379CA3F6979BE1A457C2E', ' KDP ', '2024-02-29', 19.99, 3, '7', 'eur', \
                   '2024-03-01 01:00:00+02'), \
                 ('{USER}', '{BOOK}', 'kdp', '2023-02-29', 0.1, 5000000000, '1.0', 'USD', null), \
                 ('{USER}', 'stray', 'kdp', '2024-01-01T00:00:00Z', 19.985, 1, 'x', \
                   null, null)"
            ),
        )
        .await;
        let rows = read(&migration, Kind::SalesData).await;
        assert_eq!(
            rows[0],
            r#"{"id":1,"userId":"6b0379ca3f6979be1a457c2c","bookId":"6b0379ca3f6979be1a457c2e","platform":"kdp","date":"2024-02-29","revenue":"19.99","units":3,"pageReads":7,"currency":"EUR","syncedAt":"2024-02-29T23:00:00Z"}"#
        );
        assert!(rows[1].contains("date: \"2023-02-29\" is not one day"), "{}", rows[1]);
        assert!(rows[1].contains("units: 5000000000 is not a whole number"), "{}", rows[1]);
        for said in ["book_id: \"stray\" is neither", "revenue: 19.985 is not an amount", "page_reads: \"x\""] {
            assert!(rows[2].contains(said), "{}", rows[2]);
        }
    })
    .await;
}

#[tokio::test]
async fn amounts_are_not_rounded() {
    on_database(async |database| {
        let migration = altered(
            database,
            &format!(
                "alter table sales_data alter revenue type numeric(12,4), \
                   alter units type smallint, alter synced_at type text; \
                 insert into sales_data (user_id, book_id, platform, date, revenue, units, synced_at) \
                 select '{USER}', '{BOOK}', 'kdp', '2024-01-01'::date + n::integer, amount, n, \
                   '2024-01-01 10:00' \
                 from unnest(array[0.0043, 12.5, 99999999.99, 'NaN', -0.01]) \
                   with ordinality as a (amount, n); \
                 alter table daily_aggregates alter total_revenue type money; \
                 insert into daily_aggregates (user_id, date, total_revenue, total_units) \
                   values ('{USER}', '2024-01-01', '$1,234.50', 1), \
                   ('{USER}', '2024-01-02', '$100,000,000.00', 1); \
                 alter table revenue_forecasts alter confidence type real, \
                   alter predicted_revenue type numeric, alter forecast_date type timestamp, \
                   alter factors type json using factors::json; \
                 insert into revenue_forecasts (user_id, forecast_date, predicted_revenue, \
                   confidence, factors) values ('{USER}', '2024-01-01', 1.10, 0.87, '{{\"a\": 1}}'), \
                   ('{USER}', '2024-01-01 01:00', 1.001, 0.875, '{{\"a\": 1, \"a\": 2}}'), \
                   ('{USER}', '2024-01-01', null, null, '\"\\u0000\"')"
            ),
        )
        .await;
        let rows = read(&migration, Kind::SalesData).await;
        assert!(rows[0].starts_with("1: revenue: 0.0043 is not an amount"), "{}", rows[0]);
        assert!(rows[1].contains(r#""revenue":"12.50""#), "{}", rows[1]);
        assert!(rows[1].contains("2024-01-01T10:00:00Z"), "{}", rows[1]);
        assert!(rows[2].contains(r#""revenue":"99999999.99""#), "{}", rows[2]);
        assert!(rows[3].starts_with("4: revenue: \"NaN\""), "{}", rows[3]);
        assert!(rows[4].contains(r#""revenue":"-0.01""#), "{}", rows[4]);
        let rows = read(&migration, Kind::RevenueForecasts).await;
        assert!(rows[0].contains(r#""confidence":"0.87""#), "{}", rows[0]);
        for field in ["forecast_date", "predicted_revenue", "confidence", "factors"] {
            assert!(rows[1].contains(&format!("{field}: ")), "{field}: {}", rows[1]);
        }
        assert!(rows[2].contains(r#""_setAside":{"factors":"#), "{}", rows[2]);
        let lane = Snapshot::rows(&migration, Kind::DailyAggregates).unwrap();
        let range = RowRange::ALL;
        let references = References::default();
        let opened = lane.open(Kind::DailyAggregates, range, 9, &references);
        let mut reader = opened.await.unwrap().unwrap();
        assert_eq!(reader.digest().await.unwrap().unwrap().rows, 1);
        reader.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_type_that_does_not_convert_is_one_line() {
    on_database(async |database| {
        let migration = altered(
            database,
            "alter table sales_data drop units, add units boolean, drop date, add date integer",
        )
        .await;
        let checked = migration
            .check(Kind::ANALYTICS)
            .await
            .unwrap_err()
            .to_string();
        for said in [
            "the column units of sales_data has the type boolean",
            "it needs integer",
            "the column date of sales_data has the type integer",
            "it needs date",
        ] {
            assert!(checked.contains(said), "{checked}");
        }
        assert!(!checked.contains('\n'), "{checked}");
    })
    .await;
}

#[tokio::test]
async fn what_is_missing_is_said() {
    on_database(async |database| {
        let migration = altered(
            database,
            &format!(
                "alter table sales_data alter revenue drop not null; \
                 insert into sales_data (user_id, book_id, platform, date, units) \
                   values ('{USER}', '{BOOK}', 'kdp', '2024-01-01', 1); \
                 alter table ai_insights alter content drop not null; \
                 insert into ai_insights (user_id, content) values \
                   ('{USER}', null), ('{USER}', 'null')"
            ),
        )
        .await;
        let sales = read(&migration, Kind::SalesData).await;
        assert!(sales[0].starts_with("1: revenue: is missing"), "{sales:?}");
        let insights = read(&migration, Kind::AiInsights).await;
        assert!(
            insights[0].starts_with("1: content: is missing"),
            "{insights:?}"
        );
        assert!(insights[1].contains(r#""content":null"#), "{insights:?}");
    })
    .await;
}

#[tokio::test]
async fn a_text_may_hold_json() {
    on_database(async |database| {
        let values = [
            (
                r#"{"a": [1, "x}", {"b": null}], "é": "\u00e9\ud83d\ude00"}"#,
                true,
            ),
            (" -1.5e3 ", true),
            (r#""\\u0000""#, true),
            ("[]", true),
            ("[1, 2", false),
            ("[1 2]", false),
            ("01", false),
            ("{'a': 1}", false),
            ("[v]", false),
            (r#"{"a": 1,}"#, false),
            (r#"{"a": 1, "a": 2}"#, false),
            (r#""\u0000""#, false),
            (r#""\ud800""#, false),
            ("1e99999", false),
            ("plain text", false),
            ("", false),
        ];
        let rows: Vec<String> = values
            .iter()
            .map(|(text, _)| format!("('{USER}', '{}')", text.replace('\'', "''")))
            .collect();
        let migration = altered(
            database,
            &format!(
                "alter table ai_insights alter content type text; \
                 insert into ai_insights (user_id, content) values {}",
                rows.join(", ")
            ),
        )
        .await;
        let scan = migration.scan(Kind::AiInsights, None, BatchLimits::default());
        let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
        let items = batches.into_iter().flat_map(|batch| batch.items);
        for (item, (text, is_json)) in items.zip(values) {
            assert_eq!(item.outcome.is_ok(), is_json, "{text}: {:?}", item.outcome);
        }
    })
    .await;
}

#[tokio::test]
async fn added_columns_move_and_come_back() {
    on_database(async |database| {
        let add = "alter table sync_logs add marketplace text not null default 'US', \
                   add \"Rate \"\"x\" numeric, add seen timestamp, add raw json";
        let migration = altered(
            database,
            &format!(
                "{add}; insert into sync_logs (user_id, platform, status, marketplace, \
                   \"Rate \"\"x\", seen, raw, extra) values \
                 ('{USER}', 'kdp', ' SUCCESS', 'DE', 1.50, '2024-01-01', '{{\"a\":1}}', \
                    '{{\"more\": 1}}'), \
                 ('{USER}', 'kdp', 'failed', 'FR', 12345678901234567890123, null, null, null)"
            ),
        )
        .await;
        let rows = read(&migration, Kind::SyncLogs).await;
        for said in [
            r#""status":"success""#,
            r#""marketplace":"DE""#,
            r#""Rate \"x":1.5"#,
            r#""more":1"#,
            r#""raw":{"a":1}"#,
        ] {
            assert!(rows[0].contains(said), "{said}: {}", rows[0]);
        }
        assert!(
            rows[1].contains(r#""12345678901234567890123""#),
            "{}",
            rows[1]
        );

        let scan = migration.scan(Kind::SyncLogs, None, BatchLimits::default());
        let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
        let items = batches.into_iter().flat_map(|batch| batch.items);
        let records: Vec<_> = items.map(|item| item.outcome.unwrap()).collect();
        database
            .execute("create table before as table sync_logs")
            .await;
        database.execute("truncate sync_logs").await;
        let batch = SinkBatch {
            kind: Kind::SyncLogs,
            upserts: &records,
            removals: &[],
        };
        let applied = migration.apply(&batch).await.unwrap();
        assert_eq!(applied.written, 2, "{applied:?}");
        let rows = "select (to_jsonb(b) - 'synced_at' - 'status')::text from {} as b order by id";
        let before = database.texts(&rows.replace("{}", "before")).await;
        let after = database.texts(&rows.replace("{}", "sync_logs")).await;
        assert_eq!(
            before
                .iter()
                .map(|row| row.replace("1.50", "1.5"))
                .collect::<Vec<_>>(),
            after
        );
        let again = migration.apply(&batch).await.unwrap();
        assert_eq!((again.written, again.unchanged), (0, 2));
    })
    .await;
}

#[tokio::test]
async fn insights_keep_their_user_however_deep() {
    on_database(async |database| {
        let deep = format!("{}1{}", "[".repeat(130), "]".repeat(130));
        let large = format!("1{}", "0".repeat(400));
        let migration = altered(
            database,
            &format!(
                "insert into ai_insights (user_id, content) values \
                   ('{USER}', '{deep}'), ('{USER}', '{large}')"
            ),
        )
        .await;
        let rows = read(&migration, Kind::AiInsights).await;
        assert_eq!(
            rows[0],
            "1: content: it is nested more than 100 levels deep; flatten it"
        );
        assert!(
            rows[1].contains("holds a number that is larger than any double"),
            "{}",
            rows[1]
        );
        assert!(!rows[1].contains("nested"), "{}", rows[1]);
        let found = migration
            .fetch(Kind::AiInsights, &["1".to_owned()])
            .await
            .unwrap();
        let json = migration.encode(Kind::AiInsights, &found[0].original);
        assert_eq!(json["user_id"], USER);
    })
    .await;
}

#[tokio::test]
async fn rests_of_floats_are_carried() {
    on_database(async |database| {
        let migration = altered(
            database,
            &format!(
                "insert into daily_aggregates (user_id, date, total_revenue, total_units, \
                   platform_breakdown) values \
                 ('{USER}', '2024-01-01', 1, 1, \
                   '{{\"kdp\": {{\"revenue\": 5.551115123125783e-17, \"units\": 1}}}}'), \
                 ('{USER}', '2024-01-02', 1, 1, '{{\"kdp\": {{}}}}')"
            ),
        )
        .await;
        let rows = read(&migration, Kind::DailyAggregates).await;
        assert!(rows.iter().all(|row| row.starts_with('{')), "{rows:?}");
    })
    .await;
}

#[tokio::test]
async fn rows_without_a_number_are_said() {
    on_database(async |database| {
        let migration = altered(
            database,
            &format!(
                "alter table sync_logs drop constraint sync_logs_pkey, alter id drop not null; \
                 insert into sync_logs (id, user_id, platform, status) values \
                   (null, '{USER}', 'kdp', 'failed'), (7, '{USER}', 'kdp', 'failed'), \
                   (7, '{USER}', 'kdp', 'failed')"
            ),
        )
        .await;
        let checked = migration
            .check(Kind::ANALYTICS)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            checked.contains("1 row of sync_logs has no number"),
            "{checked}"
        );
        assert!(
            checked.contains("rows of sync_logs share the number 7"),
            "{checked}"
        );
    })
    .await;
}
