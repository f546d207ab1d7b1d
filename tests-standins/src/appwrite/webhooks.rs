//! Webhooks: each event is posted, signed, to the addresses that a test has named.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{events::Event, times::unique_id};

/// An address that is told of events.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) id: String,
    /// As it is configured; the signature covers it.
    pub(super) url: String,
    pub(super) key: String,
}

impl Webhook {
    pub(super) fn new(url: &str, key: &str) -> Self {
        Self {
            id: unique_id(),
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// The signature of a body.
    pub(super) fn sign(&self, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.key.as_bytes());
        let message = format!("{}{body}", self.url);
        BASE64_STANDARD.encode(hmac::sign(&key, message.as_bytes()))
    }

    /// Posts an event. What becomes of it is not looked at.
    pub(super) async fn post(&self, event: &Event, project: &str) {
        let Some(rest) = self.url.strip_prefix("http://") else {
            return;
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let Ok(mut stream) = TcpStream::connect(host).await else {
            return;
        };
        let body = event.payload.to_string();
        let request = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\
             X-Appwrite-Webhook-Id: {}\r\nX-Appwrite-Webhook-Events: {}\r\n\
             X-Appwrite-Webhook-Name: tests\r\nX-Appwrite-Webhook-User-Id: {}\r\n\
             X-Appwrite-Webhook-Project-Id: {project}\r\nX-Appwrite-Webhook-Signature: {}\r\n\r\n\
             {body}",
            body.len(),
            self.id,
            event.names.join(","),
            event.user,
            self.sign(&body),
        );
        if stream.write_all(request.as_bytes()).await.is_ok() {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}
