//! The name of a queue.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::{Error, Result, shown};

/// The longest name, in bytes.
const LONGEST: usize = 200;

/// The name of a queue: a text without `:`, since its keys in Redis are made of it.
///
/// ```
/// use authorstack_core::queue::QueueName;
///
/// assert_eq!(QueueName::DATA_SYNC.as_str(), "data-sync");
/// assert!("covers".parse::<QueueName>().is_ok());
/// assert!("covers:large".parse::<QueueName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Cow<'static, str>);

impl QueueName {
    /// Synchronisation with sales platforms.
    pub const DATA_SYNC: Self = Self(Cow::Borrowed("data-sync"));
    /// Roll-ups, insights and forecasts.
    pub const ANALYTICS: Self = Self(Cow::Borrowed("analytics"));
    /// E-mails.
    pub const NOTIFICATIONS: Self = Self(Cow::Borrowed("notifications"));

    /// A queue of a host's own.
    ///
    /// # Errors
    /// Invalid if it is empty, longer than 200 bytes, or has a `:` or control characters.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        check_text("queue", &name, LONGEST)?;
        if name.contains(':') {
            let reason = format!("{} contains :, which separates keys; use -", shown(&name));
            return Err(Error::invalid("queue", reason));
        }
        Ok(Self(Cow::Owned(name)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for QueueName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

/// Refuses a text that is empty, too long, or has control characters.
pub(super) fn check_text(field: &'static str, text: &str, longest: usize) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(field, "is empty; give it a name"));
    }
    if text.len() > longest {
        let reason = format!("has {} bytes; {longest} are allowed", text.len());
        return Err(Error::invalid(field, reason));
    }
    if text.chars().any(char::is_control) {
        let reason = format!("{} has control characters; remove them", shown(text));
        return Err(Error::invalid(field, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_break_keys_are_refused() {
        for name in ["", "a:b", "a\nb", &"x".repeat(201)] {
            let error = QueueName::new(name).unwrap_err().to_string();
            assert!(error.contains("queue"), "{error}");
        }
        assert_eq!(QueueName::new("covers").unwrap().to_string(), "covers");
    }
}
