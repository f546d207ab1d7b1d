//! The migration engine: it moves records from one store to another.
//!
//! A store takes part through four traits. A [`Snapshot`] reads its records as they are now. A
//! [`Sink`] writes and removes records. A [`Ledger`] keeps the state of a migration: the lock, the
//! checkpoints, the rejects. [`Changes`] follows the changes in the store from a position on. A
//! backend implements those that it can. A [`Destination`] combines a sink, its snapshot and a
//! ledger, in the same store or in another.
//!
//! [`plan`](fn@plan), [`run`](fn@run), [`verify`](fn@verify), [`repair`](fn@repair) and
//! [`replay`](fn@replay) are the commands of a tool. No record is lost silently: one that cannot
//! move becomes a [`Reject`] with its reasons, kept in the ledger. The kinds of records are
//! described in [`Kind`].

mod account_item;
mod account_overview;
mod account_sink;
mod account_source;
mod changes;
mod destination;
mod digest;
mod kind;
mod ledger;
mod moved_account;
mod plan;
mod progress;
mod providers;
mod prune;
mod record;
mod redact;
mod reject;
mod repair;
mod replay;
mod report;
mod rows;
mod run;
mod scanned;
mod secrets;
mod sink;
mod sink_set;
mod snapshot;
mod source_set;
mod stranger;
mod strict;
mod verify;

pub use account_sink::AccountSink;
pub use account_source::{AccountSource, Anonymous, SameAddress, without_digest};
pub use changes::{ChangeBatch, Changes, RecordChange};
pub use destination::Destination;
pub use digest::{Digest, DigestSum};
pub use kind::{Description, Group, Key, KeyForm, Kind, Record, Reference, Stored, Unique};
pub use ledger::{
    Checkpoint, Entry, Ledger, Load, Loaded, Origin, Rejected, RunLock, Settled, Step,
};
pub use moved_account::{MovedAccount, MovedPassword};
pub use plan::{
    AccountsPlan, Collision, Examples, KindPlan, PasswordCount, Plan, PlannedReject, Takes,
    UnknownField, plan,
};
pub use progress::{Progress, Silent};
pub use prune::prune;
pub use record::CompetitorPrice;
pub use reject::{Problem, Problems, Reject, RejectLine, SetAside};
pub use repair::repair;
pub use replay::replay;
pub use report::{Counts, KindReport, RefusedLine, Report, Status};
pub use rows::{
    References, RefusedRow, RowDigest, RowHolder, RowMode, RowPass, RowRange, RowReader, RowSink,
    RowSource, RowWriter, RowsWritten, UnfitRow,
};
pub use run::{RunOptions, run};
pub use scanned::{BatchLimits, DigestOf, Digests, Original, Position, Scanned, ScannedBatch};
pub use secrets::looks_like_secret;
pub use sink::{Applied, Sink, SinkBatch, SinkState, TransactionalSink};
pub use sink_set::SinkSet;
pub use snapshot::Snapshot;
pub use source_set::SourceSet;
pub use stranger::Stranger;
pub use strict::Strict;
pub use verify::{
    Acceptance, AcceptedRejects, Difference, DifferenceKind, KindVerification, Unexpected,
    UnexpectedReject, Verification, verify, verify_accepting,
};
