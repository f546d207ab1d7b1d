//! Moments in UTC and in whole milliseconds, as BSON dates store them.

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use crate::{Error, Result, limits};

/// The current time, in whole milliseconds.
#[must_use]
pub fn now() -> DateTime<Utc> {
    to_millis(Utc::now())
}

/// The moment, cut to whole milliseconds.
#[must_use]
pub fn to_millis(moment: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(moment.timestamp_millis()).unwrap_or(moment)
}

/// Refuses a moment outside the [`limits`](crate::limits).
pub(crate) fn check_moment(field: impl std::fmt::Display, moment: DateTime<Utc>) -> Result<()> {
    let (first, last) = (limits::FIRST_YEAR, limits::LAST_YEAR);
    if (first..=last).contains(&moment.year()) {
        Ok(())
    } else {
        let reason = format!("{moment} is outside the years {first} to {last}; correct it");
        Err(Error::invalid(field.to_string(), reason))
    }
}

/// The `updated_at` of a change made now to a record last changed at `previous`: always later than
/// `previous`, so that two changes within one millisecond differ.
#[must_use]
pub fn next_update(previous: DateTime<Utc>) -> DateTime<Utc> {
    let after = previous
        .checked_add_signed(TimeDelta::milliseconds(1))
        .unwrap_or(previous);
    now().max(after)
}
