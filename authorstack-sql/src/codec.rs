//! Moments and JSON in PostgreSQL's form.

use std::io;

use authorstack_core::{Error, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef},
};

/// The JSON of a `jsonb` value.
#[derive(Debug)]
pub struct Bytes<'r>(pub &'r [u8]);

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
/// The first moment after the last one, 294276 AD.
const END_OF_TIME: i64 = 9_223_371_331_200_000_000;

/// A moment as `timestamptz`. The driver's own decoding panics outside chrono's range.
#[derive(Debug, Clone, Copy)]
pub struct Moment(pub DateTime<Utc>);

/// The moment in PostgreSQL's binary form; `None` if it has none.
#[must_use]
pub fn postgres_micros(moment: DateTime<Utc>) -> Option<i64> {
    let micros = moment.timestamp_micros().checked_sub(POSTGRES_EPOCH)?;
    (FIRST_MOMENT..END_OF_TIME)
        .contains(&micros)
        .then_some(micros)
}

/// The moment that PostgreSQL's binary form stands for; `None` if it is infinite or none of ours.
#[must_use]
pub fn moment_at(micros: i64) -> Option<DateTime<Utc>> {
    let micros = micros.checked_add(POSTGRES_EPOCH)?;
    DateTime::from_timestamp_micros(micros)
}

/// The first moment that PostgreSQL can store.
#[must_use]
pub fn first_moment() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(FIRST_MOMENT + POSTGRES_EPOCH).unwrap_or_default()
}

/// Refuses a moment that PostgreSQL cannot store.
///
/// # Errors
/// Invalid, naming the field.
pub fn check_moment(field: &'static str, moment: DateTime<Utc>) -> Result<()> {
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

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        <DateTime<Utc> as PgHasArrayType>::array_type_info()
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
        moment_at(micros)
            .map(Self)
            .ok_or_else(|| "is infinite, or out of the range of AuthorStack's dates".into())
    }
}

/// A day as `date`. The driver's own decoding panics outside chrono's range.
#[derive(Debug, Clone, Copy)]
pub struct Day(pub NaiveDate);

impl Type<Postgres> for Day {
    fn type_info() -> PgTypeInfo {
        <NaiveDate as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Day {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return <NaiveDate as Decode<'r, Postgres>>::decode(value).map(Self);
        }
        let days = i32::from_be_bytes(value.as_bytes()?.try_into()?);
        let seconds = i64::from(days) * 86_400 + POSTGRES_EPOCH / 1_000_000;
        let moment = DateTime::from_timestamp(seconds, 0);
        moment
            .map(|moment| Self(moment.date_naive()))
            .ok_or_else(|| "is infinite, or out of the range of AuthorStack's dates".into())
    }
}

/// A value as `jsonb`.
#[derive(Debug)]
pub struct Jsonb<'a, T>(pub &'a T);

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

/// Writes JSON so that the types of its numbers survive `jsonb`.
///
/// # Errors
/// An error if JSON cannot represent the value.
pub fn write_json<T: Serialize + ?Sized>(
    buffer: &mut Vec<u8>,
    value: &T,
) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(
        buffer, Faithful,
    ))
}

/// `jsonb` prints 1e16 as 10000000000000000, which would be read as an integer. So a float is
/// written with a fraction, which `jsonb` keeps.
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
            let read = authorstack_core::json::parse(text.as_bytes()).unwrap();
            assert_eq!(read, serde_json::json!([float]));
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
