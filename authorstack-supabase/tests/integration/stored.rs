//! `verify` compares digests of the form in which the server holds records.

use crate::common;

use std::{collections::HashMap, sync::Arc};

use authorstack_core::migrate::{
    BatchLimits, DifferenceKind, Digest, Digests, Key, Kind, RunOptions, Silent, Snapshot, Status,
    repair, run, verify,
};
use common::{Host, Via, filled::filled, on_database, scan};
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, raw_sql};

async fn move_in(from: &Arc<dyn Snapshot>, store: &Host) {
    let to = store.destination();
    let options = RunOptions {
        kinds: Kind::DATA.to_vec(),
        ..RunOptions::default()
    };
    let report = run(from.clone(), &to, &options, &Silent).await;
    assert_eq!(report.unwrap().status, Status::Complete);
}

async fn stored(snapshot: &dyn Snapshot, kind: Kind) -> Vec<(Key, Digest)> {
    let batches = snapshot.stored(kind, BatchLimits::default()).unwrap();
    let batches: Vec<Digests> = batches.try_collect().await.unwrap();
    batches
        .into_iter()
        .flat_map(|batch| batch.entries)
        .collect()
}

#[tokio::test]
async fn the_stored_form_of_every_document_is_known() {
    on_database(async |database| {
        let memory = filled().await;
        let store = database.migrated(Via::Direct).await;
        move_in(&(Arc::new(memory.clone()) as Arc<dyn Snapshot>), &store).await;
        let snapshot = store.migration();
        for kind in Kind::DOCUMENTS {
            let mut expected = Vec::new();
            for record in scan(&memory, *kind).await {
                let mut form = Vec::new();
                assert!(snapshot.write_stored(&record, &mut form), "{record:?}");
                expected.push((record.key(), Digest::of_bytes(&form)));
            }
            assert!(!expected.is_empty(), "{kind}");
            assert_eq!(stored(&snapshot, *kind).await, expected, "{kind}");
        }
    })
    .await;
}

/// Nothing hinders a change of a value.
const WITHOUT_RULES: &str = "do $$ declare found record; begin \
    for found in select conrelid::regclass as held, conname from pg_constraint \
      where connamespace = 'public'::regnamespace and contype in ('f', 'c', 'x') and conparentid = 0 \
    loop execute format('alter table %s drop constraint if exists %I cascade', found.held, found.conname); end loop; \
    for found in select distinct tgrelid::regclass as held from pg_trigger as held \
      join pg_class on pg_class.oid = tgrelid where relnamespace = 'public'::regnamespace and not tgisinternal \
    loop execute format('alter table %s disable trigger user', found.held); end loop; \
    end $$";

/// Another value of a column's type, as little different as can be.
fn other(column: &str, of: &str) -> Option<String> {
    Some(match of {
        "uuid" => format!("overlay({column}::text placing '1' from 36)::uuid"),
        "text" | "character varying" => {
            format!("overlay(coalesce({column}, '') placing '~' from 1)")
        }
        "ARRAY" => format!("coalesce({column}, '{{}}') || array['']"),
        "boolean" => format!("not coalesce({column}, false)"),
        "timestamp with time zone" => {
            format!("coalesce({column}, now()) + interval '1 microsecond'")
        }
        "integer" | "bigint" | "numeric" | "double precision" => {
            format!("-1 - coalesce({column}, 0)")
        }
        "jsonb" => format!(
            "case jsonb_typeof({column}) when 'object' then {column} || '{{\"\": null}}' \
             when 'array' then {column} || '[null]' else '{{}}' end"
        ),
        _ => return None,
    })
}

async fn differing(from: &Arc<dyn Snapshot>, store: &Host, kind: Kind) -> u64 {
    let to = store.destination();
    let verified = verify(from.clone(), &to, &[kind], &Silent).await.unwrap();
    let kind = &verified.kinds[0];
    assert_eq!(kind.report.differing > 0, kind.differing_ranges > 0);
    kind.report.differing
}

