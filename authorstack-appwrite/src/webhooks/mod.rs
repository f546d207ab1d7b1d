//! Webhooks: who sent them, what they tell of, and whether they came before.

mod event;
mod seen;

use std::fmt;

use authorstack_core::{
    Error, Result,
    secrecy::{ExposeSecret, SecretString},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;

pub use event::{Delivery, WebhookEvent};
pub use seen::{DeliveryKey, SeenDeliveries};

use crate::store::AppwriteAccounts;

/// Checks the signatures of one webhook, and reads its deliveries.
///
/// A signature covers the address and the body. It covers neither the names of the events nor a
/// moment: whoever has seen a delivery can send its body again, also under another name. So a
/// delivery tells a host where to look; what it acts on, it reads from the service. [`SeenDeliveries`]
/// recognises repeated ones.
///
/// ```
/// use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
///
/// # fn main() -> authorstack_core::Result<()> {
/// let config = AppwriteConfig::new("https://fra.cloud.appwrite.io/v1", "books", "standard_x".into());
/// let accounts = AppwriteAccounts::new(config)?;
/// let webhook = accounts.webhook("https://example.org/hooks/appwrite", &"signing key".into())?;
/// assert!(webhook.read("bm8gc2lnbmF0dXJl", "users.a.create", b"{}").is_err());
/// # Ok(())
/// # }
/// ```
pub struct Webhook {
    url: String,
    key: hmac::Key,
    database: String,
    table: String,
}

/// Does not show the key.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl AppwriteAccounts {
    /// A webhook of the project: its address exactly as it is configured there, and its signature
    /// key.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration) of
    /// `appwrite_webhook_key` if it is empty: anybody could sign with it.
    pub fn webhook(&self, url: impl Into<String>, key: &SecretString) -> Result<Webhook> {
        let key = key.expose_secret();
        if key.is_empty() {
            return Err(Error::configuration(
                "appwrite_webhook_key",
                "is empty; copy the signature key of the webhook from the project's settings",
            ));
        }
        Ok(Webhook {
            url: url.into(),
            // Appwrite signs with SHA-1. HMAC does not need a hash without collisions.
            key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes()),
            database: self.rows().database.clone(),
            table: self.rows().table.clone(),
        })
    }
}

impl Webhook {
    /// Checks a signature, the header `X-Appwrite-Webhook-Signature`, in constant time.
    ///
    /// # Errors
    /// Unauthenticated.
    pub fn verify(&self, signature: &str, body: &[u8]) -> Result<()> {
        let signature = BASE64_STANDARD.decode(signature.trim());
        let signature = signature.map_err(|_| Error::unauthenticated())?;
        let message = [self.url.as_bytes(), body].concat();
        hmac::verify(&self.key, &message, &signature).map_err(|_| Error::unauthenticated())
    }

    /// Checks the signature, and reads the delivery: the headers `X-Appwrite-Webhook-Signature` and
    /// `X-Appwrite-Webhook-Events`, and the body byte by byte.
    ///
    /// # Errors
    /// Unauthenticated for a wrong signature; Corrupt for a body that cannot be read.
    pub fn read(&self, signature: &str, events: &str, body: &[u8]) -> Result<Delivery> {
        self.verify(signature, body)?;
        event::read(events, body, (&self.database, &self.table))
    }
}
