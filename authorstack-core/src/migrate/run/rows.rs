//! Moves rows through the fast lane, a few ranges in parallel.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use super::{Prepared, from, origin, reject, set_aside};
use crate::{
    Error, Result,
    layers::Operation,
    migrate::{
        BatchLimits, Counts, Destination, Kind, Progress, Record, References, RefusedRow, Reject,
        RowHolder, RowMode, RowPass, RowRange, RowReader, RowSink, RowSource, RowWriter,
        RowsWritten, Scanned, SetAside, Snapshot, Step, UnfitRow, destination::named,
        rows::Referred,
    },
};

/// How many ranges move in parallel: one is read and written while the other commits and begins.
pub(super) const SIDE_BY_SIDE: usize = 2;
/// How many batches of records make a range.
const BATCHES: u64 = 20;
/// How often rows of a range give way to others.
const WAYS: usize = 3;

/// How many rows a range has.
pub(in crate::migrate) fn range_rows(limits: BatchLimits) -> u64 {
    (limits.records as u64).saturating_mul(BATCHES)
}

/// Both ends of the fast lane.
#[derive(Clone)]
pub(in crate::migrate) struct Lane<'l> {
    pub(in crate::migrate) source: &'l dyn RowSource,
    pub(in crate::migrate) target: &'l dyn RowSink,
    kind: Kind,
}

impl<'l> Lane<'l> {
    /// The fast lane between two stores, if both have one for this kind.
    pub(in crate::migrate) fn between(
        source: &'l dyn Snapshot,
        target: &'l Destination,
        kind: Kind,
    ) -> Option<Self> {
        Some(Self {
            source: source.rows(kind)?,
            target: target.rows(kind)?,
            kind,
        })
    }

    /// Looks at the ids in all rows.
    pub(in crate::migrate) async fn references(&self) -> Result<References> {
        let mut found = References {
            absent: Vec::new(),
            with_ids: self.source.with_ids(self.kind).await?,
        };
        for to in self.kind.depends_on() {
            found.add(self.kind, to, self.referred(to).await?);
        }
        Ok(found)
    }

    /// The number of rows in a range, if both sides hold the same rows.
    pub(in crate::migrate) async fn equal(
        &self,
        reader: &mut dyn RowReader,
    ) -> Result<Option<u64>> {
        let theirs = self.target.digest(self.kind, reader.range());
        let (ours, theirs) = futures::try_join!(reader.digest(), theirs)?;
        Ok(ours.filter(|ours| *ours == theirs).map(|ours| ours.rows))
    }

    /// Looks at the records of a kind that the rows refer to.
    pub(in crate::migrate) async fn referred(&self, to: Kind) -> Result<Referred> {
        let mut found = Referred::none_yet();
        let mut references = self.source.references(self.kind, to);
        while let Some(some) = references.try_next().await? {
            let ids = found.ids(&some);
            found.absent.extend(self.target.absent(to, &ids).await?);
        }
        Ok(found)
    }
}

/// Both ends, as the tasks own them.
#[derive(Clone)]
struct Ends {
    source: Arc<dyn Snapshot>,
    target: Destination,
    kind: Kind,
    origin: Option<String>,
}

impl Ends {
    fn lane(&self) -> Result<Lane<'_>> {
        Lane::between(self.source.as_ref(), &self.target, self.kind)
            .ok_or_else(|| Error::internal("the fast lane no longer exists"))
    }
}

