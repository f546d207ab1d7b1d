//! How to connect.

use std::{fmt, str::FromStr, time::Duration};

use authorstack_core::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use url::Url;

pub(crate) const SETTING: &str = "supabase_db_url";

/// Supavisor's port for transaction mode.
const TRANSACTION_PORT: u16 = 6543;

/// The parameters of a URL that mean something to the driver. Others, such as Prisma's, are left
/// out: the driver would log them with their values.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// What stands between the host and the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolMode {
    /// [`PoolMode::Transaction`] on port 6543, where Supabase's pooler has it, else
    /// [`PoolMode::Session`].
    #[default]
    Auto,
    /// A direct connection, or a pooler in session mode: a server connection of one's own.
    Session,
    /// A pooler in transaction mode: the server connection may change behind every transaction.
    Transaction,
}

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

/// The deadlines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) operation: Duration,
    pub(crate) connect: Duration,
    pub(crate) load: Duration,
    pub(crate) index: Duration,
}

impl SupabaseConfig {
    /// Settings for this database, with the defaults of every other.
    #[must_use]
    pub fn new(db_url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(db_url.into()),
            pool_mode: PoolMode::Auto,
            timeouts: Timeouts {
                operation: Duration::from_secs(30),
                connect: Duration::from_secs(10),
                load: Duration::from_mins(10),
                index: Duration::from_hours(1),
            },
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
        let refuse = |reason: &str| {
            Err(Error::configuration(
                SETTING,
                format!("{reason}; write it like postgres://postgres:password@host:5432/postgres"),
            ))
        };
        let mut url = match Url::parse(self.url.expose_secret().trim()) {
            Ok(url) => url,
            Err(error) => return refuse(&format!("is not a URL ({error})")),
        };
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return refuse("does not start with postgres://");
        }
        let (known, unknown): (Vec<_>, Vec<_>) =
            url.query_pairs().into_owned().partition(|(name, _)| {
                PARAMETERS.contains(&name.as_str()) || name.starts_with("options[")
            });
        for (name, _) in unknown {
            tracing::debug!(parameter = %name, "left out of the database URL: not for PostgreSQL");
        }
        let names = |name: &str| known.iter().any(|(known, _)| known == name);
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        if !has_host && !names("host") && !names("hostaddr") {
            return refuse("names no host");
        }
        if url.username().is_empty() && !names("user") {
            return refuse("names no user");
        }
        let has_port = url.port().is_some() || names("port");
        let has_database = url.path().len() > 1 || names("dbname");
        url.set_query(None);
        if !known.is_empty() {
            url.query_pairs_mut().extend_pairs(&known);
        }
        let mut options = match PgConnectOptions::from_str(url.as_str()) {
            Ok(options) => options,
            Err(sqlx::Error::Configuration(error)) => {
                return refuse(&format!("has a parameter that cannot be read ({error})"));
            }
            Err(_) => return refuse("cannot be read"),
        };
        if !has_port {
            options = options.port(5432);
        }
        if !has_database {
            options = options.database("postgres");
        }
        if options.get_application_name().is_none() {
            options = options.application_name("authorstack");
        }
        let transaction = match self.pool_mode {
            PoolMode::Auto => options.get_port() == TRANSACTION_PORT,
            PoolMode::Session => false,
            PoolMode::Transaction => true,
        };
        if transaction {
            options = options.statement_cache_capacity(0);
        }
        Ok(Address {
            options: options.disable_statement_logging(),
            transaction,
        })
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

/// Where the database is and how it is reached.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) options: PgConnectOptions,
    /// Whether a pooler in transaction mode is before it.
    pub(crate) transaction: bool,
}

impl Address {
    /// The place in messages: never the user or the password.
    pub(crate) fn place(&self) -> String {
        match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    pub(crate) fn database(&self) -> &str {
        self.options.get_database().unwrap_or("postgres")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.place())
            .field("database", &self.database())
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address> {
        SupabaseConfig::new(url).address()
    }

    #[test]
    fn the_port_tells_the_mode() {
        assert!(address("postgres://u:p@h:6543/d").unwrap().transaction);
        assert!(!address("postgres://u:p@h/d").unwrap().transaction);
        let told = SupabaseConfig::new("postgres://u:p@h:6543/d").pool_mode(PoolMode::Session);
        assert!(!told.address().unwrap().transaction);
    }

    #[test]
    fn wrong_urls_are_refused_without_their_secrets() {
        for url in [
            "",
            "hunter2",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@/d",
            "postgres://:hunter2@h/d",
            "postgres://u:hunter2@h:x/d",
            "postgres://u:hunter2@h/d?sslmode=hunter2x",
            "postgres://u:hunter2/with-slash@h/d",
        ] {
            let error = address(url).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(SETTING), "{shown}");
            assert!(
                !shown.contains("hunter2") || url.contains("hunter2x"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_left_out_has_defaults() {
        let address = address("postgresql://u@h?pgbouncer=true").unwrap();
        assert_eq!(address.place(), "h:5432");
        assert_eq!(address.database(), "postgres");
    }
}
