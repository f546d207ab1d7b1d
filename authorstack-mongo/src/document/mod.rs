//! Users and books as MongoDB holds them.
//!
//! Reading takes one pass over the bytes and collects every problem of a document.

mod encode;
pub(crate) mod key;
mod number;
pub(crate) mod raw;

use authorstack_core::{
    AuthId, AuthProvider, Book, BookMetadata, BookStatus, ConnectedPlatform, Email, Error, Extra,
    Id, Preferences, SubscriptionTier, User,
    migrate::{Kind, Problem, Problems, Record},
    values::excerpt,
};
use chrono::{DateTime, Utc};

pub(crate) use self::encode::{
    book_document, fields_of_metadata, fields_of_preferences, user_document,
};
pub(crate) use self::key::key_of;
use self::raw::{Elements, Raw};
use crate::extended_json::{Form, Path, malformed, repeated, text, to_json};

/// Reads a user's document.
pub(crate) fn user(bytes: &[u8]) -> Result<User, Problems> {
    let mut reader = Reader::default();
    let mut user = UserParts::default();
    reader.fields(bytes, &Path::Root, User::FIELDS, &mut user);
    user.finish(reader.problems)
}

/// Reads a book's document.
pub(crate) fn book(bytes: &[u8]) -> Result<Book, Problems> {
    let mut reader = Reader::default();
    let mut book = BookParts::default();
    reader.fields(bytes, &Path::Root, Book::FIELDS, &mut book);
    book.finish(reader.problems)
}

