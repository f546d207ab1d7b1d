mod accounts;
mod rows;
mod unknown;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use futures::StreamExt;
use serde::Serialize;

use self::unknown::UnknownFields;
use super::{
    BatchLimits, Counts, Destination, Key, Kind, KindReport, Problem, Problems, Progress, Record,
    Scanned, SinkState, Snapshot, Status, Stranger, Unique,
    destination::named,
    redact::redact_problems,
    run::{Lane, START, checked, from, in_order, one_database, origin},
};
use crate::{Boost, Id, Result, layers::Operation};

use self::accounts::AccountsFound;

pub use self::{
    accounts::{AccountsPlan, Examples, PasswordCount},
    unknown::UnknownField,
};

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Blocked, or incomplete if records would be rejected, else complete.
    pub status: Status,
    /// The plan of each kind: `written` counts the records that would be in the target then, also
    /// those that it has already.
    pub kinds: Vec<KindPlan>,
    /// Records that cannot all move, because they share a unique value: users with one account or
    /// e-mail address, competitors of one user with one ASIN.
    pub collisions: Vec<Collision>,
    /// The schema migrations that a run would apply first.
    pub schema_migrations: Vec<String>,
    /// What blocks a run, and how to fix it.
    pub blockers: Vec<String>,
    /// Other notes about the target.
    pub notes: Vec<String>,
    /// What becomes of the accounts, if they are among the kinds.
    pub accounts: Option<AccountsPlan>,
    /// What stays behind in the source: collections and tables that the schema does not know. And
    /// those of these kinds that the source lacks.
    pub strangers: Vec<Stranger>,
}

/// What a run would do with one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindPlan {
    /// The counts.
    #[serde(flatten)]
    pub report: KindReport,
    /// How many records would be rejected for each field.
    pub rejected_fields: BTreeMap<String, u64>,
    /// The first rejects.
    pub examples: Vec<PlannedReject>,
    /// In how many records each field would be [set aside](crate::SET_ASIDE).
    pub set_aside_fields: BTreeMap<String, u64>,
    /// The first records with values set aside.
    pub set_aside_examples: Vec<PlannedReject>,
    /// The first rejected records that others refer to, and what each takes with it. Whoever
    /// refers to one that is rejected for this reason counts with the first of them.
    pub takes: Vec<Takes>,
    /// The fields that the schema does not know and that people who sign in could read in the
    /// target, or that look like secrets.
    pub unknown_fields: Vec<UnknownField>,
}

/// A record that a run would reject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedReject {
    /// Its key in the source.
    pub key: String,
    /// Why it would be rejected.
    pub reason: String,
}

/// A rejected record, and those that are rejected because of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Takes {
    /// The key of the rejected record.
    pub key: String,
    /// How many records of each kind are rejected because of it.
    pub with_it: BTreeMap<Kind, u64>,
}

/// Two records with the same value of a unique field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collision {
    /// The kind of both.
    pub kind: Kind,
    /// The field.
    pub field: &'static str,
    /// The value, as both would store it.
    pub value: String,
    /// The record that would move.
    pub first: Key,
    /// The record that would be rejected.
    pub second: Key,
}

/// Reads the whole source and inspects the target, without moving anything.
///
/// # Errors
/// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for wrong settings; Timeout or
/// Unavailable of a store.
pub async fn plan(
    source: Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    progress: &dyn Progress,
) -> Result<Plan> {
    named(Operation::Check, source.check(kinds)).await?;
    let mut state = target.inspect().await?;
    state
        .blockers
        .extend(one_database(source.as_ref(), target).await?);
    let strangers = named(Operation::Inspect, source.strangers(kinds)).await?;
    let mut plans = Vec::new();
    let mut admitted = Admitted::new(kinds, &state);
    for kind in in_order(kinds) {
        let sides = Sides {
            source: source.as_ref(),
            target,
            kind,
            origin: origin(source.as_ref(), kind).await?,
            // A target without its present tables has no records of ours.
            has_records: state.pending_migrations.is_empty()
                && state
                    .records
                    .iter()
                    .any(|(of, count)| *of == kind && *count > 0),
        };
        let unknown = UnknownFields::of(kind, &state.readable_columns);
        let plan = plan_kind(&sides, &mut admitted, unknown, progress);
        plans.push(plan.await?);
    }
    for (kind, takes) in Admitted::into_takes(std::mem::take(&mut admitted.takes)) {
        /// How many are listed of each kind.
        const LISTED: usize = 100;
        let mut plans = plans.iter_mut();
        if let Some(plan) = plans.find(|plan| plan.report.kind == kind)
            && plan.takes.len() < LISTED
        {
            plan.takes.push(takes);
        }
    }
    let rejected = plans.iter().any(|plan| plan.report.counts.rejected > 0);
    let status = if !state.blockers.is_empty() {
        Status::Blocked
    } else if rejected {
        Status::Incomplete
    } else {
        Status::Complete
    };
    Ok(Plan {
        status,
        kinds: plans,
        collisions: admitted.collisions,
        accounts: admitted.accounts.map(AccountsFound::into_plan),
        schema_migrations: state.pending_migrations,
        blockers: state.blockers,
        notes: state.notes,
        strangers,
    })
}

