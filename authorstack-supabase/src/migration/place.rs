//! The place of a row in its table: the columns of its key, with any values.

use authorstack_core::{
    Error, Id, Result,
    migrate::{Key, KeyForm, Kind},
};
use authorstack_sql::{Statement, get, moment_at, postgres_micros};
use chrono::{DateTime, Utc};
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef},
};
use uuid::Uuid;

/// The columns of a kind's key, with their types.
pub(super) const fn key_columns(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind.description().key {
        KeyForm::Id => &[("id", "uuid")],
        KeyForm::Like => &[("post_id", "uuid"), ("user_id", "uuid")],
        KeyForm::Comment => &[("post_id", "uuid"), ("id", "text")],
        KeyForm::Price => &[("competitor_id", "uuid"), ("date", "timestamptz")],
        KeyForm::Row => &[("id", "bigint")],
        // They are in tables of Supabase Auth: see `accounts/`.
        KeyForm::Account | KeyForm::Identity => &[],
    }
}

/// The indexes of the key's columns among the columns of the kind.
pub(super) fn key_indexes(kind: Kind) -> [usize; 2] {
    let names = kind.column_names();
    let mut indexes = [0; 2];
    for (index, (column, _)) in indexes.iter_mut().zip(key_columns(kind)) {
        *index = names.iter().position(|name| name == column).unwrap_or(0);
    }
    indexes
}

/// A `timestamptz` as the server stores it. It may be infinity, which is not a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Micros(i64);

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for Micros {
    fn array_type_info() -> PgTypeInfo {
        <DateTime<Utc> as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Micros {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Micros {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => Ok(Self(i64::from_be_bytes(value.as_bytes()?.try_into()?))),
            PgValueFormat::Text => Err("a date came as a text".into()),
        }
    }
}

/// The key of a row. The row may not be a valid record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Id(Uuid),
    Like(Uuid, Uuid),
    Comment(Uuid, String),
    Price(Uuid, Micros),
    Row(i64),
}

impl Place {
    /// The place of a record; `None` if the server cannot store the date, and for accounts.
    pub(super) fn of(key: &Key) -> Option<Self> {
        Some(match key {
            Key::Id(id) => Self::Id(id.to_uuid()),
            Key::Like(post, user) => Self::Like(post.to_uuid(), user.to_uuid()),
            Key::Comment(post, id) => Self::Comment(post.to_uuid(), id.to_string()),
            Key::Price(competitor, at) => {
                Self::Price(competitor.to_uuid(), Micros(postgres_micros(*at)?))
            }
            Key::Row(number) => Self::Row(*number),
            Key::Account(_) | Key::Identity(..) => return None,
        })
    }

    /// The key of a record in this place; `None` if no record can be there.
    pub(super) fn key(&self) -> Option<Key> {
        Some(match self {
            Self::Id(id) => Key::Id(Id::from_uuid(*id).ok()?),
            Self::Like(post, user) => {
                Key::Like(Id::from_uuid(*post).ok()?, Id::from_uuid(*user).ok()?)
            }
            Self::Comment(post, id) => Key::Comment(Id::from_uuid(*post).ok()?, id.parse().ok()?),
            Self::Price(competitor, Micros(at)) => {
                Key::Price(Id::from_uuid(*competitor).ok()?, moment_at(*at)?)
            }
            Self::Row(number) => Key::Row(*number),
        })
    }

    /// Reads the columns of the key, which have these indexes.
    pub(super) fn read(kind: Kind, row: &PgRow, [first, second]: [usize; 2]) -> Result<Self> {
        Ok(match kind.description().key {
            KeyForm::Id => Self::Id(get(row, first)?),
            KeyForm::Like => Self::Like(get(row, first)?, get(row, second)?),
            KeyForm::Comment => Self::Comment(get(row, first)?, get(row, second)?),
            KeyForm::Price => Self::Price(get(row, first)?, get(row, second)?),
            KeyForm::Row => Self::Row(get(row, first)?),
            KeyForm::Account | KeyForm::Identity => {
                return Err(Error::internal(format!("{kind} have no place of a row")));
            }
        })
    }

