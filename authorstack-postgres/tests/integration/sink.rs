//! PostgreSQL as what rows are moved into: the way back from Supabase.

use std::{collections::BTreeMap, sync::Arc};

use authorstack_core::{
    Amount, Book, DailyAggregate, Extra, Forecast, Id, Insight, MemoryStore, NewSyncLog, Sale,
    Sums, SyncLog, SyncStatus, User,
    migrate::{
        Applied, BatchLimits, Destination, Key, Kind, Problems, Record, RunOptions, ScannedBatch,
        Silent, Sink, SinkBatch, Snapshot, Status, plan, repair, run, verify,
    },
    testing::author,
};
use authorstack_postgres::{IdForm, IdMap, PostgresConfig, PostgresMigration, PostgresStore};
use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::common::{Database, on_database, stack};

/// The schema's tables as its own SQL makes them.
const SCHEMA: &str = include_str!("../schema.sql");

/// A user and books that a map gives UUIDs of an old app.
const MAPPED_USER: &str = "507f1f77bcf86cd799439011";
const MAPPED_BOOK: &str = "507f1f77bcf86cd799439012";
const USER_UUID: &str = "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11";
const BOOK_UUID: &str = "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d12";

fn map() -> IdMap {
    IdMap::parse(&format!(
        "{USER_UUID},{MAPPED_USER}\n{BOOK_UUID},{MAPPED_BOOK}"
    ))
    .unwrap()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn sums(revenue: &str, units: i64, page_reads: i64) -> Sums {
    Sums {
        revenue: revenue.parse().unwrap(),
        units,
        page_reads,
    }
}

fn sale(id: i64, user_id: Id<User>, book_id: Id<Book>, date: &str) -> Sale {
    Sale {
        id,
        user_id,
        book_id,
        channel: "kdp".parse().unwrap(),
        date: date.parse().unwrap(),
        revenue: amount("12.34"),
        units: 3,
        page_reads: 450,
        currency: "USD".parse().unwrap(),
        synced_at: Some("2024-03-02T04:05:06.789Z".parse().unwrap()),
        extra: Extra::new(),
    }
}

fn day(id: i64, user_id: Id<User>, books: &[Id<Book>], date: &str) -> DailyAggregate {
    let by_book = books.iter().map(|book| (*book, sums("12.34", 3, 450)));
    DailyAggregate {
        id,
        user_id,
        date: date.parse().unwrap(),
        totals: sums("24.68", 6, 900),
        platform_breakdown: BTreeMap::from([
            ("kdp".parse().unwrap(), sums("14.68", 4, 900)),
            ("my \"shop\"".parse().unwrap(), sums("-10.00", 2, 0)),
        ]),
        book_breakdown: by_book.collect(),
        extra: Extra::new(),
    }
}

fn log(id: i64, user_id: Id<User>) -> SyncLog {
    SyncLog {
        id,
        user_id,
        platform: "gumroad".parse().unwrap(),
        status: SyncStatus::Partial,
        records_synced: 17,
        error_message: Some("half of it: \u{1f4d6}".to_owned()),
        synced_at: Some("1969-12-31T23:59:59.999Z".parse().unwrap()),
        extra: Extra::new(),
    }
}

fn insight(id: i64, user_id: Id<User>, book_id: Option<Id<Book>>, content: Value) -> Insight {
    Insight {
        id,
        user_id,
        book_id,
        kind: Some("trend".parse().unwrap()),
        content,
        confidence: Some("0.85".parse().unwrap()),
        valid_until: Some("2030-01-01T00:00:00Z".parse().unwrap()),
        created_at: Some("2024-01-01T00:00:00Z".parse().unwrap()),
        extra: Extra::new(),
    }
}

fn forecast(id: i64, user_id: Id<User>) -> Forecast {
    Forecast {
        id,
        user_id,
        date: "2024-06-01".parse().unwrap(),
        predicted: Some(amount("99999999.99")),
        actual: None,
        confidence: None,
        factors: Some(json!({"season": [1, 1.0, 1e16, "x"], "none": null})),
        created_at: Some("2024-01-01T00:00:00Z".parse().unwrap()),
        extra: Extra::new(),
    }
}

/// Rows of a kind, some with everything and some with as little as there can be.
fn rows(kind: Kind, user: Id<User>, books: [Id<Book>; 2]) -> Vec<Record> {
    let [book, other] = books;
    match kind {
        Kind::SalesData => {
            let mut bare = sale(9, user, other, "9999-12-31");
            (bare.synced_at, bare.units, bare.revenue) = (None, -3, amount("-0.01"));
            bare.currency = "EUR".parse().unwrap();
            vec![
                sale(2, user, book, "2024-03-01").into(),
                sale(7, user, book, "2024-03-02").into(),
                bare.into(),
            ]
        }
        Kind::DailyAggregates => vec![
            day(3, user, &[book, other], "2024-03-01").into(),
            day(5, user, &[], "0001-01-01").into(),
        ],
        Kind::SyncLogs => {
            let mut bare = log(8, user);
            (bare.error_message, bare.synced_at) = (None, None);
            (bare.records_synced, bare.status) = (0, SyncStatus::Failed);
            vec![log(1, user).into(), bare.into()]
        }
        Kind::AiInsights => {
            let content = json!({"text": "\u{1f4d6} \"quoted\"", "sizes": [1, 1.0, -2.5e300]});
            let mut bare = insight(6, user, None, Value::Null);
            (bare.kind, bare.confidence) = (None, None);
            (bare.valid_until, bare.created_at) = (None, None);
            vec![insight(4, user, Some(book), content).into(), bare.into()]
        }
        Kind::RevenueForecasts => {
            let mut bare = forecast(12, user);
            (bare.predicted, bare.factors, bare.created_at) = (None, None, None);
            bare.actual = Some(amount("0.10"));
            vec![forecast(11, user).into(), bare.into()]
        }
        other => panic!("{other} are no rows"),
    }
}

fn people() -> (Id<User>, [Id<Book>; 2]) {
    (Id::new(), [Id::new(), Id::new()])
}

async fn store(database: &Database, ids: IdForm) -> PostgresStore {
    let config = PostgresConfig::new(database.url()).ids(ids);
    PostgresStore::connect(config).await.unwrap()
}

async fn prepared(database: &Database) -> PostgresMigration {
    let migration = database.store().await.migration(IdMap::default());
    migration.prepare().await.unwrap();
    migration
}

async fn upsert(sink: &impl Sink, records: &[Record]) -> Applied {
    apply(sink, records[0].kind(), records, &[]).await
}

async fn apply(sink: &impl Sink, kind: Kind, upserts: &[Record], removals: &[Key]) -> Applied {
    let batch = SinkBatch {
        kind,
        upserts,
        removals,
    };
    sink.apply(&batch).await.unwrap()
}

fn counts(applied: &Applied) -> (u64, u64, usize) {
    (applied.written, applied.unchanged, applied.refused.len())
}

async fn all(store: &impl Snapshot, kind: Kind) -> Vec<Record> {
    let scan = store.scan(kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
    let items = batches.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.outcome.unwrap()).collect()
}

/// The one problem of a record.
fn problem(problems: &Problems) -> (&str, &str) {
    let [problem] = problems.0.as_slice() else {
        panic!("{problems:?}");
    };
    (&problem.field, &problem.problem)
}

/// Rows of an id form come back as they were written, and writing them again changes nothing.
async fn come_back(database: &Database, ids: IdForm, map: IdMap, user: Id<User>, book: Id<Book>) {
    database.execute(SCHEMA).await;
    let migration = store(database, ids).await.migration(map);
    migration.prepare().await.unwrap();
    for &kind in Kind::ANALYTICS {
        let written = rows(kind, user, [book, Id::new()]);
        migration.begin(kind).await.unwrap();
        let applied = upsert(&migration, &written).await;
        assert_eq!(
            counts(&applied),
            (written.len() as u64, 0, 0),
            "{applied:?}"
        );
        migration.finish(kind).await.unwrap();
        assert_eq!(all(&migration, kind).await, written, "{kind}");
        let again = upsert(&migration, &written).await;
        assert_eq!(counts(&again), (0, written.len() as u64, 0), "{again:?}");
    }
}

#[tokio::test]
async fn rows_come_back_in_authorstacks_form() {
    let (user, [book, _]) = people();
    on_database(async |database| {
        come_back(database, IdForm::Embedded, IdMap::default(), user, book).await;
    })
    .await;
}

#[tokio::test]
async fn rows_come_back_padded_on_either_side() {
    let (user, [book, _]) = people();
    for (ids, zeros) in [
        (IdForm::PaddedLeft, "00000000%"),
        (IdForm::PaddedRight, "%00000000"),
    ] {
        on_database(async |database| {
            come_back(database, ids, IdMap::default(), user, book).await;
            let padded =
                format!("select user_id::text from sales_data where user_id::text like '{zeros}'");
            assert_eq!(database.texts(&padded).await.len(), 3);
        })
        .await;
    }
}

#[tokio::test]
async fn ids_of_a_map_go_back_to_their_uuids() {
    for ids in [IdForm::Embedded, IdForm::PaddedLeft, IdForm::PaddedRight] {
        on_database(async |database| {
            let (user, book) = (MAPPED_USER.parse().unwrap(), MAPPED_BOOK.parse().unwrap());
            come_back(database, ids, map(), user, book).await;
            let users = database
                .texts("select distinct user_id::text from sales_data")
                .await;
            assert_eq!(users, [USER_UUID]);
            let books = "select count(*)::text from sales_data where book_id = ";
            let books = database.texts(&format!("{books} '{BOOK_UUID}'")).await;
            assert_eq!(books, ["2"]);
            // A book of the map has its UUID in the sums, too; the other its digits.
            let keys = "select key from daily_aggregates, jsonb_object_keys(book_breakdown) as key \
                        order by length(key)";
            let keys = database.texts(keys).await;
            assert_eq!((keys[0].len(), keys[1].as_str()), (24, BOOK_UUID));
        })
        .await;
    }
}

#[tokio::test]
async fn an_id_whose_uuid_the_map_gives_away_is_refused() {
    on_database(async |database| {
        let (user, [book, other]) = people();
        let text = format!("{},{other}", user.to_uuid());
        let migration = database
            .store()
            .await
            .migration(IdMap::parse(&text).unwrap());
        migration.prepare().await.unwrap();
        let sound = sale(2, Id::new(), book, "2024-03-01");
        let records = [sale(1, user, book, "2024-03-01").into(), sound.into()];
        assert!(!migration.screen(&records[0]).is_empty());
        let applied = upsert(&migration, &records).await;
        assert_eq!(counts(&applied), (1, 0, 1));
        let (field, said) = problem(&applied.refused[0].1);
        assert_eq!(field, "user_id");
        assert!(
            said.contains("id_map_file") && said.contains(&other.to_string()),
            "{said}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_an_old_app_wrote_in_its_own_way_is_unchanged() {
    on_database(async |database| {
        database.execute(SCHEMA).await;
        let (user, [book, _]) = people();
        let (user_uuid, book_uuid) = (user.to_uuid(), book.to_uuid());
        database
            .execute(&format!(
                "insert into daily_aggregates values (3, '{user_uuid}', '2024-03-01', 24.68, 6, null, null, \
                   '{{\"{book_uuid}\": {{\"revenue\": \"24.680\", \"units\": 6.0}}}}'); \
                 insert into sales_data values (1, '{user_uuid}', '{book_uuid}', 'kdp', '2024-03-01', \
                   1, 1, null, null, null); \
                 insert into ai_insights values (2, '{user_uuid}', null, null, '1', null, 'infinity', null)"
            ))
            .await;
        let migration = prepared(database).await;
        for kind in [Kind::DailyAggregates, Kind::SalesData, Kind::AiInsights] {
            let held = all(&migration, kind).await;
            assert_eq!(counts(&upsert(&migration, &held).await), (0, 1, 0), "{kind}");
        }
        let raw = "select book_breakdown::text || (select valid_until::text from ai_insights) \
                   from daily_aggregates";
        let raw = database.texts(raw).await;
        assert!(raw[0].contains(&book_uuid.to_string()) && raw[0].ends_with("infinity"), "{raw:?}");
    })
    .await;
}

#[tokio::test]
async fn changed_rows_are_updated_and_others_stay() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, books) = people();
        for &kind in Kind::ANALYTICS {
            let mut records = rows(kind, user, books);
            upsert(&migration, &records).await;
            match &mut records[0] {
                Record::Sale(sale) => (sale.units, sale.synced_at) = (5, None),
                Record::DailyAggregate(day) => day.book_breakdown.clear(),
                Record::SyncLog(log) => log.error_message = None,
                Record::Insight(insight) => insight.content = Value::Null,
                Record::Forecast(forecast) => forecast.actual = Some(amount("1.00")),
                other => panic!("{other:?}"),
            }
            let applied = upsert(&migration, &records).await;
            let others = records.len() as u64 - 1;
            assert_eq!(counts(&applied), (1, others, 0), "{kind}");
            assert_eq!(all(&migration, kind).await, records, "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn removals_come_first() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, books) = people();
        for &kind in Kind::ANALYTICS {
            let records = rows(kind, user, books);
            upsert(&migration, &records).await;
            let gone = [records[0].key(), Key::Row(4_711)];
            let applied = apply(&migration, kind, &[], &gone).await;
            assert_eq!(
                (applied.removed, counts(&applied)),
                (1, (0, 0, 0)),
                "{kind}"
            );
            assert_eq!(all(&migration, kind).await, records[1..], "{kind}");
            assert_eq!(apply(&migration, kind, &[], &gone).await.removed, 0);
            // A row that is removed makes room for another of its place in the batch.
            let applied = apply(&migration, kind, &records[..1], &[records[1].key()]).await;
            assert_eq!((applied.removed, applied.written), (1, 1), "{kind}");
        }
        let (first, mut second) = (
            sale(20, user, books[0], "2020-01-01"),
            sale(21, user, books[0], "2020-01-01"),
        );
        second.units = 99;
        upsert(&migration, &[first.into()]).await;
        let second = [second.into()];
        let applied = apply(&migration, Kind::SalesData, &second, &[Key::Row(20)]).await;
        assert_eq!((applied.removed, counts(&applied)), (1, (1, 0, 0)));
    })
    .await;
}

#[tokio::test]
async fn a_platform_in_capitals_is_the_same_sale() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, [book, _]) = people();
        upsert(&migration, &[sale(1, user, book, "2024-03-01").into()]).await;
        let capitals = "update sales_data set platform = 'KDP'";
        database.execute(capitals).await;
        // The row is this record, and keeps its spelling.
        let mut changed = sale(1, user, book, "2024-03-01");
        let applied = upsert(&migration, &[changed.clone().into()]).await;
        assert_eq!(counts(&applied), (0, 1, 0));
        changed.units = 9;
        let applied = upsert(&migration, &[changed.into()]).await;
        assert_eq!(counts(&applied), (1, 0, 0));
        let held = "select platform || ' ' || units from sales_data";
        assert_eq!(database.texts(held).await, ["KDP 9"]);
        // Another number for it is refused.
        let applied = upsert(&migration, &[sale(2, user, book, "2024-03-01").into()]).await;
        assert_eq!(counts(&applied), (0, 0, 1));
        let (field, said) = problem(&applied.refused[0].1);
        assert_eq!(field, "date");
        assert!(said.starts_with("sale 1 is of the same user"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_place_that_another_row_has_is_refused() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, [book, other]) = people();
        upsert(&migration, &[sale(1, user, book, "2024-03-01").into()]).await;
        let records = [
            // Row 1 has this book, platform and day.
            sale(2, user, book, "2024-03-01").into(),
            sale(3, user, other, "2024-03-01").into(),
            // So has row 3, of this batch.
            sale(4, user, other, "2024-03-01").into(),
            sale(5, user, other, "2024-03-02").into(),
        ];
        let applied = upsert(&migration, &records).await;
        assert_eq!(counts(&applied), (2, 0, 2));
        let told: Vec<(usize, (&str, &str))> = applied
            .refused
            .iter()
            .map(|(index, problems)| (*index, problem(problems)))
            .collect();
        let words = |holder: u8| {
            format!(
                "sale {holder} is of the same user, book, platform and day; delete or change one \
                 of the two, then replay"
            )
        };
        assert_eq!(
            told,
            [
                (0, ("date", words(1).as_str())),
                (2, ("date", words(3).as_str()))
            ]
        );
        upsert(&migration, &[day(1, user, &[], "2024-03-01").into()]).await;
        let applied = upsert(&migration, &[day(2, user, &[], "2024-03-01").into()]).await;
        let (field, said) = problem(&applied.refused[0].1);
        assert_eq!(field, "date");
        assert!(
            said.starts_with("roll-up 1 is of the same user and day"),
            "{said}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_number_that_another_record_has_is_refused() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, books) = people();
        for &kind in Kind::ANALYTICS {
            let held = rows(kind, user, books);
            upsert(&migration, &held).await;
            // Another user's rows of the same numbers, and one of a new number.
            let mut others = rows(kind, Id::new(), books);
            if let Some(last) = others.pop() {
                let moved = with_number(last, 100);
                others.push(moved);
            }
            let applied = upsert(&migration, &others).await;
            assert_eq!(counts(&applied), (1, 0, others.len() - 1), "{kind}");
            for (index, problems) in &applied.refused {
                let (field, said) = problem(problems);
                let number = others[*index].key().to_string();
                assert_eq!(field, "id");
                assert!(
                    said.starts_with(&format!("{number} is the number of another")),
                    "{said}"
                );
            }
            let kept = all(&migration, kind).await;
            assert_eq!(kept[..held.len()], held, "{kind}");
        }
    })
    .await;
}

