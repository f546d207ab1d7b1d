//! Compares rows through the fast lane. Both servers hash them range by range; rows are read only
//! if the hashes differ.

use std::{collections::HashMap, pin::pin};

use futures::{TryStreamExt, stream};

use super::{Comparison, DifferenceKind, Entry, Purpose, RANGE, digest_batch, target_batch};
use crate::{
    Error, Result,
    migrate::{
        BatchLimits, Digest, Progress, References, RowRange, RowReader, Scanned, Settled,
        run::{Lane, Range, range_rows},
    },
};

/// How many ranges are hashed at once, so that the servers do not wait between them.
const AHEAD: usize = 2;

/// The context of comparing the ranges of a kind.
struct Side<'s, 'c> {
    lane: &'s Lane<'c>,
    references: &'s References,
    progress: &'s dyn Progress,
}

impl<'c> Comparison<'c> {
    pub(super) async fn rows(&mut self, lane: &Lane<'c>, progress: &dyn Progress) -> Result<()> {
        let references = lane.references().await?;
        let most = range_rows(BatchLimits::default());
        let mut left = RowRange::ALL;
        let side = Side {
            lane,
            references: &references,
            progress,
        };
        left.after = self.row_ranges(&side, left, most).await?;
        self.only_theirs(lane, left).await
    }

    /// Compares rows in ranges of a given size. Returns the number of the source's last row.
    async fn row_ranges(
        &mut self,
        side: &Side<'_, 'c>,
        window: RowRange,
        most: u64,
    ) -> Result<i64> {
        let (lane, references, kind) = (side.lane, side.references, self.kind);
        let mut ranges = pin!(
            stream::try_unfold(window, |left| async move {
                let reader = lane.source.open(kind, left, most, references).await?;
                Ok::<_, Error>(reader.map(|reader| {
                    let after = reader.range().until;
                    (reader, RowRange { after, ..left })
                }))
            })
            .map_ok(|mut reader| async move {
                let equal = lane.equal(reader.as_mut()).await?;
                Ok((reader, equal))
            })
            .try_buffered(AHEAD)
        );
        let mut last = window.after;
        while let Some((reader, equal)) = ranges.try_next().await? {
            let range = reader.range();
            match equal {
                Some(equal) => self.equal_rows(reader, equal).await?,
                None if reader.rows() > RANGE as u64 => {
                    // Most likely few rows differ: the part with the differences is searched for.
                    reader.close().await?;
                    Box::pin(self.row_ranges(side, range, RANGE as u64)).await?;
                }
                None => self.unequal_rows(side, reader).await?,
            }
            side.progress.advanced(kind, self.counts);
            last = range.until;
        }
        Ok(last)
    }

    /// Counts a range: `equal` rows are equal, the others cannot move.
    async fn equal_rows(&mut self, mut reader: Box<dyn RowReader>, equal: u64) -> Result<()> {
        self.ranges += 1;
        self.counts.read += reader.rows();
        self.counts.unchanged += equal;
        if equal < reader.rows() {
            let mut refused = reader.refused();
            while let Some(rows) = refused.try_next().await? {
                let rows = rows.into_iter().map(|unfit| unfit.row);
                self.refused(rows.collect()).await?;
            }
        }
        reader.close().await
    }

    /// Reports what differs in a range, after copying it again for a repair.
    async fn unequal_rows(
        &mut self,
        side: &Side<'_, 'c>,
        reader: Box<dyn RowReader>,
    ) -> Result<()> {
        let range = reader.range();
        if self.purpose != Purpose::Repair {
            return self.compare_rows(side.lane, range, reader).await;
        }
        let copy = Range {
            source: self.source,
            target: self.target,
            lane: side.lane.clone(),
            origin: self.origin.as_deref(),
            references: side.references,
            reader,
            limits: BatchLimits::default(),
        };
        let copied = copy.move_into(None).await?.written;
        let again = side
            .lane
            .source
            .open(self.kind, range, u64::MAX, side.references);
        if let Some(reader) = again.await? {
            self.compare_rows(side.lane, range, reader).await?;
        }
        // The range was found equal just now.
        self.counts.written += copied;
        self.counts.unchanged = self.counts.unchanged.saturating_sub(copied);
        Ok(())
    }

    /// Handles rows that cannot move: known rejects, replayed ones, or lost ones.
    async fn refused(&mut self, rows: Vec<Scanned>) -> Result<()> {
        let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
        let known = self.target.settled(self.kind, &keys).await?.into_iter();
        let known: HashMap<String, Settled> = known
            .map(|settled| (settled.key.clone(), settled))
            .collect();
        let mut settled = Vec::with_capacity(rows.len());
        for row in rows {
            if known.contains_key(&row.key) {
                let digest = Digest(row.original_digest());
                settled.push((row.key, digest));
            } else {
                self.note(row.key, DifferenceKind::MissingInTarget);
            }
        }
        self.rejects(settled).await
    }

    /// Compares the rows of a range one by one.
    async fn compare_rows(
        &mut self,
        lane: &Lane<'c>,
        range: RowRange,
        mut reader: Box<dyn RowReader>,
    ) -> Result<()> {
        let kind = self.kind;
        let mut ours = digest_batch(Vec::new());
        let mut rows = reader.records(BatchLimits::default());
        while let Some(rows) = rows.try_next().await? {
            let batch = digest_batch(rows);
            ours.entries.extend(batch.entries);
            ours.unmovable.extend(batch.unmovable);
        }
        drop(rows);
        reader.close().await?;
        self.counts.read += (ours.entries.len() + ours.unmovable.len()) as u64;
        self.unmovable(ours.unmovable).await?;
        let mut ours = ours.entries;
        let mut theirs: Vec<Entry> = Vec::new();
        let mut rows = lane.target.records(kind, range);
        while let Some(rows) = rows.try_next().await? {
            let batch = target_batch(kind, rows);
            self.keyless(batch.keyless);
            theirs.extend(batch.entries);
            // The target may hold far more than the source.
            if let Some((last, _)) = theirs.last()
                && theirs.len() >= 2 * RANGE
            {
                let rest = ours.split_off(ours.partition_point(|(key, _)| key <= last));
                self.listed(&ours, &theirs).await?;
                ours = rest;
                theirs.clear();
            }
        }
        if ours.is_empty() && theirs.is_empty() {
            return Ok(());
        }
        self.listed(&ours, &theirs).await
    }

    /// Reports what differs, without changing it.
    async fn listed(&mut self, ours: &[Entry], theirs: &[Entry]) -> Result<()> {
        let purpose = self.purpose;
        if purpose == Purpose::Repair {
            self.purpose = Purpose::Verify;
        }
        let said = self.range(ours, theirs).await;
        self.purpose = purpose;
        said
    }

    /// The rows after the source's last one.
    async fn only_theirs(&mut self, lane: &Lane<'c>, range: RowRange) -> Result<()> {
        if lane.target.digest(self.kind, range).await?.rows == 0 {
            return Ok(());
        }
        let mut rows = lane.target.records(self.kind, range);
        let mut part: Vec<Entry> = Vec::new();
        while let Some(more) = rows.try_next().await? {
            let batch = target_batch(self.kind, more);
            self.keyless(batch.keyless);
            part.extend(batch.entries);
            if part.len() >= RANGE {
                self.listed(&[], &std::mem::take(&mut part)).await?;
            }
        }
        if part.is_empty() {
            return Ok(());
        }
        self.listed(&[], &part).await
    }
}
