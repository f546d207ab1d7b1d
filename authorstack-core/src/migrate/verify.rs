mod accepted;
mod rows;

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Instant,
};

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    BatchLimits, Counts, Destination, Digest, DigestOf, DigestSum, Digests, Key, KeyForm, Kind,
    KindReport, Problems, Progress, Record, Scanned, Settled, Snapshot, Status, Step,
    destination::named,
    run::{Lane, Prepared, START, check_sides_as_they_are, checked, from, in_order, origin},
};
use crate::{Error, Id, Result, Unreadable, layers::Operation, shown};

use accepted::Listed;
pub use accepted::{Acceptance, AcceptedRejects, Unexpected, UnexpectedReject};

/// The result of comparing both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Complete if both sides are equal and nothing is rejected but what is accepted, else
    /// incomplete.
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
    /// The records that a [prune](fn@super::prune) removed from the target.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pruned: u64,
    /// How its rejects compare with those that are accepted; `None` if none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Acceptance>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl KindVerification {
    /// Whether both sides are equal, and nothing is rejected but what is accepted.
    fn is_clean(&self) -> bool {
        let are_rejects_right = match &self.acceptance {
            Some(acceptance) => acceptance.is_exact(),
            None => self.report.counts.rejected == 0,
        };
        self.report.differing == 0 && are_rejects_right
    }
}

/// A record that differs between the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its key, as text: of any form if the record cannot be read.
    pub key: String,
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
    /// The target took it from this source, which no longer has it. A [prune](fn@super::prune)
    /// removes it, unless other records refer to it.
    GoneFromSource,
    /// Both have it, with other values in these fields.
    Differs {
        /// The fields, by their names in the record's JSON.
        fields: Vec<String>,
    },
    /// The target's record cannot be read. A repair overwrites it if the source has it.
    UnreadableInTarget {
        /// The first fields at fault, by their paths in the document.
        fields: Vec<String>,
    },
    /// The source's record cannot move, and no run has rejected it yet.
    UnreadableInSource {
        /// The first fields at fault, by their paths in the document.
        fields: Vec<String>,
    },
}

/// Names of fields in a sentence.
fn list(fields: &[String]) -> String {
    let shown: Vec<String> = fields.iter().map(|it| shown(it).to_string()).collect();
    shown.join(", ")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The most fields that are named.
        const MOST: usize = 20;
        write!(f, "{}: ", shown(&self.key))?;
        match &self.difference {
            DifferenceKind::MissingInTarget => f.write_str("missing in the target"),
            DifferenceKind::OnlyInTarget => f.write_str("only in the target"),
            DifferenceKind::GoneFromSource => f.write_str("gone from the source since it moved"),
            DifferenceKind::Differs { fields } => {
                f.write_str("differs in ")?;
                for (index, field) in fields.iter().take(MOST).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", shown(field))?;
                }
                match fields.len().saturating_sub(MOST) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            DifferenceKind::UnreadableInTarget { fields } => {
                write!(f, "cannot be read in the target: {}", list(fields))
            }
            DifferenceKind::UnreadableInSource { fields } => {
                write!(f, "cannot be read in the source: {}", list(fields))
            }
        }
    }
}

/// How many kinds are compared in parallel if nothing is changed: small ones pass beside a large
/// one.
const SIDE_BY_SIDE: usize = 2;
/// How many records of the source make a range.
const RANGE: usize = 10_000;
/// How many bytes of keys make a range at most: the keys of parts hold texts of any length.
const RANGE_BYTES: usize = 8 << 20;
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

/// Compares both sides as [`verify`] does, and accepts exactly these rejects of the kinds. A reject
/// that is not among them makes the result incomplete, and so does one of them that is none any
/// more: both are listed in [`KindVerification::acceptance`].
///
/// # Errors
/// As for [`verify`].
pub async fn verify_accepting(
    source: Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    accepted: AcceptedRejects,
    progress: &dyn Progress,
) -> Result<Verification> {
    check_sides_as_they_are(source.as_ref(), target, kinds).await?;
    let accepted = Some(accepted);
    compare_accepting(&source, target, kinds, Purpose::Verify, accepted, progress).await
}

/// The purpose of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Report what differs.
    Verify,
    /// Copy what differs again.
    Repair,
    /// Remove what the source no longer has.
    Prune,
}

pub(super) async fn compare(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    purpose: Purpose,
    progress: &dyn Progress,
) -> Result<Verification> {
    compare_accepting(source, target, kinds, purpose, None, progress).await
}