/// Both sides of a kind.
struct Sides<'s> {
    source: &'s dyn Snapshot,
    target: &'s Destination,
    kind: Kind,
    /// Where the source's records are.
    origin: Option<String>,
    /// Whether the target has records of the kind.
    has_records: bool,
}

/// The expected content of the target: the ids that later kinds refer to, and hashes (64 bits) of
/// unique values.
struct Admitted<'k> {
    kinds: &'k [Kind],
    /// The kinds that the target has a table for.
    tables: Vec<Kind>,
    ids: HashMap<Kind, Ids>,
    unique: HashMap<u64, Holder>,
    accounts: Option<AccountsFound>,
    positions: HashMap<u32, Vec<Boost>>,
    hasher: RandomState,
    collisions: Vec<Collision>,
    /// The rejected records that are listed, each with what it takes with it.
    takes: HashMap<(Kind, Id<Record>), BTreeMap<Kind, u64>>,
    /// Records that are rejected because of another one, by their key: the one that is listed.
    because: HashMap<(Kind, Id<Record>), (Kind, Id<Record>)>,
}

/// Whose a unique value is: an id takes twelve bytes, other keys are larger.
enum Holder {
    Id(Id<Record>),
    Other(Box<Key>),
}

impl Holder {
    fn of(key: &Key) -> Self {
        match key {
            Key::Id(id) => Self::Id(*id),
            other => Self::Other(Box::new(other.clone())),
        }
    }

    fn key(&self) -> Key {
        match self {
            Self::Id(id) => Key::Id(*id),
            Self::Other(key) => (**key).clone(),
        }
    }
}

/// Ids of one kind, twelve bytes each. They nearly always arrive in order.
#[derive(Default)]
struct Ids {
    ids: Vec<Id<Record>>,
    unsorted: bool,
}

impl Ids {
    fn insert(&mut self, id: Id<Record>) {
        self.unsorted |= self.ids.last().is_some_and(|last| *last >= id);
        self.ids.push(id);
    }

    fn contains(&mut self, id: Id<Record>) -> bool {
        if std::mem::take(&mut self.unsorted) {
            self.ids.sort_unstable();
        }
        self.ids.binary_search(&id).is_ok()
    }
}

impl<'k> Admitted<'k> {
    fn new(kinds: &'k [Kind], state: &SinkState) -> Self {
        let referred = kinds.iter().flat_map(|kind| kind.depends_on());
        let referred = referred.filter(|kind| kinds.contains(kind));
        Self {
            kinds,
            tables: state.records.iter().map(|(kind, _)| *kind).collect(),
            ids: referred.map(|kind| (kind, Ids::default())).collect(),
            unique: HashMap::new(),
            accounts: AccountsFound::of(kinds),
            positions: HashMap::new(),
            hasher: RandomState::new(),
            collisions: Vec::new(),
            takes: HashMap::new(),
            because: HashMap::new(),
        }
    }

    /// Lists a rejected record that others may refer to, until the list is full.
    fn reject(&mut self, kind: Kind, key: &str) {
        /// How many rejected records are listed.
        const LISTED: usize = 10_000;
        if let Some(accounts) = &mut self.accounts {
            accounts.reject(kind, key);
        }
        if self.ids.contains_key(&kind)
            && self.takes.len() < LISTED
            && let Some(id) = Key::parse(kind, key).ok().and_then(|key| key.id())
        {
            self.takes.entry((kind, id)).or_default();
        }
    }

