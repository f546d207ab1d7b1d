//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step or check of a test panics"
)]

mod arrays;
mod casts;
mod common;
mod concurrency;
mod conformance;
mod connect;
mod errors;
mod indexes;
mod legacy;
mod migrate;
mod mongoose;
mod mongoose_documents;
mod parts;
mod scan;
mod sink;
mod unreadable;
