use std::str::FromStr;

use super::{check_text, text_value};
use crate::{Error, Result};

/// A user's id at the authentication provider: Appwrite's user id (at most 36 characters) or
/// Supabase's (a UUID). 1 to 255 bytes, no NUL.
///
/// ```
/// use authorstack_core::AuthId;
///
/// assert!("66f2a1".parse::<AuthId>().is_ok());
/// assert!("".parse::<AuthId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthId(String);
text_value!(AuthId);

impl FromStr for AuthId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > 255 {
            return Err(Error::invalid(
                "authId",
                format!(
                    "is {} bytes long; the provider's user id has 1 to 255",
                    text.len()
                ),
            ));
        }
        check_text("authId", text)?;
        Ok(Self(text.to_owned()))
    }
}
