//! The rejects that a verification accepts.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use futures::{TryStreamExt, stream::BoxStream};
use serde::Serialize;

use super::{Comparison, LISTED};
use crate::{
    Error, Result,
    migrate::{Digest, Kind, RejectLine},
    shown,
};

/// The rejects that a verification accepts: those that a rejects file lists, by kind, key and
/// digest.
#[derive(Debug, Clone, Default)]
pub struct AcceptedRejects {
    kinds: BTreeMap<Kind, HashMap<String, [u8; 32]>>,
}

impl AcceptedRejects {
    /// Reads the lines of a rejects file.
    ///
    /// # Errors
    /// Those of the lines; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a line without a
    /// digest, and for two lines of one record with different digests.
    pub async fn read(mut lines: BoxStream<'_, Result<RejectLine>>) -> Result<Self> {
        let mut accepted = Self::default();
        while let Some(line) = lines.try_next().await? {
            accepted.add(&line)?;
        }
        Ok(accepted)
    }

    /// Adds a line of a rejects file.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it has no digest, or if another line of
    /// the record has another digest.
    pub fn add(&mut self, line: &RejectLine) -> Result<()> {
        let of = || format!("of {} {}", line.kind, shown(&line.key));
        let digest = blake3::Hash::from_hex(&line.source_digest).map_err(|_| {
            let reason = format!(
                "the line {} has none, or not 64 hex digits; take the file that the run wrote",
                of()
            );
            Error::invalid("source_digest", reason)
        })?;
        let listed = self.kinds.entry(line.kind).or_default();
        let other = listed.insert(line.key.clone(), *digest.as_bytes());
        if other.is_some_and(|other| other != *digest.as_bytes()) {
            let reason = format!("two lines {} have different ones; keep the right one", of());
            return Err(Error::invalid("source_digest", reason));
        }
        Ok(())
    }

    /// Takes out those of a kind.
    pub(super) fn of(&mut self, kind: Kind) -> Listed {
        Listed {
            left: self.kinds.remove(&kind).unwrap_or_default(),
            acceptance: Acceptance::default(),
        }
    }
}

/// How a kind's rejects compare with those that are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Acceptance {
    /// Rejects that are accepted.
    pub accepted: u64,
    /// Rejects that are not: the file does not list them, or lists another state of the record.
    pub not_accepted: u64,
    /// Listed rejects that are none any more.
    pub no_longer: u64,
    /// The first of the last two.
    pub examples: Vec<UnexpectedReject>,
}

impl Acceptance {
    /// Whether the rejects are those that are accepted.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.not_accepted == 0 && self.no_longer == 0
    }
}

/// A reject that is not as the file of accepted rejects says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnexpectedReject {
    /// Its key in the source.
    pub key: String,
    /// How it is other than accepted.
    pub unexpected: Unexpected,
}

/// How a reject is other than accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unexpected {
    /// It is rejected, and not listed.
    NotListed,
    /// It is rejected and listed, and its record has changed since.
    Changed,
    /// It is listed, and no reject: it moved, or the source no longer has it.
    NoLonger,
}

impl fmt::Display for UnexpectedReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.unexpected {
            Unexpected::NotListed => "is rejected, and not listed",
            Unexpected::Changed => "is rejected, and its record is another than the listed one",
            Unexpected::NoLonger => "is listed, and no longer rejected",
        };
        write!(f, "{}: {how}", shown(&self.key))
    }
}

/// The accepted rejects of a kind while it is compared.
pub(super) struct Listed {
    /// Those that were not found yet.
    left: HashMap<String, [u8; 32]>,
    acceptance: Acceptance,
}

impl Listed {
    /// Notes a reject that was found.
    fn found(&mut self, key: &str, digest: Option<Digest>) {
        let unexpected = match self.left.remove(key) {
            Some(listed) if digest.is_some_and(|digest| digest.0 == listed) => {
                self.acceptance.accepted += 1;
                return;
            }
            Some(_) => Unexpected::Changed,
            None => Unexpected::NotListed,
        };
        self.acceptance.not_accepted += 1;
        self.example(key.to_owned(), unexpected);
    }

    fn example(&mut self, key: String, unexpected: Unexpected) {
        let examples = &mut self.acceptance.examples;
        if examples.len() < LISTED {
            examples.push(UnexpectedReject { key, unexpected });
        }
    }

    /// The result, when all of the kind was compared.
    pub(super) fn ended(mut self) -> Acceptance {
        let mut left: Vec<String> = std::mem::take(&mut self.left).into_keys().collect();
        left.sort_unstable();
        self.acceptance.no_longer = left.len() as u64;
        for key in left {
            self.example(key, Unexpected::NoLonger);
        }
        self.acceptance
    }
}

impl Comparison<'_> {
    /// Counts a reject whose record has this digest.
    pub(super) fn reject(&mut self, key: &str, digest: Digest) {
        self.counts.rejected += 1;
        if let Some(accepted) = &mut self.accepted {
            accepted.found(key, Some(digest));
        }
    }

    /// Counts a reject that can be read.
    pub(super) async fn readable_reject(&mut self, key: &str) -> Result<()> {
        self.counts.rejected += 1;
        if self.accepted.is_none() {
            return Ok(());
        }
        let now = self.fetch_from_source(&key.to_owned()).await?;
        let digest = now.map(|now| Digest(now.original_digest()));
        if let Some(accepted) = &mut self.accepted {
            accepted.found(key, digest);
        }
        Ok(())
    }
}
