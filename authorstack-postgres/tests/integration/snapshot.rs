//! PostgreSQL as what rows are read from.

use std::sync::Arc;

use authorstack_core::{
    ErrorKind, Id,
    migrate::{
        BatchLimits, Key, Kind, Position, References, RowRange, Scanned, ScannedBatch, Snapshot,
        UnfitRow,
    },
};
use authorstack_postgres::{IdForm, IdMap, PostgresConfig, PostgresMigration, PostgresStore};
use futures::TryStreamExt;

use crate::common::{Database, on_database};

const USER: &str = "6b0379ca-3f69-879b-8e1a-457c2c000000";
const OTHER: &str = "6b0379ca-3f69-879b-8e1a-457c2d000000";
const BOOK: &str = "6b0379ca-3f69-879b-8e1a-457c2e000000";
const STRAY: &str = "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11";

async fn insights(database: &Database) -> PostgresMigration {
    let store = database.store().await;
    store.migrate().await.unwrap();
    database
        .execute(&format!(
            "insert into ai_insights (id, user_id, book_id, content) values \
               (1, '{USER}', '{BOOK}', '1'), (2, '{OTHER}', null, '2'), \
               (4, '{STRAY}', null, '4'), (8, '{USER}', '{STRAY}', '8'), (9, '{USER}', null, '9')"
        ))
        .await;
    store.migration(IdMap::default())
}

