//! Records of every kind move, and what the target refuses is said of each.

use crate::common;

use std::sync::Arc;

use authorstack_core::{
    Id, NewBook, NewBoost, PageRequest,
    migrate::{
        BatchLimits, Kind, Ledger, Record, Reject, RunOptions, Silent, Status, TransactionalSink,
        run, verify,
    },
    testing::{author, fill_analytics},
};
use authorstack_supabase::SupabaseMigration;
use common::{Via, fetch, filled::filled, on_database, scan};
use futures::TryStreamExt;

fn options(records: usize) -> RunOptions {
    RunOptions {
        limits: BatchLimits {
            records,
            bytes: 1 << 20,
        },
        kinds: Kind::DATA.to_vec(),
    }
}

async fn rejects(target: &SupabaseMigration) -> Vec<(Kind, String)> {
    let batches: Vec<Vec<Reject>> = target.rejects().try_collect().await.unwrap();
    let batches = batches.concat().into_iter();
    batches
        .map(|reject| (reject.kind, reject.problems.0[0].field.clone()))
        .collect()
}

#[tokio::test]
async fn every_kind_arrives_as_it_was_and_a_second_run_changes_nothing() {
    on_database(async |database| {
        let source = filled().await;
        for via in [Via::Direct, Via::Pooler] {
            let store = database.store(via).await;
            let target = store.migration();
            let (from, to) = (Arc::new(source.clone()), store.destination());
            let report = run(from, &to, &options(3), &Silent).await.unwrap();
            assert_eq!(report.status, Status::Complete, "{report:?}");
            // The second way finds what the first has moved.
            let written: u64 = report.kinds.iter().map(|kind| kind.counts.written).sum();
            assert_eq!(written > 0, via == Via::Direct, "{report:?}");
            for kind in Kind::DATA {
                let expected = scan(&source, *kind).await;
                assert!(!expected.is_empty());
                assert_eq!(scan(&target, *kind).await, expected, "{kind}");
                let keys: Vec<_> = expected.iter().map(Record::key).collect();
                assert_eq!(fetch(&target, *kind, &keys).await, expected, "{kind}");
            }
            let from = Arc::new(source.clone());
            let verified = verify(from, &to, Kind::DATA, &Silent).await.unwrap();
            assert_eq!(verified.status, Status::Complete, "{verified:?}");
        }
        let counts = "select like_count || ' ' || comment_count from public.community_posts";
        assert_eq!(database.texts(counts).await, ["5 15"]);
        let progress = "select distinct progress::text from public.checklists";
        assert_eq!(database.texts(progress).await, ["50"]);
        // Indexes and foreign keys that the first load put off are there again.
        assert_eq!(database.count("authorstack.deferred_ddl").await, 0);
        let foreign = "select count(*)::text from pg_constraint \
            where contype = 'f' and connamespace = 'public'::regnamespace \
              and conrelid <> 'public.user_preferences'::regclass";
        assert_eq!(database.texts(foreign).await, ["20"]);
        // New rows are numbered behind those that kept their numbers.
        let store = database.store(Via::Direct).await;
        let user = author(&store, "later").await.id;
        let book = store.books().create(user, NewBook::new("Tide")).await;
        fill_analytics(&store, user, book.unwrap().id).await;
    })
    .await;
}

#[tokio::test]
async fn what_another_record_holds_is_refused_by_name() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let source = filled().await;
        let target = store.migration();
        let (from, to) = (Arc::new(source.clone()), store.destination());
        run(from, &to, &options(100), &Silent).await.unwrap();

        // The same pair, ASIN and position, under other ids.
        let mut again = Vec::new();
        for kind in [Kind::Follows, Kind::Competitors, Kind::MarketplaceBoosts] {
            let mut record = scan(&source, kind).await.remove(0);
            match &mut record {
                Record::Follow(follow) => follow.id = Id::new(),
                Record::Competitor(rival) => rival.id = Id::new(),
                Record::Boost(boost) => boost.id = Id::new(),
                _ => unreachable!("three kinds"),
            }
            again.push(record);
        }
        let mut orphan = scan(&source, Kind::PostComments).await.remove(0);
        if let Record::Comment(comment) = &mut orphan {
            (comment.author_id, comment.post_id) = (Id::new(), Id::new());
        }
        again.push(orphan);
        for record in again {
            let kind = record.kind();
            target.begin_pass(kind, 1).await.unwrap();
            let reject = |_: usize, problems| Reject {
                kind,
                key: record.key().to_string(),
                problems,
                record: record.to_json().to_string(),
                source_digest: [0; 32],
            };
            let to = authorstack_core::migrate::Position("end".to_owned());
            let load = authorstack_core::migrate::Load {
                set_aside: &[],
                kind,
                records: std::slice::from_ref(&record),
                rejects: &[],
                from: None,
                reject: &reject,
                step: authorstack_core::migrate::Step::Advance {
                    from: None,
                    to: &to,
                },
            };
            let counts = target.load(&load).await.unwrap().counts;
            assert_eq!((counts.written, counts.rejected), (0, 1), "{kind}");
            target.finish_pass(kind).await.unwrap();
        }
        let expected = [
            (Kind::Follows, "authorId"),
            (Kind::PostComments, "comments.authorId"),
            (Kind::MarketplaceBoosts, "position"),
            (Kind::Competitors, "asin"),
        ];
        let mut found = rejects(&target).await;
        found.sort();
        let mut expected = expected
            .map(|(kind, field)| (kind, field.to_owned()))
            .to_vec();
        expected.sort();
        assert_eq!(found, expected);
    })
    .await;
}

/// A purchase whose caller goes away at any moment is done wholly or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_purchase_is_whole_or_nothing() {
    on_database(async |database| {
        let store = database.migrated(Via::Pooler).await;
        let ada = author(&store, "ada").await.id;
        store.users().add_credits(ada, 10_000).await.unwrap();
        let book = store
            .books()
            .create(ada, NewBook::new("Tide"))
            .await
            .unwrap()
            .id;
        for micros in (0..15_000).step_by(500) {
            let boosts = store.boosts();
            let purchase = boosts.purchase(ada, NewBoost::new(book, 1, 10));
            let patience = std::time::Duration::from_micros(micros);
            let _ = tokio::time::timeout(patience, purchase).await;
        }
        let all = PageRequest::first(200);
        let bought = store.boosts().list(ada, all).await.unwrap().items.len();
        let left = store.users().get(ada).await.unwrap().credits;
        assert_eq!(left, 10_000 - 10 * i64::try_from(bought).unwrap());
    })
    .await;
}
