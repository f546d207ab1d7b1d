//! Records as they are read from a store.

use std::sync::Arc;

use super::{Digest, Key, Problems, Record};
use crate::Result;

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
    /// What was [set aside](crate::SET_ASIDE) in the record.
    pub set_aside: Problems,
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
            set_aside: Problems::default(),
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

/// A part of a scan of which only digests are kept.
#[derive(Debug, Default)]
pub struct Digests {
    /// The keys and the digests, in the order of the keys.
    pub entries: Vec<(Key, Digest)>,
    /// What has no digest, as a scan returns it.
    pub others: Vec<Scanned>,
}

/// Makes the digest of a record. The buffer is for the form that is hashed: with it, not each record
/// needs memory of its own.
pub type DigestOf = Arc<dyn Fn(&Record, &mut Vec<u8>) -> Digest + Send + Sync>;

impl Digests {
    /// Adds a record that was read: its digest if it can move as it is, else all of it.
    pub fn add(&mut self, scanned: Scanned, digest_of: &DigestOf, form: &mut Vec<u8>) {
        match &scanned.outcome {
            Ok(record) if record.check().is_ok() => {
                self.entries.push((record.key(), digest_of(record, form)));
            }
            _ => self.others.push(scanned),
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
