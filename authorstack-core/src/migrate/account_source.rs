//! The accounts of any account service as the source of a migration.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;

use super::{
    BatchLimits, Key, Kind, MovedAccount, MovedPassword, Original, Position, Problem, Problems,
    Record, Scanned, ScannedBatch, Snapshot,
    account_item::{Item, is_of_record, refuse, unreadable},
    account_overview::AccountOverview,
    providers::{named_on_supabase, names_at_source, refused_on_supabase},
    secrets::is_secret,
};
use crate::{
    AccountRepository, AccountStore, Accounts, Error, ErrorKind, ExportedAccount, Identity,
    IdentityRepository, Result, StoredPassword, json,
};

/// The accounts and identities of an [`AccountStore`], as one side of a migration.
///
/// A service gives its accounts in an order of its own, and a migration reads them in the order of
/// their ids. So the service is read once, or, where it has more than fits into 64 MiB, once for
/// each 64 MiB: memory stays small.
///
/// ```
/// use authorstack_core::{MemoryStore, migrate::{AccountSource, Anonymous}};
///
/// let service = MemoryStore::new();
/// let source = AccountSource::new(&service).for_supabase().anonymous(Anonymous::Move);
/// # let _ = source;
/// ```
#[derive(Clone)]
pub struct AccountSource {
    name: &'static str,
    accounts: Arc<dyn AccountRepository>,
    identities: Arc<dyn IdentityRepository>,
    to_supabase: bool,
    anonymous: Anonymous,
    same_address: SameAddress,
    window: usize,
}

/// What becomes of anonymous accounts: those without an address, a number and an identity. Sessions
/// do not move, so nobody can sign in to them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anonymous {
    /// They are rejected, and so listed.
    #[default]
    Reject,
    /// They move: for a host that refers to them.
    Move,
}

/// Which one of several accounts with one e-mail address moves. Addresses that differ in case are
/// one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameAddress {
    /// The one with the first id. The others are rejected, and so listed.
    #[default]
    First,
    /// The one that was used last. The others are rejected, and so listed.
    LastSeen,
}

impl fmt::Debug for AccountSource {
    /// Not the repositories: those of a store in memory show what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSource")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How many bytes of accounts are in memory.
const WINDOW: usize = 64 << 20;

impl AccountSource {
    /// The accounts of a service, with every hash as it is.
    #[must_use]
    pub fn new<S: AccountStore + ?Sized>(service: &S) -> Self {
        let Accounts {
            accounts,
            identities,
            ..
        } = service.accounts();
        Self {
            name: service.name(),
            accounts,
            identities,
            to_supabase: false,
            anonymous: Anonymous::default(),
            same_address: SameAddress::default(),
            window: WINDOW,
        }
    }

    /// For a move to Supabase Auth: a hash that it does not take over stays behind, and the account
    /// needs a new password; providers have its names, and identities that mean nothing there are
    /// rejected.
    #[must_use]
    pub const fn for_supabase(mut self) -> Self {
        self.to_supabase = true;
        self
    }

    /// Sets what becomes of anonymous accounts.
    #[must_use]
    pub const fn anonymous(mut self, anonymous: Anonymous) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Sets which one of several accounts with one e-mail address moves.
    #[must_use]
    pub const fn same_address(mut self, same: SameAddress) -> Self {
        self.same_address = same;
        self
    }

    /// Sets how many bytes of accounts are in memory; the default is 64 MiB.
    #[must_use]
    pub const fn window(mut self, bytes: usize) -> Self {
        self.window = bytes;
        self
    }

    /// Every account or identity, in the service's order.
    fn all(&self, kind: Kind, overview: Arc<AccountOverview>) -> BoxStream<'static, Result<Item>> {
        let source = self.clone();
        if kind == Kind::Accounts {
            let export = self.accounts.export().enumerate();
            return export
                .map(move |(index, exported)| match exported {
                    Ok(exported) => Ok(source.account(exported, &overview)),
                    Err(error) => unreadable(Kind::Accounts, index, error),
                })
                .boxed();
        }
        let all = self.identities.stream().enumerate();
        all.map(move |(index, identity)| match identity {
            Ok(identity) => Ok(source.identity(identity)),
            Err(error) => unreadable(Kind::Identities, index, error),
        })
        .boxed()
    }

