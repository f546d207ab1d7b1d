use std::str::FromStr;

use super::{excerpt, text_value};
use crate::{Error, Result};

/// An ASIN, Amazon's id of a product: ten letters and digits, upper-cased.
///
/// ```
/// use authorstack_core::Asin;
///
/// let asin: Asin = "b08n5wrwnw".parse()?;
/// assert_eq!(asin.as_str(), "B08N5WRWNW");
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asin(String);
text_value!(Asin);

impl FromStr for Asin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let asin = text.trim().to_ascii_uppercase();
        if asin.len() == 10 && asin.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(asin))
        } else {
            Err(Error::invalid(
                "asin",
                format!(
                    "{} is not an ASIN: ten letters and digits, like B08N5WRWNW",
                    excerpt(text)
                ),
            ))
        }
    }
}
