//! Jobs by the clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use serde_json::Value;

use super::{name::check_text, new_job::NewJob};
use crate::{Error, Result, shown, time};

/// When a schedule's jobs run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// By a cron pattern of five fields (minute, hour, day of the month, month, day of the week), or
    /// of six with the second in front.
    Cron {
        /// The pattern: `0 6 * * 1` is every Monday at six.
        pattern: String,
        /// The time zone that it means, such as `Europe/Vienna`; UTC by default.
        time_zone: Option<String>,
    },
    /// In an interval, in whole milliseconds. The first job runs at once, or when the schedule
    /// starts.
    Every {
        /// The time between two jobs.
        interval: Duration,
    },
}

impl Timing {
    /// By a cron pattern, in UTC.
    pub fn cron(pattern: impl Into<String>) -> Self {
        Self::Cron {
            pattern: pattern.into(),
            time_zone: None,
        }
    }

    /// In an interval.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self::Every { interval }
    }

    /// The moment after `after` at which a job runs; after the one at `previous`, if there was one.
    /// None if there is no such moment.
    ///
    /// # Errors
    /// Invalid for a pattern, a time zone or an interval that means nothing.
    pub fn next(
        &self,
        after: DateTime<Utc>,
        previous: Option<DateTime<Utc>>,
    ) -> Result<Option<DateTime<Utc>>> {
        match self {
            Self::Cron { pattern, time_zone } => {
                let zone = time_zone.as_deref().map_or(Ok(Tz::UTC), zone)?;
                let found =
                    parse(pattern)?.find_next_occurrence(&after.with_timezone(&zone), false);
                // All other errors are found by `parse`.
                Ok(found.ok().map(|moment| moment.with_timezone(&Utc)))
            }
            Self::Every { interval } => {
                let every = milliseconds(*interval)?;
                let now = after.timestamp_millis();
                let next = match previous {
                    None => now,
                    Some(previous) => {
                        let next = previous.timestamp_millis().saturating_add(every);
                        // Those that were missed are left out.
                        if next < now {
                            let missed = (now - next).div_euclid(every) + 1;
                            next.saturating_add(missed.saturating_mul(every))
                        } else {
                            next
                        }
                    }
                };
                Ok(DateTime::from_timestamp_millis(next))
            }
        }
    }
}

fn parse(pattern: &str) -> Result<Cron> {
    let parsed = Cron::new(pattern).with_seconds_optional().parse();
    parsed.map_err(|error| {
        let reason = format!(
            "{} is no cron pattern ({error}); it has five fields, as in 0 6 * * 1",
            shown(pattern)
        );
        Error::invalid("schedule pattern", reason)
    })
}

fn zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| {
        let reason = format!(
            "{} is no time zone; it is a name such as Europe/Vienna",
            shown(name)
        );
        Error::invalid("schedule time zone", reason)
    })
}

fn milliseconds(interval: Duration) -> Result<i64> {
    let millis = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    if (1..=1 << 45).contains(&millis) {
        return Ok(millis);
    }
    let reason = format!("{interval:?} is not between a millisecond and a thousand years");
    Err(Error::invalid("schedule interval", reason))
}

/// Adds a job by the clock, again and again. The next job waits among the delayed ones; the one after
/// it is added when a worker takes it, so there is never more than one, and none is made up for while
/// no worker runs.
///
/// ```
/// use authorstack_core::queue::{JobQueue, NewJob, Schedule, Timing};
/// use authorstack_core::serde_json::json;
///
/// # async fn example(queue: &dyn JobQueue) -> authorstack_core::Result<()> {
/// let digest = NewJob::new("send-digests", json!({})).attempts(3);
/// let schedule = Schedule::new("weekly-digest", Timing::cron("0 6 * * 1"), digest);
/// let first = queue.schedule(schedule).await?;
/// # let _ = first;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// What tells it apart: another schedule with the same id takes its place.
    pub id: String,
    /// When its jobs run.
    pub timing: Timing,
    /// The jobs. They have no delay, id or deduplication of their own.
    pub job: NewJob,
    /// No job runs before.
    pub starts: Option<DateTime<Utc>>,
    /// No job is added after.
    pub ends: Option<DateTime<Utc>>,
    /// The most jobs.
    pub limit: Option<u32>,
}

impl Schedule {
    /// A schedule without an end.
    pub fn new(id: impl Into<String>, timing: Timing, job: NewJob) -> Self {
        Self {
            id: id.into(),
            timing,
            job,
            starts: None,
            ends: None,
            limit: None,
        }
    }

    /// Checks it, and says when its first job runs.
    ///
    /// # Errors
    /// Invalid, naming the field.
    pub fn first(&self) -> Result<DateTime<Utc>> {
        check_text("schedule id", &self.id, 200)?;
        if self.id.contains(':') {
            let reason = format!(
                "{} contains :, which separates keys; use -",
                shown(&self.id)
            );
            return Err(Error::invalid("schedule id", reason));
        }
        let own = &self.job.options;
        if !own.delay.is_zero() || own.id.is_some() || own.deduplication.is_some() {
            let reason = "has a delay, an id or a deduplication, which the schedule itself gives; \
                          remove it";
            return Err(Error::invalid("schedule job", reason));
        }
        if self.limit == Some(0) {
            return Err(Error::invalid(
                "schedule limit",
                "is 0; give none, or at least 1",
            ));
        }
        let now = time::now();
        let first = match (&self.timing, self.starts) {
            (Timing::Every { interval }, Some(starts)) => {
                milliseconds(*interval)?;
                Some(time::to_millis(starts).max(now))
            }
            // A moment that is the start itself counts.
            (Timing::Cron { .. }, Some(starts)) if starts > now => {
                self.timing.next(starts - Duration::from_millis(1), None)?
            }
            _ => self.timing.next(now, None)?,
        };
        match first {
            Some(first) if self.ends.is_none_or(|ends| first <= ends) => Ok(first),
            Some(_) => Err(Error::invalid(
                "schedule end",
                "is before the first job would run",
            )),
            None => Err(Error::invalid(
                "schedule pattern",
                "names no moment to come",
            )),
        }
    }
}

