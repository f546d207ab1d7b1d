mod rows;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    BatchLimits, Counts, Destination, Digest, Kind, KindReport, Load, Origin, Original, Position,
    Problems, Progress, Record, Reject, Report, Scanned, SetAside, SinkState, Snapshot, Step,
    destination::named,
    redact::{redact, redact_problems},
};
use crate::{Error, ErrorKind, Result, layers::Operation};

pub(super) use rows::{Lane, Range, past, range_rows};

/// The options of a run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The kinds to move; an empty list means every kind that the source holds. The kinds that a
    /// kind depends on must move with it, or be in the target already.
    pub kinds: Vec<Kind>,
    /// The size of batches.
    pub limits: BatchLimits,
}

/// Moves records from a source to a target.
///
/// It brings the target's schema up to date, then streams each kind in batches. A batch, its
/// rejects and its checkpoint commit together if the target can do that, so a run that was killed
/// is resumed by running again. Kinds that do not depend on each other move in parallel, a few at a
/// time. Memory use is constant.
///
/// # Errors
/// [`ErrorKind::Configuration`] for wrong settings, and [`ErrorKind::Blocked`] if the target holds
/// something else: nothing was moved. [`ErrorKind::Locked`] while another run is active. Any other
/// kind if a store failed on the way: run again to resume.
pub async fn run(
    source: Arc<dyn Snapshot>,
    target: &Destination,
    options: &RunOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let kinds = match options.kinds.as_slice() {
        [] => source.kinds(),
        named => named,
    };
    // The lock comes first: while another run changes the target, it cannot be inspected.
    let _lock = target.lock().await?;
    check_sides(source.as_ref(), target, kinds).await?;
    target.prepare().await?;

    let mut waiting = in_order(kinds);
    let mut moved: Vec<KindReport> = Vec::new();
    let mut moving = FuturesUnordered::new();
    let mut under_way: Vec<Kind> = Vec::new();
    loop {
        while under_way.len() < SIDE_BY_SIDE
            && let Some(next) = next_of(&waiting, &under_way)
        {
            let kind = waiting.remove(next);
            under_way.push(kind);
            moving.push(move_kind(&source, target, kind, options.limits, progress));
        }
        let Some(report) = moving.next().await else {
            break;
        };
        let report = report?;
        under_way.retain(|kind| *kind != report.kind);
        moved.push(report);
    }
    moved.sort_by_key(|report| report.kind);
    Ok(Report::of(moved))
}

/// How many kinds move in parallel: enough for two cores, and few enough to keep memory use small.
const SIDE_BY_SIDE: usize = 3;

/// The first kind that does not wait for another one.
fn next_of(waiting: &[Kind], under_way: &[Kind]) -> Option<usize> {
    waiting.iter().position(|kind| {
        let still_moves = |on: &Kind| waiting.contains(on) || under_way.contains(on);
        !kind.depends_on().iter().any(still_moves)
    })
}

/// Checks both sides before anything is moved or compared. Returns what the target lacks.
pub(super) async fn check_sides(
    source: &dyn Snapshot,
    target: &Destination,
    kinds: &[Kind],
) -> Result<SinkState> {
    if let Some(kind) = kinds.iter().find(|kind| !source.kinds().contains(kind)) {
        return Err(Error::new(ErrorKind::Unsupported {
            what: format!("{} holds no {kind}; leave that kind out", source.name()).into(),
        }));
    }
    if let Some(kind) = kinds.iter().find(|kind| !target.kinds().contains(kind)) {
        return Err(Error::new(ErrorKind::Unsupported {
            what: format!("{} cannot hold {kind}; leave that kind out", target.name()).into(),
        }));
    }
    named(Operation::Check, source.check(kinds)).await?;
    let mut state = target.inspect().await?;
    state.blockers.extend(one_database(source, target).await?);
    if state.blockers.is_empty() {
        Ok(state)
    } else {
        Err(Error::blocked(state.blockers.join("; ")))
    }
}

/// What hinders a migration whose source and target are one database.
pub(super) async fn one_database(
    source: &dyn Snapshot,
    target: &Destination,
) -> Result<Option<String>> {
    let sources = named(Operation::Check, source.databases()).await?;
    let targets = target.databases().await?;
    let is_one = sources.iter().any(|database| targets.contains(database));
    Ok(is_one.then(|| {
        format!(
            "{} and {} are one database; name the one to move from, and another one to move to",
            source.name(),
            target.name()
        )
    }))
}

