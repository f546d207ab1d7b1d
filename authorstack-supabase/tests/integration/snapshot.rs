//! Records leave Supabase as they are there, and what is no record is named.

use crate::common;

use std::sync::Arc;

use authorstack_core::{
    ErrorKind, MemoryStore, NewBook, NewUser,
    migrate::{
        BatchLimits, Destination, Kind, Ledger, Record, Reject, RejectLine, RunOptions, Scanned,
        ScannedBatch, Silent, Sink, SinkBatch, Snapshot, Status, repair, replay, run, verify,
    },
};
use authorstack_supabase::SupabaseMigration;
use common::{Database, Host, Via, filled::filled, on_database, scan};
use futures::{StreamExt, TryStreamExt, stream};

fn options(records: usize) -> RunOptions {
    RunOptions {
        limits: limits(records),
        kinds: Kind::DATA.to_vec(),
    }
}

fn limits(records: usize) -> BatchLimits {
    BatchLimits {
        records,
        ..BatchLimits::default()
    }
}

/// A database with records of every kind.
async fn moved_in(database: &Database) -> (Host, MemoryStore) {
    let memory = filled().await;
    let store = database.migrated(Via::Direct).await;
    let from = Arc::new(memory.clone());
    let report = run(from, &store.destination(), &options(100), &Silent).await;
    assert_eq!(report.unwrap().status, Status::Complete);
    (store, memory)
}

/// The way back into memory.
fn way_back(store: &Host) -> (Arc<SupabaseMigration>, MemoryStore, Destination) {
    let memory = MemoryStore::new();
    let ledger = Arc::new(store.return_ledger());
    let to = Destination::paired(Arc::new(memory.clone()), ledger);
    (Arc::new(store.migration()), memory, to)
}

