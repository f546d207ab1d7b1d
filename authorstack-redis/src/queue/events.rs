//! The stream of a queue's events.

use std::{collections::VecDeque, time::Duration};

use authorstack_core::{
    Result,
    chrono::DateTime,
    queue::{EventId, JobEvent, QueueEvent},
    serde_json::Value,
};
use futures::stream::{self, BoxStream, StreamExt};
use redis::aio::MultiplexedConnection;
use tokio::time::{sleep, timeout};

use super::{
    jobs::{Fields, Flat, id},
    keys::Keys,
};
use crate::store::RedisStore;

/// How long to wait for an event in one command.
const BLOCK: Duration = Duration::from_mins(1);
const WATCHDOG: Duration = Duration::from_secs(2);
/// The most events of one command.
const BATCH: usize = 500;
/// The longest pause after an error.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct Reader {
    store: RedisStore,
    key: String,
    after: Option<String>,
    connection: Option<MultiplexedConnection>,
    read: VecDeque<QueueEvent>,
    failures: u32,
    is_over: bool,
}

pub(super) fn stream(
    store: RedisStore,
    keys: &Keys,
    after: Option<EventId>,
) -> BoxStream<'static, Result<QueueEvent>> {
    let reader = Reader {
        store,
        key: keys.of("events"),
        after: after.map(|id| id.as_str().to_owned()),
        connection: None,
        read: VecDeque::new(),
        failures: 0,
        is_over: false,
    };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })
    .boxed()
}

/// One entry of a stream: its id, and its fields in turn.
type Entry = (String, Flat);

impl Reader {
    async fn next(&mut self) -> Option<Result<QueueEvent>> {
        while !self.is_over {
            if let Some(event) = self.read.pop_front() {
                return Some(Ok(event));
            }
            match self.fill().await {
                Ok(()) => self.failures = 0,
                Err(error) if error.is_retryable() => {
                    tracing::warn!(key = %self.key, %error, "the events of a queue cannot be read; trying again");
                    let pause = Duration::from_millis(50) * (1 << self.failures.min(10));
                    self.failures += 1;
                    sleep(pause.min(LONGEST_PAUSE)).await;
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    async fn fill(&mut self) -> Result<()> {
        let after = if let Some(after) = &self.after {
            after.clone()
        } else {
            // A fixed place: with `$`, what comes between two commands would be lost.
            let mut last = redis::cmd("XREVRANGE");
            last.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
            let found: Vec<Entry> = self.store.run(&last, &self.key).await?;
            let last = found
                .into_iter()
                .next()
                .map_or_else(|| "0-0".to_owned(), |it| it.0);
            self.after.insert(last).clone()
        };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.dedicated().await?,
        };
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT")
            .arg(BATCH)
            .arg("BLOCK")
            .arg(BLOCK.as_millis().to_string());
        read.arg("STREAMS").arg(&self.key).arg(after);
        let answer = read.query_async::<Option<Vec<(Vec<u8>, Vec<Entry>)>>>(&mut connection);
        // A connection that is silent for too long is given up.
        let Ok(answer) = timeout(BLOCK + WATCHDOG, answer).await else {
            return Ok(());
        };
        let found = answer.map_err(|error| self.store.error(&error, &self.key))?;
        self.connection = Some(connection);
        for (_, entries) in found.into_iter().flatten() {
            for (event_id, flat) in entries {
                self.after = Some(event_id.clone());
                self.read.push_back(decode(event_id, flat));
            }
        }
        Ok(())
    }
}

fn decode(event_id: String, flat: Flat) -> QueueEvent {
    let fields = Fields::new(flat);
    let text = |name: &str| fields.text(name).unwrap_or_default();
    let name = text("event");
    let event = match name.as_str() {
        "added" => JobEvent::Added { name: text("name") },
        "waiting" => JobEvent::Waiting,
        "delayed" => JobEvent::Delayed {
            until: fields
                .number("delay")
                .and_then(DateTime::from_timestamp_millis),
        },
        "active" => JobEvent::Active,
        "progress" => JobEvent::Progress {
            progress: fields.value("data").unwrap_or(Value::Null),
        },
        "completed" => JobEvent::Completed {
            returned: fields.value("returnvalue").unwrap_or(Value::Null),
        },
        "failed" => JobEvent::Failed {
            reason: text("failedReason"),
        },
        "retries-exhausted" => JobEvent::RetriesExhausted {
            attempts: text("attemptsMade").parse().unwrap_or(0),
        },
        "stalled" => JobEvent::Stalled,
        "removed" => JobEvent::Removed,
        "duplicated" => JobEvent::Duplicated,
        "deduplicated" => JobEvent::Deduplicated {
            id: text("deduplicationId"),
        },
        "drained" => JobEvent::Drained,
        "paused" => JobEvent::Paused,
        "resumed" => JobEvent::Resumed,
        _ => JobEvent::Other { name },
    };
    let job = fields.text("jobId").map(|job| id(job.as_bytes()));
    QueueEvent::new(EventId::from(event_id), job, event)
}
