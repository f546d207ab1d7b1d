use async_trait::async_trait;

use crate::{BearerToken, Principal, Result};

/// Finds out who has shown a token.
///
/// What an authenticator sees depends on how it looks. One that only checks the token's signature
/// and its times does not see that the session was ended or the account blocked meanwhile: the token
/// is good until it expires. One that asks the service sees both. Backends that offer both name them
/// by that.
///
/// ```
/// use authorstack_core::{AuthorStack, Credential, MemoryStore, NewAccount, Password};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// # let store = MemoryStore::new();
/// # let stack = AuthorStack::builder().accounts(&store).build();
/// # let mut account = NewAccount::new("ada@example.org".parse()?);
/// # account.credential = Credential::Password(Password::new("tide and time")?);
/// # let account = stack.accounts().create(account).await?;
/// # let token = store.sign_in(&"ada@example.org".parse()?, "tide and time")?;
/// // `BearerToken::from_header` reads it from a request.
/// let who = stack.authenticator().authenticate(&token).await?;
/// assert_eq!(who.account_id, account.id);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Authenticator: std::fmt::Debug + Send + Sync {
    /// Who has shown this token.
    ///
    /// # Errors
    /// Unauthenticated for a token that is wrong, has expired, or whose session has ended;
    /// `PermissionDenied` for a blocked account; Timeout or Unavailable of the service: that says
    /// nothing of the token.
    async fn authenticate(&self, token: &BearerToken) -> Result<Principal>;
}
