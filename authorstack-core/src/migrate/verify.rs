mod rows;

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Instant,
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    BatchLimits, Counts, Destination, Digest, DigestSum, Key, Kind, KindReport, Progress, Record,
    Scanned, Settled, Snapshot, Status, Step,
    destination::named,
    run::{Lane, Prepared, START, check_sides_as_they_are, checked, in_order},
};
use crate::{Error, Result, layers::Operation};

/// The result of comparing both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Complete if both sides are equal and nothing is rejected, else incomplete.
    pub status: Status,
    /// The result of each kind.
    pub kinds: Vec<KindVerification>,
}

/// The result of comparing one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindVerification {
    /// The counts: `read` from the source, `unchanged` on both sides, `rejected` if a reject is
    /// known, `differing` for all others, including records that only the target has.
    #[serde(flatten)]
    pub report: KindReport,
    /// How many key ranges were compared by count and digest.
    pub ranges: u64,
    /// The ranges that differ.
    pub differing_ranges: u64,
    /// The first records that differ.
    pub differences: Vec<Difference>,
}

/// A record that differs between the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its key.
    pub key: Key,
    /// How it differs.
    #[serde(flatten)]
    pub difference: DifferenceKind,
}

/// How a record differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "difference")]
pub enum DifferenceKind {
    /// The source has it, the target does not.
    MissingInTarget,
    /// The target has it, the source does not.
    OnlyInTarget,
    /// Both have it, with other values in these fields.
    Differs {
        /// The fields, by their names in the record's JSON.
        fields: Vec<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.difference {
            DifferenceKind::MissingInTarget => write!(f, "{}: missing in the target", self.key),
            DifferenceKind::OnlyInTarget => write!(f, "{}: only in the target", self.key),
            DifferenceKind::Differs { fields } => {
                write!(f, "{}: differs in {}", self.key, fields.join(", "))
            }
        }
    }
}

/// How many records of the source make a range.
const RANGE: usize = 10_000;
/// How many differences are listed for each kind.
const LISTED: usize = 100;

/// Compares both sides without changing them. For each range of keys it compares the count and a
/// digest that does not depend on the order; if these differ, it compares record by record.
///
/// # Errors
/// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for wrong settings; Timeout or
/// Unavailable of a store.
pub async fn verify(
    source: Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    progress: &dyn Progress,
) -> Result<Verification> {
    check_sides_as_they_are(source.as_ref(), target, kinds).await?;
    compare(&source, target, kinds, Purpose::Verify, progress).await
}

/// The purpose of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Report what differs.
    Verify,
    /// Copy what differs again.
    Repair,
}

pub(super) async fn compare(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    purpose: Purpose,
    progress: &dyn Progress,
) -> Result<Verification> {
    let mut found = Vec::new();
    for kind in in_order(kinds) {
        found.push(compare_kind(source, target, kind, purpose, progress).await?);
    }
    let clean = found.iter().all(|kind: &KindVerification| {
        kind.report.differing == 0 && kind.report.counts.rejected == 0
    });
    Ok(Verification {
        status: if clean {
            Status::Complete
        } else {
            Status::Incomplete
        },
        kinds: found,
    })
}

type Entry = (Key, Digest);

/// A batch of the source: the records that can move, and the keys and digests of those that cannot.
#[derive(Default)]
struct SourceBatch {
    entries: Vec<Entry>,
    unmovable: Vec<(String, Digest)>,
}

/// Reads a stream in its own task, so that both sides are read and hashed in parallel.
fn pump<T: Send + 'static>(
    tasks: &mut JoinSet<()>,
    open: impl FnOnce(mpsc::Sender<Result<T>>) -> futures::future::BoxFuture<'static, ()>,
) -> mpsc::Receiver<Result<T>> {
    let (sender, receiver) = mpsc::channel(1);
    tasks.spawn(open(sender));
    receiver
}

async fn forward<T, U>(
    mut stream: BoxStream<'_, Result<T>>,
    sender: mpsc::Sender<Result<U>>,
    convert: impl Fn(T) -> U,
) {
    while let Ok(place) = sender.reserve().await
        && let Some(item) = stream.next().await
    {
        place.send(item.map(&convert));
    }
}

