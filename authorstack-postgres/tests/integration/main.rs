//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step or check of a test panics"
)]

mod altered;
mod common;
mod conformance;
mod connect;
mod legacy;
mod sink;
mod snapshot;