/// Moves all rows of a kind that are not yet done. Returns the counts of the whole pass.
pub(super) async fn move_rows(
    source: &Arc<dyn Snapshot>,
    target: &Destination,
    kind: Kind,
    limits: BatchLimits,
    side_by_side: usize,
    progress: &dyn Progress,
) -> Result<Counts> {
    let ends = Ends {
        source: Arc::clone(source),
        target: target.clone(),
        kind,
        origin: origin(source.as_ref(), kind).await?,
    };
    let lane = ends.lane()?;
    let conversion = lane.source.conversion();
    let may_collide = lane.source.may_collide(kind).await?;
    let pass = lane.target.begin_rows(kind, &conversion, may_collide);
    let pass = Arc::new(pass.await?);
    let mut counts = pass.counts;
    let total = named(Operation::Count, source.count(kind)).await?;
    progress.started(kind, total, counts);

    // Later rows may refer to later users; the next run moves both.
    let last = lane.source.last(kind).await?;
    let references = lane.references().await?;
    let ranges = Arc::new(Mutex::new(Ranges {
        left: RowRange {
            after: RowRange::ALL.after,
            until: last.unwrap_or(RowRange::ALL.after),
        },
        done: pass.done.iter().rev().copied().collect(),
        most: range_rows(limits),
        references: references.clone(),
    }));
    let (sender, mut moved) = mpsc::channel::<Result<Counts>>(side_by_side);
    let mut tasks = JoinSet::new();
    for _ in 0..side_by_side {
        let (ends, pass) = (ends.clone(), Arc::clone(&pass));
        let (ranges, sender) = (Arc::clone(&ranges), sender.clone());
        let references = references.clone();
        tasks.spawn(async move {
            loop {
                let moved = async {
                    let Some(reader) = ranges.lock().await.next(&ends).await? else {
                        return Ok(None);
                    };
                    let counts = move_range(&ends, &pass, limits, &references, reader).await?;
                    Ok(Some(counts))
                };
                let moved = moved
                    .await
                    .map_err(|error: Error| error.in_operation(Operation::Load));
                let moved = moved.transpose();
                let Some(moved) = moved else { return };
                let goes_on = moved.is_ok();
                if sender.send(moved).await.is_err() || !goes_on {
                    return;
                }
            }
        });
    }
    drop(sender);
    // The first error stops the other ranges too: they roll back.
    while let Some(range) = moved.recv().await {
        counts += range?;
        progress.advanced(kind, counts);
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| {
            Error::internal("the task that moves a range failed").with_source(error)
        })?;
    }
    Ok(counts)
}

/// The ranges that are still to be moved, determined one after the other.
struct Ranges {
    left: RowRange,
    /// The ranges of earlier runs, in reverse order.
    done: Vec<RowRange>,
    most: u64,
    references: References,
}

impl Ranges {
    async fn next(&mut self, ends: &Ends) -> Result<Option<Box<dyn RowReader>>> {
        let source = ends.lane()?.source;
        loop {
            let next = self.done.last();
            let gap = RowRange {
                after: self.left.after,
                until: next.map_or(self.left.until, |next| next.after.min(self.left.until)),
            };
            if gap.after < gap.until {
                let reader = source.open(ends.kind, gap, self.most, &self.references);
                if let Some(reader) = reader.await? {
                    self.left.after = reader.range().until;
                    return Ok(Some(reader));
                }
            }
            match self.done.pop() {
                Some(done) => self.left.after = self.left.after.max(done.until),
                None => return Ok(None),
            }
        }
    }
}

async fn move_range(
    ends: &Ends,
    pass: &RowPass,
    limits: BatchLimits,
    references: &References,
    reader: Box<dyn RowReader>,
) -> Result<Counts> {
    let range = Range {
        source: ends.source.as_ref(),
        target: &ends.target,
        lane: ends.lane()?,
        origin: ends.origin.as_deref(),
        references,
        reader,
        limits,
    };
    range.move_into(Some(pass)).await
}

/// A range being moved.
pub(in crate::migrate) struct Range<'r> {
    pub(in crate::migrate) source: &'r dyn Snapshot,
    pub(in crate::migrate) target: &'r Destination,
    pub(in crate::migrate) lane: Lane<'r>,
    /// Where the rows come from.
    pub(in crate::migrate) origin: Option<&'r str>,
    pub(in crate::migrate) references: &'r References,
    pub(in crate::migrate) reader: Box<dyn RowReader>,
    pub(in crate::migrate) limits: BatchLimits,
}

