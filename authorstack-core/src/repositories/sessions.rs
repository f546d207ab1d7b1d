use async_trait::async_trait;

use crate::{AuthId, Result, Session, SessionId};

/// The operations on sessions.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SessionRepository: std::fmt::Debug + Send + Sync {
    /// The sessions of an account that have not ended, the newest first. There are none if there is
    /// no such account.
    ///
    /// # Errors
    /// Timeout or Unavailable of a service, as for every call.
    async fn list(&self, account_id: &AuthId) -> Result<Vec<Session>>;

    /// Ends a session. Its tokens are refused from then on, where they are checked with the service.
    ///
    /// # Errors
    /// NotFound, also when it is another account's.
    async fn revoke(&self, account_id: &AuthId, id: &SessionId) -> Result<()>;

    /// Ends all sessions of an account. It is no error if there are none.
    ///
    /// # Errors
    /// NotFound when there is no such account.
    async fn revoke_all(&self, account_id: &AuthId) -> Result<()>;
}
