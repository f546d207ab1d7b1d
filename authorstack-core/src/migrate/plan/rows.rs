//! The plan for rows: the source's server finds those that cannot move.

use std::sync::Arc;

use futures::TryStreamExt;

use super::{Admitted, Found};
use crate::{
    Id, Result,
    migrate::{
        Absent, BatchLimits, Kind, Progress, Record, RowRange,
        run::{Lane, range_rows},
    },
};

pub(super) async fn plan_rows(
    lane: &Lane<'_>,
    kind: Kind,
    admitted: &mut Admitted<'_>,
    found: &mut Found,
    progress: &dyn Progress,
) -> Result<()> {
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
                for row in rows {
                    if let Err(problems) = row.outcome {
                        refused += 1;
                        found.reject(row.key, &problems);
                    }
                }
            }
        }
        let mut aside = reader.set_aside();
        while let Some(rows) = aside.try_next().await? {
            for row in rows.into_iter().filter(|row| row.outcome.is_ok()) {
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
