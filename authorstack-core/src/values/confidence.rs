use rust_decimal::Decimal;

use super::decimal_value;
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
decimal_value!(Confidence, "confidence", to_decimal, "a number from 0 to 1");

impl Confidence {
    /// A confidence from a decimal number.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is not from 0 to 1, or has more than
    /// two decimals.
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
