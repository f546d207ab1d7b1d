//! The JSON of records, by the lists of their fields.
//!
//! There are two forms. `Form::Json` is what a host sends and receives: names in camelCase, unknown
//! fields beside the known ones. `Form::Stored` is what rejects and digests are made of: names as
//! the stores have them, unknown fields of a record under `extra`. Both forms read the names of
//! either, so a document or a row can be read as JSON.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap,
};
use serde_json::{Map, Value as Json};

use super::{
    fields::{
        Breakdown, Field, FieldReader, FieldValue, FieldWriter, Fields, Patch, PatchReader, Read,
        Scalar, Shape, Value,
    },
    sums::Sums,
};
use crate::{
    Error, ErrorKind, Extra, Id, Result,
    json::{decimal_of, value},
};

/// A form of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What a host sends and receives.
    Json,
    /// What rejects and digests are made of.
    Stored,
}

impl Form {
    pub(crate) fn name(self, field: &Field) -> Cow<'static, str> {
        match self {
            Self::Json => camel_case(field.column.unwrap_or(field.name)),
            Self::Stored => Cow::Borrowed(match field.name {
                "_id" => "id",
                // In MongoDB a like is an item of its post's list.
                "likes" => "userId",
                name => name,
            }),
        }
    }
}

impl Field {
    /// The name of the field in the JSON that a host sends and receives: `creditsSpent`.
    ///
    /// ```
    /// use authorstack_core::{Boost, fields::Fields};
    ///
    /// let names: Vec<_> = Boost::FIELDS.iter().map(|field| field.json_name()).collect();
    /// assert_eq!(names[..3], ["id", "bookId", "userId"]);
    /// ```
    #[must_use]
    pub fn json_name(&self) -> Cow<'static, str> {
        Form::Json.name(self)
    }
}

fn camel_case(name: &'static str) -> Cow<'static, str> {
    if !name.as_bytes().contains(&b'_') {
        return Cow::Borrowed(name);
    }
    let mut camel = String::with_capacity(name.len());
    for (index, word) in name.split('_').enumerate() {
        let (first, rest) = word.split_at(word.len().min(1));
        if index == 0 {
            camel.push_str(first);
        } else {
            camel.push_str(&first.to_ascii_uppercase());
        }
        camel.push_str(rest);
    }
    Cow::Owned(camel)
}

/// A record that writes itself in a form.
pub(crate) struct InForm<'r, T> {
    pub(crate) form: Form,
    pub(crate) record: &'r T,
    /// Whether it is a part of another record: its unknown fields are beside the known ones in
    /// either form.
    part: bool,
}

impl<'r, T: Fields> InForm<'r, T> {
    pub(crate) const fn new(form: Form, record: &'r T) -> Self {
        Self {
            form,
            record,
            part: false,
        }
    }
}

impl<T: Fields> Serialize for InForm<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut writer = Writer::<_, T> {
            form: self.form,
            map: serializer.serialize_map(None)?,
            part: self.part,
            error: None,
            record: std::marker::PhantomData,
        };
        let written = self.record.write(&mut writer);
        match (writer.error, written) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(serde::ser::Error::custom(error)),
            (None, Ok(())) => writer.map.end(),
        }
    }
}

struct Writer<M: SerializeMap, T> {
    form: Form,
    map: M,
    part: bool,
    /// What `Fields::write` cannot pass on.
    error: Option<M::Error>,
    record: std::marker::PhantomData<T>,
}

impl<M: SerializeMap, T> Writer<M, T> {
    fn entry(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        self.map.serialize_entry(name, value).map_err(|error| {
            let told = Error::invalid(name.to_owned(), error.to_string());
            self.error = Some(error);
            told
        })
    }
}