    /// Reads this text form, or the text form of a record's key.
    pub(super) fn parse(kind: Kind, text: &str) -> Option<Self> {
        if let Ok(key) = Key::parse(kind, text) {
            return Self::of(&key);
        }
        let (first, rest) = text.split_once('.').unwrap_or((text, ""));
        let first: Uuid = first.parse().ok()?;
        Some(match kind.description().key {
            KeyForm::Id if rest.is_empty() => Self::Id(first),
            KeyForm::Like => Self::Like(first, rest.parse().ok()?),
            KeyForm::Comment => Self::Comment(first, rest.to_owned()),
            KeyForm::Price => Self::Price(first, Micros(rest.parse().ok()?)),
            KeyForm::Id | KeyForm::Row | KeyForm::Account | KeyForm::Identity => return None,
        })
    }

    /// Binds the columns of the key.
    pub(super) fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        match self {
            Self::Id(id) => statement.bind(*id),
            Self::Like(post, user) => statement.bind(*post).bind(*user),
            Self::Comment(post, id) => statement.bind(*post).bind(id.clone()),
            Self::Price(competitor, at) => statement.bind(*competitor).bind(*at),
            Self::Row(number) => statement.bind(*number),
        }
    }

    /// Binds places of one kind, an array for each column of the key.
    pub(super) fn bind_all<'q>(
        statement: Statement<'q>,
        kind: Kind,
        places: &[Self],
    ) -> Statement<'q> {
        let (mut ids, mut users, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut dates, mut numbers) = (Vec::new(), Vec::new());
        for place in places {
            match place {
                Self::Id(id) => ids.push(*id),
                Self::Like(post, user) => {
                    ids.push(*post);
                    users.push(*user);
                }
                Self::Comment(post, id) => {
                    ids.push(*post);
                    texts.push(id.clone());
                }
                Self::Price(competitor, at) => {
                    ids.push(*competitor);
                    dates.push(*at);
                }
                Self::Row(number) => numbers.push(*number),
            }
        }
        match kind.description().key {
            KeyForm::Id => statement.bind(ids),
            KeyForm::Like => statement.bind(ids).bind(users),
            KeyForm::Comment => statement.bind(ids).bind(texts),
            KeyForm::Price => statement.bind(ids).bind(dates),
            KeyForm::Row => statement.bind(numbers),
            KeyForm::Account | KeyForm::Identity => statement,
        }
    }
}

impl std::fmt::Display for Place {
    /// UUIDs with hyphens, so that this differs from a record's key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Like(post, user) => write!(f, "{post}.{user}"),
            Self::Comment(post, id) => write!(f, "{post}.{id}"),
            Self::Price(competitor, Micros(at)) => write!(f, "{competitor}.{at}"),
            Self::Row(number) => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_as_text() {
        let id = Uuid::from_u128(7);
        for (kind, place) in [
            (Kind::Users, Place::Id(id)),
            (Kind::PostLikes, Place::Like(id, Uuid::nil())),
            (Kind::PostComments, Place::Comment(id, "a.b.c".to_owned())),
            (Kind::PostComments, Place::Comment(id, String::new())),
            (Kind::CompetitorPrices, Place::Price(id, Micros(i64::MAX))),
            (Kind::CompetitorPrices, Place::Price(id, Micros(-5))),
            (Kind::SyncLogs, Place::Row(-3)),
        ] {
            assert_eq!(Place::parse(kind, &place.to_string()), Some(place));
        }
        assert_eq!(Place::parse(Kind::Users, "x"), None);
    }

    #[test]
    fn keys_of_records_are_places_too() {
        let text = "64b000000000000000000001";
        let key = Key::parse(Kind::Users, text).unwrap();
        assert_eq!(Place::parse(Kind::Users, text), Place::of(&key));
    }
}
