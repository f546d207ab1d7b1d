//! The fields of an HTTP response.

use std::time::Duration;

use super::{decision::Decision, limit::RateLimit};

/// The fields `RateLimit-Policy`, `RateLimit` and `Retry-After` of an HTTP response, as the IETF's
/// draft on header fields for rate limits writes them. Times are whole seconds, rounded up.
///
/// ```
/// use std::time::Duration;
/// use authorstack_core::rate_limit::{Decision, RateLimit, RateLimitHeaders};
///
/// let limit = RateLimit::window(100, Duration::from_secs(60))?;
/// let denied = Decision {
///     allowed: false,
///     limit: 100,
///     remaining: 0,
///     reset_after: Duration::from_millis(29_001),
///     retry_after: Some(Duration::from_millis(98)),
/// };
/// let headers = RateLimitHeaders::new("default", &limit, &denied);
/// assert_eq!(headers.policy, r#""default";q=100;w=60"#);
/// assert_eq!(headers.rate_limit, r#""default";r=0;t=30"#);
/// assert_eq!(headers.retry_after.as_deref(), Some("1"));
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitHeaders {
    /// `RateLimit-Policy`: the limit.
    pub policy: String,
    /// `RateLimit`: what is left of it.
    pub rate_limit: String,
    /// `Retry-After`, for a call that was denied.
    pub retry_after: Option<String>,
}

impl RateLimitHeaders {
    /// The fields for a decision. The policy's name keeps its letters, digits, `-` and `_`.
    #[must_use]
    pub fn new(policy: &str, limit: &RateLimit, decision: &Decision) -> Self {
        let name: String = policy
            .chars()
            .filter(|&c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            .collect();
        let window = seconds(limit.period()).max(1);
        let reset = seconds(decision.reset_after);
        Self {
            policy: format!("\"{name}\";q={};w={window}", decision.limit),
            rate_limit: format!("\"{name}\";r={};t={reset}", decision.remaining),
            retry_after: decision
                .retry_after
                .map(|wait| seconds(wait).max(1).to_string()),
        }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let retry_after = self.retry_after.as_deref();
        [
            ("ratelimit-policy", Some(self.policy.as_str())),
            ("ratelimit", Some(self.rate_limit.as_str())),
            ("retry-after", retry_after),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
