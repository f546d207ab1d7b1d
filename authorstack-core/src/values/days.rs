//! Calendar days. The days of sales are those of the platforms, without a time zone. Which day is
//! "today" depends on where the author lives.

use chrono::{DateTime, Datelike, Days as ChronoDays, Months, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, values::excerpt};

/// A range of days, from the first to the last, both included.
///
/// ```
/// use authorstack_core::Days;
///
/// let march = Days::month("2024-03-15".parse().unwrap());
/// assert_eq!(march.to_string(), "2024-03-01..=2024-03-31");
/// assert_eq!(march.len(), 31);
/// assert_eq!(march.before().to_string(), "2024-01-30..=2024-02-29");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bounds")]
pub struct Days {
    first: NaiveDate,
    last: NaiveDate,
}

#[derive(Deserialize)]
struct Bounds {
    first: NaiveDate,
    last: NaiveDate,
}

impl TryFrom<Bounds> for Days {
    type Error = Error;

    fn try_from(bounds: Bounds) -> Result<Self> {
        Self::new(bounds.first, bounds.last)
    }
}

impl Days {
    /// The days that records may have: the years 1 to 9999.
    pub const ALL: Self = Self {
        first: match NaiveDate::from_ymd_opt(1, 1, 1) {
            Some(day) => day,
            None => NaiveDate::MIN,
        },
        last: match NaiveDate::from_ymd_opt(9999, 12, 31) {
            Some(day) => day,
            None => NaiveDate::MAX,
        },
    };

    /// The days from the first to the last, both included.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the last is before the first, or a day
    /// is outside [`Days::ALL`].
    pub fn new(first: NaiveDate, last: NaiveDate) -> Result<Self> {
        check_day("first", first)?;
        check_day("last", last)?;
        if last < first {
            let reason = format!("{last} is before {first}, the first day; swap them");
            return Err(Error::invalid("last", reason));
        }
        Ok(Self { first, last })
    }

    /// One day. A day outside [`Days::ALL`] becomes the nearest one within.
    #[must_use]
    pub fn one(day: NaiveDate) -> Self {
        let day = within(day);
        Self {
            first: day,
            last: day,
        }
    }

    /// The given number of days up to this one, which is included; at least one.
    #[must_use]
    pub fn up_to(last: NaiveDate, count: u32) -> Self {
        let last = within(last);
        let back = ChronoDays::new(u64::from(count.max(1)) - 1);
        let first = last.checked_sub_days(back).map_or(Self::ALL.first, within);
        Self { first, last }
    }

    /// The month of this day.
    #[must_use]
    pub fn month(day: NaiveDate) -> Self {
        let first = first_of_month(within(day));
        let next = first.checked_add_months(Months::new(1));
        let last = next.and_then(|next| next.pred_opt());
        Self {
            first,
            last: last.unwrap_or(Self::ALL.last),
        }
    }

    /// The year of this day.
    #[must_use]
    pub fn year(day: NaiveDate) -> Self {
        let day = within(day);
        Self {
            first: NaiveDate::from_ymd_opt(day.year(), 1, 1).unwrap_or(day),
            last: NaiveDate::from_ymd_opt(day.year(), 12, 31).unwrap_or(day),
        }
    }

    /// The first day.
    #[must_use]
    pub const fn first(self) -> NaiveDate {
        self.first
    }

    /// The last day.
    #[must_use]
    pub const fn last(self) -> NaiveDate {
        self.last
    }

    /// How many days there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a day")]
    pub fn len(self) -> usize {
        let days = self.last.signed_duration_since(self.first).num_days();
        usize::try_from(days).map_or(1, |days| days + 1)
    }

    /// Whether the range includes a day.
    #[must_use]
    pub fn contains(self, day: NaiveDate) -> bool {
        self.first <= day && day <= self.last
    }

