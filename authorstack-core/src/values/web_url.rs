use std::str::FromStr;

use url::Url;

use super::{excerpt, text_value};
use crate::{Error, Result};

/// A web address: absolute, `http` or `https`, kept as it was written.
///
/// Other schemes (`javascript:`, `data:`, `file:`) are refused, because other users see the links
/// of a post.
///
/// ```
/// use authorstack_core::WebUrl;
///
/// let url: WebUrl = "https://covers.example.org/tide.jpg".parse()?;
/// assert_eq!(url.as_str(), "https://covers.example.org/tide.jpg");
/// assert!("javascript:alert(1)".parse::<WebUrl>().is_err());
/// assert!("tide.jpg".parse::<WebUrl>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebUrl(String);
text_value!(WebUrl);

impl FromStr for WebUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The parser would drop line breaks and outer spaces; such a text is refused instead.
        let plain = !text.chars().any(|c| c.is_control() || c == ' ');
        let parsed = Url::parse(text).ok().filter(|url| {
            plain && matches!(url.scheme(), "http" | "https") && url.host().is_some()
        });
        match parsed {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(Error::invalid(
                "attachments.url",
                format!(
                    "{} is not an address on the web; write it whole, like \
                     https://example.org/cover.jpg",
                    excerpt(text)
                ),
            )),
        }
    }
}
