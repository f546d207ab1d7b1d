//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step or check of a test panics"
)]

mod accepted;
mod access;
mod accounts;
mod analytics;
mod boosts;
mod common;
mod conformance;
mod digest;
mod kinds;
mod partitioned;
mod policies;
mod pooler;
mod rls;
mod rows;
mod schema;
mod sink;
mod snapshot;
mod stored;
mod unreadable;
