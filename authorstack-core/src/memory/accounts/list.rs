use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};

use super::{
    passwords,
    tables::{AccountTables, StoredAccount},
};
use crate::{
    Account, AccountPatch, AccountRepository, AuthId, AuthProvider, Credential, Email, Error,
    ExportedAccount, Id, MemoryStore, NewAccount, Result, StoredPassword, time,
};

#[derive(Debug)]
pub(in crate::memory) struct MemoryAccounts(pub(in crate::memory) MemoryStore);

impl MemoryAccounts {
    fn change(&self, id: &AuthId, change: impl FnOnce(&mut Account)) -> Result<Account> {
        let mut records = self.0.lock();
        let tables = &mut records.accounts;
        let mut changed = tables.get(id)?.account.clone();
        let before = changed.clone();
        change(&mut changed);
        if changed == before {
            return Ok(before);
        }
        changed.updated_at = time::next_update(before.updated_at);
        changed.check()?;
        tables.check_unique(&changed)?;
        tables.get_mut(id)?.account = changed.clone();
        drop(records);
        // A follower of the settings learns that the account was blocked.
        self.0.shared.preferences_changed.notify_waiters();
        Ok(changed)
    }

    /// Goes through the accounts in the order of their ids, and looks each up when its turn comes.
    fn walk<T: Send + 'static>(
        &self,
        make: fn(&StoredAccount) -> T,
    ) -> BoxStream<'static, Result<T>> {
        let next = move |(store, after): (MemoryStore, Option<AuthId>)| {
            let found = next_of(&store.lock().accounts, after.as_ref())
                .map(|stored| (make(stored), stored.account.id.clone()));
            let step = found.map(|(item, id)| (Ok(item), (store, Some(id))));
            std::future::ready(step)
        };
        stream::unfold((self.0.clone(), None), next).boxed()
    }
}

fn next_of<'t>(tables: &'t AccountTables, after: Option<&AuthId>) -> Option<&'t StoredAccount> {
    use std::ops::Bound::{Excluded, Unbounded};
    let after = after.map_or(Unbounded, Excluded);
    let mut following = tables.accounts.range::<AuthId, _>((after, Unbounded));
    following.next().map(|(_, stored)| stored)
}

#[async_trait]
impl AccountRepository for MemoryAccounts {
    async fn create(&self, account: NewAccount) -> Result<Account> {
        let password = passwords::stored(&account.credential)?;
        let id = Id::<Account>::new().to_string().parse()?;
        let account = account.into_account(id, AuthProvider::MEMORY);
        let mut records = self.0.lock();
        let tables = &mut records.accounts;
        if tables.accounts.contains_key(&account.id) {
            return Err(Error::already_exists("id"));
        }
        tables.check_unique(&account)?;
        let stored = StoredAccount {
            account: account.clone(),
            password,
            lost_password: None,
        };
        tables.accounts.insert(account.id.clone(), stored);
        Ok(account)
    }

    async fn get(&self, id: &AuthId) -> Result<Account> {
        Ok(self.0.lock().accounts.get(id)?.account.clone())
    }

    async fn get_by_email(&self, email: &Email) -> Result<Account> {
        let records = self.0.lock();
        let mut accounts = records.accounts.accounts.values();
        let found = accounts.find(|stored| stored.account.email.as_ref() == Some(email));
        let found = found.ok_or_else(Error::not_found)?;
        Ok(found.account.clone())
    }

    fn stream(&self) -> BoxStream<'static, Result<Account>> {
        self.walk(|stored| stored.account.clone())
    }

    fn export(&self) -> BoxStream<'static, Result<ExportedAccount>> {
        self.walk(|stored| ExportedAccount {
            account: stored.account.clone(),
            password: match &stored.password {
                Some(hash) => StoredPassword::Hash(hash.clone()),
                None => StoredPassword::None,
            },
        })
    }

    async fn update(&self, id: &AuthId, patch: AccountPatch) -> Result<Account> {
        self.change(id, |account| patch.apply(account))
    }

    async fn set_credential(&self, id: &AuthId, credential: Credential) -> Result<()> {
        let password = passwords::stored(&credential)?;
        let mut records = self.0.lock();
        let stored = records.accounts.get_mut(id)?;
        stored.password = password;
        stored.lost_password = None;
        stored.account.updated_at = time::next_update(stored.account.updated_at);
        records.accounts.end_sessions(id);
        Ok(())
    }

    async fn block(&self, id: &AuthId) -> Result<Account> {
        self.change(id, |account| account.is_blocked = true)
    }

    async fn unblock(&self, id: &AuthId) -> Result<Account> {
        self.change(id, |account| account.is_blocked = false)
    }

    async fn delete(&self, id: &AuthId) -> Result<()> {
        let was_there = self.0.lock().accounts.remove(id);
        self.0.shared.preferences_changed.notify_waiters();
        if was_there {
            Ok(())
        } else {
            Err(Error::not_found())
        }
    }
}
