use async_trait::async_trait;

use super::{Checkpoint, Key, Kind, Ledger, Load, Loaded, Origin, Problems, Record, RowSink};
use crate::Result;

/// A store that records are written to.
///
/// Writing the same records again must change nothing. So a batch whose end was not noted can be
/// written again, and the sink need not share a transaction with the [`Ledger`]. A sink that can
/// do so is also a [`TransactionalSink`].
#[async_trait]
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// The store's name in messages, such as `Supabase`.
    fn name(&self) -> &'static str;

    /// The kinds that the store can hold.
    fn kinds(&self) -> &[Kind];

    /// Connects and inspects the store, without changing anything.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    async fn inspect(&self) -> Result<SinkState>;

    /// The parts of a record that the store cannot hold, found from the record alone. The store
    /// refuses to write the record for the same reasons.
    fn screen(&self, record: &Record) -> Problems {
        let _ = record;
        Problems::default()
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](crate::ErrorKind::Blocked) if the store holds something else.
    async fn prepare(&self) -> Result<()>;

    /// Begins to write a kind, or continues with it.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn begin(&self, kind: Kind) -> Result<()>;

    /// Writes and removes records of one kind. A record that the store refuses is named in the
    /// result; the others are written.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store. What was written stays, and counts as unchanged when it
    /// is written again.
    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied>;

    /// Ends a kind: does the deferred work, and lets sequences continue after the largest number.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn finish(&self, kind: Kind) -> Result<()>;

    /// The fast lane for a kind, if the store has one. Only a [`TransactionalSink`] may have one.
    fn rows(&self, kind: Kind) -> Option<&dyn RowSink> {
        let _ = kind;
        None
    }
}

/// A sink that keeps the ledger itself: a batch, its rejects and its checkpoint commit together.
#[async_trait]
pub trait TransactionalSink: Sink + Ledger {
    /// Starts or resumes a kind, in the store and the ledger together. For a finished kind a new
    /// pass starts: its position, its counts and its open rejects are cleared. A first load into an
    /// empty table may defer secondary indexes until [`finish_pass`](Self::finish_pass), if the
    /// source has something to load: `total` is its number of records, or an estimate.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn begin_pass(&self, kind: Kind, total: u64) -> Result<Checkpoint>;

    /// Loads one batch: the records, the rejects and the checkpoint in one transaction.
    ///
    /// A record that the store refuses becomes a reject, which [`Load::reject`] makes. Loading the
    /// same records again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the kind's checkpoint is no longer
    /// where the load begins, or if a reject of a replay is not open any more; Timeout or
    /// Unavailable of the store. Then nothing of the batch is kept.
    async fn load(&self, load: &Load<'_>) -> Result<Loaded>;

    /// Ends a kind's pass in the store and the ledger: builds the indexes that
    /// [`begin_pass`](Self::begin_pass) deferred.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn finish_pass(&self, kind: Kind) -> Result<()>;

    /// The records that [`load`](Self::load) would refuse because other records of the store have
    /// their unique values, by their index, and why. Changes nothing. A sink that does not look
    /// before it writes needs no other than this one.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn taken(
        &self,
        kind: Kind,
        records: &[Record],
        from: Option<Origin<'_>>,
    ) -> Result<Vec<(usize, Problems)>> {
        let _ = (kind, records, from);
        Ok(Vec::new())
    }

    /// Which of these records were taken from an [origin](super::Snapshot::origin). A sink that
    /// does not remember it needs no other than this one.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn moved(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        let _ = (kind, origin, keys);
        Ok(Vec::new())
    }

    /// Removes records that were taken from an origin and that no other record refers to. Returns
    /// the keys of those that it removed.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store. Nothing is removed then.
    async fn prune(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        let _ = (kind, origin, keys);
        Ok(Vec::new())
    }
}

/// A batch of records to write and to remove.
#[derive(Debug, Clone, Copy)]
pub struct SinkBatch<'a> {
    /// The kind of all of them.
    pub kind: Kind,
    /// The records to write, each one [checked](Record::check).
    pub upserts: &'a [Record],
    /// The keys of records to remove. They are removed before the others are written. It is no
    /// error if one does not exist. If the store supports it, what depends on a record is removed
    /// too.
    pub removals: &'a [Key],
}

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Records inserted or updated.
    pub written: u64,
    /// Records that existed already.
    pub unchanged: u64,
    /// Records that existed and were removed.
    pub removed: u64,
    /// The refused records, by their index in the upserts, and why.
    pub refused: Vec<(usize, Problems)>,
}

/// The state of a store before a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkState {
    /// The pending schema migrations, by file name.
    pub pending_migrations: Vec<String>,
    /// What blocks a run, and how to fix it.
    pub blockers: Vec<String>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// How many records each kind has, or one more than a store counts to. Kinds without a table are
    /// left out.
    pub records: Vec<(Kind, u64)>,
    /// The columns that people who sign in may read, beside the host: theirs, or everybody's.
    pub readable_columns: Vec<(Kind, &'static str)>,
}