async fn compare_accepting(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    purpose: Purpose,
    mut accepted: Option<AcceptedRejects>,
    progress: &dyn Progress,
) -> Result<Verification> {
    let mut order = in_order(kinds);
    if purpose == Purpose::Prune {
        // What refers to a record goes before it.
        order.reverse();
    }
    let side_by_side = match purpose {
        Purpose::Verify => SIDE_BY_SIDE,
        Purpose::Repair | Purpose::Prune => 1,
    };
    let compared = order.into_iter().map(|kind| {
        let accepted = accepted.as_mut().map(|accepted| accepted.of(kind));
        compare_kind(source, target, kind, purpose, accepted, progress)
    });
    let compared = stream::iter(compared).buffer_unordered(side_by_side);
    let mut found: Vec<KindVerification> = compared.try_collect().await?;
    found.sort_by_key(|kind| kind.report.kind);
    let clean = found.iter().all(KindVerification::is_clean);
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

/// A record of the source that cannot move.
struct Unmovable {
    key: String,
    digest: Digest,
    fields: Vec<String>,
}

/// A batch of the source: the records that can move, and those that cannot.
#[derive(Default)]
struct SourceBatch {
    entries: Vec<Entry>,
    unmovable: Vec<Unmovable>,
}

/// A batch of the target: what has a key, and what cannot be read and has none.
#[derive(Default)]
struct TargetBatch {
    entries: Vec<Entry>,
    keyless: Keyless,
}

/// Records that cannot be read, and whose keys are none of ours.
#[derive(Default)]
struct Keyless {
    count: u64,
    /// The first ones, with the fields at fault.
    first: Vec<(String, Vec<String>)>,
}

impl Keyless {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        let room = LISTED.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }
}

/// The first fields at fault.
fn fields_of(problems: &Problems) -> Vec<String> {
    let fields = problems.0.iter().map(|problem| problem.field.clone());
    let mut fields: Vec<String> = fields.take(Unreadable::MOST_FIELDS).collect();
    fields.dedup();
    fields
}

/// Where a range ends that holds as much as it may; `None` if it has room.
fn full(range: &[Entry], times: usize) -> Option<usize> {
    let mut bytes = 0;
    range.iter().enumerate().find_map(|(index, (key, _))| {
        bytes += size_of::<Entry>() + key.text_len();
        (index + 1 >= RANGE * times || bytes >= RANGE_BYTES * times).then_some(index + 1)
    })
}