async fn compare_kind(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kind: Kind,
    purpose: Purpose,
    progress: &dyn Progress,
) -> Result<KindVerification> {
    let started = Instant::now();
    let total = named(Operation::Count, source.count(kind)).await?;
    progress.started(kind, total, Counts::default());
    let replayed = target.replayed(kind).await?.into_iter();
    let replayed: HashMap<Key, Settled> = replayed
        .filter_map(|settled| settled.replayed_as.clone().map(|key| (key, settled)))
        .collect();
    let keys = |(key, settled): (&Key, &Settled)| (settled.key.clone(), key.clone());
    let mut comparison = Comparison {
        source: source.as_ref(),
        target,
        kind,
        purpose,
        replayed_keys: replayed.iter().map(keys).collect(),
        replayed,
        counts: Counts::default(),
        differing: 0,
        ranges: 0,
        differing_ranges: 0,
        differences: Vec::new(),
    };
    match Lane::between(source.as_ref(), target, kind) {
        Some(lane) => comparison.rows(&lane, progress).await?,
        None => compare_streams(&mut comparison, source, target, progress).await?,
    }
    progress.finished(kind, comparison.counts);
    Ok(KindVerification {
        report: KindReport {
            kind,
            counts: comparison.counts,
            differing: comparison.differing,
            seconds: started.elapsed().as_secs_f64(),
        },
        ranges: comparison.ranges,
        differing_ranges: comparison.differing_ranges,
        differences: comparison.differences,
    })
}

/// Reads both sides in the order of their keys, and compares range by range.
async fn compare_streams(
    comparison: &mut Comparison<'_>,
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    progress: &dyn Progress,
) -> Result<()> {
    let kind = comparison.kind;
    let mut tasks = JoinSet::new();
    let mut sources = pump(&mut tasks, |sender| {
        let source = Arc::clone(source);
        Box::pin(async move {
            let scan = source.scan(kind, START, BatchLimits::default());
            let scan = scan.map_err(|error| error.in_operation(Operation::Scan));
            forward(scan.boxed(), sender, |batch| digest_batch(batch.items)).await;
        })
    });
    let targets = pump(&mut tasks, |sender| {
        let target = target.clone();
        Box::pin(async move {
            let scan = target.scan(kind, START, BatchLimits::default());
            forward(scan, sender, |batch| {
                let items = batch.items.into_iter();
                items
                    .filter_map(|item| target_entry(kind, item))
                    .collect::<Vec<Entry>>()
            })
            .await;
        })
    });
    let mut targets = Ordered::new(targets);

    let mut range: Vec<Entry> = Vec::new();
    while let Some(batch) = sources.recv().await {
        let batch = batch?;
        comparison.counts.read += (batch.entries.len() + batch.unmovable.len()) as u64;
        comparison.unmovable(batch.unmovable).await?;
        range.extend(batch.entries);
        while range.len() >= RANGE {
            let rest = range.split_off(RANGE);
            let end = range.last().map(|(key, _)| key.clone());
            comparison.range(&range, &targets.until(end).await?).await?;
            range = rest;
        }
        progress.advanced(kind, comparison.counts);
    }
    // The rest, in parts: the target may hold far more than the source.
    loop {
        let others = targets.most(RANGE).await?;
        let last = others.len() < RANGE;
        let cut = match others.last() {
            Some((end, _)) if !last => range.partition_point(|(key, _)| key <= end),
            _ => range.len(),
        };
        let rest = range.split_off(cut);
        if !range.is_empty() || !others.is_empty() {
            comparison.range(&range, &others).await?;
        }
        range = rest;
        if last {
            break;
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| {
            Error::internal("the task that reads a side failed").with_source(error)
        })?;
    }
    Ok(())
}

fn entry(record: &Record) -> Entry {
    (record.key(), Digest::of(record))
}

/// An entry of the target. One that cannot be read differs from every record.
fn target_entry(kind: Kind, item: Scanned) -> Option<Entry> {
    match item.outcome {
        Ok(record) => Some(entry(&record)),
        Err(_) => Some((Key::parse(kind, &item.key).ok()?, Digest::UNREADABLE)),
    }
}

fn digest_batch(items: Vec<Scanned>) -> SourceBatch {
    let mut batch = SourceBatch::default();
    for item in items {
        let digest = item.outcome.is_err().then(|| item.original_digest());
        match checked(item.outcome) {
            Ok(record) => batch.entries.push(entry(&record)),
            Err((record, _)) => {
                let original = || Digest::of_bytes(&item.original.bytes(record.as_ref()));
                let digest = digest.map_or_else(original, Digest);
                batch.unmovable.push((item.key, digest));
            }
        }
    }
    batch
}

