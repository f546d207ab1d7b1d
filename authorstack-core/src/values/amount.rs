use std::{
    fmt,
    ops::{Add, Neg},
};

use rust_decimal::Decimal;

use super::decimal_value;
use crate::{Error, Result};

/// An amount of money as the analytics tables hold it, `DECIMAL(10,2)`: exact to the cent, from
/// -99,999,999.99 to 99,999,999.99. Refunds are below zero. The currency is a separate field.
///
/// ```
/// use authorstack_core::Amount;
///
/// let royalty: Amount = "2.70".parse()?;
/// assert_eq!(royalty.to_string(), "2.70");
/// assert_eq!(royalty.cents(), 270);
/// assert!("2.705".parse::<Amount>().is_err());
/// assert!("NaN".parse::<Amount>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount {
    cents: i64,
}
decimal_value!(
    Amount,
    "amount",
    to_decimal,
    "an amount of money, like 4.99"
);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self { cents: 0 };
    /// The largest amount.
    pub const MAX: Self = Self {
        cents: 9_999_999_999,
    };

    /// The amount in hundredths of the currency's unit.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the tables cannot hold it.
    pub fn from_cents(cents: i64) -> Result<Self> {
        if cents.unsigned_abs() <= Self::MAX.cents.unsigned_abs() {
            Ok(Self { cents })
        } else {
            Err(too_large(Decimal::new(cents, 2)))
        }
    }

    /// An amount from a decimal number.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it has more than two decimals, or the
    /// tables cannot hold it.
    pub fn new(amount: Decimal) -> Result<Self> {
        let amount = amount.normalize();
        if amount.scale() > 2 {
            return Err(Error::invalid(
                "amount",
                format!("{amount} has more than two decimals; round it to the cent"),
            ));
        }
        let mantissa = i64::try_from(amount.mantissa()).ok();
        let cents = mantissa.and_then(|m| m.checked_mul(10_i64.pow(2 - amount.scale())));
        cents.map_or_else(|| Err(too_large(amount)), Self::from_cents)
    }

    /// The amount in hundredths of the currency's unit.
    #[must_use]
    pub const fn cents(self) -> i64 {
        self.cents
    }

    /// The amount, with two decimals.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.cents, 2)
    }
}

fn too_large(amount: Decimal) -> Error {
    Error::invalid(
        "amount",
        format!("{amount} is beyond 99999999.99, the most that the tables hold"),
    )
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self { cents: -self.cents }
    }
}

/// Sums may be larger than any single amount.
impl Add<Amount> for Decimal {
    type Output = Decimal;

    fn add(self, amount: Amount) -> Decimal {
        self + amount.to_decimal()
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tables_cannot_hold_is_refused() {
        for text in ["100000000", "-100000000.00", "1.001", "NaN", "1e3", "", "∞"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
        for (text, cents) in [
            ("99999999.99", 9_999_999_999),
            ("-99999999.99", -9_999_999_999),
            ("1.100", 110),
            ("-0", 0),
            (" 7 ", 700),
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().cents(), cents, "{text}");
        }
        assert!(Amount::from_cents(i64::MIN).is_err());
        assert!(Amount::new(Decimal::MAX).is_err());
    }

    proptest::proptest! {
        #[test]
        fn sums_are_exact(cents in proptest::collection::vec(-9_999_999_999_i64..=9_999_999_999, 0..200)) {
            let amounts = cents.iter().map(|cents| Amount::from_cents(*cents).unwrap());
            let sum = amounts.fold(Decimal::ZERO, |sum, amount| sum + amount);
            proptest::prop_assert_eq!(sum, Decimal::new(cents.iter().sum(), 2));
        }

        #[test]
        fn the_text_leads_back(cents in -9_999_999_999_i64..=9_999_999_999) {
            let amount = Amount::from_cents(cents).unwrap();
            proptest::prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
            proptest::prop_assert_eq!(Amount::new(amount.to_decimal()).unwrap(), amount);
        }
    }
}
