//! The settings of a connection, and the methods that build them.

use std::{fmt, path::PathBuf};

use authorstack_core::{Error, Result};
use secrecy::SecretString;

use crate::{
    address::{Address, PoolMode, Server, Timeouts},
    pool::{self, Pool},
};

/// How to connect to a server.
#[derive(Clone)]
pub struct Settings {
    server: &'static Server,
    url: SecretString,
    /// How the host is connected to the database.
    pub pool_mode: PoolMode,
    /// The certificate of the authority that signs the server's.
    pub root_certificate: Option<PathBuf>,
    /// The deadlines.
    pub timeouts: Timeouts,
    /// The maximum number of connections that the repositories share.
    pub max_connections: u32,
}

impl Settings {
    /// Settings for the database at a URL. The other settings have their defaults.
    #[must_use]
    pub fn new(server: &'static Server, url: String) -> Self {
        Self {
            server,
            url: url.into(),
            pool_mode: PoolMode::Auto,
            root_certificate: None,
            timeouts: Timeouts::default(),
            max_connections: 10,
        }
    }

    /// Connects once, and returns a pool with these settings, which connects when it is first used.
    ///
    /// # Errors
    /// Configuration, naming the setting, if something in it is wrong; the error does not contain
    /// the URL. Unavailable if the server does not answer by the deadline for connecting.
    pub async fn connect(&self) -> Result<Pool> {
        let root = self.root_certificate.as_deref();
        let address = Address::read(&self.url, self.pool_mode, root, self.server)?;
        let address = match pool::look_at(&address, self.timeouts.connect).await? {
            false => address,
            // In the wrong mode, calls would run each other's statements.
            true if self.pool_mode == PoolMode::Session => {
                return Err(Error::configuration(
                    self.server.setting,
                    format!(
                        "the pooler at {} is in transaction mode; set the pool mode to \
                         PoolMode::Transaction, or to PoolMode::Auto, which finds it out",
                        address.place()
                    ),
                ));
            }
            true => address.in_transaction_mode(),
        };
        Ok(Pool::new(address, self.timeouts, self.max_connections))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &"***")
            .field("pool_mode", &self.pool_mode)
            .field("root_certificate", &self.root_certificate)
            .field("timeouts", &self.timeouts)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

/// Builder methods for a type that keeps its [`Settings`] in a field `settings`.
#[doc(hidden)]
#[macro_export]
macro_rules! __settings_methods {
    ($config:ty) => {
        impl $config {
            /// How the host is connected to the database; by default, connecting finds it out.
            #[must_use]
            pub fn pool_mode(mut self, mode: $crate::PoolMode) -> Self {
                self.settings.pool_mode = mode;
                self
            }

            /// The file with the certificate of the authority that signs the server's, in PEM
            /// form, as `sslrootcert` in the URL. Public authorities are known without it.
            #[must_use]
            pub fn root_certificate(mut self, file: impl Into<::std::path::PathBuf>) -> Self {
                self.settings.root_certificate = Some(file.into());
                self
            }

            /// How long one call of a repository may take; the default is 30 seconds.
            #[must_use]
            pub fn operation_timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.settings.timeouts.operation = timeout;
                self
            }

            /// How long connecting may take, and how long a call waits for a connection; the default
            /// is 10 seconds.
            #[must_use]
            pub fn connect_timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.settings.timeouts.connect = timeout;
                self
            }

            /// How many connections the repositories share at most; the default is 10. A migration
            /// opens a few of its own.
            #[must_use]
            pub fn max_connections(mut self, connections: u32) -> Self {
                self.settings.max_connections = connections.max(1);
                self
            }
        }
    };
}
