use async_trait::async_trait;

use super::{Checkpoint, Key, Kind, Ledger, Load, Loaded, Problems, Record, RowSink};
use crate::Result;

/// A store that records are written to.
///
/// Writing the same records again changes nothing, so that a batch whose end was not noted can be
/// written once more: that is all that a sink needs which cannot share a transaction with the
/// [`Ledger`]. One that can is a [`TransactionalSink`] as well.
#[async_trait]
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// The store's name in messages, such as `Supabase`.
    fn name(&self) -> &'static str;

    /// The kinds that the store can hold.
    fn kinds(&self) -> &[Kind];

    /// Connects and looks, without changing anything.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    async fn inspect(&self) -> Result<SinkState>;

    /// What of a record the store cannot hold, as far as the record alone tells. Writing it
    /// refuses the same.
    fn screen(&self, record: &Record) -> Problems {
        let _ = record;
        Problems::default()
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](crate::ErrorKind::Blocked) when the store holds something else.
    async fn prepare(&self) -> Result<()>;

    /// Begins to write a kind, or goes on with it.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn begin(&self, kind: Kind) -> Result<()>;

    /// Writes records, and removes others, of one kind. A record that the store refuses is named
    /// in the answer; the others are written.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable. What was written stays, and is unchanged when it is
    /// written again.
    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied>;

    /// Ends a kind: what was put off is made up for, sequences go on behind the largest number.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn finish(&self, kind: Kind) -> Result<()>;

    /// The fast lane for a kind, where the store has one. Only a [`TransactionalSink`] may.
    fn rows(&self, kind: Kind) -> Option<&dyn RowSink> {
        let _ = kind;
        None
    }
}

/// A sink that keeps the ledger itself: a batch, its rejects and its checkpoint commit together.
#[async_trait]
pub trait TransactionalSink: Sink + Ledger {
    /// Starts or resumes a kind, in the store and the ledger at once. A kind that was finished
    /// starts a new pass: its position, its counts and its open rejects are cleared. A first load
    /// into an empty table may put off secondary indexes until
    /// [`finish_pass`](Self::finish_pass).
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn begin_pass(&self, kind: Kind) -> Result<Checkpoint>;

    /// Loads one batch: the records, the rejects and the checkpoint in one transaction.
    ///
    /// A record that the store refuses becomes a reject, which [`Load::reject`] makes. Loading the
    /// same records again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the kind's checkpoint is no longer
    /// where the load begins; the store's Timeout or Unavailable. Nothing of the batch is kept
    /// then.
    async fn load(&self, load: &Load<'_>) -> Result<Loaded>;

    /// Ends a kind's pass in the store and the ledger: builds the indexes that
    /// [`begin_pass`](Self::begin_pass) put off.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn finish_pass(&self, kind: Kind) -> Result<()>;
}

/// What is written to a store at once.
#[derive(Debug, Clone, Copy)]
pub struct SinkBatch<'a> {
    /// The kind of all.
    pub kind: Kind,
    /// Records to be as they are here, each one [checked](Record::check).
    pub upserts: &'a [Record],
    /// Keys of records to be gone. They are removed before the others are written; one that is
    /// not there is no error. What depends on a record goes with it where the store sees to that.
    pub removals: &'a [Key],
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Records inserted or updated.
    pub written: u64,
    /// Records that were there already.
    pub unchanged: u64,
    /// Records removed that were there.
    pub removed: u64,
    /// The records that the store refuses, by their place among the upserts, and why.
    pub refused: Vec<(usize, Problems)>,
}

/// What a store looks like before a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkState {
    /// The schema migrations that are still to be applied, by file name.
    pub pending_migrations: Vec<String>,
    /// What keeps a run from starting, and how to clear it.
    pub blockers: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// How many records each kind has; none where the table does not exist yet.
    pub records: Vec<(Kind, u64)>,
}
