//! Records as MongoDB holds them.
//!
//! Reading takes one pass over the bytes and collects every problem of a document.

mod book;
mod boost;
mod checklist;
mod community;
mod competitor;
mod encode;
mod follow;
pub(crate) mod key;
mod number;
pub(crate) mod raw;
mod user;

use authorstack_core::{
    Error, Extra, Id, Price,
    migrate::{Kind, Problem, Problems, Record},
    values::excerpt,
};
use chrono::{DateTime, Utc};

pub(crate) use self::book::book;
pub(crate) use self::boost::boost;
pub(crate) use self::checklist::{checklist, due_task};
pub(crate) use self::community::{comment, like, post, post_view};
pub(crate) use self::competitor::{competitor, point, price};
pub(crate) use self::encode::{
    attachments_array, book_document, boost_document, checklist_document, comment_document,
    competitor_document, fields_of_metadata, fields_of_preferences, follow_document, post_document,
    task_document, user_document,
};
pub(crate) use self::follow::follow;
pub(crate) use self::key::key_of;
use self::raw::{Elements, Raw};
pub(crate) use self::user::user;
use crate::extended_json::{Form, Path, malformed, repeated, text, to_json};

/// Reads a document of a kind; of a kind of parts, `{postId, likes}` and its like: the
/// whole's id and the one element.
pub(crate) fn record(kind: Kind, bytes: &[u8]) -> Result<Record, Problems> {
    match kind {
        Kind::Users => user(bytes).map(Record::from),
        Kind::Books => book(bytes).map(Record::from),
        Kind::Checklists => checklist(bytes).map(Record::from),
        Kind::Follows => follow(bytes).map(Record::from),
        Kind::CommunityPosts => post(bytes).map(Record::from),
        Kind::PostLikes => like(bytes).map(Record::from),
        Kind::PostComments => comment(bytes).map(Record::from),
        Kind::MarketplaceBoosts => boost(bytes).map(Record::from),
        Kind::Competitors => competitor(bytes).map(Record::from),
        Kind::CompetitorPrices => price(bytes).map(Record::from),
        other => Err(Problem::new("", format!("MongoDB holds no {other}")).into()),
    }
}

/// What takes the fields of one document.
trait Parts {
    /// Takes a field of the schema, by its name.
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>);

    /// Where unknown fields go.
    fn extra(&mut self) -> &mut Extra;
}

/// Collects what is wrong on the way.
#[derive(Debug, Default)]
struct Reader {
    problems: Problems,
}

impl Reader {
    /// Hands each field of a document on, once.
    fn fields(&mut self, bytes: &[u8], parent: &Path<'_>, known: &[&str], parts: &mut dyn Parts) {
        let mut seen = 0_u32;
        for element in Elements::new(bytes) {
            let Ok((key, value)) = element else {
                self.problems.push(malformed(parent));
                continue;
            };
            let place = known.iter().position(|name| name.as_bytes() == key);
            if let Some((place, name)) = place.and_then(|p| Some((p, known.get(p)?))) {
                let path = Path::Field(parent, name);
                if seen & (1 << place) == 0 {
                    seen |= 1 << place;
                    parts.take(self, &path, name, value);
                } else {
                    self.problems.push(repeated(&path));
                }
                continue;
            }
            let name = text(key, parent, &mut self.problems);
            let path = Path::Field(parent, &name);
            if parts.extra().contains_key(&name) {
                self.problems.push(repeated(&path));
                continue;
            }
            let value = to_json(Form::Relaxed, value, &path, &mut self.problems);
            parts.extra().insert(name, value);
        }
    }

    fn wrong_type(&mut self, path: &Path<'_>, expected: &str, value: Raw<'_>) {
        let found = value.type_name();
        let shown = shown(value).map_or(String::new(), |text| format!(" {text}"));
        let or_none = if REQUIRED.contains(&path.to_string().as_str()) {
            ""
        } else {
            " or remove the field"
        };
        self.problems.push(path.problem(format!(
            "expected {expected}, found {found}{shown}; store {expected}{or_none}"
        )));
    }

    fn string(&mut self, path: &Path<'_>, value: Raw<'_>) -> Option<String> {
        match value {
            Raw::Null => None,
            Raw::Text(bytes) => {
                let before = self.problems.0.len();
                let text = text(bytes, path, &mut self.problems);
                (self.problems.0.len() == before).then_some(text)
            }
            other => {
                self.wrong_type(path, "a string", other);
                None
            }
        }
    }

    /// A validated text; its own refusal becomes the problem.
    fn value<T: std::str::FromStr<Err = Error>>(
        &mut self,
        path: &Path<'_>,
        value: Raw<'_>,
    ) -> Option<T> {
        let text = self.string(path, value)?;
        self.parsed(path, &text)
    }

    /// The same, where an empty text means none.
    fn value_or_empty<T: std::str::FromStr<Err = Error>>(
        &mut self,
        path: &Path<'_>,
        value: Raw<'_>,
    ) -> Option<T> {
        let text = self.string(path, value)?;
        if text.trim().is_empty() {
            return None;
        }
        self.parsed(path, &text)
    }

