//! What is added, and in which order it runs.

use std::time::Duration;

use serde_json::json;

use super::{Queue, add, drain, feed, job, number, settle, take, take_one, until};
use crate::{
    ErrorKind, limits,
    queue::{Backoff, Deduplication, JobId, JobState, Keep, MAX_PRIORITY, NewJob},
    testing::queues::completed,
};

const LONG: Duration = Duration::from_secs(3_600);

pub async fn a_job_keeps_what_it_was_given(queue: &Queue) {
    let data = json!({
        "text": "Ünïcode ✓ \u{0} \"quoted\"",
        "numbers": [0, -1, 1.5, 9_007_199_254_740_993_u64],
        "nothing": null,
        "deep": {"list": [{"a": []}, {}]},
    });
    let added = NewJob::new("résumé", data.clone())
        .id(JobId::custom("first-id").unwrap())
        .attempts(7)
        .priority(3)
        .backoff(Backoff::exponential(Duration::from_millis(1_500)).jitter(0.25))
        .keep_completed(Keep::last(5))
        .keep_failed(Keep {
            count: None,
            age: Some(Duration::from_secs(60)),
        });
    let mut expected = added.options.clone();
    let before = crate::time::now();
    let id = queue.add(added).await.unwrap();
    assert_eq!(id.as_str(), "first-id");
    let found = queue.get(&id).await.unwrap();
    assert_eq!(found.data, data);
    assert_eq!(found.name, "résumé");
    assert_eq!(found.state, JobState::Prioritized);
    assert!(found.added_at >= before && found.added_at <= crate::time::now());
    assert_eq!(
        (found.attempts_made, found.attempts_started, found.stalled),
        (0, 0, 0)
    );
    assert_eq!((found.started_at, found.finished_at), (None, None));
    assert_eq!(
        (found.returned, found.failed_reason, found.problem),
        (None, None, None)
    );
    expected.id = Some(id);
    assert_eq!(found.options, expected);

    let plain = queue.get(&add(queue, 1).await).await.unwrap();
    assert_eq!(plain.options.attempts, 1);
    assert_eq!(plain.options.keep_completed, Keep::DAY);
    assert_eq!(plain.options.keep_failed, Keep::ALL);
}

pub async fn jobs_run_in_the_order_of_adding(queue: &Queue) {
    add(queue, 0).await;
    let ids = queue
        .add_bulk((1..=2_500).map(job).collect())
        .await
        .unwrap();
    assert_eq!(ids.len(), 2_500);
    add(queue, 2_501).await;
    assert_eq!(queue.counts().await.unwrap().waiting, 2_502);
    let feed = feed(queue).await;
    let mut seen = Vec::new();
    loop {
        let taken = take(&*feed, 700).await;
        if taken.is_empty() {
            break;
        }
        seen.extend(taken.iter().map(|taken| number(&taken.job)));
        let settled: Vec<_> = taken.iter().map(completed).collect();
        assert_eq!(feed.exchange(&settled, 0).await.unwrap().refused, []);
    }
    assert_eq!(seen, (0..=2_501).collect::<Vec<_>>());
    assert_eq!(queue.add_bulk(Vec::new()).await.unwrap(), []);
}

pub async fn an_id_is_added_once(queue: &Queue) {
    let id = JobId::custom("kdp-2026").unwrap();
    let first = queue.add(job(1).id(id.clone())).await.unwrap();
    let again = queue
        .add_bulk(vec![job(2).id(id.clone()), job(3)])
        .await
        .unwrap();
    assert_eq!(first, id);
    assert_eq!(again[0], id);
    assert_eq!(queue.get(&id).await.unwrap().data["number"], 1);
    assert_eq!(queue.counts().await.unwrap().waiting, 2);
    // Also once it has run, as long as it is kept.
    assert_eq!(drain(queue).await, [1, 3]);
    assert_eq!(queue.add(job(4).id(id)).await.unwrap(), first);
    assert_eq!(drain(queue).await, [0; 0]);
}

pub async fn bad_input_adds_nothing(queue: &Queue) {
    let large = NewJob::new("large", json!("x".repeat(limits::JSON + 1)));
    for (field, bad) in [
        ("job data", large),
        ("job name", NewJob::new("", json!({}))),
        ("priority", job(1).priority(MAX_PRIORITY + 1)),
        ("job id", job(1).id(JobId::from("a:b".to_owned()))),
        ("job id", job(1).id(JobId::from("42".to_owned()))),
        ("job id", job(1).id(JobId::from("meta".to_owned()))),
        ("delay", job(1).delay(Duration::MAX)),
    ] {
        let error = queue.add_bulk(vec![job(0), job(1), bad]).await.unwrap_err();
        let ErrorKind::Invalid {
            field: named,
            reason,
        } = error.kind()
        else {
            panic!("{error}");
        };
        assert_eq!(named, field);
        assert!(reason.contains("job 3 of the list"), "{reason}");
    }
    assert_eq!(queue.counts().await.unwrap().open(), 0);
}