impl<M: SerializeMap, R: Fields> FieldWriter for Writer<M, R> {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        let form = self.form;
        match value {
            Some(value) => self.entry(&form.name(field), &Single { form, value }),
            None => Ok(()),
        }
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()> {
        let form = self.form;
        let part = InForm {
            form,
            record: part,
            part: true,
        };
        self.entry(&form.name(field), &part)
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()> {
        let form = self.form;
        self.entry(&form.name(field), &List { form, parts })
    }

    fn extra(&mut self, extra: &Extra) -> Result<()> {
        if self.form == Form::Stored && !self.part {
            return if extra.is_empty() {
                Ok(())
            } else {
                self.entry("extra", &Sorted(extra))
            };
        }
        for (name, value) in extra {
            // No check lets such a field in; a reader would find the name twice.
            let hides_known = R::FIELDS
                .iter()
                .any(|field| self.form.name(field) == *name || field.name == name);
            if !hides_known {
                self.entry(name, &SortedValue(value))?;
            }
        }
        Ok(())
    }
}

struct List<'p, T> {
    form: Form,
    parts: &'p [T],
}

impl<T: Fields> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = self.form;
        serializer.collect_seq(self.parts.iter().map(|record| InForm {
            form,
            record,
            part: true,
        }))
    }
}

struct Single<'v> {
    form: Form,
    value: Value<'v>,
}

impl Serialize for Single<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Id(id) => id.serialize(serializer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Texts(texts) => serializer.collect_seq(texts.texts()),
            Value::Bool(yes) => serializer.serialize_bool(yes),
            Value::Whole(number) => serializer.serialize_i64(number),
            Value::Float(number) => serializer.serialize_f64(number),
            Value::Decimal(number) => serializer.collect_str(&number),
            Value::Day(day) => day.serialize(serializer),
            Value::Moment(moment) => moment.serialize(serializer),
            Value::Json(json) => SortedValue(json).serialize(serializer),
            Value::Sums(sums) => by_key(sums, self.form, serializer),
        }
    }
}

fn by_key<S: Serializer>(
    breakdown: &dyn Breakdown,
    form: Form,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Stored {
        #[serde(with = "crate::json::decimal")]
        revenue: rust_decimal::Decimal,
        units: i64,
        page_reads: i64,
    }
    let mut map = serializer.serialize_map(None)?;
    for (key, sums) in breakdown.sums() {
        match form {
            Form::Json => map.serialize_entry(&key, &sums)?,
            Form::Stored => map.serialize_entry(
                &key,
                &Stored {
                    revenue: sums.revenue,
                    units: sums.units,
                    page_reads: sums.page_reads,
                },
            )?,
        }
    }
    map.end()
}

/// An object in the order of its names, even if a host has `serde_json` keep another one: a digest
/// must not depend on it.
struct Sorted<'m>(&'m Map<String, Json>);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self
            .0
            .iter()
            .map(|(name, value)| (name, SortedValue(value)));
        if self.0.keys().is_sorted() {
            return serializer.collect_map(entries);
        }
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable_by_key(|(name, _)| *name);
        serializer.collect_map(entries)
    }
}

struct SortedValue<'v>(&'v Json);

impl Serialize for SortedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Object(object) => Sorted(object).serialize(serializer),
            Json::Array(items) => serializer.collect_seq(items.iter().map(SortedValue)),
            single => single.serialize(serializer),
        }
    }
}

/// What is wrong with a field of a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The path of the field.
    pub(crate) field: String,
    /// The problem.
    pub(crate) problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.field, self.problem)
        }
    }
}

/// All faults in one message.
fn told<E: serde::de::Error>(faults: &[Fault]) -> E {
    const MOST: usize = 5;
    let mut text: Vec<String> = faults.iter().take(MOST).map(Fault::to_string).collect();
    if let Some(more) = faults.len().checked_sub(MOST).filter(|more| *more > 0) {
        text.push(format!("and {more} more"));
    }
    E::custom(text.join("; "))
}

/// Reads a record in a form. `read` takes the fields.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_in_form<T>(
    form: Form,
    json: Json,
    read: impl FnOnce(&mut Reader) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    let mut reader = Reader::new(form, json)?;
    let record = read(&mut reader);
    reader.end(record)
}

