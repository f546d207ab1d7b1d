//! How to connect.

use authorstack_sql::{IdForm, Server, Settings, settings_methods};

pub(crate) static SERVER: Server = Server {
    setting: "postgres_url",
    example: "postgres://user:password@host:5432/authorstack",
    database: "authorstack",
    password_hint: "set the password that the server's page in the portal resets",
    database_hint: "create it, or name another in the URL's path",
    schema_hint: "make it with PostgresStore::prepare",
    role_hint: "use the role that owns the tables",
    certificate_hint: "the service that runs the server has it; that of Azure is known already",
};

/// How to connect to a PostgreSQL database.
///
/// The URL is `postgres://user:password@<server>.postgres.database.azure.com:5432/authorstack`.
/// A server on another machine must show a certificate for its name (`sslmode=verify-full`, which
/// need not be written); the authorities of Azure are known. Clear text needs `sslmode=disable`.
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
    /// Settings for this database. The others have their defaults.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            settings: Settings::new(&SERVER, url.into()),
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
