//! The plan for rows: the source's server finds those that cannot move.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::TryStreamExt;

use super::{Admitted, Found, Sides};
use crate::{
    Id, Result,
    migrate::{
        Absent, BatchLimits, Key, Kind, Problems, Progress, Record, RowHolder, RowRange, RowReader,
        UnfitRow,
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
    let mut missing = Absent::default();
    for to in kind.depends_on() {
        missing
            .0
            .push((to, absent(lane, kind, to, admitted).await?));
    }
    let most = range_rows(BatchLimits::default());
    let mut left = RowRange::ALL;
    while let Some(mut reader) = lane.source.open(kind, left, most, &missing).await? {
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
        let taken = if sides.has_records {
            taken(lane, sides, reader.as_mut()).await?
        } else {
            HashMap::new()
        };
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

/// The rows whose places others of the target have that would not give way, and why.
async fn taken(
    lane: &Lane<'_>,
    sides: &Sides<'_>,
    reader: &mut dyn RowReader,
) -> Result<HashMap<i64, Problems>> {
    let (kind, origin) = (sides.kind, sides.origin.as_deref());
    if lane.equal(reader).await?.is_some() {
        return Ok(HashMap::new());
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
async fn absent(
    lane: &Lane<'_>,
    kind: Kind,
    to: Kind,
    admitted: &mut Admitted<'_>,
) -> Result<Arc<[Id<Record>]>> {
    let mut absent = Vec::new();
    let mut references = lane.source.references(kind, to);
    if let Some(there) = admitted.ids.get_mut(&to) {
        while let Some(ids) = references.try_next().await? {
            absent.extend(ids.into_iter().filter(|id| !there.contains(*id)));
        }
    } else if admitted.tables.contains(&to) {
        // They were moved earlier.
        while let Some(ids) = references.try_next().await? {
            absent.extend(lane.target.absent(to, &ids).await?);
        }
    }
    Ok(absent.into())
}
