//! Reads records from BSON bytes, using the lists of their fields.
//!
//! One pass over a document puts the value of each known field into a slot. Then the record takes
//! the values, in the order of its list. All problems of a document are collected.

use std::borrow::Cow;

use authorstack_core::{
    Error, Extra, Id, SET_ASIDE,
    fields::{Field, FieldReader, Fields, Read, Scalar, Shape, Value},
    migrate::{Problem, Problems, Record},
    values::excerpt,
};
use bson::{Decimal128, oid::ObjectId};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use crate::{
    document::{
        key::id_in_text,
        moment::{self, Stored},
        number,
        set_aside::armored,
    },
    extended_json::{Form, Path, malformed, not_utf8, repeated, text, to_json},
    raw::{Elements, Raw, Tagged},
};

/// More fields than any record has, including reserved names.
const MOST_FIELDS: usize = 24;

/// Reads a record's document.
pub(crate) fn decode<T: Fields>(bytes: &[u8]) -> Result<T, Problems> {
    decode_with(bytes, None)
}

/// Reads a record's document, and sets aside what makes no sense, if anything may be.
pub(crate) fn decode_with<T: Fields>(
    bytes: &[u8],
    aside: Option<&mut Aside>,
) -> Result<T, Problems> {
    let mut problems = Problems::default();
    let mut reader = DocumentReader::of::<T>(bytes, Path::Root, &mut problems, aside);
    let record = T::read(&mut reader);
    finished(record, problems)
}

/// What a migration sets aside while it reads a record: values that make no sense in fields that are
/// not vital.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// Why, field by field.
    pub(super) found: Problems,
    /// Values that no backend can store although they have the right type, by the paths of their
    /// fields.
    forced: Vec<(String, Problem)>,
}

impl Aside {
    /// The problem of the value at a path that is to be set aside whatever it is.
    fn forced(&self, path: &Path<'_>) -> Option<Problem> {
        if self.forced.is_empty() {
            return None;
        }
        let path = path.to_string();
        let mut forced = self.forced.iter();
        let found = forced.find(|(at, _)| *at == path);
        found.map(|(_, problem)| problem.clone())
    }
}

/// Reads a record. Values that make no sense in fields that are not vital are set aside; returns
/// what was. `read` reads the record's document, and notes what it sets aside.
pub(super) fn setting_aside(
    mut read: impl FnMut(&mut Aside) -> Result<Record, Problems>,
) -> (Result<Record, Problems>, Problems) {
    // The last one is tried; those before it have helped.
    let mut forced: Vec<(String, Problem)> = Vec::new();
    loop {
        let mut aside = Aside {
            found: Problems::default(),
            forced: forced.clone(),
        };
        let problem = match read(&mut aside) {
            Err(mut problems) => {
                problems.0.extend(aside.found.0);
                return (Err(problems), Problems::default());
            }
            Ok(record) => match record.check() {
                Ok(()) => return (Ok(record), aside.found),
                Err(error) => Problem::from(error),
            },
        };
        // A value in a list, or in a part, may have to be set aside with the whole.
        let path = match forced.pop_if(|(_, tried)| *tried == problem) {
            Some((path, _)) => path.rfind('.').map(|at| path[..at].to_owned()),
            None => Some(problem.field.clone()),
        };
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            let mut problems = Problems::from(problem);
            problems.0.extend(aside.found.0);
            return (Err(problems), Problems::default());
        };
        forced.push((path, problem));
    }
}

/// The original of a value that is set aside, in the form of [`Extra`]; `None` if JSON cannot hold
/// it. A text with a NUL character, which PostgreSQL cannot hold, becomes `{"$base64": "…"}`.
fn original(value: Raw<'_>) -> Option<serde_json::Value> {
    let mut problems = Problems::default();
    let json = to_json(Form::Relaxed, value, &Path::Root, &mut problems);
    problems.is_empty().then(|| armored(json))?
}

/// The record, if its document has no problems.
pub(super) fn finished<T>(record: Option<T>, problems: Problems) -> Result<T, Problems> {
    match record {
        Some(record) if problems.is_empty() => Ok(record),
        _ => Err(problems),
    }
}

