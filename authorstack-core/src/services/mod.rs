//! What spans repositories: the same on every backend.

mod dashboard;
mod ingest;

pub use dashboard::{Dashboard, DashboardQuery, DashboardSummary, Period, percent_change};
pub use ingest::{IngestReport, RejectedSale, SalesIngest};
