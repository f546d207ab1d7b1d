//! The in-memory store: the model that every backend is held to.

mod aggregates;
mod analytics;
mod books;
mod boosts;
mod checklists;
mod community;
mod competitors;
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