fn keys(items: &[Scanned]) -> Vec<&str> {
    let mut keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_scan_goes_on_behind_any_position() {
    on_database(async |database| {
        let migration = insights(database).await;
        assert_eq!(migration.count(Kind::AiInsights).await.unwrap(), 5);
        let limits = BatchLimits {
            records: 2,
            ..BatchLimits::default()
        };
        let after = Some(Position("1".to_owned()));
        let scan = migration.scan(Kind::AiInsights, after, limits);
        let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
        let read: Vec<Vec<&str>> = batches.iter().map(|batch| keys(&batch.items)).collect();
        assert_eq!(read, [["2", "4"], ["8", "9"]]);
        assert_eq!(batches[1].position, Position("9".to_owned()));
        let wrong = Some(Position("x".to_owned()));
        let scan = migration.scan(Kind::AiInsights, wrong, limits);
        assert!(scan.try_collect::<Vec<_>>().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn many_keys_are_fetched_at_once() {
    on_database(async |database| {
        let migration = insights(database).await;
        let wanted = ["9", "1", "4", "77", "no number"].map(str::to_owned);
        let found = migration.fetch(Kind::AiInsights, &wanted).await.unwrap();
        assert_eq!(keys(&found), ["1", "4", "9"]);
        for item in &found {
            let json = migration.encode(Kind::AiInsights, &item.original);
            let read = migration.decode(Kind::AiInsights, &json);
            match (&item.outcome, read) {
                (Ok(record), Ok(read)) => assert_eq!(*record, read),
                (Err(problems), Err(read)) => {
                    assert_eq!(*problems, read);
                    assert!(problems.0[0].problem.contains(STRAY), "{problems}");
                }
                other => panic!("{other:?}"),
            }
        }
        let none = migration.fetch(Kind::AiInsights, &[]).await.unwrap();
        assert!(none.is_empty());
        let documents = migration.fetch(Kind::Users, &wanted).await;
        assert!(documents.is_err());
    })
    .await;
}

#[tokio::test]
async fn rows_of_absent_records_are_refused_by_name() {
    on_database(async |database| {
        let migration = insights(database).await;
        let lane = Snapshot::rows(&migration, Kind::AiInsights).unwrap();
        let mut users: Vec<Id<_>> = Vec::new();
        let mut found = lane.references(Kind::AiInsights, Kind::Users);
        while let Some(ids) = found.try_next().await.unwrap() {
            users.extend(ids.into_iter().flatten());
        }
        users.sort_unstable();
        let [user, other, book] =
            [USER, OTHER, BOOK].map(|uuid| Id::from_uuid(uuid.parse().unwrap()).unwrap());
        assert_eq!(users, [user, other]);
        let mut posts = lane.references(Kind::AiInsights, Kind::CommunityPosts);
        assert!(posts.try_next().await.is_err());

        let references = References {
            absent: vec![
                (Kind::Users, Arc::from([other])),
                (Kind::Books, Arc::from([book])),
            ],
            with_ids: Vec::new(),
        };
        let opened = lane.open(Kind::AiInsights, RowRange::ALL, 100, &references);
        let mut reader = opened.await.unwrap().unwrap();
        assert_eq!(reader.digest().await.unwrap().unwrap().rows, 1);
        let refused: Vec<Vec<UnfitRow>> = reader.refused().try_collect().await.unwrap();
        let refused = refused
            .into_iter()
            .map(|rows| rows.into_iter().map(|unfit| unfit.row).collect());
        let refused: Vec<Vec<Scanned>> = refused.collect();
        let refused: Vec<String> = refused
            .into_iter()
            .flatten()
            .map(|row| format!("{}: {}", row.key, row.outcome.unwrap_err()))
            .collect();
        let starts = [
            format!("1: book_id: there is no book {book} in the target; "),
            format!("2: user_id: there is no user {other} in the target; "),
            format!("4: user_id: the UUID {STRAY}"),
            format!("8: book_id: the UUID {STRAY}"),
        ];
        assert_eq!(refused.len(), starts.len(), "{refused:?}");
        for (said, start) in refused.iter().zip(starts) {
            assert!(said.starts_with(&start), "{said}");
        }
        // A list of none is no list.
        reader.close().await.unwrap();
        let none = References {
            absent: vec![(Kind::Users, Arc::from([]))],
            ..References::default()
        };
        let opened = lane.open(Kind::AiInsights, RowRange::ALL, 100, &none);
        let mut reader = opened.await.unwrap().unwrap();
        assert_eq!(reader.digest().await.unwrap().unwrap().rows, 3);
        assert_eq!(
            reader.fetch(&[9]).await.unwrap()[0].key,
            Key::Row(9).to_string()
        );
        reader.close().await.unwrap();
    })
    .await;
}

/// Columns whose ids all hold are not checked again row by row, where they move as they are.
#[tokio::test]
async fn ids_that_all_hold_are_not_checked_again() {
    on_database(async |database| {
        let migration = insights(database).await;
        let stale = References {
            with_ids: vec!["user_id", "book_id"],
            ..References::default()
        };
        let rows = async |migration: &PostgresMigration, references: &References| {
            let lane = Snapshot::rows(migration, Kind::AiInsights).unwrap();
            let opened = lane.open(Kind::AiInsights, RowRange::ALL, 100, references);
            let mut reader = opened.await.unwrap().unwrap();
            let movable = reader.digest().await.unwrap().unwrap().rows;
            let refused: Vec<Vec<UnfitRow>> = reader.refused().try_collect().await.unwrap();
            assert_eq!(movable + refused.concat().len() as u64, reader.rows());
            reader.close().await.unwrap();
            movable
        };
        assert_eq!(rows(&migration, &References::default()).await, 3);
        assert_eq!(rows(&migration, &stale).await, 5);
        // Other ids are those of a map or converted, so their rows are checked.
        let map = IdMap::parse(&format!("{BOOK},65f000000000000000000001"));
        let mapped = database.store().await.migration(map.unwrap());
        assert_eq!(rows(&mapped, &stale).await, 3);
        let config = PostgresConfig::new(database.url()).ids(IdForm::PaddedRight);
        let padded = PostgresStore::connect(config).await.unwrap();
        let padded = padded.migration(IdMap::default());
        assert_eq!(rows(&padded, &stale).await, 0);
        database
            .execute("alter table ai_insights alter column user_id type text")
            .await;
        assert_eq!(rows(&migration, &stale).await, 4);
    })
    .await;
}

/// A value without an id is none of the ids that are looked up, and is not passed over. `NULL` is no
/// value.
#[tokio::test]
async fn values_without_ids_are_noticed() {
    on_database(async |database| {
        let migration = insights(database).await;
        let lane = Snapshot::rows(&migration, Kind::AiInsights).unwrap();
        let stray = async |to: Kind| {
            let found = lane.references(Kind::AiInsights, to);
            let found: Vec<Vec<Option<Id<_>>>> = found.try_collect().await.unwrap();
            found.concat().iter().any(Option::is_none)
        };
        assert!(stray(Kind::Users).await && stray(Kind::Books).await);
        database
            .execute("delete from ai_insights where id = 8")
            .await;
        assert!(stray(Kind::Users).await && !stray(Kind::Books).await);
        database
            .execute(
                "alter table ai_insights alter column user_id type text; \
                 update ai_insights set user_id = 'ada' where id = 4",
            )
            .await;
        assert!(stray(Kind::Users).await);

        // The books of sales need not exist.
        let with_ids = async || lane.with_ids(Kind::SalesData).await.unwrap();
        assert_eq!(with_ids().await, ["book_id"]);
        database
            .execute(&format!(
                "insert into sales_data (user_id, book_id, platform, date, revenue, units) values \
                   ('{STRAY}', '{BOOK}', 'kdp', '2024-01-01', 1, 1)"
            ))
            .await;
        assert_eq!(with_ids().await, ["book_id"]);
        database
            .execute(&format!("update sales_data set book_id = '{STRAY}'"))
            .await;
        assert_eq!(with_ids().await, <[&str; 0]>::default());
    })
    .await;
}

/// A migration as another role, which may read the tables.
async fn as_reader(database: &Database, role: &str) -> PostgresMigration {
    let mut url: url::Url = database.url().parse().unwrap();
    url.set_username(role).unwrap();
    url.set_password(Some("read")).unwrap();
    let store = PostgresStore::connect(PostgresConfig::new(url)).await;
    store.unwrap().migration(IdMap::default())
}

#[tokio::test]
async fn rows_that_row_level_security_hides_are_not_taken_for_none() {
    on_database(async |database| {
        let migration = insights(database).await;
        migration.check(Kind::ANALYTICS).await.unwrap();
        let role = format!("{}_reader", database.name);
        database
            .execute(&format!(
                "create role {role} login password 'read'; \
                 grant select on all tables in schema public to {role}; \
                 alter table ai_insights enable row level security"
            ))
            .await;
        let reader = as_reader(database, &role).await;
        let checked = reader.check(Kind::ANALYTICS).await;
        let counted = reader.count(Kind::AiInsights).await;
        let scanned: Result<Vec<ScannedBatch>, _> = reader
            .scan(Kind::AiInsights, None, BatchLimits::default())
            .try_collect()
            .await;
        database
            .execute(&format!(
                "revoke all on all tables in schema public from {role}; drop role {role}"
            ))
            .await;
        let error = checked.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Configuration { .. }));
        let message = error.to_string();
        for part in ["row level security", "ai_insights", "BYPASSRLS"] {
            assert!(message.contains(part), "{message}");
        }
        for error in [counted.unwrap_err(), scanned.unwrap_err()] {
            let is_denied = matches!(error.kind(), ErrorKind::PermissionDenied { .. });
            assert!(is_denied, "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn settings_of_the_database_change_no_meaning() {
    on_database(async |database| {
        insights(database).await;
        let read = async || {
            let migration = database.store().await.migration(IdMap::default());
            let scan = migration.scan(Kind::AiInsights, None, BatchLimits::default());
            let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
            let items = batches.into_iter().flat_map(|batch| batch.items);
            let items = items.map(|item| {
                let outcome = item.outcome.map_err(|problems| problems.to_string());
                (item.key, outcome, item.original.bytes(None))
            });
            items.collect::<Vec<_>>()
        };
        database
            .execute(
                "update ai_insights set insight_type = 'trend', \
                   valid_until = '2024-02-03 04:05:06', confidence = 0.5",
            )
            .await;
        let before = read().await;
        assert_eq!(before.len(), 5);
        let name = &database.name;
        for setting in [
            "standard_conforming_strings to off",
            "datestyle to 'German, DMY'",
            "timezone to 'Asia/Kathmandu'",
            "bytea_output to 'escape'",
            "intervalstyle to 'sql_standard'",
            "extra_float_digits to -10",
            "row_security to off",
        ] {
            let alter = format!("alter database \"{name}\" set {setting}");
            database.execute(&alter).await;
        }
        assert_eq!(read().await, before);
    })
    .await;
}
