//! Fields that the schema does not know: those that others than the host could read in the target,
//! and those that look like secrets.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::{
    Extra,
    migrate::{Kind, Record, redact::is_secret},
};

/// A field that the schema does not know, in the records of a kind that would move. A plan names
/// those that people who sign in could read in the target, and those that look like secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownField {
    /// Its name in the source. Those within other fields have dots, lists have none. What is not
    /// printable is escaped, and long names are shortened.
    pub field: String,
    /// How many records have it.
    pub records: u64,
    /// Whether its name looks like a secret's.
    pub looks_secret: bool,
    /// Whether people who sign in could read it in the target.
    pub readable: bool,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks = if self.looks_secret {
            "looks like a secret; "
        } else {
            ""
        };
        let read = if self.readable {
            "readable by people who sign in"
        } else {
            "only the host can read it"
        };
        write!(
            f,
            "{}, in {} records: {looks}{read}",
            self.field, self.records
        )
    }
}

/// The most fields of a kind that a plan names.
const MOST: usize = 100;
/// The most characters of a name.
const LONGEST: usize = 120;

/// The unknown fields of a kind's records.
pub(super) struct UnknownFields {
    /// The kind's columns that people who sign in may read.
    readable: Vec<&'static str>,
    found: BTreeMap<String, UnknownField>,
}

impl UnknownFields {
    pub(super) fn of(kind: Kind, readable: &[(Kind, &'static str)]) -> Self {
        let readable = readable.iter().filter(|(of, _)| *of == kind);
        Self {
            readable: readable.map(|(_, column)| *column).collect(),
            found: BTreeMap::new(),
        }
    }

    pub(super) fn into_list(self) -> Vec<UnknownField> {
        self.found.into_values().collect()
    }

    /// Adds those of a record.
    pub(super) fn add(&mut self, record: &Record) {
        let mut seen = BTreeMap::new();
        for (column, name, extra) in unknown(record) {
            let readable = self.readable.contains(&column);
            for (key, value) in extra {
                let path = join(name, key);
                if readable {
                    seen.insert(path.clone(), (is_secret(key), true));
                }
                secrets(&path, key, value, readable, &mut seen);
            }
        }
        for (path, (looks_secret, readable)) in seen {
            let field = shown(&path);
            if self.found.len() == MOST && !self.found.contains_key(&field) {
                continue;
            }
            let entry = self.found.entry(field.clone());
            let entry = entry.or_insert(UnknownField {
                field,
                records: 0,
                looks_secret: false,
                readable: false,
            });
            entry.records += 1;
            entry.looks_secret |= looks_secret;
            entry.readable |= readable;
        }
    }
}

/// Adds the fields at any depth whose names look like secrets.
fn secrets(
    path: &str,
    key: &str,
    value: &Value,
    readable: bool,
    seen: &mut BTreeMap<String, (bool, bool)>,
) {
    if is_secret(key) {
        seen.insert(path.to_owned(), (true, readable));
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                secrets(&join(path, key), key, value, readable, seen);
            }
        }
        Value::Array(items) => {
            for item in items {
                secrets(path, "", item, readable, seen);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The name as it may be printed.
fn shown(path: &str) -> String {
    let mut shown: String = path
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if path.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The unknown fields of a record: the column that they would be in, the field that they are
/// within, and the fields.
fn unknown(record: &Record) -> Vec<(&'static str, &'static str, &Extra)> {
    let mut found = Vec::new();
    match record {
        Record::User(user) => {
            found.push(("extra", "", &user.extra));
            found.push(("preferences", "preferences", &user.preferences.extra));
            let platforms = user.connected_platforms.iter();
            found
                .extend(platforms.map(|platform| {
                    ("connected_platforms", "connectedPlatforms", &platform.extra)
                }));
        }
        Record::Book(book) => {
            found.push(("extra", "", &book.extra));
            found.push(("metadata", "metadata", &book.metadata.extra));
        }
        Record::Checklist(checklist) => {
            found.push(("extra", "", &checklist.extra));
            let tasks = checklist.tasks.iter();
            found.extend(tasks.map(|task| ("tasks", "tasks", &task.extra)));
        }
        Record::Follow(follow) => found.push(("extra", "", &follow.extra)),
        Record::Post(post) => {
            found.push(("extra", "", &post.extra));
            let attachments = post.attachments.iter();
            found.extend(attachments.map(|it| ("attachments", "attachments", &it.extra)));
        }
        Record::Comment(comment) => found.push(("extra", "comments", &comment.extra)),
        Record::Boost(boost) => found.push(("extra", "", &boost.extra)),
        Record::Competitor(competitor) => found.push(("extra", "", &competitor.extra)),
        Record::Price(price) => found.push(("extra", "priceHistory", &price.point.extra)),
        // These keep no unknown fields.
        Record::Like(_)
        | Record::Sale(_)
        | Record::DailyAggregate(_)
        | Record::SyncLog(_)
        | Record::Insight(_)
        | Record::Forecast(_) => {}
    }
    found
}
