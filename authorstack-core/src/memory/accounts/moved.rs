//! Accounts in memory as records of a migration.

use super::tables::{AccountTables, StoredAccount};
use crate::{
    AuthId, Identity, IdentityProvider,
    migrate::{MovedAccount, MovedPassword, Problem, Record},
};

impl StoredAccount {
    fn moved(&self) -> MovedAccount {
        let password = match (&self.password, &self.lost_password) {
            (Some(hash), _) => MovedPassword::kept(hash.clone()),
            (None, Some(algorithm)) => MovedPassword::lost(algorithm),
            (None, None) => MovedPassword::none(),
        };
        MovedAccount::new(self.account.clone(), password)
    }
}

impl AccountTables {
    /// The accounts, in the order of their ids.
    pub(in crate::memory) fn moved_accounts(&self) -> impl Iterator<Item = Record> {
        self.accounts.values().map(|stored| stored.moved().into())
    }

    pub(in crate::memory) fn moved_account(&self, id: &AuthId) -> Option<Record> {
        self.accounts.get(id).map(|stored| stored.moved().into())
    }

    /// The identities, in the order of their keys.
    pub(in crate::memory) fn moved_identities(&self) -> impl Iterator<Item = Record> {
        self.identities.values().map(|it| it.clone().into())
    }

    /// Why an account cannot be stored, if it cannot.
    pub(in crate::memory) fn refused_account(&self, moved: &MovedAccount) -> Option<Problem> {
        self.check_unique(&moved.account).err().map(Problem::from)
    }

    /// Why an identity cannot be stored, if it cannot.
    pub(in crate::memory) fn refused_identity(&self, identity: &Identity) -> Option<Problem> {
        if !self.accounts.contains_key(&identity.account_id) {
            let problem = format!("there is no account {} in the target", identity.account_id);
            return Some(Problem::new("accountId", problem));
        }
        let key = (identity.provider.clone(), identity.subject.clone());
        let held = self.identities.get(&key);
        let other = held.filter(|held| held.account_id != identity.account_id)?;
        let problem = format!("is linked with account {} already", other.account_id);
        Some(Problem::new("subject", problem))
    }

    pub(in crate::memory) fn put_account(&mut self, moved: MovedAccount) {
        let stored = StoredAccount {
            password: moved.password.hash().cloned(),
            lost_password: moved.password.lost_algorithm().map(str::to_owned),
            account: moved.account,
        };
        self.accounts.insert(stored.account.id.clone(), stored);
    }

    pub(in crate::memory) fn put_identity(&mut self, identity: Identity) {
        let key = (identity.provider.clone(), identity.subject.clone());
        self.identities.insert(key, identity);
    }

    pub(in crate::memory) fn take_identity(&mut self, provider: IdentityProvider, subject: String) {
        self.identities.remove(&(provider, subject));
    }
}