    /// Counts a record that is rejected because what it refers to is.
    fn taken(&mut self, kind: Kind, key: Option<Id<Record>>, by: (Kind, Id<Record>)) {
        /// How many records that are rejected because of others can take more with them.
        const MOST: usize = 1_000_000;
        let root = self.because.get(&by).copied().unwrap_or(by);
        let Some(takes) = self.takes.get_mut(&root) else {
            return;
        };
        *takes.entry(kind).or_default() += 1;
        if self.ids.contains_key(&kind)
            && self.because.len() < MOST
            && let Some(id) = key
        {
            self.because.insert((kind, id), root);
        }
    }

    /// The first listed records of each kind, and what they take with them.
    fn into_takes(takes: HashMap<(Kind, Id<Record>), BTreeMap<Kind, u64>>) -> Vec<(Kind, Takes)> {
        let mut found: Vec<_> = takes
            .into_iter()
            .filter(|(_, with_it)| !with_it.is_empty())
            .collect();
        found.sort_unstable_by_key(|((kind, id), _)| (*kind, *id));
        let found = found.into_iter().map(|((kind, id), with_it)| {
            let key = id.to_string();
            (kind, Takes { key, with_it })
        });
        found.collect()
    }

    /// Refuses a record that refers to one that does not move.
    fn check_references(&mut self, record: &Record) -> Result<(), Problem> {
        if let Some(accounts) = &self.accounts {
            accounts.check(record)?;
        }
        for (field, kind, id) in record.refers_to() {
            let moves_too = self.kinds.contains(&kind);
            let there = |ids: &mut Ids| ids.contains(id);
            if moves_too && !self.ids.get_mut(&kind).is_none_or(there) {
                self.taken(record.kind(), record.key().id(), (kind, id));
                let problem = format!("there is no {} {id} that could move", kind.one());
                return Err(Problem::new(field, problem));
            }
        }
        Ok(())
    }

    /// Adds a record, unless it conflicts with those added before.
    fn admit(&mut self, record: &Record) -> Result<(), Problem> {
        self.admit_unique(record)?;
        if let Record::Boost(boost) = record {
            self.admit_position(boost)?;
        }
        if let (Some(ids), Some(id)) = (self.ids.get_mut(&record.kind()), record.key().id()) {
            ids.insert(id);
        }
        if let Some(accounts) = &mut self.accounts {
            accounts.add(record);
        }
        Ok(())
    }

    fn admit_unique(&mut self, record: &Record) -> Result<(), Problem> {
        let values = record.unique_values();
        let (kind, second) = (record.kind(), record.key());
        if matches!(second, Key::Row(_)) {
            return Ok(());
        }
        let hash =
            |unique: &Unique, value: &str| self.hasher.hash_one((kind, unique.columns, value));
        let mut hashes = Vec::with_capacity(values.len());
        for (unique, value) in values {
            let field = unique.field;
            let hash = hash(unique, &value);
            if let Some(first) = self.unique.get(&hash) {
                let one = kind.one();
                let first = first.key();
                let problem = format!("{value:?} is also that of {one} {first}, moved first");
                self.collisions.push(Collision {
                    kind,
                    field,
                    value,
                    first,
                    second,
                });
                return Err(Problem::new(field, problem));
            }
            hashes.push(hash);
        }
        self.unique
            .extend(hashes.into_iter().map(|hash| (hash, Holder::of(&second))));
        Ok(())
    }

    fn admit_position(&mut self, boost: &Boost) -> Result<(), Problem> {
        if !boost.active {
            return Ok(());
        }
        let held = self.positions.entry(boost.position).or_default();
        if let Some(first) = held.iter().find(|held| held.collides_with(boost)) {
            let problem = format!(
                "{} is held by boost {} for a part of that time",
                boost.position, first.id
            );
            return Err(Problem::new("position", problem));
        }
        held.push(boost.clone());
        Ok(())
    }
}

/// The findings about a kind.
#[derive(Default)]
struct Found {
    counts: Counts,
    rejected_fields: BTreeMap<String, u64>,
    examples: Vec<PlannedReject>,
    set_aside: u64,
    set_aside_fields: BTreeMap<String, u64>,
    set_aside_examples: Vec<PlannedReject>,
}

/// How many records are shown of each sort.
const EXAMPLES: usize = 20;

