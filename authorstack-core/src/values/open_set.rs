//! Names from open sets: known members are constants, other names are kept as they are.

use std::{borrow::Cow, str::FromStr};

use super::{excerpt, text_value};
use crate::{Error, Result};

macro_rules! open_set {
    ($(#[$doc:meta])* $name:ident, $field:literal, $($(#[$member_doc:meta])* $member:ident = $text:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Cow<'static, str>);
        text_value!($name);

        impl $name {
            $($(#[$member_doc])* pub const $member: Self = Self(Cow::Borrowed($text));)+
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                $(if text == $text { return Ok(Self::$member); })+
                check_name($field, text)?;
                Ok(Self(Cow::Owned(text.to_owned())))
            }
        }
    };
}

fn check_name(field: &'static str, text: &str) -> Result<()> {
    const MOST: usize = 50;
    let sound = !text.is_empty()
        && text.len() <= MOST
        && text.trim().len() == text.len()
        && !text.chars().any(char::is_control);
    if sound {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            format!(
                "{} is not a name of 1 to {MOST} bytes without control characters or outer spaces",
                excerpt(text)
            ),
        ))
    }
}

open_set! {
    /// A sales platform. The set is open: names other than the constants are kept as they are.
    ///
    /// ```
    /// use authorstack_core::Platform;
    ///
    /// assert_eq!("kdp".parse::<Platform>()?, Platform::KDP);
    /// assert_eq!("lulu".parse::<Platform>()?.as_str(), "lulu");
    /// # Ok::<(), authorstack_core::Error>(())
    /// ```
    Platform, "platform",
    /// Amazon Kindle Direct Publishing.
    KDP = "kdp",
    /// Gumroad.
    GUMROAD = "gumroad",
    /// Apple Books.
    APPLE_BOOKS = "apple_books"
}

open_set! {
    /// The provider that signs the user in. The set is open.
    AuthProvider, "authProvider",
    /// Appwrite.
    APPWRITE = "appwrite",
    /// Supabase Auth.
    SUPABASE = "supabase"
}

open_set! {
    /// The kind of an attachment. The set is open.
    AttachmentKind, "attachments.type",
    /// A picture.
    IMAGE = "image",
    /// A page on the web.
    LINK = "link",
    /// A video.
    VIDEO = "video"
}

open_set! {
    /// The kind of an insight. The set is open.
    InsightKind, "insight_type",
    /// The trend of sales.
    TREND = "trend",
    /// The recommended price of a book.
    PRICING = "pricing",
    /// Future revenue.
    FORECAST = "forecast"
}
