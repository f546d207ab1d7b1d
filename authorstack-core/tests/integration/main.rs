//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step or check of a test panics"
)]

mod accepted;
mod joined;
mod json;
mod layers;
mod limits;
mod memory;
mod memory_accounts;
mod memory_analytics;
mod memory_queue;
mod migrate;
mod mocks;
mod moved_accounts;
mod prune;
mod random;
mod replay;
