//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

mod altered;
mod common;
mod conformance;
mod connect;
mod legacy;
mod sink;
mod snapshot;
