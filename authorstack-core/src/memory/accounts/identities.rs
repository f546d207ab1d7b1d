use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};

use crate::{AuthId, Error, Identity, IdentityProvider, IdentityRepository, MemoryStore, Result};

#[derive(Debug)]
pub(in crate::memory) struct MemoryIdentities(pub(in crate::memory) MemoryStore);

#[async_trait]
impl IdentityRepository for MemoryIdentities {
    async fn create(&self, identity: Identity) -> Result<Identity> {
        let mut records = self.0.lock();
        let tables = &mut records.accounts;
        tables.get(&identity.account_id)?;
        let key = (identity.provider.clone(), identity.subject.clone());
        match tables.identities.get(&key) {
            Some(there) if there.account_id == identity.account_id => Ok(there.clone()),
            Some(_) => Err(Error::already_exists("subject")),
            None => {
                tables.identities.insert(key, identity.clone());
                Ok(identity)
            }
        }
    }

    async fn get(&self, provider: &IdentityProvider, subject: &str) -> Result<Identity> {
        let records = self.0.lock();
        let key = (provider.clone(), subject.to_owned());
        let found = records.accounts.identities.get(&key).cloned();
        found.ok_or_else(Error::not_found)
    }

    async fn list(&self, account_id: &AuthId) -> Result<Vec<Identity>> {
        let records = self.0.lock();
        let identities = records.accounts.identities.values();
        let own = identities.filter(|identity| identity.account_id == *account_id);
        let mut own: Vec<Identity> = own.cloned().collect();
        own.sort_by_key(|identity| identity.created_at);
        Ok(own)
    }

    fn stream(&self) -> BoxStream<'static, Result<Identity>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let next = |(store, after): (MemoryStore, Option<(IdentityProvider, String)>)| {
            let after = after.map_or(Unbounded, Excluded);
            let found = {
                let records = store.lock();
                let mut following = records.accounts.identities.range((after, Unbounded));
                following
                    .next()
                    .map(|(key, identity)| (key.clone(), identity.clone()))
            };
            let step = found.map(|(key, identity)| (Ok(identity), (store, Some(key))));
            std::future::ready(step)
        };
        stream::unfold((self.0.clone(), None), next).boxed()
    }

    async fn delete(&self, provider: &IdentityProvider, subject: &str) -> Result<()> {
        let key = (provider.clone(), subject.to_owned());
        let removed = self.0.lock().accounts.identities.remove(&key);
        removed.map(drop).ok_or_else(Error::not_found)
    }
}