/// The target's entries, taken by key.
struct Ordered {
    batches: mpsc::Receiver<Result<Vec<Entry>>>,
    ready: std::collections::VecDeque<Entry>,
}

impl Ordered {
    fn new(batches: mpsc::Receiver<Result<Vec<Entry>>>) -> Self {
        Self {
            batches,
            ready: std::collections::VecDeque::new(),
        }
    }

    async fn fill(&mut self) -> Result<bool> {
        while self.ready.is_empty() {
            match self.batches.recv().await {
                None => return Ok(false),
                Some(batch) => self.ready.extend(batch?),
            }
        }
        Ok(true)
    }

    /// The entries up to and including a key.
    async fn until(&mut self, end: Option<Key>) -> Result<Vec<Entry>> {
        let mut taken = Vec::new();
        let Some(end) = end else { return Ok(taken) };
        while self.fill().await? {
            if self.ready.front().is_none_or(|(key, _)| *key > end) {
                break;
            }
            taken.extend(self.ready.pop_front());
        }
        Ok(taken)
    }

    /// The next entries, up to a number.
    async fn most(&mut self, most: usize) -> Result<Vec<Entry>> {
        let mut taken = Vec::new();
        while taken.len() < most && self.fill().await? {
            let count = self.ready.len().min(most - taken.len());
            taken.extend(self.ready.drain(..count));
        }
        Ok(taken)
    }
}

/// How a record differs, before the fields are known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unequal {
    Missing,
    Extra,
    Both,
}

