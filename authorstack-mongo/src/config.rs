//! The address of MongoDB, and how long to wait for it.

use std::time::Duration;

use authorstack_core::{Error, Result, resilience::with_deadline};
use mongodb::{
    Client,
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::{ClientOptions, ServerAddress},
};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{SETTING, map};

/// The address of a MongoDB deployment, and the limits of every call.
///
/// The address is a MongoDB connection string, `mongodb://…` or `mongodb+srv://…`, with the
/// database in its path (`authorstack` if it names none) and the driver's options in its query. The
/// settings here take precedence over those in the address.
///
/// ```
/// use std::time::Duration;
/// use authorstack_mongo::MongoConfig;
///
/// let config = MongoConfig::new("mongodb://ada:secret@db.example.org/authorstack")
///     .operation_timeout(Duration::from_secs(5))
///     .max_pool_size(20);
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Debug, Clone)]
pub struct MongoConfig {
    url: SecretString,
    database: Option<String>,
    operation_timeout: Duration,
    connect_timeout: Option<Duration>,
    server_selection_timeout: Option<Duration>,
    max_pool_size: Option<u32>,
    app_name: Option<String>,
    price_history_limit: Option<u32>,
}

impl MongoConfig {
    /// The database if the address names none.
    pub const DEFAULT_DATABASE: &'static str = "authorstack";

    /// The deployment at this address.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            database: None,
            operation_timeout: Duration::from_secs(30),
            connect_timeout: None,
            server_selection_timeout: None,
            max_pool_size: None,
            app_name: None,
            price_history_limit: None,
        }
    }

    /// Uses another database than the one in the address.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// How long a call may take in total; 30 seconds by default.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How long connecting may take; the driver's 10 seconds by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long to look for a server that can serve a call; 10 seconds by default.
    #[must_use]
    pub fn server_selection_timeout(mut self, timeout: Duration) -> Self {
        self.server_selection_timeout = Some(timeout);
        self
    }

    /// How many connections may be open to a server at once; the driver's 10 by default.
    #[must_use]
    pub fn max_pool_size(mut self, connections: u32) -> Self {
        self.max_pool_size = Some(connections);
        self
    }

    /// The application's name in the server's logs; `authorstack` by default.
    #[must_use]
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.app_name = Some(name.into());
        self
    }

    /// How many prices a competitor's history keeps: the newest ones, each time that a price is
    /// recorded. Without a limit, a history grows until its document has 16 MB. A migration moves
    /// all prices that exist.
    #[must_use]
    pub const fn price_history_limit(mut self, prices: u32) -> Self {
        self.price_history_limit = Some(prices);
        self
    }

    pub(crate) const fn history_limit(&self) -> Option<u32> {
        self.price_history_limit
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.operation_timeout
    }

    /// A client for the address, not connected yet.
    pub(crate) async fn open(&self) -> Result<Opened> {
        let deadline = self.operation_timeout;
        let parse = ClientOptions::parse(self.url.expose_secret());
        let mut options = with_deadline(deadline, async {
            parse.await.map_err(|error| refused(&error, deadline))
        })
        .await?;
        let default = Duration::from_secs(10);
        let selection = self.server_selection_timeout;
        options.server_selection_timeout = selection
            .or(options.server_selection_timeout)
            .or(Some(default));
        options.connect_timeout = self.connect_timeout.or(options.connect_timeout);
        options.max_pool_size = self.max_pool_size.or(options.max_pool_size);
        options.app_name = self
            .app_name
            .clone()
            .or(options.app_name)
            .or_else(|| Some("authorstack".to_owned()));
        let database = self
            .database
            .clone()
            .or_else(|| options.default_database.clone())
            .unwrap_or_else(|| Self::DEFAULT_DATABASE.to_owned());
        let hosts = options.hosts.clone();
        let client = Client::with_options(options).map_err(|error| refused(&error, deadline))?;
        Ok(Opened {
            client,
            database,
            hosts,
        })
    }
}

/// The error for an address that the driver does not accept.
fn refused(error: &DriverError, deadline: Duration) -> Error {
    match error.kind.as_ref() {
        DriverKind::InvalidArgument { message, .. } => {
            Error::configuration(SETTING, explain_address(message))
        }
        _ => map(error, deadline),
    }
}

/// A client, and the details about it that messages may contain.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) database: String,
    pub(crate) hosts: Vec<ServerAddress>,
}

impl Opened {
    /// The reason why no server answered. A name that does not exist is a wrong setting; other
    /// causes may be temporary.
    pub(crate) async fn unreachable(&self, why: &str, deadline: Duration) -> Error {
        let names: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        if self.none_resolves(deadline).await {
            return Error::configuration(
                SETTING,
                format!("no address is known for {names}; check the spelling of the host name"),
            );
        }
        let why = gist(why);
        Error::unavailable(format!(
            "no MongoDB server answered at {names}, from {SETTING}: {why}; start the server, \
             correct the address, or let this machine's address through its firewall"
        ))
    }

