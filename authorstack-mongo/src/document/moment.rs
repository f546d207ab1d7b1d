//! Reads moments as Mongoose casts them: dates, numbers of milliseconds, and texts that `new
//! Date(text)` reads in one way on every server.

use authorstack_core::limits;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};

use super::number;
use crate::raw::Raw;

/// A moment as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// An empty text: no moment.
    Nothing,
    /// Milliseconds from 1970.
    Millis(i64),
    /// A text's moment, to the microsecond.
    At(DateTime<Utc>),
}

impl Stored {
    /// The moment, if there is one within the calendar's years.
    pub(crate) fn moment(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Nothing => None,
            Self::Millis(millis) => DateTime::from_timestamp_millis(millis),
            Self::At(moment) => Some(moment),
        }
    }

    /// The moment, if there is one that every store can hold.
    pub(crate) fn storable(self) -> Option<DateTime<Utc>> {
        let years = limits::FIRST_YEAR..=limits::LAST_YEAR;
        self.moment()
            .filter(|moment| years.contains(&moment.year()))
    }
}

/// A value as a moment, if it has exactly one meaning.
pub(crate) fn stored(value: Raw<'_>) -> Option<Stored> {
    match value {
        Raw::Date(millis) => Some(Stored::Millis(millis)),
        Raw::Text(bytes) => of_text(std::str::from_utf8(bytes).ok()?.trim()),
        Raw::Int32(_) | Raw::Int64(_) | Raw::Double(_) | Raw::Decimal(_) => {
            number::integer(value).map(Stored::Millis)
        }
        _ => None,
    }
}

fn of_text(text: &str) -> Option<Stored> {
    /// Mongoose takes smaller numbers for years.
    const YEARS: std::ops::Range<i64> = -271_820..275_761;
    if text.is_empty() {
        return Some(Stored::Nothing);
    }
    let millis = number::integer(Raw::Text(text.as_bytes()));
    if let Some(millis) = millis.filter(|millis| !YEARS.contains(millis)) {
        return Some(Stored::Millis(millis));
    }
    let moment = day(text)
        .or_else(|| with_zone(text))
        .or_else(|| in_words(text))?;
    // PostgreSQL keeps microseconds.
    let exact = moment.timestamp_subsec_nanos().is_multiple_of(1_000);
    exact.then_some(Stored::At(moment))
}

/// `2020`, `2020-03` or `2020-03-01`: its first moment in UTC.
fn day(text: &str) -> Option<DateTime<Utc>> {
    let of_digits = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        10 => text.to_owned(),
        _ => return None,
    };
    if !whole.bytes().enumerate().all(of_digits) {
        return None;
    }
    let day = NaiveDate::parse_from_str(&whole, "%Y-%m-%d").ok()?;
    Some(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// RFC 3339, with or without seconds, and with a blank for the `T`. A text without a zone means
/// another moment on each server, so it is none.
fn with_zone(text: &str) -> Option<DateTime<Utc>> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(['T', 't', ' '])?;
    let seconds = time.bytes().filter(|byte| *byte == b':').count();
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let time = match (time.len(), seconds) {
        (5, 1 | 2) => format!("{time}:00"),
        _ => time.to_owned(),
    };
    let zone = match zone.as_bytes() {
        b"Z" | b"z" => "+00:00".to_owned(),
        [_, _, _] => format!("{zone}:00"),
        [_, _, _, _, _] => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
        _ => zone.to_owned(),
    };
    let moment = DateTime::parse_from_rfc3339(&format!("{date}T{time}{zone}")).ok()?;
    Some(moment.to_utc())
}

/// JavaScript's `toString` and `toUTCString`.
fn in_words(text: &str) -> Option<DateTime<Utc>> {
    let text = text.split_once(" (").map_or(text, |(text, _)| text);
    let local = DateTime::parse_from_str(text, "%a %b %d %Y %H:%M:%S GMT%z");
    local.map(|moment| moment.to_utc()).ok().or_else(|| {
        let moment = NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
        Some(moment.and_utc())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<Stored> {
        stored(Raw::Text(text.as_bytes()))
    }

    #[test]
    fn texts_with_one_meaning_are_moments() {
        for (text, expected) in [
            ("2020-03-01T12:30:05Z", "2020-03-01T12:30:05Z"),
            ("2020-03-01t12:30:05.25z", "2020-03-01T12:30:05.250Z"),
            ("2020-03-01 12:30:05+02:00", "2020-03-01T10:30:05Z"),
            (
                "2020-03-01 12:30:05.123456+00",
                "2020-03-01T12:30:05.123456Z",
            ),
            ("2020-03-01T12:30-0130", "2020-03-01T14:00:00Z"),
            (" 2020-03-01T12:30Z ", "2020-03-01T12:30:00Z"),
            ("2020-03-01", "2020-03-01T00:00:00Z"),
            ("2020-03", "2020-03-01T00:00:00Z"),
            ("2020", "2020-01-01T00:00:00Z"),
            ("1583065805000", "2020-03-01T12:30:05Z"),
            (
                "Sun Mar 01 2020 12:30:05 GMT+0100 (Central European Standard Time)",
                "2020-03-01T11:30:05Z",
            ),
            ("Sun, 01 Mar 2020 12:30:05 GMT", "2020-03-01T12:30:05Z"),
        ] {
            let found = read(text).and_then(Stored::moment);
            assert_eq!(found, Some(expected.parse().unwrap()), "{text}");
        }
        assert_eq!(read(" "), Some(Stored::Nothing));
        assert_eq!(stored(Raw::Double(5.0)), Some(Stored::Millis(5)));
    }

    #[test]
    fn texts_with_several_meanings_or_none_are_not() {
        for text in [
            "2020-03-01T12:30:05",
            "2020-03-01 12:30",
            "03/01/2020",
            "1.3.2020",
            "March 1, 2020",
            "2020-02-30",
            "2020-02-30T00:00:00Z",
            "2020-3-1",
            "202",
            "20200",
            "+020",
            "20-3",
            "2020-03-01T25:00:00Z",
            "2020-03-01T12Z",
            "2020-03-01T12:30:05.0000001Z",
            "Mon Mar 01 2020 12:30:05 GMT+0100",
            "yesterday",
            "now",
            "x",
            "2020-03-0\u{e9}T",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(stored(Raw::Double(5.5)), None);
        assert_eq!(stored(Raw::Bool(true)), None);
    }

    proptest! {
        #[test]
        fn every_moment_is_read_from_its_text(millis in -62_135_596_800_000_i64..253_402_300_800_000) {
            let moment = DateTime::from_timestamp_millis(millis).unwrap();
            for text in [moment.to_rfc3339(), moment.to_string().replace(" UTC", "Z")] {
                prop_assert_eq!(read(&text), Some(Stored::At(moment)), "{}", text);
            }
        }

        #[test]
        fn no_text_panics(text in "[-+0-9TZ:. éa-z(]{0,30}") {
            read(&text);
        }
    }
}
