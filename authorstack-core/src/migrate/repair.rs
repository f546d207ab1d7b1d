use std::sync::Arc;

use super::{
    Destination, Kind, Progress, Snapshot, Verification,
    run::check_sides_as_they_are,
    verify::{Purpose, compare},
};
use crate::Result;

/// Compares both sides as [`verify`](fn@super::verify) does, and copies again what differs: of
/// documents the records, of rows the ranges.
///
/// The answer counts as written what was copied, and as differing what still is: records that
/// only the target has stay, for they may be new.
///
/// # Errors
/// As for [`run`](fn@super::run). Run it again to go on.
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
