//! Validated values: ids, texts, amounts and dates. A value that exists is valid.
//!
//! Each type has one `FromStr`, and serde reads through it. Three macros give types of one sort
//! what they have in common: `text_value!` for texts, `decimal_value!` for decimal numbers,
//! `closed_set!` for enums of texts.

mod amount;
mod asin;
mod auth_id;
mod closed_set;
mod confidence;
mod currency;
pub(crate) mod days;
mod email;
mod id;
mod isbn;
mod local_id;
mod open_set;
mod password_hash;
mod phone;
mod prefs;
mod price;
mod sales_channel;
mod secret;
mod session_id;
pub mod time;
mod web_url;

pub use amount::Amount;
pub use asin::Asin;
pub use auth_id::AuthId;
pub use confidence::Confidence;
pub use currency::Currency;
pub use days::{Days, day_at};
pub use email::Email;
pub use id::Id;
pub use isbn::Isbn;
pub use local_id::{CommentId, TaskId};
pub use open_set::{AttachmentKind, AuthProvider, IdentityProvider, InsightKind, Platform};
pub use password_hash::{HashParameters, PasswordAlgorithm, PasswordHash};
pub use phone::Phone;
pub use prefs::Prefs;
pub use price::Price;
pub use sales_channel::{Market, SalesChannel};
pub use secret::{BearerToken, Password};
pub use session_id::SessionId;
pub use web_url::WebUrl;
pub(crate) use web_url::is_web_url;

pub(crate) use closed_set::closed_set;

use crate::{Error, Result};

/// What all validated texts have in common: conversion to and from text, and serde through
/// `FromStr`.
macro_rules! text_value {
    ($name:ident) => {
        impl $name {
            /// The value as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The value as text, without a copy.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = crate::Error;

            fn try_from(text: &str) -> crate::Result<Self> {
                text.parse()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        crate::values::deserialize_text!($name);
    };
}
use text_value;

/// What all validated decimal numbers have in common: conversion to and from text, conversion from
/// `Decimal`, and serde: written as text, read from text and from numbers. The type itself has `new(Decimal)` and a function that returns its
/// `Decimal`.
macro_rules! decimal_value {
    ($name:ident, $field:literal, $to_decimal:ident, $expected:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.$to_decimal(), f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::Error;

            fn from_str(text: &str) -> crate::Result<Self> {
                match rust_decimal::Decimal::from_str_exact(text.trim()) {
                    Ok(number) => Self::new(number),
                    Err(_) => {
                        let found = crate::values::excerpt(text);
                        let reason = format!("{found} is not {}", $expected);
                        Err(crate::Error::invalid($field, reason))
                    }
                }
            }
        }

        impl TryFrom<rust_decimal::Decimal> for $name {
            type Error = crate::Error;

            fn try_from(number: rust_decimal::Decimal) -> crate::Result<Self> {
                Self::new(number)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read = match crate::json::value(deserializer)? {
                    serde_json::Value::String(text) => text.parse(),
                    other => crate::json::decimal_of(&other)
                        .map_err(|problem| crate::Error::invalid($field, problem))
                        .and_then(Self::new),
                };
                read.map_err(serde::de::Error::custom)
            }
        }
    };
}
use decimal_value;

/// Implements `Deserialize` through `FromStr`.
macro_rules! deserialize_text {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use deserialize_text;

/// Refuses text that some backend cannot store: PostgreSQL has no NUL character.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
pub fn check_text(field: &'static str, text: &str) -> Result<()> {
    match text.find('\0') {
        None => Ok(()),
        Some(at) => Err(Error::invalid(
            field,
            format!("holds a NUL character at byte {at}, which PostgreSQL cannot store; remove it"),
        )),
    }
}

/// A text for an error message: quoted, escaped, cut after sixty characters.
#[must_use]
pub fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use serde::{Serialize, de::DeserializeOwned};

    use super::*;

    /// A decimal value becomes text, and is read from text and from numbers.
    fn check_decimal<T>(number: &str, shown: &str, refusal: &str)
    where
        T: std::str::FromStr<Err = Error> + TryFrom<Decimal, Error = Error>,
        T: std::fmt::Display + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned,
    {
        let value: T = number.parse().unwrap();
        assert_eq!(value.to_string(), shown);
        assert_eq!(T::try_from(number.trim().parse().unwrap()).unwrap(), value);
        let json = serde_json::to_value(&value).unwrap();
        assert_eq!(json, serde_json::json!(shown));
        assert_eq!(serde_json::from_value::<T>(json).unwrap(), value);
        assert_eq!(serde_json::from_str::<T>("0.5").unwrap(), value);
        assert!(serde_json::from_str::<T>("0.30000000000000004").is_err());
        assert!(serde_json::from_str::<T>("true").is_err());
        for text in ["1e-1", "one", ""] {
            let error = text.parse::<T>().unwrap_err();
            assert_eq!(error.to_string(), refusal.replace("{}", text));
        }
    }

    #[test]
    fn decimal_values_are_texts() {
        let money = |field: &str| format!("{field}: \"{{}}\" is not an amount of money, like 4.99");
        check_decimal::<Price>(" 0.50 ", "0.5", &money("price"));
        check_decimal::<Amount>("0.5", "0.50", &money("amount"));
        let refusal = "confidence: \"{}\" is not a number from 0 to 1";
        check_decimal::<Confidence>("0.5", "0.50", refusal);
    }
}
