//! AuthorStack on Supabase: documents and analytics in the project's PostgreSQL.
//!
//! [`SupabaseStore`] implements [`DocumentStore`](authorstack_core::DocumentStore) and
//! [`AnalyticsStore`](authorstack_core::AnalyticsStore) for a host app, applies the schema's
//! migrations ([`SupabaseStore::migrate`], or the Supabase CLI with the files in
//! `supabase/migrations`), and returns the [`SupabaseMigration`] that moves records into or out of
//! the project, and the [`SupabaseLedger`] for the opposite direction.
//!
//! With the feature `auth` there is `SupabaseAccounts` for the accounts of the project's Auth server.
//!
//! ```no_run
//! use authorstack_core::AuthorStack;
//! use authorstack_supabase::{SupabaseConfig, SupabaseStore};
//!
//! # async fn run() -> authorstack_core::Result<()> {
//! let url = std::env::var("AUTHORSTACK_SUPABASE_DB_URL").unwrap_or_default();
//! let store = SupabaseStore::connect_and_prepare(SupabaseConfig::new(url)).await?;
//! let stack = AuthorStack::supabase(&store);
//! # let _ = stack;
//! # Ok(())
//! # }
//! ```

mod account_metadata;
mod account_rows;
#[cfg(feature = "auth")]
mod accounts;
mod books;
mod boosts;
mod checklists;
mod community;
mod competitors;
mod config;
mod error;
mod follows;
mod migration;
mod repositories;
mod schema;
mod store;
mod users;

#[cfg(feature = "auth")]
pub use accounts::{
    AuthenticatorKind, CheckedAuthenticator, LocalAuthenticator, LostPassword, ResetsSent,
    SupabaseAccounts, SupabaseAuthConfig, provider_settings,
};
pub use authorstack_sql::PoolMode;
pub use config::SupabaseConfig;
pub use migration::{SupabaseLedger, SupabaseMigration};
pub use store::SupabaseStore;