async fn items(snapshot: &dyn Snapshot, kind: Kind) -> Vec<Scanned> {
    let batches = snapshot.scan(kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = batches.try_collect().await.unwrap();
    batches.into_iter().flat_map(|batch| batch.items).collect()
}

async fn rejects(to: &Destination) -> Vec<Reject> {
    let batches: Vec<Vec<Reject>> = to.rejects().try_collect().await.unwrap();
    batches.concat()
}

#[tokio::test]
async fn a_scan_goes_on_after_every_position() {
    on_database(async |database| {
        let (store, memory) = moved_in(database).await;
        let snapshot = store.migration();
        snapshot.check(Kind::DATA).await.unwrap();
        for kind in Kind::DATA {
            let expected = scan(&memory, *kind).await;
            assert_eq!(snapshot.count(*kind).await.unwrap(), expected.len() as u64);
            for size in [1, 2, 3] {
                let batches = snapshot.scan(*kind, None, limits(size));
                let batches: Vec<ScannedBatch> = batches.try_collect().await.unwrap();
                let mut read = 0;
                for batch in batches {
                    assert!(batch.items.len() <= size);
                    read += batch.items.len();
                    let rest = snapshot.scan(*kind, Some(batch.position), limits(100));
                    let rest: Vec<ScannedBatch> = rest.try_collect().await.unwrap();
                    let rest = rest.into_iter().flat_map(|batch| batch.items);
                    let rest: Vec<Record> = rest.map(|item| item.outcome.unwrap()).collect();
                    assert_eq!(rest, expected[read..], "{kind}");
                }
                assert_eq!(read, expected.len(), "{kind}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_kind_goes_back_as_it_was() {
    on_database(async |database| {
        let (store, memory) = moved_in(database).await;
        // A project of an earlier version, which has no ledger of the way back.
        let earlier = "drop table authorstack.return_checkpoints, authorstack.return_rejects; \
            delete from authorstack.schema_version where version = '20261126000000'; \
            delete from supabase_migrations.schema_migrations where version = '20261126000000'";
        database.execute(earlier).await;
        let (from, back, to) = way_back(&store);
        let report = run(from.clone(), &to, &options(3), &Silent).await.unwrap();
        assert_eq!(report.status, Status::Complete, "{report:?}");
        for kind in Kind::DATA {
            assert_eq!(
                scan(&back, *kind).await,
                scan(&memory, *kind).await,
                "{kind}"
            );
        }
        let verified = verify(from.clone(), &to, Kind::DATA, &Silent)
            .await
            .unwrap();
        assert_eq!(verified.status, Status::Complete, "{verified:?}");

        let again = run(from.clone(), &to, &options(100), &Silent)
            .await
            .unwrap();
        for kind in &again.kinds {
            assert_eq!(kind.counts.written, 0, "{kind:?}");
            assert_eq!(kind.counts.unchanged, kind.counts.read, "{kind:?}");
        }

        // What was changed there is found, and put right.
        let stack = back.stack();
        let Record::User(one) = scan(&memory, Kind::Users).await.remove(0) else {
            panic!("not a user");
        };
        stack.users().add_credits(one.id, 5).await.unwrap();
        let verified = verify(from.clone(), &to, Kind::DATA, &Silent)
            .await
            .unwrap();
        assert_eq!(verified.status, Status::Incomplete, "{verified:?}");
        repair(from.clone(), &to, Kind::DATA, &Silent)
            .await
            .unwrap();
        let verified = verify(from, &to, Kind::DATA, &Silent).await.unwrap();
        assert_eq!(verified.status, Status::Complete, "{verified:?}");
        assert_eq!(
            scan(&back, Kind::Users).await,
            scan(&memory, Kind::Users).await
        );

        // The ledger of the way here is as it was.
        let here = "select count(*)::text from authorstack.checkpoints where complete";
        assert_eq!(database.texts(here).await, [Kind::DATA.len().to_string()]);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_record_is_named_and_the_rest_moves() {
    on_database(async |database| {
        let (store, memory) = moved_in(database).await;
        database.without_checks("books").await;
        let spoil = "update public.books set metadata = '{\"pageCount\": \"many\"}' \
                     where id = (select min(id::text)::uuid from public.books)";
        database.execute(spoil).await;
        let expected = scan(&memory, Kind::Books).await;
        let (from, back, to) = way_back(&store);

        let found = items(from.as_ref(), Kind::Books).await;
        assert_eq!(found.len(), expected.len());
        let spoiled: Vec<&Scanned> = found.iter().filter(|it| it.outcome.is_err()).collect();
        let [spoiled] = spoiled.as_slice() else {
            panic!("{found:?}");
        };
        let problems = spoiled.outcome.as_ref().unwrap_err();
        assert_eq!(problems.0[0].field, "metadata", "{problems}");
        let fetched = from
            .fetch(Kind::Books, std::slice::from_ref(&spoiled.key))
            .await
            .unwrap();
        assert_eq!(fetched[0].original, spoiled.original);

        let report = run(from.clone(), &to, &options(2), &Silent).await.unwrap();
        assert_eq!(report.status, Status::Incomplete, "{report:?}");
        let open = rejects(&to).await;
        let of_books: Vec<&Reject> = open.iter().filter(|it| it.kind == Kind::Books).collect();
        assert_eq!(of_books.len(), 1, "{open:?}");
        assert_eq!(of_books[0].key, spoiled.key);
        assert!(
            of_books[0].record.contains("many"),
            "{}",
            of_books[0].record
        );
        assert_eq!(scan(&back, Kind::Books).await, expected[1..]);

        // Fixed by hand, it moves, and what depends on it.
        let lines: Vec<_> = open
            .iter()
            .map(|reject| {
                let mut line: RejectLine = reject.to_line().unwrap();
                if line.kind == Kind::Books {
                    line.record["metadata"] = serde_json::json!({});
                }
                Ok(line)
            })
            .collect();
        let replayed = replay(from.clone(), &to, stream::iter(lines).boxed(), &Silent)
            .await
            .unwrap();
        assert_eq!(
            replayed.status,
            Status::Complete,
            "{replayed:?} {:?}",
            rejects(&to).await
        );
        for kind in Kind::DATA {
            assert_eq!(
                scan(&back, *kind).await,
                scan(&memory, *kind).await,
                "{kind}"
            );
        }
        assert!(rejects(&to).await.is_empty());
        // A later run knows what was settled.
        let again = run(from, &to, &options(100), &Silent).await.unwrap();
        assert_eq!(again.status, Status::Complete, "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn the_sink_writes_what_a_load_writes() {
    on_database(async |database| {
        let memory = filled().await;
        let store = database.migrated(Via::Direct).await;
        let to = Destination::paired(Arc::new(store.migration()), Arc::new(store.return_ledger()));
        let from = Arc::new(memory.clone());
        let report = run(from.clone(), &to, &options(3), &Silent).await.unwrap();
        assert_eq!(report.status, Status::Complete, "{report:?}");
        let there = store.migration();
        for kind in Kind::DATA {
            assert_eq!(
                scan(&there, *kind).await,
                scan(&memory, *kind).await,
                "{kind}"
            );
        }
        // Its own ledger finds the records, too.
        let report = run(from, &store.destination(), &options(100), &Silent)
            .await
            .unwrap();
        assert!(
            report.kinds.iter().all(|kind| kind.counts.written == 0),
            "{report:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn records_are_removed_by_their_keys() {
    on_database(async |database| {
        let (store, memory) = moved_in(database).await;
        let sink = store.migration();
        // What others depend on comes last.
        for kind in Kind::DATA.iter().rev() {
            let records = scan(&memory, *kind).await;
            let (gone, kept) = records.split_at(records.len() / 2);
            let keys: Vec<_> = gone.iter().map(Record::key).collect();
            let batch = SinkBatch {
                kind: *kind,
                upserts: &[],
                removals: &keys,
            };
            let applied = sink.apply(&batch).await.unwrap();
            assert_eq!(applied.removed, gone.len() as u64, "{kind}");
            assert_eq!(scan(&sink, *kind).await, kept, "{kind}");
            assert_eq!(sink.apply(&batch).await.unwrap().removed, 0, "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_sink_refuses_is_named_by_its_place() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let sink = store.migration();
        let user = |name: &str| {
            let email = format!("{name}@example.org").parse().unwrap();
            let new = NewUser::new(format!("auth-{name}").parse().unwrap(), email, name);
            new.into_user()
        };
        let (ada, mut twin, bob) = (user("ada"), user("twin"), user("bob"));
        twin.email = ada.email.clone();
        let upserts = [ada.clone().into(), twin.into(), bob.into()];
        let batch = SinkBatch {
            kind: Kind::Users,
            upserts: &upserts,
            removals: &[],
        };
        let applied = sink.apply(&batch).await.unwrap();
        assert_eq!((applied.written, applied.unchanged), (2, 0));
        let [(1, problems)] = applied.refused.as_slice() else {
            panic!("{applied:?}");
        };
        assert_eq!(problems.0[0].field, "email", "{problems}");
        assert_eq!(sink.apply(&batch).await.unwrap().unchanged, 2);

        // A user who was removed is not taken for one who is there.
        let book = NewBook::new("Tide").into_book(ada.id);
        let upserts = [book.into()];
        let books = SinkBatch {
            kind: Kind::Books,
            upserts: &upserts,
            removals: &[],
        };
        assert_eq!(sink.apply(&books).await.unwrap().written, 1);
        let gone = SinkBatch {
            kind: Kind::Users,
            upserts: &[],
            removals: &[ada.id.into()],
        };
        assert_eq!(sink.apply(&gone).await.unwrap().removed, 1);
        let applied = sink.apply(&books).await.unwrap();
        assert_eq!(applied.refused.len(), 1, "{applied:?}");
    })
    .await;
}

#[tokio::test]
async fn one_run_at_a_time_in_either_direction() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (there, back) = (store.migration(), store.return_ledger());
        let held = there.lock().await.unwrap();
        let error = back.lock().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Locked), "{error:?}");
        drop(held);
        let held = back.lock().await.unwrap();
        assert!(there.lock().await.is_err());
        drop(held);
    })
    .await;
}

#[tokio::test]
async fn the_ledger_of_the_way_back_makes_its_tables() {
    on_database(async |database| {
        let store = database.store(Via::Direct).await;
        let ledger = store.return_ledger();
        assert!(ledger.replayed(Kind::Users).await.unwrap().is_empty());
        let open: Vec<Vec<Reject>> = ledger.rejects().try_collect().await.unwrap();
        assert!(open.is_empty());
        drop(ledger.lock().await.unwrap());
        assert!(store.pending().await.unwrap().is_empty());
        assert!(ledger.begin(Kind::Users).await.unwrap().position.is_none());
    })
    .await;
}
