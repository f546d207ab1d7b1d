//! The connection, and the calls that everything on Redis shares.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use authorstack_core::{
    ConnectionSecurity, Error, ErrorKind, Result, health::HealthCheck, layers::Operation,
    resilience::with_deadline,
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cmd,
};

use crate::{
    config::{Opened, RedisConfig},
    error::{About, SETTING, map},
    server,
};

/// A Redis server. Clones share one connection, which is made again when it breaks.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    client: Client,
    prefix: Arc<str>,
    deadline: Duration,
    connect_deadline: Duration,
    security: ConnectionSecurity,
}

impl fmt::Debug for RedisStore {
    /// Shows no address: it contains the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects, and looks at the server.
    ///
    /// ```no_run
    /// # async fn example() -> authorstack_core::Result<()> {
    /// use authorstack_redis::{RedisConfig, RedisStore};
    ///
    /// let redis = RedisStore::connect(RedisConfig::new("redis://localhost:6379")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Configuration, naming `redis_url`, if the address is malformed, its host is unknown, the
    /// server refuses the password or the certificate, or is a replica, a part of a cluster or older
    /// than 6.2; Unavailable or Timeout if no server answers.
    pub async fn connect(config: RedisConfig) -> Result<Self> {
        Self::open(&config)
            .await
            .map_err(|error| error.in_operation(Operation::Connect))
    }

    async fn open(config: &RedisConfig) -> Result<Self> {
        let opened = config.open()?;
        let deadline = config.connect_deadline();
        let settings = ConnectionManagerConfig::new()
            // A call waits for a new connection within its own deadline.
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(200))
            .set_connection_timeout(Some(deadline))
            .set_response_timeout(Some(config.deadline()));
        let about = About { key: "", deadline };
        let connected = with_deadline(deadline, async {
            let connection = opened
                .client
                .get_connection_manager_with_config(settings)
                .await
                .map_err(|error| map(&error, about))?;
            look_at(&connection, about).await?;
            Ok(connection)
        });
        let connection = connected
            .await
            .map_err(|error| unreachable(error, &opened))?;
        Ok(Self {
            connection,
            client: opened.client,
            prefix: config.prefix().into(),
            deadline: config.deadline(),
            connect_deadline: deadline,
            security: opened.security,
        })
    }

    /// How the connections are secured.
    #[must_use]
    pub const fn security(&self) -> ConnectionSecurity {
        self.security
    }

    /// The driver's shared connection, for tasks that AuthorStack does not cover. It must not be
    /// used for commands that block: the calls of all others would wait behind them.
    #[must_use]
    pub fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    /// A connection of its own for commands that block. It has no response timeout: whoever reads
    /// from it has a watchdog. It does not reconnect.
    pub(crate) async fn dedicated(&self) -> Result<MultiplexedConnection> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_deadline))
            .set_response_timeout(None);
        let about = About {
            key: "",
            deadline: self.connect_deadline,
        };
        with_deadline(self.connect_deadline, async {
            let connect = self
                .client
                .get_multiplexed_async_connection_with_config(&settings);
            connect.await.map_err(|error| map(&error, about))
        })
        .await
    }

    /// The error of a command on such a connection.
    pub(crate) fn error(&self, error: &RedisError, key: &str) -> Error {
        let about = About {
            key,
            deadline: self.deadline(),
        };
        map(error, about)
    }

    /// The key with the configured prefix.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// How long a call may take.
    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Runs a command. `key` is for errors.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd, key: &str) -> Result<T> {
        let mut connection = self.connection.clone();
        self.within(key, command.query_async(&mut connection)).await
    }

    /// Runs commands in one round trip. `key` is for errors.
    pub(crate) async fn run_all<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        key: &str,
    ) -> Result<T> {
        let mut connection = self.connection.clone();
        self.within(key, commands.query_async(&mut connection))
            .await
    }

    /// Runs a script, by its digest; a server that does not know it is given its text. `key` is for
    /// errors.
    pub(crate) async fn run_script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        key: &str,
    ) -> Result<T> {
        let mut connection = self.connection.clone();
        self.within(key, script.invoke_async(&mut connection)).await
    }

    /// Waits for an answer within the deadline.
    async fn within<T>(
        &self,
        key: &str,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T> {
        let about = About {
            key,
            deadline: self.deadline(),
        };
        with_deadline(about.deadline, async {
            answer.await.map_err(|error| map(&error, about))
        })
        .await
    }
}

#[async_trait]
impl HealthCheck for RedisStore {
    async fn check_health(&self) -> Result<()> {
        let pong: Result<String> = self.run(&cmd("PING"), "").await;
        pong.map(drop)
    }
}

/// Asks the server what it is.
async fn look_at(connection: &ConnectionManager, about: About<'_>) -> Result<()> {
    let mut connection = connection.clone();
    let asked: Result<String, RedisError> = cmd("INFO").query_async(&mut connection).await;
    match asked.map_err(|error| map(&error, about)) {
        Ok(info) => server::check(&info),
        // A user who may not ask can work with the keys all the same.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied { .. } | ErrorKind::Unsupported { .. }
            ) =>
        {
            let ping = cmd("PING").exec_async(&mut connection).await;
            ping.map_err(|error| map(&error, about))
        }
        Err(error) => Err(error),
    }
}

/// Adds the place to an error of connecting.
fn unreachable(error: Error, opened: &Opened) -> Error {
    let why = match error.kind() {
        ErrorKind::Unavailable { .. } | ErrorKind::Timeout { .. } => error.to_string(),
        // What is no Redis at all.
        ErrorKind::Internal { what } => {
            return Error::configuration(
                SETTING,
                format!(
                    "the server at {} gave an unexpected answer: {what}",
                    opened.place
                ),
            );
        }
        _ => return error,
    };
    let reason = format!(
        "no Redis server answered at {}, from {SETTING}: {why}; start the server, correct the \
         address{}, or let this machine's address through its firewall",
        opened.place,
        // A server that wants TLS ends a connection without it.
        if opened.security == ConnectionSecurity::Verified {
            // A server without TLS waits for the rest of a command.
            " (the port may not speak TLS)"
        } else {
            " (rediss:// if it wants TLS)"
        },
    );
    match error.kind() {
        ErrorKind::Timeout { .. } => Error::unavailable(reason),
        _ => Error::unavailable(reason).with_source(error),
    }
}
