//! The in-memory store in a migration: snapshot, sink, ledger and changes.

mod changes;
mod ledger;
mod sink;
mod snapshot;
