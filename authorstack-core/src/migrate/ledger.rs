use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Counts, Key, Kind, Position, Problems, Record, Reject, SetAside, Snapshot};
use crate::Result;

/// The state of a migration, which makes it resumable: the lock, the checkpoint of each kind, the
/// rejects and their replays, and deferred work.
#[async_trait]
pub trait Ledger: std::fmt::Debug + Send + Sync {
    /// Takes the lock. One run holds it at a time.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) when another run holds it.
    async fn lock(&self) -> Result<Box<dyn RunLock>>;

    /// Starts or resumes a kind. For a finished kind a new pass starts: its position, its counts,
    /// its open rejects, and the notes of what was set aside are cleared.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn begin(&self, kind: Kind) -> Result<Checkpoint>;

    /// Notes a batch that was applied: its rejects, what was set aside, the replays that it settles,
    /// and its checkpoint, atomically. Returns how many of the rejects are open. A reject that a replay has
    /// settled stays settled while its source record is unchanged.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the kind's checkpoint is no longer
    /// where the batch begins, or if a reject of a replay is not open any more; Timeout or
    /// Unavailable of the store. Nothing is written then.
    async fn note(&self, entry: &Entry<'_>) -> Result<u64>;

    /// Ends a kind's pass.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn finish(&self, kind: Kind) -> Result<()>;

    /// The open rejects, in batches, by kind and key.
    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>>;

    /// The records that moved with values [set aside](crate::SET_ASIDE), in batches, by kind and
    /// key.
    fn set_aside(&self) -> BoxStream<'_, Result<Vec<SetAside>>>;

    /// How many fields were set aside in the records of a kind.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn set_aside_fields(&self, kind: Kind) -> Result<u64>;

    /// All rejects of a kind that a replay has settled.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>>;

    /// The state of these rejected keys of a kind. Keys that the ledger does not know are left out.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>>;

    /// The names of indexes, constraints and settings that are deferred until the end of a kind's
    /// pass.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn deferred(&self, kind: Kind) -> Result<Vec<String>>;
}

/// The lock of a run. It is released when dropped, also if the process is killed.
pub trait RunLock: std::fmt::Debug + Send + Sync {}

/// The state of a kind's pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The end of the last batch that was committed; `None` at the start.
    pub position: Option<Position>,
    /// The counts of the pass so far.
    pub counts: Counts,
}

/// The state of a rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The record's key in the source.
    pub key: String,
    /// The digest of the source's record when it was rejected.
    pub source_digest: [u8; 32],
    /// The record of the target that a replay made of it; `None` while it is open.
    pub replayed_as: Option<Key>,
}

/// A batch that was applied, for the ledger.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The kind of the records.
    pub kind: Kind,
    /// How the checkpoint moves.
    pub step: Step<'a>,
    /// The counts of written and unchanged records. How many were read and rejected follows from
    /// the rejects.
    pub applied: Counts,
    /// The records that did not move.
    pub rejects: &'a [Reject],
    /// The records that moved with values set aside.
    pub set_aside: &'a [SetAside],
    /// For a replay: the rejects that were loaded, with the keys of the records that they became.
    pub settled: &'a [(Rejected, Key)],
}

/// A batch to be loaded.
pub struct Load<'a> {
    /// The kind of the records.
    pub kind: Kind,
    /// The records, each one [checked](Record::check).
    pub records: &'a [Record],
    /// The records that the source could not read or the check refused.
    pub rejects: &'a [Reject],
    /// What was set aside in some of the records, each with its index in `records`.
    pub set_aside: &'a [(usize, SetAside)],
    /// Makes the reject of a record that the target refuses, by its index in `records`.
    pub reject: &'a (dyn Fn(usize, Problems) -> Reject + Sync),
    /// How the checkpoint moves.
    pub step: Step<'a>,
    /// Where the records come from; `None` if the source cannot say.
    pub from: Option<Origin<'a>>,
}

/// Where the records of a batch come from. A sink remembers which records it took from there, so
/// that it can follow what changes there later.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The [origin](Snapshot::origin) of the kind.
    pub name: &'a str,
    /// The source, for records as they are now.
    pub source: &'a dyn Snapshot,
}

/// How a batch changes the ledger.
#[derive(Debug, Clone)]
pub enum Step<'a> {
    /// A batch of a pass: the checkpoint moves from one position to the next.
    Advance {
        /// The position of the checkpoint before.
        from: Option<&'a Position>,
        /// The position after.
        to: &'a Position,
    },
    /// Outside of a pass: the checkpoint does not move.
    Aside,
    /// A replay: these rejects, one for each record, are settled when they are loaded. They must be
    /// open, else nothing is loaded. The checkpoint does not move.
    Replay {
        /// The rejects.
        rejects: &'a [Rejected],
    },
}

/// A reject by what identifies it, beside its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The record's key in the source.
    pub key: String,
    /// The digest of the source's record when it was rejected.
    pub source_digest: [u8; 32],
}

impl Load<'_> {
    /// What was set aside in the records that moved, given which ones did not.
    pub fn moved_aside(&self, is_refused: impl Fn(usize) -> bool) -> Vec<SetAside> {
        let moved = self.set_aside.iter().filter(|(at, _)| !is_refused(*at));
        moved.map(|(_, set_aside)| set_aside.clone()).collect()
    }
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

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The counts of the batch's records and rejects. A reject that was replayed earlier, and whose
    /// source record has not changed since, counts as unchanged.
    pub counts: Counts,
}