    fn account(&self, exported: ExportedAccount, overview: &AccountOverview) -> Item {
        let ExportedAccount { account, password } = exported;
        let mut aside = Problems::default();
        let mut lost = |algorithm: &str, reason: String| {
            let problem = format!("{reason}; send the account a link to set a new one");
            aside.push(Problem::new("password", problem));
            MovedPassword::lost(algorithm)
        };
        let password = match password {
            StoredPassword::None => MovedPassword::none(),
            StoredPassword::Unknown { problem } => {
                lost("unknown", format!("is no hash of a known form ({problem})"))
            }
            StoredPassword::Hash(hash) if self.to_supabase && hash.for_supabase().is_err() => {
                let algorithm = hash.algorithm().as_str();
                let reason = match hash.for_supabase() {
                    Err(error) => reason_of(&error),
                    Ok(_) => String::new(),
                };
                lost(algorithm, format!("does not move: {reason}"))
            }
            StoredPassword::Hash(hash) => MovedPassword::kept(hash),
        };
        if account.has_mfa {
            let problem = "second factors cannot be exported; the account is marked, so that the \
                           host can ask for a new one";
            aside.push(Problem::new("hasMfa", problem));
        }
        let moved = MovedAccount::new(account, password);
        let refusal = self.refusal(&moved, overview);
        let mut scanned = Scanned::of(moved.into());
        match refusal {
            Some(problem) => refuse(&mut scanned, problem),
            None => scanned.set_aside = aside,
        }
        Item::of(scanned, Kind::Accounts)
    }

    /// Why an account does not move, if it does not.
    fn refusal(&self, moved: &MovedAccount, overview: &AccountOverview) -> Option<Problem> {
        let account = &moved.account;
        // Some services tell an account that signs in by an identity alone by its identity only.
        let is_anonymous = account.is_anonymous && !overview.is_linked(&account.id);
        if is_anonymous && self.anonymous == Anonymous::Reject {
            let problem = "nobody can sign in to an anonymous account again, since sessions do not \
                           move; choose to move them, or leave it behind";
            return Some(Problem::new("isAnonymous", problem));
        }
        let email = account.email.as_ref()?;
        if overview.is_anothers(email, &account.id) {
            let problem = "is also that of an account that was used later; give one of the two \
                           another address, or delete it";
            return Some(Problem::new("email", problem));
        }
        None
    }

    fn identity(&self, mut identity: Identity) -> Item {
        // Tokens of the other service are left behind, also where its answers name them anew.
        without_secrets(&mut identity.extra);
        let refused = refused_on_supabase(&identity.provider).filter(|_| self.to_supabase);
        if self.to_supabase {
            identity.provider = named_on_supabase(&identity.provider);
        }
        let mut scanned = Scanned::of(identity.into());
        if let Some(problem) = refused {
            refuse(&mut scanned, problem);
        }
        Item::of(scanned, Kind::Identities)
    }

