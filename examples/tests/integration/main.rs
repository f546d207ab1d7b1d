//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step or check of a test panics"
)]

mod accepted;
mod analytics;
mod changes;
mod common;
mod dirty;
mod distributed;
mod flush_cache;
mod followed;
mod found;
mod killed;
mod many_likes;
mod moved_from_appwrite;
mod readme;
mod search_path;
mod terminal;
mod tls;
mod tool;
mod tool_edges;
mod triggers;
mod views;
mod way_back;
mod years;
