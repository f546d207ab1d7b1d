//! Jobs from and to the hashes in which BullMQ keeps them.

use std::time::Duration;

use authorstack_core::{
    Error, Result,
    chrono::{DateTime, Utc},
    queue::{Job, JobId, JobState, NewJob},
    serde_json::{self, Value},
};

use super::options;

/// The arguments of a job for `add.lua`.
pub(super) fn arguments(job: &NewJob, data: String) -> [Vec<u8>; 10] {
    let own = &job.options;
    let kind = own.deduplication.as_ref();
    let mut flags = String::new();
    if kind.is_some_and(|kind| kind.extend) {
        flags.push('e');
    }
    if kind.is_some_and(|kind| kind.replace) {
        flags.push('r');
    }
    let lasts = kind.and_then(|kind| kind.lasts).map_or(0, options::millis);
    [
        own.id
            .as_ref()
            .map(|id| id.as_str().to_owned())
            .unwrap_or_default(),
        job.name.clone(),
        data,
        Value::Object(options::encode(own)).to_string(),
        options::millis(own.delay).to_string(),
        own.priority.to_string(),
        u8::from(own.last_in_first_out).to_string(),
        kind.map(|kind| kind.id.clone()).unwrap_or_default(),
        lasts.to_string(),
        flags,
    ]
    .map(String::into_bytes)
}

/// A hash as scripts answer it: names and values in turn.
pub(super) type Flat = Vec<Vec<u8>>;

/// The fields of a hash: so few that looking through them is faster than an index.
pub(super) struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    pub(super) fn new(flat: Flat) -> Self {
        let mut fields = Vec::with_capacity(flat.len() / 2);
        let mut values = flat.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            fields.push((name, value));
        }
        Self(fields)
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|field| field.0 == name.as_bytes());
        found.map(|field| field.1.as_slice())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(self.get(name)?).into_owned())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        std::str::from_utf8(self.get(name)?).ok()?.parse().ok()
    }

    fn count(&self, name: &str) -> u32 {
        self.number(name)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(0)
    }

    pub(super) fn moment(&self, name: &str) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.number(name)?)
    }

    fn json(&self, name: &str) -> Option<std::result::Result<Value, serde_json::Error>> {
        Some(serde_json::from_slice(self.get(name)?))
    }

    /// JSON, or the text itself where it is none.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let parsed = self.json(name)?;
        parsed.ok().or_else(|| self.text(name).map(Value::String))
    }
}

/// A job from its hash. What cannot be read is named in [`Job::problem`]: a worker fails the job with
/// it, and nobody else is disturbed.
///
/// # Errors
/// NotFound where the hash is no job's.
pub(super) fn decode(id: JobId, fields: &Fields, state: JobState) -> Result<Job> {
    let name = fields.text("name").ok_or_else(|| id.missing())?;
    let mut problem = fields.text("defa").filter(|reason| !reason.is_empty());
    let data = match fields.json("data") {
        None => Value::Null,
        Some(Ok(data)) => data,
        Some(Err(error)) => {
            problem.get_or_insert_with(|| format!("job {id}: its data is no JSON ({error})"));
            fields.text("data").map_or(Value::Null, Value::String)
        }
    };
    let parsed = match fields.json("opts") {
        Some(Ok(json)) => options::decode(&json),
        None => options::decode(&Value::Null),
        Some(Err(error)) => {
            problem.get_or_insert_with(|| format!("job {id}: its opts are no JSON ({error})"));
            options::decode(&Value::Null)
        }
    };
    let mut job = Job::new(id, name, data, parsed);
    job.problem = problem;
    job.state = state;
    job.added_at = fields.moment("timestamp").unwrap_or(DateTime::UNIX_EPOCH);
    // The delay may have changed since; the options stay as they were given.
    if let Some(delay) = fields.number("delay") {
        job.options.delay = Duration::from_millis(u64::try_from(delay).unwrap_or(0));
    }
    if let Some(priority) = fields.number("priority") {
        job.options.priority = u32::try_from(priority).unwrap_or(0);
    }
    job.started_at = fields.moment("processedOn");
    job.finished_at = fields.moment("finishedOn");
    job.attempts_made = fields.count("atm").max(fields.count("attemptsMade"));
    job.attempts_started = fields.count("ats");
    job.stalled = fields.count("stc");
    job.progress = fields.value("progress").unwrap_or_else(|| Value::from(0));
    job.returned = fields.value("returnvalue");
    job.failed_reason = fields.text("failedReason");
    job.stacktrace = match fields.json("stacktrace") {
        Some(Ok(Value::Array(entries))) => entries.into_iter().map(text).collect(),
        _ => Vec::new(),
    };
    job.worker = fields.text("pb");
    job.scheduler = fields.text("rjk");
    Ok(job)
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// An id from the store.
pub(super) fn id(bytes: &[u8]) -> JobId {
    JobId::from(String::from_utf8_lossy(bytes).into_owned())
}

/// The name of a state's key, for `list.lua`.
pub(super) fn key_of(state: JobState) -> Result<&'static str> {
    Ok(match state {
        JobState::Waiting => "wait",
        JobState::Prioritized => "prioritized",
        JobState::Delayed => "delayed",
        JobState::Active => "active",
        JobState::Completed => "completed",
        JobState::Failed => "failed",
        JobState::WaitingChildren => "waiting-children",
        _ => return Err(Error::unsupported("jobs in this state are not listed")),
    })
}

/// The state of a key's name, from `get.lua`.
pub(super) fn state_of(key: &str) -> JobState {
    match key {
        "completed" => JobState::Completed,
        "failed" => JobState::Failed,
        "delayed" => JobState::Delayed,
        "prioritized" => JobState::Prioritized,
        "active" => JobState::Active,
        "waiting-children" => JobState::WaitingChildren,
        _ => JobState::Waiting,
    }
}
