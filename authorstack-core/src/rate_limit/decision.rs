//! What a limiter answers.

use std::time::Duration;

use super::limit::RateLimit;
use crate::{Error, ErrorKind, Result};

/// Whether a call may be made, and when the next one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the call may be made. It has been counted then.
    pub allowed: bool,
    /// How many calls may come at once.
    pub limit: u32,
    /// How many calls may come now, behind this one.
    pub remaining: u32,
    /// In which time the whole limit is there again, if no further call is made.
    pub reset_after: Duration,
    /// In which time the same call is allowed, if none is made in between. `None` for an allowed
    /// call.
    pub retry_after: Option<Duration>,
}

impl Decision {
    /// An allowed call that was not counted.
    pub(super) const fn uncounted(limit: &RateLimit) -> Self {
        Self {
            allowed: true,
            limit: limit.quota(),
            remaining: limit.quota(),
            reset_after: Duration::ZERO,
            retry_after: None,
        }
    }

    /// The decision as a result, for `?`.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] if the call is not allowed.
    pub fn into_result(self) -> Result<Self> {
        match self.retry_after {
            Some(retry_after) if !self.allowed => {
                Err(Error::new(ErrorKind::RateLimited { retry_after }))
            }
            _ => Ok(self),
        }
    }
}
