use std::sync::Arc;

use super::{
    Destination, Kind, Progress, Snapshot, Verification,
    run::check_sides_as_they_are,
    verify::{Purpose, compare},
};
use crate::Result;

/// Removes from the target what it took from this source and the source no longer has.
///
/// Records that were written to the target itself stay, and so do records that others refer to: what
/// a user wrote there after the move keeps the user. Of a kind that the source has none of, nothing
/// is removed: more likely it is another database. What stays is listed as it is by
/// [`verify`](fn@super::verify).
///
/// # Errors
/// As for [`run`](fn@super::run). Run it again to continue.
pub async fn prune(
    source: Arc<dyn Snapshot>,
    target: &Destination,
    kinds: &[Kind],
    progress: &dyn Progress,
) -> Result<Verification> {
    let _lock = target.lock().await?;
    check_sides_as_they_are(source.as_ref(), target, kinds).await?;
    compare(&source, target, kinds, Purpose::Prune, progress).await
}