fn with_number(record: Record, number: i64) -> Record {
    match record {
        Record::Sale(sale) => Sale {
            id: number,
            ..*sale
        }
        .into(),
        Record::DailyAggregate(day) => DailyAggregate { id: number, ..*day }.into(),
        Record::SyncLog(log) => SyncLog { id: number, ..*log }.into(),
        Record::Insight(insight) => Insight {
            id: number,
            ..*insight
        }
        .into(),
        Record::Forecast(forecast) => Forecast {
            id: number,
            ..*forecast
        }
        .into(),
        other => panic!("{other:?} has no number"),
    }
}

#[tokio::test]
async fn of_two_records_of_one_number_the_first_counts() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, [book, other]) = people();
        let first: Record = sale(1, user, book, "2024-03-01").into();
        let records = [
            first.clone(),
            first.clone(),
            sale(1, user, other, "2024-03-02").into(),
        ];
        let applied = upsert(&migration, &records).await;
        assert_eq!(counts(&applied), (1, 1, 1));
        assert_eq!(applied.refused[0].0, 2);
        assert_eq!(problem(&applied.refused[0].1).0, "id");
        assert_eq!(all(&migration, Kind::SalesData).await, [first]);
    })
    .await;
}

#[tokio::test]
async fn what_the_server_refuses_is_named_and_the_rest_is_written() {
    on_database(async |database| {
        let migration = prepared(database).await;
        database
            .execute("alter table sales_data add constraint not_seven check (units <> 7)")
            .await;
        let (user, [book, _]) = people();
        let mut records: Vec<Record> = Vec::new();
        for number in 1..=50 {
            let date = format!("2024-{:02}-{:02}", 1 + number / 25, 1 + number % 25);
            let mut sale = sale(number, user, book, &date);
            if number == 13 || number == 40 {
                sale.units = 7;
            }
            records.push(sale.into());
        }
        // The table's numbers have four bytes; and a date that PostgreSQL has not.
        records.push(sale(1 << 40, user, book, "2025-01-01").into());
        let mut ancient = sale(60, user, book, "2025-01-02");
        ancient.synced_at = Some("-4714-01-01T00:00:00Z".parse().unwrap());
        records.push(ancient.into());
        let applied = upsert(&migration, &records).await;
        assert_eq!(counts(&applied), (48, 0, 4));
        let indexes: Vec<usize> = applied.refused.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [12, 39, 50, 51]);
        assert!(applied.refused[0].1.to_string().contains("not_seven"));
        let (field, said) = problem(&applied.refused[2].1);
        assert!(field == "id" && said.contains("bigint"), "{said}");
        let (field, said) = problem(&applied.refused[3].1);
        assert!(field == "synced_at" && said.contains("4713 BC"), "{said}");
        assert_eq!(
            migration.screen(&records[51]).to_string(),
            applied.refused[3].1.to_string()
        );
        assert_eq!(all(&migration, Kind::SalesData).await.len(), 48);
        // The same of rows that are there already.
        let Record::Sale(mut changed) = records[0].clone() else {
            panic!("sales are sales");
        };
        changed.units = 7;
        let applied = upsert(&migration, &[(*changed).into(), records[1].clone()]).await;
        assert_eq!((counts(&applied), applied.refused[0].0), ((0, 1, 1), 0));
    })
    .await;
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_fixed_by_its_own_record_alone() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, [book, _]) = people();
        let record: Record = sale(1, user, book, "2024-03-01").into();
        let other: Record = sale(2, user, book, "2024-03-02").into();
        upsert(&migration, &[record.clone(), other.clone()]).await;
        database
            .execute("update sales_data set currency = '1'; update sales_data set date = '2020-01-01' where id = 2")
            .await;
        let applied = upsert(&migration, &[record, other]).await;
        assert_eq!(counts(&applied), (1, 0, 1));
        assert_eq!(problem(&applied.refused[0].1).0, "id");
    })
    .await;
}

