//! What people do with a queue.

use std::time::Duration;

use super::{
    Queue, add, completed, drain, failed, feed, job, number, settle, take, take_one, until, worker,
};
use crate::{
    ErrorKind,
    queue::{JobRange, JobState, Keep},
};

pub async fn a_paused_queue_gives_no_jobs(queue: &Queue) {
    add(queue, 1).await;
    queue.pause().await.unwrap();
    queue.pause().await.unwrap();
    assert!(queue.is_paused().await.unwrap());
    let running = worker(queue, 2, |_, _| async { Ok(serde_json::Value::Null) }).await;
    add(queue, 2).await;
    queue.add(job(3).priority(1)).await.unwrap();
    queue
        .add(job(4).delay(Duration::from_millis(20)))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.active), (0, 0));
    assert_eq!(counts.open(), 4);
    queue.resume().await.unwrap();
    queue.resume().await.unwrap();
    assert!(!queue.is_paused().await.unwrap());
    until(async || queue.counts().await.unwrap().completed == 4).await;
    super::stop(running).await;
}

pub async fn pausing_keeps_the_order(queue: &Queue) {
    add(queue, 1).await;
    add(queue, 2).await;
    queue.pause().await.unwrap();
    add(queue, 3).await;
    queue.add(job(0).last_in_first_out()).await.unwrap();
    let listed = queue
        .list(JobState::Waiting, JobRange::first(10))
        .await
        .unwrap();
    assert_eq!(listed.iter().map(number).collect::<Vec<_>>(), [0, 1, 2, 3]);
    queue.resume().await.unwrap();
    add(queue, 4).await;
    assert_eq!(drain(queue).await, [0, 1, 2, 3, 4]);
}

pub async fn a_job_is_removed_unless_it_runs(queue: &Queue) {
    let feed = feed(queue).await;
    let done = add(queue, 1).await;
    let taken = take_one(&*feed).await;
    settle(&*feed, completed(&taken)).await;
    let broken = add(queue, 2).await;
    let taken = take_one(&*feed).await;
    settle(&*feed, failed(&taken)).await;
    let active = add(queue, 3).await;
    let running = take_one(&*feed).await;
    let waiting = add(queue, 4).await;
    let important = queue.add(job(5).priority(1)).await.unwrap();
    let delayed = queue
        .add(job(6).delay(Duration::from_secs(3_600)))
        .await
        .unwrap();

    let error = queue.remove(&active).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("is run by a worker"), "{error}");
    for id in [&done, &broken, &waiting, &important, &delayed] {
        queue.remove(id).await.unwrap();
        queue.remove(id).await.unwrap();
        assert!(queue.get(id).await.unwrap_err().is_not_found());
    }
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.open(), counts.completed, counts.failed), (1, 0, 0));
    settle(&*feed, completed(&running)).await;
    queue.remove(&active).await.unwrap();
    assert!(queue.get(&active).await.unwrap_err().is_not_found());
}

pub async fn jobs_are_counted_and_listed(queue: &Queue) {
    let feed = feed(queue).await;
    for number in 1..=6 {
        add(queue, number).await;
    }
    let taken = take(&*feed, 4).await;
    settle(&*feed, completed(&taken[0])).await;
    // Finished jobs are in the order of their milliseconds.
    tokio::time::sleep(Duration::from_millis(3)).await;
    settle(&*feed, completed(&taken[1])).await;
    settle(&*feed, failed(&taken[2])).await;
    queue
        .add_bulk(vec![job(7).priority(9), job(8).priority(2)])
        .await
        .unwrap();
    let hour = Duration::from_secs(3_600);
    queue
        .add_bulk(vec![job(9).delay(hour * 2), job(10).delay(hour)])
        .await
        .unwrap();

    let counts = queue.counts().await.unwrap();
    let numbers = [
        counts.waiting,
        counts.active,
        counts.completed,
        counts.failed,
    ];
    assert_eq!(numbers, [2, 1, 2, 1]);
    assert_eq!((counts.prioritized, counts.delayed), (2, 2));
    for (state, expected) in [
        (JobState::Waiting, vec![5, 6]),
        (JobState::Active, vec![4]),
        (JobState::Completed, vec![2, 1]),
        (JobState::Failed, vec![3]),
        (JobState::Prioritized, vec![8, 7]),
        (JobState::Delayed, vec![10, 9]),
        (JobState::WaitingChildren, vec![]),
    ] {
        let all = queue.list(state, JobRange::first(1_000)).await.unwrap();
        assert_eq!(
            all.iter().map(number).collect::<Vec<_>>(),
            expected,
            "{state:?}"
        );
        assert!(all.iter().all(|job| job.state == state));
        let part = queue
            .list(state, JobRange { skip: 1, take: 1 })
            .await
            .unwrap();
        let part: Vec<_> = part.iter().map(number).collect();
        assert_eq!(part, expected.get(1..2).unwrap_or_default(), "{state:?}");
        for found in &all {
            assert_eq!(queue.get(&found.id).await.unwrap(), *found);
        }
    }
    let error = queue
        .list(JobState::Failed, JobRange::first(1_001))
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
}

pub async fn finished_jobs_are_kept_as_told(queue: &Queue) {
    let feed = feed(queue).await;
    for number in 1..=5 {
        queue
            .add(job(number).keep_completed(Keep::last(2)))
            .await
            .unwrap();
        let taken = take_one(&*feed).await;
        settle(&*feed, completed(&taken)).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let kept = queue
        .list(JobState::Completed, JobRange::first(10))
        .await
        .unwrap();
    assert_eq!(kept.iter().map(number).collect::<Vec<_>>(), [5, 4]);

    let gone = queue.add(job(6).keep_failed(Keep::NONE)).await.unwrap();
    let taken = take_one(&*feed).await;
    settle(&*feed, failed(&taken)).await;
    assert!(queue.get(&gone).await.unwrap_err().is_not_found());
    assert_eq!(queue.counts().await.unwrap().failed, 0);

    let second = Keep {
        count: None,
        age: Some(Duration::from_secs(1)),
    };
    queue.add(job(7).keep_failed(second)).await.unwrap();
    let taken = take_one(&*feed).await;
    settle(&*feed, failed(&taken)).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    queue.add(job(8).keep_failed(second)).await.unwrap();
    let taken = take_one(&*feed).await;
    settle(&*feed, failed(&taken)).await;
    let kept = queue
        .list(JobState::Failed, JobRange::first(10))
        .await
        .unwrap();
    assert_eq!(kept.iter().map(number).collect::<Vec<_>>(), [8]);
}

pub async fn nothing_is_found_by_a_wrong_id(queue: &Queue) {
    add(queue, 1).await;
    for id in ["no-such-job", "0", "2", "events", "meta", "a:b", "' or 1=1"] {
        let id = id.parse().unwrap();
        assert!(queue.get(&id).await.unwrap_err().is_not_found(), "{id}");
        assert!(queue.retry(&id).await.unwrap_err().is_not_found(), "{id}");
        queue.remove(&id).await.unwrap();
    }
    assert_eq!(drain(queue).await, [1]);
}
