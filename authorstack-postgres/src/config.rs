//! How to connect.

use std::{fmt, time::Duration};

use authorstack_core::Result;
use authorstack_sql::{Address, IdForm, PoolMode, Server, Timeouts};
use secrecy::SecretString;

pub(crate) static SERVER: Server = Server {
    setting: "postgres_url",
    example: "postgres://user:password@host:5432/authorstack?sslmode=verify-full",
    database: "authorstack",
    password_hint: "set the password that the server's page in the portal resets",
    database_hint: "create it, or name another in the URL's path",
    schema_hint: "apply its migrations first, with PostgresStore::migrate",
    role_hint: "use the role that owns the tables",
};

/// How to connect to a PostgreSQL database.
///
/// The URL is `postgres://user:password@<server>.postgres.database.azure.com:5432/authorstack`.
/// Azure demands TLS: say `?sslmode=verify-full`, or at least `sslmode=require`; the default,
/// `prefer`, falls back to an open connection where a server allows one.
///
/// ```
/// use authorstack_postgres::{IdForm, PostgresConfig};
///
/// let config = PostgresConfig::new("postgres://app:secret@127.0.0.1/authorstack")
///     .ids(IdForm::PaddedRight)
///     .max_connections(5);
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct PostgresConfig {
    url: SecretString,
    pool_mode: PoolMode,
    pub(crate) ids: IdForm,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_connections: u32,
}

impl PostgresConfig {
    /// Settings for this database, with the defaults of every other.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            pool_mode: PoolMode::Session,
            ids: IdForm::Embedded,
            timeouts: Timeouts::default(),
            max_connections: 10,
        }
    }

    /// What stands between the host and the database: nothing unless told.
    #[must_use]
    pub fn pool_mode(mut self, mode: PoolMode) -> Self {
        self.pool_mode = mode;
        self
    }

    /// How ids stand in the `uuid` columns: AuthorStack's form unless told. An old app that shares
    /// the database may have padded them.
    #[must_use]
    pub fn ids(mut self, form: IdForm) -> Self {
        self.ids = form;
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

    /// How many connections the repositories share at most; 10 unless told.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    pub(crate) fn address(&self) -> Result<Address> {
        Address::read(&self.url, self.pool_mode, &SERVER)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("url", &"***")
            .field("pool_mode", &self.pool_mode)
            .field("ids", &self.ids)
            .field("timeouts", &self.timeouts)
            .field("max_connections", &self.max_connections)
            .finish()
    }
}
