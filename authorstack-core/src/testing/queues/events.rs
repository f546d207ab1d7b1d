//! What a queue tells.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use serde_json::json;

use super::{Queue, add, completed, failed, feed, job, settle, take_one};
use crate::{
    Result,
    queue::{JobEvent, JobId, QueueEvent},
};

async fn next(events: &mut BoxStream<'static, Result<QueueEvent>>) -> QueueEvent {
    let next = tokio::time::timeout(Duration::from_secs(60), events.next()).await;
    next.expect("an event is missing").unwrap().unwrap()
}

/// The events of a job up to the one that is looked for.
async fn of_job(
    events: &mut BoxStream<'static, Result<QueueEvent>>,
    id: &JobId,
    last: impl Fn(&JobEvent) -> bool,
) -> Vec<JobEvent> {
    let mut seen = Vec::new();
    loop {
        let event = next(events).await;
        if event.job.as_ref() != Some(id) {
            continue;
        }
        let is_last = last(&event.event);
        seen.push(event.event);
        if is_last {
            return seen;
        }
    }
}

pub async fn events_tell_what_happens(queue: &Queue) {
    add(queue, 0).await;
    let mut events = queue.events(None);
    // A stream begins when it is asked first.
    let probe = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            queue.pause().await.unwrap();
            queue.resume().await.unwrap();
        }
    };
    tokio::select! {
        first = next(&mut events) => assert!(matches!(first.event, JobEvent::Paused | JobEvent::Resumed)),
        () = probe => {}
    }
    // The probe may have ended between the two.
    queue.resume().await.unwrap();
    super::drain(queue).await;

    let id = add(queue, 1).await;
    let feed = feed(queue).await;
    let taken = take_one(&*feed).await;
    queue.set_progress(&id, json!(50)).await.unwrap();
    settle(&*feed, completed(&taken)).await;
    let seen = of_job(&mut events, &id, |event| {
        matches!(event, JobEvent::Completed { .. })
    })
    .await;
    assert_eq!(
        seen,
        [
            JobEvent::Added {
                name: "count".to_owned()
            },
            JobEvent::Waiting,
            JobEvent::Active,
            JobEvent::Progress {
                progress: json!(50)
            },
            JobEvent::Completed { returned: json!(1) },
        ]
    );
    while next(&mut events).await.event != JobEvent::Drained {}

    let id = add(queue, 2).await;
    let taken = take_one(&*feed).await;
    settle(&*feed, failed(&taken)).await;
    let seen = of_job(&mut events, &id, |event| {
        matches!(event, JobEvent::RetriesExhausted { .. })
    });
    let seen = seen.await;
    assert!(seen.contains(&JobEvent::Failed {
        reason: "it cannot be".to_owned()
    }));
    assert_eq!(
        seen.last(),
        Some(&JobEvent::RetriesExhausted { attempts: 1 })
    );

    let id = queue
        .add(job(3).delay(Duration::from_secs(3_600)))
        .await
        .unwrap();
    let seen = of_job(&mut events, &id, |event| {
        matches!(event, JobEvent::Delayed { .. })
    })
    .await;
    let Some(JobEvent::Delayed { until: Some(until) }) = seen.last() else {
        panic!("{seen:?}");
    };
    let added = queue.get(&id).await.unwrap().added_at;
    assert_eq!(*until, added + Duration::from_secs(3_600));
    queue.remove(&id).await.unwrap();
    let seen = of_job(&mut events, &id, |event| *event == JobEvent::Removed).await;
    assert_eq!(seen, [JobEvent::Removed]);
}

pub async fn events_go_on_after_one(queue: &Queue) {
    let mut events = queue.events(Some("0".to_owned().into()));
    let first = add(queue, 1).await;
    let second = add(queue, 2).await;
    let added = loop {
        let event = next(&mut events).await;
        if matches!(event.event, JobEvent::Added { .. }) {
            break event;
        }
    };
    assert_eq!(added.job, Some(first));
    drop(events);
    add(queue, 3).await;
    let mut events = queue.events(Some(added.id));
    let mut jobs = Vec::new();
    while jobs.len() < 2 {
        let event = next(&mut events).await;
        if matches!(event.event, JobEvent::Added { .. }) {
            jobs.push(event.job.unwrap());
        }
    }
    assert_eq!(jobs[0], second);
}
