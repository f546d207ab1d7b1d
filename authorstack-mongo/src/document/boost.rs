//! Marketplace boosts.

use authorstack_core::{Book, Boost, Extra, Id, User, migrate::Problems};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Parts, Reader, raw::Raw, require};
use crate::extended_json::Path;

/// Reads a boost's document.
pub(crate) fn boost(bytes: &[u8]) -> Result<Boost, Problems> {
    let mut reader = Reader::default();
    let mut boost = BoostParts::default();
    reader.fields(bytes, &Path::Root, Boost::FIELDS, &mut boost);
    boost.finish(reader.problems)
}

#[derive(Debug, Default)]
struct BoostParts {
    id: Option<Id<Boost>>,
    book_id: Option<Id<Book>>,
    user_id: Option<Id<User>>,
    duration: Option<u32>,
    position: Option<u32>,
    credits_spent: Option<i64>,
    active: Option<bool>,
    started_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for BoostParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "bookId" => self.book_id = reader.id(path, value),
            "userId" => self.user_id = reader.id(path, value),
            "duration" => self.duration = reader.count(path, value, u32::MAX),
            "position" => self.position = reader.count(path, value, u32::MAX),
            "credits_spent" => self.credits_spent = reader.count(path, value, i64::MAX),
            "active" => self.active = reader.bool(path, value),
            "startedAt" => self.started_at = reader.date(path, value),
            "expiresAt" => self.expires_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl BoostParts {
    fn finish(self, mut problems: Problems) -> Result<Boost, Problems> {
        for (field, present, way_out) in [
            ("_id", self.id.is_some(), "a boost needs an id"),
            (
                "bookId",
                self.book_id.is_some(),
                "say which book is boosted",
            ),
            ("userId", self.user_id.is_some(), "say who paid"),
            ("duration", self.duration.is_some(), "say for how many days"),
            (
                "position",
                self.position.is_some(),
                "say which position it holds",
            ),
        ] {
            require(&mut problems, field, present, way_out);
        }
        let (Some(id), Some(book_id), Some(user_id), Some(duration_days), Some(position), true) = (
            self.id,
            self.book_id,
            self.user_id,
            self.duration,
            self.position,
            problems.is_empty(),
        ) else {
            return Err(problems);
        };
        let started_at = self.started_at.unwrap_or_else(|| id.created_at());
        let duration = TimeDelta::days(duration_days.into());
        let expires_at = self.expires_at;
        let expires_at = expires_at.or_else(|| started_at.checked_add_signed(duration));
        Ok(Boost {
            id,
            book_id,
            user_id,
            duration_days,
            position,
            credits_spent: self.credits_spent.unwrap_or_default(),
            active: self.active.unwrap_or_default(),
            started_at,
            expires_at: expires_at.unwrap_or(started_at),
            extra: self.extra,
        })
    }
}
