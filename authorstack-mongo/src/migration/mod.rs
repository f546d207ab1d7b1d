//! MongoDB in a migration: its records as they are now, and the sink that takes records back.

mod collection;
mod decoding;
mod parts;
mod scan;
mod sink;
mod snapshot;
mod strangers;
