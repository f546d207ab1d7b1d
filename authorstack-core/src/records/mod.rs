//! The records of an app, one file for each kind. A file has the record (`Book`), what creates it
//! (`NewBook`), what changes it (`BookPatch`), filters, and the rules that every backend shares.

pub(crate) mod account;
pub(crate) mod account_preferences;
pub(crate) mod book;
pub(crate) mod boost;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod checklist;
pub(crate) mod community;
pub(crate) mod competitor;
pub(crate) mod erasure;
pub(crate) mod extra;
pub mod fields;
pub(crate) mod follow;
pub(crate) mod forecast;
pub(crate) mod identity;
pub(crate) mod insight;
pub(crate) mod json;
pub(crate) mod ranking;
pub mod rollup;
pub mod sales;
pub(crate) mod sums;
pub(crate) mod sync_log;
pub(crate) mod unreadable;
pub(crate) mod user;