/// Reads a document of a kind.
pub(crate) fn record(kind: Kind, bytes: &[u8]) -> Result<Record, Problems> {
    match kind {
        Kind::Users => user(bytes).map(Record::from),
        Kind::Books => book(bytes).map(Record::from),
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

#[derive(Debug, Default)]
struct UserParts {
    id: Option<Id<User>>,
    auth_id: Option<AuthId>,
    auth_provider: Option<AuthProvider>,
    email: Option<Email>,
    name: Option<String>,
    subscription_tier: Option<SubscriptionTier>,
    credits: Option<i64>,
    preferences: Preferences,
    connected_platforms: Vec<ConnectedPlatform>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for UserParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "authId" => self.auth_id = reader.value(path, value),
            "authProvider" => self.auth_provider = reader.value(path, value),
            "email" => self.email = reader.value(path, value),
            "name" => self.name = reader.string(path, value),
            "subscriptionTier" => self.subscription_tier = reader.value(path, value),
            "credits" => self.credits = reader.count(path, value, i64::MAX),
            "preferences" => {
                let known = Preferences::FIELDS;
                reader.nested(path, value, known, &mut self.preferences);
            }
            "connectedPlatforms" => reader.items(path, value, |reader, path, item| {
                let mut parts = ConnectedParts::default();
                match item {
                    Raw::Document(bytes) => {
                        reader.fields(bytes, path, ConnectedPlatform::FIELDS, &mut parts);
                    }
                    other => {
                        reader.wrong_type(path, "an object", other);
                        return;
                    }
                }
                match parts.platform {
                    Some(platform) => self.connected_platforms.push(ConnectedPlatform {
                        platform,
                        connected_at: parts.connected_at,
                        last_sync: parts.last_sync,
                        extra: parts.extra,
                    }),
                    None => require(
                        &mut reader.problems,
                        &format!("{path}.platform"),
                        false,
                        "name the platform or remove the item",
                    ),
                }
            }),
            "createdAt" => self.created_at = reader.date(path, value),
            "updatedAt" => self.updated_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl UserParts {
    fn finish(self, mut problems: Problems) -> Result<User, Problems> {
        require(
            &mut problems,
            "_id",
            self.id.is_some(),
            "a user needs an id",
        );
        require(
            &mut problems,
            "authId",
            self.auth_id.is_some(),
            "a user needs the id of an account",
        );
        require(
            &mut problems,
            "email",
            self.email.is_some(),
            "a user needs an e-mail address",
        );
        let (Some(id), Some(auth_id), Some(email), true) =
            (self.id, self.auth_id, self.email, problems.is_empty())
        else {
            return Err(problems);
        };
        let created_at = self.created_at.unwrap_or_else(|| id.created_at());
        Ok(User {
            id,
            auth_id,
            auth_provider: self.auth_provider.unwrap_or(AuthProvider::APPWRITE),
            email,
            name: self.name.unwrap_or_default(),
            subscription_tier: self.subscription_tier.unwrap_or_default(),
            credits: self.credits.unwrap_or_default(),
            preferences: self.preferences,
            connected_platforms: self.connected_platforms,
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            extra: self.extra,
        })
    }
}

impl Parts for Preferences {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "emailNotifications" => self.email_notifications = reader.bool(path, value),
            "weeklyDigest" => self.weekly_digest = reader.bool(path, value),
            "theme" => self.theme = reader.value(path, value),
            "timezone" => self.timezone = reader.string(path, value),
            "currency" => self.currency = reader.value(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

#[derive(Debug, Default)]
struct ConnectedParts {
    platform: Option<authorstack_core::Platform>,
    connected_at: Option<DateTime<Utc>>,
    last_sync: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for ConnectedParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "platform" => self.platform = reader.value(path, value),
            "connectedAt" => self.connected_at = reader.date(path, value),
            "lastSync" => self.last_sync = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

#[derive(Debug, Default)]
struct BookParts {
    id: Option<Id<Book>>,
    user_id: Option<Id<User>>,
    title: Option<String>,
    subtitle: Option<String>,
    author: Option<String>,
    description: Option<String>,
    isbn: Option<authorstack_core::Isbn>,
    asin: Option<authorstack_core::Asin>,
    cover_url: Option<String>,
    genres: Vec<String>,
    platforms: Vec<authorstack_core::Platform>,
    published_date: Option<DateTime<Utc>>,
    status: Option<BookStatus>,
    metadata: BookMetadata,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for BookParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "userId" => self.user_id = reader.id(path, value),
            "title" => self.title = reader.string(path, value),
            "subtitle" => self.subtitle = reader.string(path, value),
            "author" => self.author = reader.string(path, value),
            "description" => self.description = reader.string(path, value),
            "isbn" => self.isbn = reader.value_or_empty(path, value),
            "asin" => self.asin = reader.value_or_empty(path, value),
            "coverUrl" => self.cover_url = reader.string(path, value),
            "genres" => reader.items(path, value, |reader, path, item| {
                self.genres.extend(reader.item(path, item, Reader::string));
            }),
            "platforms" => reader.items(path, value, |reader, path, item| {
                self.platforms
                    .extend(reader.item(path, item, Reader::value));
            }),
            "publishedDate" => self.published_date = reader.date(path, value),
            "status" => self.status = reader.value(path, value),
            "metadata" => reader.nested(path, value, BookMetadata::FIELDS, &mut self.metadata),
            "createdAt" => self.created_at = reader.date(path, value),
            "updatedAt" => self.updated_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl BookParts {
    fn finish(self, mut problems: Problems) -> Result<Book, Problems> {
        require(
            &mut problems,
            "_id",
            self.id.is_some(),
            "a book needs an id",
        );
        require(
            &mut problems,
            "userId",
            self.user_id.is_some(),
            "say whose book it is",
        );
        require(
            &mut problems,
            "title",
            self.title.is_some(),
            "a book needs a title",
        );
        let (Some(id), Some(user_id), Some(title), true) =
            (self.id, self.user_id, self.title, problems.is_empty())
        else {
            return Err(problems);
        };
        let created_at = self.created_at.unwrap_or_else(|| id.created_at());
        Ok(Book {
            id,
            user_id,
            title,
            subtitle: self.subtitle,
            author: self.author,
            description: self.description,
            isbn: self.isbn,
            asin: self.asin,
            cover_url: self.cover_url,
            genres: self.genres,
            platforms: self.platforms,
            published_date: self.published_date,
            status: self.status.unwrap_or_default(),
            metadata: self.metadata,
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            extra: self.extra,
        })
    }
}

/// Fields that no record can do without.
const REQUIRED: &[&str] = &["_id", "authId", "email", "userId", "title"];

impl Parts for BookMetadata {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "pageCount" => self.page_count = reader.count(path, value, u32::MAX),
            "wordCount" => self.word_count = reader.count(path, value, u32::MAX),
            "series" => self.series = reader.string(path, value),
            "seriesPosition" => {
                self.series_position = reader.double(path, value).map(|position| position + 0.0);
            }
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

#[cfg(test)]
mod tests;