pub async fn a_delayed_job_waits_for_its_time(queue: &Queue) {
    let far = queue.add(job(9).delay(LONG)).await.unwrap();
    let soon = Duration::from_millis(300);
    let ids = queue
        .add_bulk(vec![job(1).delay(soon), job(2).delay(soon), job(3)])
        .await
        .unwrap();
    let found = queue.get(&ids[0]).await.unwrap();
    assert_eq!(found.state, JobState::Delayed);
    assert_eq!(found.options.delay, soon);
    assert_eq!(queue.counts().await.unwrap().delayed, 3);
    let feed = feed(queue).await;
    let first = take_one(&*feed).await;
    assert_eq!(number(&first.job), 3);
    let exchanged = feed.exchange(&[completed(&first)], 5).await.unwrap();
    if exchanged.taken.is_empty() {
        let due = exchanged.next.unwrap();
        assert!(due <= found.added_at + Duration::from_secs(1), "{due}");
        tokio::time::sleep(soon).await;
        let taken = take(&*feed, 5).await;
        let numbers: Vec<_> = taken.iter().map(|taken| number(&taken.job)).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(
            taken[0]
                .job
                .started_at
                .is_none_or(|at| at >= found.added_at)
        );
    }
    assert_eq!(queue.get(&far).await.unwrap().state, JobState::Delayed);
}

pub async fn priorities_run_in_order(queue: &Queue) {
    let jobs = vec![
        job(6).priority(MAX_PRIORITY),
        job(3).priority(1),
        job(5).priority(20),
        job(4).priority(1),
        job(1),
        job(2),
    ];
    queue.add_bulk(jobs).await.unwrap();
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.prioritized), (2, 4));
    assert_eq!(drain(queue).await, [1, 2, 3, 4, 5, 6]);
}

pub async fn the_last_one_in_may_run_next(queue: &Queue) {
    add(queue, 2).await;
    add(queue, 3).await;
    queue.add(job(1).last_in_first_out()).await.unwrap();
    assert_eq!(drain(queue).await, [1, 2, 3]);
}

pub async fn one_at_a_time_until_it_has_ended(queue: &Queue) {
    let one = |number| job(number).deduplicate(Deduplication::until_finished("user-1"));
    let first = queue.add(one(1)).await.unwrap();
    assert_eq!(queue.add(one(2)).await.unwrap(), first);
    let other = job(3).deduplicate(Deduplication::until_finished("user-2"));
    assert_ne!(queue.add(other).await.unwrap(), first);
    let feed = feed(queue).await;
    let taken = take_one(&*feed).await;
    assert_eq!(queue.add(one(4)).await.unwrap(), first);
    settle(&*feed, completed(&taken)).await;
    let next = queue.add(one(5)).await.unwrap();
    assert_ne!(next, first);
    // A job that is removed makes room, too.
    queue.remove(&next).await.unwrap();
    assert_ne!(queue.add(one(6)).await.unwrap(), next);
    assert_eq!(drain(queue).await, [3, 6]);
}

pub async fn one_in_a_time(queue: &Queue) {
    let time = Duration::from_millis(600);
    let one = |number| job(number).deduplicate(Deduplication::throttle("user-1", time));
    let first = queue.add(one(1)).await.unwrap();
    assert_eq!(queue.add(one(2)).await.unwrap(), first);
    assert_eq!(drain(queue).await, [1]);
    // It has ended, but its time is not over; on a slow machine it may be.
    let again = queue.add(one(3)).await.unwrap();
    if again == first {
        until(async || queue.add(one(4)).await.unwrap() != first).await;
    }
    assert_eq!(queue.counts().await.unwrap().waiting, 1);
}

pub async fn the_last_one_takes_the_place(queue: &Queue) {
    let time = Duration::from_secs(600);
    let one = |number| {
        let debounce = Deduplication::debounce("user-1", time);
        job(number).delay(time).deduplicate(debounce)
    };
    let first = queue.add(one(1)).await.unwrap();
    let second = queue.add(one(2)).await.unwrap();
    let third = queue.add(one(3)).await.unwrap();
    assert!(first != second && second != third);
    for gone in [&first, &second] {
        assert!(queue.get(gone).await.unwrap_err().is_not_found());
    }
    assert_eq!(queue.get(&third).await.unwrap().data["number"], 3);
    assert_eq!(queue.counts().await.unwrap().open(), 1);
}
