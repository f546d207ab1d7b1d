use std::str::FromStr;

use super::{excerpt, text_value};
use crate::{Error, Result};

/// An ISBN-10 or ISBN-13 with a correct check digit (ISO 2108), without hyphens or spaces.
///
/// ```
/// use authorstack_core::Isbn;
///
/// let isbn: Isbn = "978-3-16-148410-0".parse()?;
/// assert_eq!(isbn.as_str(), "9783161484100");
/// assert!("080442957X".parse::<Isbn>().is_ok());
/// assert!("9783161484101".parse::<Isbn>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isbn(String);
text_value!(Isbn);

impl FromStr for Isbn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let isbn: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | '‐' | '–' | ' '))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let refuse = |problem: String| {
            Err(Error::invalid(
                "isbn",
                format!("{} {problem}", excerpt(text)),
            ))
        };
        let (body, check) = match isbn.len() {
            10 | 13 if isbn.is_ascii() => isbn.split_at(isbn.len() - 1),
            _ => return refuse("is not an ISBN: ten or thirteen digits".to_owned()),
        };
        if !body.bytes().all(|b| b.is_ascii_digit()) {
            return refuse("is not an ISBN: only the last place may hold an X".to_owned());
        }
        let digits = body.bytes().map(|b| u32::from(b - b'0'));
        let right = if isbn.len() == 10 {
            let sum: u32 = digits
                .zip((2..=10).rev())
                .map(|(d, weight)| d * weight)
                .sum();
            match (11 - sum % 11) % 11 {
                10 => 'X',
                n => char::from_digit(n, 10).unwrap_or('0'),
            }
        } else {
            if !(body.starts_with("978") || body.starts_with("979")) {
                return refuse("is not an ISBN: thirteen digits start with 978 or 979".to_owned());
            }
            let sum: u32 = digits
                .zip([1, 3].into_iter().cycle())
                .map(|(d, weight)| d * weight)
                .sum();
            char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
        };
        if check.starts_with(right) {
            Ok(Self(isbn))
        } else {
            refuse(format!(
                "ends in a wrong check digit; these digits need {right}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_changed_digit_is_noticed(body in "97[89][0-9]{9}", place in 3usize..12, add in 1u8..10) {
            let right = (0..=9).map(|d| format!("{body}{d}")).find(|s| s.parse::<Isbn>().is_ok());
            let mut digits = right.expect("every body has a check digit").into_bytes();
            digits[place] = b'0' + (digits[place] - b'0' + add) % 10;
            prop_assert!(String::from_utf8(digits).unwrap().parse::<Isbn>().is_err());
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Isbn>();
        }
    }

    #[test]
    fn the_message_says_the_right_digit() {
        let error = "0-306-40615-3".parse::<Isbn>().unwrap_err().to_string();
        assert!(error.contains("need 2"), "{error}");
    }
}
