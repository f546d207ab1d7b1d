use std::sync::Arc;

use super::{
    Destination, Kind, Progress, Snapshot, Verification,
    run::check_sides_as_they_are,
    verify::{Purpose, compare},
};
use crate::Result;

/// Compares both sides as [`verify`](fn@super::verify) does, and copies what differs again: single
/// records of documents, ranges of rows.
///
/// The result counts copied records as written. It counts as differing what still differs: records
/// that only the target has are kept, because they may be new; [`prune`](fn@super::prune) removes those
/// that were moved and are gone from the source.
///
/// # Errors
/// As for [`run`](fn@super::run). Run it again to continue.
pub async fn repair(
    source: Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    progress: &dyn Progress,
) -> Result<Verification> {
    let _lock = target.lock().await?;
    check_sides_as_they_are(source.as_ref(), target, kinds).await?;
    compare(&source, target, kinds, Purpose::Repair, progress).await
}
