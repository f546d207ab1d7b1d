//! The accounts of any account service as the target of a migration: the way back.

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use super::{
    AccountSource, Applied, BatchLimits, Key, Kind, MovedAccount, Original, Position, Problem,
    Problems, Record, Scanned, ScannedBatch, Sink, SinkBatch, SinkState, Snapshot,
};
use crate::{
    Account, AccountPatch, AccountStore, Accounts, AuthId, Change, Credential, ErrorKind, Identity,
    NewAccount, Result,
};

/// The accounts and identities of an [`AccountStore`], as the target of a migration.
///
/// Each goes by the calls of the service, one after the other. What the service does not take is
/// refused with its reason: a hash without an e-mail address, an identity that only a sign-in
/// makes. What it took stays when a later call of the same account fails, and is brought up to date
/// by the next run.
///
/// ```
/// use std::sync::Arc;
///
/// use authorstack_core::{MemoryStore, migrate::{AccountSink, Destination}};
///
/// let (service, ledger) = (MemoryStore::new(), Arc::new(MemoryStore::new()));
/// let back = Destination::paired(Arc::new(AccountSink::new(&service)), ledger);
/// # let _ = back;
/// ```
#[derive(Clone)]
pub struct AccountSink {
    accounts: Accounts,
    /// The service as it is read, with every hash and every account.
    present: AccountSource,
}

impl fmt::Debug for AccountSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountSink").field(&self.present).finish()
    }
}

impl AccountSink {
    /// The accounts of a service.
    #[must_use]
    pub fn new<S: AccountStore + ?Sized>(service: &S) -> Self {
        Self {
            accounts: service.accounts(),
            present: AccountSource::new(service).anonymous(super::Anonymous::Move),
        }
    }

    /// Writes a record. Returns whether anything changed.
    async fn put(&self, record: &Record, there: Option<&Record>) -> Result<Result<bool, Problems>> {
        let done = match (record, there) {
            (Record::Account(moved), Some(Record::Account(there))) => {
                self.bring_up_to_date(moved, there).await
            }
            (Record::Account(moved), _) => self.create(moved).await.map(|()| true),
            (Record::Identity(identity), there) => {
                let is_same = there.is_some_and(|there| there == record);
                self.link(identity).await.map(|()| !is_same)
            }
            (other, _) => {
                let problem = format!("an account service holds no {}", other.kind());
                return Ok(Err(Problem::new("", problem).into()));
            }
        };
        match done {
            Ok(changed) => Ok(Ok(changed)),
            Err(error) => match error.kind() {
                ErrorKind::Invalid { .. }
                | ErrorKind::AlreadyExists { .. }
                | ErrorKind::Unsupported { .. } => Ok(Err(error.into())),
                ErrorKind::NotFound => {
                    let problem = "there is no such account in the target; move it first";
                    Ok(Err(Problem::new("accountId", problem).into()))
                }
                _ => Err(error),
            },
        }
    }

