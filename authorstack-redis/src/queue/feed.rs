//! What a worker takes jobs from.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    Result,
    chrono::DateTime,
    queue::{
        Exchanged, FeedOptions, Held, JobFeed, JobId, JobState, Outcome, Recovered, Refusal,
        Settlement, Taken, Wake,
    },
    serde_json::Value,
    time,
};
use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    jobs::{self, Fields, Flat},
    keys::Keys,
    options::millis,
    schedules,
    scripts::{self, now, run},
};
use crate::store::RedisStore;

/// How much longer than it should a command that blocks may take. A connection can break without
/// a word; the command would never end.
const WATCHDOG: Duration = Duration::from_secs(2);
/// Redis before 7.0.8 takes a shorter time for none: it would block for ever.
const SHORTEST: Duration = Duration::from_millis(2);

/// Jobs from a queue in Redis.
pub(super) struct RedisFeed {
    store: RedisStore,
    keys: Keys,
    options: FeedOptions,
    /// New with each start: what another one holds is never taken for its own.
    id: String,
    tokens: AtomicU64,
    /// The jobs at work that are neither in a flow nor deduplicated, and their attempts so far: what
    /// need not be read again when they complete.
    plain: Mutex<HashMap<JobId, u32>>,
    blocking: Slot,
}

/// A connection for the command that blocks. It is out of its slot while it is used.
type Slot = Arc<Mutex<Option<MultiplexedConnection>>>;

impl fmt::Debug for RedisFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFeed")
            .field("queue", &self.keys.queue())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// How many arguments of `exchange.lua` a settlement has, and how many its details.
const FIELDS: usize = 6;
const DETAILS: usize = 4;

/// What `exchange.lua` answers.
type Answer = (
    Vec<(usize, u8)>,
    Vec<(Vec<u8>, Flat)>,
    Vec<Vec<u8>>,
    u64,
    String,
);

impl RedisFeed {
    pub(super) async fn connect(
        store: RedisStore,
        keys: Keys,
        options: FeedOptions,
    ) -> Result<Self> {
        let connection = store.dedicated().await?;
        Ok(Self {
            store,
            keys,
            options,
            id: Uuid::new_v4().to_string(),
            tokens: AtomicU64::new(0),
            plain: Mutex::default(),
            blocking: Arc::new(Mutex::new(Some(connection))),
        })
    }

    fn plain(&self) -> MutexGuard<'_, HashMap<JobId, u32>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The arguments of `exchange.lua`.
    fn arguments(&self, settled: &[Settlement], first_token: u64, room: usize) -> Vec<Vec<u8>> {
        let mut arguments = vec![
            now().to_string(),
            millis(self.options.lock).to_string(),
            self.id.clone(),
            first_token.to_string(),
            room.to_string(),
            self.options.worker.clone().unwrap_or_default(),
            settled.len().to_string(),
        ];
        let details_at = arguments.len() + settled.len() * FIELDS + 1;
        let mut places: HashMap<[String; DETAILS], usize> = HashMap::new();
        let plain = self.plain();
        for settlement in settled {
            let trace = |lines: &[String]| Value::from(lines).to_string();
            let (outcome, value, trace, number) = match &settlement.outcome {
                Outcome::Completed { returned } => {
                    ("completed", returned.to_string(), String::new(), 0)
                }
                Outcome::Failed { reason, stacktrace } => (
                    "failed",
                    reason.clone(),
                    trace(stacktrace),
                    u64::from(settlement.attempts),
                ),
                Outcome::Retry {
                    reason,
                    stacktrace,
                    after,
                } => ("retry", reason.clone(), trace(stacktrace), millis(*after)),
                Outcome::GivenBack => ("back", String::new(), String::new(), 0),
            };
            let or_all =
                |limit: Option<u64>| limit.map_or_else(|| "-1".to_owned(), |it| it.to_string());
            let details = [
                trace,
                or_all(settlement.keep.count.map(u64::from)),
                or_all(settlement.keep.age.map(|age| age.as_secs())),
                number.to_string(),
            ];
            let next = places.len();
            let place = *places.entry(details).or_insert(next);
            let before = plain.get(&settlement.held.id);
            let fields: [String; FIELDS] = [
                settlement.held.id.as_str().to_owned(),
                settlement.held.token.clone(),
                outcome.to_owned(),
                value,
                (details_at + place * DETAILS).to_string(),
                before.map(u32::to_string).unwrap_or_default(),
            ];
            arguments.extend(fields);
        }
        let mut in_order: Vec<_> = places.into_iter().collect();
        in_order.sort_unstable_by_key(|(_, place)| *place);
        arguments.extend(in_order.into_iter().flat_map(|(details, _)| details));
        arguments.into_iter().map(String::into_bytes).collect()
    }