    async fn none_resolves(&self, deadline: Duration) -> bool {
        for host in &self.hosts {
            let ServerAddress::Tcp { host, port } = host else {
                return false;
            };
            let lookup = tokio::net::lookup_host((host.as_str(), port.unwrap_or(27017)));
            let found = with_deadline(deadline, async { Ok(lookup.await.is_ok()) });
            // A name server that does not answer in time may know the name.
            if found.await.unwrap_or(true) {
                return false;
            }
        }
        true
    }
}

/// The problem of an address. The driver's own text is only matched, not shown: it may contain
/// parts of the address, such as half a password.
fn explain_address(message: &str) -> String {
    const KNOWN: &[(&str, &str)] = &[
        (
            "URL encoded",
            "the user name or the password holds a character that must be percent-encoded, such \
             as @ as %40",
        ),
        (
            "unescaped %",
            "the user name or the password holds a bare %; write it as %25",
        ),
        (
            "scheme",
            "the address does not start with mongodb:// or mongodb+srv://",
        ),
        (
            "invalid server address",
            "a host name or a port is not valid; if the password holds @, / or :, percent-encode it",
        ),
        (
            "a port cannot be specified",
            "a mongodb+srv:// address has no port; remove it",
        ),
        (
            "exactly one host",
            "a mongodb+srv:// address has exactly one host",
        ),
        (
            "illegal character in database name",
            "the database's name, in the path, holds a character that MongoDB does not allow",
        ),
        (
            "key=value",
            "an option after the ? is not of the form name=value",
        ),
        (
            "repeated options",
            "an option after the ? is given twice; remove one",
        ),
        ("boolean", "an option after the ? must be true or false"),
        ("integer", "an option after the ? must be a whole number"),
        (
            "directConnection",
            "directConnection=true fits neither several hosts nor a mongodb+srv:// address",
        ),
        (
            "socketTimeoutMS",
            "socketTimeoutMS is not supported; use the operation timeout",
        ),
    ];
    let known = KNOWN.iter().find(|(part, _)| message.contains(part));
    let problem = known.map_or("an option or a part is not valid", |(_, problem)| problem);
    format!(
        "is not a MongoDB address: {problem}. The form is \
         mongodb://user:password@host:port/database?option=value"
    )
}

/// The driver's message, without its details of each server except the error there.
fn gist(why: &str) -> String {
    let (summary, servers) = why.split_once(" Topology:").unwrap_or((why, ""));
    let cause = servers.split_once("Error: Kind: ");
    let cause = cause.map(|(_, rest)| rest.split(", labels:").next().unwrap_or(rest));
    match cause {
        Some(cause) => format!("{} ({cause})", summary.trim_end_matches('.')),
        None => summary.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authorstack_core::ErrorKind;

    #[tokio::test]
    async fn a_wrong_address_is_explained_without_being_shown() {
        for (url, expected) in [
            ("db.example.org/app", "does not start with mongodb://"),
            (
                "postgres://u:hunter2@h/app",
                "does not start with mongodb://",
            ),
            ("mongodb://u:hun@ter2@h/app", "percent-encode"),
            ("mongodb://u:hunter2/x@h:1/app", "percent-encode"),
            ("mongodb://u:hunter2%@h/app", "%25"),
            ("mongodb://u:hunter2@h:port/app", "port is not valid"),
            ("mongodb://u:hunter2@h/a$pp", "database's name"),
            ("mongodb://u:hunter2@h/app?hunter2", "name=value"),
            (
                "mongodb://u:hunter2@h/app?retryWrites=hunter2",
                "true or false",
            ),
            (
                "mongodb://u:hunter2@h/app?maxPoolSize=hunter2",
                "whole number",
            ),
            ("", "does not start with mongodb://"),
        ] {
            let Err(error) = MongoConfig::new(url).open().await else {
                panic!("{url} was taken")
            };
            let ErrorKind::Configuration { setting, reason } = error.kind() else {
                panic!("{error:?}")
            };
            assert_eq!(setting, SETTING);
            assert!(reason.contains(expected), "{url}: {reason}");
            let all = format!("{error} {error:?}");
            assert!(!all.contains("hunter2") && !all.contains("ter2"), "{all}");
        }
    }

    #[tokio::test]
    async fn the_database_is_the_paths() {
        for (config, expected) in [
            (MongoConfig::new("mongodb://h/app"), "app"),
            (MongoConfig::new("mongodb://h/"), "authorstack"),
            (MongoConfig::new("mongodb://h"), "authorstack"),
            (
                MongoConfig::new("mongodb://h/?replicaSet=rs0"),
                "authorstack",
            ),
            (
                MongoConfig::new("mongodb://h/app").database("other"),
                "other",
            ),
        ] {
            assert_eq!(config.open().await.unwrap().database, expected);
        }
    }
}