/// A schedule as it is in a queue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scheduler {
    /// What tells it apart.
    pub id: String,
    /// The name of its jobs.
    pub name: String,
    /// When its jobs run; none where another app's schedule cannot be read.
    pub timing: Option<Timing>,
    /// When its next job runs.
    pub next: DateTime<Utc>,
    /// How many jobs it has made.
    pub count: u64,
    /// The most jobs.
    pub limit: Option<u32>,
    /// No job is added after.
    pub ends: Option<DateTime<Utc>>,
    /// The data of its jobs.
    pub data: Value,
}

impl Scheduler {
    /// A schedule whose next job runs at `next`.
    #[must_use]
    pub const fn new(id: String, name: String, next: DateTime<Utc>) -> Self {
        Self {
            id,
            name,
            timing: None,
            next,
            count: 0,
            limit: None,
            ends: None,
            data: Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn next(pattern: &str, zone: Option<&str>, after: &str) -> Option<DateTime<Utc>> {
        let timing = Timing::Cron {
            pattern: pattern.to_owned(),
            time_zone: zone.map(str::to_owned),
        };
        timing.next(at(after), None).unwrap()
    }

    #[test]
    fn patterns_mean_what_cron_means() {
        for (pattern, zone, after, expected) in [
            (
                "0 6 * * 1",
                None,
                "2026-11-27T00:00:00Z",
                "2026-11-30T06:00:00Z",
            ),
            (
                "*/15 * * * *",
                None,
                "2026-11-27T10:07:00Z",
                "2026-11-27T10:15:00Z",
            ),
            (
                "*/10 * * * * *",
                None,
                "2026-11-27T10:07:01Z",
                "2026-11-27T10:07:10Z",
            ),
            (
                "0 6 * * 0",
                None,
                "2026-11-27T00:00:00Z",
                "2026-11-29T06:00:00Z",
            ),
            (
                "0 6 29 2 *",
                None,
                "2026-11-27T00:00:00Z",
                "2028-02-29T06:00:00Z",
            ),
            // In summer Vienna is two hours ahead, in winter one.
            (
                "0 6 * * *",
                Some("Europe/Vienna"),
                "2026-07-01T00:00:00Z",
                "2026-07-01T04:00:00Z",
            ),
            (
                "0 6 * * *",
                Some("Europe/Vienna"),
                "2026-12-01T00:00:00Z",
                "2026-12-01T05:00:00Z",
            ),
            // A moment itself is not after itself.
            (
                "0 6 * * *",
                None,
                "2026-11-27T06:00:00Z",
                "2026-11-28T06:00:00Z",
            ),
        ] {
            assert_eq!(
                next(pattern, zone, after),
                Some(at(expected)),
                "{pattern} after {after}"
            );
        }
        assert_eq!(next("0 0 30 2 *", None, "2026-11-27T00:00:00Z"), None);
    }

    #[test]
    fn intervals_leave_out_what_was_missed() {
        let timing = Timing::every(Duration::from_secs(60));
        let next = |after, previous| timing.next(at(after), previous).unwrap().unwrap();
        let first = at("2026-11-27T10:00:07Z");
        assert_eq!(next("2026-11-27T10:00:07Z", None), first);
        assert_eq!(
            next("2026-11-27T10:00:08Z", Some(first)),
            at("2026-11-27T10:01:07Z")
        );
        assert_eq!(
            next("2026-11-27T10:05:30Z", Some(first)),
            at("2026-11-27T10:06:07Z")
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let job = || NewJob::new("a", json!({}));
        let cron = |pattern| Schedule::new("a", Timing::cron(pattern), job());
        for (field, schedule) in [
            ("schedule pattern", cron("nonsense")),
            ("schedule pattern", cron("61 * * * *")),
            ("schedule pattern", cron("0 0 30 2 *")),
            (
                "schedule interval",
                Schedule::new("a", Timing::every(Duration::ZERO), job()),
            ),
            (
                "schedule time zone",
                Schedule::new(
                    "a",
                    Timing::Cron {
                        pattern: "* * * * *".to_owned(),
                        time_zone: Some("Mars/Base".to_owned()),
                    },
                    job(),
                ),
            ),
            (
                "schedule id",
                Schedule::new("a:b", Timing::cron("* * * * *"), job()),
            ),
            (
                "schedule job",
                Schedule::new(
                    "a",
                    Timing::cron("* * * * *"),
                    job().delay(Duration::from_secs(1)),
                ),
            ),
            (
                "schedule end",
                Schedule {
                    ends: Some(at("2020-01-01T00:00:00Z")),
                    ..cron("* * * * *")
                },
            ),
            (
                "schedule limit",
                Schedule {
                    limit: Some(0),
                    ..cron("* * * * *")
                },
            ),
        ] {
            let error = schedule.first().unwrap_err().to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
    }
}
