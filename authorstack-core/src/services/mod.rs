//! Services: logic that uses several repositories, and works on every backend. [`SalesIngest`]
//! imports what a platform reports, [`Dashboard`] sums it up for an author, [`Erasure`] erases a user
//! everywhere.

mod dashboard;
mod erasure;
mod ingest;

pub use dashboard::{Dashboard, DashboardQuery, DashboardSummary, Period, percent_change};
pub use erasure::{Erasure, ErasureReport};
pub use ingest::{IngestReport, RejectedSale, SalesIngest};
