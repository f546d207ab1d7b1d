//! What must become of each record. This follows the documented rules alone: nothing here asks the
//! code that moves the records.

use std::collections::{BTreeMap, BTreeSet};

use authorstack_core::migrate::Kind;
use serde_json::{Map, Value, json};

/// A row of the target, by column. Moments are microseconds from 1970, decimals are texts.
pub type Row = Map<String, Value>;

/// The documented name under which a record keeps what was set aside.
pub const SET_ASIDE: &str = "_setAside";

/// What a stored value means.
#[derive(Debug, Clone, PartialEq)]
pub struct Means {
    /// What the target holds; null for the value of a missing field.
    pub value: Value,
    /// The value itself, if it makes no sense and nothing vital depends on it.
    pub aside: Option<Value>,
    /// What makes no sense, by path, and is set aside.
    pub doubtful: Vec<String>,
    /// What makes no sense, by path, and keeps the record from moving.
    pub fatal: Vec<String>,
}

impl Means {
    /// A value that moves.
    #[must_use]
    pub fn is(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            aside: None,
            doubtful: Vec::new(),
            fatal: Vec::new(),
        }
    }

    /// A value that makes no sense in a field that a record can do without.
    #[must_use]
    pub fn set_aside(path: impl Into<String>, original: Value) -> Self {
        Self {
            value: Value::Null,
            aside: Some(original),
            doubtful: vec![path.into()],
            fatal: Vec::new(),
        }
    }

    /// A value that keeps the record from moving.
    #[must_use]
    pub fn fatal(path: impl Into<String>) -> Self {
        Self {
            value: Value::Null,
            aside: None,
            doubtful: Vec::new(),
            fatal: vec![path.into()],
        }
    }
}

/// A position on the leaderboard, held for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The position.
    pub position: i64,
    /// From this moment, in milliseconds.
    pub from: i64,
    /// Until before this one.
    pub until: i64,
}

/// A record of the source, before it meets the others.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its kind.
    pub kind: Kind,
    /// Its key, as the migration names it. Of a row without a number: empty.
    pub key: String,
    /// Its key if it cannot be read.
    pub unread_key: String,
    /// Its place among the records of its kind.
    pub order: Vec<u8>,
    /// The row that it becomes.
    pub row: Row,
    /// What makes no sense and is set aside.
    pub doubtful: Vec<String>,
    /// What keeps it from moving.
    pub fatal: Vec<String>,
    /// The records that must have moved: by which field, of which kind, in which row's `id`.
    pub refers: Vec<(&'static str, Kind, String)>,
    /// What must be unique in its kind: the field that is named, and the value.
    pub unique: Vec<(&'static str, String)>,
    /// What only one record may hold at a time.
    pub held: Option<Held>,
}

/// What must become of the records of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// How many records there are in the source.
    pub read: u64,
    /// The rows of the target, by the keys of the records.
    pub rows: BTreeMap<String, Row>,
    /// The records that do not move.
    pub rejects: Vec<Rejected>,
    /// The fields that are set aside of records that move, by their keys.
    pub aside: BTreeMap<String, BTreeSet<String>>,
}

/// A record that does not move.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// Its key, and the one that it has if it cannot be read.
    pub keys: [String; 2],
    /// The fields at fault. At least one of them is named, and no other.
    pub faults: BTreeSet<String>,
}

/// What must become of all records.
pub type Outcomes = BTreeMap<Kind, Outcome>;

