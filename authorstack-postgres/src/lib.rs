//! AuthorStack's analytics on PostgreSQL, such as Azure's: sales, roll-ups, sync logs, insights
//! and forecasts, in the schema's five tables.
//!
//! ```no_run
//! use authorstack_core::AuthorStack;
//! use authorstack_postgres::{PostgresConfig, PostgresStore};
//!
//! # async fn run() -> authorstack_core::Result<()> {
//! let url = std::env::var("AUTHORSTACK_POSTGRES_URL").unwrap_or_default();
//! let store = PostgresStore::connect_and_prepare(PostgresConfig::new(url)).await?;
//! let stack = AuthorStack::builder().analytics(&store).build();
//! # let _ = stack;
//! # Ok(())
//! # }
//! ```

mod config;
mod migration;
mod repositories;
mod schema;
mod store;

pub use authorstack_sql::{IdForm, PoolMode};
pub use config::PostgresConfig;
pub use migration::{FormIds, IdForms, IdMap, KindIds, PostgresMigration};
pub use store::PostgresStore;
