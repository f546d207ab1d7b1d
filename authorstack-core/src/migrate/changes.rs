use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Key, Kind, Position, Scanned};
use crate::Result;

/// What changes in a store, from a moment on: for a migration that goes on while an app writes.
///
/// A run takes the [`position`](Changes::position) first, moves a [`Snapshot`](super::Snapshot),
/// and follows from there: what changed while it was read comes once more, and applying it again
/// changes nothing.
#[async_trait]
pub trait Changes: std::fmt::Debug + Send + Sync {
    /// The place behind the last change so far.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn position(&self) -> Result<Position>;

    /// The changes behind a position in their order, then those that come, without end. A record
    /// that has changed several times may come once, as it is then.
    ///
    /// The stream ends with an error when the store failed, or no longer knows the position: start
    /// again with a new snapshot then.
    fn follow(&self, after: Position) -> BoxStream<'_, Result<ChangeBatch>>;
}

/// Changes that were made one behind the other.
#[derive(Debug)]
pub struct ChangeBatch {
    /// The changes; at least one.
    pub changes: Vec<RecordChange>,
    /// The place behind them.
    pub position: Position,
}

/// What became of a record.
#[derive(Debug, Clone)]
pub enum RecordChange {
    /// It is new, or other than before.
    Upsert {
        /// Its kind.
        kind: Kind,
        /// The record as it is now.
        scanned: Box<Scanned>,
    },
    /// It is gone.
    Removal {
        /// Its kind.
        kind: Kind,
        /// What told it from the others.
        key: Key,
    },
}
