//! Marketplace boosts: paid positions on the leaderboard.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    check::check_fields,
    fields::{Shape, fields},
    json::{input_json, json},
};
use crate::{Book, Error, ErrorKind, Extra, Id, Result, User, time};

/// A book's paid position on the leaderboard.
///
/// At any time, a position is held by at most one active boost.
#[derive(Debug, Clone, PartialEq)]
pub struct Boost {
    /// The id.
    pub id: Id<Boost>,
    /// The book that is boosted.
    pub book_id: Id<Book>,
    /// Who paid.
    pub user_id: Id<User>,
    /// For how long, in days.
    pub duration_days: u32,
    /// The position on the leaderboard; 1 is the first.
    pub position: u32,
    /// The price paid, in credits.
    pub credits_spent: i64,
    /// Whether the boost is active; false once an expired boost was found.
    pub active: bool,
    /// From when on.
    pub started_at: DateTime<Utc>,
    /// The end; at this time it no longer holds its position.
    pub expires_at: DateTime<Utc>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

impl Boost {
    /// Checks what the field types cannot: the boost does not end before it starts, and every
    /// backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        if self.credits_spent < 0 {
            let reason = format!("{} is below zero; correct it", self.credits_spent);
            return Err(Error::invalid("credits_spent", reason));
        }
        if self.expires_at < self.started_at {
            let reason = format!(
                "{} is before startedAt, {}; correct one of the two",
                self.expires_at, self.started_at
            );
            return Err(Error::invalid("expiresAt", reason));
        }
        check_fields(self)
    }

    /// Whether it holds its position at a moment.
    #[must_use]
    pub fn holds_at(&self, at: DateTime<Utc>) -> bool {
        self.active && self.started_at <= at && at < self.expires_at
    }

    /// Whether both hold the same position at some time.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        self.active
            && other.active
            && self.id != other.id
            && self.position == other.position
            && self.started_at < other.expires_at
            && other.started_at < self.expires_at
    }

    /// The error for a position that another boost holds.
    #[must_use]
    pub fn position_taken(position: u32) -> Error {
        Error::new(ErrorKind::Conflict {
            reason: format!(
                "position {position} is taken for a part of that time; choose another position or \
                 another time"
            )
            .into(),
        })
    }
}

json!(Boost);

input_json! {
    NewBoost, extra: extra;
    id: "id" or(Id::new()),
    book_id: "bookId" required("say which book is boosted"),
    duration_days: "duration" required("say for how many days"),
    credits: "creditsSpent" required("say what it costs"),
    position: "position",
    starts_at: "startedAt" or(time::now()),
}

fields! {
    Boost, extra: extra;
    id: "_id" required("a boost needs an id"),
    book_id: "bookId" required("say which book is boosted"),
    user_id: "userId" required("say who paid"),
    duration_days: "duration" column("duration") required("say for how many days"),
    position: "position" required("say which position it holds"),
    credits_spent: "credits_spent" shape(Shape::COUNT) vital("they were paid") or(0),
    active: "active" vital("it was paid") or(false),
    started_at: "startedAt" vital("it was paid") or(id.created_at()),
    expires_at: "expiresAt" vital("it was paid") or(end_of(started_at, duration_days)),
}

/// When a boost ends; its start if the end would be after the last possible date.
fn end_of(started_at: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    let end = started_at.checked_add_signed(TimeDelta::days(days.into()));
    end.unwrap_or(started_at)
}

/// A boost to be purchased.
///
/// Its id is the idempotency key: keep it, and a purchase can be repeated, for example after a
/// timeout. A purchase with the same id, book, days and credits returns the boost of the first one
/// and spends nothing, whatever its start: [`NewBoost::new`] starts the boost now, which is later
/// when the purchase is repeated. A position, if the repeated purchase wishes one, must be the one
/// that was bought.
///
/// ```
/// use authorstack_core::{Id, NewBoost};
///
/// let mut boost = NewBoost::new(Id::new(), 7, 120);
/// boost.position = Some(1);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewBoost {
    /// The id, and the idempotency key.
    pub id: Id<Boost>,
    /// The book, one of the user's.
    pub book_id: Id<Book>,
    /// For how long, in days; at least one.
    pub duration_days: u32,
    /// The price in credits; above zero.
    pub credits: i64,
    /// The position; `None` for the first one that is free for the whole time.
    pub position: Option<u32>,
    /// From when on. A repeated purchase does not move the start.
    pub starts_at: DateTime<Utc>,
    /// Fields that the schema does not know.
    pub extra: Extra,
}

