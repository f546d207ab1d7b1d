//! The shared parts of AuthorStack's backends on PostgreSQL: the connections and their settings,
//! the driver's errors, records in rows and statements, and the analytics repositories.
//!
//! A host uses `authorstack-postgres` or `authorstack-supabase`. The API of this crate is not
//! stable for other users.

mod address;
mod analytics;
mod codec;
mod error;
mod fields;
mod identity;
mod ids;
mod kept;
mod migration;
mod pool;
mod settings;
mod task;

pub use __settings_methods as settings_methods;
pub use address::{Address, PoolMode, Server, Timeouts};
pub use analytics::{Dialect, analytics, row_digest};
pub use codec::{
    Bytes, Day, Jsonb, Moment, check_moment, first_moment, moment_at, postgres_micros, write_json,
};
pub use error::{from_sqlx, get, has_code, is_data_error, is_duplicate_object, name_deadline};
pub use fields::{
    ArgumentWriter, arguments, insert, integer, is_integer, json_columns, parameter, placeholders,
    read, read_listed, read_record, read_sum, select, sums_of, update, width, write_sums,
};
pub use fields::{ArrayWriter, WriteIds};
pub use identity::{IDENTITY, ORIGIN, OTHER_TABLES};
pub use ids::IdForm;
pub use kept::{KEPT_CONNECTIONS, KeptConnections};
pub use migration::{
    READ_ONLY, check_dates, each_value, is_same_record, read_only_blocker, refusal, row_refusal,
    taken_by,
};
pub use pool::{BEGIN, Pool, Statement, Unit, WHOLE_TABLES};
pub use settings::Settings;
pub use task::{Aborting, spawned};
