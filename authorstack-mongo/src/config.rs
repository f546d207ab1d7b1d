//! The address of MongoDB, and how long to wait for it.

use std::{path::PathBuf, time::Duration};

use authorstack_core::{ConnectionSecurity, Error, Result, resilience::with_deadline};
use futures::future::join_all;
use mongodb::{
    Client,
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::{ClientOptions, ServerAddress, Tls, TlsOptions},
};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{SETTING, map};

/// The address of a MongoDB deployment, and the limits of every call.
///
/// The address is a MongoDB connection string, `mongodb://…` or `mongodb+srv://…`, with the
/// database in its path (`authorstack` if it names none) and the driver's options in its query. The
/// settings here take precedence over those in the address.
///
/// Servers on other machines are reached through TLS (`tls=true`, which a `mongodb+srv://` address
/// implies) and must show a certificate for their name. [`MongoConfig::root_certificate`], or
/// `tlsCAFile` in the address, names the authority that signs it, if it is no public one. Clear
/// text to another machine needs `tls=false`.
///
/// ```
/// use std::time::Duration;
/// use authorstack_mongo::MongoConfig;
///
/// let config = MongoConfig::new("mongodb+srv://ada:secret@db.example.org/authorstack")
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
    root_certificate: Option<PathBuf>,
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
            root_certificate: None,
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

    /// How long connecting may take, and how long a call waits for a server that can serve it; the
    /// default is 10 seconds. If no server takes a connection, connecting fails at once.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The file with the certificate of the authority that signs the servers', in PEM form, as
    /// `tlsCAFile` in the address. It switches TLS on. Public authorities are known without it.
    #[must_use]
    pub fn root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.root_certificate = Some(file.into());
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
        let default = Duration::from_secs(10);
        // Reading a `mongodb+srv://` address asks a name server.
        let deadline = self.connect_timeout.unwrap_or(default);
        let parse = ClientOptions::parse(self.url.expose_secret());
        let mut options = with_deadline(deadline, async {
            parse.await.map_err(|error| refused(&error, deadline))
        })
        .await?;
        let deadline = self
            .connect_timeout
            .or(options.server_selection_timeout)
            .or(options.connect_timeout)
            .unwrap_or(default);
        options.server_selection_timeout = Some(deadline);
        options.connect_timeout = self
            .connect_timeout
            .or(options.connect_timeout)
            .or(Some(deadline));
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
        if let Some(file) = &self.root_certificate {
            let mut tls = match options.tls.take() {
                Some(Tls::Enabled(tls)) => tls,
                Some(Tls::Disabled) => {
                    let problem = "a root certificate is named, and tls=false; remove one of them";
                    return Err(Error::configuration(SETTING, problem));
                }
                None => TlsOptions::default(),
            };
            tls.ca_file_path = Some(file.clone());
            options.tls = Some(Tls::Enabled(tls));
        }
        let hosts = options.hosts.clone();
        let security = security(&options);
        if let (None, ConnectionSecurity::ClearText) = (&options.tls, security) {
            return Err(clear_text(&names(&hosts)));
        }
        let allows_clear_text = options.tls.is_some();
        let client = Client::with_options(options).map_err(|error| refused(&error, deadline))?;
        Ok(Opened {
            client,
            database,
            hosts,
            security,
            allows_clear_text,
            deadline,
        })
    }
}

/// How connections by these options are secured.
fn security(options: &ClientOptions) -> ConnectionSecurity {
    match &options.tls {
        Some(Tls::Enabled(tls)) if tls.allow_invalid_certificates == Some(true) => {
            ConnectionSecurity::Unverified
        }
        Some(Tls::Enabled(_)) => ConnectionSecurity::Verified,
        _ if options.hosts.iter().all(is_local) => ConnectionSecurity::Local,
        _ => ConnectionSecurity::ClearText,
    }
}

/// Whether the connection stays on this machine.
fn is_local(host: &ServerAddress) -> bool {
    match host {
        ServerAddress::Tcp { host, .. } => ConnectionSecurity::is_this_machine(host),
        // Others are sockets of this machine.
        _ => true,
    }
}

