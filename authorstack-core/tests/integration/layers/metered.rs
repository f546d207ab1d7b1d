//! `Metered`: counts and latency, by operation, store and outcome.

use std::{collections::BTreeMap, sync::Once};

use authorstack_core::{
    AuthorStack, Id, MemoryStore,
    layers::{Metered, Operation},
};
use futures::StreamExt;
use metrics_util::{
    MetricKind,
    debugging::{DebugValue, DebuggingRecorder, Snapshotter},
};

use crate::layers::{
    calls::make_every_call,
    common::{Gate, Streaming, all_sales, new_user, on, on_memory, once},
};

/// Has calls counted in all threads, so that the conformance suite runs with that.
pub(crate) fn count() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| DebuggingRecorder::new().install().unwrap());
}

/// What was counted, by operation, store and outcome, and how many durations there are, by
/// operation and store.
type Counted = (BTreeMap<[String; 3], u64>, BTreeMap<[String; 2], usize>);

fn counted(snapshotter: &Snapshotter) -> Counted {
    let (mut counts, mut durations) = Counted::default();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        let labels = key
            .labels()
            .map(|label| (label.key(), label.value().to_owned()));
        let labels: BTreeMap<&str, String> = labels.collect();
        let names: Vec<&str> = labels.keys().copied().collect();
        let label = |name: &str| labels[name].clone();
        let (operation, store) = (label("operation"), label("store"));
        match (kind, key.name(), value) {
            (MetricKind::Counter, "authorstack_calls_total", DebugValue::Counter(count)) => {
                assert_eq!(names, ["operation", "outcome", "store"]);
                counts.insert([operation, store, label("outcome")], count);
            }
            (
                MetricKind::Counter,
                "authorstack_unreadable_records_total",
                DebugValue::Counter(count),
            ) => {
                assert_eq!(names, ["operation", "store"]);
                counts.insert([operation, store, "unreadable".to_owned()], count);
            }
            (
                MetricKind::Histogram,
                "authorstack_call_duration_seconds",
                DebugValue::Histogram(samples),
            ) => {
                assert_eq!(names, ["operation", "store"]);
                let sound = samples.iter().all(|sample| (0.0..60.0).contains(&sample.0));
                assert!(sound, "{samples:?}");
                durations.insert([operation, store], samples.len());
            }
            other => panic!("{other:?}"),
        }
    }
    (counts, durations)
}

/// Runs calls on one thread; answers what was counted of them.
fn metered<F: Future<Output = ()>>(calls: impl FnOnce() -> F) -> Counted {
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(calls()));
    counted(&recorder.snapshotter())
}

fn of(operation: Operation, store: &str, outcome: &str) -> [String; 3] {
    [operation.name(), store, outcome].map(str::to_owned)
}

#[test]
fn every_call_is_counted_and_measured_once() {
    let mut expected = BTreeMap::new();
    let (counts, durations) = metered(|| async {
        let store = MemoryStore::new();
        let stack = on(&store).layer(Metered).build();
        for made in make_every_call(&stack, Some(&store)).await {
            // A watch has no end but that.
            let is_watch = made.operation == Operation::PreferencesWatch;
            let outcome = if is_watch { "dropped" } else { "ok" };
            *expected
                .entry(of(made.operation, "memory", outcome))
                .or_insert(0) += 1;
        }
    });
    assert_eq!(counts, expected);
    let measured = expected.into_iter().map(|([operation, store, _], count)| {
        ([operation, store], usize::try_from(count).unwrap())
    });
    assert_eq!(durations, measured.collect());
}

#[test]
fn records_that_cannot_be_read_are_counted() {
    let (counts, _) = metered(|| async {
        let store = Streaming::unreadable(5, |number| number > 2);
        let stack = AuthorStack::builder().analytics(&store).layer(Metered);
        let sales = stack.build().sales().stream(Id::new(), all_sales());
        assert_eq!(sales.count().await, 5);
    });
    let of = |outcome| of(Operation::SalesStream, "streaming", outcome);
    assert_eq!(
        counts,
        BTreeMap::from([(of("ok"), 1), (of("unreadable"), 2)])
    );
}

#[test]
fn outcomes_are_counted_apart_and_measured_together() {
    let (counts, durations) = metered(|| async {
        let stack = on_memory().layer(Metered).build();
        let id = stack.users().create(new_user("ada")).await.unwrap().id;
        for _ in 0..3 {
            stack.users().get(id).await.unwrap();
            stack.users().get(Id::new()).await.unwrap_err();
        }
        stack.users().add_credits(id, 0).await.unwrap_err();
        let empty = AuthorStack::builder().layer(Metered).build();
        empty.users().get(id).await.unwrap_err();
    });
    let expected = [
        (of(Operation::UsersAddCredits, "memory", "invalid"), 1),
        (of(Operation::UsersCreate, "memory", "ok"), 1),
        (of(Operation::UsersGet, "memory", "not_found"), 3),
        (of(Operation::UsersGet, "memory", "ok"), 3),
        (of(Operation::UsersGet, "none", "unsupported"), 1),
    ];
    assert_eq!(counts, expected.into());
    let [get, memory, _] = of(Operation::UsersGet, "memory", "ok");
    assert_eq!(durations[&[get, memory]], 6);
}

#[test]
fn dropped_calls_and_streams_are_counted() {
    let (counts, durations) = metered(|| async {
        let gate = Gate::new();
        let stack = on_memory().layer(Metered).layer(gate).build();
        let mut call = stack.users().get(Id::new());
        assert!(once(&mut call).await.is_none());
        drop(call);
        // Never begun: no call.
        drop(stack.users().get(Id::new()));
        let store = Streaming::failing_after(5);
        let stack = AuthorStack::builder()
            .analytics(&store)
            .layer(Metered)
            .build();
        let sales = || stack.sales().stream(Id::new(), all_sales());
        assert_eq!(sales().count().await, 6);
        let mut midway = sales();
        assert!(midway.next().await.unwrap().is_ok());
        drop((midway, sales()));
    });
    let expected = [
        (of(Operation::SalesStream, "streaming", "dropped"), 1),
        (of(Operation::SalesStream, "streaming", "unavailable"), 1),
        (of(Operation::UsersGet, "memory", "dropped"), 1),
    ];
    assert_eq!(counts, expected.into());
    assert_eq!(durations.values().sum::<usize>(), 3);
}
