//! The address of Redis, and how long to wait for it.

use std::{fs, path::PathBuf, time::Duration};

use authorstack_core::{ConnectionSecurity, Error, Result, shown};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates,
    io::tcp::TcpSettings,
};
use rustls::crypto::{CryptoProvider, ring};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::SETTING;

/// The address of a Redis server, and the limits of every call.
///
/// The address is `rediss://user:password@host:port/database`, or `redis://…` without TLS. A server
/// on another machine is reached through TLS and must show a certificate for its name. Clear text to
/// another machine needs `?tls=false` in the address. `unix:///path` is a socket of this machine.
///
/// ```
/// use std::time::Duration;
/// use authorstack_redis::RedisConfig;
///
/// let config = RedisConfig::new("rediss://default:secret@eu1-fine-cat-1.upstash.io:6379")
///     .operation_timeout(Duration::from_secs(2));
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Debug, Clone)]
pub struct RedisConfig {
    url: SecretString,
    connect_timeout: Duration,
    operation_timeout: Duration,
    root_certificate: Option<PathBuf>,
    key_prefix: String,
}

impl RedisConfig {
    /// The server at this address.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(5),
            root_certificate: None,
            key_prefix: String::new(),
        }
    }

    /// How long connecting may take; 10 seconds by default.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call may take, the wait for a new connection included; 5 seconds by default. The
    /// cache has a shorter deadline of its own.
    #[must_use]
    pub const fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// The file with the certificate of the authority that signs the server's, in PEM form. It takes
    /// the place of the public authorities, and needs a `rediss://` address.
    #[must_use]
    pub fn root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.root_certificate = Some(file.into());
        self
    }

    /// A text in front of every key; none by default. It is for tests that share a server: other
    /// apps find the keys only without it.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    pub(crate) const fn connect_deadline(&self) -> Duration {
        self.connect_timeout
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.operation_timeout
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.key_prefix
    }

    /// A client for the address, not connected yet.
    pub(crate) fn open(&self) -> Result<Opened> {
        let (info, allows_clear_text) = self.address()?;
        let (security, place) = match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(refused(
                    "the ending #insecure would accept any certificate; remove it, and name a \
                     private authority as the root certificate",
                ));
            }
            ConnectionAddr::TcpTls { host, port, .. } => {
                (ConnectionSecurity::Verified, format!("{host}:{port}"))
            }
            ConnectionAddr::Tcp(host, port) if ConnectionSecurity::is_this_machine(host) => {
                (ConnectionSecurity::Local, format!("{host}:{port}"))
            }
            ConnectionAddr::Tcp(host, port) => {
                (ConnectionSecurity::ClearText, format!("{host}:{port}"))
            }
            ConnectionAddr::Unix(path) => (ConnectionSecurity::Local, path.display().to_string()),
            _ => return Err(refused("this form of address is not supported")),
        };
        if security == ConnectionSecurity::ClearText && !allows_clear_text {
            return Err(refused(format!(
                "what is sent to {place} would be clear text; use rediss://, or add ?tls=false if \
                 the network on the way is trusted",
                place = shown(&place),
            )));
        }
        let client = self.client(info, security)?;
        Ok(Opened {
            client,
            security,
            place,
        })
    }

    /// What the address says, and whether it allows clear text.
    fn address(&self) -> Result<(ConnectionInfo, bool)> {
        let mut url = Url::parse(self.url.expose_secret().trim()).map_err(|problem| {
            refused(format!(
                "the address cannot be read ({problem}); it has the form \
                 rediss://user:password@host:port"
            ))
        })?;
        if url.scheme().starts_with("http") {
            return Err(refused(
                "this is the address of Upstash's HTTP interface; use the one that begins with \
                 rediss://",
            ));
        }
        let mut allows_clear_text = false;
        let mut others = Vec::new();
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("tls", "false") => allows_clear_text = true,
                ("tls", "true") if url.scheme() == "rediss" => {}
                ("tls", "true") => return Err(refused("tls=true needs rediss://")),
                ("tls", _) => return Err(refused("tls is true or false")),
                _ => others.push((name.into_owned(), value.into_owned())),
            }
        }
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        let info = url.into_connection_info().map_err(|problem| {
            refused(format!(
                "the address cannot be used ({}); it has the form rediss://user:password@host:port",
                problem.detail().unwrap_or_else(|| problem.category()),
            ))
        })?;
        let tcp = settings(info.tcp_settings().clone());
        Ok((info.set_tcp_settings(tcp), allows_clear_text))
    }

    fn client(&self, info: ConnectionInfo, security: ConnectionSecurity) -> Result<Client> {
        let broken = |problem: redis::RedisError| refused(problem.to_string());
        if security != ConnectionSecurity::Verified {
            if self.root_certificate.is_some() {
                return Err(refused(
                    "a root certificate is named, but the address does not begin with rediss://; \
                     correct the address, or name no certificate",
                ));
            }
            return Client::open(info).map_err(broken);
        }
        // The driver uses the process's provider, and would panic where a host brings two.
        if CryptoProvider::get_default().is_none() {
            // Another thread may install one at the same time; that one is as good.
            drop(ring::default_provider().install_default());
        }
        let Some(file) = &self.root_certificate else {
            return Client::open(info).map_err(broken);
        };
        let unreadable = |problem: String| {
            refused(format!(
                "the root certificate {} cannot be used: {problem}",
                shown(&file.display().to_string())
            ))
        };
        let certificate = fs::read(file).map_err(|problem| unreadable(problem.to_string()))?;
        let has_one = certificate
            .windows(CERTIFICATE.len())
            .any(|window| window == CERTIFICATE);
        if !has_one {
            return Err(unreadable("it holds no certificate in PEM form".to_owned()));
        }
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(certificate),
        };
        Client::build_with_tls(info, certificates)
            .map_err(|problem| unreadable(problem.to_string()))
    }
}