struct Comparison<'a> {
    source: &'a dyn Snapshot,
    target: &'a Destination,
    kind: Kind,
    purpose: Purpose,
    /// The records that replays made, by their keys.
    replayed: HashMap<Key, Settled>,
    /// The records that replays made, by their keys in the source.
    replayed_keys: HashMap<String, Key>,
    counts: Counts,
    differing: u64,
    ranges: u64,
    differing_ranges: u64,
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    /// Counts records of the source that cannot move.
    async fn unmovable(&mut self, keys: Vec<(String, Digest)>) -> Result<()> {
        for (key, digest) in keys {
            let fixed = self
                .replayed_keys
                .get(&key)
                .and_then(|key| self.replayed.get(key));
            let fixed = fixed.filter(|settled| settled.source_digest == digest.0);
            let fixed = fixed.and_then(|settled| settled.replayed_as.as_ref());
            if self.exists(fixed).await? {
                self.counts.unchanged += 1;
            } else {
                self.counts.rejected += 1;
            }
        }
        Ok(())
    }

    async fn exists(&self, key: Option<&Key>) -> Result<bool> {
        let Some(key) = key else { return Ok(false) };
        let found = self.target.fetch(self.kind, std::slice::from_ref(key));
        Ok(!found.await?.is_empty())
    }

    async fn range(&mut self, ours: &[Entry], theirs: &[Entry]) -> Result<()> {
        self.ranges += 1;
        if sum(ours) == sum(theirs) {
            self.counts.unchanged += ours.len() as u64;
            return Ok(());
        }
        let before = self.differing;
        let mut unequal: Vec<(Key, Unequal)> = Vec::new();
        let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((our, _)), Some((their, _))) => our.cmp(their),
            };
            let our = if order.is_le() { ours.next() } else { None };
            let their = if order.is_ge() { theirs.next() } else { None };
            match (our, their) {
                (Some((_, our)), Some((_, their))) if our == their => self.counts.unchanged += 1,
                (Some((key, _)), Some(_)) => unequal.push((key.clone(), Unequal::Both)),
                (Some((key, _)), None) => unequal.push((key.clone(), Unequal::Missing)),
                (None, Some((key, _))) => unequal.push((key.clone(), Unequal::Extra)),
                (None, None) => {}
            }
        }

        let missing = unequal.iter().filter(|(_, how)| *how == Unequal::Missing);
        let keys: Vec<String> = missing.map(|(key, _)| key.to_string()).collect();
        let known = if keys.is_empty() {
            Vec::new()
        } else {
            self.target.settled(self.kind, &keys).await?
        };
        let known: HashMap<String, Settled> = known
            .into_iter()
            .map(|settled| (settled.key.clone(), settled))
            .collect();
        let mut to_copy = Vec::new();
        for (key, how) in unequal {
            match how {
                Unequal::Missing => {
                    let known = known.get(&key.to_string());
                    if self.is_missing(&key, known).await? {
                        match self.purpose {
                            Purpose::Verify => self.note(key, DifferenceKind::MissingInTarget),
                            Purpose::Repair => to_copy.push(key),
                        }
                    }
                }
                Unequal::Both if self.was_replayed_unchanged(&key).await? => {
                    self.counts.unchanged += 1;
                }
                Unequal::Both if self.purpose == Purpose::Repair => to_copy.push(key),
                Unequal::Both => self.differs(key).await?,
                Unequal::Extra if self.replayed.contains_key(&key) => {}
                Unequal::Extra => self.note(key, DifferenceKind::OnlyInTarget),
            }
        }
        if self.differing > before || !to_copy.is_empty() {
            self.differing_ranges += 1;
        }
        self.copy_again(&to_copy).await
    }

    /// Copies the source's present records again.
    async fn copy_again(&mut self, keys: &[Key]) -> Result<()> {
        const MOST: usize = 500;
        for part in keys.chunks(MOST) {
            let mut items: Vec<Scanned> = Vec::with_capacity(part.len());
            let keys: Vec<String> = part.iter().map(ToString::to_string).collect();
            let found = self.source.fetch(self.kind, &keys);
            items.extend(named(Operation::Fetch, found).await?);
            // The others were deleted since they were read.
            self.counts.read -= part.len().saturating_sub(items.len()) as u64;
            let batch = Prepared::new(self.source, self.kind, items);
            let loaded = batch.load(self.source, self.target, Step::Aside).await?;
            self.counts += Counts { read: 0, ..loaded };
        }
        Ok(())
    }

    /// Whether a replay made the target's record, and the source's record has not changed since it
    /// was rejected.
    async fn was_replayed_unchanged(&self, key: &Key) -> Result<bool> {
        let Some(settled) = self.replayed.get(key) else {
            return Ok(false);
        };
        let now = self.fetch_from_source(&settled.key).await?;
        Ok(now.is_some_and(|now| now.original_digest() == settled.source_digest))
    }

    /// Handles a record that the target lacks: it is a known reject, was replayed under another
    /// key, or is lost. Counts it unless it is lost. Returns whether it is lost.
    async fn is_missing(&mut self, key: &Key, known: Option<&Settled>) -> Result<bool> {
        match known.map(|settled| &settled.replayed_as) {
            Some(None) => self.counts.rejected += 1,
            Some(Some(other)) if other != key && self.exists(Some(other)).await? => {
                self.counts.unchanged += 1;
            }
            _ => return Ok(true),
        }
        Ok(false)
    }

    /// The source's present record with this key.
    async fn fetch_from_source(&self, key: &String) -> Result<Option<Scanned>> {
        let found = self.source.fetch(self.kind, std::slice::from_ref(key));
        Ok(named(Operation::Fetch, found).await?.into_iter().next())
    }

    async fn differs(&mut self, key: Key) -> Result<()> {
        if self.differences.len() >= LISTED {
            self.differing += 1;
            return Ok(());
        }
        let ours = self.fetch_from_source(&key.to_string()).await?;
        let theirs = self.target.fetch(self.kind, std::slice::from_ref(&key));
        let theirs = theirs.await?;
        let theirs = theirs.into_iter().next().map(|theirs| theirs.outcome);
        let fields = match (ours.map(|ours| ours.outcome), theirs) {
            (Some(Ok(ours)), Some(Ok(theirs))) => differing_fields(&ours, &theirs),
            (_, Some(Err(problems))) => problems.0.into_iter().map(|it| it.field).collect(),
            _ => Vec::new(),
        };
        self.note(key, DifferenceKind::Differs { fields });
        Ok(())
    }

    fn note(&mut self, key: Key, difference: DifferenceKind) {
        self.differing += 1;
        if self.differences.len() < LISTED {
            self.differences.push(Difference { key, difference });
        }
    }
}

fn sum(entries: &[Entry]) -> DigestSum {
    let mut sum = DigestSum::default();
    for (_, digest) in entries {
        sum.add(*digest);
    }
    sum
}

fn differing_fields(ours: &Record, theirs: &Record) -> Vec<String> {
    let (ours, theirs) = (ours.to_json(), theirs.to_json());
    let (Value::Object(ours), Value::Object(theirs)) = (&ours, &theirs) else {
        return Vec::new();
    };
    let names: HashSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut fields: Vec<String> = names
        .into_iter()
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .cloned()
        .collect();
    fields.sort();
    fields
}
