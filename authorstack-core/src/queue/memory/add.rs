//! Adding jobs.

use std::time::Instant;

use super::state::{Deduplicated, State};
use crate::{
    queue::{
        event::JobEvent, job::Job, job_id::JobId, new_job::NewJob, options::Deduplication,
        state::JobState,
    },
    time,
};

impl State {
    pub(super) fn add(&mut self, job: NewJob) -> JobId {
        let given = self.next_id();
        let id = match &job.options.id {
            Some(id) if self.jobs.contains_key(id) => {
                self.event(Some(id), JobEvent::Duplicated);
                return id.clone();
            }
            Some(id) => id.clone(),
            None => given,
        };
        if let Some(deduplication) = &job.options.deduplication
            && let Some(there) = self.deduplicate(deduplication, &id)
        {
            return there;
        }
        self.store(&id, job, None);
        id
    }

    /// Stores a job, and puts it in its line.
    pub(super) fn store(&mut self, id: &JobId, new: NewJob, scheduler: Option<String>) {
        let delay = new.options.delay;
        let next = new.options.last_in_first_out;
        let mut job = Job::new(id.clone(), new.name, new.data, new.options);
        job.scheduler = scheduler;
        let due = job.added_at + delay;
        let name = job.name.clone();
        self.jobs.insert(id.clone(), job);
        self.event(Some(id), JobEvent::Added { name });
        if delay.is_zero() {
            self.line_up(id, next);
        } else {
            self.put_off(id, time::to_millis(due));
        }
    }

    /// The job that is there already. If there is none, `id` is the one from now on.
    fn deduplicate(&mut self, wanted: &Deduplication, id: &JobId) -> Option<JobId> {
        let now = Instant::now();
        let until = wanted.lasts.map(|lasts| now + lasts);
        let current = self.deduplicated.get(&wanted.id).filter(|current| {
            // One without an end counts as long as its job is there.
            current
                .until
                .map_or_else(|| self.jobs.contains_key(&current.job), |until| until > now)
        });
        let Some(current) = current else {
            let job = id.clone();
            self.deduplicated
                .insert(wanted.id.clone(), Deduplicated { job, until });
            return None;
        };
        let (there, was_until) = (current.job.clone(), current.until);
        let is_delayed = self
            .jobs
            .get(&there)
            .is_some_and(|job| job.state == JobState::Delayed);
        let event = JobEvent::Deduplicated {
            id: wanted.id.clone(),
        };
        if wanted.replace && is_delayed {
            self.unline(&there);
            self.drop_job(&there);
            self.event(Some(&there), JobEvent::Removed);
            self.event(Some(id), event);
            let until = if wanted.extend { until } else { was_until };
            let job = id.clone();
            self.deduplicated
                .insert(wanted.id.clone(), Deduplicated { job, until });
            return None;
        }
        if wanted.extend
            && !wanted.replace
            && let Some(current) = self.deduplicated.get_mut(&wanted.id)
        {
            current.until = until;
        }
        self.event(Some(&there), event);
        Some(there)
    }
}
