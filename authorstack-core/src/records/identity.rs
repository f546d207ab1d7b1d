//! Identities: accounts of other services that an account is linked with, and its sessions.

use chrono::{DateTime, Utc};

use super::{check::check_fields, fields::fields, json::json};
use crate::{AuthId, Email, Error, Extra, IdentityProvider, Result, SessionId, limits, time};

/// An account of another service, such as Google, by which an account signs in (OAuth). The
/// provider and the subject are unique together. The provider's tokens are never in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account_id: AuthId,
    /// The other service.
    pub provider: IdentityProvider,
    /// The id of the owner there.
    pub subject: String,
    /// The e-mail address there.
    pub email: Option<Email>,
    /// When it was linked.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Fields that AuthorStack does not know, such as the name there.
    pub extra: Extra,
}

impl Identity {
    /// An identity that is linked now.
    #[must_use]
    pub fn new(account_id: AuthId, provider: IdentityProvider, subject: impl Into<String>) -> Self {
        Self {
            account_id,
            provider,
            subject: subject.into(),
            email: None,
            created_at: time::now(),
            last_used_at: None,
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        if self.subject.is_empty() {
            let reason = "is empty; give the id of the owner at the other service";
            return Err(Error::invalid("subject", reason));
        }
        check_fields(self)
    }
}

/// A session: one sign-in of an account that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// The account.
    pub account_id: AuthId,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used, as far as the service says.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it ends by itself; `None` if the service does not say.
    pub expires_at: Option<DateTime<Utc>>,
    /// The address of the client.
    pub ip: Option<String>,
    /// The client, as far as it says.
    pub client: Option<String>,
}

/// Who has shown a [`BearerToken`](crate::BearerToken).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub account_id: AuthId,
    /// The session, if the token names one.
    pub session_id: Option<SessionId>,
    /// When the token ends; `None` if the service does not say.
    pub expires_at: Option<DateTime<Utc>>,
}

json!(Identity, Session);

fields! {
    Identity, extra: extra;
    account_id: "accountId" required("say whose identity it is"),
    provider: "provider" required("name the other service"),
    subject: "subject" most(limits::ENTRY) required("give the owner's id at the other service"),
    email: "email",
    created_at: "createdAt" required("say when it was linked"),
    last_used_at: "lastUsedAt",
}

fields! {
    Session;
    id: "id" required("a session needs an id"),
    account_id: "accountId" required("say whose session it is"),
    created_at: "createdAt" required("say when it began"),
    last_used_at: "lastUsedAt",
    expires_at: "expiresAt",
    ip: "ip",
    client: "client",
}