/// Counts each field once.
fn count_fields(counts: &mut BTreeMap<String, u64>, problems: &Problems) {
    let fields: HashSet<&String> = problems.0.iter().map(|p| &p.field).collect();
    for field in fields {
        *counts.entry(field.clone()).or_default() += 1;
    }
}

fn example(examples: &mut Vec<PlannedReject>, key: String, problems: &Problems) {
    if examples.len() < EXAMPLES {
        let mut problems = problems.clone();
        redact_problems(&mut problems);
        let reason = problems.joined();
        examples.push(PlannedReject { key, reason });
    }
}

impl Found {
    fn set_aside(&mut self, key: String, problems: &Problems) {
        self.set_aside += problems.0.len() as u64;
        count_fields(&mut self.set_aside_fields, problems);
        example(&mut self.set_aside_examples, key, problems);
    }

    fn reject(&mut self, key: String, problems: &Problems) {
        self.counts.rejected += 1;
        count_fields(&mut self.rejected_fields, problems);
        example(&mut self.examples, key, problems);
    }
}

async fn plan_kind(
    sides: &Sides<'_>,
    admitted: &mut Admitted<'_>,
    mut unknown: UnknownFields,
    progress: &dyn Progress,
) -> Result<KindPlan> {
    let Sides { source, kind, .. } = *sides;
    let started = Instant::now();
    let total = named(Operation::Count, source.count(kind)).await?;
    progress.started(kind, total, Counts::default());
    let mut found = Found::default();
    if let Some(lane) = Lane::between(source, sides.target, kind) {
        rows::plan_rows(&lane, sides, admitted, &mut found, progress).await?;
    } else {
        let mut scan = source.scan(kind, START, BatchLimits::default());
        while let Some(batch) = scan.next().await {
            let batch = batch.map_err(|error| error.in_operation(Operation::Scan))?;
            plan_batch(sides, admitted, &mut unknown, &mut found, batch.items).await?;
            progress.advanced(kind, found.counts);
        }
    }
    let Found {
        counts,
        rejected_fields,
        examples,
        set_aside,
        set_aside_fields,
        set_aside_examples,
    } = found;
    progress.finished(kind, counts);
    Ok(KindPlan {
        report: KindReport {
            kind,
            counts,
            differing: 0,
            set_aside,
            seconds: started.elapsed().as_secs_f64(),
        },
        rejected_fields,
        examples,
        set_aside_fields,
        set_aside_examples,
        takes: Vec::new(),
        unknown_fields: unknown.into_list(),
    })
}

async fn plan_batch(
    sides: &Sides<'_>,
    admitted: &mut Admitted<'_>,
    unknown: &mut UnknownFields,
    found: &mut Found,
    items: Vec<Scanned>,
) -> Result<()> {
    let Sides {
        source,
        target,
        kind,
        ..
    } = *sides;
    found.counts.read += items.len() as u64;
    let (mut records, mut origins) = (Vec::with_capacity(items.len()), Vec::new());
    for Scanned {
        key,
        outcome,
        set_aside,
        ..
    } in items
    {
        let outcome = checked(outcome).map_err(|(_, problems)| problems);
        let outcome = outcome.and_then(|record| {
            let problems = target.screen(&record);
            if !problems.is_empty() {
                return Err(problems);
            }
            admitted.check_references(&record)?;
            Ok(record)
        });
        match outcome {
            Ok(record) => {
                records.push(record);
                origins.push((key, set_aside));
            }
            Err(problems) => {
                admitted.reject(kind, &key);
                found.reject(key, &problems);
            }
        }
    }
    let mut taken = HashMap::new();
    if sides.has_records {
        let from = from(source, sides.origin.as_deref());
        taken.extend(target.taken(kind, &records, from).await?);
    }
    for (index, (record, (key, set_aside))) in records.iter().zip(origins).enumerate() {
        let outcome = match taken.remove(&index) {
            Some(problems) => Err(problems),
            None => admitted.admit(record).map_err(Problems::from),
        };
        match outcome {
            Ok(()) => {
                unknown.add(record);
                found.counts.written += 1;
                if !set_aside.is_empty() {
                    found.set_aside(key, &set_aside);
                }
            }
            Err(problems) => {
                admitted.reject(kind, &key);
                found.reject(key, &problems);
            }
        }
    }
    Ok(())
}
