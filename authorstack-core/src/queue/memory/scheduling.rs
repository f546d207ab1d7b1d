//! Schedules.

use chrono::{DateTime, Utc};

use super::state::{Planned, State, schedule_job_id};
use crate::{
    Result,
    queue::{
        event::JobEvent,
        job::Job,
        schedule::{Schedule, Scheduler, Timing},
        state::JobState,
    },
    time,
};

impl State {
    pub(super) fn plan(&mut self, schedule: Schedule) -> Result<DateTime<Utc>> {
        let mut next = schedule.first()?;
        let before = self.schedules.get(&schedule.id);
        let mut count = before.map_or(0, |planned| planned.scheduler.count);
        if let Some(planned) = before {
            let pending = schedule_job_id(&schedule.id, planned.scheduler.next);
            let is_open = self.jobs.get(&pending).is_some_and(|job| {
                matches!(
                    job.state,
                    JobState::Delayed | JobState::Waiting | JobState::Prioritized
                )
            });
            let same = planned.schedule.timing == schedule.timing;
            if is_open {
                // An interval goes on as it was.
                if same && matches!(schedule.timing, Timing::Every { .. }) {
                    next = planned.scheduler.next;
                }
                self.unline(&pending);
                self.drop_job(&pending);
                count = count.saturating_sub(1);
            }
        }
        self.place(&schedule, next);
        let mut scheduler = Scheduler::new(schedule.id.clone(), schedule.job.name.clone(), next);
        scheduler.timing = Some(schedule.timing.clone());
        scheduler.count = count + 1;
        scheduler.limit = schedule.limit;
        scheduler.ends = schedule.ends;
        scheduler.data.clone_from(&schedule.job.data);
        let id = schedule.id.clone();
        let planned = Planned {
            schedule,
            scheduler,
        };
        self.schedules.insert(id, planned);
        Ok(next)
    }

    fn place(&mut self, schedule: &Schedule, next: DateTime<Utc>) {
        let mut job = schedule.job.clone();
        job.options.delay = (next - time::now()).to_std().unwrap_or_default();
        let id = schedule_job_id(&schedule.id, next);
        self.store(&id, job, Some(schedule.id.clone()));
    }

    /// Adds the job after one that was taken.
    pub(super) fn make_next(&mut self, taken: &Job) {
        let Some(id) = self.schedule_of(&taken.id).map(str::to_owned) else {
            return;
        };
        let Some(planned) = self.schedules.get_mut(&id) else {
            return;
        };
        let Planned {
            schedule,
            scheduler,
        } = planned;
        let made = scheduler.count;
        if schedule.limit.is_some_and(|limit| made >= u64::from(limit)) {
            return;
        }
        let now = time::now().max(scheduler.next);
        // It was checked when it was planned.
        let Ok(Some(next)) = schedule.timing.next(now, Some(scheduler.next)) else {
            return;
        };
        if schedule.ends.is_some_and(|ends| time::now() > ends) {
            return;
        }
        scheduler.next = next;
        scheduler.count += 1;
        let schedule = schedule.clone();
        self.place(&schedule, next);
    }

    pub(super) fn unplan(&mut self, id: &str) {
        let Some(planned) = self.schedules.remove(id) else {
            return;
        };
        let pending = schedule_job_id(id, planned.scheduler.next);
        let is_delayed = |job: &Job| job.state == JobState::Delayed;
        if self.jobs.get(&pending).is_some_and(is_delayed) {
            self.unline(&pending);
            self.drop_job(&pending);
            self.event(Some(&pending), JobEvent::Removed);
        }
    }
}
