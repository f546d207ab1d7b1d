use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{AccountPreferences, AccountPreferencesPatch, AuthId, Result};

/// The operations on the settings of accounts.
///
/// ```
/// use authorstack_core::{AccountPreferencesPatch, AuthorStack, Change, NewAccount, Theme};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let account = stack.accounts().create(NewAccount::new("ada@example.org".parse()?)).await?;
/// let mut patch = AccountPreferencesPatch::default();
/// patch.theme = Change::Set(Theme::Dark);
/// stack.preferences().update(&account.id, patch).await?;
/// assert_eq!(stack.preferences().get(&account.id).await?.theme, Some(Theme::Dark));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait PreferencesRepository: std::fmt::Debug + Send + Sync {
    /// The settings of an account; [empty](AccountPreferences::empty) ones if it has never stored
    /// any, or is not there.
    ///
    /// # Errors
    /// Corrupt if they cannot be read; Timeout or Unavailable of a service, as for every call.
    async fn get(&self, account_id: &AuthId) -> Result<AccountPreferences>;

    /// Stores settings; they replace all old ones. Returns them with the moment of the change, which
    /// is later than that of the change before. What the caller gives as `updated_at` is not read.
    ///
    /// # Errors
    /// NotFound when there is no such account; Invalid.
    async fn put(&self, preferences: AccountPreferences) -> Result<AccountPreferences>;

    /// Changes the settings that the patch sets, and leaves the others as they are at that moment.
    ///
    /// # Errors
    /// NotFound when there is no such account; Invalid.
    async fn update(
        &self,
        account_id: &AuthId,
        patch: AccountPreferencesPatch,
    ) -> Result<AccountPreferences>;

    /// Follows the settings of an account: first as they are now, then each time that they were
    /// changed. Changes that follow each other quickly may come as one; the last one always comes.
    ///
    /// The stream goes on until the host drops it; a service that does not answer is asked again. It
    /// ends with NotFound when the account is deleted, and with `PermissionDenied` when it is blocked,
    /// where the service says so. Until then it is one call under way: a layer that limits or drains
    /// calls counts it.
    fn watch(&self, account_id: AuthId) -> BoxStream<'static, Result<AccountPreferences>>;
}
