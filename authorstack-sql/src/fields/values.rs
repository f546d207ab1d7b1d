//! Types that the driver encodes and decodes.

use authorstack_core::{Result, fields::Breakdown, fields::Texts};
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef},
};

use super::sums::write_sums;

/// A whole number of any width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole(pub(super) i64);

impl Type<Postgres> for Whole {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }

    fn compatible(found: &PgTypeInfo) -> bool {
        <i64 as Type<Postgres>>::compatible(found)
            || <i32 as Type<Postgres>>::compatible(found)
            || <i16 as Type<Postgres>>::compatible(found)
    }
}

impl<'r> Decode<'r, Postgres> for Whole {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Ok(Self(value.as_str()?.parse()?));
        }
        let bytes = value.as_bytes()?;
        let number = match bytes.len() {
            2 => i16::from_be_bytes(bytes.try_into()?).into(),
            4 => i32::from_be_bytes(bytes.try_into()?).into(),
            _ => i64::from_be_bytes(bytes.try_into()?),
        };
        Ok(Self(number))
    }
}

/// The texts of a `text[]`, without a copy of each.
pub(super) struct TextList<'r>(pub(super) Vec<&'r str>);

impl Type<Postgres> for TextList<'_> {
    fn type_info() -> PgTypeInfo {
        <Vec<String> as Type<Postgres>>::type_info()
    }

    fn compatible(found: &PgTypeInfo) -> bool {
        <Vec<String> as Type<Postgres>>::compatible(found)
    }
}

impl<'r> Decode<'r, Postgres> for TextList<'r> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("a list in text form is not expected here".into());
        }
        let mut rest = value.as_bytes()?;
        let dimensions = number(&mut rest)?;
        let (_flags, _type) = (number(&mut rest)?, number(&mut rest)?);
        if dimensions == 0 {
            return Ok(Self(Vec::new()));
        }
        if dimensions != 1 {
            return Err("a list of lists".into());
        }
        let (count, _first) = (number(&mut rest)?, number(&mut rest)?);
        let mut texts = Vec::new();
        for _ in 0..count {
            let length = number(&mut rest)?;
            let length = usize::try_from(length).map_err(|_| "the list holds null")?;
            let (text, behind) = rest.split_at_checked(length).ok_or("the list is cut off")?;
            texts.push(std::str::from_utf8(text)?);
            rest = behind;
        }
        Ok(Self(texts))
    }
}

/// Removes a number from the beginning.
fn number(bytes: &mut &[u8]) -> Result<i32, BoxDynError> {
    let (number, rest) = bytes.split_first_chunk().ok_or("the list is cut off")?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*number))
}

/// A map from a text to sums, as `jsonb`.
pub(super) struct SumsJson<'v>(pub(super) &'v dyn Breakdown);

impl Type<Postgres> for SumsJson<'_> {
    fn type_info() -> PgTypeInfo {
        <sqlx::types::Json<()> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for SumsJson<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(1);
        write_sums(buffer, self.0);
        Ok(IsNull::No)
    }
}

/// A list of texts as `text[]`.
pub(super) fn texts(list: &dyn Texts) -> Vec<&str> {
    list.texts().collect()
}
