//! Rows as records.

use std::{collections::BTreeMap, fmt::Display};

use authorstack_core::{
    Error, ErrorKind, Extra, Result, Sums, Unreadable,
    fields::{Field, FieldReader, Fields, Read, Scalar, Shape, Value},
    json,
    migrate::{KeyForm, Kind, Record, Stored},
};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use sqlx::{Decode, Postgres, Row, Type, postgres::PgRow};
use uuid::Uuid;

use super::{
    sums::sums_of,
    values::{TextList, Whole},
};
use crate::{
    codec::{Bytes, Day, Moment},
    ids::IdForm,
};

/// Reads a row that begins with the columns of a record, in the order of its fields.
///
/// # Errors
/// Corrupt, naming the field and the record.
pub fn read<T: Stored>(row: &PgRow, ids: IdForm) -> Result<T> {
    let mut reader = RowReader::new(row, ids);
    let record = T::read(&mut reader);
    reader.end(T::KIND, record)
}

/// Reads a row that begins with the columns of a record, for a list.
///
/// # Errors
/// The name of a row that cannot be read, and its fields at fault.
pub fn read_listed<T: Stored>(row: &PgRow, ids: IdForm) -> Result<T, Unreadable> {
    let mut reader = RowReader::new(row, ids);
    match T::read(&mut reader) {
        Some(record) if reader.problems.is_empty() => Ok(record),
        _ => Err(reader.unreadable(T::KIND)),
    }
}

/// Reads a row that begins with the columns of a kind.
///
/// # Errors
/// Corrupt, naming the field and the record.
pub fn read_record(kind: Kind, row: &PgRow, ids: IdForm) -> Result<Record> {
    let mut reader = RowReader::new(row, ids);
    let record = kind.read(&mut reader);
    reader.end(kind, record)
}

/// The number of a row, in a column of any integer type.
pub(crate) fn row_number(row: &PgRow, index: usize) -> Option<i64> {
    row.try_get(index).ok().map(|Whole(number)| number)
}

/// Reads the columns one by one.
struct RowReader<'r> {
    row: &'r PgRow,
    ids: IdForm,
    next: usize,
    /// The fields that cannot be read, and what is wrong with them.
    problems: Vec<(&'static str, String)>,
}

impl<'r> RowReader<'r> {
    fn new(row: &'r PgRow, ids: IdForm) -> Self {
        Self {
            row,
            ids,
            next: 0,
            problems: Vec::new(),
        }
    }

    fn end<T>(self, kind: Kind, record: Option<T>) -> Result<T> {
        let problem = match (record, self.problems.first()) {
            (Some(record), None) => return Ok(record),
            (_, Some((field, problem))) => format!("{field}: {problem}"),
            (None, None) => "has fields that cannot be read".to_owned(),
        };
        Err(Error::corrupt(problem).for_record(self.label(kind)))
    }

    fn unreadable(&self, kind: Kind) -> Unreadable {
        let fields = self.problems.iter().map(|(field, _)| (*field).to_owned());
        Unreadable::new(kind.as_str(), self.key(kind), fields.collect())
    }

    /// The row's key as text, as far as it can be read: in the form of a record's key where it has
    /// one.
    fn key(&self, kind: Kind) -> String {
        let id = |column: &str| match self.row.try_get::<Uuid, _>(column) {
            Ok(uuid) => self
                .ids
                .read::<()>(uuid)
                .map_or_else(|_| uuid.to_string(), |id| id.to_string()),
            Err(_) => String::new(),
        };
        match kind.description().key {
            KeyForm::Id | KeyForm::Account | KeyForm::Identity => id("id"),
            KeyForm::Like => format!("{}.{}", id("post_id"), id("user_id")),
            KeyForm::Comment => {
                let comment = self.row.try_get::<&str, _>("id").unwrap_or_default();
                format!("{}.{comment}", id("post_id"))
            }
            KeyForm::Price => {
                let date = self.row.try_get::<Moment, _>("date");
                let date = date.map(|Moment(at)| at.timestamp_millis().to_string());
                // Infinity, or a date beyond AuthorStack's.
                let date = date.unwrap_or_else(|_| "?".to_owned());
                format!("{}.{date}", id("competitor_id"))
            }
            KeyForm::Row => match self.row.try_get("id") {
                Ok(Whole(number)) => number.to_string(),
                Err(_) => String::new(),
            },
        }
    }

    /// The record in messages. The first column identifies it, or the record that it is a part of.
    fn label(&self, kind: Kind) -> String {
        let what = match kind.description().key {
            KeyForm::Like => "like of post",
            KeyForm::Comment => "comment on post",
            KeyForm::Price => "price of competitor",
            KeyForm::Id | KeyForm::Row | KeyForm::Account | KeyForm::Identity => kind.one(),
        };
        if let Ok(uuid) = self.row.try_get::<Uuid, _>(0) {
            match self.ids.read::<()>(uuid) {
                Ok(id) => format!("{what} {id}"),
                Err(_) => format!("row {uuid}"),
            }
        } else if let Ok(Whole(number)) = self.row.try_get(0) {
            format!("{what} {number}")
        } else {
            what.to_owned()
        }
    }

    fn note(&mut self, field: &'static Field, problem: impl Display) {
        self.problems.push((field.name, problem.to_string()));
    }

