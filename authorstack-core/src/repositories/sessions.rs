use async_trait::async_trait;

use crate::{AuthId, Result, Session, SessionId};

/// The operations on sessions.
///
/// ```
/// use authorstack_core::{AuthorStack, Credential, MemoryStore, NewAccount, Password};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let store = MemoryStore::new();
/// let stack = AuthorStack::builder().accounts(&store).build();
/// let mut account = NewAccount::new("ada@example.org".parse()?);
/// account.credential = Credential::Password(Password::new("tide and time")?);
/// let account = stack.accounts().create(account).await?;
/// store.sign_in(&"ada@example.org".parse()?, "tide and time")?;
///
/// assert_eq!(stack.sessions().list(&account.id).await?.len(), 1);
/// stack.sessions().revoke_all(&account.id).await?;
/// assert!(stack.sessions().list(&account.id).await?.is_empty());
/// # Ok(())
/// # }
/// ```
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