/// Provides the values of one document for a record.
pub(super) struct DocumentReader<'d, 'p> {
    path: Path<'p>,
    /// The values, by the indexes of their fields in the list. Reserved names come after the
    /// fields.
    slots: [Option<Tagged<'d>>; MOST_FIELDS],
    /// The slot of the next field.
    next: usize,
    extra: Extra,
    problems: &'p mut Problems,
    /// `None` if nothing may be set aside.
    aside: Option<&'p mut Aside>,
    /// The values that were, by the names of their fields.
    values: Extra,
}

impl<'d, 'p> DocumentReader<'d, 'p> {
    /// The values of a document.
    fn of<T: Fields>(
        bytes: &'d [u8],
        path: Path<'p>,
        problems: &'p mut Problems,
        aside: Option<&'p mut Aside>,
    ) -> Self {
        // What is set aside needs a place in the record.
        let aside = aside.filter(|_| T::HAS_EXTRA);
        let mut reader = Self::empty(path, problems, aside);
        reader.collect::<T>(bytes, 0);
        reader
    }

    /// The values of a part's document. The part's first field is the whole's id, which is outside
    /// of it.
    pub(super) fn of_part<T: Fields>(
        whole: Tagged<'d>,
        bytes: &'d [u8],
        path: Path<'p>,
        problems: &'p mut Problems,
        aside: Option<&'p mut Aside>,
    ) -> Self {
        let aside = aside.filter(|_| T::HAS_EXTRA);
        let mut reader = Self::empty(path, problems, aside);
        reader.slots[0] = Some(whole);
        reader.collect::<T>(bytes, 1);
        reader
    }

    /// Sets the value of a field if the document has none.
    pub(super) fn or<T: Fields>(&mut self, name: &str, value: Tagged<'d>) {
        let place = T::FIELDS.iter().position(|field| field.name == name);
        if let Some(slot) = place.and_then(|place| self.slots.get_mut(place))
            && slot.is_none_or(Tagged::is_null)
        {
            *slot = Some(value);
        }
    }

    fn empty(path: Path<'p>, problems: &'p mut Problems, aside: Option<&'p mut Aside>) -> Self {
        Self {
            path,
            slots: [None; MOST_FIELDS],
            next: 0,
            extra: Extra::new(),
            problems,
            aside,
            values: Extra::new(),
        }
    }

    /// Puts each value into its slot; `first` is the first field that the document can contain.
    fn collect<T: Fields>(&mut self, bytes: &'d [u8], first: usize) {
        const {
            assert!(
                T::FIELDS.len() + T::RESERVED.len() <= MOST_FIELDS,
                "the record has more fields than there are slots"
            );
        }
        // Most documents have their fields in the schema's order.
        let mut likely = first;
        let mut elements = Elements::new(bytes);
        while let Some(element) = elements.next_tagged() {
            let Ok((key, value)) = element else {
                self.problems.push(malformed(&self.path));
                continue;
            };
            let Some(place) = place_of::<T>(key, first, likely) else {
                self.unknown(key, value.read());
                continue;
            };
            likely = place + 1;
            if let Some(slot @ None) = self.slots.get_mut(place) {
                *slot = Some(value);
            } else {
                let name = String::from_utf8_lossy(key);
                self.problems
                    .push(repeated(&Path::Field(&self.path, &name)));
            }
        }
    }

    /// Keeps an unknown field.
    fn unknown(&mut self, key: &[u8], value: Raw<'_>) {
        let name = text(key, &self.path, self.problems);
        let path = Path::Field(&self.path, &name);
        if self.extra.contains_key(&name) {
            self.problems.push(repeated(&path));
            return;
        }
        if let Some(aside) = self.aside.as_deref_mut()
            && let Some(problem) = aside.forced(&path)
            && let Some(value) = original(value)
        {
            aside.found.push(problem);
            self.values.insert(name, value);
            return;
        }
        let value = to_json(Form::Relaxed, value, &path, self.problems);
        self.extra.insert(name, value);
    }

    /// The value of the next field. Null counts as missing.
    #[inline]
    fn take(&mut self) -> Option<Tagged<'d>> {
        let slot = self.slots.get(self.next).copied().flatten();
        self.next += 1;
        slot.filter(|value| !value.is_null())
    }

