use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};

use crate::{
    AccountPreferences, AccountPreferencesPatch, AuthId, Error, ErrorKind, MemoryStore,
    PreferencesRepository, Result, time,
};

#[derive(Debug)]
pub(in crate::memory) struct MemoryPreferences(pub(in crate::memory) MemoryStore);

impl MemoryPreferences {
    fn found(&self, account_id: &AuthId) -> AccountPreferences {
        let records = self.0.lock();
        let found = records.accounts.preferences.get(account_id).cloned();
        found.unwrap_or_else(|| AccountPreferences::empty(account_id.clone()))
    }
}

#[async_trait]
impl PreferencesRepository for MemoryPreferences {
    async fn get(&self, account_id: &AuthId) -> Result<AccountPreferences> {
        Ok(self.found(account_id))
    }

    async fn put(&self, preferences: AccountPreferences) -> Result<AccountPreferences> {
        let mut put = preferences;
        {
            let mut records = self.0.lock();
            let tables = &mut records.accounts;
            tables.get(&put.account_id)?;
            let before = tables.preferences.get(&put.account_id);
            let before = before.and_then(|there| there.updated_at);
            put.updated_at = Some(before.map_or_else(time::now, time::next_update));
            let id = put.account_id.clone();
            tables.preferences.insert(id, put.clone());
        }
        self.0.shared.preferences_changed.notify_waiters();
        Ok(put)
    }

    async fn update(
        &self,
        account_id: &AuthId,
        patch: AccountPreferencesPatch,
    ) -> Result<AccountPreferences> {
        let changed = {
            let mut records = self.0.lock();
            let tables = &mut records.accounts;
            tables.get(account_id)?;
            let stored = tables.preferences.entry(account_id.clone());
            let stored = stored.or_insert_with_key(|id| AccountPreferences::empty(id.clone()));
            patch.apply(stored);
            stored.clone()
        };
        self.0.shared.preferences_changed.notify_waiters();
        Ok(changed)
    }

    fn watch(&self, account_id: AuthId) -> BoxStream<'static, Result<AccountPreferences>> {
        let watch = Watch {
            store: self.0.clone(),
            account_id,
            seen: None,
            has_ended: false,
        };
        stream::unfold(watch, Watch::next).boxed()
    }
}

struct Watch {
    store: MemoryStore,
    account_id: AuthId,
    seen: Option<AccountPreferences>,
    has_ended: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<AccountPreferences>, Self)> {
        if self.has_ended {
            return None;
        }
        let shared = self.store.shared.clone();
        loop {
            let changed = shared.preferences_changed.notified();
            tokio::pin!(changed);
            // From here on a change is noticed, so none falls between the look and the wait.
            changed.as_mut().enable();
            match self.look() {
                Ok(now) if self.seen.as_ref() != Some(&now) => {
                    self.seen = Some(now.clone());
                    return Some((Ok(now), self));
                }
                Ok(_) => changed.await,
                Err(ended) => {
                    self.has_ended = true;
                    return Some((Err(ended), self));
                }
            }
        }
    }

    fn look(&self) -> Result<AccountPreferences> {
        let account_is_blocked = {
            let records = self.store.lock();
            records.accounts.get(&self.account_id)?.account.is_blocked
        };
        if account_is_blocked {
            return Err(Error::new(ErrorKind::PermissionDenied {
                reason: "the account is blocked".into(),
            }));
        }
        Ok(MemoryPreferences(self.store.clone()).found(&self.account_id))
    }
}