impl Range<'_> {
    /// Brings the target's range up to date, within a pass or outside of any.
    pub(in crate::migrate) async fn move_into(mut self, pass: Option<&RowPass>) -> Result<Counts> {
        let (range, kind) = (self.reader.range(), self.lane.kind);
        let mode = pass.map_or(RowMode::Merge, |pass| pass.mode);
        let equal = match mode {
            RowMode::Append => None,
            RowMode::Merge => self.lane.equal(self.reader.as_mut()).await?,
        };
        let mut writer = self
            .lane
            .target
            .open(kind, range, pass, self.origin)
            .await?;
        let mut counts = Counts {
            read: self.reader.rows(),
            ..Counts::default()
        };
        let mut movable = 0;
        let mut conflicts = HashSet::new();
        if let Some(rows) = equal {
            counts.unchanged = rows;
            movable = rows;
        } else {
            let done = self.write(writer.as_mut(), mode).await?;
            match done {
                RowsWritten::Taken {
                    written,
                    unchanged,
                    refused,
                } => {
                    counts.written = written;
                    counts.unchanged = unchanged;
                    movable += written + unchanged + refused.len() as u64;
                    conflicts = refused.iter().map(|row| row.number.to_string()).collect();
                    let rejects = self.taken(refused).await?;
                    keep(writer.as_mut(), &rejects, &mut counts).await?;
                }
                RowsWritten::Refused if self.reader.rows() > 1 => {
                    drop(writer);
                    return self.in_halves(pass).await;
                }
                RowsWritten::Refused => {
                    drop(writer);
                    let counts = self.alone().await?;
                    let writer = self
                        .lane
                        .target
                        .open(kind, range, pass, self.origin)
                        .await?;
                    writer.commit(counts).await?;
                    self.reader.close().await?;
                    return Ok(counts);
                }
            }
        }
        if movable < counts.read {
            let mut refused = self.reader.refused();
            while let Some(rows) = refused.try_next().await? {
                let rejects: Vec<Reject> = rows
                    .into_iter()
                    .filter_map(|UnfitRow { row, .. }| {
                        let original = row.original.bytes(row.outcome.as_ref().ok());
                        let problems = row.outcome.err()?;
                        Some(reject(self.source, kind, &row.key, original, problems))
                    })
                    .collect();
                keep(writer.as_mut(), &rejects, &mut counts).await?;
            }
        }
        let mut aside = self.reader.set_aside();
        while let Some(rows) = aside.try_next().await? {
            let rows = rows.into_iter();
            let moved = rows.filter(|row| row.outcome.is_ok() && !conflicts.contains(&row.key));
            let moved: Vec<SetAside> = moved
                .map(|row| set_aside(kind, &row.key, row.set_aside))
                .collect();
            writer.set_aside(&moved).await?;
        }
        drop(aside);
        if !counts.balance() {
            return Err(Error::internal(format!(
                "{kind} after {} up to {} do not add up: {counts:?}",
                range.after, range.until
            )));
        }
        writer.commit(counts).await?;
        self.reader.close().await?;
        Ok(counts)
    }

    /// Writes the rows. What holds their places in the target, and is gone from there in the source,
    /// gives way.
    async fn write(&mut self, writer: &mut dyn RowWriter, mode: RowMode) -> Result<RowsWritten> {
        let mut done = writer.write(mode, self.reader.copy()).await?;
        if mode == RowMode::Append && done == RowsWritten::Refused {
            done = writer.write(RowMode::Merge, self.reader.copy()).await?;
        }
        // A row that gives way may have held the place of another one, which then holds a place
        // itself. The bound is for rows that change all the time.
        for _ in 0..WAYS {
            let RowsWritten::Taken { refused, .. } = &done else {
                break;
            };
            let holders = past(self.reader.as_mut(), refused, self.limits).await?;
            if holders.is_empty() || writer.give_way(&holders).await? == 0 {
                break;
            }
            done = writer.write(RowMode::Merge, self.reader.copy()).await?;
        }
        Ok(done)
    }

    /// The rejects of rows that conflict with another row.
    async fn taken(&mut self, refused: Vec<RefusedRow>) -> Result<Vec<Reject>> {
        let kind = self.lane.kind;
        let mut rejects = Vec::with_capacity(refused.len());
        for part in refused.chunks(self.limits.records.max(1)) {
            let numbers: Vec<i64> = part.iter().map(|row| row.number).collect();
            let mut rows = self.reader.fetch(&numbers).await?;
            for refused in part {
                let key = refused.number.to_string();
                let Some(at) = rows.iter().position(|row| row.key == key) else {
                    return Err(Error::internal(format!(
                        "row {key} of {kind} no longer exists"
                    )));
                };
                let row = rows.swap_remove(at);
                let problems = refused.problems.clone();
                let original = row.original.bytes(row.outcome.as_ref().ok());
                rejects.push(reject(self.source, kind, &row.key, original, problems));
            }
        }
        Ok(rejects)
    }

    /// Moves the range in two parts, each in a transaction of its own, to find the rows that the
    /// target refuses. The sound rows of the range move as all others do.
    async fn in_halves(self, pass: Option<&RowPass>) -> Result<Counts> {
        let (mut left, half) = (self.reader.range(), self.reader.rows().div_ceil(2));
        self.reader.close().await?;
        let mut counts = Counts::default();
        // Rows may have come or gone since: there may be another number of parts.
        while let Some(reader) = self
            .lane
            .source
            .open(self.lane.kind, left, half, self.references)
            .await?
        {
            left.after = reader.range().until;
            let part = Range {
                lane: self.lane.clone(),
                reader,
                ..self
            };
            counts += Box::pin(part.move_into(pass)).await?;
        }
        Ok(counts)
    }

    /// Moves the only row as a record: only so the target says why it refuses it.
    async fn alone(&mut self) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut batches = self.reader.records(self.limits);
        while let Some(batch) = batches.next().await {
            let batch = Prepared::new(self.source, self.lane.kind, batch?);
            let from = from(self.source, self.origin);
            counts += batch
                .load(self.source, self.target, Step::Aside, from)
                .await?;
        }
        Ok(counts)
    }
}