    fn parsed<T: std::str::FromStr<Err = Error>>(
        &mut self,
        path: &Path<'_>,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let reason = Problem::from(error).problem;
                self.problems.push(path.problem(reason));
                None
            }
        }
    }

    fn bool(&mut self, path: &Path<'_>, value: Raw<'_>) -> Option<bool> {
        match value {
            Raw::Null => None,
            Raw::Bool(yes) => Some(yes),
            other => {
                self.wrong_type(path, "true or false", other);
                None
            }
        }
    }

    fn date(&mut self, path: &Path<'_>, value: Raw<'_>) -> Option<DateTime<Utc>> {
        match value {
            Raw::Null => None,
            Raw::Date(millis) => {
                let date = DateTime::from_timestamp_millis(millis);
                if date.is_none() {
                    self.problems.push(path.problem(format!(
                        "the date, {millis} ms from 1970, is beyond the years that can be stored; \
                         correct it"
                    )));
                }
                date
            }
            other => {
                self.wrong_type(path, "a date", other);
                None
            }
        }
    }

    /// An ObjectId; a missing one is found at the end.
    fn id<T>(&mut self, path: &Path<'_>, value: Raw<'_>) -> Option<Id<T>> {
        match value {
            Raw::Null => None,
            Raw::ObjectId(bytes) => Some(Id::from_bytes(bytes)),
            other => {
                self.wrong_type(path, "an objectId", other);
                None
            }
        }
    }

    /// A whole number from zero to the type's largest.
    fn count<T: TryFrom<i64>>(
        &mut self,
        path: &Path<'_>,
        value: Raw<'_>,
        most: impl std::fmt::Display,
    ) -> Option<T> {
        if matches!(value, Raw::Null) {
            return None;
        }
        let number = number::integer(value).filter(|number| *number >= 0);
        let count = number.and_then(|number| T::try_from(number).ok());
        if count.is_none() {
            self.wrong_type(path, &format!("a whole number from 0 to {most}"), value);
        }
        count
    }

    fn double(&mut self, path: &Path<'_>, value: Raw<'_>) -> Option<f64> {
        if matches!(value, Raw::Null) {
            return None;
        }
        let number = number::double(value);
        if number.is_none() {
            self.wrong_type(path, "a finite number that a double can hold", value);
        }
        number
    }

    /// An amount of money; a double counts by its first fifteen digits.
    fn price(&mut self, path: &Path<'_>, value: Raw<'_>) -> Option<Price> {
        let price = match (value, number::plain(value)) {
            (Raw::Null, _) => return None,
            (Raw::Double(number), _) => Price::from_f64(number),
            (_, Some(text)) => text.parse(),
            (other, None) => {
                self.wrong_type(path, "an amount of money", other);
                return None;
            }
        };
        match price {
            Ok(price) => Some(price),
            Err(error) => {
                let reason = Problem::from(error).problem;
                self.problems.push(path.problem(reason));
                None
            }
        }
    }

    /// The objects of an array; without an array there are none.
    fn objects<'a>(
        &mut self,
        path: &Path<'_>,
        value: Raw<'a>,
        mut object: impl FnMut(&mut Self, &Path<'_>, &'a [u8]),
    ) {
        match value {
            Raw::Null => {}
            Raw::Array(_) => self.items(path, value, |reader, path, item| match item {
                Raw::Document(bytes) => object(reader, path, bytes),
                other => reader.wrong_type(path, "an object", other),
            }),
            other => self.wrong_type(path, "an array", other),
        }
    }

    /// The items of an array; a scalar text stands for an array of one, as Mongoose casts it.
    fn items<'a>(
        &mut self,
        path: &Path<'_>,
        value: Raw<'a>,
        mut item: impl FnMut(&mut Self, &Path<'_>, Raw<'a>),
    ) {
        match value {
            Raw::Null => {}
            Raw::Text(_) => item(self, path, value),
            Raw::Array(bytes) => {
                for (index, element) in Elements::new(bytes).enumerate() {
                    match element {
                        Ok((_, value)) => item(self, &Path::Index(path, index), value),
                        Err(_) => self.problems.push(malformed(path)),
                    }
                }
            }
            other => self.wrong_type(path, "an array", other),
        }
    }

    /// An item that is a validated text and may not be missing.
    fn item<T>(
        &mut self,
        path: &Path<'_>,
        value: Raw<'_>,
        read: impl FnOnce(&mut Self, &Path<'_>, Raw<'_>) -> Option<T>,
    ) -> Option<T> {
        if matches!(value, Raw::Null) {
            self.wrong_type(path, "a string", value);
            return None;
        }
        read(self, path, value)
    }

    fn nested(&mut self, path: &Path<'_>, value: Raw<'_>, known: &[&str], parts: &mut dyn Parts) {
        match value {
            Raw::Null => {}
            Raw::Document(bytes) => self.fields(bytes, path, known, parts),
            other => self.wrong_type(path, "an object", other),
        }
    }
}

/// A value for a message, where one line can show it.
fn shown(value: Raw<'_>) -> Option<String> {
    Some(match value {
        Raw::Double(number) => number.to_string(),
        Raw::Int32(number) => number.to_string(),
        Raw::Int64(number) => number.to_string(),
        Raw::Decimal(bytes) => bson::Decimal128::from_bytes(bytes).to_string(),
        Raw::Bool(yes) => yes.to_string(),
        Raw::Text(bytes) => excerpt(&String::from_utf8_lossy(bytes)),
        Raw::ObjectId(bytes) => bson::oid::ObjectId::from_bytes(bytes).to_hex(),
        Raw::Date(millis) => DateTime::from_timestamp_millis(millis)?.to_rfc3339(),
        _ => return None,
    })
}

/// Adds the problem of a required field, unless one is there already.
fn require(problems: &mut Problems, field: &str, present: bool, way_out: &str) {
    if !present && !problems.0.iter().any(|problem| problem.field == field) {
        problems.push(Problem::new(field, format!("is missing; {way_out}")));
    }
}

/// Fields that no record can do without.
const REQUIRED: &[&str] = &[
    "_id",
    "authId",
    "email",
    "userId",
    "title",
    "bookId",
    "followerId",
    "authorId",
    "duration",
    "position",
    "asin",
    "postId",
    "competitorId",
];

#[cfg(test)]
mod tests;
