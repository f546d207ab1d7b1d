use std::{fmt, sync::Arc, time::Duration};

use authorstack_core::{Error, ErrorKind, Result, resilience::with_deadline};
use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{answer::Answer, error, inner::Inner, retry};

/// A request that was not sent yet.
#[must_use = "`send` sends it"]
pub struct Request {
    inner: Arc<Inner>,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    is_repeatable: bool,
}

/// Shows neither headers nor query nor body: they may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method.as_str())
            .field("path", &self.url.path())
            .finish_non_exhaustive()
    }
}

/// How an attempt ended without an answer to give.
struct Failed {
    error: Error,
    /// Whether the server cannot have seen the request, or has refused to look at it.
    is_unseen: bool,
    /// When the server wants to be asked again.
    wait: Option<Duration>,
}

impl Request {
    pub(crate) fn new(inner: Arc<Inner>, method: Method, url: Url) -> Self {
        let is_repeatable = method.is_idempotent();
        Self {
            inner,
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            is_repeatable,
        }
    }

    /// Adds a pair to the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Adds a header. Its value is taken for a secret, and never shown.
    ///
    /// # Errors
    /// Configuration of the service if the value cannot be in a header, as a key with a line break.
    pub fn header(mut self, name: &'static str, value: &str) -> Result<Self> {
        let refuse = |_| {
            Error::configuration(
                self.inner.settings.service.setting,
                format!("the value of the header {name} holds characters that cannot be in one"),
            )
        };
        let mut value = HeaderValue::from_str(value).map_err(refuse)?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Sets a body of JSON.
    ///
    /// # Errors
    /// Internal if it cannot be JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Result<Self> {
        let body = serde_json::to_vec(body);
        // serde's message could show a value.
        let body = body.map_err(|_| Error::internal("a request could not be written as JSON"))?;
        self.body = Some(body.into());
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(CONTENT_TYPE, json);
        Ok(self)
    }

    /// Says that the request may be sent again after an attempt of which nobody knows whether the
    /// server saw it, or that it may not. Without this, requests whose method is idempotent may (GET,
    /// PUT, DELETE), and others not.
    pub fn repeatable(mut self, is_repeatable: bool) -> Self {
        self.is_repeatable = is_repeatable;
        self
    }

    /// Sends the request, and repeats it where that can help and cannot harm: after a connection that
    /// did not open, after 429 when the server wants it, and, if it is repeatable, after an answer
    /// that did not come or broke off and after 502, 503 and 504. Pauses grow, and are random.
    ///
    /// Any other answer is returned, whatever its status.
    ///
    /// # Errors
    /// Timeout; Unavailable; `RateLimited` with the time that the server names, when that is beyond
    /// the deadline; Configuration, naming the setting of the address, if a page of HTML comes or the
    /// server's certificate is refused; Internal for an answer that is too large.
    pub async fn send(self) -> Result<Answer> {
        let limit = self.inner.settings.operation;
        with_deadline(limit, self.attempts(Instant::now() + limit)).await
    }

    async fn attempts(&self, deadline: Instant) -> Result<Answer> {
        let most = self.inner.settings.attempts;
        for attempt in 1..most {
            let failed = match self.attempt(attempt).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let may_repeat = failed.is_unseen || self.is_repeatable;
            if !may_repeat || !failed.error.is_retryable() {
                return Err(failed.error);
            }
            let pause = retry::pause(attempt, failed.wait);
            if Instant::now() + pause >= deadline {
                return Err(failed.error);
            }
            let error = &failed.error;
            tracing::debug!(attempt, ?pause, %error, "a request is repeated");
            sleep(pause).await;
        }
        self.attempt(most).await.map_err(|failed| failed.error)
    }

    async fn attempt(&self, number: u32) -> Result<Answer, Failed> {
        let settings = &self.inner.settings;
        let run = async {
            let answer = self.exchange(number).await?;
            self.judge(answer)
        };
        match tokio::time::timeout(settings.attempt, run).await {
            Ok(ended) => ended,
            Err(_) => Err(Failed {
                error: Error::timeout(settings.attempt),
                is_unseen: false,
                wait: None,
            }),
        }
    }

    /// Sends the request once, and reads the answer.
    async fn exchange(&self, number: u32) -> Result<Answer, Failed> {
        let settings = &self.inner.settings;
        let client = &self.inner.client;
        let mut request = client.request(self.method.clone(), self.url.clone());
        request = request.headers(self.headers.clone());
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let failed = |error: reqwest::Error| Failed {
            is_unseen: error.is_connect(),
            error: error::from_reqwest(error, settings),
            wait: None,
        };
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > settings.most_bytes {
                return Err(Failed {
                    error: Error::internal(format!(
                        "{} sent an answer of more than {} bytes",
                        settings.service.name, settings.most_bytes
                    )),
                    is_unseen: false,
                    wait: None,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body: body.freeze(),
            service: settings.service,
            was_repeated: number > 1,
        })
    }

    /// Sorts out answers that are no answer of the service.
    fn judge(&self, answer: Answer) -> Result<Answer, Failed> {
        let service = self.inner.settings.service;
        let wait = retry::asked_for(&answer.headers);
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS => {
                let retry_after = wait.unwrap_or(retry::UNKNOWN);
                Err(Failed {
                    error: Error::new(ErrorKind::RateLimited { retry_after }),
                    is_unseen: true,
                    wait: Some(retry_after),
                })
            }
            status @ (StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => Err(Failed {
                error: Error::unavailable(format!("{} answered {status}", service.name)),
                is_unseen: false,
                wait,
            }),
            status if answer.is_html() => Err(Failed {
                error: error::html(status, service),
                is_unseen: false,
                wait: None,
            }),
            _ => Ok(answer),
        }
    }
}
