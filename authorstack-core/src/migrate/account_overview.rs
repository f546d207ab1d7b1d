//! What is known of all accounts of a service, in eight bytes or little more for each.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use chrono::{DateTime, Utc};

use crate::{AuthId, Email};

/// Which accounts have an identity, and which account keeps an e-mail address, by 64-bit hashes.
#[derive(Default)]
pub(super) struct AccountOverview {
    hasher: RandomState,
    linked: HashSet<u64>,
    keepers: HashMap<u64, (DateTime<Utc>, u64)>,
}

impl AccountOverview {
    /// Notes an identity.
    pub(super) fn link(&mut self, id: &AuthId) {
        let id = self.hasher.hash_one(id);
        self.linked.insert(id);
    }

    pub(super) fn is_linked(&self, id: &AuthId) -> bool {
        self.linked.contains(&self.hasher.hash_one(id))
    }

    /// Notes an address: the account that was seen last keeps it.
    pub(super) fn add(&mut self, email: &Email, id: &AuthId, seen: DateTime<Utc>) {
        let (email, id) = (self.hasher.hash_one(email), self.hasher.hash_one(id));
        let keeper = self.keepers.entry(email).or_insert((seen, id));
        if *keeper < (seen, id) {
            *keeper = (seen, id);
        }
    }

    pub(super) fn is_anothers(&self, email: &Email, id: &AuthId) -> bool {
        let keeper = self.keepers.get(&self.hasher.hash_one(email));
        keeper.is_some_and(|(_, keeper)| *keeper != self.hasher.hash_one(id))
    }
}