    /// Reads the next field at its path.
    fn at<T>(
        &mut self,
        field: &'static Field,
        read: impl FnOnce(&mut Place<'_>, Tagged<'d>) -> Read<T>,
    ) -> Read<T> {
        let Some(value) = self.take() else {
            return Read::Missing;
        };
        let path = Path::Field(&self.path, field.name);
        let before = self.problems.0.len();
        let forced = match self.aside.as_deref() {
            Some(aside) if !field.vital => aside.forced(&path),
            _ => None,
        };
        let read = match forced {
            Some(problem) => {
                self.problems.push(problem);
                Read::Refused
            }
            None => read(
                &mut Place {
                    path,
                    required: field.required,
                    problems: self.problems,
                    aside: self.aside.as_deref_mut(),
                },
                value,
            ),
        };
        match (read, self.aside.as_deref_mut()) {
            (Read::Refused, Some(aside)) if !field.vital => match original(value.read()) {
                Some(value) => {
                    aside.found.0.extend(self.problems.0.drain(before..));
                    self.values.insert(field.name.to_owned(), value);
                    Read::Missing
                }
                None => Read::Refused,
            },
            (read, _) => read,
        }
    }
}

/// The index of a name in a record's list. It is searched for at the likely index first.
fn place_of<T: Fields>(key: &[u8], first: usize, likely: usize) -> Option<usize> {
    let is_likely = |field: &Field| field.name.as_bytes() == key;
    if T::FIELDS.get(likely).is_some_and(is_likely) {
        return Some(likely);
    }
    let names = T::FIELDS.iter().map(|field| field.name);
    let mut names = names.chain(T::RESERVED.iter().copied()).skip(first);
    let place = names.position(|name| name.as_bytes() == key)?;
    Some(first + place)
}

impl FieldReader for DocumentReader<'_, '_> {
    fn value<T: Scalar>(&mut self, field: &'static Field) -> Read<T> {
        self.at(field, |place, value| place.scalar(field.shape, value))
    }

    fn texts<T: Scalar>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        self.at(field, |place, value| {
            let single = matches!(value.read(), Raw::Text(_));
            place.list(value, single, |place, item| {
                match place.scalar(T::SHAPE, item) {
                    Read::Value(text) => Some(text),
                    Read::Missing if item.is_null() => {
                        place.wrong_type("a string", item);
                        None
                    }
                    Read::Missing | Read::Refused => None,
                }
            })
        })
    }

    fn part<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<T> {
        self.at(field, |place, value| match place.document(value) {
            Some(part) => Read::Value(part),
            None => Read::Refused,
        })
    }

    fn parts<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        self.at(field, |place, value| {
            let single = matches!(value.read(), Raw::Document(_));
            place.list(value, single, |place, item| place.document(item))
        })
    }

    fn skip(&mut self, _: &'static Field) {
        self.next += 1;
    }

    fn extra(&mut self) -> Read<Extra> {
        let mut extra = std::mem::take(&mut self.extra);
        let values = std::mem::take(&mut self.values);
        if values.is_empty() {
            return Read::Value(extra);
        }
        // The way back may have left some there that no longer fit.
        let kept = extra
            .entry(SET_ASIDE)
            .or_insert_with(|| Extra::new().into());
        match kept.as_object_mut() {
            Some(kept) if !values.keys().any(|name| kept.contains_key(name)) => {
                kept.extend(values);
                Read::Value(extra)
            }
            _ => {
                let problem = "is in the way: values that make no sense are set aside under this \
                               name; correct them, or give this field another name";
                let path = Path::Field(&self.path, SET_ASIDE);
                self.problems.push(path.problem(problem));
                Read::Refused
            }
        }
    }

    fn missing(&mut self, field: &'static Field, way_out: &'static str) {
        let path = Path::Field(&self.path, field.name);
        self.problems.push(missing(&path, way_out));
    }
}

/// The problem of a missing field.
pub(super) fn missing(path: &Path<'_>, way_out: &str) -> Problem {
    path.problem(format!("is missing; {way_out}"))
}

/// A place in a document. Its problems are collected.
pub(super) struct Place<'p> {
    pub(super) path: Path<'p>,
    /// Whether a record must have a value here.
    pub(super) required: bool,
    pub(super) problems: &'p mut Problems,
    /// Where parts note what they set aside; `None` if nothing may be.
    pub(super) aside: Option<&'p mut Aside>,
}

