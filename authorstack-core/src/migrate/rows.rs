//! The fast lane: rows that both sides hold in PostgreSQL's binary form move in ranges of their
//! numbers. The source's server converts them and finds what cannot move; nothing of a sound row
//! is looked at on the way.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{BatchLimits, Counts, Kind, Problems, Record, Reject, Scanned};
use crate::{Id, Result};

/// Rows by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRange {
    /// The number that the range begins behind.
    pub after: i64,
    /// The last number.
    pub until: i64,
}

impl RowRange {
    /// All rows.
    pub const ALL: Self = Self {
        after: i64::MIN,
        until: i64::MAX,
    };
}

/// What tells sets of rows apart: how many there are, and the sum of their hashes, as the server
/// that holds them computes it.
///
/// Two servers of different versions may hash differently: equal digests mean equal rows,
/// different ones that the rows must be compared one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowDigest {
    /// How many rows there are.
    pub rows: u64,
    /// The sum of their hashes.
    pub sum: String,
}

/// The records that rows refer to and that the target lacks, by their kinds: such rows cannot
/// move.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Absent(pub Vec<(Kind, Arc<[Id<Record>]>)>);

impl Absent {
    /// Those of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &[Id<Record>] {
        let found = self.0.iter().find(|(of, _)| *of == kind);
        found.map_or(&[], |(_, ids)| ids)
    }
}

/// A store whose rows a [`RowSink`] takes as they are.
#[async_trait]
pub trait RowSource: Send + Sync {
    /// How the rows are converted, as a text: a pass that began with another starts anew.
    fn conversion(&self) -> String;

    /// Whether two rows of the source can become one of the target: by a map of ids, or for lack
    /// of a key in the source.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn may_collide(&self, kind: Kind) -> Result<bool>;

    /// The number of the last row; `None` where there is none.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn last(&self, kind: Kind) -> Result<Option<i64>>;

    /// The records of another kind that rows of this kind refer to, each once, as far as they
    /// have an id.
    fn references(&self, kind: Kind, to: Kind) -> BoxStream<'_, Result<Vec<Id<Record>>>>;

    /// The first rows of a range, so many at the most, as they are now; `None` where there is
    /// none.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn open(
        &self,
        kind: Kind,
        within: RowRange,
        most: u64,
        absent: &Absent,
    ) -> Result<Option<Box<dyn RowReader>>>;
}

/// A range of a source's rows, all of it as it was at one moment.
#[async_trait]
pub trait RowReader: Send {
    /// Where it begins and ends: its last row is there.
    fn range(&self) -> RowRange;

    /// How many rows it has.
    fn rows(&self) -> u64;

    /// The digest of the rows that can move, in the target's form; `None` where the server knows
    /// no such function.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable, as for all that reads.
    async fn digest(&mut self) -> Result<Option<RowDigest>>;

    /// The rows that can move, in the binary form of COPY, in pieces of any length.
    fn copy(&mut self) -> BoxStream<'_, Result<Vec<u8>>>;

    /// The rows that cannot move, with all their problems.
    fn refused(&mut self) -> BoxStream<'_, Result<Vec<Scanned>>>;

    /// All rows, in the order of their numbers.
    fn records(&mut self, limits: BatchLimits) -> BoxStream<'_, Result<Vec<Scanned>>>;

    /// The rows with these numbers.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn fetch(&mut self, numbers: &[i64]) -> Result<Vec<Scanned>>;

    /// Gives back what it holds in the source. Dropping it does so as well, less gently.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn close(self: Box<Self>) -> Result<()>;
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMode {
    /// Straight into a table that was empty when the pass began.
    Append,
    /// Beside the rows that are there: those with the same number are brought up to date.
    Merge,
}

/// A sink that takes rows as they are; its ranges commit with the ledger.
#[async_trait]
pub trait RowSink: Send + Sync {
    /// Starts or resumes a pass over a kind, as
    /// [`begin_pass`](super::TransactionalSink::begin_pass) does.
    /// Writers of earlier runs have ended, or will be refused.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn begin_rows(&self, kind: Kind, conversion: &str, may_collide: bool) -> Result<RowPass>;

    /// Which of these records the target lacks.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn absent(&self, kind: Kind, ids: &[Id<Record>]) -> Result<Vec<Id<Record>>>;

    /// Opens a transaction for a range: of a pass, which then has it among what is done, or of
    /// none.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when another run has begun the pass
    /// anew.
    async fn open(
        &self,
        kind: Kind,
        range: RowRange,
        pass: Option<&RowPass>,
    ) -> Result<Box<dyn RowWriter>>;

    /// The digest of the rows of a range.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn digest(&self, kind: Kind, range: RowRange) -> Result<RowDigest>;

    /// The rows of a range, in the order of their numbers.
    fn records(&self, kind: Kind, range: RowRange) -> BoxStream<'_, Result<Vec<Record>>>;
}

/// Where a pass over a kind's rows stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPass {
    /// Which run this is: writers of earlier ones are refused.
    pub run: i64,
    /// How its rows are written.
    pub mode: RowMode,
    /// The ranges that are done, in their order.
    pub done: Vec<RowRange>,
    /// What was counted in them.
    pub counts: Counts,
}

/// What became of rows that were written.
#[derive(Debug, Clone, PartialEq)]
pub enum RowsWritten {
    /// They are there, but for those that are named.
    Taken {
        /// Rows inserted or updated.
        written: u64,
        /// Rows that were there already.
        unchanged: u64,
        /// The numbers of rows that stand in another's place, and why.
        refused: Vec<(i64, Problems)>,
    },
    /// The table refuses a row, and does not say which: nothing was written.
    Refused,
}

/// A range that is being written, in one transaction: it ends without effect when this is
/// dropped.
#[async_trait]
pub trait RowWriter: Send {
    /// Writes the rows.
    ///
    /// # Errors
    /// The first error of the stream; the store's Timeout or Unavailable.
    async fn write(
        &mut self,
        mode: RowMode,
        rows: BoxStream<'_, Result<Vec<u8>>>,
    ) -> Result<RowsWritten>;

    /// Keeps rejects; answers how many of them are open.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn reject(&mut self, rejects: &[Reject]) -> Result<u64>;

    /// Commits, and notes in the pass that the range is done.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn commit(self: Box<Self>, counts: Counts) -> Result<()>;
}
