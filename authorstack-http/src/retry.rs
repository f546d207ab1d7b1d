//! When to ask again.

use std::time::Duration;

use reqwest::header::HeaderMap;

/// The wait after 429 without a time.
pub(crate) const UNKNOWN: Duration = Duration::from_secs(5);

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// What a server may ask for: a day.
const MOST: u64 = 86_400;

/// The pause behind an attempt: what the server asked for, and a little more, so that not all
/// clients come back at once; otherwise a random time that grows.
pub(crate) fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(10));
    let jitter = doubled.min(LONGEST).mul_f64(rand::random::<f64>());
    match asked {
        Some(asked) => asked + jitter.min(Duration::from_secs(1)),
        None => FIRST / 4 + jitter,
    }
}

/// The time that the headers ask to wait: `Retry-After` in seconds, or the end of the window in
/// `X-RateLimit-Reset` or `RateLimit-Reset`, in seconds from now or since 1970.
pub(crate) fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let now = authorstack_core::chrono::Utc::now().timestamp();
    asked_at(headers, u64::try_from(now).unwrap_or(0))
}

fn asked_at(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let number =
        |name: &str| -> Option<u64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    let seconds = number("retry-after").or_else(|| {
        let reset = number("x-ratelimit-reset").or_else(|| number("ratelimit-reset"))?;
        // No window lasts for thirty years: a large number is a moment.
        let is_moment = reset > 1_000_000_000;
        Some(if is_moment {
            reset.saturating_sub(now)
        } else {
            reset
        })
    })?;
    Some(Duration::from_secs(seconds.min(MOST)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn asked(name: &'static str, value: &'static str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        asked_at(&headers, 1_790_000_000).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_wait_is_read_from_each_form_of_header() {
        assert_eq!(asked("retry-after", "7"), Some(7));
        assert_eq!(asked("x-ratelimit-reset", "1790000042"), Some(42));
        assert_eq!(asked("x-ratelimit-reset", "1789999999"), Some(0));
        assert_eq!(asked("ratelimit-reset", "30"), Some(30));
        assert_eq!(asked("retry-after", "99999999999"), Some(MOST));
        assert_eq!(asked("retry-after", "soon"), None);
        assert_eq!(asked("x-ratelimit-remaining", "0"), None);
    }

    #[test]
    fn pauses_are_never_shorter_than_asked_and_bounded() {
        for attempt in 1..40 {
            assert!(pause(attempt, None) <= LONGEST + FIRST);
            let asked = Duration::from_secs(9);
            let waited = pause(attempt, Some(asked));
            assert!(waited >= asked && waited <= asked + Duration::from_secs(1));
        }
    }
}
