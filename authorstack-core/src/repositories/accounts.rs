use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    Account, AccountPatch, AuthId, Credential, Email, ExportedAccount, NewAccount, Result,
};

/// The operations on accounts at the authentication provider.
///
/// Every call that changes an account returns it as changed.
///
/// ```
/// use authorstack_core::{AuthorStack, Credential, NewAccount, Password};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let mut account = NewAccount::new("ada@example.org".parse()?);
/// account.credential = Credential::Password(Password::new("tide and time")?);
/// let account = stack.accounts().create(account).await?;
/// assert!(stack.accounts().block(&account.id).await?.is_blocked);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AccountRepository: std::fmt::Debug + Send + Sync {
    /// Creates an account. With [`Credential::Hash`] it keeps a password from another service.
    ///
    /// # Errors
    /// AlreadyExists for `id`, `email` or `phone`; Invalid; Unsupported for a hash, an id or a form
    /// of account that the service does not take; Timeout or Unavailable of a service, as for every
    /// call.
    async fn create(&self, account: NewAccount) -> Result<Account>;

    /// The account with this id.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, id: &AuthId) -> Result<Account>;

    /// The account with this e-mail address, whatever its case.
    ///
    /// # Errors
    /// NotFound.
    async fn get_by_email(&self, email: &Email) -> Result<Account>;

    /// Streams all accounts, each once, with constant memory. Accounts that are created or deleted
    /// meanwhile may or may not be included.
    ///
    /// An account that cannot be read comes as an error of kind
    /// [`Corrupt`](crate::ErrorKind::Corrupt), and the stream goes on. Any other error is its last
    /// item.
    fn stream(&self) -> BoxStream<'static, Result<Account>>;

    /// Streams all accounts with the hashes of their passwords: for a move to another service. As
    /// [`AccountRepository::stream`], otherwise.
    fn export(&self) -> BoxStream<'static, Result<ExportedAccount>>;

    /// Changes the fields that the patch sets. A new address or number counts as not verified,
    /// unless the patch says that it is.
    ///
    /// # Errors
    /// NotFound; AlreadyExists for `email` or `phone`; Invalid, also when neither is left.
    async fn update(&self, id: &AuthId, patch: AccountPatch) -> Result<Account>;

    /// Changes what the account signs in with, and ends all its sessions.
    ///
    /// # Errors
    /// NotFound; Invalid; Unsupported for a hash or for no password, where the service cannot store
    /// that later.
    async fn set_credential(&self, id: &AuthId, credential: Credential) -> Result<()>;

    /// Refuses sign-ins from now on. The service also refuses the sessions that are open, where a
    /// token is checked with it: see [`Authenticator`](crate::Authenticator). It is no error if the
    /// account is blocked already.
    ///
    /// # Errors
    /// NotFound.
    async fn block(&self, id: &AuthId) -> Result<Account>;

    /// Allows sign-ins again. It is no error if they are allowed already.
    ///
    /// # Errors
    /// NotFound.
    async fn unblock(&self, id: &AuthId) -> Result<Account>;

    /// Deletes the account with its sessions, identities and preferences. The profile stays:
    /// [`services::Erasure`](crate::services::Erasure) erases a user everywhere.
    ///
    /// # Errors
    /// NotFound. What a call that broke off has left is deleted then, too.
    async fn delete(&self, id: &AuthId) -> Result<()>;
}
