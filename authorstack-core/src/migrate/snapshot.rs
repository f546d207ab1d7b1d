use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use super::{Digest, Kind, Problems, Record, RowSource};
use crate::Result;

/// Reads the records of a store as they are now, on either side of a migration.
#[async_trait]
pub trait Snapshot: std::fmt::Debug + Send + Sync {
    /// The store's name in messages, such as `MongoDB`.
    fn name(&self) -> &'static str;

    /// The kinds that the store holds.
    fn kinds(&self) -> &[Kind];

    /// Connects, and reports wrong settings.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    async fn check(&self) -> Result<()>;

    /// How many records there are: exactly if that is cheap, else the store's estimate.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn count(&self, kind: Kind) -> Result<u64>;

    /// Streams all records after a position, in the order of their keys. What cannot be read as a
    /// record may come anywhere. No two records of a scan have the same key. An item of the stream
    /// is an error only if the store failed.
    ///
    /// Records that the store keeps within others (likes within posts) come one by one.
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>>;

    /// The existing records with these keys, as they are now, in any order.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>>;

    /// Encodes a whole record as JSON for the rejects, in a form that [`Snapshot::decode`] reads.
    fn encode(&self, kind: Kind, original: &Original) -> Value;

    /// Reads the JSON of [`Snapshot::encode`], which may have been edited.
    ///
    /// # Errors
    /// Every problem that the record still has.
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems>;

    /// The fast lane for a kind, if the store has one.
    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        let _ = kind;
        None
    }
}

/// A position in a scan or among changes: opaque text of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(pub String);

/// The largest size of a batch.
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

/// A record as the store holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Original {
    /// Bytes that only the store can read.
    Bytes(Vec<u8>),
    /// No bytes: only the record that was read.
    Record,
}

impl Original {
    /// The bytes that represent the original: its own, or the record's JSON.
    #[must_use]
    pub fn bytes(&self, record: Option<&Record>) -> Vec<u8> {
        match (self, record) {
            (Self::Bytes(bytes), _) => bytes.clone(),
            (Self::Record, Some(record)) => record.to_json().to_string().into_bytes(),
            (Self::Record, None) => Vec::new(),
        }
    }

    /// How many bytes it holds itself.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Record => 0,
        }
    }

    /// Whether it holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for Original {
    /// Shows the size only: the bytes may contain secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Original({} bytes)", bytes.len()),
            Self::Record => f.write_str("Original(the record)"),
        }
    }
}

/// A record that was read, valid or not.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// The key as text: that of [`Record::key`], or another form of the store if there is no valid
    /// record.
    pub key: String,
    /// The record, or its problems.
    pub outcome: Result<Record, Problems>,
    /// The record as stored, for the rejects.
    pub original: Original,
}

impl Scanned {
    /// A record of a store that holds records as they are.
    #[must_use]
    pub fn of(record: Record) -> Self {
        Self {
            key: record.key().to_string(),
            outcome: Ok(record),
            original: Original::Record,
        }
    }

    /// The digest of the original. It shows whether the record has changed since.
    #[must_use]
    pub fn original_digest(&self) -> [u8; 32] {
        let record = self.outcome.as_ref().ok();
        match &self.original {
            Original::Bytes(bytes) => Digest::of_bytes(bytes).0,
            Original::Record => Digest::of_bytes(&self.original.bytes(record)).0,
        }
    }
}

/// Records in key order.
#[derive(Debug)]
pub struct ScannedBatch {
    /// The records; at least one.
    pub items: Vec<Scanned>,
    /// Where the batch ends.
    pub position: Position,
}