impl Place<'_> {
    /// A value of the type's shape. The field's shape may be narrower.
    #[inline]
    pub(super) fn scalar<T: Scalar>(&mut self, shape: Shape, tagged: Tagged<'_>) -> Read<T> {
        if tagged.is_null() {
            return Read::Missing;
        }
        let read = match (T::SHAPE, tagged.read()) {
            (Shape::Id, Raw::ObjectId(id)) => T::of(Value::Id(Id::from_bytes(id))),
            (Shape::Id, Raw::Text(digits)) => match id_in_text(digits) {
                Some(id) if !self.is_key() => T::of(Value::Id(Id::from_bytes(id))),
                _ => return self.unexpected(shape, tagged),
            },
            (Shape::Text | Shape::TextOrEmpty, Raw::Text(bytes)) => {
                match std::str::from_utf8(bytes) {
                    // An old app may use an empty text for a missing value.
                    Ok(text) if shape == Shape::TextOrEmpty && text.trim().is_empty() => {
                        return Read::Missing;
                    }
                    Ok(text) => T::of_stored(text),
                    Err(error) => {
                        self.problems.push(not_utf8(&error, &self.path));
                        return Read::Refused;
                    }
                }
            }
            (Shape::Bool, Raw::Bool(yes)) => T::of(Value::Bool(yes)),
            (Shape::Bool, value) => match number::truth(value) {
                Some(yes) => T::of(Value::Bool(yes)),
                None => return self.unexpected(shape, tagged),
            },
            (Shape::Day | Shape::Moment, value) => {
                let moment = match moment::stored(value) {
                    Some(Stored::Nothing) => return Read::Missing,
                    Some(Stored::At(moment)) => moment,
                    Some(Stored::Millis(millis)) => match self.moment(millis) {
                        Some(moment) => moment,
                        None => return Read::Refused,
                    },
                    None => return self.unexpected(shape, tagged),
                };
                T::of(match T::SHAPE {
                    Shape::Day => Value::Day(moment.date_naive()),
                    _ => Value::Moment(moment),
                })
            }
            // Mongoose reads an empty text as no number.
            (Shape::Whole(..) | Shape::Float | Shape::Decimal, Raw::Text(text))
                if text.trim_ascii().is_empty() =>
            {
                return Read::Missing;
            }
            (Shape::Whole(..), value) => match (number::integer(value), shape) {
                (Some(number), Shape::Whole(least, most)) if (least..=most).contains(&number) => {
                    T::of(Value::Whole(number))
                }
                _ => return self.unexpected(shape, tagged),
            },
            (Shape::Float, value) => match number::double(value) {
                Some(number) => T::of(Value::Float(number)),
                None => return self.unexpected(shape, tagged),
            },
            // Only the first fifteen digits of a double count.
            (Shape::Decimal, Raw::Double(number)) => T::of(Value::Float(number)),
            (Shape::Decimal, value) => match number::plain(value) {
                Some(number) => T::of(Value::Text(&number)),
                None => return self.unexpected(shape, tagged),
            },
            (Shape::Json, value) => {
                let before = self.problems.0.len();
                let json = to_json(Form::Relaxed, value, &self.path, self.problems);
                if self.problems.0.len() > before {
                    return Read::Refused;
                }
                T::of(Value::Json(&json))
            }
            (_, _) => return self.unexpected(shape, tagged),
        };
        match read {
            Ok(value) => Read::Value(value),
            Err(error) => self.refuse(error),
        }
    }

    fn moment(&mut self, millis: i64) -> Option<DateTime<Utc>> {
        let moment = DateTime::from_timestamp_millis(millis);
        if moment.is_none() {
            self.problems.push(self.path.problem(format!(
                "the date, {millis} ms from 1970, is beyond the years that can be stored; correct \
                 it"
            )));
        }
        moment
    }

    /// Whether this is the key of a document. A key of text is another key than the id with its
    /// digits: both can exist, and Mongoose finds only the id.
    fn is_key(&self) -> bool {
        matches!(
            self.path,
            Path::Field(Path::Root, "_id" | "postId" | "competitorId")
        )
    }

    /// The items of an array. A single value counts as an array of one, as Mongoose casts it.
    fn list<'d, T>(
        &mut self,
        value: Tagged<'d>,
        single: bool,
        mut item: impl FnMut(&mut Place<'_>, Tagged<'d>) -> Option<T>,
    ) -> Read<Vec<T>> {
        let before = self.problems.0.len();
        let mut list = Vec::new();
        match value.read() {
            _ if single => list.extend(item(self, value)),
            Raw::Array(bytes) => {
                let mut elements = Elements::new(bytes);
                let elements = std::iter::from_fn(|| elements.next_tagged());
                for (index, element) in elements.enumerate() {
                    let Ok((_, value)) = element else {
                        self.problems.push(malformed(&self.path));
                        continue;
                    };
                    let mut place = Place {
                        path: Path::Index(&self.path, index),
                        required: false,
                        problems: self.problems,
                        aside: self.aside.as_deref_mut(),
                    };
                    list.extend(item(&mut place, value));
                }
            }
            _ => self.wrong_type("an array", value),
        }
        if self.problems.0.len() == before {
            Read::Value(list)
        } else {
            Read::Refused
        }
    }

    /// A part with fields of its own.
    pub(super) fn document<T: Fields>(&mut self, value: Tagged<'_>) -> Option<T> {
        let Raw::Document(bytes) = value.read() else {
            self.wrong_type("an object", value);
            return None;
        };
        T::read(&mut DocumentReader::of::<T>(
            bytes,
            self.path,
            self.problems,
            self.aside.as_deref_mut(),
        ))
    }

    #[cold]
    fn unexpected<T>(&mut self, shape: Shape, value: Tagged<'_>) -> Read<T> {
        self.wrong_type(&name_of(shape), value);
        Read::Refused
    }

    pub(super) fn wrong_type(&mut self, expected: &str, value: Tagged<'_>) {
        let value = value.read();
        let found = value.type_name();
        let shown = shown(value).map_or(String::new(), |text| format!(" {text}"));
        let way_out = if self.is_key() {
            "copy the document to one whose _id is an objectId, and delete this one".to_owned()
        } else {
            format!("store {expected}{}", self.or_none())
        };
        self.problems.push(self.path.problem(format!(
            "expected {expected}, found {found}{shown}; {way_out}"
        )));
    }

    /// The way out that a value which must not be there has beside correcting it.
    fn or_none(&self) -> &'static str {
        match self.path {
            _ if self.required => "",
            Path::Index(..) => " or remove the item",
            Path::Root | Path::Field(..) => " or remove the field",
        }
    }

    /// The error of a value becomes the problem.
    #[cold]
    fn refuse<T>(&mut self, error: Error) -> Read<T> {
        let mut reason = Problem::from(error).problem;
        if !reason.contains("; ") {
            reason = format!("{reason}; correct it{}", self.or_none());
        }
        self.problems.push(self.path.problem(reason));
        Read::Refused
    }
}