/// Stores rejects. Those that a replay has settled count as unchanged.
async fn keep(writer: &mut dyn RowWriter, rejects: &[Reject], counts: &mut Counts) -> Result<()> {
    if !rejects.is_empty() {
        let open = writer.reject(rejects).await?;
        counts.rejected += open;
        counts.unchanged += rejects.len() as u64 - open;
    }
    Ok(())
}

/// The rows that hold the place of others in the target, and that the source no longer has
/// there: they were deleted in the source, or have other values.
pub(in crate::migrate) async fn past(
    reader: &mut dyn RowReader,
    refused: &[RefusedRow],
    limits: BatchLimits,
) -> Result<Vec<RowHolder>> {
    let held = refused.iter().filter_map(|row| {
        let holder = row.holder.as_ref();
        let holder = holder.filter(|holder| holder.number != row.number);
        holder.map(|holder| (row.number, holder))
    });
    let held: Vec<(i64, &RowHolder)> = held.collect();
    let mut past = Vec::new();
    for part in held.chunks(limits.records.max(1)) {
        let numbers: HashSet<i64> = part.iter().flat_map(|(a, b)| [*a, b.number]).collect();
        let numbers: Vec<i64> = numbers.into_iter().collect();
        let rows = reader.fetch(&numbers).await?.into_iter();
        let rows: HashMap<String, Scanned> = rows.map(|row| (row.key.clone(), row)).collect();
        let values = |number: i64| {
            let row = rows.get(&number.to_string())?;
            Some(row.outcome.as_ref().ok().map(Record::unique_values))
        };
        let is_past = |number, holder| match (values(number), values(holder)) {
            (Some(Some(_)), None) => true,
            (Some(Some(new)), Some(Some(held))) => new != held,
            // What the source holds there now is not known.
            _ => false,
        };
        let ways = part.iter().filter(|(row, to)| is_past(*row, to.number));
        past.extend(ways.map(|(_, holder)| (*holder).clone()));
    }
    Ok(past)
}
