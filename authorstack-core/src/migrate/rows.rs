//! The fast lane: rows move in ranges of their numbers if both sides have PostgreSQL's binary form.
//! The source's server converts the rows and finds those that cannot move. The engine does not look
//! into the other rows.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};

use super::{BatchLimits, Counts, Kind, Problems, Record, Reject, Scanned, SetAside};
use crate::{Id, Result};

/// A range of row numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRange {
    /// The number before the range.
    pub after: i64,
    /// The last number of the range.
    pub until: i64,
}

impl RowRange {
    /// All rows.
    pub const ALL: Self = Self {
        after: i64::MIN,
        until: i64::MAX,
    };
}

/// The digest of a set of rows: their number and the sum of their hashes, computed by the server
/// that holds them.
///
/// Servers of different versions may hash differently. Equal digests mean equal rows; with
/// different digests the rows must be compared one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowDigest {
    /// How many rows there are.
    pub rows: u64,
    /// The sum of their hashes.
    pub sum: String,
}

/// What was found out about the ids in all rows of a kind, before they are read in ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// The records that rows refer to and that the target lacks, by kind. Such rows cannot move.
    pub absent: Vec<(Kind, Arc<[Id<Record>]>)>,
    /// The columns whose values all have ids. Where these move as they are, they are not checked
    /// again row by row: what comes later and has no id is refused by the target.
    pub with_ids: Vec<&'static str>,
}

impl References {
    /// Notes what was found out about the records of a kind that rows of another kind refer to.
    pub(super) fn add(&mut self, from: Kind, to: Kind, found: Referred) {
        self.absent.push((to, found.absent.into()));
        if found.all_have_ids {
            let references = from.description().refers_to.iter();
            let columns = references.filter(|reference| reference.kind == to);
            self.with_ids
                .extend(columns.map(|reference| reference.column));
        }
    }
}

/// What was found out about the records of one kind; by default nothing.
#[derive(Debug, Default)]
pub(super) struct Referred {
    /// Those that the target lacks.
    pub(super) absent: Vec<Id<Record>>,
    /// Whether each value that refers to one has an id.
    all_have_ids: bool,
}

impl Referred {
    /// Before the first of them is looked at.
    pub(super) fn none_yet() -> Self {
        Self {
            absent: Vec::new(),
            all_have_ids: true,
        }
    }

    /// The ids among some [references](RowSource::references).
    pub(super) fn ids(&mut self, some: &[Option<Id<Record>>]) -> Vec<Id<Record>> {
        let ids: Vec<Id<Record>> = some.iter().copied().flatten().collect();
        self.all_have_ids &= ids.len() == some.len();
        ids
    }
}

/// A store whose rows a [`RowSink`] takes as they are.
#[async_trait]
pub trait RowSource: Send + Sync {
    /// A text that describes how the rows are converted. A pass that began with another one starts
    /// again.
    fn conversion(&self) -> String;

    /// Whether two rows of the source can become one row of the target, because of a map of ids or
    /// because the source has no unique key.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn may_collide(&self, kind: Kind) -> Result<bool>;

    /// The rows that can move and have the unique values of a row with a lower number that can move,
    /// too, in the order of their numbers. The target takes one row of those values. Only asked where
    /// rows [may collide](Self::may_collide).
    fn collisions(
        &self,
        kind: Kind,
        references: &References,
    ) -> BoxStream<'_, Result<Vec<RefusedRow>>>;

    /// The number of the last row; `None` if there are no rows.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn last(&self, kind: Kind) -> Result<Option<i64>>;

    /// The records of another kind that rows of this kind refer to, each once. `None` stands for
    /// values without an id.
    fn references(&self, kind: Kind, to: Kind) -> BoxStream<'_, Result<Vec<Option<Id<Record>>>>>;

    /// The columns of ids that [refer](Self::references) to no record and whose values all have ids,
    /// as far as the source finds that out for less than it costs to check each row.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn with_ids(&self, kind: Kind) -> Result<Vec<&'static str>>;

    /// The first rows of a range, up to a number of rows, as they are now; `None` if there are
    /// none.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn open(
        &self,
        kind: Kind,
        within: RowRange,
        most: u64,
        references: &References,
    ) -> Result<Option<Box<dyn RowReader>>>;
}

/// A range of a source's rows, as a consistent snapshot.
#[async_trait]
pub trait RowReader: Send {
    /// The numbers of the range; its last row exists.
    fn range(&self) -> RowRange;

    /// How many rows it has.
    fn rows(&self) -> u64;

    /// The digest of the rows that can move, in the target's form; `None` if the server has no such
    /// function.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn digest(&mut self) -> Result<Option<RowDigest>>;

    /// The rows that can move, in the binary form of COPY, in pieces of any length.
    fn copy(&mut self) -> BoxStream<'_, Result<Vec<u8>>>;

    /// The rows that cannot move.
    fn refused(&mut self) -> BoxStream<'_, Result<Vec<UnfitRow>>>;