/// The name of a shape's values in messages.
fn name_of(shape: Shape) -> Cow<'static, str> {
    match shape {
        Shape::Id => "an objectId".into(),
        Shape::Text | Shape::TextOrEmpty => "a string".into(),
        Shape::Bool => "true or false".into(),
        Shape::Whole(i64::MIN, i64::MAX) => "a whole number".into(),
        Shape::Whole(0, i64::MAX) => "a whole number of zero or more".into(),
        Shape::Whole(least, most) => format!("a whole number from {least} to {most}").into(),
        Shape::Float => "a finite number that a double can hold".into(),
        Shape::Decimal => "an amount of money".into(),
        Shape::Day | Shape::Moment => "a date".into(),
        Shape::Json => "a value".into(),
        Shape::Texts | Shape::Parts => "an array".into(),
        Shape::Sums | Shape::Part => "an object".into(),
    }
}

/// A value for a message, if it fits on one line.
fn shown(value: Raw<'_>) -> Option<String> {
    Some(match value {
        Raw::Double(number) => number.to_string(),
        Raw::Int32(number) => number.to_string(),
        Raw::Int64(number) => number.to_string(),
        Raw::Decimal(bytes) => Decimal128::from_bytes(bytes).to_string(),
        Raw::Bool(yes) => yes.to_string(),
        Raw::Text(bytes) => excerpt(&String::from_utf8_lossy(bytes)),
        Raw::ObjectId(bytes) => ObjectId::from_bytes(bytes).to_hex(),
        Raw::Date(millis) => DateTime::from_timestamp_millis(millis)?.to_rfc3339(),
        _ => return None,
    })
}
