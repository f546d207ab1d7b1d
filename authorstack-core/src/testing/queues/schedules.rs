//! Jobs by the clock.

use std::time::Duration;

use chrono::{TimeDelta, Timelike};
use serde_json::Value;

use super::{Queue, add, job, stop, until, worker};
use crate::{
    ErrorKind,
    queue::{JobRange, JobState, Schedule, Timing},
};

pub async fn a_schedule_makes_jobs_until_its_limit(queue: &Queue) {
    let every = Timing::every(Duration::from_millis(100));
    let mut schedule = Schedule::new("tick", every, job(1).attempts(2));
    schedule.limit = Some(4);
    let first = queue.schedule(schedule).await.unwrap();
    let running = worker(queue, 2, |_, _| async { Ok(Value::Null) }).await;
    until(async || queue.counts().await.unwrap().completed >= 4).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.open()), (4, 0));
    let done = queue
        .list(JobState::Completed, JobRange::first(10))
        .await
        .unwrap();
    let mut before = None;
    for job in done.iter().rev() {
        let at: i64 = job.id.as_str().rsplit(':').next().unwrap().parse().unwrap();
        assert_eq!(job.id.as_str(), format!("repeat:tick:{at}"));
        assert!(at >= first.timestamp_millis());
        assert_eq!(
            (at - first.timestamp_millis()) % 100,
            0,
            "it keeps its step"
        );
        assert!(before.is_none_or(|before| before < at));
        before = Some(at);
        assert_eq!((job.name.as_str(), job.options.attempts), ("count", 2));
        assert_eq!(job.data["number"], 1);
        assert_eq!(job.scheduler.as_deref(), Some("tick"));
        assert!(job.started_at.unwrap().timestamp_millis() >= at);
    }
    stop(running).await;
}

pub async fn a_schedule_is_changed_and_removed(queue: &Queue) {
    let hourly = Timing::every(Duration::from_secs(3_600));
    let mut schedule = Schedule::new("report", hourly.clone(), job(1));
    let start = crate::time::now() + TimeDelta::hours(5);
    schedule.starts = Some(start);
    assert_eq!(queue.schedule(schedule.clone()).await.unwrap(), start);
    let found = queue.schedulers().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.as_str(), found[0].next), ("report", start));
    assert_eq!(found[0].timing, Some(hourly));
    assert_eq!(
        (found[0].name.as_str(), found[0].data["number"].as_u64()),
        ("count", Some(1))
    );

    // The same again changes the job, not the time.
    schedule.job = job(2);
    assert_eq!(queue.schedule(schedule.clone()).await.unwrap(), start);
    let waiting = queue
        .list(JobState::Delayed, JobRange::first(10))
        .await
        .unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].data["number"], 2);

    // The next job is the schedule's.
    let error = queue.remove(&waiting[0].id).await.unwrap_err();
    assert!(error.to_string().contains("schedule"), "{error}");

    schedule.timing = Timing::cron("30 4 * * *");
    schedule.starts = None;
    let next = queue.schedule(schedule).await.unwrap();
    assert_eq!((next.hour(), next.minute(), next.second()), (4, 30, 0));
    assert_eq!(queue.counts().await.unwrap().delayed, 1);
    let other = Schedule::new("other", Timing::cron("0 0 1 1 *"), job(3));
    queue.schedule(other).await.unwrap();
    let ids: Vec<_> = queue
        .schedulers()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(ids, ["report", "other"], "the next one first");

    queue.unschedule("report").await.unwrap();
    queue.unschedule("report").await.unwrap();
    assert_eq!(queue.schedulers().await.unwrap().len(), 1);
    assert_eq!(queue.counts().await.unwrap().delayed, 1);
    queue.unschedule("other").await.unwrap();
    assert_eq!(queue.counts().await.unwrap().open(), 0);
}

pub async fn a_cron_pattern_makes_the_next_job(queue: &Queue) {
    let schedule = Schedule::new("second", Timing::cron("* * * * * *"), job(1));
    let first = queue.schedule(schedule).await.unwrap();
    assert_eq!(first.timestamp_subsec_millis(), 0);
    let running = worker(queue, 1, |_, _| async { Ok(Value::Null) }).await;
    until(async || queue.counts().await.unwrap().completed >= 2).await;
    queue.unschedule("second").await.unwrap();
    stop(running).await;
    let done = queue
        .list(JobState::Completed, JobRange::first(10))
        .await
        .unwrap();
    for job in &done {
        assert!(job.id.as_str().ends_with("000"), "{}", job.id);
    }
    // A schedule that is gone makes nothing more.
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.delayed, counts.waiting), (0, 0));
}

pub async fn a_schedule_that_makes_no_sense_is_refused(queue: &Queue) {
    let zone = Timing::Cron {
        pattern: "0 6 * * *".to_owned(),
        time_zone: Some("Europe/Atlantis".to_owned()),
    };
    for (field, schedule) in [
        (
            "schedule pattern",
            Schedule::new("a", Timing::cron("often"), job(1)),
        ),
        ("schedule time zone", Schedule::new("a", zone, job(1))),
        (
            "schedule interval",
            Schedule::new("a", Timing::every(Duration::ZERO), job(1)),
        ),
        (
            "schedule id",
            Schedule::new("", Timing::cron("* * * * *"), job(1)),
        ),
        (
            "priority",
            Schedule::new("a", Timing::cron("* * * * *"), job(1).priority(u32::MAX)),
        ),
    ] {
        let error = queue.schedule(schedule).await.unwrap_err();
        let ErrorKind::Invalid { field: named, .. } = error.kind() else {
            panic!("{error}");
        };
        assert_eq!(named, field);
    }
    assert_eq!(queue.schedulers().await.unwrap(), []);
    add(queue, 1).await;
    assert_eq!(super::drain(queue).await, [1]);
}