    /// The next column, made into a value.
    fn take<V, T>(
        &mut self,
        field: &'static Field,
        make: impl FnOnce(V) -> Result<T, String>,
    ) -> Read<T>
    where
        V: Decode<'r, Postgres> + Type<Postgres>,
    {
        let index = self.next;
        self.next += 1;
        let problem = match self.row.try_get::<Option<V>, _>(index) {
            Ok(None) => return Read::Missing,
            Ok(Some(found)) => match make(found) {
                Ok(value) => return Read::Value(value),
                Err(problem) => problem,
            },
            Err(sqlx::Error::ColumnDecode { source, .. }) => source.to_string(),
            Err(other) => other.to_string(),
        };
        self.note(field, problem);
        Read::Refused
    }

    fn json(&mut self, field: &'static Field) -> Read<serde_json::Value> {
        self.take(field, |Bytes(json)| {
            json::parse(json).map_err(|error| error.to_string())
        })
    }

    fn json_as<T: DeserializeOwned>(&mut self, field: &'static Field) -> Read<T> {
        self.take(field, |Bytes(json)| {
            let read = json::parse(json).and_then(serde_json::from_value);
            read.map_err(|error| error.to_string())
        })
    }
}

fn scalar<T: Scalar>(value: Value<'_>) -> Result<T, String> {
    T::of(value).map_err(|error| error.kind().to_string())
}

impl FieldReader for RowReader<'_> {
    fn value<T: Scalar>(&mut self, field: &'static Field) -> Read<T> {
        match T::SHAPE {
            Shape::Id => {
                let ids = self.ids;
                self.take(field, |uuid: Uuid| match ids.read(uuid) {
                    Ok(id) => scalar(Value::Id(id)),
                    Err(error) => Err(error.kind().to_string()),
                })
            }
            Shape::Text | Shape::TextOrEmpty => {
                self.take(field, |text: &str| scalar(Value::Text(text)))
            }
            Shape::Bool => self.take(field, |yes| scalar(Value::Bool(yes))),
            Shape::Whole(..) => self.take(field, |Whole(number)| scalar(Value::Whole(number))),
            Shape::Float => self.take(field, |number| scalar(Value::Float(number))),
            Shape::Decimal => self.take(field, |number: Decimal| scalar(Value::Decimal(number))),
            Shape::Day => self.take(field, |Day(day)| scalar(Value::Day(day))),
            Shape::Moment => self.take(field, |Moment(at)| scalar(Value::Moment(at))),
            Shape::Json => match self.json(field) {
                Read::Value(json) => match scalar(Value::Json(&json)) {
                    Ok(value) => Read::Value(value),
                    Err(problem) => {
                        self.note(field, problem);
                        Read::Refused
                    }
                },
                Read::Missing => Read::Missing,
                Read::Refused => Read::Refused,
            },
            Shape::Sums => {
                let ids = self.ids;
                self.take(field, |Bytes(json)| {
                    sums(json, ids)
                        .map_err(|problem| format!("{problem}; refresh the day's roll-up"))
                })
            }
            // These are not scalars.
            Shape::Texts | Shape::Part | Shape::Parts => {
                self.next += 1;
                self.note(field, "has no column that holds one value");
                Read::Refused
            }
        }
    }

    fn texts<T: Scalar>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        self.take(field, |TextList(texts)| {
            texts.iter().map(|text| scalar(Value::Text(text))).collect()
        })
    }

    fn part<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<T> {
        self.json_as(field)
    }

    fn parts<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        self.json_as(field)
    }

    fn skip(&mut self, _: &'static Field) {}

    fn extra(&mut self) -> Read<Extra> {
        static EXTRA: Field = Field {
            name: "extra",
            column: Some("extra"),
            shape: Shape::Json,
            required: false,
            vital: true,
            most: authorstack_core::limits::DOCUMENT,
        };
        self.take(&EXTRA, |Bytes(json)| {
            // Most records have no unknown fields.
            if json == b"{}" {
                return Ok(Extra::new());
            }
            match json::parse(json) {
                Ok(serde_json::Value::Object(extra)) => Ok(extra),
                Ok(_) => Err("is not an object".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn missing(&mut self, field: &'static Field, _: &'static str) {
        self.note(field, "is missing");
    }
}

/// A map from an id or another text to sums. An old app may have named books by their UUIDs.
fn sums<T: Scalar>(json: &[u8], ids: IdForm) -> Result<T, String> {
    let found = sums_of(json)?;
    let error = match T::of(Value::Sums(&found)) {
        Ok(sums) => return Ok(sums),
        Err(error) => error,
    };
    let by_id: Result<BTreeMap<String, Sums>> = found
        .into_iter()
        .map(|(name, sums)| match Uuid::try_parse(&name) {
            Ok(uuid) => Ok((ids.read::<()>(uuid)?.to_string(), sums)),
            Err(_) => Ok((name, sums)),
        })
        .collect();
    match by_id {
        Ok(by_id) => scalar(Value::Sums(&by_id)),
        Err(other) if matches!(other.kind(), ErrorKind::Invalid { .. }) => {
            Err(other.kind().to_string())
        }
        Err(_) => Err(error.kind().to_string()),
    }
}
