//! A queue in Redis.

use async_trait::async_trait;
use authorstack_core::{
    Error, Result,
    chrono::{DateTime, Utc},
    limits,
    queue::{
        EventId, FeedOptions, Job, JobCounts, JobFeed, JobId, JobQueue, JobRange, JobState, NewJob,
        QueueEvent, QueueName, Schedule, Scheduler,
    },
    serde_json::Value,
};
use futures::stream::BoxStream;

use super::{
    events,
    feed::RedisFeed,
    jobs::{self, Fields, Flat, arguments},
    keys::Keys,
    schedules,
    scripts::{self, now, run},
};
use crate::store::RedisStore;

/// The most jobs, and the most bytes of their data, that one script adds. Upstash takes 10 MB.
const JOBS: usize = 1_000;
const BYTES: usize = 4_000_000;
/// The most failed jobs that one script puts back in line.
const RETRIED: usize = 1_000;

/// A queue in Redis, in the layout of BullMQ 5 and 6 with the prefix `authorstack:queue`: Node apps add
/// and run the same jobs. [`RedisStore::queue`] makes it.
///
/// The queue's Redis must not evict keys. Times are by the clocks of the machines that add and take
/// jobs, as in BullMQ.
///
/// ```no_run
/// use std::{sync::Arc, time::Duration};
/// use authorstack_core::queue::{Handlers, JobQueue, NewJob, QueueName, Worker, payloads::SendEmail};
///
/// # async fn example(redis: authorstack_redis::RedisStore) -> authorstack_core::Result<()> {
/// let queue: Arc<dyn JobQueue> = Arc::new(redis.queue(QueueName::NOTIFICATIONS));
/// let handlers = Handlers::new().on(|mail: SendEmail, _| async move { Ok(()) });
/// let worker = Worker::new(Arc::clone(&queue), handlers).concurrency(20).start().await?;
/// // …
/// worker.shutdown(Duration::from_secs(20)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RedisQueue {
    store: RedisStore,
    name: QueueName,
    keys: Keys,
}

impl RedisStore {
    /// A queue here.
    #[must_use]
    pub fn queue(&self, name: QueueName) -> RedisQueue {
        let keys = Keys::new(&self.key(&format!("authorstack:queue:{name}")));
        RedisQueue {
            store: self.clone(),
            name,
            keys,
        }
    }
}

impl RedisQueue {
    async fn add_part(&self, part: Vec<[Vec<u8>; 10]>) -> Result<Vec<JobId>> {
        let mut all = vec![now().to_string().into_bytes()];
        all.extend(part.into_iter().flatten());
        let ids: Vec<Vec<u8>> = run(&self.store, &self.keys, &scripts::ADD, all).await?;
        Ok(ids.iter().map(|id| jobs::id(id)).collect())
    }
}

#[async_trait]
impl JobQueue for RedisQueue {
    fn name(&self) -> &QueueName {
        &self.name
    }

