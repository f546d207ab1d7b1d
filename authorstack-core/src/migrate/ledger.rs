use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Counts, Key, Kind, Position, Problems, Record, Reject};
use crate::Result;

/// What a migration writes down to be resumable: the lock, how far each kind has come, the rejects
/// and what became of them, and what was put off.
#[async_trait]
pub trait Ledger: std::fmt::Debug + Send + Sync {
    /// Takes the lock that one run holds at a time.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) when another run holds it.
    async fn lock(&self) -> Result<Box<dyn RunLock>>;

    /// Starts or resumes a kind. A kind that was finished starts a new pass: its position, its
    /// counts and its open rejects are cleared.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn begin(&self, kind: Kind) -> Result<Checkpoint>;

    /// Writes a batch down that was applied: its rejects, the replays that it settles, and its
    /// checkpoint, at once. Answers how many of the rejects are open: one that a replay has
    /// settled stays settled while its source is unchanged.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the kind's checkpoint is no longer
    /// where the batch begins; the store's Timeout or Unavailable. Nothing is written then.
    async fn note(&self, entry: &Entry<'_>) -> Result<u64>;

    /// Ends a kind's pass.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn finish(&self, kind: Kind) -> Result<()>;

    /// The open rejects, in batches, by kind and key.
    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>>;

    /// All rejects of a kind that a replay has settled.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>>;

    /// What became of these rejected keys of a kind, those that the ledger knows.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>>;

    /// What was put off until a kind's pass ends, by name: indexes and foreign keys.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn deferred(&self, kind: Kind) -> Result<Vec<String>>;
}

/// Held by one run at a time; given back when dropped, also by a process that is killed.
pub trait RunLock: std::fmt::Debug + Send + Sync {}

/// Where a kind's pass stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The end of the last batch that was committed; `None` at the start.
    pub position: Option<Position>,
    /// What the pass has counted so far.
    pub counts: Counts,
}

/// What the ledger says of a rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The record's key in the source.
    pub key: String,
    /// The digest of the source's record when it was rejected.
    pub source_digest: [u8; 32],
    /// The record of the target that a replay made of it; `None` while it is open.
    pub replayed_as: Option<Key>,
}

/// A batch that was applied, to be written down.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The kind of the records.
    pub kind: Kind,
    /// How the checkpoint moves.
    pub step: Step<'a>,
    /// The records written and unchanged; what was read and rejected follows from the rejects.
    pub applied: Counts,
    /// The records that did not move.
    pub rejects: &'a [Reject],
    /// Of a replay: the keys of rejects that have moved, with the records that they have become.
    pub settled: &'a [(String, Key)],
}

/// A batch to be loaded.
pub struct Load<'a> {
    /// The kind of the records.
    pub kind: Kind,
    /// The records, each one [checked](Record::check).
    pub records: &'a [Record],
    /// What the source could not read or the check refused.
    pub rejects: &'a [Reject],
    /// Makes the reject of a record that the target refuses, by its index in `records`.
    pub reject: &'a (dyn Fn(usize, Problems) -> Reject + Sync),
    /// How the checkpoint moves.
    pub step: Step<'a>,
}

/// What a load does to the ledger.
#[derive(Debug, Clone)]
pub enum Step<'a> {
    /// A batch of a pass: the checkpoint moves from one position to the next.
    Advance {
        /// Where the checkpoint must be.
        from: Option<&'a Position>,
        /// Where it will be.
        to: &'a Position,
    },
    /// Beside a pass: the checkpoint stays.
    Aside,
    /// A replay: the rejects with these keys, one for each record, are settled as they load; the
    /// checkpoint stays.
    Replay {
        /// The rejects' keys.
        keys: &'a [String],
    },
}

impl std::fmt::Debug for Load<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load")
            .field("kind", &self.kind)
            .field("records", &self.records.len())
            .field("rejects", &self.rejects.len())
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Counts over the batch: records and rejects. A reject that was replayed before, and whose
    /// source has not changed since, counts as unchanged.
    pub counts: Counts,
}