/// Reads a stream in its own task, so that both sides are read and hashed in parallel.
fn pump<T: Send + 'static>(
    tasks: &mut JoinSet<()>,
    open: impl FnOnce(mpsc::Sender<Result<T>>) -> futures::future::BoxFuture<'static, ()>,
) -> mpsc::Receiver<Result<T>> {
    /// Neither side waits for the other one's next batch: digests are small.
    const BATCHES: usize = 4;
    let (sender, receiver) = mpsc::channel(BATCHES);
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
    accepted: Option<Listed>,
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
    let purpose = match purpose {
        // More likely it is another database, or one that a reader may not see.
        Purpose::Prune if total == 0 => Purpose::Verify,
        other => other,
    };
    let mut comparison = Comparison {
        source: source.as_ref(),
        target,
        kind,
        origin: origin(source.as_ref(), kind).await?,
        purpose,
        accepted,
        replayed_keys: replayed.iter().map(keys).collect(),
        replayed,
        by_stored_form: false,
        counts: Counts::default(),
        differing: 0,
        ranges: 0,
        differing_ranges: 0,
        differences: Vec::new(),
        pruned: 0,
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
            set_aside: 0,
            seconds: started.elapsed().as_secs_f64(),
        },
        ranges: comparison.ranges,
        differing_ranges: comparison.differing_ranges,
        differences: comparison.differences,
        pruned: comparison.pruned,
        acceptance: comparison.accepted.map(Listed::ended),
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
    // The target need not be decoded if the source's records can be brought into its form. Where
    // the digests differ, the records themselves are compared.
    let by_stored_form = target.stored(kind, BatchLimits::default()).is_some();
    comparison.by_stored_form = by_stored_form;
    let mut sources = pump(&mut tasks, |sender| {
        let (source, target) = (Arc::clone(source), target.clone());
        Box::pin(async move {
            let digest_of: DigestOf = if by_stored_form {
                Arc::new(move |record, form| stored_digest(&target, record, form))
            } else {
                Arc::new(|record, _| Digest::of(record))
            };
            let digests = source.digests(kind, BatchLimits::default(), digest_of);
            let digests = digests.map_err(|error| error.in_operation(Operation::Scan));
            forward(digests.boxed(), sender, source_batch).await;
        })
    });
    let targets = pump(&mut tasks, |sender| {
        let target = target.clone();
        Box::pin(async move {
            if let Some(stored) = target.stored(kind, BatchLimits::default()) {
                forward(stored, sender, |stored| stored_batch(kind, stored)).await;
            } else {
                let scan = target.scan(kind, START, BatchLimits::default());
                forward(scan, sender, |batch| target_batch(kind, batch.items)).await;
            }
        })
    });
    let mut targets = Ordered::new(targets);

    let mut range: Vec<Entry> = Vec::new();
    while let Some(batch) = sources.recv().await {
        let batch = batch?;
        comparison.counts.read += (batch.entries.len() + batch.unmovable.len()) as u64;
        comparison.unmovable(batch.unmovable).await?;
        range.extend(batch.entries);
        while let Some(cut) = full(&range, 1) {
            let rest = range.split_off(cut);
            comparison.up_to_its_end(range, &mut targets).await?;
            range = rest;
        }
        progress.advanced(kind, comparison.counts);
    }
    // The rest, in parts: the target may hold far more than the source.
    loop {
        let (others, last) = targets.some().await?;
        comparison.keyless(std::mem::take(&mut targets.keyless));
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

/// The key that a store's text stands for. A store may write ids as UUIDs.
fn key_of(kind: Kind, text: &str) -> Option<Key> {
    if let Ok(key) = Key::parse(kind, text) {
        return Some(key);
    }
    let (first, rest) = match text.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    };
    let id = Id::<Record>::from_uuid(first.parse().ok()?).ok()?;
    let text = match (kind.description().key, rest) {
        (KeyForm::Id, None) => id.to_string(),
        (KeyForm::Comment, Some(comment)) => format!("{id}.{comment}"),
        // Dates and second ids have other forms there.
        (
            KeyForm::Id
            | KeyForm::Comment
            | KeyForm::Like
            | KeyForm::Price
            | KeyForm::Row
            | KeyForm::Account
            | KeyForm::Identity,
            _,
        ) => return None,
    };
    Key::parse(kind, &text).ok()
}

/// The entries of the target. One that cannot be read differs from every record.
fn target_batch(kind: Kind, items: Vec<Scanned>) -> TargetBatch {
    let mut batch = TargetBatch::default();
    for item in items {
        match (item.outcome, key_of(kind, &item.key)) {
            (Ok(record), _) => batch.entries.push(entry(&record)),
            (Err(_), Some(key)) => batch.entries.push((key, Digest::UNREADABLE)),
            (Err(problems), None) => batch.keyless.add(Keyless {
                count: 1,
                first: vec![(item.key, fields_of(&problems))],
            }),
        }
    }
    batch
}

/// The entries of a target that gave the digests of its stored form.
fn stored_batch(kind: Kind, stored: Digests) -> TargetBatch {
    let mut batch = target_batch(kind, stored.others);
    // What has no key of ours is no record, so nothing comes in between here.
    batch.entries.extend(stored.entries);
    batch
}

/// The digest of the form in which the target would hold a record; its own if that is not known.
fn stored_digest(target: &Destination, record: &Record, form: &mut Vec<u8>) -> Digest {
    /// A buffer that is larger after a large record is not kept.
    const KEPT: usize = 1 << 20;
    form.clear();
    form.shrink_to(KEPT);
    if target.write_stored(record, form) {
        Digest::of_bytes(form)
    } else {
        Digest::of(record)
    }
}

fn digest_batch(items: Vec<Scanned>) -> SourceBatch {
    let digest_of: DigestOf = Arc::new(|record, _| Digest::of(record));
    let mut form = Vec::new();
    let mut digests = Digests::default();
    for item in items {
        digests.add(item, &digest_of, &mut form);
    }
    source_batch(digests)
}

fn source_batch(digests: Digests) -> SourceBatch {
    let mut batch = SourceBatch {
        entries: digests.entries,
        unmovable: Vec::with_capacity(digests.others.len()),
    };
    for item in digests.others {
        let digest = Digest(item.original_digest());
        match checked(item.outcome) {
            Err((_, problems)) => batch.unmovable.push(Unmovable {
                key: item.key,
                digest,
                fields: fields_of(&problems),
            }),
            // Its digest is missing, so the records themselves are compared.
            Ok(record) => {
                let after = |(key, _): &Entry| *key <= record.key();
                let place = batch.entries.partition_point(after);
                batch.entries.insert(place, entry(&record));
            }
        }
    }
    batch
}

/// The target's entries, taken by key.
struct Ordered {
    batches: mpsc::Receiver<Result<TargetBatch>>,
    ready: std::collections::VecDeque<Entry>,
    /// Those without a key of ours that came on the way.
    keyless: Keyless,
}

impl Ordered {
    fn new(batches: mpsc::Receiver<Result<TargetBatch>>) -> Self {
        Self {
            batches,
            ready: std::collections::VecDeque::new(),
            keyless: Keyless::default(),
        }
    }

    async fn fill(&mut self) -> Result<bool> {
        while self.ready.is_empty() {
            match self.batches.recv().await {
                None => return Ok(false),
                Some(batch) => {
                    let batch = batch?;
                    self.ready.extend(batch.entries);
                    self.keyless.add(batch.keyless);
                }
            }
        }
        Ok(true)
    }

    /// The entries up to and including a key, and whether these are all: no more than two ranges
    /// hold, however many there are.
    async fn until(&mut self, end: &Key) -> Result<(Vec<Entry>, bool)> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while self.fill().await? {
            if self.ready.front().is_none_or(|(key, _)| *key > *end) {
                break;
            }
            let Some(entry) = self.ready.pop_front() else {
                break;
            };
            bytes += size_of::<Entry>() + entry.0.text_len();
            taken.push(entry);
            if taken.len() >= 2 * RANGE || bytes >= 2 * RANGE_BYTES {
                return Ok((taken, false));
            }
        }
        Ok((taken, true))
    }

    /// The next entries, as many as a range holds, and whether these are the last.
    async fn some(&mut self) -> Result<(Vec<Entry>, bool)> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while self.fill().await? {
            if taken.len() >= RANGE || bytes >= RANGE_BYTES {
                return Ok((taken, false));
            }
            if let Some(entry) = self.ready.pop_front() {
                bytes += size_of::<Entry>() + entry.0.text_len();
                taken.push(entry);
            }
        }
        Ok((taken, true))
    }
}

