//! How a worker works.

use std::{sync::Arc, time::Duration};

use crate::{Error, Result, queue::trace::TracePropagation};

/// How a worker works. [`Worker`](super::Worker) has a method for what is set most often.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// How many jobs run at once; 1 by default.
    pub concurrency: usize,
    /// A name for people, which the queue notes in the jobs. What proves that a worker holds a job
    /// is new with each start.
    pub name: Option<String>,
    /// How long a job stays locked if its worker is lost; 30 seconds by default. It is renewed after
    /// half of that.
    pub lock: Duration,
    /// How often to look for lost workers while jobs run; 30 seconds by default.
    pub stalled_interval: Duration,
    /// How often to look for them while no job runs; 2 minutes by default. Each look costs commands.
    pub idle_interval: Duration,
    /// How long to wait for a job in one command; a minute by default.
    pub block: Duration,
    /// How often a job may lose its worker before it fails; 1 by default. A job that kills its worker
    /// would otherwise kill all of them, one after the other.
    pub max_stalled: u32,
    /// Joins spans to the producers' traces.
    pub propagation: Option<Arc<dyn TracePropagation>>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 1,
            name: None,
            lock: Duration::from_secs(30),
            stalled_interval: Duration::from_secs(30),
            idle_interval: Duration::from_secs(120),
            block: Duration::from_secs(60),
            max_stalled: 1,
            propagation: None,
        }
    }
}

impl WorkerOptions {
    /// Refuses what would not work.
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=10_000).contains(&self.concurrency) {
            let reason = format!("{} is not between 1 and 10,000", self.concurrency);
            return Err(Error::invalid("concurrency", reason));
        }
        for (field, time, least) in [
            ("lock", self.lock, Duration::from_millis(100)),
            (
                "stalled_interval",
                self.stalled_interval,
                Duration::from_millis(10),
            ),
            (
                "idle_interval",
                self.idle_interval,
                Duration::from_millis(10),
            ),
            ("block", self.block, Duration::from_millis(10)),
        ] {
            if !(least..=Duration::from_secs(86_400)).contains(&time) {
                let reason = format!("{time:?} is not between {least:?} and a day");
                return Err(Error::invalid(field, reason));
            }
        }
        Ok(())
    }
}
