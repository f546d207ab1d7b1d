//! Writes records as documents, using the lists of their fields: the schema's names in the schema's
//! order, without missing values.

use authorstack_core::{
    Comment, Error, ErrorKind, Extra, Price, Result, SET_ASIDE, Task,
    fields::{Field, FieldValue, FieldWriter, Fields, Shape, Value},
    migrate::Problems,
};
use bson::{Bson, DateTime, Document, RawArrayBuf, RawBson, RawDocumentBuf, raw::CStr};
use chrono::{NaiveTime, Utc};
use serde::Serialize;

use super::{
    decode::{Aside, decode_with},
    set_aside::bare,
};
use crate::extended_json::{Path, append_fields, from_json};

/// A record's document. Values that a migration set aside are back in their fields.
pub(crate) fn encode<T: Fields>(record: &T) -> Result<RawDocumentBuf> {
    DocumentWriter::new(Path::Root).whole(record)
}

/// A record's document, with what was set aside where it is in the record.
pub(super) fn encode_as_it_is<T: Fields>(record: &T) -> Result<RawDocumentBuf> {
    let mut writer = DocumentWriter::new(Path::Root);
    record.write(&mut writer)?;
    Ok(writer.document)
}

/// The document of a new record that contains other records. Their arrays are empty and come before
/// this field, as in the schema.
pub(crate) fn encode_with_arrays<T: Fields>(
    record: &T,
    before: &'static str,
) -> Result<RawDocumentBuf> {
    let mut writer = DocumentWriter::new(Path::Root);
    writer.arrays = Some((before, T::RESERVED));
    writer.whole(record)
}

/// A task as a part of its checklist.
pub(crate) fn encode_task(task: &Task) -> Result<Document> {
    to_document(DocumentWriter::new(Path::Field(&Path::Root, "tasks")).whole(task)?)
}

/// A comment as a part of its post, without the post's id.
pub(crate) fn encode_comment(comment: &Comment) -> Result<Document> {
    let writer = DocumentWriter::new(Path::Field(&Path::Root, "comments"));
    let mut document = to_document(writer.whole(comment)?)?;
    if let Some(owner) = Comment::FIELDS.first() {
        document.remove(owner.name);
    }
    Ok(document)
}

/// The value of a field, if it has one.
pub(crate) fn encode_value<T: FieldValue>(
    field: &'static Field,
    value: &T,
) -> Result<Option<Bson>> {
    let mut writer = DocumentWriter::new(Path::Root);
    value.write(field, &mut writer)?;
    Ok(to_document(writer.document)?.remove(field.name))
}

/// A document for a part of a command.
pub(crate) fn to_document(document: RawDocumentBuf) -> Result<Document> {
    // Reading what was written here can fail only because of a bug.
    Document::try_from(document)
        .map_err(|error| Error::internal(format!("an encoded value is not BSON: {error}")))
}

