//! Schedules, as BullMQ's job schedulers.

use std::time::Duration;

use authorstack_core::{
    Error, Result,
    chrono::{DateTime, Utc},
    queue::{Job, NewJob, Schedule, Scheduler, Timing},
    serde_json::{Map, Value, json},
    time,
};

use super::{
    jobs::{Fields, Flat},
    keys::Keys,
    options::{self, millis},
    scripts::{self, now, run},
};
use crate::store::RedisStore;

/// How often to look for a moment that has no job yet.
const TRIES: usize = 100;
/// How often to try to add the next job of a schedule.
const ATTEMPTS: u32 = 3;

/// Creates or changes a schedule.
pub(super) async fn upsert(
    store: &RedisStore,
    keys: &Keys,
    schedule: Schedule,
) -> Result<DateTime<Utc>> {
    let mut next = schedule.first()?;
    let Schedule {
        id,
        timing,
        job,
        starts,
        ends,
        limit,
    } = schedule;
    let (job, data) = job.prepared()?;
    let NewJob { name, options, .. } = job;
    let template = options::encode(&options);
    let millis_of = |moment: Option<DateTime<Utc>>| {
        moment
            .map(|moment| moment.timestamp_millis().to_string())
            .unwrap_or_default()
    };
    let (pattern, zone, every) = match &timing {
        Timing::Cron { pattern, time_zone } => (
            pattern.clone(),
            time_zone.clone().unwrap_or_default(),
            String::new(),
        ),
        Timing::Every { interval } => (String::new(), String::new(), millis(*interval).to_string()),
    };
    for _ in 0..TRIES {
        let job_options = with_repeat(
            template.clone(),
            repeat(&timing, starts, ends, limit, 1, next),
            &id,
        );
        let arguments: [String; 15] = [
            now().to_string(),
            id.clone(),
            name.clone(),
            data.clone(),
            Value::Object(template.clone()).to_string(),
            open(job_options),
            escaped(&id),
            next.timestamp_millis().to_string(),
            pattern.clone(),
            zone.clone(),
            every.clone(),
            millis_of(starts),
            millis_of(ends),
            limit.map(|limit| limit.to_string()).unwrap_or_default(),
            options.priority.to_string(),
        ];
        let placed: i64 = run(store, keys, &scripts::SCHEDULE, &arguments[..]).await?;
        if let Some(at) = DateTime::from_timestamp_millis(placed).filter(|_| placed >= 0) {
            return Ok(at);
        }
        // A worker runs the job of that moment already.
        let Some(after) = timing.next(next, None)? else {
            break;
        };
        next = after;
    }
    Err(Error::invalid(
        "schedule pattern",
        "names no moment to come that has no job yet",
    ))
}

/// Adds the job after one that was taken. False if that failed: the job must not run then, or its
/// schedule would end unseen. Its lock runs out, and it is taken again.
pub(super) async fn advance(store: &RedisStore, keys: &Keys, taken: &Job) -> bool {
    for attempt in 0..ATTEMPTS {
        match try_advance(store, keys, taken).await {
            Ok(()) => return true,
            Err(error) if error.is_retryable() => {
                tracing::warn!(job = %taken.id, %error, "the next job of a schedule could not be added");
                tokio::time::sleep(Duration::from_millis(100) * (attempt + 1)).await;
            }
            Err(error) => {
                tracing::error!(job = %taken.id, %error, "the schedule of a job cannot go on; correct or remove it");
                return true;
            }
        }
    }
    false
}

