//! How a job is run.

use std::time::Duration;

use super::{job_id::JobId, name::check_text};
use crate::{Error, Result};

/// The lowest priority: 2²¹ − 1, as in BullMQ.
pub const MAX_PRIORITY: u32 = (1 << 21) - 1;

/// The longest delay: a hundred years.
const LONGEST: Duration = Duration::from_secs(3_600 * 24 * 365 * 100);

/// How a job is run. [`NewJob`](super::NewJob) has a method for each.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOptions {
    /// How long to wait before it may run; in whole milliseconds.
    pub delay: Duration,
    /// 1 runs before 2, up to [`MAX_PRIORITY`]. Jobs without a priority (0) run before all of these.
    pub priority: u32,
    /// An id of the producer's own; see [`JobId::custom`].
    pub id: Option<JobId>,
    /// How often it is run at most, until it succeeds. 1 by default; BullMQ's 0 means the same.
    pub attempts: u32,
    /// How long to wait after a failed attempt; not at all by default.
    pub backoff: Option<Backoff>,
    /// Whether it is added while one of its kind is there.
    pub deduplication: Option<Deduplication>,
    /// Which completed jobs are kept when this one completes.
    pub keep_completed: Keep,
    /// Which failed jobs are kept when this one has failed for the last time.
    pub keep_failed: Keep,
    /// Runs before the jobs that wait already. Not for jobs with a priority.
    pub last_in_first_out: bool,
    /// The trace that it continues, as the producer's telemetry wrote it: for OpenTelemetry a JSON
    /// object with `traceparent`. Inside a handler, the trace of its job by default.
    pub trace: Option<String>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            priority: 0,
            id: None,
            attempts: 1,
            backoff: None,
            deduplication: None,
            keep_completed: Keep::DAY,
            keep_failed: Keep::ALL,
            last_in_first_out: false,
            trace: None,
        }
    }
}

impl JobOptions {
    /// Refuses what no queue can keep.
    pub(super) fn check(&self) -> Result<()> {
        if self.delay > LONGEST {
            return Err(Error::invalid("delay", "is above 100 years; shorten it"));
        }
        if self.priority > MAX_PRIORITY {
            let reason = format!("{} is above {MAX_PRIORITY}; lower it", self.priority);
            return Err(Error::invalid("priority", reason));
        }
        if let Some(id) = &self.id {
            id.check_custom()?;
        }
        if let Some(backoff) = &self.backoff {
            backoff.check()?;
        }
        if let Some(deduplication) = &self.deduplication {
            check_text("deduplication id", &deduplication.id, 500)?;
            if deduplication.lasts.is_some_and(|lasts| lasts.is_zero()) {
                let reason = "lasts no time; give a time, or none for until the job ends";
                return Err(Error::invalid("deduplication", reason));
            }
        }
        if self.trace.as_ref().is_some_and(|trace| trace.len() > 8_000) {
            return Err(Error::invalid("trace", "has more than 8,000 bytes"));
        }
        Ok(())
    }

    /// How long to wait before the next attempt, after `attempts_made` of them: none where there is
    /// no other attempt. `random` is between 0 and 1.
    #[must_use]
    pub fn retry_after(&self, attempts_made: u32, random: f64) -> Option<Duration> {
        if attempts_made >= self.attempts {
            return None;
        }
        let wait = self
            .backoff
            .as_ref()
            .map(|it| it.wait(attempts_made, random));
        Some(wait.unwrap_or_default())
    }
}

/// How the time between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackoffKind {
    /// Always the same.
    Fixed,
    /// Twice as long each time.
    Exponential,
}

/// How long to wait between attempts.
///
/// ```
/// use std::time::Duration;
/// use authorstack_core::queue::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1));
/// assert_eq!(backoff.wait(3, 0.5), Duration::from_secs(4));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// How it grows.
    pub kind: BackoffKind,
    /// The first time to wait.
    pub delay: Duration,
    /// Which part of the time is random: from 0, none, to 1, all of it.
    pub jitter: f64,
}

impl Backoff {
    /// The same time after each attempt.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self {
            kind: BackoffKind::Fixed,
            delay,
            jitter: 0.0,
        }
    }

    /// Twice as long after each attempt, `delay` after the first.
    #[must_use]
    pub const fn exponential(delay: Duration) -> Self {
        Self {
            kind: BackoffKind::Exponential,
            delay,
            jitter: 0.0,
        }
    }

    /// Makes a part of the time random, so that jobs that failed together do not come back together.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// How long to wait after so many attempts, in whole milliseconds. `random` is between 0 and 1.
    #[must_use]
    pub fn wait(&self, attempts_made: u32, random: f64) -> Duration {
        let longest = match self.kind {
            BackoffKind::Fixed => self.delay,
            BackoffKind::Exponential => {
                let times = 1_u32.checked_shl(attempts_made.saturating_sub(1));
                self.delay.saturating_mul(times.unwrap_or(u32::MAX))
            }
        };
        let longest = longest.min(LONGEST);
        let jitter = self.jitter.clamp(0.0, 1.0);
        let shorter = longest.mul_f64(jitter * (1.0 - random.clamp(0.0, 1.0)));
        let wait = longest.saturating_sub(shorter);
        Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }

    fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.jitter) {
            let reason = format!("{} is not between 0 and 1", self.jitter);
            return Err(Error::invalid("backoff jitter", reason));
        }
        if self.delay > LONGEST {
            return Err(Error::invalid("backoff delay", "is above 100 years"));
        }
        Ok(())
    }
}

