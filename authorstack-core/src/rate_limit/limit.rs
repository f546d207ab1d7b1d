//! What a limit promises.

use std::time::Duration;

use crate::{Error, Result};

/// How many calls are allowed, and how they may be spread.
///
/// - [`RateLimit::smooth`] lets calls pass evenly, with a burst at once (GCRA). It has the least
///   state, and is right for most.
/// - [`RateLimit::window`] promises at most so many calls in any window of that length. Up to a
///   limit of 64 it knows each call by its moment; above, moments are rounded up to a 64th of the
///   window, so a call may wait that much longer, and none passes too early.
///
/// The store's clock decides, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    quota: u32,
    algorithm: Algorithm,
}

/// How a limit is counted, for whoever implements a limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// GCRA: each call moves a moment, from which on nothing is used, forward by this interval.
    Smooth {
        /// In microseconds; at least one.
        interval: u64,
    },
    /// A log of the calls in the last window.
    Window {
        /// In microseconds.
        length: u64,
        /// Calls of one such slice of time are counted as one entry; 0 for an entry each. In
        /// microseconds.
        slice: u64,
    },
}

/// How many entries a window has at most.
const ENTRIES: u32 = 64;

/// The longest time that a limit spans: a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl RateLimit {
    /// This number of calls in each period, evenly spread. So many may come at once;
    /// [`RateLimit::burst`] sets another number. The time between two calls is rounded up to whole
    /// microseconds.
    ///
    /// # Errors
    /// Invalid if there are no calls, no period, more than one call a microsecond, or a period of
    /// more than a year.
    pub fn smooth(calls: u32, period: Duration) -> Result<Self> {
        let period = check(calls, "period", period)?;
        let interval = period.div_ceil(u64::from(calls));
        if interval.saturating_mul(u64::from(calls)) > period.saturating_mul(2) {
            return Err(Error::invalid(
                "period",
                "is too short for so many calls: one a microsecond is the most",
            ));
        }
        Ok(Self {
            quota: calls,
            algorithm: Algorithm::Smooth { interval },
        })
    }

    /// Sets how many calls may come at once, for [`RateLimit::smooth`].
    ///
    /// # Errors
    /// Invalid if it is 0, if so many calls need more than a year, or for a window.
    pub fn burst(self, calls: u32) -> Result<Self> {
        let Algorithm::Smooth { interval } = self.algorithm else {
            return Err(Error::invalid(
                "burst",
                "a window has no burst; use RateLimit::smooth",
            ));
        };
        let whole = Duration::from_micros(interval.saturating_mul(u64::from(calls)));
        check(calls, "burst", whole)?;
        Ok(Self {
            quota: calls,
            ..self
        })
    }

    /// At most this number of calls in any window of this length.
    ///
    /// # Errors
    /// Invalid if there are no calls, no window, or one of more than a year.
    pub fn window(calls: u32, length: Duration) -> Result<Self> {
        let length = check(calls, "window", length)?;
        let slice = if calls <= ENTRIES {
            0
        } else {
            length.div_ceil(u64::from(ENTRIES))
        };
        Ok(Self {
            quota: calls,
            algorithm: Algorithm::Window { length, slice },
        })
    }

    /// How many calls may come at once.
    #[must_use]
    pub const fn quota(&self) -> u32 {
        self.quota
    }

    /// The time in which the whole quota comes back.
    #[must_use]
    pub const fn period(&self) -> Duration {
        match self.algorithm {
            Algorithm::Smooth { interval } => {
                Duration::from_micros(interval.saturating_mul(self.quota as u64))
            }
            Algorithm::Window { length, .. } => Duration::from_micros(length),
        }
    }

    /// How the limit is counted.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn check(calls: u32, field: &'static str, time: Duration) -> Result<u64> {
    if calls == 0 {
        return Err(Error::invalid("calls", "a limit allows at least one call"));
    }
    if time < Duration::from_micros(1) || time > LONGEST {
        return Err(Error::invalid(
            field,
            "must be at least a microsecond and at most 366 days",
        ));
    }
    Ok(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use super::*;

    #[test]
    fn what_makes_no_limit_is_refused() {
        let second = Duration::from_secs(1);
        for refused in [
            RateLimit::smooth(0, second),
            RateLimit::smooth(1, Duration::ZERO),
            RateLimit::smooth(3_000_000, second),
            RateLimit::smooth(1, LONGEST + second),
            RateLimit::window(0, second),
            RateLimit::window(1, Duration::ZERO),
            RateLimit::window(1, second).unwrap().burst(2),
            RateLimit::smooth(1, second).unwrap().burst(0),
            RateLimit::smooth(1, second).unwrap().burst(u32::MAX),
        ] {
            assert_eq!(refused.unwrap_err().kind().code(), "invalid");
        }
    }

    #[test]
    fn a_period_is_the_time_of_the_whole_quota() {
        let limit = RateLimit::smooth(100, Duration::from_secs(60)).unwrap();
        assert_eq!(limit.period(), Duration::from_secs(60));
        let limit = limit.burst(10).unwrap();
        assert_eq!(
            (limit.quota(), limit.period()),
            (10, Duration::from_secs(6))
        );
        let limit = RateLimit::window(5, Duration::from_secs(9)).unwrap();
        assert_eq!(limit.period(), Duration::from_secs(9));
    }
}
