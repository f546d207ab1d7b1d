//! The address of a database, read from a URL.

use std::{fmt, str::FromStr, time::Duration};

use authorstack_core::{Error, Result, shown};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use url::Url;

/// Supavisor's port for transaction mode.
const TRANSACTION_PORT: u16 = 6543;

/// The parameters of a URL that mean something to the driver. Others, for example Prisma's, are
/// left out: the driver would log them with their values.
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

/// How the host is connected to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolMode {
    /// [`PoolMode::Transaction`] on port 6543, the port of Supabase's pooler for this mode, else
    /// [`PoolMode::Session`].
    #[default]
    Auto,
    /// A direct connection, or a pooler in session mode: each connection has its own server
    /// connection.
    Session,
    /// A pooler in transaction mode: the server connection may change after every transaction.
    Transaction,
}

/// The messages and defaults that differ between the services.
#[derive(Debug)]
pub struct Server {
    /// The setting that names the database, as it is called in a TOML file.
    pub setting: &'static str,
    /// An example of a URL.
    pub example: &'static str,
    /// The database if the URL names none.
    pub database: &'static str,
    /// What to do about a refused password.
    pub password_hint: &'static str,
    /// Which database the service has.
    pub database_hint: &'static str,
    /// How to bring the schema up to date.
    pub schema_hint: &'static str,
    /// Which role may do everything.
    pub role_hint: &'static str,
}

/// The deadlines.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For one call of a repository.
    pub operation: Duration,
    /// For connecting.
    pub connect: Duration,
    /// For one batch of a migration.
    pub load: Duration,
    /// For building an index.
    pub index: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            operation: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            load: Duration::from_mins(10),
            index: Duration::from_hours(1),
        }
    }
}

impl Address {
    /// Reads the URL.
    ///
    /// # Errors
    /// Configuration, naming the setting. The error does not contain the URL.
    pub fn read(url: &SecretString, mode: PoolMode, server: &'static Server) -> Result<Self> {
        let refuse = |reason: &str| {
            Err(Error::configuration(
                server.setting,
                format!("{reason}; write it like {}", server.example),
            ))
        };
        let mut url = match Url::parse(url.expose_secret().trim()) {
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
            let name = shown(&name);
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
            options = options.database(server.database);
        }
        if options.get_application_name().is_none() {
            options = options.application_name("authorstack");
        }
        let transaction = match mode {
            PoolMode::Auto => options.get_port() == TRANSACTION_PORT,
            PoolMode::Session => false,
            PoolMode::Transaction => true,
        };
        if transaction {
            options = options.statement_cache_capacity(0);
        }
        Ok(Self {
            options: options.disable_statement_logging(),
            transaction,
            server,
        })
    }
}

/// The address of the database, and how to connect to it.
#[derive(Clone)]
pub struct Address {
    /// The driver's options.
    pub options: PgConnectOptions,
    /// Whether there is a pooler in transaction mode in front of it.
    pub transaction: bool,
    /// The service.
    pub server: &'static Server,
}

impl Address {
    /// The address in messages, without the user and the password.
    #[must_use]
    pub fn place(&self) -> String {
        match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or(self.server.database)
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

    static SERVER: Server = Server {
        setting: "supabase_db_url",
        example: "postgres://postgres:password@host:5432/postgres",
        database: "postgres",
        password_hint: "",
        database_hint: "",
        schema_hint: "",
        role_hint: "",
    };

    fn address(url: &str) -> Result<Address> {
        Address::read(&url.to_owned().into(), PoolMode::Auto, &SERVER)
    }

    #[test]
    fn the_port_tells_the_mode() {
        assert!(address("postgres://u:p@h:6543/d").unwrap().transaction);
        assert!(!address("postgres://u:p@h/d").unwrap().transaction);
        let url = "postgres://u:p@h:6543/d".to_owned().into();
        let told = Address::read(&url, PoolMode::Session, &SERVER).unwrap();
        assert!(!told.transaction);
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
            assert!(shown.contains(SERVER.setting), "{shown}");
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
