//! What becomes of accounts: whose password stays, who has no profile, which providers are in use.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use serde::Serialize;

use crate::{
    AuthId, Id, User,
    migrate::{Group, Key, Kind, Problem, Record, providers::is_linked_anew},
};

/// What becomes of the accounts in a migration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AccountsPlan {
    /// The accounts with a password, by the algorithm of its hash.
    pub passwords: Vec<PasswordCount>,
    /// Accounts without a password: by a provider or a link alone.
    pub without_password: u64,
    /// Accounts whose second factor stays behind.
    pub with_mfa: u64,
    /// Accounts that are blocked, and stay so.
    pub blocked: u64,
    /// Anonymous accounts that move.
    pub anonymous: u64,
    /// Accounts that no profile belongs to. They move, and get a profile like new ones.
    pub without_profile: Examples,
    /// Profiles that no account belongs to: their owners cannot sign in.
    pub profiles_without_account: Examples,
    /// How many identities move of each provider, by Supabase's name for it.
    pub providers: BTreeMap<String, u64>,
    /// How many identities do not move of providers that are in use all the same: a sign-in links
    /// their people anew, by a verified address.
    pub linked_anew: BTreeMap<String, u64>,
}

impl AccountsPlan {
    /// The providers that people sign in with, by Supabase's names.
    #[must_use]
    pub fn providers_in_use(&self) -> BTreeSet<&str> {
        let all = self.providers.keys().chain(self.linked_anew.keys());
        all.map(String::as_str).collect()
    }

    /// How many accounts keep their password.
    #[must_use]
    pub fn kept(&self) -> u64 {
        let kept = self.passwords.iter().filter(|count| count.kept);
        kept.map(|count| count.accounts).sum()
    }

    /// How many accounts need a new password.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let lost = self.passwords.iter().filter(|count| !count.kept);
        lost.map(|count| count.accounts).sum()
    }
}

/// How many accounts have a hash of one algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PasswordCount {
    /// The algorithm.
    pub algorithm: String,
    /// Whether the hash moves, so that the password stays.
    pub kept: bool,
    /// How many accounts there are.
    pub accounts: u64,
}

/// Records that are counted, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Examples {
    /// How many there are.
    pub count: u64,
    /// The keys of the first ones.
    pub first: Vec<String>,
}

impl Examples {
    /// How many are named.
    pub const NAMED: usize = 20;

    fn add(&mut self, key: &impl ToString) {
        self.count += 1;
        if self.first.len() < Self::NAMED {
            self.first.push(key.to_string());
        }
    }
}

/// What is found while the source is read. Ids of accounts are kept as hashes of 64 bits.
pub(super) struct AccountsFound {
    hasher: RandomState,
    plan: AccountsPlan,
    passwords: BTreeMap<(bool, String), u64>,
    /// The profiles that no account was found for yet; `None` if no profiles are read.
    profiles: Option<HashMap<u64, Id<User>>>,
    accounts: HashSet<u64>,
    has_accounts: bool,
}

impl AccountsFound {
    /// `None` if there are no accounts among the kinds.
    pub(super) fn of(kinds: &[Kind]) -> Option<Self> {
        kinds
            .iter()
            .any(|kind| kind.is_of(Group::Accounts))
            .then(|| Self {
                hasher: RandomState::new(),
                plan: AccountsPlan::default(),
                passwords: BTreeMap::new(),
                profiles: kinds.contains(&Kind::Users).then(HashMap::new),
                accounts: HashSet::new(),
                has_accounts: kinds.contains(&Kind::Accounts),
            })
    }

    fn hash(&self, id: &AuthId) -> u64 {
        self.hasher.hash_one(id)
    }

    /// Refuses an identity whose account does not move.
    pub(super) fn check(&self, record: &Record) -> Result<(), Problem> {
        match record {
            Record::Identity(identity)
                if self.has_accounts
                    && !self.accounts.contains(&self.hash(&identity.account_id)) =>
            {
                let account = &identity.account_id;
                let problem = format!("there is no account {account} that could move");
                Err(Problem::new("accountId", problem))
            }
            _ => Ok(()),
        }
    }

    /// Notes a record that does not move.
    pub(super) fn reject(&mut self, kind: Kind, key: &str) {
        if kind == Kind::Identities
            && let Ok(Key::Identity(provider, _)) = Key::parse(kind, key)
            && is_linked_anew(&provider)
        {
            let count = self.plan.linked_anew.entry(provider.to_string());
            *count.or_default() += 1;
        }
    }

    /// Adds a record that moves.
    pub(super) fn add(&mut self, record: &Record) {
        match record {
            Record::User(user) => {
                let hash = self.hash(&user.auth_id);
                if let Some(profiles) = &mut self.profiles {
                    profiles.insert(hash, user.id);
                }
            }
            Record::Account(moved) => {
                let (account, password) = (&moved.account, &moved.password);
                let hash = self.hash(&account.id);
                self.accounts.insert(hash);
                match password.algorithm() {
                    Some(algorithm) => {
                        let kept = password.lost_algorithm().is_none();
                        let count = self.passwords.entry((!kept, algorithm.to_owned()));
                        *count.or_default() += 1;
                    }
                    None => self.plan.without_password += 1,
                }
                self.plan.with_mfa += u64::from(account.has_mfa);
                self.plan.blocked += u64::from(account.is_blocked);
                self.plan.anonymous += u64::from(account.is_anonymous);
                if let Some(profiles) = &mut self.profiles
                    && profiles.remove(&hash).is_none()
                {
                    self.plan
                        .without_profile
                        .add(&Key::Account(account.id.clone()));
                }
            }
            Record::Identity(identity) => {
                let provider = identity.provider.to_string();
                *self.plan.providers.entry(provider).or_default() += 1;
            }
            _ => {}
        }
    }

    pub(super) fn into_plan(self) -> AccountsPlan {
        let mut plan = self.plan;
        let passwords = self.passwords.into_iter();
        plan.passwords = passwords
            .map(|((lost, algorithm), accounts)| PasswordCount {
                algorithm,
                kept: !lost,
                accounts,
            })
            .collect();
        if self.has_accounts {
            let mut left: Vec<Id<User>> = self
                .profiles
                .into_iter()
                .flat_map(HashMap::into_values)
                .collect();
            left.sort_unstable();
            for id in left {
                plan.profiles_without_account.add(&id);
            }
        }
        plan
    }
}
