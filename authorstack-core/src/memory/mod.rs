//! The in-memory store. It is the model for all backends: random tests compare them with it. Each
//! repository has its own file; `table.rs` holds records and notes what changes; `migration/` makes
//! the store a snapshot, a sink, a ledger and a feed of changes.

mod accounts;
mod aggregates;
mod analytics;
mod books;
mod boosts;
mod checklists;
mod community;
mod competitors;
mod erasure;
mod feed;
mod follows;
mod ledger;
mod migration;
mod pages;
mod repositories;
mod sales;
mod store;
mod table;
mod users;

pub use store::MemoryStore;