/// How a record differs, before the fields are known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unequal {
    Missing,
    Extra,
    Both,
    /// Only the target has it, and it cannot be read.
    Unreadable,
}

struct Comparison<'a> {
    source: &'a dyn Snapshot,
    target: &'a Destination,
    kind: Kind,
    /// Where the source's records are.
    origin: Option<String>,
    purpose: Purpose,
    /// The rejects that are accepted.
    accepted: Option<Listed>,
    /// The records that replays made, by their keys.
    replayed: HashMap<Key, Settled>,
    /// The records that replays made, by their keys in the source.
    replayed_keys: HashMap<String, Key>,
    /// Whether the digests are those of the form in which the target holds records.
    by_stored_form: bool,
    counts: Counts,
    differing: u64,
    ranges: u64,
    differing_ranges: u64,
    differences: Vec<Difference>,
    pruned: u64,
}

impl Comparison<'_> {
    /// Compares a range with the target's entries up to its end: part by part, if the target has
    /// far more.
    async fn up_to_its_end(&mut self, mut range: Vec<Entry>, targets: &mut Ordered) -> Result<()> {
        let Some(end) = range.last().map(|(key, _)| key.clone()) else {
            return Ok(());
        };
        loop {
            let (theirs, all) = targets.until(&end).await?;
            self.keyless(std::mem::take(&mut targets.keyless));
            let cut = match theirs.last() {
                Some((last, _)) if !all => range.partition_point(|(key, _)| key <= last),
                _ => range.len(),
            };
            let rest = range.split_off(cut);
            if !range.is_empty() || !theirs.is_empty() {
                self.range(&range, &theirs).await?;
            }
            if all {
                return Ok(());
            }
            range = rest;
        }
    }

    /// Reports records of the target that have no key of ours.
    fn keyless(&mut self, found: Keyless) {
        self.differing += found.count.saturating_sub(found.first.len() as u64);
        for (key, fields) in found.first {
            self.note(key, DifferenceKind::UnreadableInTarget { fields });
        }
    }

    /// Handles records of the source that cannot move: those that the ledger knows are rejects.
    async fn unmovable(&mut self, found: Vec<Unmovable>) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = found.iter().map(|one| one.key.clone()).collect();
        let known = self.target.settled(self.kind, &keys).await?.into_iter();
        let known: HashSet<String> = known.map(|settled| settled.key).collect();
        let mut rejects = Vec::with_capacity(found.len());
        for Unmovable {
            key,
            digest,
            fields,
        } in found
        {
            if known.contains(&key) || self.replayed_keys.contains_key(&key) {
                rejects.push((key, digest));
            } else {
                self.note(key, DifferenceKind::UnreadableInSource { fields });
            }
        }
        self.rejects(rejects).await
    }

    /// Counts rejects.
    async fn rejects(&mut self, keys: Vec<(String, Digest)>) -> Result<()> {
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
                self.reject(&key, digest);
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
        if self.by_stored_form {
            let (mut ours, mut theirs) = (ours.to_vec(), theirs.to_vec());
            self.by_record(&mut ours, &mut theirs).await?;
            self.unequal_range(&ours, &theirs).await
        } else {
            self.unequal_range(ours, theirs).await
        }
    }

    /// Replaces digests of stored forms that differ by those of the records: one record may have
    /// several forms, and a form may be no record.
    async fn by_record(&self, ours: &mut [Entry], theirs: &mut [Entry]) -> Result<()> {
        /// The bytes of records that are fetched at once, and their number.
        const MOST_BYTES: usize = 4 << 20;
        const MOST: usize = 500;
        // Equal digests leave nothing to ask.
        let mut asked: Vec<(Option<usize>, usize)> = Vec::new();
        let mut at = 0;
        for (index, (key, digest)) in theirs.iter().enumerate() {
            at += ours[at..].partition_point(|(our, _)| our < key);
            match ours.get(at) {
                Some((our, same)) if our == key => {
                    if same != digest {
                        asked.push((Some(at), index));
                    }
                }
                _ => asked.push((None, index)),
            }
        }
        // Records of unknown size: a few first, then as many as their sizes allow.
        let (mut asked, mut part) = (asked.as_slice(), 8);
        while !asked.is_empty() {
            let (now, rest) = asked.split_at(part.min(asked.len()));
            asked = rest;
            let keys: Vec<Key> = now
                .iter()
                .map(|(_, index)| theirs[*index].0.clone())
                .collect();
            let read = self.target.fetch(self.kind, &keys).await?;
            let read = target_batch(self.kind, read);
            let unreadable = read.keyless.count > 0;
            let found: HashMap<Key, Digest> = read.entries.into_iter().collect();
            for (_, index) in now {
                let (key, digest) = &mut theirs[*index];
                match found.get(key) {
                    Some(now) => *digest = *now,
                    // It has a key, but the store names what cannot be read in another form.
                    None if unreadable => *digest = Digest::UNREADABLE,
                    None => {}
                }
            }
            let both = now.iter().filter_map(|(our, _)| *our);
            let keys: Vec<String> = both.clone().map(|our| ours[our].0.to_string()).collect();
            if keys.is_empty() {
                part = MOST;
                continue;
            }
            let read = named(Operation::Fetch, self.source.fetch(self.kind, &keys)).await?;
            let bytes: usize = read.iter().map(|item| item.original.len()).sum();
            part = (MOST_BYTES / (bytes / keys.len()).max(1)).clamp(1, MOST);
            let found: HashMap<Key, Digest> = digest_batch(read).entries.into_iter().collect();
            for our in both {
                let (key, digest) = &mut ours[our];
                if let Some(now) = found.get(key) {
                    *digest = *now;
                }
            }
        }
        Ok(())
    }

    /// Handles a range that differs.
    async fn unequal_range(&mut self, ours: &[Entry], theirs: &[Entry]) -> Result<()> {
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
                (None, Some((key, their))) => {
                    let how = if *their == Digest::UNREADABLE {
                        Unequal::Unreadable
                    } else {
                        Unequal::Extra
                    };
                    unequal.push((key.clone(), how));
                }
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
        let mut extra = Vec::new();
        for (key, how) in unequal {
            match how {
                Unequal::Missing => {
                    let known = known.get(&key.to_string());
                    if self.is_missing(&key, known).await? {
                        match self.purpose {
                            Purpose::Verify | Purpose::Prune => {
                                self.note(key.to_string(), DifferenceKind::MissingInTarget);
                            }
                            Purpose::Repair => to_copy.push(key),
                        }
                    }
                }
                Unequal::Both if self.was_replayed_unchanged(&key).await? => {
                    self.counts.unchanged += 1;
                }
                Unequal::Both if self.purpose == Purpose::Repair => to_copy.push(key),
                Unequal::Both | Unequal::Unreadable => self.differs(key).await?,
                Unequal::Extra if self.replayed.contains_key(&key) => {}
                Unequal::Extra => extra.push(key),
            }
        }
        self.only_in_target(extra).await?;
        if self.differing > before || !to_copy.is_empty() {
            self.differing_ranges += 1;
        }
        self.copy_again(&to_copy).await
    }

    /// Handles records that only the target has. Those that it took from this source are gone there;
    /// a prune removes them.
    async fn only_in_target(&mut self, keys: Vec<Key>) -> Result<()> {
        /// How many keys are asked for at once.
        const MOST: usize = 5_000;
        for part in keys.chunks(MOST) {
            let mut gone: HashSet<Key> = HashSet::new();
            if let Some(origin) = &self.origin {
                let moved = self.target.moved(self.kind, origin, part).await?;
                gone.extend(self.gone(moved).await?);
            }
            let mut removed: HashSet<Key> = HashSet::new();
            if let (Some(origin), Purpose::Prune) = (&self.origin, self.purpose)
                && !gone.is_empty()
            {
                let asked: Vec<Key> = gone.iter().cloned().collect();
                removed.extend(self.target.prune(self.kind, origin, &asked).await?);
                self.pruned += removed.len() as u64;
            }
            for key in part.iter().filter(|key| !removed.contains(key)) {
                let difference = if gone.contains(key) {
                    DifferenceKind::GoneFromSource
                } else {
                    DifferenceKind::OnlyInTarget
                };
                self.note(key.to_string(), difference);
            }
        }
        Ok(())
    }

    /// Those of these keys that the source no longer has. A record that it has, and that cannot
    /// move any more, is not gone; of a record with parts whose keys cannot be read, no part is.
    async fn gone(&self, mut keys: Vec<Key>) -> Result<Vec<Key>> {
        const MOST: usize = 500;
        let mut there: HashSet<String> = HashSet::new();
        for part in keys.chunks(MOST) {
            let keys: Vec<String> = part.iter().map(ToString::to_string).collect();
            let found = named(Operation::Fetch, self.source.fetch(self.kind, &keys)).await?;
            for item in found {
                there.extend(key_of(self.kind, &item.key).map(|key| key.to_string()));
                there.insert(item.key);
            }
        }
        keys.retain(|key| !there.contains(&key.to_string()));
        let wholes: HashSet<Id<Record>> = keys.iter().filter_map(Key::id).collect();
        let wholes: Vec<Id<Record>> = wholes.into_iter().collect();
        let mut unsure: HashSet<Id<Record>> = HashSet::new();
        for part in wholes.chunks(MOST) {
            let found = self.source.with_unkeyed_parts(self.kind, part);
            unsure.extend(named(Operation::Fetch, found).await?);
        }
        keys.retain(|key| key.id().is_none_or(|whole| !unsure.contains(&whole)));
        Ok(keys)
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
            let from = from(self.source, self.origin.as_deref());
            let loaded = batch
                .load(self.source, self.target, Step::Aside, from)
                .await?;
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
            Some(None) => self.readable_reject(&key.to_string()).await?,
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
        let difference = match (ours.map(|ours| ours.outcome), theirs) {
            (_, Some(Err(problems))) => DifferenceKind::UnreadableInTarget {
                fields: fields_of(&problems),
            },
            (Some(Ok(ours)), Some(Ok(theirs))) => DifferenceKind::Differs {
                fields: differing_fields(&ours, &theirs),
            },
            _ => DifferenceKind::Differs { fields: Vec::new() },
        };
        self.note(key.to_string(), difference);
        Ok(())
    }

    fn note(&mut self, key: String, difference: DifferenceKind) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Follow;

    fn record() -> Record {
        Record::from(Follow::new(Id::new(), Id::new()))
    }

    #[test]
    fn a_record_without_a_digest_is_in_its_place() {
        let records = [record(), record(), record()];
        let mut digests = Digests::default();
        for record in [&records[0], &records[2]] {
            digests.entries.push(entry(record));
        }
        digests.others.push(Scanned::of(records[1].clone()));
        let batch = source_batch(digests);
        assert!(batch.unmovable.is_empty());
        assert_eq!(batch.entries, records.each_ref().map(entry));
    }
}