#[tokio::test]
async fn a_change_of_any_value_of_a_document_is_found() {
    on_database(async |database| {
        let memory = filled().await;
        let store = database.migrated(Via::Direct).await;
        let from: Arc<dyn Snapshot> = Arc::new(memory.clone());
        move_in(&from, &store).await;
        database.execute(WITHOUT_RULES).await;
        database.execute("create schema saved").await;
        let types = database
            .texts(
                "select table_name || '.' || column_name || ' ' || data_type \
                 from information_schema.columns where table_schema = 'public'",
            )
            .await;
        let types = types.iter().filter_map(|line| line.split_once(' '));
        let types: HashMap<String, String> = types
            .map(|(column, of)| (column.to_owned(), of.to_owned()))
            .collect();
        let mut connection = database.connection().await;
        let snapshot = store.migration();
        let mut tried = 0;
        for kind in Kind::DOCUMENTS {
            let names = kind.column_names();
            let columns = names.join(", ");
            let save = format!("create table saved.{kind} as select * from public.{kind}");
            database.execute(&save).await;
            let expected = stored(&snapshot, *kind).await;
            for column in &names {
                let of = &types[&format!("{kind}.{column}")];
                let other = other(column, of);
                let other = other.unwrap_or_else(|| format!("no other value for {column}: {of}"));
                let change = format!(
                    "update public.{kind} set {column} = {other} \
                     where ctid = (select min(ctid) from public.{kind})"
                );
                raw_sql(AssertSqlSafe(change.clone()))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                let found = stored(&snapshot, *kind).await;
                assert_ne!(found, expected, "{kind}.{column}: {change}");
                let put_back = format!(
                    "delete from public.{kind}; \
                     insert into public.{kind} ({columns}) select {columns} from saved.{kind}"
                );
                raw_sql(AssertSqlSafe(put_back))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                tried += 1;
            }
            assert_eq!(stored(&snapshot, *kind).await, expected, "{kind}");
        }
        assert!(tried > 50, "{tried}");
    })
    .await;
}

#[tokio::test]
async fn values_that_change_places_are_found_and_put_right() {
    on_database(async |database| {
        let memory = filled().await;
        let store = database.migrated(Via::Direct).await;
        let from: Arc<dyn Snapshot> = Arc::new(memory.clone());
        move_in(&from, &store).await;
        database.execute(WITHOUT_RULES).await;
        // Two users exchange their names; one document's title moves to its subtitle.
        for (kind, change, expected) in [
            (
                Kind::Users,
                "update public.users as one set name = other.name from public.users as other \
                 where one.name in ('user0', 'user1') and other.name in ('user0', 'user1') \
                 and one.id <> other.id",
                vec!["name"; 2],
            ),
            (
                Kind::Books,
                "update public.books set subtitle = title, title = '' \
                 where ctid = (select min(ctid) from public.books)",
                vec!["title"],
            ),
            // As jsonb these numbers are equal.
            (
                Kind::Checklists,
                "update public.checklists set extra = jsonb_set(extra, '{__v}', '0.0') \
                 where ctid = (select min(ctid) from public.checklists)",
                vec!["extra"],
            ),
        ] {
            database.execute(change).await;
            let to = store.destination();
            let verified = verify(from.clone(), &to, &[kind], &Silent).await.unwrap();
            let found = &verified.kinds[0];
            assert_eq!(found.report.differing, expected.len() as u64, "{found:?}");
            for (difference, field) in found.differences.iter().zip(expected) {
                let found = match &difference.difference {
                    DifferenceKind::Differs { fields }
                    | DifferenceKind::UnreadableInTarget { fields } => fields.clone(),
                    other => vec![format!("{other:?}")],
                };
                assert!(found.iter().any(|name| name == field), "{found:?}");
            }
            repair(from.clone(), &to, &[kind], &Silent).await.unwrap();
            assert_eq!(differing(&from, &store, kind).await, 0, "{kind}");
            assert_eq!(
                scan(&store.migration(), kind).await,
                scan(&memory, kind).await
            );
        }
    })
    .await;
}
