use std::{fmt, sync::Arc};

use authorstack_core::{Error, Result};
use reqwest::{Client, Method, redirect};

use crate::{
    inner::Inner,
    request::Request,
    settings::{HttpSettings, Service},
};

/// A client of one service. Clones share its connections.
#[derive(Clone)]
pub struct HttpClient {
    inner: Arc<Inner>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("address", &self.inner.settings.base.as_str())
            .finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client. It connects when it is first used.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the setting:
    /// for clear text to another machine, or a file of certificates that cannot be read.
    pub fn new(settings: HttpSettings) -> Result<Self> {
        settings.check_security()?;
        let client = Client::builder()
            .tls_backend_preconfigured(settings.tls()?)
            .user_agent(concat!("authorstack/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect)
            // A redirect would carry the key to another server.
            .redirect(redirect::Policy::none())
            // Repeating is decided here, call by call.
            .retry(reqwest::retry::never())
            .referer(false)
            .build()
            .map_err(|error| {
                let reason = format!("no client could be made: {}", error.without_url());
                Error::configuration(settings.service.setting, reason)
            })?;
        Ok(Self {
            inner: Arc::new(Inner { settings, client }),
        })
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &'static Service {
        self.inner.settings.service
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &HttpSettings {
        &self.inner.settings
    }

    /// A request to a path below the service's address, given as its segments: each is escaped, so an
    /// id with a slash or dots leads nowhere else.
    ///
    /// # Errors
    /// Invalid for a segment that is empty, or `.` or `..`.
    pub fn request(&self, method: Method, path: &[&str]) -> Result<Request> {
        let mut url = self.inner.settings.base.clone();
        let is_odd = |segment: &&&str| matches!(**segment, "" | "." | "..");
        if let Some(odd) = path.iter().find(is_odd) {
            return Err(Error::invalid(
                "id",
                format!("{odd:?} cannot be a part of an address; correct it"),
            ));
        }
        // An address with a host has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Ok(Request::new(Arc::clone(&self.inner), method, url))
    }
}