/// Checks both sides for commands that need the target's present tables.
pub(super) async fn check_sides_as_they_are(
    source: &dyn Snapshot,
    target: &Destination,
    kinds: &[Kind],
) -> Result<()> {
    let pending = check_sides(source, target, kinds).await?.pending_migrations;
    if pending.is_empty() {
        Ok(())
    } else {
        Err(Error::blocked(format!(
            "the target's schema lacks {}; `run` first",
            pending.join(", ")
        )))
    }
}

/// The kinds, each after those that it depends on.
pub(super) fn in_order(kinds: &[Kind]) -> Vec<Kind> {
    let all = Kind::ALL.iter().copied();
    all.filter(|kind| kinds.contains(kind)).collect()
}

/// Moves one kind. It starts again from the checkpoint if a writer of a killed run, still finishing
/// its last batch, has moved it.
async fn move_kind(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kind: Kind,
    limits: BatchLimits,
    progress: &dyn Progress,
) -> Result<KindReport> {
    const TRIES: u32 = 5;
    let started = Instant::now();
    let mut tries = 0;
    let has_lane = Lane::between(source.as_ref(), target, kind).is_some();
    let counts = loop {
        let moved = if has_lane {
            // Ranges that exchange values may wait for each other. They do not, one after the other.
            let side_by_side = if tries == 0 { rows::SIDE_BY_SIDE } else { 1 };
            rows::move_rows(source, target, kind, limits, side_by_side, progress).await
        } else {
            stream_kind(source, target, kind, limits, progress).await
        };
        match moved {
            Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) && tries < TRIES => {
                tries += 1;
                tracing::warn!(%kind, %error, "resuming from the checkpoint");
                tokio::time::sleep(Duration::from_millis(100) * tries).await;
            }
            other => break other?,
        }
    };
    progress.finishing(kind);
    target.finish(kind).await?;
    progress.finished(kind, counts);
    Ok(KindReport {
        kind,
        counts,
        differing: 0,
        set_aside: target.set_aside_fields(kind).await?,
        seconds: started.elapsed().as_secs_f64(),
    })
}

async fn stream_kind(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kind: Kind,
    limits: BatchLimits,
    progress: &dyn Progress,
) -> Result<Counts> {
    let origin = origin(source.as_ref(), kind).await?;
    let total = named(Operation::Count, source.count(kind)).await?;
    let checkpoint = target.begin(kind, total).await?;
    let mut counts = checkpoint.counts;
    progress.started(kind, total, counts);

    // Reading and decoding run in parallel with loading. A slot of the channel is reserved before a
    // batch is read, so two batches are in memory: the one being loaded and the next.
    let (sender, mut batches) = mpsc::channel(1);
    // The reader also frees what was loaded: freeing the many strings of a batch takes a tenth of the
    // time of its load, and the target would wait meanwhile.
    let (loaded, mut spent) = mpsc::unbounded_channel::<Prepared>();
    let mut reader = JoinSet::new();
    reader.spawn({
        let (source, after) = (Arc::clone(source), checkpoint.position.clone());
        async move {
            let mut scan = source.scan(kind, after, limits);
            while let Ok(place) = sender.reserve().await {
                while let Ok(batch) = spent.try_recv() {
                    drop(batch);
                }
                let Some(batch) = scan.next().await else {
                    break;
                };
                let batch = batch.map_err(|error| error.in_operation(Operation::Scan));
                place.send(batch.map(|batch| {
                    let position = batch.position;
                    (Prepared::new(source.as_ref(), kind, batch.items), position)
                }));
            }
        }
    });

    let mut at = checkpoint.position;
    while let Some(batch) = batches.recv().await {
        let (batch, position) = batch?;
        let step = Step::Advance {
            from: at.as_ref(),
            to: &position,
        };
        let from = from(source.as_ref(), origin.as_deref());
        counts += batch.load(source.as_ref(), target, step, from).await?;
        // At the end of the source nobody receives it any longer.
        drop(loaded.send(batch));
        progress.advanced(kind, counts);
        at = Some(position);
    }
    // A reader that panicked has not read everything.
    if let Some(Err(error)) = reader.join_next().await {
        return Err(Error::internal("the task that reads the source failed").with_source(error));
    }
    if counts.balance() {
        Ok(counts)
    } else {
        Err(Error::internal(format!(
            "of {} {kind} read, {} were written, {} unchanged and {} rejected",
            counts.read, counts.written, counts.unchanged, counts.rejected
        )))
    }
}