/// Reads a record from any format that describes itself.
pub(crate) fn read_record<'de, T: Fields, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let read = read_in_form(Form::Json, value(deserializer)?, |reader| {
        reader.reserved = T::RESERVED;
        T::read(reader)
    });
    read.map_err(|faults| told(&faults))
}

/// Reads a patch.
pub(crate) fn read_patch<'de, P: Patch, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<P, D::Error> {
    read_input(deserializer, P::read)
}

/// Reads what a host sends to create or change a record: no field may be unknown.
pub(crate) fn read_input<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    read: impl FnOnce(&mut Reader) -> Option<T>,
) -> Result<T, D::Error> {
    let read = read_in_form(Form::Json, value(deserializer)?, |reader| {
        let read = read(reader);
        reader.refuse_unknown();
        read
    });
    read.map_err(|faults| told(&faults))
}

/// Reads the fields of a JSON object.
#[derive(Debug)]
pub(crate) struct Reader {
    form: Form,
    left: Map<String, Json>,
    /// The path of the object, with a full stop at its end; empty for the record itself.
    path: String,
    /// Names of records of their own within documents, such as a post's likes.
    reserved: &'static [&'static str],
    faults: Vec<Fault>,
    /// The names of the fields that were asked for.
    asked: Vec<String>,
}

impl Reader {
    fn new(form: Form, json: Json) -> Result<Self, Vec<Fault>> {
        Self::within(form, json, String::new())
    }

    fn within(form: Form, json: Json, path: String) -> Result<Self, Vec<Fault>> {
        match json {
            Json::Object(left) => Ok(Self {
                form,
                left,
                path,
                reserved: &[],
                faults: Vec::new(),
                asked: Vec::new(),
            }),
            other => Err(vec![Fault {
                field: path.trim_end_matches('.').to_owned(),
                problem: format!("is {}, not an object", what(&other)),
            }]),
        }
    }

    fn end<T>(self, record: Option<T>) -> Result<T, Vec<Fault>> {
        match record {
            Some(record) if self.faults.is_empty() => Ok(record),
            None if self.faults.is_empty() => Err(vec![Fault {
                field: self.path,
                problem: "has fields that cannot be read".to_owned(),
            }]),
            Some(_) | None => Err(self.faults),
        }
    }

    fn note<T>(&mut self, name: &str, problem: impl Into<String>) -> Read<T> {
        self.faults.push(Fault {
            field: format!("{}{name}", self.path),
            problem: problem.into(),
        });
        Read::Refused
    }

