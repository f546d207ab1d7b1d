use std::str::FromStr;

use super::{excerpt, text_value};
use crate::{Error, Result};

/// A web address: absolute, `http` or `https`, kept as it was written.
///
/// It begins with `http://` or `https://`, a host, and a port if any, and holds no spaces and no
/// control characters. The host is a name (letters, digits, `-`, `_`, `.`, and letters of other
/// scripts), or an IPv6 address in brackets. A name and a password before the host are refused,
/// because other users see the links of a post. So are other schemes (`javascript:`, `data:`,
/// `file:`). Whether there is such a host is not asked.
///
/// ```
/// use authorstack_core::WebUrl;
///
/// let url: WebUrl = "https://covers.example.org/tide.jpg".parse()?;
/// assert_eq!(url.as_str(), "https://covers.example.org/tide.jpg");
/// assert!("javascript:alert(1)".parse::<WebUrl>().is_err());
/// assert!("https://example.org:99999/".parse::<WebUrl>().is_err());
/// assert!("tide.jpg".parse::<WebUrl>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebUrl(String);
text_value!(WebUrl);

impl FromStr for WebUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if is_web_url(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid(
            "attachments.url",
            format!(
                "{} is not an address on the web; write it whole, like \
                 https://example.org/cover.jpg",
                excerpt(text)
            ),
        ))
    }
}

/// The rule. Supabase's `authorstack.is_web_url` is the same one: what the database accepts must be
/// readable, so the rule is one that both can express.
pub(crate) fn is_web_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return false;
    }
    let has_blanks = if rest.is_ascii() {
        // The compiler counts many bytes at once.
        let blanks = rest.bytes().filter(|&byte| byte <= b' ' || byte == 0x7f);
        blanks.count() > 0
    } else {
        rest.chars().any(|c| c.is_control() || c == ' ')
    };
    if has_blanks {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(address) => {
            let Some((address, port)) = address.split_once(']') else {
                return false;
            };
            let is_address = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
            if address.is_empty() || !address.chars().all(is_address) {
                return false;
            }
            (None, port)
        }
        None => match authority.find(':') {
            Some(at) => (Some(&authority[..at]), &authority[at..]),
            None => (Some(authority), ""),
        },
    };
    host.is_none_or(is_name) && is_port(port)
}

fn is_name(host: &str) -> bool {
    let is_letter = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_' | '.')
            || (c > '\u{a0}' && !c.is_whitespace())
    };
    !host.is_empty() && !host.starts_with('.') && host.chars().all(is_letter)
}

/// Nothing, or a colon and up to five digits: at most 65535.
fn is_port(port: &str) -> bool {
    let Some(digits) = port.strip_prefix(':') else {
        return port.is_empty();
    };
    digits.is_empty()
        || (digits.len() <= 5
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && digits.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_only() {
        for text in [
            "http://a",
            "HTTPS://Example.org",
            "https://bücher.example:8080/ä?q=ö#ü",
            "https://a:/",
            "https://a:65535",
            "http://127.0.0.1:3000/x",
            "http://[::1]:3000/",
            "https://a_b-c.example./?://",
            "https://example.org/a\\b@c",
        ] {
            assert!(text.parse::<WebUrl>().is_ok(), "{text}");
        }
        for text in [
            "",
            "http:",
            "http://",
            "http:///a",
            "//example.org",
            "ftp://example.org",
            "javascript://example.org/%0aalert(1)",
            " https://example.org",
            "https://example.org ",
            "https://exa\u{a0}mple.org",
            "https://exa\u{2003}mple.org",
            "https://example.org/\u{85}",
            "https://example.org:65536",
            "https://example.org:99999/",
            "https://example.org:000001",
            "https://example.org:+1",
            "https://.example.org",
            "https://user:secret@example.org",
            "https://example.org\\@evil.example",
            "https://[::1",
            "https://[]",
            "https://[::1]x",
            "https://[g::1]",
            "https://example.org:80:80",
            "https://a%20b",
        ] {
            assert!(text.parse::<WebUrl>().is_err(), "{text}");
        }
    }
}
