//! What a queue in memory holds, and the moves between its lines.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use crate::queue::{
    event::{EventId, JobEvent, QueueEvent},
    job::{Job, JobCounts},
    job_id::JobId,
    schedule::{Schedule, Scheduler},
    state::JobState,
};

/// How many events are kept, as in BullMQ.
const EVENTS: usize = 10_000;

/// A lock of a worker.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) token: String,
    pub(super) until: Instant,
}

/// The job that a kind is deduplicated by.
#[derive(Debug)]
pub(super) struct Deduplicated {
    pub(super) job: JobId,
    /// None: until the job ends.
    pub(super) until: Option<Instant>,
}

/// A schedule, and what it has made.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) schedule: Schedule,
    pub(super) scheduler: Scheduler,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) jobs: HashMap<JobId, Job>,
    /// The next one first.
    pub(super) waiting: VecDeque<JobId>,
    /// By priority, then in the order of adding.
    pub(super) prioritized: BTreeMap<(u32, u64), JobId>,
    /// By time, then in the order of adding.
    pub(super) delayed: BTreeMap<(DateTime<Utc>, u64), JobId>,
    pub(super) active: Vec<JobId>,
    /// The oldest first.
    pub(super) completed: VecDeque<JobId>,
    pub(super) failed: VecDeque<JobId>,
    pub(super) locks: HashMap<JobId, Lock>,
    /// Those that the last look for lost workers found running.
    pub(super) suspected: HashSet<JobId>,
    pub(super) last_look: Option<Instant>,
    pub(super) deduplicated: HashMap<String, Deduplicated>,
    pub(super) schedules: BTreeMap<String, Planned>,
    pub(super) paused: bool,
    pub(super) events: VecDeque<QueueEvent>,
    last_id: u64,
    order: u64,
    last_event: u64,
}

impl State {
    pub(super) fn next_id(&mut self) -> JobId {
        self.last_id += 1;
        JobId::from(self.last_id.to_string())
    }

    pub(super) fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    pub(super) fn event(&mut self, job: Option<&JobId>, event: JobEvent) {
        self.last_event += 1;
        let id = EventId::from(self.last_event.to_string());
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events
            .push_back(QueueEvent::new(id, job.cloned(), event));
    }

    /// The number of the last event.
    pub(super) const fn last_event(&self) -> u64 {
        self.last_event
    }

    /// The events after one.
    pub(super) fn events_after(&self, after: u64) -> impl Iterator<Item = &QueueEvent> {
        let missing = self.last_event.saturating_sub(after);
        let skip = self.events.len() as u64 - missing.min(self.events.len() as u64);
        self.events
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    /// Puts a job in line: at its end, or where it is the next one.
    pub(super) fn line_up(&mut self, id: &JobId, next: bool) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let priority = job.options.priority;
        if priority == 0 {
            job.state = JobState::Waiting;
            if next {
                self.waiting.push_front(id.clone());
            } else {
                self.waiting.push_back(id.clone());
            }
        } else {
            job.state = JobState::Prioritized;
            let order = if next { 0 } else { self.next_order() };
            self.prioritized.insert((priority, order), id.clone());
        }
        self.event(Some(id), JobEvent::Waiting);
    }

    /// Lets a job wait for its time.
    pub(super) fn put_off(&mut self, id: &JobId, until: DateTime<Utc>) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.state = JobState::Delayed;
            let order = self.next_order();
            self.delayed.insert((until, order), id.clone());
            self.event(Some(id), JobEvent::Delayed { until: Some(until) });
        }
    }

    /// Puts the delayed jobs in line whose time has come.
    pub(super) fn promote(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let id = entry.remove();
            if let Some(job) = self.jobs.get_mut(&id) {
                job.options.delay = Duration::ZERO;
            }
            self.line_up(&id, false);
        }
    }

    /// The next job, out of its line.
    pub(super) fn next(&mut self) -> Option<JobId> {
        if let Some(id) = self.waiting.pop_front() {
            return Some(id);
        }
        self.prioritized.pop_first().map(|(_, id)| id)
    }

    pub(super) fn has_work(&self) -> bool {
        let idle = self.waiting.is_empty() && self.prioritized.is_empty();
        !self.paused && !idle
    }

    /// Takes a job out of whatever line it is in.
    pub(super) fn unline(&mut self, id: &JobId) {
        self.waiting.retain(|it| it != id);
        self.prioritized.retain(|_, it| it != id);
        self.delayed.retain(|_, it| it != id);
        self.active.retain(|it| it != id);
        self.completed.retain(|it| it != id);
        self.failed.retain(|it| it != id);
    }

    /// Forgets a job, and what is deduplicated by it.
    pub(super) fn drop_job(&mut self, id: &JobId) {
        self.jobs.remove(id);
        self.locks.remove(id);
        self.suspected.remove(id);
        self.deduplicated.retain(|_, it| it.job != *id);
    }

    pub(super) fn is_locked(&self, id: &JobId) -> bool {
        let lock = self.locks.get(id);
        lock.is_some_and(|lock| lock.until > Instant::now())
    }

    /// The schedule whose next job this is.
    pub(super) fn schedule_of(&self, id: &JobId) -> Option<&str> {
        let scheduler = self.jobs.get(id)?.scheduler.as_deref()?;
        let planned = self.schedules.get(scheduler)?;
        let next = schedule_job_id(scheduler, planned.scheduler.next);
        (next == *id).then_some(scheduler)
    }

    pub(super) fn counts(&self) -> JobCounts {
        JobCounts {
            waiting: self.waiting.len() as u64,
            prioritized: self.prioritized.len() as u64,
            delayed: self.delayed.len() as u64,
            active: self.active.len() as u64,
            completed: self.completed.len() as u64,
            failed: self.failed.len() as u64,
            waiting_children: 0,
        }
    }
}

/// The id of a schedule's job: as BullMQ names it.
pub(super) fn schedule_job_id(schedule: &str, at: DateTime<Utc>) -> JobId {
    JobId::from(format!("repeat:{schedule}:{}", at.timestamp_millis()))
}
