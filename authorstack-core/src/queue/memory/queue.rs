//! The queue in memory.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::Value;
use tokio::sync::watch;

use super::{feed::MemoryFeed, shared::Shared, state::State};
use crate::{
    Error, Result, limits,
    queue::{
        event::{EventId, JobEvent, QueueEvent},
        feed::{FeedOptions, JobFeed},
        job::{Job, JobCounts},
        job_id::JobId,
        jobs::{JobQueue, JobRange},
        name::QueueName,
        new_job::NewJob,
        schedule::{Schedule, Scheduler},
        state::JobState,
    },
};

/// A queue in memory, for one process and for tests. Clones share their jobs.
#[derive(Clone)]
pub struct MemoryQueue {
    name: QueueName,
    shared: Arc<Shared>,
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(name: QueueName) -> Self {
        Self {
            name,
            shared: Arc::new(Shared::new()),
        }
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    fn name(&self) -> &QueueName {
        &self.name
    }

    async fn add_bulk(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>> {
        let jobs = NewJob::prepare_all(jobs)?;
        Ok(self
            .shared
            .change(|state| jobs.into_iter().map(|(job, _)| state.add(job)).collect()))
    }

    async fn get(&self, id: &JobId) -> Result<Job> {
        self.shared
            .look()
            .jobs
            .get(id)
            .cloned()
            .ok_or_else(|| id.missing())
    }

    async fn list(&self, state: JobState, range: JobRange) -> Result<Vec<Job>> {
        range.check()?;
        let now = self.shared.look();
        let ids: Box<dyn Iterator<Item = &JobId>> = match state {
            JobState::Waiting => Box::new(now.waiting.iter()),
            JobState::Prioritized => Box::new(now.prioritized.values()),
            JobState::Delayed => Box::new(now.delayed.values()),
            JobState::Active => Box::new(now.active.iter()),
            JobState::Completed => Box::new(now.completed.iter().rev()),
            JobState::Failed => Box::new(now.failed.iter().rev()),
            JobState::WaitingChildren => Box::new(std::iter::empty()),
        };
        let ids = ids.skip(range.skip).take(range.take);
        Ok(ids.filter_map(|id| now.jobs.get(id).cloned()).collect())
    }

    async fn counts(&self) -> Result<JobCounts> {
        Ok(self.shared.look().counts())
    }

    async fn pause(&self) -> Result<()> {
        self.shared.change(|state| {
            if !state.paused {
                state.paused = true;
                state.event(None, JobEvent::Paused);
            }
        });
        Ok(())
    }

    async fn resume(&self) -> Result<()> {
        self.shared.change(|state| {
            if state.paused {
                state.paused = false;
                state.event(None, JobEvent::Resumed);
            }
        });
        Ok(())
    }

    async fn is_paused(&self) -> Result<bool> {
        Ok(self.shared.look().paused)
    }

    async fn remove(&self, id: &JobId) -> Result<()> {
        self.shared.change(|state| {
            if state.schedule_of(id).is_some() {
                return Err(id.of_a_schedule());
            }
            if state.is_locked(id) {
                return Err(id.running());
            }
            if state.jobs.contains_key(id) {
                state.unline(id);
                state.drop_job(id);
                state.event(Some(id), JobEvent::Removed);
            }
            Ok(())
        })
    }

    async fn retry(&self, id: &JobId) -> Result<()> {
        self.shared
            .change(|state| match state.jobs.get(id).map(|job| job.state) {
                None => Err(id.missing()),
                Some(JobState::Failed) => {
                    again(state, id);
                    Ok(())
                }
                Some(now) => Err(id.not_failed(now)),
            })
    }

    async fn retry_failed(&self) -> Result<u64> {
        Ok(self.shared.change(|state| {
            let failed: Vec<JobId> = state.failed.iter().cloned().collect();
            for id in &failed {
                again(state, id);
            }
            failed.len() as u64
        }))
    }

    async fn set_progress(&self, id: &JobId, progress: Value) -> Result<()> {
        if progress.to_string().len() > limits::JSON {
            return Err(Error::invalid("progress", "has more than a million bytes"));
        }
        self.shared.change(|state| {
            let job = state.jobs.get_mut(id).ok_or_else(|| id.missing())?;
            job.progress.clone_from(&progress);
            state.event(Some(id), JobEvent::Progress { progress });
            Ok(())
        })
    }

    async fn schedule(&self, mut schedule: Schedule) -> Result<DateTime<Utc>> {
        schedule.job = schedule.job.prepared()?.0;
        self.shared.change(|state| state.plan(schedule))
    }

    async fn unschedule(&self, id: &str) -> Result<()> {
        self.shared.change(|state| state.unplan(id));
        Ok(())
    }

    async fn schedulers(&self) -> Result<Vec<Scheduler>> {
        let state = self.shared.look();
        let mut all: Vec<Scheduler> = state
            .schedules
            .values()
            .map(|it| it.scheduler.clone())
            .collect();
        all.sort_by_key(|it| it.next);
        Ok(all)
    }

    fn events(&self, after: Option<EventId>) -> BoxStream<'static, Result<QueueEvent>> {
        let shared = Arc::clone(&self.shared);
        let after = after.and_then(|id| id.as_str().parse().ok());
        let after: u64 = after.unwrap_or_else(|| shared.look().last_event());
        let changes = shared.changes();
        let next = move |(shared, mut changes, after): (Arc<Shared>, watch::Receiver<u64>, u64)| async move {
            loop {
                changes.borrow_and_update();
                let (found, last) = {
                    let state = shared.look();
                    let found: Vec<_> = state.events_after(after).cloned().map(Ok).collect();
                    (found, state.last_event())
                };
                if !found.is_empty() {
                    return Some((stream::iter(found), (shared, changes, last)));
                }
                changes.changed().await.ok()?;
            }
        };
        stream::unfold((shared, changes, after), next)
            .flatten()
            .boxed()
    }

    async fn feed(&self, options: FeedOptions) -> Result<Box<dyn JobFeed>> {
        Ok(Box::new(MemoryFeed::new(Arc::clone(&self.shared), options)))
    }
}

fn again(state: &mut State, id: &JobId) {
    state.failed.retain(|it| it != id);
    if let Some(job) = state.jobs.get_mut(id) {
        job.attempts_made = 0;
        job.attempts_started = 0;
        job.finished_at = None;
        job.started_at = None;
        job.failed_reason = None;
    }
    state.line_up(id, false);
}
