use std::str::FromStr;

use super::{excerpt, text_value};
use crate::{Error, Result};

/// A currency by its ISO 4217 code: three letters, upper-cased. The code need not be an assigned
/// one, because the list of those changes.
///
/// ```
/// use authorstack_core::Currency;
///
/// let currency: Currency = "eur".parse()?;
/// assert_eq!(currency.as_str(), "EUR");
/// assert!("€".parse::<Currency>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(String);
text_value!(Currency);

impl Currency {
    /// The US dollar: the schema's default for a sale without a currency.
    #[must_use]
    pub fn usd() -> Self {
        Self("USD".to_owned())
    }
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let code = text.trim();
        if code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic()) {
            Ok(Self(code.to_ascii_uppercase()))
        } else {
            Err(Error::invalid(
                "currency",
                format!(
                    "{} is not a currency code: three letters of ISO 4217, like USD",
                    excerpt(text)
                ),
            ))
        }
    }
}
