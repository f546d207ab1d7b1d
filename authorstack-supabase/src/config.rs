//! How to connect.

use std::{fmt, time::Duration};

use authorstack_core::Result;
use authorstack_sql::{Address, PoolMode, Server, Timeouts};
use secrecy::SecretString;

pub(crate) static SERVER: Server = Server {
    setting: "supabase_db_url",
    example: "postgres://postgres:password@host:5432/postgres",
    database: "postgres",
    password_hint: "set the database password that the project's dashboard shows or resets",
    database_hint: "a Supabase project's is called postgres",
    schema_hint: "apply its migrations first, with SupabaseStore::migrate or the Supabase CLI",
    role_hint: "use the project's role postgres",
};

/// How to connect to a Supabase project's database.
///
/// The URL is `postgres://postgres:password@db.<ref>.supabase.co:5432/postgres`, or the pooler's.
/// Over the internet, say `?sslmode=require`, or better `sslmode=verify-full` with the project's
/// certificate as `sslrootcert`; the default, `prefer`, falls back to an open connection. What
/// the URL leaves out is taken as `libpq` does, from `PGPASSWORD`, `PGSSLMODE` or `~/.pgpass`.
///
/// ```
/// use std::time::Duration;
/// use authorstack_supabase::{PoolMode, SupabaseConfig};
///
/// let config = SupabaseConfig::new("postgres://postgres:secret@127.0.0.1:5432/postgres")
///     .pool_mode(PoolMode::Session)
///     .operation_timeout(Duration::from_secs(10))
///     .max_connections(5);
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct SupabaseConfig {
    url: SecretString,
    pool_mode: PoolMode,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_connections: u32,
}

impl SupabaseConfig {
    /// Settings for this database, with the defaults of every other.
    #[must_use]
    pub fn new(db_url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(db_url.into()),
            pool_mode: PoolMode::Auto,
            timeouts: Timeouts::default(),
            max_connections: 10,
        }
    }

    /// What stands between the host and the database.
    #[must_use]
    pub fn pool_mode(mut self, mode: PoolMode) -> Self {
        self.pool_mode = mode;
        self
    }

    /// How long one call of a repository may take; 30 seconds unless told.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.operation = timeout;
        self
    }

    /// How long to wait for a connection; 10 seconds unless told.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long a migration's batch may take to load; 10 minutes unless told.
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.load = timeout;
        self
    }

    /// How long a migration may take to build an index; an hour unless told.
    #[must_use]
    pub fn index_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.index = timeout;
        self
    }

    /// How many connections the repositories share at most; 10 unless told. A migration opens a
    /// few of its own.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Reads the URL.
    pub(crate) fn address(&self) -> Result<Address> {
        Address::read(&self.url, self.pool_mode, &SERVER)
    }
}

impl fmt::Debug for SupabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupabaseConfig")
            .field("url", &"***")
            .field("pool_mode", &self.pool_mode)
            .field("timeouts", &self.timeouts)
            .field("max_connections", &self.max_connections)
            .finish()
    }
}
