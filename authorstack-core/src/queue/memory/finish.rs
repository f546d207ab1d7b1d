//! Taking and settling jobs.

use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::state::{Lock, State};
use crate::{
    queue::{
        event::JobEvent,
        feed::{Exchanged, FeedOptions, Held, Outcome, Recovered, Refusal, Settlement, Taken},
        job_id::JobId,
        options::Keep,
        state::JobState,
    },
    time,
};

impl State {
    pub(super) fn exchange(
        &mut self,
        settled: &[Settlement],
        room: usize,
        options: &FeedOptions,
        mut token: impl FnMut() -> String,
    ) -> Exchanged {
        let mut exchanged = Exchanged::default();
        for settlement in settled {
            if let Err(refusal) = self.settle(settlement) {
                exchanged
                    .refused
                    .push((settlement.held.id.clone(), refusal));
            }
        }
        let now = time::now();
        self.promote(now);
        while exchanged.taken.len() < room && !self.paused {
            let Some(id) = self.next() else {
                break;
            };
            let token = token();
            let until = Instant::now() + options.lock;
            self.event(Some(&id), JobEvent::Active);
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            job.state = JobState::Active;
            job.started_at = Some(now);
            job.attempts_started += 1;
            job.worker.clone_from(&options.worker);
            let job = job.clone();
            self.active.push(id.clone());
            let lock = Lock {
                token: token.clone(),
                until,
            };
            self.locks.insert(id.clone(), lock);
            self.make_next(&job);
            exchanged.taken.push(Taken { job, token });
        }
        if exchanged.taken.len() < room {
            exchanged.next = self.delayed.keys().next().map(|(due, _)| *due);
        }
        if !settled.is_empty() && self.active.is_empty() && !self.has_work() {
            self.event(None, JobEvent::Drained);
        }
        exchanged
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<(), Refusal> {
        let id = &settlement.held.id;
        if !self.jobs.contains_key(id) {
            return Err(Refusal::Gone);
        }
        self.release(&settlement.held)?;
        let now = time::now();
        let Some(job) = self.jobs.get_mut(id) else {
            return Err(Refusal::Gone);
        };
        match &settlement.outcome {
            Outcome::GivenBack => self.line_up(id, true),
            Outcome::Retry {
                reason,
                stacktrace,
                after,
            } => {
                job.attempts_made += 1;
                job.failed_reason = Some(reason.clone());
                job.stacktrace.clone_from(stacktrace);
                job.options.delay = *after;
                let next = job.options.last_in_first_out;
                match TimeDelta::from_std(*after) {
                    Ok(after) if !after.is_zero() => self.put_off(id, now + after),
                    _ => self.line_up(id, next),
                }
            }
            Outcome::Completed { returned } => {
                job.attempts_made += 1;
                job.state = JobState::Completed;
                job.finished_at = Some(now);
                job.returned = Some(returned.clone());
                self.completed.push_back(id.clone());
                let returned = returned.clone();
                self.event(Some(id), JobEvent::Completed { returned });
                self.ended(id, settlement.keep, JobState::Completed);
            }
            Outcome::Failed { reason, stacktrace } => {
                job.attempts_made += 1;
                let attempts = job.attempts_made;
                job.state = JobState::Failed;
                job.finished_at = Some(now);
                job.failed_reason = Some(reason.clone());
                job.stacktrace.clone_from(stacktrace);
                job.problem = None;
                self.failed.push_back(id.clone());
                let reason = reason.clone();
                self.event(Some(id), JobEvent::Failed { reason });
                if attempts >= settlement.attempts {
                    self.event(Some(id), JobEvent::RetriesExhausted { attempts });
                }
                self.ended(id, settlement.keep, JobState::Failed);
            }
        }
        Ok(())
    }

    /// Takes a job and its lock from a worker.
    fn release(&mut self, held: &Held) -> Result<(), Refusal> {
        let is_own = |lock: &Lock| lock.token == held.token && lock.until > Instant::now();
        if !self.locks.get(&held.id).is_some_and(is_own) {
            return Err(Refusal::LockLost);
        }
        self.locks.remove(&held.id);
        self.suspected.remove(&held.id);
        self.active.retain(|it| *it != held.id);
        Ok(())
    }

    /// Ends the deduplication of a job, and removes the finished jobs that are too many or too old: the
    /// job itself, where none is kept.
    fn ended(&mut self, id: &JobId, keep: Keep, state: JobState) {
        self.deduplicated
            .retain(|_, it| it.until.is_some() || it.job != *id);
        if keep == Keep::NONE {
            self.unline(id);
            self.jobs.remove(id);
            return;
        }
        let now = time::now();
        let oldest = keep
            .age
            .and_then(|age| TimeDelta::from_std(age).ok())
            .map(|age| now - age);
        loop {
            let line = match state {
                JobState::Completed => &mut self.completed,
                _ => &mut self.failed,
            };
            let Some(first) = line.front() else {
                return;
            };
            let finished = self.jobs.get(first).and_then(|job| job.finished_at);
            let is_old = oldest.is_some_and(|oldest| finished.is_none_or(|it| it < oldest));
            let is_many = keep.count.is_some_and(|count| line.len() > count as usize);
            if !is_old && !is_many {
                return;
            }
            if let Some(surplus) = line.pop_front() {
                self.jobs.remove(&surplus);
            }
        }
    }

    pub(super) fn extend(&mut self, held: &[Held], lock: Duration) -> Vec<JobId> {
        let until = Instant::now() + lock;
        let mut lost = Vec::new();
        for held in held {
            match self.locks.get_mut(&held.id) {
                Some(lock) if lock.token == held.token && lock.until > Instant::now() => {
                    lock.until = until;
                    self.suspected.remove(&held.id);
                }
                _ => lost.push(held.id.clone()),
            }
        }
        lost
    }

    pub(super) fn recover(&mut self, every: Duration, max_stalled: u32) -> Recovered {
        if self.last_look.is_some_and(|last| last.elapsed() < every) {
            return Recovered {
                stalled: Vec::new(),
                active: !self.active.is_empty(),
            };
        }
        self.last_look = Some(Instant::now());
        let mut stalled = Vec::new();
        for id in std::mem::take(&mut self.suspected) {
            if self.is_locked(&id) || !self.active.contains(&id) {
                continue;
            }
            self.active.retain(|it| *it != id);
            self.locks.remove(&id);
            let is_scheduled = |job: &crate::queue::job::Job| {
                job.scheduler
                    .as_ref()
                    .is_some_and(|it| self.schedules.contains_key(it))
            };
            let scheduled = self.jobs.get(&id).is_some_and(is_scheduled);
            if let Some(job) = self.jobs.get_mut(&id) {
                job.stalled += 1;
                if job.stalled > max_stalled && !scheduled {
                    job.problem = Some("job stalled more than allowable limit".to_owned());
                }
            }
            self.event(Some(&id), JobEvent::Stalled);
            self.line_up(&id, true);
            stalled.push(id);
        }
        self.suspected.extend(self.active.iter().cloned());
        Recovered {
            stalled,
            active: !self.active.is_empty(),
        }
    }

    /// Puts the jobs back in line whose token is of this feed, but that its worker does not hold.
    pub(super) fn reclaim(&mut self, held: &[Held], feed: &str) -> u64 {
        let lost: Vec<JobId> = self
            .active
            .iter()
            .filter(|id| {
                let lock = self.locks.get(id);
                lock.is_some_and(|lock| lock.token.starts_with(feed))
                    && !held.iter().any(|it| it.id == **id)
            })
            .cloned()
            .collect();
        for id in &lost {
            self.active.retain(|it| it != id);
            self.locks.remove(id);
            self.suspected.remove(id);
            self.line_up(id, true);
        }
        lost.len() as u64
    }
}