#[tokio::test]
async fn new_rows_are_numbered_behind_those_that_came() {
    on_database(async |database| {
        let store = database.store().await;
        let migration = store.migration(IdMap::default());
        migration.prepare().await.unwrap();
        let (user, _) = people();
        upsert(&migration, &[log(41, user).into()]).await;
        for _ in 0..2 {
            migration.finish(Kind::SyncLogs).await.unwrap();
        }
        let new = NewSyncLog {
            platform: "kdp".parse().unwrap(),
            status: SyncStatus::Success,
            records_synced: 1,
            error_message: None,
        };
        let logged = stack(&store)
            .sync_logs()
            .create(user, new.clone())
            .await
            .unwrap();
        assert_eq!(logged.id, 42);
        // The end of another pass does not set the numbers back.
        apply(&migration, Kind::SyncLogs, &[], &[Key::Row(42)]).await;
        migration.finish(Kind::SyncLogs).await.unwrap();
        let logged = stack(&store).sync_logs().create(user, new).await.unwrap();
        assert_eq!(logged.id, 43);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_there_is_seen_before_a_run() {
    on_database(async |database| {
        let migration = database.store().await.migration(IdMap::default());
        let empty = migration.inspect().await.unwrap();
        assert_eq!(
            empty.pending_migrations,
            [
                "20261124000000_analytics.sql",
                "20261127030000_platforms.sql",
                "20261128000000_extra.sql"
            ]
        );
        assert_eq!(
            (empty.blockers.len(), empty.records.len()),
            (0, 0),
            "{empty:?}"
        );
        migration.prepare().await.unwrap();
        let (user, books) = people();
        upsert(&migration, &rows(Kind::SalesData, user, books)).await;
        let ready = migration.inspect().await.unwrap();
        assert_eq!(
            (ready.pending_migrations.len(), ready.blockers.len()),
            (0, 0)
        );
        assert_eq!(ready.records.len(), Kind::ANALYTICS.len());
        assert_eq!(ready.records[0], (Kind::SalesData, 3));
        assert_eq!(ready.notes.len(), 1, "{:?}", ready.notes);
        database
            .execute(
                "alter table sales_data drop column page_reads; \
                 alter table daily_aggregates drop constraint daily_aggregates_user_id_date_key; \
                 drop table sync_logs; insert into _sqlx_migrations \
                   select 99990101000000, '', now(), true, '', 0",
            )
            .await;
        let blocked = migration.inspect().await.unwrap();
        let blockers = blocked.blockers.join("\n");
        for part in [
            "99990101000000",
            "page_reads",
            "user_id, date",
            "sync_logs is gone",
        ] {
            assert!(blockers.contains(part), "{part}: {blockers}");
        }
        assert_eq!(blocked.blockers.len(), 4, "{blockers}");
    })
    .await;
}

#[tokio::test]
async fn a_role_that_may_only_read_is_named() {
    on_database(async |database| {
        prepared(database).await;
        let role = format!("{}_reader", database.name);
        database
            .execute(&format!(
                "create role {role} login password 'read'; \
                 grant select on all tables in schema public to {role}"
            ))
            .await;
        let mut url: url::Url = database.url().parse().unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("read")).unwrap();
        let look = async {
            let store = PostgresStore::connect(PostgresConfig::new(url)).await?;
            let seen = store.migration(IdMap::default()).inspect().await;
            store.close().await;
            seen
        };
        let seen = look.await;
        let forget =
            format!("revoke all on all tables in schema public from {role}; drop role {role}");
        database.execute(&forget).await;
        let blockers = seen.unwrap().blockers;
        assert_eq!(blockers.len(), Kind::ANALYTICS.len(), "{blockers:?}");
        let said = format!("the role {role} may not write to sales_data; ");
        assert!(blockers[0].starts_with(&said), "{blockers:?}");
    })
    .await;
}

#[tokio::test]
async fn numbers_that_the_table_always_gives_itself_are_kept() {
    on_database(async |database| {
        let migration = prepared(database).await;
        database
            .execute(
                "alter table sync_logs alter id drop default; drop sequence sync_logs_id_seq; \
                 alter table sync_logs alter id add generated always as identity",
            )
            .await;
        let (user, books) = people();
        let records = rows(Kind::SyncLogs, user, books);
        assert_eq!(upsert(&migration, &records).await.written, 2);
        assert_eq!(upsert(&migration, &records).await.unchanged, 2);
        migration.finish(Kind::SyncLogs).await.unwrap();
        assert_eq!(all(&migration, Kind::SyncLogs).await, records);
        let next = "insert into sync_logs (user_id, platform, status) \
                    select user_id, platform, status from sync_logs where id = 8 returning id::text";
        assert_eq!(database.texts(next).await, ["9"]);
    })
    .await;
}

/// A store in memory with rows of two users.
async fn filled() -> MemoryStore {
    let store = MemoryStore::new();
    let stack = store.stack();
    for n in 0..2 {
        let user = author(&stack, &format!("user{n}")).await.id;
        let mut books = [Id::new(); 2];
        for book in &mut books {
            let new = authorstack_core::NewBook::new("Title");
            *book = stack.books().create(user, new).await.unwrap().id;
        }
        for &kind in Kind::ANALYTICS {
            let records = rows(kind, user, books).into_iter();
            let records = records.map(|record| {
                let Key::Row(number) = record.key() else {
                    panic!("rows have numbers");
                };
                with_number(record, number + 100 * n)
            });
            let records: Vec<Record> = records.collect();
            let applied = upsert(&store, &records).await;
            assert!(applied.refused.is_empty(), "{applied:?}");
        }
    }
    store
}

#[tokio::test]
async fn a_run_from_another_store_ends_with_equal_rows() {
    on_database(async |database| {
        let migration = database.store().await.migration(map());
        let source = filled().await;
        let from: Arc<dyn Snapshot> = Arc::new(source.clone());
        let to = Destination::paired(Arc::new(migration.clone()), Arc::new(MemoryStore::new()));
        let options = RunOptions {
            kinds: Kind::ANALYTICS.to_vec(),
            limits: BatchLimits {
                records: 3,
                bytes: 1 << 20,
            },
        };
        let planned = plan(from.clone(), &to, Kind::ANALYTICS, &Silent).await;
        assert!(planned.unwrap().blockers.is_empty());
        let report = run(from.clone(), &to, &options, &Silent).await.unwrap();
        assert_eq!(report.status, Status::Complete, "{report:?}");
        for &kind in Kind::ANALYTICS {
            assert_eq!(
                all(&migration, kind).await,
                all(&source, kind).await,
                "{kind}"
            );
        }
        let verified = verify(from.clone(), &to, Kind::ANALYTICS, &Silent).await;
        assert_eq!(verified.unwrap().status, Status::Complete);
        let again = run(from.clone(), &to, &options, &Silent).await.unwrap();
        for (first, second) in report.kinds.iter().zip(again.kinds) {
            assert_eq!(second.counts.unchanged, first.counts.read, "{second:?}");
        }
        // What differs is found and copied again.
        database
            .execute("update sales_data set units = 1 where id = 2; delete from sync_logs")
            .await;
        let found = verify(from.clone(), &to, Kind::ANALYTICS, &Silent).await;
        assert_eq!(found.unwrap().status, Status::Incomplete);
        repair(from.clone(), &to, Kind::ANALYTICS, &Silent)
            .await
            .unwrap();
        let verified = verify(from, &to, Kind::ANALYTICS, &Silent).await;
        assert_eq!(verified.unwrap().status, Status::Complete);

        // And out again, into another store.
        let back = MemoryStore::new();
        let users = RunOptions {
            kinds: vec![Kind::Users, Kind::Books],
            ..options.clone()
        };
        let out = Destination::transactional(Arc::new(back.clone()));
        run(Arc::new(source.clone()), &out, &users, &Silent)
            .await
            .unwrap();
        let report = run(Arc::new(migration), &out, &options, &Silent).await;
        assert_eq!(report.unwrap().status, Status::Complete);
        for &kind in Kind::ANALYTICS {
            assert_eq!(all(&back, kind).await, all(&source, kind).await, "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn writers_of_the_same_rows_do_not_disturb_each_other() {
    on_database(async |database| {
        let migration = prepared(database).await;
        let (user, books) = people();
        let records: Vec<Record> = (1..=200)
            .map(|number| {
                let content = json!({"number": number});
                insight(number, user, Some(books[0]), content).into()
            })
            .collect();
        let mut backwards = records.clone();
        backwards.reverse();
        upsert(&migration, &records[..100]).await;
        let (one, other) =
            futures::join!(upsert(&migration, &records), upsert(&migration, &backwards));
        assert_eq!(
            (one.refused.len(), other.refused.len()),
            (0, 0),
            "{one:?} {other:?}"
        );
        assert_eq!(one.written + other.written, 100, "{one:?} {other:?}");
        assert_eq!(all(&migration, Kind::AiInsights).await, records);
        let again = upsert(&migration, &backwards).await;
        assert_eq!(counts(&again), (0, 200, 0));
    })
    .await;
}
