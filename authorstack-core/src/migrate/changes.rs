use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Key, Kind, Position, Scanned};
use crate::Result;

/// The changes of a store from a position on, for a migration while an app continues to write.
///
/// A run first takes the [`position`](Changes::position), then moves a
/// [`Snapshot`](super::Snapshot), and then follows the changes from that position. A change made
/// while the snapshot was read comes a second time; applying it again changes nothing.
#[async_trait]
pub trait Changes: std::fmt::Debug + Send + Sync {
    /// The position after the last change so far.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn position(&self) -> Result<Position>;

    /// The changes after a position, in order, and then new changes without end. A record that has
    /// changed several times may come once, in its latest form.
    ///
    /// The stream ends with an error if the store failed or no longer knows the position. Then
    /// start again with a new snapshot.
    fn follow(&self, after: Position) -> BoxStream<'_, Result<ChangeBatch>>;
}

/// Consecutive changes.
#[derive(Debug)]
pub struct ChangeBatch {
    /// The changes; at least one.
    pub changes: Vec<RecordChange>,
    /// The position after them.
    pub position: Position,
}

/// A change of a record.
#[derive(Debug, Clone)]
pub enum RecordChange {
    /// The record is new or has changed.
    Upsert {
        /// Its kind.
        kind: Kind,
        /// The record as it is now.
        scanned: Box<Scanned>,
    },
    /// The record was removed.
    Removal {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: Key,
    },
}