async fn try_advance(store: &RedisStore, keys: &Keys, taken: &Job) -> Result<()> {
    let Some(id) = &taken.scheduler else {
        return Ok(());
    };
    let job_key = keys.of(taken.id.as_str());
    let mut ask = redis::cmd("HMGET");
    ask.arg(&job_key).arg("nrjid").arg("opts");
    let (made, raw): (Option<String>, Option<String>) = store.run(&ask, &job_key).await?;
    if made.is_some() {
        // Another attempt of the same job.
        return Ok(());
    }
    let raw = raw
        .and_then(|raw| raw.parse::<Value>().ok())
        .unwrap_or_default();
    let Value::Object(mut own) = raw else {
        return Ok(());
    };
    let mut repeat = match own.remove("repeat") {
        Some(Value::Object(repeat)) => repeat,
        _ => Map::new(),
    };
    let previous = taken
        .id
        .as_str()
        .rsplit(':')
        .next()
        .and_then(|text| text.parse().ok());
    let previous = previous.and_then(DateTime::from_timestamp_millis);
    let text = |name: &str| repeat.get(name).and_then(Value::as_str).map(str::to_owned);
    let next = match text("pattern") {
        None => String::new(),
        Some(pattern) => {
            let timing = Timing::Cron {
                pattern,
                time_zone: text("tz"),
            };
            let after = previous.map_or_else(time::now, |previous| previous.max(time::now()));
            match timing.next(after, previous)? {
                Some(next) => next.timestamp_millis().to_string(),
                None => return Ok(()),
            }
        }
    };
    let count = repeat.get("count").and_then(Value::as_u64).unwrap_or(1);
    repeat.insert("count".to_owned(), (count + 1).into());
    let job_options = with_repeat(own, Value::Object(repeat), id);
    let arguments: [String; 7] = [
        now().to_string(),
        id.clone(),
        taken.id.as_str().to_owned(),
        open(job_options),
        escaped(id),
        next,
        taken.options.priority.to_string(),
    ];
    let code: i64 = run(store, keys, &scripts::ADVANCE, &arguments[..]).await?;
    if code == -1 {
        tracing::warn!(job = %taken.id, "a repeatable job of an old BullMQ was run; only that version adds its next one");
    }
    Ok(())
}

/// The options of a schedule's job.
fn with_repeat(mut options: Map<String, Value>, repeat: Value, id: &str) -> Map<String, Value> {
    for name in ["delay", "jobId", "prevMillis"] {
        options.remove(name);
    }
    options.insert("repeat".to_owned(), repeat);
    options.insert("repeatJobKey".to_owned(), id.into());
    options.insert("timestamp".to_owned(), now().into());
    options
}

fn repeat(
    timing: &Timing,
    starts: Option<DateTime<Utc>>,
    ends: Option<DateTime<Utc>>,
    limit: Option<u32>,
    count: u64,
    next: DateTime<Utc>,
) -> Value {
    let mut repeat = json!({ "count": count });
    match timing {
        Timing::Cron { pattern, time_zone } => {
            repeat["pattern"] = pattern.as_str().into();
            if let Some(zone) = time_zone {
                repeat["tz"] = zone.as_str().into();
            }
        }
        Timing::Every { interval } => {
            let every = i64::try_from(interval.as_millis())
                .unwrap_or(i64::MAX)
                .max(1);
            repeat["every"] = every.into();
            repeat["offset"] = next.timestamp_millis().rem_euclid(every).into();
        }
    }
    for (name, moment) in [("startDate", starts), ("endDate", ends)] {
        if let Some(moment) = moment {
            repeat[name] = moment.timestamp_millis().into();
        }
    }
    if let Some(limit) = limit {
        repeat["limit"] = limit.into();
    }
    repeat
}

/// JSON without its closing brace: a script adds what it decides.
fn open(options: Map<String, Value>) -> String {
    let mut text = Value::Object(options).to_string();
    text.pop();
    text
}

/// A text as in JSON, without the quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned()
}

pub(super) async fn list(store: &RedisStore, keys: &Keys) -> Result<Vec<Scheduler>> {
    let found: Vec<(String, i64, Flat)> =
        run(store, keys, &scripts::SCHEDULES, scripts::NOTHING).await?;
    let decode = |(id, next, fields): (String, i64, Flat)| {
        let fields = Fields::new(fields);
        let next = DateTime::from_timestamp_millis(next)?;
        let mut scheduler = Scheduler::new(id, fields.text("name").unwrap_or_default(), next);
        let every = fields
            .number("every")
            .and_then(|every| u64::try_from(every).ok());
        scheduler.timing = match (fields.text("pattern"), every) {
            (Some(pattern), _) => Some(Timing::Cron {
                pattern,
                time_zone: fields.text("tz"),
            }),
            (None, Some(every)) => Some(Timing::every(Duration::from_millis(every))),
            (None, None) => None,
        };
        let whole = |name: &str| {
            fields
                .number(name)
                .and_then(|number| u64::try_from(number).ok())
        };
        scheduler.count = whole("ic").unwrap_or(0);
        scheduler.limit = whole("limit").and_then(|limit| u32::try_from(limit).ok());
        scheduler.ends = fields.moment("endDate");
        scheduler.data = fields.value("data").unwrap_or_else(|| json!({}));
        Some(scheduler)
    };
    Ok(found.into_iter().filter_map(decode).collect())
}
