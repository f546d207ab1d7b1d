//! How to connect.

use authorstack_sql::{IdForm, PoolMode, Server, Settings, settings_methods};

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
/// Azure requires TLS: add `?sslmode=verify-full`, or at least `sslmode=require`. The default,
/// `prefer`, uses a connection without encryption if the server allows one.
///
/// ```
/// use authorstack_postgres::{IdForm, PostgresConfig};
///
/// let config = PostgresConfig::new("postgres://app:secret@127.0.0.1/authorstack")
///     .ids(IdForm::PaddedRight)
///     .max_connections(5);
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    pub(crate) settings: Settings,
    pub(crate) ids: IdForm,
}

impl PostgresConfig {
    /// Settings for this database. The others have their defaults: a direct connection from the
    /// host to the database.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            settings: Settings::new(&SERVER, url.into(), PoolMode::Session),
            ids: IdForm::Embedded,
        }
    }

    /// The form of ids in the `uuid` columns; the default is AuthorStack's form. An old app that
    /// shares the database may have padded the ids.
    #[must_use]
    pub fn ids(mut self, form: IdForm) -> Self {
        self.ids = form;
        self
    }
}

settings_methods!(PostgresConfig);
