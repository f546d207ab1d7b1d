//! The keys of a queue.

use std::sync::Arc;

/// The queue's own keys, in the order in which the scripts know them.
const NAMES: [&str; 16] = [
    "wait",
    "active",
    "paused",
    "prioritized",
    "delayed",
    "completed",
    "failed",
    "marker",
    "id",
    "pc",
    "limiter",
    "stalled-check",
    "stalled",
    "events",
    "meta",
    "repeat",
];

/// The keys of a queue: the schema's `authorstack:queue:<name>`, then what BullMQ calls them.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    base: Arc<str>,
    all: Arc<[String]>,
}

impl Keys {
    /// `queue` is the queue's key: prefix and name.
    pub(super) fn new(queue: &str) -> Self {
        let all = NAMES.iter().map(|name| format!("{queue}:{name}")).collect();
        Self {
            base: queue.into(),
            all,
        }
    }

    /// The queue's key, for errors.
    pub(super) fn queue(&self) -> &str {
        &self.base
    }

    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// One of the queue's own keys, or a job's.
    pub(super) fn of(&self, name: &str) -> String {
        format!("{}:{name}", self.base)
    }
}
