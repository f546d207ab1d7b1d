//! Where a sale was made: a platform, or one market of it.

use std::{borrow::Cow, str::FromStr};

use super::{
    excerpt,
    open_set::{Platform, check_name, in_small_letters, is_name},
    text_value,
};
use crate::{Error, Result};

/// A market of a platform, such as `amazon.de` of KDP or `us` of Apple Books: 1 to 40 ASCII letters,
/// digits, `.`, `-` and `_`, in small letters.
///
/// ```
/// use authorstack_core::Market;
///
/// assert_eq!("Amazon.de".parse::<Market>()?.as_str(), "amazon.de");
/// assert!("amazon de".parse::<Market>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Market(String);
text_value!(Market);

impl FromStr for Market {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if is_market(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            let found = excerpt(text);
            let reason = format!(
                "{found} is not a market: 1 to {} ASCII letters, digits, '.', '-' and '_', such as \
                 amazon.de",
                Market::MOST
            );
            Err(Error::invalid("market", reason))
        }
    }
}

impl Market {
    /// The most bytes of a market.
    pub const MOST: usize = 40;
}

fn is_market(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=Market::MOST).contains(&text.len()) && text.bytes().all(allowed)
}

/// Where a sale was made: a platform, or one market of it. As a text, and in the column `platform`
/// of the sales, it is `platform` or `platform:market`, in small letters and at most 50 characters.
///
/// ```
/// use authorstack_core::{Platform, SalesChannel};
///
/// let channel: SalesChannel = "KDP:amazon.de".parse()?;
/// assert_eq!(channel.as_str(), "kdp:amazon.de");
/// assert_eq!(channel.platform(), Platform::KDP);
/// assert_eq!(channel.market(), Some("amazon.de".parse()?));
/// assert_eq!(channel, Platform::KDP.in_market(&"amazon.de".parse()?)?);
/// assert_eq!(SalesChannel::from(Platform::GUMROAD).market(), None);
/// # Ok::<(), authorstack_core::Error>(())
/// ```
///
/// A name with a colon that is no market's, such as `shop: london`, is read as the name of a
/// platform, since an old app may have stored it. [`SalesChannel::check`] refuses it, and so does a
/// write of sales.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SalesChannel(Cow<'static, str>);
text_value!(SalesChannel);

impl FromStr for SalesChannel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        check_name("platform", text)?;
        Ok(Self(Cow::Owned(in_small_letters(text).into_owned())))
    }
}

impl From<Platform> for SalesChannel {
    fn from(platform: Platform) -> Self {
        Self(platform.into_cow())
    }
}

impl Platform {
    /// A market of this platform.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the two are more than 50 characters with the
    /// colon between them, or the name of the platform has a colon.
    pub fn in_market(&self, market: &Market) -> Result<SalesChannel> {
        let channel: SalesChannel = format!("{self}:{market}").parse()?;
        if channel.platform() == *self {
            Ok(channel)
        } else {
            Err(colon(self.as_str()))
        }
    }
}

impl SalesChannel {
    /// The platform.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let (platform, _) = self.parts();
        Platform::of_name(platform)
    }

    /// The market; `None` if the platform has no markets, or does not tell them apart.
    #[must_use]
    pub fn market(&self) -> Option<Market> {
        let (_, market) = self.parts();
        market.map(|market| Market(market.to_owned()))
    }

    /// Whether it is this platform or a market of it.
    #[must_use]
    pub fn is_of(&self, platform: &Platform) -> bool {
        self.parts().0 == platform.as_str()
    }

    /// Checks that a colon separates a market from its platform.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    pub fn check(&self) -> Result<()> {
        match self.parts() {
            (platform, None) if platform.contains(':') => Err(colon(platform)),
            _ => Ok(()),
        }
    }

    /// The names of the platform and of the market.
    fn parts(&self) -> (&str, Option<&str>) {
        match self.0.split_once(':') {
            Some((platform, market)) if is_name(platform) && is_market(market) => {
                (platform, Some(market))
            }
            _ => (&self.0, None),
        }
    }
}

fn colon(name: &str) -> Error {
    let reason = format!(
        "{} has a colon, which separates a market from its platform; write platform:market, such \
         as kdp:amazon.de, with ASCII letters, digits, '.', '-' and '_' in the market",
        excerpt(name)
    );
    Error::invalid("platform", reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_a_platform_or_a_market_of_one() {
        for (text, platform, market) in [
            ("kdp", "kdp", None),
            ("KDP:Amazon.CO.UK", "kdp", Some("amazon.co.uk")),
            ("barnes & noble:us", "barnes & noble", Some("us")),
            ("shop: london", "shop: london", None),
            ("shop :london", "shop :london", None),
            ("a:b:c", "a:b:c", None),
            (":us", ":us", None),
            ("kdp:", "kdp:", None),
        ] {
            let channel: SalesChannel = text.parse().unwrap();
            let found = channel.market();
            assert_eq!(channel.platform().as_str(), platform, "{text}");
            assert_eq!(found.as_ref().map(Market::as_str), market, "{text}");
            let sound = market.is_some() || !text.contains(':');
            assert_eq!(channel.check().is_ok(), sound, "{text}");
        }
        let long = "\u{e9}".repeat(50);
        assert_eq!(long.parse::<SalesChannel>().unwrap().as_str(), long);
        for text in ["", " kdp", "kdp:us ", "a\nb", &"\u{e9}".repeat(51)] {
            assert!(text.parse::<SalesChannel>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_market_belongs_to_a_platform_without_a_colon() {
        let market: Market = "us".parse().unwrap();
        let odd: Platform = "shop: london".parse().unwrap();
        let error = odd.in_market(&market).unwrap_err().to_string();
        assert!(
            error.contains("colon") && error.contains("kdp:amazon.de"),
            "{error}"
        );
        let long: Platform = "x".repeat(48).parse().unwrap();
        assert!(long.in_market(&market).is_err());
    }

    proptest! {
        /// What was put together comes apart again, and its text is read as the same.
        #[test]
        fn parts_and_texts_are_the_same(
            platform in "[A-Za-z0-9&._ -]{0,7}[A-Za-z0-9]",
            market in proptest::option::of("[A-Za-z0-9._-]{1,40}"),
        ) {
            prop_assume!(platform.trim() == platform);
            let platform: Platform = platform.parse().unwrap();
            let market: Option<Market> = market.map(|market| market.parse().unwrap());
            let channel = match &market {
                None => SalesChannel::from(platform.clone()),
                Some(market) => platform.in_market(market).unwrap(),
            };
            prop_assert_eq!(channel.platform(), platform.clone());
            prop_assert_eq!(channel.market(), market);
            prop_assert!(channel.is_of(&platform));
            prop_assert!(channel.check().is_ok());
            prop_assert_eq!(channel.as_str().parse::<SalesChannel>().unwrap(), channel.clone());
            let shouted = channel.as_str().to_ascii_uppercase();
            prop_assert_eq!(shouted.parse::<SalesChannel>().unwrap(), channel);
        }

        /// Every name that a table may hold can be read, and its text stays the same but for its
        /// case.
        #[test]
        fn every_name_is_read(text in "\\PC{1,12}") {
            let text = text.trim();
            prop_assume!(!text.is_empty() && text.chars().count() <= 50);
            let channel: SalesChannel = text.parse().unwrap();
            prop_assert_eq!(channel.as_str(), text.to_ascii_lowercase());
            let platform = channel.platform();
            prop_assert_eq!(platform.as_str().parse::<Platform>().unwrap(), platform.clone());
        }
    }
}
