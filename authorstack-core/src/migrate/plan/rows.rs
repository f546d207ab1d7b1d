//! The plan for rows: the source's server finds those that cannot move.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{Admitted, Found, Sides};
use crate::{
    Result,
    migrate::{
        BatchLimits, Key, Kind, Problems, Progress, References, RefusedRow, RowHolder, RowRange,
        RowReader, Scanned, UnfitRow,
        rows::Referred,
        run::{Lane, past, range_rows},
    },
};

pub(super) async fn plan_rows(
    lane: &Lane<'_>,
    sides: &Sides<'_>,
    admitted: &mut Admitted<'_>,
    found: &mut Found,
    progress: &dyn Progress,
) -> Result<()> {
    let kind = sides.kind;
    let mut references = References {
        absent: Vec::new(),
        with_ids: lane.source.with_ids(kind).await?,
    };
    for to in kind.depends_on() {
        references.add(kind, to, referred(lane, kind, to, admitted).await?);
    }
    let most = range_rows(BatchLimits::default());
    let mut left = RowRange::ALL;
    let mut collisions = Collisions {
        rows: VecDeque::new(),
        rest: if lane.source.may_collide(kind).await? {
            lane.source.collisions(kind, &references)
        } else {
            stream::empty().boxed()
        },
    };
    while let Some(mut reader) = lane.source.open(kind, left, most, &references).await? {
        left.after = reader.range().until;
        found.counts.read += reader.rows();
        let movable = reader.digest().await?.map(|digest| digest.rows);
        let mut refused = 0;
        if movable != Some(reader.rows()) {
            let mut rows = reader.refused();
            while let Some(rows) = rows.try_next().await? {
                for UnfitRow { row, absent } in rows {
                    // A record that lacks several counts with the first of them, as documents do.
                    if let Some(by) = absent.first() {
                        admitted.taken(kind, None, *by);
                    }
                    if let Err(problems) = row.outcome {
                        refused += 1;
                        found.reject(row.key, &problems);
                    }
                }
            }
        }
        // In the order of their numbers: one plan gives the same examples as the next.
        let mut taken = if sides.has_records {
            taken(lane, sides, reader.as_mut()).await?
        } else {
            BTreeMap::new()
        };
        for row in collisions.up_to(left.after, sides, reader.as_mut()).await? {
            taken.entry(row.number).or_insert(row.problems);
        }
        for (number, problems) in &taken {
            refused += 1;
            found.reject(number.to_string(), problems);
        }
        let mut aside = reader.set_aside();
        while let Some(rows) = aside.try_next().await? {
            for row in rows.into_iter().filter(|row| row.outcome.is_ok()) {
                let number = row.key.parse().ok();
                if number.is_some_and(|number: i64| taken.contains_key(&number)) {
                    continue;
                }
                found.set_aside(row.key, &row.set_aside);
            }
        }
        drop(aside);
        found.counts.written += reader.rows() - refused;
        reader.close().await?;
        progress.advanced(kind, found.counts);
    }
    Ok(())
}

/// The rows whose places other rows of the source have, as they come.
struct Collisions<'l> {
    rows: VecDeque<RefusedRow>,
    rest: BoxStream<'l, Result<Vec<RefusedRow>>>,
}

impl Collisions<'_> {
    /// Those up to a number. Where the target holds one of them already, it is the other row that is
    /// refused.
    async fn up_to(
        &mut self,
        last: i64,
        sides: &Sides<'_>,
        reader: &mut dyn RowReader,
    ) -> Result<Vec<RefusedRow>> {
        while self.rows.back().is_none_or(|row| row.number <= last)
            && let Some(more) = self.rest.try_next().await?
        {
            self.rows.extend(more);
        }
        let count = self
            .rows
            .iter()
            .take_while(|row| row.number <= last)
            .count();
        let mut found: Vec<RefusedRow> = self.rows.drain(..count).collect();
        if !sides.has_records {
            return Ok(found);
        }
        let mut held: HashSet<i64> = HashSet::new();
        for part in found.chunks(BatchLimits::default().records) {
            let numbers: Vec<i64> = part.iter().map(|row| row.number).collect();
            let keys: Vec<Key> = numbers.iter().copied().map(Key::Row).collect();
            let theirs = sides.target.fetch(sides.kind, &keys).await?;
            let ours = places(reader.fetch(&numbers).await?);
            let theirs = places(theirs).into_iter();
            held.extend(theirs.filter_map(|(key, place)| {
                let is_held = ours.get(&key) == Some(&place);
                is_held.then(|| key.parse::<i64>().ok()).flatten()
            }));
        }
        found.retain(|row| !held.contains(&row.number));
        Ok(found)
    }
}

/// The unique values of rows, by their numbers.
fn places(rows: Vec<Scanned>) -> HashMap<String, Vec<String>> {
    let rows = rows.into_iter().filter_map(|row| {
        let record = row.outcome.ok()?;
        let values = record.unique_values().into_iter();
        Some((row.key, values.map(|(_, value)| value).collect()))
    });
    rows.collect()
}

/// The rows whose places others of the target have that would not give way, and why.
async fn taken(
    lane: &Lane<'_>,
    sides: &Sides<'_>,
    reader: &mut dyn RowReader,
) -> Result<BTreeMap<i64, Problems>> {
    let (kind, origin) = (sides.kind, sides.origin.as_deref());
    if lane.equal(reader).await?.is_some() {
        return Ok(BTreeMap::new());
    }
    let opened = lane.target.open(kind, reader.range(), None, origin);
    let mut writer = opened.await?;
    let mut refused = writer.screen(reader.copy()).await?;
    drop(writer);
    let holders = past(reader, &refused, BatchLimits::default()).await?;
    let mut ways: HashSet<Key> = HashSet::new();
    if let Some(origin) = origin
        && !holders.is_empty()
    {
        let keys: Vec<Key> = holders.iter().map(|it| Key::Row(it.number)).collect();
        ways.extend(sides.target.moved(kind, origin, &keys).await?);
    }
    refused.retain(|row| {
        let holder = row.holder.as_ref();
        let gives_way = |holder: &RowHolder| {
            holders.contains(holder) && ways.contains(&Key::Row(holder.number))
        };
        !holder.is_some_and(gives_way)
    });
    Ok(refused
        .into_iter()
        .map(|row| (row.number, row.problems))
        .collect())
}

/// The records that the rows refer to and that would not be in the target.
async fn referred(
    lane: &Lane<'_>,
    kind: Kind,
    to: Kind,
    admitted: &mut Admitted<'_>,
) -> Result<Referred> {
    let Some(there) = admitted.ids.get_mut(&to) else {
        // They were moved earlier, or the target has no table of them.
        return if admitted.tables.contains(&to) {
            lane.referred(to).await
        } else {
            Ok(Referred::default())
        };
    };
    let mut found = Referred::none_yet();
    let mut references = lane.source.references(kind, to);
    while let Some(some) = references.try_next().await? {
        let ids = found.ids(&some).into_iter();
        found.absent.extend(ids.filter(|id| !there.contains(*id)));
    }
    Ok(found)
}
