//! The client's errors, without addresses' queries, keys or bodies.

use std::{error::Error as StdError, io};

use authorstack_core::Error;
use reqwest::StatusCode;

use crate::settings::{HttpSettings, Service};

/// An error of the client. `is_connect` tells whether the server cannot have seen the request.
pub(crate) fn from_reqwest(error: reqwest::Error, settings: &HttpSettings) -> Error {
    let name = settings.service.name;
    let error = error.without_url();
    if error.is_timeout() {
        let limit = if error.is_connect() {
            settings.connect
        } else {
            settings.attempt
        };
        return Error::timeout(limit);
    }
    let causes = Causes(Some(&error));
    for cause in causes {
        if let Some(rustls::Error::InvalidCertificate(problem)) = tls_error(cause) {
            return Error::configuration(
                settings.service.setting,
                format!(
                    "the server's certificate is refused: {problem:?}; correct the address, or name \
                     the file of the authority that signed it"
                ),
            );
        }
    }
    let innermost = Causes(Some(&error)).last().map(ToString::to_string);
    let innermost = innermost.unwrap_or_default();
    let host = settings.base.host_str().unwrap_or_default();
    Error::unavailable(if error.is_connect() {
        format!("no connection to {name} at {host} could be opened: {innermost}")
    } else {
        format!("the connection to {name} broke off: {innermost}")
    })
}

/// An error and its causes, the outermost first.
struct Causes<'e>(Option<&'e (dyn StdError + 'static)>);

impl<'e> Iterator for Causes<'e> {
    type Item = &'e (dyn StdError + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.0?;
        self.0 = error.source();
        Some(error)
    }
}

/// rustls hides its error within one of I/O.
fn tls_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    let within = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let within = within.and_then(|inner| inner.downcast_ref());
    error.downcast_ref().or(within)
}

/// The error for a page of HTML where JSON was due.
pub(crate) fn html(status: StatusCode, service: &Service) -> Error {
    let name = service.name;
    if status.is_server_error() {
        return Error::unavailable(format!("a page of HTML came from {name} (status {status})"));
    }
    Error::configuration(
        service.setting,
        format!(
            "a page of HTML came instead of JSON (status {status}): a proxy answers, or the address \
             is not that of {name}; write it like {}",
            service.example
        ),
    )
}
