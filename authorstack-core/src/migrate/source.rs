use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use super::{Kind, Problems, Record, RowSource};
use crate::Result;

/// A store that records are read from.
#[async_trait]
pub trait Source: std::fmt::Debug + Send + Sync {
    /// The store's name in messages, such as `MongoDB`.
    fn name(&self) -> &'static str;

    /// The kinds that the store holds.
    fn kinds(&self) -> &[Kind];

    /// Connects, and says what is wrong with the settings if anything is.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    async fn check(&self) -> Result<()>;

    /// How many records there are: exact where that is cheap, else the store's estimate.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn count(&self, kind: Kind) -> Result<u64>;

    /// Streams all records behind a position, in the order of their keys; what is no record may
    /// come anywhere. No two records of a scan have one key. An item of the stream is an error
    /// only when the store failed.
    ///
    /// Records that the store keeps within others (likes within posts) come one by one, however
    /// many there are.
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>>;

    /// The record with this key, as it is now.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn fetch(&self, kind: Kind, key: &str) -> Result<Option<Scanned>>;

    /// A record whole as JSON, in a form that [`Source::parse`] reads.
    fn render(&self, kind: Kind, original: &Original) -> Value;

    /// Reads what [`Source::render`] made, perhaps edited since.
    ///
    /// # Errors
    /// Every problem that the record still has.
    fn parse(&self, kind: Kind, value: &Value) -> Result<Record, Problems>;

    /// The fast lane for a kind, where the source has one.
    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        let _ = kind;
        None
    }
}

/// A place in a scan: opaque text of the source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(pub String);

/// How large a batch may become before it is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records.
    pub records: usize,
    /// Bytes, as the source stores them; one larger record is a batch of its own.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            records: 10_000,
            bytes: 4 << 20,
        }
    }
}

/// A record as the source stores it: bytes that only the source can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Original(pub Vec<u8>);

impl std::fmt::Debug for Original {
    /// The size alone: the bytes may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Original({} bytes)", self.0.len())
    }
}

/// A record that was read, whether or not it makes sense.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// The record's key as text: that of [`Record::key`], else a form of the source's.
    pub key: String,
    /// The record, or why it is none.
    pub outcome: Result<Record, Problems>,
    /// The record as stored, for the rejects.
    pub original: Original,
}

/// Records in key order.
#[derive(Debug)]
pub struct ScannedBatch {
    /// The records; at least one.
    pub items: Vec<Scanned>,
    /// Where the batch ends.
    pub position: Position,
}
