//! Moments as AuthorStack makes them: UTC, in whole milliseconds, as BSON dates hold them.

use chrono::{DateTime, TimeDelta, Utc};

/// Now, in whole milliseconds.
#[must_use]
pub fn now() -> DateTime<Utc> {
    to_millis(Utc::now())
}

/// The moment without what is finer than a millisecond.
#[must_use]
pub fn to_millis(moment: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(moment.timestamp_millis()).unwrap_or(moment)
}

/// The `updated_at` of a change made now to a record last changed at `previous`: always later,
/// so that two changes within one millisecond do not look the same.
#[must_use]
pub fn next_update(previous: DateTime<Utc>) -> DateTime<Utc> {
    let after = previous
        .checked_add_signed(TimeDelta::milliseconds(1))
        .unwrap_or(previous);
    now().max(after)
}
