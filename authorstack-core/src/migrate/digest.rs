use super::Record;

/// A record's digest: equal on two stores exactly when the records are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of an invalid record; no valid record has it.
    pub(super) const UNREADABLE: Self = Self([0; 32]);

    /// The digest of a record: BLAKE3 over its canonical JSON (fields in a fixed order, the keys
    /// of unknown fields sorted).
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let mut hasher = blake3::Hasher::new();
        let written = serde_json::to_writer(&mut hasher, record);
        // This cannot fail: a hasher takes all bytes, and records have text keys only.
        debug_assert!(written.is_ok(), "records are JSON");
        Self(*hasher.finalize().as_bytes())
    }

    /// The digest of bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

/// The digest of a set of records in any order: the sum of their digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DigestSum {
    sum: [u64; 4],
    count: u64,
}

impl DigestSum {
    /// Adds a record's digest.
    pub fn add(&mut self, digest: Digest) {
        for (sum, lane) in self.sum.iter_mut().zip(digest.0.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*lane));
        }
        self.count += 1;
    }
}
