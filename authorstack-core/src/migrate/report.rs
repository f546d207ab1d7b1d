use std::{fmt, ops::AddAssign};

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::shown;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything moved and is equal.
    Complete,
    /// Finished, with rejects or differences to check.
    Incomplete,
    /// Not started, because something blocks it.
    Blocked,
    /// A store failed, or the settings are wrong.
    Failed,
}

/// Counts of records: `read = written + unchanged + rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Records read from the source.
    pub read: u64,
    /// Records inserted or updated in the target.
    pub written: u64,
    /// Records that the target held already.
    pub unchanged: u64,
    /// Records that could not move.
    pub rejected: u64,
}

impl Counts {
    /// Whether every record read is accounted for.
    #[must_use]
    pub const fn balance(&self) -> bool {
        self.read == self.written + self.unchanged + self.rejected
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.written += other.written;
        self.unchanged += other.unchanged;
        self.rejected += other.rejected;
    }
}

/// The result of a command for one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KindReport {
    /// The kind.
    pub kind: Kind,
    /// The counts over all runs of the pass.
    #[serde(flatten)]
    pub counts: Counts,
    /// Records that differ between the two sides, found by a verification.
    pub differing: u64,
    /// Fields that were [set aside](crate::SET_ASIDE), over all runs of the pass.
    #[serde(default)]
    pub set_aside: u64,
    /// Wall time in this process, in seconds.
    pub seconds: f64,
}

/// The result of a run or a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// The result of each kind, in the order of their dependencies.
    pub kinds: Vec<KindReport>,
    /// The first lines of a replay that are no open rejects, and were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedLine>,
}

/// A line of a rejects file that is no open reject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// The line's kind.
    pub kind: Kind,
    /// The line's key.
    pub key: String,
    /// Why it was refused, and what to do.
    pub reason: String,
}

impl fmt::Display for RefusedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, shown(&self.key), self.reason)
    }
}

impl Report {
    pub(super) fn of(kinds: Vec<KindReport>) -> Self {
        let clean = kinds
            .iter()
            .all(|kind| kind.counts.rejected == 0 && kind.differing == 0);
        Self {
            status: if clean {
                Status::Complete
            } else {
                Status::Incomplete
            },
            kinds,
            refused: Vec::new(),
        }
    }
}
