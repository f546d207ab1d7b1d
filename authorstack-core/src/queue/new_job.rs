//! What is added to a queue.

use std::time::Duration;

use serde_json::Value;

use super::{
    job_id::JobId,
    name::check_text,
    options::{Backoff, Deduplication, JobOptions, Keep},
    payload::{Payload, encode},
    trace::current_trace,
};
use crate::{Error, ErrorKind, Result, limits};

/// The longest name of a job, in bytes.
const LONGEST_NAME: usize = 200;

/// A job to add.
///
/// ```
/// use std::time::Duration;
/// use authorstack_core::queue::{Backoff, NewJob};
/// use authorstack_core::serde_json::json;
///
/// let job = NewJob::new("resize-cover", json!({"bookId": "66f2a1b3c4d5e6f708192a3b"}))
///     .delay(Duration::from_secs(30))
///     .attempts(5)
///     .backoff(Backoff::exponential(Duration::from_secs(1)).jitter(0.5));
/// assert_eq!(job.options.attempts, 5);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What is to be done.
    pub name: String,
    /// With what.
    pub data: Value,
    /// How.
    pub options: JobOptions,
}

impl NewJob {
    /// A job that runs as soon as possible, once.
    pub fn new(name: impl Into<String>, data: Value) -> Self {
        Self {
            name: name.into(),
            data,
            options: JobOptions::default(),
        }
    }

    /// A job with this payload. Its queue must be the payload's.
    ///
    /// # Errors
    /// Invalid if the payload is no JSON object.
    pub fn of<P: Payload>(payload: &P) -> Result<Self> {
        Ok(Self::new(P::NAME, encode(payload)?))
    }

    /// How long to wait before it may run.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = delay;
        self
    }

    /// 1 runs before 2. Jobs without a priority run before all that have one.
    #[must_use]
    pub const fn priority(mut self, priority: u32) -> Self {
        self.options.priority = priority;
        self
    }

    /// An id of the producer's own: while a job with it exists, adding changes nothing.
    #[must_use]
    pub fn id(mut self, id: JobId) -> Self {
        self.options.id = Some(id);
        self
    }

    /// How often it is run at most, until it succeeds.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.options.attempts = attempts;
        self
    }

    /// How long to wait after a failed attempt.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = Some(backoff);
        self
    }

    /// Whether it is added while one of its kind is there.
    #[must_use]
    pub fn deduplicate(mut self, deduplication: Deduplication) -> Self {
        self.options.deduplication = Some(deduplication);
        self
    }

    /// Which completed jobs are kept when this one completes; a thousand for a day by default.
    #[must_use]
    pub const fn keep_completed(mut self, keep: Keep) -> Self {
        self.options.keep_completed = keep;
        self
    }

    /// Which failed jobs are kept when this one has failed for the last time; all by default.
    #[must_use]
    pub const fn keep_failed(mut self, keep: Keep) -> Self {
        self.options.keep_failed = keep;
        self
    }

    /// Lets it run before the jobs that wait already.
    #[must_use]
    pub const fn last_in_first_out(mut self) -> Self {
        self.options.last_in_first_out = true;
        self
    }

    /// What a queue does first with each job: refuses what it cannot keep, and lets the job continue
    /// the trace of the one that adds it.
    ///
    /// # Errors
    /// Invalid, naming the field.
    pub fn prepared(mut self) -> Result<(Self, String)> {
        check_text("job name", &self.name, LONGEST_NAME)?;
        self.options.check()?;
        if depth(&self.data, 1) > limits::LEVELS {
            let reason = format!("has more than {} levels; flatten it", limits::LEVELS);
            return Err(Error::invalid("job data", reason));
        }
        let data = self.data.to_string();
        if data.len() > limits::JSON {
            let reason = format!(
                "has {} bytes as JSON; {} are allowed: store it elsewhere, and queue its id",
                data.len(),
                limits::JSON
            );
            return Err(Error::invalid("job data", reason));
        }
        if self.options.trace.is_none() {
            self.options.trace = current_trace();
        }
        Ok((self, data))
    }

    /// What a queue does first with jobs that are added together: none is added if one is refused.
    ///
    /// # Errors
    /// As of [`NewJob::prepared`], with the number of the job.
    pub fn prepare_all(jobs: Vec<Self>) -> Result<Vec<(Self, String)>> {
        let many = jobs.len() > 1;
        let prepare = |(index, job): (usize, Self)| {
            job.prepared().map_err(|error| match error.kind() {
                ErrorKind::Invalid { field, reason } if many => {
                    let reason = format!("{reason} (job {} of the list)", index + 1);
                    Error::invalid(field.clone(), reason)
                }
                _ => error,
            })
        };
        jobs.into_iter().enumerate().map(prepare).collect()
    }
}

/// How many levels JSON has, counted until one more than are allowed.
fn depth(value: &Value, level: usize) -> usize {
    if level > limits::LEVELS {
        return level;
    }
    let inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return level,
    };
    inner.map(|it| depth(it, level + 1)).max().unwrap_or(level)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_that_no_queue_should_carry_is_refused() {
        let large = NewJob::new("a", json!("x".repeat(limits::JSON)));
        let error = large.prepared().unwrap_err().to_string();
        assert!(
            error.contains("job data") && error.contains("1000002"),
            "{error}"
        );
        let mut deep = json!(1);
        for _ in 0..limits::LEVELS {
            deep = json!([deep]);
        }
        assert!(NewJob::new("a", deep.clone()).prepared().is_err());
        assert!(NewJob::new("a", deep[0].clone()).prepared().is_ok());
        assert!(NewJob::new("", json!({})).prepared().is_err());
    }
}
