//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

mod cache;
mod commands;
mod common;
mod connect;
mod interop;
mod limits;
mod queue;
mod queue_failures;
mod tls;