/// What must become of these records. With `strict`, nothing is set aside.
#[must_use]
pub fn judge(mut candidates: Vec<Candidate>, strict: bool) -> Outcomes {
    candidates.sort_by(|a, b| (a.kind, &a.order).cmp(&(b.kind, &b.order)));
    let mut outcomes: Outcomes = Kind::DATA
        .iter()
        .map(|kind| (*kind, Outcome::default()))
        .collect();
    let mut there: BTreeSet<(Kind, String)> = BTreeSet::new();
    let mut taken: BTreeSet<(Kind, &'static str, String)> = BTreeSet::new();
    let mut held: Vec<Held> = Vec::new();
    for candidate in candidates {
        let kind = candidate.kind;
        let outcome = outcomes.entry(kind).or_default();
        outcome.read += 1;
        let mut faults: BTreeSet<String> = candidate.fatal.into_iter().collect();
        if strict {
            faults.extend(candidate.doubtful.iter().cloned());
        }
        let key = candidate.key;
        for (field, kind, id) in candidate.refers {
            if !id.is_empty() && !there.contains(&(kind, id)) {
                faults.insert(field.to_owned());
            }
        }
        let mine = |(field, value): &(&'static str, String)| (kind, *field, value.clone());
        if faults.is_empty() {
            let mut unique = candidate.unique.iter();
            let twice = unique.find(|unique| taken.contains(&mine(unique)));
            faults.extend(twice.map(|(field, _)| (*field).to_owned()));
        }
        if faults.is_empty()
            && let Some(mine) = candidate.held
        {
            let meets = |other: &Held| {
                other.position == mine.position
                    && other.from < mine.until
                    && mine.from < other.until
            };
            if held.iter().any(meets) {
                faults.insert("position".to_owned());
            } else {
                held.push(mine);
            }
        }
        if !faults.is_empty() {
            faults.extend(candidate.doubtful);
            outcome.rejects.push(Rejected {
                keys: [key, candidate.unread_key],
                faults,
            });
            continue;
        }
        taken.extend(candidate.unique.iter().map(mine));
        if let Some(Value::String(id)) = candidate.row.get("id") {
            there.insert((kind, id.clone()));
        }
        if !candidate.doubtful.is_empty() {
            let aside = candidate.doubtful.into_iter().collect();
            outcome.aside.insert(key.clone(), aside);
        }
        outcome.rows.insert(key, candidate.row);
    }
    outcomes
}

/// The fields that keep records of a kind from moving.
#[must_use]
pub fn faults(outcome: &Outcome) -> BTreeSet<String> {
    let rejects = outcome.rejects.iter();
    rejects
        .flat_map(|reject| reject.faults.iter().cloned())
        .collect()
}

/// The UUID of an id: the version 8 and the variant among its digits, zeros behind them.
#[must_use]
pub(super) fn uuid(hex: &str) -> String {
    format!(
        "{}-{}-8{}-8{}-{}000000",
        &hex[..8],
        &hex[8..12],
        &hex[12..15],
        &hex[15..18],
        &hex[18..24]
    )
}

/// The columns that hold parts, where null means the same as missing.
const PARTS: &[&str] = &[
    "preferences",
    "metadata",
    "tasks",
    "attachments",
    "connected_platforms",
];

/// What differs between the row that must be there and the one that is.
#[must_use]
pub fn differences(expected: &Row, found: &Row) -> Vec<String> {
    let mut differences = Vec::new();
    for (column, value) in expected {
        let there = found.get(column).unwrap_or(&Value::Null);
        let (value, there) = if PARTS.contains(&column.as_str()) {
            (without_nulls(value), without_nulls(there))
        } else {
            (value.clone(), there.clone())
        };
        if !same(&value, &there) {
            differences.push(format!("{column}: expected {value}, found {there}"));
        }
    }
    differences
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(k, v)| (k.clone(), v.clone())).collect())
        }
        other => other.clone(),
    }
}

/// Whether both are the same JSON. `1` and `1.0` are one number, as in PostgreSQL.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one == other,
            _ => one.as_f64() == other.as_f64(),
        },
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let matches = |(key, value): (&String, &Value)| {
                other.get(key).is_some_and(|other| same(value, other))
            };
            one.len() == other.len() && one.iter().all(matches)
        }
        (one, other) => one == other,
    }
}

/// Puts what is set aside of a record into its `extra`.
pub(super) fn keep_aside(extra: &mut Map<String, Value>, field: &str, original: Value) {
    let aside = extra.entry(SET_ASIDE).or_insert_with(|| json!({}));
    if let Value::Object(aside) = aside {
        aside.insert(field.to_owned(), original);
    }
}