    fn exchanged(&self, answer: Answer, settled: &[Settlement], first_token: u64) -> Exchanged {
        let (refused, found, broken, limited, due) = answer;
        let mut exchanged = Exchanged {
            broken: broken.iter().map(|id| jobs::id(id)).collect(),
            limited: (limited > 0).then(|| Duration::from_millis(limited)),
            next: due.parse().ok().and_then(DateTime::from_timestamp_millis),
            ..Exchanged::default()
        };
        for (number, code) in refused {
            let refusal = if code == 1 {
                Refusal::Gone
            } else {
                Refusal::LockLost
            };
            if let Some(settlement) = number.checked_sub(1).and_then(|index| settled.get(index)) {
                exchanged
                    .refused
                    .push((settlement.held.id.clone(), refusal));
            }
        }
        for (number, (id, fields)) in (first_token..).zip(found) {
            let token = format!("{}:{number}", self.id);
            let id = jobs::id(&id);
            let fields = Fields::new(fields);
            match jobs::decode(id.clone(), &fields, JobState::Active) {
                Ok(mut job) => {
                    job.started_at = Some(time::now());
                    job.attempts_started += 1;
                    job.worker.clone_from(&self.options.worker);
                    if !fields.has("parent") && !fields.has("deid") {
                        self.plain().insert(job.id.clone(), job.attempts_made);
                    }
                    exchanged.taken.push(Taken { job, token });
                }
                // A hash without a name is no job. Its lock runs out, and it fails in the end.
                Err(_) => exchanged.broken.push(id),
            }
        }
        exchanged
    }
}

#[async_trait]
impl JobFeed for RedisFeed {
    async fn exchange(&self, settled: &[Settlement], room: usize) -> Result<Exchanged> {
        let first = self.tokens.fetch_add(room as u64, Ordering::Relaxed);
        let arguments = self.arguments(settled, first, room);
        let answer: Answer = run(&self.store, &self.keys, &scripts::EXCHANGE, arguments).await?;
        for settlement in settled {
            self.plain().remove(&settlement.held.id);
        }
        // The next job of a schedule is added before this one runs, so that no failure ends it.
        let mut exchanged = self.exchanged(answer, settled, first);
        let mut taken = Vec::with_capacity(exchanged.taken.len());
        for one in exchanged.taken {
            if one.job.scheduler.is_none()
                || schedules::advance(&self.store, &self.keys, &one.job).await
            {
                taken.push(one);
            }
        }
        exchanged.taken = taken;
        Ok(exchanged)
    }

    async fn extend(&self, held: &[Held]) -> Result<Vec<JobId>> {
        let mut arguments = vec![millis(self.options.lock).to_string()];
        for held in held {
            arguments.push(held.id.as_str().to_owned());
            arguments.push(held.token.clone());
        }
        let lost: Vec<Vec<u8>> = run(&self.store, &self.keys, &scripts::EXTEND, arguments).await?;
        let lost: Vec<JobId> = lost.iter().map(|id| jobs::id(id)).collect();
        for id in &lost {
            self.plain().remove(id);
        }
        Ok(lost)
    }

    async fn recover(&self, every: Duration) -> Result<Recovered> {
        let arguments = (now(), millis(every).max(1), self.options.max_stalled);
        let (stalled, active): (Vec<Vec<u8>>, u64) =
            run(&self.store, &self.keys, &scripts::RECOVER, arguments).await?;
        Ok(Recovered {
            stalled: stalled.iter().map(|id| jobs::id(id)).collect(),
            active: active > 0,
        })
    }

    async fn reclaim(&self, held: &[Held]) -> Result<u64> {
        let mut arguments = vec![self.id.clone()];
        arguments.extend(held.iter().map(|held| held.id.as_str().to_owned()));
        run(&self.store, &self.keys, &scripts::RECLAIM, arguments).await
    }

    fn wait(&self, longest: Duration) -> BoxFuture<'static, Result<Wake>> {
        let (store, slot) = (self.store.clone(), Arc::clone(&self.blocking));
        let marker = self.keys.of("marker");
        Box::pin(async move {
            let free = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut connection = match free {
                Some(connection) => connection,
                None => store.dedicated().await?,
            };
            let longest = longest.max(SHORTEST);
            let mut block = redis::cmd("BZPOPMIN");
            block.arg(&marker).arg(longest.as_secs_f64());
            let answer = block.query_async::<Option<(String, String, f64)>>(&mut connection);
            let Ok(answer) = timeout(longest + WATCHDOG, answer).await else {
                // The connection is given up. What it may have swallowed is looked for.
                return Ok(Wake::Now);
            };
            let woken = answer.map_err(|error| store.error(&error, &marker))?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            Ok(woken.map_or(Wake::Nothing, |(_, _, due)| due_at(due)))
        })
    }

    async fn rearm(&self) -> Result<()> {
        run(&self.store, &self.keys, &scripts::REARM, scripts::NOTHING).await
    }
}

/// A marker's score is a moment in milliseconds; 0 is now.
fn due_at(score: f64) -> Wake {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a cast of a float keeps within the range of the integer"
    )]
    let due = DateTime::from_timestamp_millis(score as i64);
    match due {
        Some(due) if due > time::now() => Wake::At(due),
        _ => Wake::Now,
    }
}