/// The origin of a kind's records, if the source can say it.
pub(super) async fn origin(source: &dyn Snapshot, kind: Kind) -> Result<Option<String>> {
    named(Operation::Check, source.origin(kind)).await
}

/// Where records come from, for a sink.
pub(super) fn from<'a>(source: &'a dyn Snapshot, origin: Option<&'a str>) -> Option<Origin<'a>> {
    origin.map(|name| Origin { name, source })
}

/// A batch that is ready to be loaded.
pub(super) struct Prepared {
    kind: Kind,
    records: Vec<Record>,
    /// The keys and originals of the records, for rejects of the target.
    origins: Vec<(String, Original)>,
    rejects: Vec<Reject>,
    /// What was set aside, each with the index of its record.
    set_aside: Vec<(usize, SetAside)>,
}

impl Prepared {
    pub(super) fn new(source: &dyn Snapshot, kind: Kind, items: Vec<Scanned>) -> Self {
        let mut batch = Self {
            kind,
            records: Vec::with_capacity(items.len()),
            origins: Vec::with_capacity(items.len()),
            rejects: Vec::new(),
            set_aside: Vec::new(),
        };
        let is_checked = source.has_checked(kind);
        for Scanned {
            key,
            outcome,
            set_aside: aside,
            original,
        } in items
        {
            let outcome = if is_checked {
                outcome.map_err(|problems| (None, problems))
            } else {
                checked(outcome)
            };
            match outcome {
                Ok(record) => {
                    if !aside.is_empty() {
                        let aside = set_aside(kind, &key, aside);
                        batch.set_aside.push((batch.records.len(), aside));
                    }
                    batch.records.push(record);
                    batch.origins.push((key, original));
                }
                Err((record, problems)) => {
                    let original = original.bytes(record.as_ref());
                    let reject = reject(source, kind, &key, original, problems);
                    batch.rejects.push(reject);
                }
            }
        }
        batch
    }

    pub(super) async fn load(
        &self,
        source: &dyn Snapshot,
        target: &Destination,
        step: Step<'_>,
        from: Option<Origin<'_>>,
    ) -> Result<Counts> {
        let make = |index: usize, problems: Problems| {
            let (key, original) = &self.origins[index];
            let original = original.bytes(self.records.get(index));
            reject(source, self.kind, key, original, problems)
        };
        let load = Load {
            kind: self.kind,
            records: &self.records,
            rejects: &self.rejects,
            set_aside: &self.set_aside,
            reject: &make,
            step,
            from,
        };
        let counts = target.load(&load).await?.counts;
        let read = (self.records.len() + self.rejects.len()) as u64;
        if counts.read == read && counts.balance() {
            Ok(counts)
        } else {
            Err(Error::internal(format!(
                "{} accounts for {counts:?} of {read} {}",
                target.name(),
                self.kind
            )))
        }
    }
}

/// The record, if every backend can store it; else what was read, and its problems.
pub(super) fn checked(
    outcome: Result<Record, Problems>,
) -> Result<Record, (Option<Record>, Problems)> {
    let record = outcome.map_err(|problems| (None, problems))?;
    match record.check() {
        Ok(()) => Ok(record),
        Err(error) => Err((Some(record), error.into())),
    }
}

/// The note of what was set aside in a record.
pub(super) fn set_aside(kind: Kind, key: &str, mut fields: Problems) -> SetAside {
    redact_problems(&mut fields);
    SetAside {
        kind,
        key: key.to_owned(),
        fields,
    }
}

pub(super) fn reject(
    source: &dyn Snapshot,
    kind: Kind,
    key: &str,
    original: Vec<u8>,
    mut problems: Problems,
) -> Reject {
    let source_digest = Digest::of_bytes(&original).0;
    let mut record = source.encode(kind, &Original::Bytes(original));
    redact(&mut record);
    redact_problems(&mut problems);
    Reject {
        kind,
        key: key.to_owned(),
        problems,
        record: record.to_string(),
        source_digest,
    }
}

/// Where a scan of a whole kind starts.
pub(super) const START: Option<Position> = None;