fn names(hosts: &[ServerAddress]) -> String {
    let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn clear_text(hosts: &str) -> Error {
    Error::configuration(
        SETTING,
        format!(
            "what is sent to {hosts} would be clear text; add tls=true, or tls=false if the \
             network on the way is trusted"
        ),
    )
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
    hosts: Vec<ServerAddress>,
    pub(crate) security: ConnectionSecurity,
    /// Whether the address says that TLS is wanted or not.
    allows_clear_text: bool,
    /// How long connecting may take.
    pub(crate) deadline: Duration,
}

impl Opened {
    /// The reason why no server answered. A name that does not exist is a wrong setting; other
    /// causes may be temporary.
    pub(crate) async fn unreachable(&self, why: &str) -> Error {
        let names = names(&self.hosts);
        if self.none_resolves().await {
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

    /// Waits until every server has refused a connection, and says why; for ever if one takes it.
    ///
    /// The driver itself tries again for as long as it may: a server may be about to start.
    pub(crate) async fn refusal(&self) -> String {
        let refusals = self.hosts.iter().map(async |host| match host {
            ServerAddress::Tcp { host, port } => {
                let to = (host.as_str(), port.unwrap_or(27017));
                tokio::net::TcpStream::connect(to).await.err()
            }
            _ => None,
        });
        let refusals: Option<Vec<_>> = join_all(refusals).await.into_iter().collect();
        match refusals.as_deref() {
            Some([first, ..]) => first.to_string(),
            _ => std::future::pending().await,
        }
    }

    /// Refuses the members of a replica set to which clear text would go unasked. They may be
    /// elsewhere although the address names this machine.
    pub(crate) fn check_members(&self, members: &[String]) -> Result<()> {
        if self.allows_clear_text {
            return Ok(());
        }
        let elsewhere = members.iter().filter(|member| {
            let host = member
                .rsplit_once(':')
                .map_or(member.as_str(), |(host, _)| host);
            !ConnectionSecurity::is_this_machine(host)
        });
        let elsewhere: Vec<&str> = elsewhere.map(String::as_str).collect();
        if elsewhere.is_empty() {
            return Ok(());
        }
        Err(clear_text(&elsewhere.join(", ")))
    }

    async fn none_resolves(&self) -> bool {
        let deadline = self.deadline;
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
    async fn clear_text_to_another_machine_must_be_asked_for() {
        use ConnectionSecurity::{ClearText, Local, Unverified, Verified};
        for (url, expected) in [
            ("mongodb://127.0.0.1,localhost:2,[::1]:3/app", Local),
            ("mongodb://10.0.0.1/app?tls=false", ClearText),
            ("mongodb://10.0.0.1/app?ssl=false", ClearText),
            ("mongodb://10.0.0.1/app?tls=true", Verified),
            ("mongodb://127.0.0.1/app?ssl=true", Verified),
            (
                "mongodb://10.0.0.1/app?tlsInsecure=true&tls=true",
                Unverified,
            ),
            (
                "mongodb://10.0.0.1/app?tls=true&tlsAllowInvalidCertificates=true",
                Unverified,
            ),
        ] {
            let opened = MongoConfig::new(url).open().await.unwrap();
            assert_eq!(opened.security, expected, "{url}");
        }
        for url in [
            "mongodb://ada:hunter2@10.0.0.1/app",
            "mongodb://ada:hunter2@127.0.0.1,10.0.0.1/app",
            "mongodb://ada:hunter2@0.0.0.0/app",
        ] {
            let Err(error) = MongoConfig::new(url).open().await else {
                panic!("{url} was taken")
            };
            let shown = error.to_string();
            assert!(
                shown.contains("clear text") && shown.contains("tls=false"),
                "{shown}"
            );
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[tokio::test]
    async fn clear_text_to_members_elsewhere_must_be_asked_for_too() {
        let opened = async |url: &str| MongoConfig::new(url).open().await.unwrap();
        let members = ["127.0.0.1:1".to_owned(), "db2.example.org:27017".to_owned()];
        let local = opened("mongodb://127.0.0.1/app?replicaSet=rs0").await;
        let error = local.check_members(&members).unwrap_err().to_string();
        assert!(error.contains("db2.example.org:27017 would"), "{error}");
        local.check_members(&members[..1]).unwrap();
        local.check_members(&["[::1]:27017".to_owned()]).unwrap();
        for query in ["tls=false", "tls=true"] {
            let said = opened(&format!("mongodb://127.0.0.1/app?{query}")).await;
            said.check_members(&members).unwrap();
        }
    }

    #[tokio::test]
    async fn the_database_is_the_paths() {
        for (config, expected) in [
            (MongoConfig::new("mongodb://localhost/app"), "app"),
            (MongoConfig::new("mongodb://localhost/"), "authorstack"),
            (MongoConfig::new("mongodb://localhost"), "authorstack"),
            (
                MongoConfig::new("mongodb://localhost/?replicaSet=rs0"),
                "authorstack",
            ),
            (
                MongoConfig::new("mongodb://localhost/app").database("other"),
                "other",
            ),
        ] {
            assert_eq!(config.open().await.unwrap().database, expected);
        }
    }
}
