use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Counts, Key, Kind, Position, Problems, Record, Reject, RowTarget};
use crate::Result;

/// A store that records are loaded into.
///
/// The target also keeps a migration's books: checkpoints, the rejects, the lock.
#[async_trait]
pub trait Target: std::fmt::Debug + Send + Sync {
    /// The store's name in messages, such as `Supabase`.
    fn name(&self) -> &'static str;

    /// Connects and looks, without changing anything.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    async fn inspect(&self) -> Result<TargetState>;

    /// What of a record the target cannot hold, as far as the record alone tells. A load refuses
    /// the same.
    fn screen(&self, record: &Record) -> Problems {
        let _ = record;
        Problems::default()
    }

    /// Takes the lock that one run holds at a time.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) when another run holds it.
    async fn lock(&self) -> Result<Box<dyn RunLock>>;

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](crate::ErrorKind::Blocked) when the target holds something else.
    async fn prepare(&self) -> Result<()>;

    /// Starts or resumes a kind. A kind that was finished starts a new pass: its position, its
    /// counts and its open rejects are cleared. A first load into an empty table may put off
    /// secondary indexes until [`Target::finish`].
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn begin(&self, kind: Kind) -> Result<Checkpoint>;

    /// Loads one batch: the records, the rejects and the checkpoint in one transaction.
    ///
    /// A record that the target refuses becomes a reject: the answer names its index, and
    /// [`Load::reject`] renders it. Loading the same records again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the kind's checkpoint is no longer
    /// at `load.from`; the store's Timeout or Unavailable. Nothing of the batch is kept then.
    async fn load(&self, load: &Load<'_>) -> Result<Loaded>;

    /// Ends a kind's pass: builds the indexes that [`Target::begin`] put off.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn finish(&self, kind: Kind) -> Result<()>;

    /// All records of a kind in the order of their keys, in batches.
    fn scan(&self, kind: Kind) -> BoxStream<'_, Result<Vec<Record>>>;

    /// The open rejects, in batches, by kind and key.
    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>>;

    /// The records with these keys, those that exist.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Record>>;

    /// All rejects of a kind that a replay has settled.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>>;

    /// What became of these rejected keys of a kind, those that the books know.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>>;

    /// The fast lane for a kind, where the target has one.
    fn rows(&self, kind: Kind) -> Option<&dyn RowTarget> {
        let _ = kind;
        None
    }
}

/// What the books say of a rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The record's key in the source.
    pub key: String,
    /// The digest of the source's record when it was rejected.
    pub source_digest: [u8; 32],
    /// The record of the target that a replay made of it; `None` while it is open.
    pub replayed_as: Option<Key>,
}

/// Held by one run at a time; given back when dropped, also by a process that is killed.
pub trait RunLock: std::fmt::Debug + Send + Sync {}

/// What a target looks like before a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetState {
    /// The schema migrations that are still to be applied, by file name.
    pub pending_migrations: Vec<String>,
    /// What keeps a run from starting, and how to clear it.
    pub blockers: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// How many records each kind has; none where the table does not exist yet.
    pub records: Vec<(Kind, u64)>,
}

/// Where a kind's pass stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The end of the last batch that was committed; `None` at the start.
    pub position: Option<Position>,
    /// What the pass has counted so far.
    pub counts: Counts,
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

/// What a load does to the books.
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
