//! A job's options as BullMQ's JSON.

use std::time::Duration;

use authorstack_core::queue::{Backoff, BackoffKind, Deduplication, JobId, JobOptions, Keep};
use authorstack_core::serde_json::{Map, Value, json};

/// The options as JSON.
pub(super) fn encode(options: &JobOptions) -> Map<String, Value> {
    let mut json = Map::new();
    let mut set = |name: &str, value: Value| json.insert(name.to_owned(), value);
    set("attempts", options.attempts.into());
    if !options.delay.is_zero() {
        set("delay", millis(options.delay).into());
    }
    if options.priority > 0 {
        set("priority", options.priority.into());
    }
    if let Some(id) = &options.id {
        set("jobId", id.as_str().into());
    }
    if let Some(backoff) = &options.backoff {
        let kind = match backoff.kind {
            BackoffKind::Fixed => "fixed",
            BackoffKind::Exponential => "exponential",
        };
        let mut value = json!({"type": kind, "delay": millis(backoff.delay)});
        if backoff.jitter > 0.0 {
            value["jitter"] = backoff.jitter.into();
        }
        set("backoff", value);
    }
    if let Some(keep) = encode_keep(options.keep_completed) {
        set("removeOnComplete", keep);
    }
    if let Some(keep) = encode_keep(options.keep_failed) {
        set("removeOnFail", keep);
    }
    if options.last_in_first_out {
        set("lifo", true.into());
    }
    if let Some(kind) = &options.deduplication {
        let mut value = json!({"id": kind.id});
        if let Some(lasts) = kind.lasts {
            value["ttl"] = millis(lasts).into();
        }
        if kind.extend {
            value["extend"] = true.into();
        }
        if kind.replace {
            value["replace"] = true.into();
        }
        set("de", value);
    }
    if let Some(trace) = &options.trace {
        set("tm", trace.as_str().into());
    }
    json
}

/// The options in JSON. What makes no sense counts as not given: a worker runs the job all the same.
pub(super) fn decode(json: &Value) -> JobOptions {
    let number = |name: &str| json.get(name).and_then(whole);
    JobOptions {
        delay: Duration::from_millis(number("delay").unwrap_or(0)),
        priority: small(number("priority")),
        id: json
            .get("jobId")
            .and_then(Value::as_str)
            .map(|id| JobId::from(id.to_owned())),
        attempts: small(number("attempts")),
        backoff: json.get("backoff").and_then(decode_backoff),
        deduplication: json.get("de").and_then(decode_kind),
        keep_completed: decode_keep(json.get("removeOnComplete")),
        keep_failed: decode_keep(json.get("removeOnFail")),
        last_in_first_out: json.get("lifo").and_then(Value::as_bool).unwrap_or(false),
        trace: json.get("tm").and_then(Value::as_str).map(str::to_owned),
    }
}

fn decode_backoff(json: &Value) -> Option<Backoff> {
    if let Some(delay) = whole(json) {
        return Some(Backoff::fixed(Duration::from_millis(delay)));
    }
    let delay = Duration::from_millis(json.get("delay").and_then(whole).unwrap_or(0));
    let backoff = match json.get("type")?.as_str()? {
        "exponential" => Backoff::exponential(delay),
        // A strategy of a Node app's own is not known here.
        _ => Backoff::fixed(delay),
    };
    let jitter = json.get("jitter").and_then(Value::as_f64);
    Some(
        backoff.jitter(
            jitter
                .filter(|part| (0.0..=1.0).contains(part))
                .unwrap_or(0.0),
        ),
    )
}

fn decode_kind(json: &Value) -> Option<Deduplication> {
    let flag = |name: &str| json.get(name).and_then(Value::as_bool).unwrap_or(false);
    Some(Deduplication {
        id: json.get("id")?.as_str()?.to_owned(),
        lasts: json
            .get("ttl")
            .and_then(whole)
            .filter(|ttl| *ttl > 0)
            .map(Duration::from_millis),
        extend: flag("extend"),
        replace: flag("replace"),
    })
}

fn encode_keep(keep: Keep) -> Option<Value> {
    match (keep.count, keep.age) {
        (None, None) => None,
        (Some(0), _) => Some(true.into()),
        (Some(count), None) => Some(count.into()),
        (count, Some(age)) => {
            let mut value = json!({"age": age.as_secs()});
            if let Some(count) = count {
                value["count"] = count.into();
            }
            Some(value)
        }
    }
}

fn decode_keep(json: Option<&Value>) -> Keep {
    match json {
        Some(Value::Bool(true)) => Keep::NONE,
        // BullMQ's -1 is all.
        Some(value @ Value::Number(_)) => Keep {
            count: whole(value).map(|count| small(Some(count))),
            age: None,
        },
        Some(Value::Object(parts)) => Keep {
            count: parts
                .get("count")
                .and_then(whole)
                .map(|count| small(Some(count))),
            age: parts.get("age").and_then(whole).map(Duration::from_secs),
        },
        _ => Keep::ALL,
    }
}

/// JavaScript's numbers: 5 may be written as 5.0.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        // Exact up to 2^53, and no sensible time or count is larger.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked"
        )]
        (0.0..=9e15)
            .contains(&number)
            .then_some(number.round() as u64)
    })
}

fn small(number: Option<u64>) -> u32 {
    u32::try_from(number.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use super::*;

    #[test]
    fn options_survive_their_json() {
        let plain = JobOptions::default();
        let full = JobOptions {
            delay: Duration::from_millis(1_500),
            priority: 7,
            id: Some(JobId::custom("an-id").unwrap()),
            attempts: 9,
            backoff: Some(Backoff::exponential(Duration::from_secs(2)).jitter(0.5)),
            deduplication: Some(Deduplication::debounce("kind", Duration::from_secs(3))),
            keep_completed: Keep::NONE,
            keep_failed: Keep {
                count: Some(5),
                age: Some(Duration::from_mins(1)),
            },
            last_in_first_out: true,
            trace: Some("{}".to_owned()),
        };
        for options in [plain, full] {
            let json = Value::Object(encode(&options));
            assert_eq!(decode(&json), options, "{json}");
        }
    }

    #[test]
    fn what_node_writes_is_understood() {
        let options = decode(&json!({
            "attempts": 3, "backoff": 500, "removeOnComplete": false, "removeOnFail": 10,
            "delay": 20.0,
        }));
        assert_eq!(
            options.backoff,
            Some(Backoff::fixed(Duration::from_millis(500)))
        );
        assert_eq!(
            (options.keep_completed, options.keep_failed),
            (Keep::ALL, Keep::last(10))
        );
        assert_eq!(options.delay, Duration::from_millis(20));
        assert_eq!(decode(&json!({})).attempts, 0);
        assert_eq!(decode(&json!({"removeOnFail": -1})).keep_failed, Keep::ALL);
        // Nonsense is not given.
        let options = decode(&json!({"attempts": "x", "backoff": [], "de": 1, "priority": -4}));
        assert_eq!((options.attempts, options.priority), (0, 0));
        assert_eq!((options.backoff, options.deduplication), (None, None));
    }
}