    async fn create(&self, moved: &MovedAccount) -> Result<()> {
        let account = &moved.account;
        let mut new = new_account(moved);
        let made = match self.accounts.accounts.create(new.clone()).await {
            // Some services set the dates themselves. Whatever else is refused is refused again.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported { .. }) => {
                (new.created_at, new.last_seen_at) = (None, None);
                self.accounts.accounts.create(new).await
            }
            made => made,
        };
        made?;
        if account.is_blocked {
            self.accounts.accounts.block(&account.id).await?;
        }
        Ok(())
    }

    async fn bring_up_to_date(&self, moved: &MovedAccount, there: &MovedAccount) -> Result<bool> {
        let (wanted, before) = (&moved.account, &there.account);
        let (accounts, id) = (&self.accounts.accounts, &wanted.id);
        let patch = patch(wanted, before);
        let mut changed = false;
        if patch != AccountPatch::default() {
            accounts.update(id, patch).await?;
            changed = true;
        }
        if wanted.is_blocked != before.is_blocked {
            if wanted.is_blocked {
                accounts.block(id).await?;
            } else {
                accounts.unblock(id).await?;
            }
            changed = true;
        }
        // Last: some services take no hash for an account that is there.
        if moved.password != there.password && moved.password.lost_algorithm().is_none() {
            accounts.set_credential(id, credential(moved)).await?;
            changed = true;
        }
        Ok(changed)
    }

    async fn link(&self, identity: &Identity) -> Result<()> {
        self.accounts.identities.create(identity.clone()).await?;
        Ok(())
    }

    async fn remove(&self, key: &Key) -> Result<bool> {
        let removed = match key {
            Key::Account(id) => self.accounts.accounts.delete(id).await,
            Key::Identity(provider, subject) => {
                self.accounts.identities.delete(provider, subject).await
            }
            _ => return Ok(false),
        };
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The records that are there, by their keys.
    async fn there(&self, batch: &SinkBatch<'_>) -> Result<Vec<Scanned>> {
        let mut keys: Vec<String> = Vec::new();
        for record in batch.upserts {
            let is_there = match record {
                // Most are not, and reading them with their hashes takes a while.
                Record::Account(moved) => self.has(&moved.account.id).await?,
                _ => true,
            };
            if is_there {
                keys.push(record.key().to_string());
            }
        }
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.present.fetch(batch.kind, &keys).await
    }

    async fn has(&self, id: &AuthId) -> Result<bool> {
        match self.accounts.accounts.get(id).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            // It is there, and cannot be read.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn new_account(moved: &MovedAccount) -> NewAccount {
    let account = &moved.account;
    NewAccount {
        id: Some(account.id.clone()),
        email: account.email.clone(),
        email_verified: account.email_verified,
        phone: account.phone.clone(),
        phone_verified: account.phone_verified,
        name: account.name.clone(),
        labels: account.labels.clone(),
        prefs: account.prefs.clone(),
        has_mfa: account.has_mfa,
        is_anonymous: account.is_anonymous,
        credential: credential(moved),
        old_id: None,
        created_at: Some(account.created_at),
        last_seen_at: account.last_seen_at,
        extra: account.extra.clone(),
    }
}

fn credential(moved: &MovedAccount) -> Credential {
    match moved.password.hash() {
        Some(hash) => Credential::Hash(hash.clone()),
        None => Credential::None,
    }
}

/// What has to change for the account to be as wanted.
fn patch(wanted: &Account, before: &Account) -> AccountPatch {
    let email_changes = wanted.email != before.email;
    let phone_changes = wanted.phone != before.phone;
    let email_verified = email_changes || wanted.email_verified != before.email_verified;
    let phone_verified = phone_changes || wanted.phone_verified != before.phone_verified;
    AccountPatch {
        email: change(email_changes, wanted.email.as_ref()),
        email_verified: email_verified.then_some(wanted.email_verified),
        phone: change(phone_changes, wanted.phone.as_ref()),
        phone_verified: phone_verified.then_some(wanted.phone_verified),
        name: (wanted.name != before.name).then(|| wanted.name.clone()),
        labels: (wanted.labels != before.labels).then(|| wanted.labels.clone()),
        prefs: (wanted.prefs != before.prefs).then(|| wanted.prefs.clone()),
    }
}

fn change<T: Clone>(changes: bool, to: Option<&T>) -> Change<T> {
    match (changes, to) {
        (false, _) => Change::Keep,
        (true, Some(value)) => Change::Set(value.clone()),
        (true, None) => Change::Clear,
    }
}

#[async_trait]
impl Sink for AccountSink {
    fn name(&self) -> &'static str {
        Snapshot::name(&self.present)
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ACCOUNTS
    }

    async fn inspect(&self) -> Result<SinkState> {
        let mut state = SinkState::default();
        for kind in Kind::ACCOUNTS {
            state
                .records
                .push((*kind, self.present.count(*kind).await?));
        }
        Ok(state)
    }

    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    async fn begin(&self, _: Kind) -> Result<()> {
        Ok(())
    }

    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        let mut applied = Applied::default();
        for key in batch.removals {
            applied.removed += u64::from(self.remove(key).await?);
        }
        let there = self.there(batch).await?;
        for (index, record) in batch.upserts.iter().enumerate() {
            let key = record.key().to_string();
            let there = there.iter().find(|it| it.key == key);
            let there = there.and_then(|it| it.outcome.as_ref().ok());
            match self.put(record, there).await? {
                Ok(true) => applied.written += 1,
                Ok(false) => applied.unchanged += 1,
                Err(problems) => applied.refused.push((index, problems)),
            }
        }
        Ok(applied)
    }

    async fn finish(&self, _: Kind) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Snapshot for AccountSink {
    fn name(&self) -> &'static str {
        Snapshot::name(&self.present)
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ACCOUNTS
    }

    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        self.present.check(kinds).await
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        self.present.count(kind).await
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        self.present.scan(kind, after, limits)
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        self.present.fetch(kind, keys).await
    }

    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.present.encode(kind, original)
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        self.present.decode(kind, value)
    }
}
