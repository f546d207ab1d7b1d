//! What AuthorStack's backends on PostgreSQL share: the connections, the driver's errors, and the
//! analytics repositories.
//!
//! A host uses `authorstack-postgres` or `authorstack-supabase`; this crate makes no promise of
//! stability to others.

mod address;
mod analytics;
mod codec;
mod error;
mod pool;
mod task;

pub use address::{Address, PoolMode, Server, Timeouts};
pub use analytics::{
    Dialect, IdForm, SqlAnalytics, json_columns, lasting_columns, row_columns, row_digest,
    unique_columns,
};
pub use codec::{Bytes, Jsonb, Moment, check_moment, first_moment, postgres_micros, write_json};
pub use error::{from_sqlx, get, has_code, is_data_error, is_duplicate_object, with_deadline};
pub use pool::{Pool, Statement, Unit, again, within};
pub use task::{Aborting, spawned};
