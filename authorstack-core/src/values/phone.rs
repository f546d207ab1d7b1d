use std::str::FromStr;

use super::{excerpt, text_value};
use crate::{Error, Result};

/// A phone number in international form (E.164): a plus, the country's code, the number, 7 to 15
/// digits in all. Spaces, hyphens and brackets between the digits are left out.
///
/// A number in national form says not of which country it is, and is refused.
///
/// ```
/// use authorstack_core::Phone;
///
/// let phone: Phone = "+49 151 1234-5678".parse()?;
/// assert_eq!(phone.as_str(), "+4915112345678");
/// assert_eq!(phone.digits(), "4915112345678");
/// assert!("0151 12345678".parse::<Phone>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);
text_value!(Phone);

impl Phone {
    /// The number without the plus, as Supabase Auth stores it.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

impl FromStr for Phone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |problem: &str| {
            Err(Error::invalid(
                "phone",
                format!(
                    "{} {problem}; write it in international form, like +4915112345678",
                    excerpt(text)
                ),
            ))
        };
        let Some(number) = text.trim().strip_prefix('+') else {
            return refuse("does not begin with a plus and the country's code");
        };
        let is_between = |c: &char| matches!(c, ' ' | '-' | '(' | ')' | '.' | '\u{a0}');
        let digits: String = number.chars().filter(|c| !is_between(c)).collect();
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse("holds more than digits");
        }
        if digits.starts_with('0') {
            return refuse("has a country's code that begins with 0");
        }
        if !(7..=15).contains(&digits.len()) {
            return refuse("has not 7 to 15 digits");
        }
        Ok(Self(format!("+{digits}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_other_forms_are_refused_with_the_way_out() {
        for text in [
            "",
            "0151 1234567",
            "4915112345678",
            "+0049151123",
            "+4915112345678901",
            "+49151x1234",
            "+123456",
            "+",
        ] {
            let error = text.parse::<Phone>().unwrap_err().to_string();
            assert!(error.starts_with("phone: "), "{error}");
            assert!(error.contains("like +4915112345678"), "{error}");
        }
        assert_eq!(
            "+1 (555) 010-9999".parse::<Phone>().unwrap().as_str(),
            "+15550109999"
        );
    }
}
