//! What is read from a store.

use super::{Digest, Problems, Record};
use crate::Result;

/// A place in a scan or among changes: opaque text of the store's.
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

/// A record as the store holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Original {
    /// Bytes that only the store can read.
    Bytes(Vec<u8>),
    /// Nothing more than the record that was read from it.
    Record,
}

impl Original {
    /// The bytes that stand for the original of a record: its own, or the record's JSON.
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

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for Original {
    /// The size alone: the bytes may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Original({} bytes)", bytes.len()),
            Self::Record => f.write_str("Original(the record)"),
        }
    }
}

/// A record that was read, whether or not it makes sense.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// The record's key as text: that of [`Record::key`], else a form of the store's.
    pub key: String,
    /// The record, or why it is none.
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

    /// The digest of the original: tells whether the record has changed since.
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