    /// The name of a field in messages.
    fn name(&self, field: &Field) -> Cow<'static, str> {
        match self.form {
            Form::Json => self.form.name(field),
            // Rejects are edited, and their problems named, as the source has them.
            Form::Stored => Cow::Borrowed(field.name),
        }
    }

    /// Takes a field, by any of its names. `Err` if it is there by two.
    fn take(&mut self, field: &Field) -> Result<Option<Json>, ()> {
        let json = Form::Json.name(field);
        let stored = Form::Stored.name(field);
        let names = [&json, &stored, field.name, field.column.unwrap_or(&json)];
        let mut found: Option<(&str, Json)> = None;
        for name in names {
            if let Some(value) = self.left.remove(name) {
                if let Some((other, _)) = found {
                    let problem = format!("is there twice, also as {other}; leave one out");
                    self.note::<()>(name, problem);
                    return Err(());
                }
                found = Some((name, value));
            }
        }
        let found = found.map(|(_, value)| value);
        self.asked.push(json.into_owned());
        Ok(found)
    }

    /// Takes a field, which is missing if it is null.
    fn there(&mut self, field: &Field) -> Read<Json> {
        // JSON of any form may be null. What a host sends as null is no value, if that may be.
        let may_be_null =
            field.shape == Shape::Json && (field.required || self.form == Form::Stored);
        match self.take(field) {
            Ok(Some(json)) if may_be_null || !json.is_null() => Read::Value(json),
            Ok(_) => Read::Missing,
            Err(()) => Read::Refused,
        }
    }

    fn refuse_unknown(&mut self) {
        let left: Vec<String> = self.left.keys().cloned().collect();
        for name in left {
            let problem = format!("is unknown; the fields are {}", self.asked.join(", "));
            self.note::<()>(&name, problem);
        }
    }

    /// Takes `extra`, an object of unknown fields.
    pub(crate) fn extra_field(&mut self) -> Option<Extra> {
        self.asked.push("extra".to_owned());
        match self.left.remove("extra") {
            None | Some(Json::Null) => Some(Extra::new()),
            Some(Json::Object(extra)) => Some(extra),
            Some(other) => {
                self.note::<()>("extra", format!("is {}, not an object", what(&other)));
                None
            }
        }
    }

    /// Takes a list of inputs.
    pub(crate) fn inputs<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Reader) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.asked.push(name.to_owned());
        match self.left.remove(name) {
            None | Some(Json::Null) => Some(Vec::new()),
            Some(Json::Array(items)) => self.each(name, items, |reader| {
                let input = read(reader);
                reader.refuse_unknown();
                input
            }),
            Some(other) => {
                self.note::<()>(name, format!("is {}, not a list", what(&other)));
                None
            }
        }
    }

    fn nested<T>(
        &mut self,
        path: String,
        json: Json,
        read: impl FnOnce(&mut Reader) -> Option<T>,
    ) -> Option<T> {
        let nested = Self::within(self.form, json, path);
        let read = nested.and_then(|mut reader| {
            let record = read(&mut reader);
            reader.end(record)
        });
        read.map_err(|faults| self.faults.extend(faults)).ok()
    }

    fn each<T>(
        &mut self,
        name: &str,
        items: Vec<Json>,
        read: impl Fn(&mut Reader) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{}{name}.{index}.", self.path);
            list.push(self.nested(path, item, &read));
        }
        list.into_iter().collect()
    }

    fn scalar<T: Scalar>(&mut self, field: &Field, value: Value<'_>) -> Read<T> {
        match T::of(value) {
            Ok(value) => Read::Value(value),
            Err(error) => {
                let name = self.name(field);
                self.note(&name, reason(&error))
            }
        }
    }

    fn parsed<V: DeserializeOwned, T: Scalar>(
        &mut self,
        field: &Field,
        json: &Json,
        expected: &str,
        make: impl FnOnce(V) -> Value<'static>,
    ) -> Read<T> {
        match json.as_str().and_then(|_| V::deserialize(json).ok()) {
            Some(value) => self.scalar(field, make(value)),
            None => self.unexpected(field, json, expected),
        }
    }

    fn unexpected<T>(&mut self, field: &Field, found: &Json, expected: &str) -> Read<T> {
        let name = self.name(field);
        self.note(&name, format!("is {}, not {expected}", what(found)))
    }
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Invalid { reason, .. } => reason.to_string(),
        other => other.to_string(),
    }
}

/// What a value is, in messages. Texts are cut: they may be secrets as well as long.
fn what(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "another text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// A whole number; 3.0 is one.
fn whole(json: &Json) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = || {
        let float = json.as_f64()?;
        let is_whole = json.is_f64() && float.fract() == 0.0 && float.abs() < EXACT;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        is_whole.then_some(float as i64)
    };
    json.as_i64().or_else(float)
}

