use std::collections::BTreeMap;

use crate::{
    Account, AccountPreferences, AuthId, Error, Identity, IdentityProvider, PasswordHash, Result,
    Session, SessionId,
};

/// An account, and the hash of its password.
#[derive(Debug, Clone)]
pub(super) struct StoredAccount {
    pub(super) account: Account,
    pub(super) password: Option<PasswordHash>,
    /// The algorithm of a password whose hash could not move here.
    pub(super) lost_password: Option<String>,
}

/// A session, and the digest of its token.
#[derive(Debug)]
pub(super) struct StoredSession {
    pub(super) session: Session,
    pub(super) token: blake3::Hash,
}

#[derive(Debug, Default)]
pub(in crate::memory) struct AccountTables {
    pub(super) accounts: BTreeMap<AuthId, StoredAccount>,
    pub(super) identities: BTreeMap<(IdentityProvider, String), Identity>,
    pub(super) sessions: BTreeMap<SessionId, StoredSession>,
    pub(super) preferences: BTreeMap<AuthId, AccountPreferences>,
}

impl AccountTables {
    pub(super) fn get(&self, id: &AuthId) -> Result<&StoredAccount> {
        self.accounts.get(id).ok_or_else(Error::not_found)
    }

    pub(super) fn get_mut(&mut self, id: &AuthId) -> Result<&mut StoredAccount> {
        self.accounts.get_mut(id).ok_or_else(Error::not_found)
    }

    /// Checks the unique fields against every other account.
    pub(super) fn check_unique(&self, candidate: &Account) -> Result<()> {
        let others = self.accounts.values().map(|stored| &stored.account);
        for other in others.filter(|other| other.id != candidate.id) {
            if other.email.is_some() && other.email == candidate.email {
                return Err(Error::already_exists("email"));
            }
            if other.phone.is_some() && other.phone == candidate.phone {
                return Err(Error::already_exists("phone"));
            }
        }
        Ok(())
    }

    pub(super) fn end_sessions(&mut self, id: &AuthId) {
        self.sessions
            .retain(|_, stored| stored.session.account_id != *id);
    }

    /// Removes the account and what belongs to it; whether it was there.
    pub(in crate::memory) fn remove(&mut self, id: &AuthId) -> bool {
        self.end_sessions(id);
        self.identities
            .retain(|_, identity| identity.account_id != *id);
        self.preferences.remove(id);
        self.accounts.remove(id).is_some()
    }
}
