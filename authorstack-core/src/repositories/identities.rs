use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{AuthId, Identity, IdentityProvider, Result};

/// The operations on identities: the accounts of other services that accounts are linked with.
///
/// ```
/// use authorstack_core::{AuthorStack, Identity, IdentityProvider, NewAccount};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let account = stack.accounts().create(NewAccount::new("ada@example.org".parse()?)).await?;
/// let google = Identity::new(account.id.clone(), IdentityProvider::GOOGLE, "104298734");
/// stack.identities().create(google).await?;
/// let found = stack.identities().get(&IdentityProvider::GOOGLE, "104298734").await?;
/// assert_eq!(found.account_id, account.id);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait IdentityRepository: std::fmt::Debug + Send + Sync {
    /// Links an account with an account of another service. An identity that is there already is
    /// returned unchanged.
    ///
    /// # Errors
    /// NotFound when there is no such account; AlreadyExists for `subject` when the identity is
    /// another account's; Unsupported where only a sign-in by the owner makes one; Timeout or
    /// Unavailable of a service, as for every call.
    async fn create(&self, identity: Identity) -> Result<Identity>;

    /// The identity of this owner at the other service.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, provider: &IdentityProvider, subject: &str) -> Result<Identity>;

    /// The identities of an account, the oldest first. There are none if there is no such account.
    ///
    /// # Errors
    /// Only those of the service.
    async fn list(&self, account_id: &AuthId) -> Result<Vec<Identity>>;

    /// Streams all identities, each once, with constant memory. One that cannot be read comes as an
    /// error of kind [`Corrupt`](crate::ErrorKind::Corrupt), and the stream goes on.
    fn stream(&self) -> BoxStream<'static, Result<Identity>>;

    /// Removes the link.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, provider: &IdentityProvider, subject: &str) -> Result<()>;
}
