//! Rows as records, and JSON as `jsonb`.

mod documents;

use std::{io, str::FromStr};

use authorstack_core::{Book, Error, Extra, Id, Result, User};
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::ser::{CompactFormatter, Formatter};
use sqlx::{
    Decode, Encode, Postgres, Row, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgRow, PgTypeInfo, PgValueFormat, PgValueRef},
};
use uuid::Uuid;

use crate::error::from_sqlx;

/// The columns of a user, in the order in which [`user`] reads them.
macro_rules! user_columns {
    () => {
        "id, auth_id, auth_provider, email, name, subscription_tier, credits, preferences, \
         connected_platforms, created_at, updated_at, extra"
    };
}
pub(crate) use user_columns;

/// The columns of a book, in the order in which [`book`] reads them.
macro_rules! book_columns {
    () => {
        "id, user_id, title, subtitle, author, description, isbn, asin, cover_url, genres, \
         platforms, published_date, status, metadata, created_at, updated_at, extra"
    };
}
pub(crate) use book_columns;

pub(crate) use documents::{
    boost, boost_columns, checklist, checklist_columns, comment, comment_columns, competitor,
    competitor_columns, competitor_price, follow, follow_columns, like, like_columns, post,
    post_columns, post_view, price_columns,
};

/// Reads a row of [`user_columns!`].
pub(crate) fn user(row: &PgRow) -> Result<User> {
    let row = Fields::of(row)?;
    let read = || {
        Ok(User {
            id: row.id.cast(),
            auth_id: row.parsed(1, "authId")?,
            auth_provider: row.parsed(2, "authProvider")?,
            email: row.parsed(3, "email")?,
            name: row.get(4, "name")?,
            subscription_tier: row.parsed(5, "subscriptionTier")?,
            credits: row.get(6, "credits")?,
            preferences: row.json(7, "preferences")?,
            connected_platforms: row.json(8, "connectedPlatforms")?,
            created_at: row.moment(9, "createdAt")?,
            updated_at: row.moment(10, "updatedAt")?,
            extra: row.extra(11)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("user {}", row.id)))
}

/// Reads a row of [`book_columns!`].
pub(crate) fn book(row: &PgRow) -> Result<Book> {
    let row = Fields::of(row)?;
    let read = || {
        Ok(Book {
            id: row.id.cast(),
            user_id: row.reference(1, "userId")?,
            title: row.get(2, "title")?,
            subtitle: row.get(3, "subtitle")?,
            author: row.get(4, "author")?,
            description: row.get(5, "description")?,
            isbn: row.parsed_option(6, "isbn")?,
            asin: row.parsed_option(7, "asin")?,
            cover_url: row.get(8, "coverUrl")?,
            genres: row.get(9, "genres")?,
            platforms: row.parsed_list(10, "platforms")?,
            published_date: row
                .get::<Option<Moment>>(11, "publishedDate")?
                .map(|moment| moment.0),
            status: row.parsed(12, "status")?,
            metadata: row.json(13, "metadata")?,
            created_at: row.moment(14, "createdAt")?,
            updated_at: row.moment(15, "updatedAt")?,
            extra: row.extra(16)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("book {}", row.id)))
}

/// A column of a row of the books, not of a record.
pub(crate) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    index: usize,
) -> Result<T> {
    row.try_get(index).map_err(from_sqlx)
}

/// A row whose first column is a readable id.
struct Fields<'r> {
    row: &'r PgRow,
    id: Id<()>,
}

fn corrupt(field: &str, problem: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("{field}: {problem}"))
}

impl<'r> Fields<'r> {
    fn of(row: &'r PgRow) -> Result<Self> {
        let uuid: Uuid = row.try_get(0).map_err(|error| corrupt("_id", error))?;
        let id = Id::from_uuid(uuid)
            .map_err(|error| corrupt("_id", error.kind()).for_record(format_args!("row {uuid}")))?;
        Ok(Self { row, id })
    }

    fn get<T: Decode<'r, Postgres> + Type<Postgres>>(
        &self,
        index: usize,
        field: &'static str,
    ) -> Result<T> {
        self.row.try_get(index).map_err(|error| match error {
            sqlx::Error::ColumnDecode { source, .. } => corrupt(field, source),
            other => corrupt(field, other),
        })
    }

    fn reference<T>(&self, index: usize, field: &'static str) -> Result<Id<T>> {
        let uuid: Uuid = self.get(index, field)?;
        Id::from_uuid(uuid).map_err(|error| corrupt(field, error.kind()))
    }

    fn moment(&self, index: usize, field: &'static str) -> Result<DateTime<Utc>> {
        self.get::<Moment>(index, field).map(|moment| moment.0)
    }

    fn parsed<T: FromStr<Err = Error>>(&self, index: usize, field: &'static str) -> Result<T> {
        let text: &str = self.get(index, field)?;
        text.parse().map_err(|error: Error| corrupt(field, error))
    }

    fn parsed_option<T: FromStr<Err = Error>>(
        &self,
        index: usize,
        field: &'static str,
    ) -> Result<Option<T>> {
        let text: Option<&str> = self.get(index, field)?;
        text.map(str::parse)
            .transpose()
            .map_err(|error: Error| corrupt(field, error))
    }

    fn parsed_list<T: FromStr<Err = Error>>(
        &self,
        index: usize,
        field: &'static str,
    ) -> Result<Vec<T>> {
        let texts: Vec<String> = self.get(index, field)?;
        texts
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_>>()
            .map_err(|error| corrupt(field, error))
    }

    fn json<T: DeserializeOwned>(&self, index: usize, field: &'static str) -> Result<T> {
        let Bytes(json) = self.get(index, field)?;
        serde_json::from_slice(json).map_err(|error| corrupt(field, error))
    }

    fn extra(&self, index: usize) -> Result<Extra> {
        let Bytes(json) = self.get(index, "extra")?;
        if json == b"{}" {
            return Ok(Extra::new());
        }
        serde_json::from_slice(json).map_err(|error| corrupt("extra", error))
    }
}

