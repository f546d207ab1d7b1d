//! Moving records between stores: sources, targets, and the runs between them.
//!
//! A [`Source`] streams records in key order, a [`Target`] loads batches; a backend implements
//! either or both. [`plan`](fn@plan), [`run`](fn@run), [`verify`](fn@verify),
//! [`repair`](fn@repair) and [`replay`](fn@replay) are what a tool offers. Nothing is dropped: a record that cannot move
//! becomes a [`Reject`] with its reasons, kept in the target in the same transaction as the
//! batch it came with.

mod digest;
mod fields;
mod key;
mod plan;
mod progress;
mod record;
mod redact;
mod reject;
mod repair;
mod replay;
mod report;
mod rows;
mod run;
mod several;
mod source;
mod target;
mod verify;

pub use digest::{Digest, DigestSum};
pub use fields::Stored;
pub use key::Key;
pub use plan::{Collision, KindPlan, Plan, PlannedReject, plan};
pub use progress::{Progress, Silent};
pub use record::{CompetitorPrice, Kind, Record};
pub use reject::{Problem, Problems, Reject, RejectLine};
pub use repair::repair;
pub use replay::replay;
pub use report::{Counts, KindReport, Report, Status};
pub use rows::{
    Absent, RowDigest, RowMode, RowPass, RowRange, RowReader, RowSource, RowTarget, RowWriter,
    RowsWritten,
};
pub use run::{RunOptions, run};
pub use several::Several;
pub use source::{BatchLimits, Original, Position, Scanned, ScannedBatch, Source};
pub use target::{Checkpoint, Load, Loaded, RunLock, Settled, Step, Target, TargetState};
pub use verify::{Difference, DifferenceKind, KindVerification, Verification, verify};
