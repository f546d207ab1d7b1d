//! Moments and ids in the server's forms.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A moment as answers have it.
pub(super) fn stamp(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}

pub(super) fn now() -> String {
    stamp(Utc::now())
}

/// A moment that a caller has given.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    Some(moment.with_timezone(&Utc))
}

/// An id as the server makes them: 20 hex digits.
pub(super) fn unique_id() -> String {
    let now = Utc::now();
    let random = Uuid::new_v4().simple().to_string();
    format!(
        "{:08x}{:05x}{}",
        now.timestamp(),
        now.timestamp_subsec_micros(),
        &random[..7]
    )
}
