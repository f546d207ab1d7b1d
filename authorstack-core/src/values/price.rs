use rust_decimal::Decimal;

use super::decimal_value;
use crate::{Error, Result};

/// A price: zero or more, with at most fifteen significant digits. Old apps store prices as
/// doubles, which hold that many digits exactly. The currency is a separate field.
///
/// ```
/// use authorstack_core::Price;
///
/// let price: Price = "4.990".parse()?;
/// assert_eq!(price.to_string(), "4.99");
/// assert!("-1".parse::<Price>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(Decimal);
decimal_value!(Price, "price", amount, "an amount of money, like 4.99");

impl Price {
    /// A price from a decimal number.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is below zero or has more than
    /// fifteen significant digits.
    pub fn new(amount: Decimal) -> Result<Self> {
        const DIGITS: u128 = 1_000_000_000_000_000;
        let amount = amount.normalize();
        if amount.is_sign_negative() && !amount.is_zero() {
            let reason = format!("{amount} is below zero; correct it");
            return Err(Error::invalid("price", reason));
        }
        if amount.mantissa().unsigned_abs() >= DIGITS {
            return Err(Error::invalid(
                "price",
                format!("{amount} has more than fifteen significant digits; round it"),
            ));
        }
        let mut amount = amount;
        amount.set_sign_positive(true);
        Ok(Self(amount))
    }

    /// The price that a double stands for: its first fifteen significant digits. Digits after those
    /// are noise of binary fractions.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is below zero, not a number, or too
    /// large or too small for a decimal number.
    pub fn from_f64(amount: f64) -> Result<Self> {
        let digits = format!("{amount:.14e}");
        match Decimal::from_scientific(&digits) {
            Ok(decimal) if amount == 0.0 || !decimal.is_zero() => Self::new(decimal),
            _ => Err(Error::invalid(
                "price",
                format!("{amount} is not an amount of money"),
            )),
        }
    }

    /// The amount.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.0
    }

    /// The double nearest to the amount. [`Price::from_f64`] converts it back to the same price.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // The text of a decimal number can always be read as a double.
        self.0.to_string().parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_lose_their_noise_only() {
        for (double, text) in [
            (4.99, "4.99"),
            (0.1 + 0.2, "0.3"),
            (4.989_999_999_999_999, "4.99"),
            (-0.0, "0"),
            (1200.0, "1200"),
            (123_456_789_012.345, "123456789012.345"),
            (0.000_001, "0.000001"),
        ] {
            let price = Price::from_f64(double).unwrap();
            assert_eq!(price.to_string(), text);
            assert_eq!(Price::from_f64(price.to_f64()).unwrap(), price);
        }
        for double in [-0.01, f64::NAN, f64::INFINITY, 1e200, 1e-200] {
            assert!(Price::from_f64(double).is_err(), "{double}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_price_survives_a_double(mantissa in 0..1_000_000_000_000_000_i64, scale in 0..16_u32) {
            let price = Price::new(Decimal::new(mantissa, scale)).unwrap();
            proptest::prop_assert_eq!(Price::from_f64(price.to_f64()).unwrap(), price);
        }
    }

    #[test]
    fn longer_prices_are_refused() {
        assert!("1234567890.123456".parse::<Price>().is_err());
        assert!("123456789012345".parse::<Price>().is_ok());
        assert!("1e3".parse::<Price>().is_err());
    }
}
