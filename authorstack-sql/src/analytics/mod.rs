//! The analytics repositories on PostgreSQL. Each statement is built once, for the dialect of the
//! database.

mod aggregates;
mod base;
mod channel;
mod dialect;
mod erasure;
mod forecasts;
mod insights;
mod repositories;
mod rows;
mod sales;
mod sync_logs;

pub use dialect::Dialect;
pub use repositories::analytics;
pub use rows::row_digest;