/// The JSON of a `jsonb` value.
struct Bytes<'r>(&'r [u8]);

impl Type<Postgres> for Bytes<'_> {
    fn type_info() -> PgTypeInfo {
        <sqlx::types::Json<()> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Bytes<'r> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let format = value.format();
        let bytes = value.as_bytes()?;
        match (format, bytes.split_first()) {
            (PgValueFormat::Text, _) => Ok(Self(bytes)),
            (PgValueFormat::Binary, Some((1, json))) => Ok(Self(json)),
            (PgValueFormat::Binary, _) => Err("an unknown version of jsonb".into()),
        }
    }
}

/// Microseconds from 1970 to 2000, where PostgreSQL's time begins.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// The first moment of a `timestamptz`, 4713 BC, in microseconds since 2000.
const FIRST_MOMENT: i64 = -211_813_488_000_000_000;
/// Behind the last, 294276 AD.
const END_OF_TIME: i64 = 9_223_371_331_200_000_000;

/// A moment as `timestamptz`. The driver's own decoding panics outside chrono's range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) DateTime<Utc>);

/// The moment in PostgreSQL's binary form, where it has one.
pub(crate) fn postgres_micros(moment: DateTime<Utc>) -> Option<i64> {
    let micros = moment.timestamp_micros().checked_sub(POSTGRES_EPOCH)?;
    (FIRST_MOMENT..END_OF_TIME)
        .contains(&micros)
        .then_some(micros)
}

/// The first moment that PostgreSQL stores.
pub(crate) fn first_moment() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(FIRST_MOMENT + POSTGRES_EPOCH).unwrap_or_default()
}

/// Refuses a moment that PostgreSQL cannot store.
pub(crate) fn check_moment(field: &'static str, moment: DateTime<Utc>) -> Result<()> {
    match postgres_micros(moment) {
        Some(_) => Ok(()),
        None => Err(Error::invalid(
            field,
            format!("{moment} is outside PostgreSQL's range of dates, which begins in 4713 BC"),
        )),
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = postgres_micros(self.0).ok_or("a date before 4713 BC")?;
        buffer.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for Moment {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return <DateTime<Utc> as Decode<'r, Postgres>>::decode(value).map(Self);
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let moment = micros
            .checked_add(POSTGRES_EPOCH)
            .and_then(DateTime::from_timestamp_micros);
        moment
            .map(Self)
            .ok_or_else(|| "is infinite, or further off than AuthorStack's dates reach".into())
    }
}

/// A value as `jsonb`.
pub(crate) struct Jsonb<'a, T>(pub(crate) &'a T);

impl<T> Type<Postgres> for Jsonb<'_, T> {
    fn type_info() -> PgTypeInfo {
        <sqlx::types::Json<()> as Type<Postgres>>::type_info()
    }
}

impl<T: Serialize> Encode<'_, Postgres> for Jsonb<'_, T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(1);
        write_json(buffer, self.0)?;
        Ok(IsNull::No)
    }
}

/// Writes JSON that `jsonb` gives back with the same types of numbers.
pub(crate) fn write_json<T: Serialize + ?Sized>(
    buffer: &mut Vec<u8>,
    value: &T,
) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(
        buffer, Faithful,
    ))
}

/// `jsonb` prints 1e16 as 10000000000000000, which would be read as an integer: the fraction
/// that it keeps says that it is a float.
struct Faithful;

impl Formatter for Faithful {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        if value.abs() >= 1e15 {
            write!(writer, "{value:.1}")
        } else {
            CompactFormatter.write_f64(writer, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_floats_stay_floats() {
        for float in [1e15, 1e16, 1.5e300, -1e22, f64::MAX, 1e-320, 0.1] {
            let mut buffer = Vec::new();
            write_json(&mut buffer, &serde_json::json!([float])).unwrap();
            let text = String::from_utf8(buffer).unwrap();
            assert!(
                !text.contains("e+") && (float.abs() < 1.0 || text.contains('.')),
                "{text}"
            );
            assert_eq!(serde_json::from_str::<Vec<f64>>(&text).unwrap(), [float]);
        }
    }

    #[test]
    fn moments_have_postgresqls_range() {
        let moment = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(postgres_micros(moment("2000-01-01T00:00:00Z")), Some(0));
        assert_eq!(
            postgres_micros(moment("-4713-11-24T00:00:00Z")),
            Some(FIRST_MOMENT)
        );
        assert_eq!(postgres_micros(moment("-4713-11-23T23:59:59Z")), None);
        assert!(postgres_micros(DateTime::<Utc>::MAX_UTC).is_some());
    }
}
