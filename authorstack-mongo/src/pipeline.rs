//! The building blocks of updates and other pipelines.

use authorstack_core::{
    Change, Error, ErrorKind, Id, Result,
    fields::{Field, FieldValue, PatchWriter},
    time,
};
use bson::{Bson, Document, RawDocument, doc};
use chrono::{DateTime, Utc};

use crate::{
    document::{
        encode_value,
        moment::{Stored, stored},
    },
    raw::tagged,
};

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

/// Matches a reference to a record: its id, or the digits of it as text, as old apps stored it.
pub(crate) fn refers_to<T>(id: Id<T>) -> Document {
    doc! {"$in": forms_of(id)}
}

/// The forms of a reference that are looked for.
pub(crate) fn forms_of<T>(id: Id<T>) -> Vec<Bson> {
    vec![id.to_object_id().into(), id.to_string().into()]
}

/// Matches the texts that are read as this name: an app may have written it in capitals, or with
/// blanks around it. Only ASCII letters have another case, as in core.
pub(crate) fn name_as_read(field: &'static str, name: &str) -> Result<Bson> {
    let mut pattern = String::from("^\\s*");
    for letter in name.chars() {
        if letter.is_ascii_alphabetic() {
            let (small, large) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
            pattern.extend(['[', small, large, ']']);
        } else if letter.is_ascii_punctuation() {
            pattern.extend(['\\', letter]);
        } else {
            pattern.push(letter);
        }
    }
    pattern.push_str("\\s*\\z");
    let text = |text: String| {
        text.try_into()
            .map_err(|error: bson::error::Error| Error::invalid(field, error.to_string()))
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

/// The list of a field, as documents are read: a single id, text or object is a list of one. Other
/// values, such as a count of likes, are no list.
pub(crate) fn list_of(field: &str) -> Document {
    let single = doc! {"$in": [{"$type": field}, ["objectId", "string", "object"]]};
    doc! {"$switch": {
        "branches": [
            {"case": {"$isArray": field}, "then": array_of(field)},
            {"case": single, "then": [field]},
        ],
        "default": [],
    }}
}

/// A text without blanks around it.
fn trimmed(field: &str) -> Document {
    doc! {"$trim": {"input": field}}
}

/// The values that are read as true, for a filter.
pub(crate) fn true_forms() -> Vec<Bson> {
    let texts = ["true", "True", "TRUE", "yes", "Yes", "YES", "1"];
    let texts = texts.into_iter().map(Bson::from);
    [Bson::from(true), 1.into()]
        .into_iter()
        .chain(texts)
        .collect()
}

/// Whether a field is read as true.
pub(crate) fn is_true(field: &str) -> Document {
    let is_text = doc! {"$eq": [{"$type": field}, "string"]};
    let folded = doc! {"$toLower": trimmed(field)};
    let value = doc! {"$cond": [is_text, folded, field]};
    doc! {"$in": [value, [true, 1, "true", "yes", "1"]]}
}

/// The moment that a field is read as; null if it has none. A text in words, such as JavaScript's
/// `toString`, is none here: the server cannot convert it.
pub(crate) fn moment(field: &str) -> Document {
    const WITH_ZONE: &str =
        r"^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?))?$";
    let converted = |input: Document, to: &str| {
        doc! {"$convert": {"input": input, "to": to, "onError": null, "onNull": null}}
    };
    let kind = doc! {"$type": field};
    let number = doc! {"$in": [&kind, ["int", "long", "double", "decimal"]]};
    let millis = |input: Document| converted(converted(input, "long"), "date");
    let of_text = doc! {"$cond": [
        {"$regexMatch": {"input": trimmed(field), "regex": WITH_ZONE}},
        converted(trimmed(field), "date"),
        millis(trimmed(field)),
    ]};
    doc! {"$switch": {
        "branches": [
            {"case": is_date(field), "then": field},
            {"case": number, "then": millis(doc! {"$ifNull": [field, null]})},
            {"case": {"$eq": [&kind, "string"]}, "then": of_text},
        ],
        "default": null,
    }}
}

/// The filter for a document whose moments are not stored as dates, if reading gives it this last
/// change: it must have exactly the same values still.
pub(crate) fn as_stored<T>(
    document: &RawDocument,
    id: Id<T>,
    expected: DateTime<Utc>,
) -> Option<Document> {
    let value = |name: &str| document.get(name).ok().flatten();
    let read = |name: &str| {
        let found = tagged(document.as_bytes()).find(|(key, _)| *key == name.as_bytes());
        let found = found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null());
        found.map(|value| stored(value.read()))
    };
    let moment = match (read("updatedAt"), read("createdAt")) {
        (Some(updated), _) if updated != Some(Stored::Nothing) => updated?.moment()?,
        (_, Some(created)) if created != Some(Stored::Nothing) => created?.moment()?,
        _ => id.created_at(),
    };
    let as_it_is = |name: &str| {
        let value = value(name).map_or(Ok(Bson::Null), Bson::try_from).ok()?;
        Some(doc! {"$eq": value})
    };
    let same = doc! {"updatedAt": as_it_is("updatedAt")?, "createdAt": as_it_is("createdAt")?};
    (moment == expected).then_some(same)
}

/// The next `updatedAt`: now, but later than the present value. Old documents may lack that.
fn next_update(now: DateTime<Utc>) -> Document {
    let created = doc! {"$ifNull": [moment("$createdAt"), {"$toDate": "$_id"}]};
    let present = doc! {"$ifNull": [moment("$updatedAt"), created]};
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