/// Small commands go at once; a connection whose other end is silent for long is given up.
fn settings(tcp: TcpSettings) -> TcpSettings {
    let tcp = tcp.set_nodelay(true);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let tcp = tcp.set_user_timeout(Duration::from_secs(20));
    tcp
}

/// How a certificate begins in PEM form.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn refused(problem: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::configuration(SETTING, problem)
}

/// A client, and the details about it that messages may contain.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) security: ConnectionSecurity,
    /// The host and the port, without user and password.
    pub(crate) place: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use super::*;

    fn security(url: &str) -> Result<ConnectionSecurity> {
        RedisConfig::new(url).open().map(|opened| opened.security)
    }

    #[test]
    fn off_this_machine_tls_is_demanded() {
        for (url, expected) in [
            ("redis://127.0.0.1", ConnectionSecurity::Local),
            ("redis://localhost:7000/2", ConnectionSecurity::Local),
            ("redis://[::1]:7000", ConnectionSecurity::Local),
            ("unix:///run/redis.sock", ConnectionSecurity::Local),
            ("redis://10.0.0.7?tls=false", ConnectionSecurity::ClearText),
            (
                "rediss://u:p@db.example.org:6379",
                ConnectionSecurity::Verified,
            ),
            (
                "rediss://db.example.org?tls=true",
                ConnectionSecurity::Verified,
            ),
        ] {
            assert_eq!(security(url).unwrap(), expected, "{url}");
        }
        let error = security("redis://u:p4ssw0rd@10.0.0.7")
            .err()
            .unwrap()
            .to_string();
        assert_eq!(
            error,
            "setting redis_url: what is sent to 10.0.0.7:6379 would be clear text; use rediss://, \
             or add ?tls=false if the network on the way is trusted"
        );
    }

    #[test]
    fn an_address_that_cannot_be_used_names_the_setting_and_no_secret() {
        for (url, part) in [
            ("", "cannot be read"),
            ("u:p4ssw0rd@host", "cannot be"),
            ("rediss://u:p4ssw0rd@host:99999", "cannot be read"),
            ("https://u:p4ssw0rd@eu1.upstash.io", "rediss://"),
            ("mongodb://u:p4ssw0rd@host", "cannot be used"),
            ("redis://u:p4ssw0rd@localhost/books", "cannot be used"),
            ("rediss://u:p4ssw0rd@host#insecure", "#insecure"),
            ("redis://u:p4ssw0rd@host?tls=true", "needs rediss://"),
            ("redis://u:p4ssw0rd@host?tls=maybe", "true or false"),
        ] {
            let error = security(url).err().unwrap();
            let text = format!("{error} {error:?}");
            assert!(
                error.to_string().starts_with("setting redis_url: "),
                "{error}"
            );
            assert!(text.contains(part), "{url}: {text}");
            assert!(!text.contains("p4ssw0rd"), "{text}");
        }
    }

    #[test]
    fn a_root_certificate_must_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let open = |url: &str| {
            RedisConfig::new(url)
                .root_certificate(&file)
                .open()
                .err()
                .unwrap()
        };
        assert!(open("rediss://host").to_string().contains("cannot be used"));
        fs::write(&file, "no certificate").unwrap();
        assert!(open("rediss://host").to_string().contains("PEM"));
        assert!(open("redis://localhost").to_string().contains("rediss://"));
    }
}
