use async_trait::async_trait;
use authorstack_core::{
    AccountPreferences, AccountPreferencesPatch, AuthId, PreferencesRepository, Result,
};
use futures::stream::BoxStream;

use crate::{
    api::known_id,
    settings::{self, Write},
    store::AppwriteAccounts,
    task::to_the_end,
    watch::Watch,
};

#[derive(Debug)]
pub(crate) struct AppwritePreferences(pub(crate) AppwriteAccounts);

impl AppwritePreferences {
    async fn write(&self, id: &AuthId, write: Write) -> Result<AccountPreferences> {
        known_id(id)?;
        let (accounts, id) = (self.0.clone(), id.clone());
        to_the_end(async move { settings::write(&accounts, &id, &write).await }).await
    }
}

#[async_trait]
impl PreferencesRepository for AppwritePreferences {
    async fn get(&self, account_id: &AuthId) -> Result<AccountPreferences> {
        if known_id(account_id).is_ok()
            && let Some(row) = self.0.rows().of(account_id).await?
        {
            return settings::read(&row, account_id);
        }
        Ok(AccountPreferences::empty(account_id.clone()))
    }

    async fn put(&self, preferences: AccountPreferences) -> Result<AccountPreferences> {
        let id = preferences.account_id.clone();
        self.write(&id, Write::Put(preferences)).await
    }

    async fn update(
        &self,
        account_id: &AuthId,
        patch: AccountPreferencesPatch,
    ) -> Result<AccountPreferences> {
        self.write(account_id, Write::Patch(patch)).await
    }

    fn watch(&self, account_id: AuthId) -> BoxStream<'static, Result<AccountPreferences>> {
        Watch::start(self.0.clone(), account_id)
    }
}
