//! The building blocks of updates and other pipelines.

use authorstack_core::{
    Change, Error, ErrorKind, Id, Platform, Result,
    fields::{Field, FieldValue, PatchWriter},
    time,
};
use bson::{Bson, Document, doc};
use chrono::{DateTime, Utc};

use crate::document::encode_value;

/// The stages of an update: fields to set, fields to remove, `updatedAt` moved forward.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) set: Document,
    pub(crate) unset: Vec<Bson>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        let mut changes = Self::without_date();
        changes.compute("updatedAt", next_update(time::now()));
        changes
    }

    /// Changes of a document without `updatedAt`.
    pub(crate) fn without_date() -> Self {
        Self {
            set: Document::new(),
            unset: Vec::new(),
        }
    }

    /// Sets a field to the result of an expression.
    pub(crate) fn compute(&mut self, field: &str, expression: impl Into<Bson>) {
        self.set.insert(field, expression);
    }

    pub(crate) fn into_pipeline(self) -> Vec<Document> {
        let mut stages = Vec::new();
        if !self.set.is_empty() {
            stages.push(doc! {"$set": self.set});
        }
        if !self.unset.is_empty() {
            stages.push(doc! {"$unset": self.unset});
        }
        stages
    }
}

/// Matches the names that are read as this platform: an app may have written it in capitals. Only
/// ASCII letters have another case, as in core.
pub(crate) fn platform_in_any_case(platform: &Platform) -> Result<Bson> {
    let mut pattern = String::from("^");
    for letter in platform.as_str().chars() {
        if letter.is_ascii_alphabetic() {
            pattern.extend(['[', letter, letter.to_ascii_uppercase(), ']']);
        } else if letter.is_ascii_punctuation() {
            pattern.extend(['\\', letter]);
        } else {
            pattern.push(letter);
        }
    }
    pattern.push_str("\\z");
    let text = |text: String| {
        text.try_into()
            .map_err(|error: bson::error::Error| Error::invalid("platform", error.to_string()))
    };
    Ok(Bson::RegularExpression(bson::Regex {
        pattern: text(pattern)?,
        options: text(String::new())?,
    }))
}

impl PatchWriter for Changes {
    fn change<T: FieldValue>(&mut self, field: &'static Field, change: Change<&T>) -> Result<()> {
        match change {
            Change::Keep => {}
            Change::Clear => self.unset.push(field.name.into()),
            Change::Set(value) => {
                if let Some(value) = encode_value(field, value)? {
                    self.compute(field.name, literal(value));
                }
            }
        }
        Ok(())
    }
}

/// A value that a pipeline never treats as an expression.
pub(crate) fn literal(value: impl Into<Bson>) -> Bson {
    Bson::Document(doc! {"$literal": value.into()})
}

pub(crate) fn date(moment: DateTime<Utc>) -> bson::DateTime {
    bson::DateTime::from_millis(moment.timestamp_millis())
}

/// Whether a field contains a date.
pub(crate) fn is_date(field: &str) -> Document {
    doc! {"$eq": [{"$type": field}, "date"]}
}

/// An array of the document; empty if the field is not an array.
pub(crate) fn array_of(field: &str) -> Document {
    doc! {"$cond": [{"$isArray": field}, field, []]}
}

/// The next `updatedAt`: now, but later than the present value. Old documents may lack that.
fn next_update(now: DateTime<Utc>) -> Document {
    let present = doc! {"$switch": {
        "branches": [
            {"case": is_date("$updatedAt"), "then": "$updatedAt"},
            {"case": is_date("$createdAt"), "then": "$createdAt"},
        ],
        "default": {"$toDate": "$_id"},
    }};
    doc! {"$max": [date(now), {"$add": [present, 1_i64]}]}
}

/// Adds the condition that a record was last changed at a moment. This includes documents without
/// the field, if reading fills in that moment. `None` if no document can fulfil the condition.
pub(crate) fn expect_update<T>(
    filter: &mut Document,
    id: Id<T>,
    expected: DateTime<Utc>,
) -> Option<()> {
    if time::to_millis(expected) != expected {
        return None;
    }
    let at = date(expected);
    let mut forms = vec![
        doc! {"updatedAt": at},
        doc! {"updatedAt": null, "createdAt": at},
    ];
    if id.created_at() == expected {
        forms.push(doc! {"updatedAt": null, "createdAt": null});
    }
    filter.insert("$or", forms);
    Some(())
}

/// The error of a change that conflicted with other writes.
pub(crate) fn contended() -> Error {
    Error::new(ErrorKind::Conflict {
        reason: "other writes came in between again and again; repeat the call".into(),
    })
    .retryable(true)
}
