//! All integration tests of this crate in one binary: a binary for each file costs minutes of linking.

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