impl FieldReader for Reader {
    fn value<T: Scalar>(&mut self, field: &'static Field) -> Read<T> {
        let json = match self.there(field) {
            Read::Value(json) => json,
            Read::Missing => return Read::Missing,
            Read::Refused => return Read::Refused,
        };
        match (T::SHAPE, &json) {
            (Shape::Id, Json::String(text)) => match text.parse::<Id<()>>() {
                Ok(id) => self.scalar(field, Value::Id(id)),
                Err(error) => {
                    let name = self.name(field);
                    self.note(&name, reason(&error))
                }
            },
            (Shape::Id, other) => self.unexpected(field, other, "an id of 24 hexadecimal digits"),
            (Shape::TextOrEmpty, Json::String(text))
                if text.is_empty() && field.shape == Shape::TextOrEmpty =>
            {
                Read::Missing
            }
            (Shape::Text | Shape::TextOrEmpty, Json::String(text)) => {
                self.scalar(field, Value::Text(text))
            }
            (Shape::Text | Shape::TextOrEmpty, other) => self.unexpected(field, other, "a text"),
            (Shape::Bool, Json::Bool(yes)) => self.scalar(field, Value::Bool(*yes)),
            (Shape::Bool, other) => self.unexpected(field, other, "true or false"),
            (Shape::Whole(..), other) => match whole(other) {
                Some(number) => self.scalar(field, Value::Whole(number)),
                None => self.unexpected(field, other, "a whole number"),
            },
            (Shape::Float, other) => match other.as_f64() {
                Some(number) => self.scalar(field, Value::Float(number)),
                None => self.unexpected(field, other, "a number"),
            },
            (Shape::Decimal, other) => match decimal_of(other) {
                Ok(number) => self.scalar(field, Value::Decimal(number)),
                Err(problem) => {
                    let name = self.name(field);
                    self.note(&name, problem)
                }
            },
            (Shape::Day, day) => {
                self.parsed(field, day, "a day like 2024-05-31", |day: NaiveDate| {
                    Value::Day(day)
                })
            }
            (Shape::Moment, moment) => self.parsed(
                field,
                moment,
                "a moment like 2024-05-31T12:00:00Z",
                |moment: DateTime<Utc>| Value::Moment(moment),
            ),
            (Shape::Json, any) => self.scalar(field, Value::Json(any)),
            (Shape::Sums, Json::Object(by_key)) => {
                let mut breakdown = BTreeMap::new();
                for (key, sums) in by_key {
                    match Sums::deserialize(sums) {
                        Ok(sums) => breakdown.insert(key.clone(), sums),
                        Err(error) => {
                            let name = format!("{}.{key}", self.name(field));
                            return self.note(&name, error.to_string());
                        }
                    };
                }
                self.scalar(field, Value::Sums(&breakdown))
            }
            (Shape::Sums, other) => self.unexpected(field, other, "an object with sums"),
            // These are not scalars.
            (Shape::Texts | Shape::Part | Shape::Parts, other) => {
                self.unexpected(field, other, "a single value")
            }
        }
    }

    fn texts<T: Scalar>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        let items = match self.there(field) {
            Read::Value(Json::Array(items)) => items,
            Read::Value(other) => return self.unexpected(field, &other, "a list of texts"),
            Read::Missing => return Read::Missing,
            Read::Refused => return Read::Refused,
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let read = match item {
                Json::String(text) => T::of(Value::Text(text)).map_err(|error| reason(&error)),
                other => Err(format!("is {}, not a text", what(other))),
            };
            match read {
                Ok(text) => texts.push(text),
                Err(problem) => {
                    let name = format!("{}.{index}", self.name(field));
                    return self.note(&name, problem);
                }
            }
        }
        Read::Value(texts)
    }

    fn part<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<T> {
        match self.there(field) {
            Read::Value(json) => {
                let path = format!("{}{}.", self.path, self.name(field));
                let part = self.nested(path, json, |reader| T::read(reader));
                part.map_or(Read::Refused, Read::Value)
            }
            Read::Missing => Read::Missing,
            Read::Refused => Read::Refused,
        }
    }

    fn parts<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        match self.there(field) {
            Read::Value(Json::Array(items)) => {
                let name = self.name(field);
                let parts = self.each(&name, items, |reader| T::read(reader));
                parts.map_or(Read::Refused, Read::Value)
            }
            Read::Value(other) => self.unexpected(field, &other, "a list"),
            Read::Missing => Read::Missing,
            Read::Refused => Read::Refused,
        }
    }

    fn skip(&mut self, field: &'static Field) {
        // A computed value is not taken from anybody.
        let _ = self.take(field);
    }

    fn extra(&mut self) -> Read<Extra> {
        let is_whole = self.path.is_empty();
        for name in self.reserved {
            self.left.remove(*name);
        }
        let mut extra = std::mem::take(&mut self.left);
        if self.form == Form::Stored && is_whole {
            // What else is there are columns that the table computes.
            return match extra.remove("extra") {
                None | Some(Json::Null) => Read::Missing,
                Some(Json::Object(kept)) => Read::Value(kept),
                Some(other) => self.note("extra", format!("is {}, not an object", what(&other))),
            };
        }
        Read::Value(extra)
    }

    fn missing(&mut self, field: &'static Field, way_out: &'static str) {
        let name = self.name(field);
        self.note::<()>(&name, format!("is missing; {way_out}"));
    }
}

