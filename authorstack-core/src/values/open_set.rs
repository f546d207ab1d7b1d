//! Names from open sets: known members are constants, other names are kept as they are.

use std::{borrow::Cow, str::FromStr};

use super::{excerpt, text_value};
use crate::{Error, Result};

macro_rules! open_set {
    ($(#[$doc:meta])* $name:ident, $field:literal, $spelling:path, $($(#[$member_doc:meta])* $member:ident = $text:literal),+) => {
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
                let text = $spelling(text);
                $(if text == $text { return Ok(Self::$member); })+
                check_name($field, &text)?;
                Ok(Self(Cow::Owned(text.into_owned())))
            }
        }
    };
}

/// The most bytes of a name.
const MOST: usize = 50;

/// The spelling as it is.
const fn as_given(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// The spelling in small letters. Only ASCII letters have another case here, so that every store
/// folds alike.
pub(super) fn in_small_letters(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= MOST
        && text.trim().len() == text.len()
        && !text.chars().any(char::is_control)
}

pub(super) fn check_name(field: &'static str, text: &str) -> Result<()> {
    if is_name(text) {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            format!(
                "{} is not a name of 1 to {MOST} characters without control characters or outer spaces; correct it",
                excerpt(text)
            ),
        ))
    }
}

open_set! {
    /// A sales platform. The set is open: names other than the constants are kept, in small letters:
    /// `KDP` and `kdp` are one platform. Only ASCII letters are changed.
    ///
    /// ```
    /// use authorstack_core::Platform;
    ///
    /// assert_eq!("KDP".parse::<Platform>()?, Platform::KDP);
    /// assert_eq!("Lulu".parse::<Platform>()?.as_str(), "lulu");
    /// # Ok::<(), authorstack_core::Error>(())
    /// ```
    Platform, "platform", in_small_letters,
    /// Amazon Kindle Direct Publishing.
    KDP = "kdp",
    /// Gumroad.
    GUMROAD = "gumroad",
    /// Apple Books.
    APPLE_BOOKS = "apple_books"
}

impl Platform {
    /// The platform of a valid name in small letters.
    pub(super) fn of_name(name: &str) -> Self {
        let known = [Self::KDP, Self::GUMROAD, Self::APPLE_BOOKS];
        let known = known.into_iter().find(|platform| platform.0 == name);
        known.unwrap_or_else(|| Self(Cow::Owned(name.to_owned())))
    }

    /// The name, without a copy.
    pub(super) fn into_cow(self) -> Cow<'static, str> {
        self.0
    }
}

open_set! {
    /// The provider that signs the user in. The set is open.
    AuthProvider, "authProvider", as_given,
    /// Appwrite.
    APPWRITE = "appwrite",
    /// Supabase Auth.
    SUPABASE = "supabase",
    /// The store in memory.
    MEMORY = "memory"
}

open_set! {
    /// The service that an account was linked with by OAuth, by Supabase's name for it. The set is
    /// open.
    IdentityProvider, "provider", as_given,
    /// Google.
    GOOGLE = "google",
    /// GitHub.
    GITHUB = "github",
    /// Apple.
    APPLE = "apple",
    /// Facebook.
    FACEBOOK = "facebook",
    /// Microsoft.
    AZURE = "azure"
}

open_set! {
    /// The kind of an attachment. The set is open.
    AttachmentKind, "attachments.type", as_given,
    /// A picture.
    IMAGE = "image",
    /// A page on the web.
    LINK = "link",
    /// A video.
    VIDEO = "video"
}

open_set! {
    /// The kind of an insight. The set is open.
    InsightKind, "insight_type", as_given,
    /// The trend of sales.
    TREND = "trend",
    /// The recommended price of a book.
    PRICING = "pricing",
    /// Future revenue.
    FORECAST = "forecast"
}
