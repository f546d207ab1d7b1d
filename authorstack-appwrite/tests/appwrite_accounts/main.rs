//! Accounts in Appwrite: its stand-in, or a real server that the settings name.
//!
//! A real server is used when `AUTHORSTACK_TEST_APPWRITE_ENDPOINT`, `…_PROJECT` and `…_KEY` name one.
//! **All its accounts are deleted**: it must be one for tests alone. What needs the stand-in itself
//! is in the modules `stand_in_…`, which use it always.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed check of a test panics"
)]

mod bad_input;
mod conformance;
mod hashes;
mod project;
mod secrets;
mod stand_in_faults;
mod stand_in_moves;
mod stand_in_realtime;
mod stand_in_webhooks;
mod tokens;
mod vendor_client;