impl PatchReader for Reader {
    fn change<T: FieldValue>(&mut self, field: &'static Field) -> Read<Option<T>> {
        let names = [Form::Json.name(field), Form::Stored.name(field)];
        let is_null = names
            .iter()
            .any(|name| self.left.get(name.as_ref()) == Some(&Json::Null));
        if is_null {
            return match self.take(field) {
                Ok(_) => Read::Value(None),
                Err(()) => Read::Refused,
            };
        }
        let is_there = names
            .iter()
            .any(|name| self.left.contains_key(name.as_ref()));
        match T::read(field, self) {
            Read::Value(value) => Read::Value(Some(value)),
            // An empty text, where that means no value.
            Read::Missing if is_there => Read::Value(None),
            Read::Missing => Read::Missing,
            Read::Refused => Read::Refused,
        }
    }

    fn never_empty(&mut self, field: &'static Field) {
        let name = self.name(field);
        self.note::<()>(&name, "cannot be empty; leave it out to keep what is there");
    }
}

/// Writes and reads records as JSON, by the lists of their fields.
macro_rules! json {
    ($($record:ty),+) => {$(
        impl serde::Serialize for $record {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let form = $crate::records::json::Form::Json;
                $crate::records::json::InForm::new(form, self).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $record {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::records::json::read_record(deserializer)
            }
        }
    )+};
}
pub(crate) use json;

/// Reads patches from JSON, by the lists of their fields.
macro_rules! patch_json {
    ($($patch:ty),+) => {$(
        impl<'de> serde::Deserialize<'de> for $patch {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::records::json::read_patch(deserializer)
            }
        }
    )+};
}
pub(crate) use patch_json;

/// Reads what creates a record from JSON. The fields are listed as for `fields!`, with their names
/// in JSON. `extra` is an object; `inputs` are lists of what creates parts.
macro_rules! input_json {
    (
        $input:ident $(, extra: $extra:ident)? $(, inputs: [$($list:ident: $list_name:literal of $item:ty),+])?;
        $($field:ident: $name:literal $(required($way_out:literal))? $(or($default:expr))?,)+
    ) => {
        impl $input {
            pub(crate) fn read(reader: &mut $crate::records::json::Reader) -> Option<Self> {
                static FIELDS: &[$crate::records::fields::Field] = &[$(
                    $crate::records::fields::Field {
                        name: $name,
                        column: None,
                        shape: $crate::records::fields::shape_of(|input: &$input| &input.$field),
                        most: $crate::records::fields::shape_of(|input: &$input| &input.$field)
                            .most(),
                        required: $crate::records::fields::required!(
                            $input, $field $(, required $way_out)? $(, or $default)?
                        ),
                        vital: true,
                    },
                )+];
                let mut index = 0;
                $(
                    let $field = $crate::records::fields::read!(
                        |input: &$input| &input.$field, reader, &FIELDS[index]
                        $(, required $way_out)? $(, or $default)?
                    );
                    index += 1;
                )+
                let _ = index;
                $($(let $list = reader.inputs($list_name, <$item>::read);)+)?
                $(let $extra = reader.extra_field();)?
                Some(Self {
                    $($field: $crate::records::fields::unwrap!($field $(, $default)?),)+
                    $($($list: $list?,)+)?
                    $($extra: $extra?,)?
                })
            }
        }

        impl<'de> serde::Deserialize<'de> for $input {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::records::json::read_input(deserializer, Self::read)
            }
        }
    };
}
pub(crate) use input_json;
