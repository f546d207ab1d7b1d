//! Validated values: a value that exists is valid.
//!
//! Each has one `FromStr`, and serde reads through it.

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
mod price;
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
pub use open_set::{AttachmentKind, AuthProvider, InsightKind, Platform};
pub use price::Price;
pub use web_url::WebUrl;

pub(crate) use closed_set::closed_set;

use crate::{Error, Result};

/// What every validated text type has: text in and out, serde through `FromStr`.
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

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use text_value;

/// Refuses text that not every backend can hold: PostgreSQL has no NUL character.
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

/// A value for an error message: quoted, escaped, cut after sixty characters.
#[must_use]
pub fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}…", &text[..at]),
    }
}