    /// The rows that can move with values [set aside](crate::SET_ASIDE). They are among the rows of
    /// [`RowReader::copy`] too. A source that sets nothing aside needs no other than this one.
    fn set_aside(&mut self) -> BoxStream<'_, Result<Vec<Scanned>>> {
        futures::stream::empty().boxed()
    }

    /// All rows, in the order of their numbers.
    fn records(&mut self, limits: BatchLimits) -> BoxStream<'_, Result<Vec<Scanned>>>;

    /// The rows with these numbers.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn fetch(&mut self, numbers: &[i64]) -> Result<Vec<Scanned>>;

    /// Releases its resources in the source. Dropping it does so too, but less cleanly.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn close(self: Box<Self>) -> Result<()>;
}

/// A row that cannot move.
#[derive(Debug, Clone)]
pub struct UnfitRow {
    /// The row, with all its problems.
    pub row: Scanned,
    /// The [absent](References::absent) records that it refers to.
    pub absent: Vec<(Kind, Id<Record>)>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMode {
    /// Straight into a table that was empty when the pass began.
    Append,
    /// Into a table with rows: rows with the same number are updated.
    Merge,
}

/// A sink that takes rows as they are. Its ranges commit together with the ledger.
#[async_trait]
pub trait RowSink: Send + Sync {
    /// Starts or resumes a pass over a kind, as
    /// [`begin_pass`](super::TransactionalSink::begin_pass) does. Afterwards, writers of earlier
    /// runs have ended or are refused.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn begin_rows(&self, kind: Kind, conversion: &str, may_collide: bool) -> Result<RowPass>;

    /// Which of these records the target lacks.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn absent(&self, kind: Kind, ids: &[Id<Record>]) -> Result<Vec<Id<Record>>>;

    /// Opens a transaction for a range. If it belongs to a pass, the commit notes it there as done.
    /// Rows that were taken from the same [origin](super::Snapshot::origin) earlier may get the
    /// place of others.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when another run has started the pass
    /// again.
    async fn open(
        &self,
        kind: Kind,
        range: RowRange,
        pass: Option<&RowPass>,
        origin: Option<&str>,
    ) -> Result<Box<dyn RowWriter>>;

    /// The digest of the rows of a range.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn digest(&self, kind: Kind, range: RowRange) -> Result<RowDigest>;

    /// The rows of a range, in the order of their numbers, readable or not. An item of the stream
    /// is an error only if the store failed.
    fn records(&self, kind: Kind, range: RowRange) -> BoxStream<'_, Result<Vec<Scanned>>>;
}

/// The state of a pass over a kind's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPass {
    /// The number of the run. Writers of earlier runs are refused.
    pub run: i64,
    /// How its rows are written.
    pub mode: RowMode,
    /// The finished ranges, in order.
    pub done: Vec<RowRange>,
    /// The counts of these ranges.
    pub counts: Counts,
}

/// The result of writing rows.
#[derive(Debug, Clone, PartialEq)]
pub enum RowsWritten {
    /// The rows were written, except those that are listed.
    Taken {
        /// Rows inserted or updated.
        written: u64,
        /// Rows that existed already.
        unchanged: u64,
        /// The rows that conflict with another row or that the table refuses.
        refused: Vec<RefusedRow>,
    },
    /// The table refuses some row without saying which. Nothing was written.
    Refused,
}

/// A row that was not written.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedRow {
    /// Its number.
    pub number: i64,
    /// The row of the target that has its number or its unique values.
    pub holder: Option<RowHolder>,
    /// Why it was not written.
    pub problems: Problems,
}

/// A row of the target that has a place which another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowHolder {
    /// Its number.
    pub number: i64,
    /// Its unique values, in a form of the target's own. A row that has other ones by now stays.
    pub place: String,
}

/// A range that is being written, in one transaction. Dropping it rolls the transaction back.
#[async_trait]
pub trait RowWriter: Send {
    /// Writes the rows. If the table [refuses](RowsWritten::Refused) to append them, they can be
    /// written once more with [`RowMode::Merge`], which finds out which of them it refuses.
    ///
    /// # Errors
    /// The first error of the stream; Timeout or Unavailable of the store.
    async fn write(
        &mut self,
        mode: RowMode,
        rows: BoxStream<'_, Result<Vec<u8>>>,
    ) -> Result<RowsWritten>;

    /// The rows that [`write`](Self::write) with [`RowMode::Merge`] would not write because others
    /// have their places, as far as that can be seen before. Writes nothing.
    ///
    /// # Errors
    /// The first error of the stream; Timeout or Unavailable of the store.
    async fn screen(&mut self, rows: BoxStream<'_, Result<Vec<u8>>>) -> Result<Vec<RefusedRow>>;

    /// Takes back what was written, and removes those of these rows that were taken from the same
    /// origin. Returns how many of them were. The range can then be written again, with
    /// [`RowMode::Merge`].
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn give_way(&mut self, holders: &[RowHolder]) -> Result<u64>;

    /// Stores rejects. Returns how many of them are open.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn reject(&mut self, rejects: &[Reject]) -> Result<u64>;

    /// Notes what was set aside in rows that were written.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn set_aside(&mut self, set_aside: &[SetAside]) -> Result<()>;

    /// Commits, and notes in the pass that the range is finished.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn commit(self: Box<Self>, counts: Counts) -> Result<()>;
}
