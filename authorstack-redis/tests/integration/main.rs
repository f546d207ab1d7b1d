//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step or check of a test panics"
)]

mod cache;
mod commands;
mod common;
mod connect;
mod interop;
mod limits;
mod queue;
mod queue_failures;
mod tls;
