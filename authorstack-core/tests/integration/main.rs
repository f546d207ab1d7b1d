//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

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
