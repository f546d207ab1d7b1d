//! The settings of a connection, and the methods that build them.

use std::fmt;

use authorstack_core::Result;
use secrecy::SecretString;

use crate::{
    address::{Address, PoolMode, Server, Timeouts},
    pool::Pool,
};

/// How to connect to a server.
#[derive(Clone)]
pub struct Settings {
    server: &'static Server,
    url: SecretString,
    /// How the host is connected to the database.
    pub pool_mode: PoolMode,
    /// The deadlines.
    pub timeouts: Timeouts,
    /// The maximum number of connections that the repositories share.
    pub max_connections: u32,
}

impl Settings {
    /// Settings for the database at a URL. The other settings have their defaults.
    #[must_use]
    pub fn new(server: &'static Server, url: String, pool_mode: PoolMode) -> Self {
        Self {
            server,
            url: url.into(),
            pool_mode,
            timeouts: Timeouts::default(),
            max_connections: 10,
        }
    }

    /// A pool with these settings, which connects when it is first used.
    ///
    /// # Errors
    /// Configuration, naming the setting. The error does not contain the URL.
    pub fn pool(&self) -> Result<Pool> {
        let address = Address::read(&self.url, self.pool_mode, self.server)?;
        Ok(Pool::new(address, self.timeouts, self.max_connections))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &"***")
            .field("pool_mode", &self.pool_mode)
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
            /// How the host is connected to the database.
            #[must_use]
            pub fn pool_mode(mut self, mode: $crate::PoolMode) -> Self {
                self.settings.pool_mode = mode;
                self
            }

            /// How long one call of a repository may take; the default is 30 seconds.
            #[must_use]
            pub fn operation_timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.settings.timeouts.operation = timeout;
                self
            }

            /// How long to wait for a connection; the default is 10 seconds.
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
