//! The address of a database, read from a URL.

use std::{env, fmt, fs::File, path::Path, str::FromStr, time::Duration};

use authorstack_core::{ConnectionSecurity, Error, Result, shown};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
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
    /// Connecting finds it out: two connections that the same process of the server answers are
    /// behind a pooler in transaction mode. On port 6543, that of Supabase's pooler for this mode,
    /// it is known without looking.
    #[default]
    Auto,
    /// A direct connection, or a pooler in session mode: each connection has its own server
    /// connection. Connecting fails if it finds a pooler in transaction mode.
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
    /// Where to get the certificate of the authority that signs the server's.
    pub certificate_hint: &'static str,
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
    /// Reads the URL. A server on another machine must show a certificate for its name, unless the
    /// URL names another `sslmode`. The root certificate takes precedence over the URL's.
    ///
    /// # Errors
    /// Configuration, naming the setting. The error does not contain the URL.
    pub fn read(
        url: &SecretString,
        mode: PoolMode,
        root_certificate: Option<&Path>,
        server: &'static Server,
    ) -> Result<Self> {
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
        let value = |names: [&str; 3]| {
            let mut given = known.iter().rev();
            given.find_map(|(name, value)| names.contains(&name.as_str()).then_some(value))
        };
        let in_url = value(["sslrootcert", "ssl-root-cert", "ssl-ca"]).map(Path::new);
        if let Some(file) = root_certificate.or(in_url) {
            // The driver also takes the certificate itself.
            let is_inline = file.to_string_lossy().contains("-----BEGIN CERTIFICATE");
            if let Some(error) = File::open(file).err().filter(|_| !is_inline) {
                let problem = format!(
                    "the root certificate {} cannot be read: {error}",
                    file.display()
                );
                return Err(Error::configuration(server.setting, problem));
            }
            options = options.ssl_root_cert(file);
        }
        let has_root = root_certificate.or(in_url).is_some() || is_set("PGSSLROOTCERT");
        let says_mode = names("sslmode") || names("ssl-mode") || is_set("PGSSLMODE");
        options = match (options.get_ssl_mode(), is_local(&options)) {
            (_, false) if !says_mode => options.ssl_mode(PgSslMode::VerifyFull),
            (PgSslMode::Allow | PgSslMode::Prefer, false) => {
                let problem = format!(
                    "the password could go to {} in clear text with this sslmode; leave sslmode \
                     out to check the server's certificate, or write disable if the network on \
                     the way is trusted",
                    options.get_host(),
                );
                return Err(Error::configuration(server.setting, problem));
            }
            // As with libpq, a root certificate is not named in vain.
            (PgSslMode::Require, _) if has_root => options.ssl_mode(PgSslMode::VerifyCa),
            _ => options,
        };
        let address = Self {
            transaction: false,
            options: options.disable_statement_logging(),
            server,
        };
        Ok(match mode {
            PoolMode::Auto if address.options.get_port() == TRANSACTION_PORT => {
                address.in_transaction_mode()
            }
            PoolMode::Auto | PoolMode::Session => address,
            PoolMode::Transaction => address.in_transaction_mode(),
        })
    }
}

/// Whether a variable of the environment that the driver reads has a value.
fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Whether the connection stays on this machine.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || ConnectionSecurity::is_this_machine(host)
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

    /// The same address, behind a pooler in transaction mode.
    #[must_use]
    pub fn in_transaction_mode(mut self) -> Self {
        self.options = self.options.statement_cache_capacity(0);
        self.transaction = true;
        self
    }

    /// How connections to it are secured.
    #[must_use]
    pub fn security(&self) -> ConnectionSecurity {
        match self.options.get_ssl_mode() {
            PgSslMode::VerifyFull => ConnectionSecurity::Verified,
            PgSslMode::VerifyCa => ConnectionSecurity::VerifiedIssuer,
            PgSslMode::Require => ConnectionSecurity::Unverified,
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => {
                if is_local(&self.options) {
                    ConnectionSecurity::Local
                } else {
                    ConnectionSecurity::ClearText
                }
            }
        }
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
        certificate_hint: "",
    };

    fn address(url: &str) -> Result<Address> {
        Address::read(&url.to_owned().into(), PoolMode::Auto, None, &SERVER)
    }

    fn security(url: &str) -> ConnectionSecurity {
        address(url).unwrap().security()
    }

    #[test]
    fn a_server_elsewhere_must_show_its_certificate() {
        for host in ["db.example.org", "10.0.0.1", "0.0.0.0", "[2001:db8::1]"] {
            let url = |query: &str| format!("postgres://u:p@{host}/d{query}");
            assert_eq!(security(&url("")), ConnectionSecurity::Verified, "{host}");
            for (mode, expected) in [
                ("verify-full", ConnectionSecurity::Verified),
                ("verify-ca", ConnectionSecurity::VerifiedIssuer),
                ("require", ConnectionSecurity::Unverified),
                ("disable", ConnectionSecurity::ClearText),
            ] {
                assert_eq!(security(&url(&format!("?sslmode={mode}"))), expected);
                assert_eq!(security(&url(&format!("?ssl-mode={mode}"))), expected);
            }
            for mode in ["prefer", "allow"] {
                let error = address(&url(&format!("?sslmode={mode}"))).unwrap_err();
                assert!(error.to_string().contains("clear text"), "{error}");
            }
        }
        // The host that is connected to counts, wherever the URL names it.
        for url in [
            "postgres://u:p@127.0.0.1/d?host=db.example.org",
            "postgres://u:p@localhost/d?hostaddr=10.0.0.1",
        ] {
            assert_eq!(security(url), ConnectionSecurity::Verified, "{url}");
        }
    }

    #[test]
    fn this_machine_needs_no_certificate() {
        for url in [
            "postgres://u:p@localhost/d",
            "postgres://u:p@127.0.0.2/d?sslmode=prefer",
            "postgres://u:p@[::1]/d?sslmode=disable",
            "postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d",
            "postgres://u:p@db.example.org/d?host=/var/run/postgresql",
        ] {
            assert_eq!(security(url), ConnectionSecurity::Local, "{url}");
        }
        let url = "postgres://u:p@localhost/d?sslmode=verify-full";
        assert_eq!(security(url), ConnectionSecurity::Verified);
    }

    #[test]
    fn a_root_certificate_is_used_and_must_be_there() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let url = format!("postgres://u:p@h/d?sslmode=require&sslrootcert={here}");
        assert_eq!(security(&url), ConnectionSecurity::VerifiedIssuer);
        let error = address("postgres://u:hunter2@h/d?sslrootcert=no-such.pem").unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.contains("no-such.pem") && !shown.contains("hunter2"),
            "{shown}"
        );
        let url = "postgres://u:p@h/d?sslmode=require".to_owned().into();
        let read = |file| Address::read(&url, PoolMode::Auto, Some(file), &SERVER);
        let set = read(Path::new(here)).unwrap();
        assert_eq!(set.security(), ConnectionSecurity::VerifiedIssuer);
        assert!(read(Path::new("no-such.pem")).is_err());
    }

    #[test]
    fn the_port_tells_the_mode() {
        assert!(address("postgres://u:p@h:6543/d").unwrap().transaction);
        assert!(!address("postgres://u:p@h/d").unwrap().transaction);
        let url = "postgres://u:p@h:6543/d".to_owned().into();
        let told = Address::read(&url, PoolMode::Session, None, &SERVER).unwrap();
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
