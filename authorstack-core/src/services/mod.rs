//! Services: logic that uses several repositories, and works on every backend. [`SalesIngest`]
//! imports what a platform reports, [`Dashboard`] sums it up for an author, [`ProfileSync`] and
//! [`PreferenceSync`] keep profiles and settings in step with accounts, [`Erasure`] erases a user
//! everywhere.

mod dashboard;
mod erasure;
mod ingest;
mod preference_sync;
mod profile_sync;

pub use dashboard::{Dashboard, DashboardQuery, DashboardSummary, Period, percent_change};
pub use erasure::{ErasedAccount, Erasure, ErasureReport};
pub use ingest::{IngestReport, RejectedSale, SalesIngest};
pub use preference_sync::{PreferenceReport, PreferenceSync};
pub use profile_sync::{ProfileChange, ProfileReport, ProfileSync, RefusedProfile, Unverified};
