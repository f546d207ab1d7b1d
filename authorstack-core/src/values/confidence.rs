use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::excerpt;
use crate::{Error, Result};

/// How sure a model is: from 0 to 1, in hundredths, as `DECIMAL(3,2)` holds it.
///
/// ```
/// use authorstack_core::Confidence;
///
/// assert_eq!("0.85".parse::<Confidence>()?.to_string(), "0.85");
/// assert!("1.01".parse::<Confidence>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(u8);

impl Confidence {
    /// This confidence.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is not from 0 to 1, or has more
    /// than two decimals.
    pub fn new(confidence: Decimal) -> Result<Self> {
        let hundredths = confidence.checked_mul(Decimal::ONE_HUNDRED);
        let whole = hundredths.filter(|hundredths| hundredths.fract().is_zero());
        let whole = whole.and_then(|whole| u8::try_from(whole).ok());
        match whole.filter(|whole| *whole <= 100) {
            Some(whole) => Ok(Self(whole)),
            None => Err(Error::invalid(
                "confidence",
                format!("{confidence} is not from 0 to 1 with at most two decimals"),
            )),
        }
    }

    /// The confidence, with two decimals.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0.into(), 2)
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_decimal(), f)
    }
}

impl FromStr for Confidence {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match Decimal::from_str_exact(text.trim()) {
            Ok(confidence) => Self::new(confidence),
            Err(_) => Err(Error::invalid(
                "confidence",
                format!("{} is not a number from 0 to 1", excerpt(text)),
            )),
        }
    }
}

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Confidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hundredths_from_0_to_1() {
        for text in ["0", "1", "1.00", "0.5", "0.990"] {
            assert!(text.parse::<Confidence>().is_ok(), "{text}");
        }
        for text in [
            "-0.01",
            "1.01",
            "0.005",
            "NaN",
            "",
            "79228162514264337593543950335",
        ] {
            assert!(text.parse::<Confidence>().is_err(), "{text}");
        }
    }
}