impl NewBoost {
    /// The longest boost, in days.
    pub const MOST_DAYS: u32 = 3_650;

    /// A boost from now on, at the first free position.
    #[must_use]
    pub fn new(book_id: Id<Book>, duration_days: u32, credits: i64) -> Self {
        Self {
            id: Id::new(),
            book_id,
            duration_days,
            credits,
            position: None,
            starts_at: time::now(),
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        if !(1..=Self::MOST_DAYS).contains(&self.duration_days) {
            let reason = format!(
                "{} is not a number of days from 1 to {}",
                self.duration_days,
                Self::MOST_DAYS
            );
            return Err(Error::invalid("duration", reason));
        }
        if self.credits <= 0 {
            let reason = format!("{} credits; the price must be above zero", self.credits);
            return Err(Error::invalid("credits_spent", reason));
        }
        let position = self.position.unwrap_or(1);
        if position == 0 || i32::try_from(position).is_err() {
            let reason = format!("{position} is not a position; 1 is the first");
            return Err(Error::invalid("position", reason));
        }
        let boost = self.clone().into_boost(Id::new(), position);
        if boost.expires_at <= boost.started_at {
            let reason = "the boost would end after the last possible date";
            return Err(Error::invalid("startedAt", reason));
        }
        boost.check()
    }

    /// The record to store: active, at this position.
    #[must_use]
    pub fn into_boost(self, user_id: Id<User>, position: u32) -> Boost {
        let Self {
            id,
            book_id,
            duration_days,
            credits,
            position: _,
            starts_at,
            extra,
        } = self;
        let started_at = time::to_millis(starts_at);
        Boost {
            id,
            book_id,
            user_id,
            duration_days,
            position,
            credits_spent: credits,
            active: true,
            started_at,
            expires_at: end_of(started_at, duration_days),
            extra,
        }
    }

    /// The answer if a boost with this id exists already: that boost, if this purchase made it.
    ///
    /// # Errors
    /// Conflict when the id is another purchase's.
    pub fn repeated(&self, user_id: Id<User>, present: Boost) -> Result<Boost> {
        if present.user_id != user_id {
            return Err(self.id_is_taken());
        }
        let wished = self.position.unwrap_or(present.position);
        let differing: Vec<&str> = [
            ("bookId", present.book_id != self.book_id),
            ("duration", present.duration_days != self.duration_days),
            ("credits_spent", present.credits_spent != self.credits),
            ("position", present.position != wished),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect();
        if differing.is_empty() {
            return Ok(present);
        }
        Err(Error::new(ErrorKind::Conflict {
            reason: format!(
                "this id made a purchase already, and it differs in {}; nothing was spent now. To \
                 repeat that purchase, send it as it was; only a purchase that is meant to be a \
                 further one takes an id of its own",
                differing.join(", ")
            )
            .into(),
        }))
    }

    /// The error for an id that another user's purchase has.
    #[must_use]
    pub fn id_is_taken(&self) -> Error {
        Error::new(ErrorKind::Conflict {
            reason: "another user's purchase has this id; nothing was spent. Let `NewBoost::new` \
                     make the id, once for each purchase"
                .into(),
        })
    }
}

/// The lowest position that is not taken.
#[must_use]
pub fn first_free_position(taken: impl IntoIterator<Item = u32>) -> u32 {
    let mut taken: Vec<u32> = taken.into_iter().filter(|position| *position > 0).collect();
    taken.sort_unstable();
    taken.dedup();
    let gap = taken.iter().zip(1..).find(|(taken, place)| *taken != place);
    gap.map_or_else(
        || {
            u32::try_from(taken.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1)
        },
        |(_, place)| place,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_gap_is_free() {
        assert_eq!(first_free_position([]), 1);
        assert_eq!(first_free_position([2, 3]), 1);
        assert_eq!(first_free_position([3, 1, 1, 0]), 2);
        assert_eq!(first_free_position([2, 1, 3]), 4);
    }

    #[test]
    fn a_boost_that_ends_holds_its_position_no_longer() {
        let mut new = NewBoost::new(Id::new(), 1, 5);
        let boost = new.clone().into_boost(Id::new(), 3);
        assert!(boost.holds_at(boost.started_at) && !boost.holds_at(boost.expires_at));
        new.id = Id::new();
        new.starts_at = boost.expires_at;
        let next = new.into_boost(Id::new(), 3);
        assert!(!boost.collides_with(&next) && !next.collides_with(&boost));
    }
}
