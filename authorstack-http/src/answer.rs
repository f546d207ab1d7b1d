use std::fmt;

use authorstack_core::{Error, Result};
use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde::de::DeserializeOwned;

use crate::settings::Service;

/// An answer of the service, read to its end.
#[derive(Clone)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) service: &'static Service,
    pub(crate) was_repeated: bool,
}

/// Shows nothing of the body: it may hold secrets.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// A header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body. It may hold secrets.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether an earlier attempt may have done it already: a deletion that finds nothing then may
    /// have succeeded.
    #[must_use]
    pub const fn was_repeated(&self) -> bool {
        self.was_repeated
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// Corrupt, with the place of the mistake and nothing of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // serde's own message may show a value.
            let problem = match error.classify() {
                serde_json::error::Category::Data => "has not the expected fields",
                serde_json::error::Category::Eof => "ends too early",
                _ => "is no JSON",
            };
            Error::corrupt(format!(
                "the answer of {} {problem} (line {}, column {})",
                self.service.name,
                error.line(),
                error.column()
            ))
        })
    }

    pub(crate) fn is_html(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_marked = kind
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html");
        let is_json = kind.contains("json");
        let first = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
        is_marked || (!is_json && first == Some(&b'<'))
    }
}