/// Which finished jobs a queue keeps. Older ones are removed when a job finishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keep {
    /// The most jobs.
    pub count: Option<u32>,
    /// The longest time, in whole seconds.
    pub age: Option<Duration>,
}

impl Keep {
    /// All, for ever.
    pub const ALL: Self = Self {
        count: None,
        age: None,
    };
    /// None: the job is gone as soon as it has finished.
    pub const NONE: Self = Self {
        count: Some(0),
        age: None,
    };
    /// The last thousand, for a day.
    pub const DAY: Self = Self {
        count: Some(1_000),
        age: Some(Duration::from_secs(86_400)),
    };

    /// The last so many.
    #[must_use]
    pub const fn last(count: u32) -> Self {
        Self {
            count: Some(count),
            age: None,
        }
    }
}

/// Whether a job is added while one of its kind is there. Where it is not added, adding answers the
/// id of the one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduplication {
    /// What tells the kinds apart.
    pub id: String,
    /// For how long it counts, from the first job on; none: until that job has ended.
    pub lasts: Option<Duration>,
    /// Whether each job that is not added begins that time anew.
    pub extend: bool,
    /// Whether a new job takes the place of one that is still delayed.
    pub replace: bool,
}

impl Deduplication {
    /// One at a time: none is added until the first has ended.
    pub fn until_finished(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            lasts: None,
            extend: false,
            replace: false,
        }
    }

    /// One in this time.
    pub fn throttle(id: impl Into<String>, lasts: Duration) -> Self {
        Self {
            lasts: Some(lasts),
            ..Self::until_finished(id)
        }
    }

    /// The last one, once no other has come for this time. The job needs a delay as long.
    pub fn debounce(id: impl Into<String>, lasts: Duration) -> Self {
        Self {
            extend: true,
            replace: true,
            ..Self::throttle(id, lasts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoffs_grow_as_bullmq_lets_them() {
        let second = Duration::from_secs(1);
        let fixed = Backoff::fixed(second);
        let exponential = Backoff::exponential(second);
        for (attempts, times) in [(1, 1), (2, 2), (3, 4), (10, 512)] {
            assert_eq!(fixed.wait(attempts, 0.0), second);
            assert_eq!(exponential.wait(attempts, 0.0), second * times);
        }
        // Far beyond what fits, it stays at the longest.
        assert!(exponential.wait(500, 0.0) <= LONGEST);
    }

    #[test]
    fn jitter_shortens_within_its_part() {
        let backoff = Backoff::fixed(Duration::from_secs(10)).jitter(0.4);
        assert_eq!(backoff.wait(1, 1.0), Duration::from_secs(10));
        assert_eq!(backoff.wait(1, 0.0), Duration::from_secs(6));
    }

    #[test]
    fn the_last_attempt_has_no_next_one() {
        let options = JobOptions {
            attempts: 3,
            ..JobOptions::default()
        };
        assert_eq!(options.retry_after(2, 0.0), Some(Duration::ZERO));
        assert_eq!(options.retry_after(3, 0.0), None);
        // BullMQ's default.
        let options = JobOptions {
            attempts: 0,
            ..JobOptions::default()
        };
        assert_eq!(options.retry_after(1, 0.0), None);
    }

    #[test]
    fn what_no_queue_keeps_is_refused_by_name() {
        let options = JobOptions::default;
        for (field, options) in [
            (
                "priority",
                JobOptions {
                    priority: MAX_PRIORITY + 1,
                    ..options()
                },
            ),
            (
                "delay",
                JobOptions {
                    delay: Duration::MAX,
                    ..options()
                },
            ),
            (
                "backoff jitter",
                JobOptions {
                    backoff: Some(Backoff::fixed(Duration::ZERO).jitter(f64::NAN)),
                    ..options()
                },
            ),
            (
                "deduplication",
                JobOptions {
                    deduplication: Some(Deduplication::throttle("a", Duration::ZERO)),
                    ..options()
                },
            ),
            (
                "job id",
                JobOptions {
                    id: Some(JobId::from("a:b".to_owned())),
                    ..options()
                },
            ),
        ] {
            let error = options.check().unwrap_err().to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
    }
}
