use std::str::FromStr;

use super::{excerpt, text_value};
use crate::{Error, Result};

/// An e-mail address, in lower case: two spellings that differ only by case are the same address,
/// as in Supabase Auth.
///
/// One `@`, text on both sides, no space or control character, at most 255 bytes.
///
/// ```
/// use authorstack_core::Email;
///
/// let email: Email = "Ada@Example.org".parse()?;
/// assert_eq!(email.as_str(), "ada@example.org");
/// assert!("ada".parse::<Email>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);
text_value!(Email);

impl FromStr for Email {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        const MOST: usize = 255;
        let email = text.to_lowercase();
        let refuse = |problem: &str| {
            Err(Error::invalid(
                "email",
                format!(
                    "{} {problem}; write it like name@example.org",
                    excerpt(text)
                ),
            ))
        };
        if email.len() > MOST {
            return refuse("is longer than 255 bytes");
        }
        if email.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("holds a space or a control character");
        }
        match email.split_once('@') {
            None => refuse("has no @"),
            Some((_, domain)) if domain.contains('@') => refuse("has more than one @"),
            Some((local, domain)) if local.is_empty() || domain.is_empty() => {
                refuse("has nothing on one side of the @")
            }
            Some(_) => Ok(Self(email)),
        }
    }
}