    async fn add_bulk(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>> {
        let prepared = NewJob::prepare_all(jobs)?;
        let mut ids = Vec::with_capacity(prepared.len());
        let (mut part, mut bytes) = (Vec::new(), 0);
        for (job, data) in prepared {
            if !part.is_empty() && (part.len() == JOBS || bytes + data.len() > BYTES) {
                ids.extend(self.add_part(std::mem::take(&mut part)).await?);
                bytes = 0;
            }
            bytes += data.len();
            part.push(arguments(&job, data));
        }
        if !part.is_empty() {
            ids.extend(self.add_part(part).await?);
        }
        Ok(ids)
    }

    async fn get(&self, id: &JobId) -> Result<Job> {
        let found: Option<(String, Flat)> =
            run(&self.store, &self.keys, &scripts::GET, id.as_str()).await?;
        let (key, fields) = found.ok_or_else(|| id.missing())?;
        jobs::decode(id.clone(), &Fields::new(fields), jobs::state_of(&key))
    }

    async fn list(&self, state: JobState, range: JobRange) -> Result<Vec<Job>> {
        range.check()?;
        let key = jobs::key_of(state)?;
        let arguments = (key, range.skip, range.take);
        let found: Vec<(Vec<u8>, Flat)> =
            run(&self.store, &self.keys, &scripts::LIST, arguments).await?;
        let decode = |(id, fields): (Vec<u8>, Flat)| {
            jobs::decode(jobs::id(&id), &Fields::new(fields), state).ok()
        };
        Ok(found.into_iter().filter_map(decode).collect())
    }

    async fn counts(&self) -> Result<JobCounts> {
        let mut all = redis::pipe();
        for list in ["wait", "paused", "active"] {
            all.cmd("LLEN").arg(self.keys.of(list));
        }
        for set in [
            "prioritized",
            "delayed",
            "completed",
            "failed",
            "waiting-children",
        ] {
            all.cmd("ZCARD").arg(self.keys.of(set));
        }
        let found: [u64; 8] = self.store.run_all(&all, self.keys.queue()).await?;
        let [
            wait,
            paused,
            active,
            prioritized,
            delayed,
            completed,
            failed,
            children,
        ] = found;
        let mut counts = JobCounts::default();
        counts.waiting = wait + paused;
        counts.active = active;
        counts.prioritized = prioritized;
        counts.delayed = delayed;
        counts.completed = completed;
        counts.failed = failed;
        counts.waiting_children = children;
        Ok(counts)
    }

    async fn pause(&self) -> Result<()> {
        run(&self.store, &self.keys, &scripts::PAUSE, "paused").await
    }

    async fn resume(&self) -> Result<()> {
        run(&self.store, &self.keys, &scripts::PAUSE, "resumed").await
    }

    async fn is_paused(&self) -> Result<bool> {
        let mut ask = redis::cmd("HEXISTS");
        let meta = self.keys.of("meta");
        self.store.run(ask.arg(&meta).arg("paused"), &meta).await
    }

    async fn remove(&self, id: &JobId) -> Result<()> {
        let arguments = (id.as_str(), now());
        match run::<u8>(&self.store, &self.keys, &scripts::REMOVE, arguments).await? {
            1 => Err(id.running()),
            2 => Err(id.of_a_schedule()),
            _ => Ok(()),
        }
    }

    async fn retry(&self, id: &JobId) -> Result<()> {
        let arguments = (0, id.as_str());
        match run::<i64>(&self.store, &self.keys, &scripts::RETRY, arguments).await? {
            -1 => Err(id.missing()),
            -2 => Err(id.not_failed(self.get(id).await?.state)),
            _ => Ok(()),
        }
    }

    async fn retry_failed(&self) -> Result<u64> {
        let mut count = 0;
        loop {
            let part: u64 = run(&self.store, &self.keys, &scripts::RETRY, RETRIED).await?;
            count += part;
            if part < RETRIED as u64 {
                return Ok(count);
            }
        }
    }

    async fn set_progress(&self, id: &JobId, progress: Value) -> Result<()> {
        let progress = progress.to_string();
        if progress.len() > limits::JSON {
            return Err(Error::invalid("progress", "has more than a million bytes"));
        }
        let arguments = (id.as_str(), progress);
        match run::<u8>(&self.store, &self.keys, &scripts::PROGRESS, arguments).await? {
            0 => Err(id.missing()),
            _ => Ok(()),
        }
    }

    async fn schedule(&self, schedule: Schedule) -> Result<DateTime<Utc>> {
        schedules::upsert(&self.store, &self.keys, schedule).await
    }

    async fn unschedule(&self, id: &str) -> Result<()> {
        run(&self.store, &self.keys, &scripts::UNSCHEDULE, id).await
    }

    async fn schedulers(&self) -> Result<Vec<Scheduler>> {
        schedules::list(&self.store, &self.keys).await
    }

    fn events(&self, after: Option<EventId>) -> BoxStream<'static, Result<QueueEvent>> {
        events::stream(self.store.clone(), &self.keys, after)
    }

    async fn feed(&self, options: FeedOptions) -> Result<Box<dyn JobFeed>> {
        let feed = RedisFeed::connect(self.store.clone(), self.keys.clone(), options).await?;
        Ok(Box::new(feed))
    }
}