/// Receives the fields of one document.
struct DocumentWriter<'p> {
    document: RawDocumentBuf,
    path: Path<'p>,
    /// The name of a field, and the names of the empty arrays before it.
    arrays: Option<(&'static str, &'static [&'static str])>,
    /// What was set aside in the record.
    aside: Extra,
}

impl<'p> DocumentWriter<'p> {
    fn new(path: Path<'p>) -> Self {
        Self {
            document: RawDocumentBuf::new(),
            path,
            arrays: None,
            aside: Extra::new(),
        }
    }

    /// Writes the arrays that come before a field.
    fn begin(&mut self, field: &'static Field) -> Result<()> {
        if let Some((before, arrays)) = self.arrays
            && before == field.name
        {
            for array in arrays {
                self.document.append(name(array)?, RawArrayBuf::new());
            }
        }
        Ok(())
    }

    /// The document of a part.
    fn nested<T: Fields>(path: Path<'_>, part: &T) -> Result<RawDocumentBuf> {
        DocumentWriter::new(path).whole(part)
    }

    /// The whole document, with what was set aside back in its fields.
    fn whole<T: Fields>(mut self, record: &T) -> Result<RawDocumentBuf> {
        record.write(&mut self)?;
        if self.aside.is_empty() {
            return Ok(self.document);
        }
        put_back::<T>(&self.document, &self.aside)
    }
}

fn name(name: &'static str) -> Result<&'static CStr> {
    <&CStr>::try_from(name).map_err(|error| Error::internal(format!("the name {name:?}: {error}")))
}

fn date(moment: chrono::DateTime<Utc>) -> DateTime {
    DateTime::from_millis(moment.timestamp_millis())
}

/// Reports JSON values that BSON cannot hold.
fn sound(problems: Problems) -> Result<()> {
    match problems.0.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(Error::invalid(problem.field, problem.problem)),
    }
}

impl FieldWriter for DocumentWriter<'_> {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        self.begin(field)?;
        let Some(value) = value else {
            return Ok(());
        };
        let name = name(field.name)?;
        let document = &mut self.document;
        match value {
            Value::Id(id) => document.append(name, id.to_object_id()),
            Value::Text(text) => document.append(name, text),
            Value::Texts(list) => {
                document.append(name, list.texts().collect::<RawArrayBuf>());
            }
            Value::Bool(yes) => document.append(name, yes),
            Value::Whole(number) => match (field.shape, i32::try_from(number)) {
                // Numbers that can become large always have 64 bits.
                (Shape::Whole(_, most), _) if most > i64::from(u32::MAX) => {
                    document.append(name, number);
                }
                (_, Ok(narrow)) => document.append(name, narrow),
                (_, Err(_)) => document.append(name, number),
            },
            Value::Float(number) => document.append(name, number),
            // The schema's prices are JavaScript's numbers.
            Value::Decimal(amount) => document.append(name, Price::new(amount)?.to_f64()),
            Value::Day(day) => {
                document.append(name, date(day.and_time(NaiveTime::MIN).and_utc()));
            }
            Value::Moment(moment) => document.append(name, date(moment)),
            Value::Json(json) => {
                let mut problems = Problems::default();
                let path = Path::Field(&self.path, field.name);
                let json = from_json(json, &path, &mut problems);
                sound(problems)?;
                document.append(name, json);
            }
            Value::Sums(_) => {
                return Err(Error::new(ErrorKind::Unsupported {
                    what: "MongoDB's documents hold no sums".into(),
                }));
            }
        }
        Ok(())
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()> {
        self.begin(field)?;
        let part = Self::nested(Path::Field(&self.path, field.name), part)?;
        self.document.append(name(field.name)?, part);
        Ok(())
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()> {
        self.begin(field)?;
        let list = Path::Field(&self.path, field.name);
        let mut array = RawArrayBuf::new();
        for (index, part) in parts.iter().enumerate() {
            array.push(Self::nested(Path::Index(&list, index), part)?);
        }
        self.document.append(name(field.name)?, array);
        Ok(())
    }

    fn extra(&mut self, extra: &Extra) -> Result<()> {
        if let Some(serde_json::Value::Object(aside)) = extra.get(SET_ASIDE) {
            self.aside.clone_from(aside);
        }
        let mut problems = Problems::default();
        append_fields(&mut self.document, extra, &self.path, &mut problems);
        sound(problems)
    }
}

/// Puts the values that were set aside back into their fields, unless a field has another value
/// than a missing one has by now.
fn put_back<T: Fields>(document: &RawDocumentBuf, aside: &Extra) -> Result<RawDocumentBuf> {
    let without = rebuilt(document, |name| !aside.contains_key(name))?;
    // Its parts have what was set aside in them back already.
    let empty = decode_with::<T>(without.as_bytes(), Some(&mut Aside::default())).ok();
    let empty = empty.map(|record| encode_as_it_is(&record)).transpose()?;
    let is_empty = |name: &str| {
        let Ok(Some(value)) = document.get(name) else {
            return true;
        };
        let by_default = empty
            .as_ref()
            .and_then(|empty| empty.get(name).ok().flatten());
        by_default == Some(value)
    };
    let is_open = |name: &str| match T::FIELDS.iter().find(|field| field.name == name) {
        Some(field) => !field.vital && is_empty(name),
        None => !T::knows(name) && matches!(document.get(name), Ok(None)),
    };
    let mut problems = Problems::default();
    let (mut back, mut left) = (Vec::new(), serde_json::Map::new());
    for (name, value) in aside {
        if is_open(name) {
            let path = Path::Field(&Path::Root, name);
            let place = T::FIELDS.iter().position(|field| field.name == name);
            let value = from_json(&bare(value), &path, &mut problems);
            back.push((place.unwrap_or(usize::MAX), name.as_str(), value));
        } else {
            left.insert(name.clone(), value.clone());
        }
    }
    if let Some(problem) = problems.0.into_iter().next() {
        return Err(Error::invalid(problem.field, problem.problem));
    }
    back.sort_by_key(|(place, ..)| *place);
    let mut back = back.into_iter().peekable();
    let returned: Vec<String> = aside
        .keys()
        .filter(|it| !left.contains_key(*it))
        .cloned()
        .collect();
    let mut whole = RawDocumentBuf::new();
    for element in document {
        let (name, value) = element.map_err(|error| unreadable(&error))?;
        let known = T::FIELDS
            .iter()
            .position(|field| field.name == name.as_str());
        let is_array = T::RESERVED.contains(&name.as_str());
        let before = known.unwrap_or(if is_array { 0 } else { usize::MAX - 1 });
        while let Some((_, name, value)) = back.next_if(|(place, ..)| *place <= before) {
            append(&mut whole, name, value)?;
        }
        if returned.iter().any(|it| it == name.as_str()) {
            continue;
        }
        if name.as_str() == SET_ASIDE {
            if !left.is_empty() {
                let path = Path::Field(&Path::Root, SET_ASIDE);
                let mut problems = Problems::default();
                let left = from_json(
                    &serde_json::Value::Object(left.clone()),
                    &path,
                    &mut problems,
                );
                append(&mut whole, SET_ASIDE, left)?;
            }
            continue;
        }
        whole.append(name, value);
    }
    for (_, name, value) in back {
        append(&mut whole, name, value)?;
    }
    Ok(whole)
}

/// A document with those of its fields that are kept.
fn rebuilt(document: &RawDocumentBuf, keep: impl Fn(&str) -> bool) -> Result<RawDocumentBuf> {
    let mut rest = RawDocumentBuf::new();
    for element in document {
        let (name, value) = element.map_err(|error| unreadable(&error))?;
        if keep(name.as_str()) {
            rest.append(name, value);
        }
    }
    Ok(rest)
}

fn append(document: &mut RawDocumentBuf, name: &str, value: RawBson) -> Result<()> {
    let name = bson::raw::CString::try_from(name.to_owned())
        .map_err(|error| Error::internal(format!("the name {name:?}: {error}")))?;
    document.append(name, value);
    Ok(())
}

/// Reading what was written here can fail only because of a bug.
fn unreadable(error: &bson::error::Error) -> Error {
    Error::internal(format!("an encoded document is not BSON: {error}"))
}