    /// The same number of days right before these, for comparisons. At the beginning of
    /// [`Days::ALL`] there may be fewer.
    #[must_use]
    pub fn before(self) -> Self {
        let last = self.first.pred_opt().map_or(Self::ALL.first, within);
        Self::up_to(last, u32::try_from(self.len()).unwrap_or(u32::MAX))
    }

    /// Each of the days.
    pub fn iter(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take(self.len())
    }
}

impl std::fmt::Display for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}

fn within(day: NaiveDate) -> NaiveDate {
    day.clamp(Days::ALL.first, Days::ALL.last)
}

/// Refuses a day that some backend cannot store.
pub(crate) fn check_day(field: &'static str, day: NaiveDate) -> Result<()> {
    if Days::ALL.contains(day) {
        Ok(())
    } else {
        let reason = format!("{day} is outside the years 1 to 9999");
        Err(Error::invalid(field, reason))
    }
}

/// The Monday of the day's week (ISO 8601).
pub(crate) fn first_of_week(day: NaiveDate) -> NaiveDate {
    let back = u64::from(day.weekday().num_days_from_monday());
    day.checked_sub_days(ChronoDays::new(back)).unwrap_or(day)
}

/// The first of the day's month.
pub(crate) fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// The calendar day of a moment where the author lives. `timezone` is a name of the IANA database,
/// as in [`Preferences::timezone`](crate::Preferences::timezone).
///
/// ```
/// use authorstack_core::day_at;
///
/// let new_year = "2025-01-01T03:00:00Z".parse().unwrap();
/// assert_eq!(day_at("America/New_York", new_year)?.to_string(), "2024-12-31");
/// assert_eq!(day_at("Europe/Berlin", new_year)?.to_string(), "2025-01-01");
/// assert!(day_at("Berlin", new_year).is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is no such time zone.
pub fn day_at(timezone: &str, moment: DateTime<Utc>) -> Result<NaiveDate> {
    let zone: Tz = timezone.trim().parse().map_err(|_| {
        let reason = format!(
            "{} is not a time zone of the IANA database, like Europe/Berlin",
            excerpt(timezone)
        );
        Error::invalid("timezone", reason)
    })?;
    Ok(moment.with_timezone(&zone).date_naive())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn bounds_are_checked() {
        assert!(Days::new(day("2024-02-02"), day("2024-02-01")).is_err());
        assert!(Days::new(NaiveDate::MIN, day("2024-02-01")).is_err());
        assert_eq!(Days::one(NaiveDate::MAX).first(), Days::ALL.last());
        assert_eq!(Days::ALL.before().len(), 1);
        assert!(
            serde_json::from_str::<Days>(r#"{"first":"2024-01-02","last":"2024-01-01"}"#).is_err()
        );
    }

    #[test]
    fn weeks_begin_on_monday() {
        assert_eq!(first_of_week(day("2024-12-31")), day("2024-12-30"));
        assert_eq!(first_of_week(day("2024-12-30")), day("2024-12-30"));
        assert_eq!(first_of_week(day("2025-01-05")), day("2024-12-30"));
    }

    #[test]
    fn months_and_years_end_where_they_should() {
        assert_eq!(Days::month(day("2023-02-10")).last(), day("2023-02-28"));
        assert_eq!(Days::month(day("9999-12-10")).last(), day("9999-12-31"));
        assert_eq!(Days::year(day("2024-02-29")).len(), 366);
        assert_eq!(Days::up_to(day("2024-03-01"), 2).first(), day("2024-02-29"));
        assert_eq!(Days::up_to(day("2024-03-01"), 0).len(), 1);
    }

    #[test]
    fn clocks_that_change_do_not_move_the_day() {
        let midnight = "2024-03-31T22:00:00Z".parse().unwrap();
        assert_eq!(
            day_at("Europe/Berlin", midnight).unwrap(),
            day("2024-04-01")
        );
        let before = "2024-03-30T22:59:59Z".parse().unwrap();
        assert_eq!(day_at("Europe/Berlin", before).unwrap(), day("2024-03-30"));
    }
}