    /// What has to be known of the whole service before an account is read.
    async fn overview(&self, kind: Kind) -> Result<Arc<AccountOverview>> {
        let mut overview = AccountOverview::default();
        if kind != Kind::Accounts {
            return Ok(Arc::new(overview));
        }
        let mut identities = self.identities.stream();
        while let Some(identity) = identities.next().await {
            match identity {
                Ok(identity) => overview.link(&identity.account_id),
                Err(error) if is_of_record(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if self.same_address == SameAddress::First {
            return Ok(Arc::new(overview));
        }
        let mut accounts = self.accounts.stream();
        while let Some(account) = accounts.next().await {
            match account {
                Ok(account) => {
                    let Some(email) = &account.email else {
                        continue;
                    };
                    if account.is_anonymous && self.anonymous == Anonymous::Reject {
                        continue;
                    }
                    let seen = account.last_seen_at.unwrap_or(account.created_at);
                    overview.add(email, &account.id, seen);
                }
                Err(error) if is_of_record(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::new(overview))
    }
}

/// Removes what looks like a secret, at any depth.
fn without_secrets(object: &mut serde_json::Map<String, Value>) {
    object.retain(|name, value| !is_secret(name, value));
    for value in object.values_mut() {
        if let Value::Object(object) = value {
            without_secrets(object);
        }
    }
}

/// What of an error is for a list.
fn reason_of(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Unsupported { what } => {
            let text = what.to_string();
            text.split("; ").next().unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    }
}

/// A scan: the next items in their order, and whether the service has more behind them.
struct Walk {
    source: AccountSource,
    kind: Kind,
    limits: BatchLimits,
    overview: Arc<AccountOverview>,
    after: Option<Key>,
    items: VecDeque<Item>,
    has_more: bool,
}

impl Walk {
    /// Reads the whole service, and keeps the first items behind the last one.
    async fn fill(&mut self) -> Result<()> {
        let mut all = self.source.all(self.kind, Arc::clone(&self.overview));
        let mut kept: BTreeMap<Key, Item> = BTreeMap::new();
        let mut bytes = 0;
        self.has_more = false;
        while let Some(item) = all.next().await {
            let item = item?;
            if self
                .after
                .as_ref()
                .is_some_and(|after| item.place <= *after)
            {
                continue;
            }
            bytes += item.size();
            if let Some(before) = kept.insert(item.place.clone(), item) {
                bytes -= before.size();
            }
            while bytes > self.source.window && kept.len() > 1 {
                if let Some((_, last)) = kept.pop_last() {
                    bytes -= last.size();
                    self.has_more = true;
                }
            }
        }
        self.items = kept.into_values().collect();
        Ok(())
    }

    async fn next(mut self) -> Option<(Result<ScannedBatch>, Option<Self>)> {
        if self.items.is_empty()
            && self.has_more
            && let Err(error) = self.fill().await
        {
            return Some((Err(error), None));
        }
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < self.limits.records.max(1)
            && (items.is_empty() || bytes < self.limits.bytes)
        {
            let Some(item) = self.items.pop_front() else {
                break;
            };
            bytes += item.size();
            self.after = Some(item.place);
            items.push(item.scanned);
        }
        let position = Position(self.after.as_ref()?.to_string());
        if items.is_empty() {
            return None;
        }
        Some((Ok(ScannedBatch { items, position }), Some(self)))
    }
}

#[async_trait]
impl Snapshot for AccountSource {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ACCOUNTS
    }

    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        if !kinds.iter().any(|kind| Kind::ACCOUNTS.contains(kind)) {
            return Ok(());
        }
        match self.accounts.stream().next().await {
            Some(Err(error)) if !is_of_record(&error) => Err(error),
            _ => Ok(()),
        }
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        let mut count = 0;
        let mut all = match kind {
            Kind::Identities => self.identities.stream().map(|it| it.map(drop)).boxed(),
            _ => self.accounts.stream().map(|it| it.map(drop)).boxed(),
        };
        while let Some(item) = all.next().await {
            match item {
                Err(error) if !is_of_record(&error) => return Err(error),
                _ => count += 1,
            }
        }
        Ok(count)
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let begin = async move {
            let after = after.map(|Position(last)| Key::parse(kind, &last));
            Ok(Walk {
                source: self.clone(),
                kind,
                limits,
                overview: self.overview(kind).await?,
                after: after.transpose()?,
                items: VecDeque::new(),
                has_more: true,
            })
        };
        stream::once(begin)
            .flat_map(|walk| match walk {
                Ok(walk) => {
                    stream::unfold(Some(walk), |walk| async move { walk?.next().await }).boxed()
                }
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        let mut wanted: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let mut found = Vec::with_capacity(keys.len());
        if kind == Kind::Identities {
            for key in wanted {
                if let Ok(Key::Identity(provider, subject)) = Key::parse(kind, key) {
                    for name in names_at_source(&provider) {
                        match self.identities.get(&name, &subject).await {
                            Ok(identity) => found.push(self.identity(identity).scanned),
                            Err(error) if error.is_not_found() => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
            }
            found.retain(|item| keys.contains(&item.key));
            return Ok(found);
        }
        // No call gives a single account with its hash.
        let mut all = self.all(kind, self.overview(kind).await?);
        while !wanted.is_empty()
            && let Some(item) = all.next().await
        {
            let scanned = item?.scanned;
            if wanted.remove(scanned.key.as_str()) {
                found.push(scanned);
            }
        }
        Ok(found)
    }

    fn encode(&self, _: Kind, original: &Original) -> Value {
        without_digest(json::parse(&original.bytes(None)).unwrap_or_default())
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        Record::from_json(kind, value.clone())
    }
}

/// The JSON of a [`MovedAccount`] for the rejects: without the digest of its hash. Other JSON stays as
/// it is.
#[must_use]
pub fn without_digest(mut record: Value) -> Value {
    if let Some(Value::String(status)) = record.get_mut("passwordStatus") {
        *status = MovedPassword::plain_status(status).to_owned();
    }
    record
}
