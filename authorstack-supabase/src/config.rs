//! How to connect.

use std::time::Duration;

use authorstack_sql::{Server, Settings, settings_methods};

pub(crate) static SERVER: Server = Server {
    setting: "supabase_db_url",
    example: "postgres://postgres:password@host:5432/postgres",
    database: "postgres",
    password_hint: "set the database password that the project's dashboard shows or resets",
    database_hint: "a Supabase project's is called postgres",
    schema_hint: "make it with SupabaseStore::prepare, or with the Supabase CLI",
    role_hint: "use the project's role postgres",
    certificate_hint: "a Supabase project's can be downloaded from its database settings",
};

/// How to connect to a Supabase project's database.
///
/// The URL is `postgres://postgres:password@db.<ref>.supabase.co:5432/postgres`, or the pooler's.
/// A server on another machine must show a certificate for its name (`sslmode=verify-full`, which
/// need not be written). Supabase signs its certificates itself: download the authority's from the
/// project's database settings, and name the file by [`SupabaseConfig::root_certificate`] or as
/// `sslrootcert` in the URL. Clear text needs `sslmode=disable`.
///
/// Parts that the URL leaves out come from `PGPASSWORD`, `PGSSLMODE`, `PGSSLROOTCERT` or
/// `~/.pgpass`, as with `libpq`.
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
#[derive(Debug, Clone)]
pub struct SupabaseConfig {
    pub(crate) settings: Settings,
}

impl SupabaseConfig {
    /// Settings for this database. The other settings have their defaults.
    #[must_use]
    pub fn new(db_url: impl Into<String>) -> Self {
        Self {
            settings: Settings::new(&SERVER, db_url.into()),
        }
    }

    /// How long a migration's batch may take to load; the default is 10 minutes.
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.load = timeout;
        self
    }

    /// How long a migration may take to build an index; the default is an hour.
    #[must_use]
    pub fn index_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.index = timeout;
        self
    }
}

settings_methods!(SupabaseConfig);
