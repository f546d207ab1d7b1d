use std::{sync::Arc, time::Duration};

use authorstack_core::{AuthId, Error, Result};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::connection::{Connection, Login};
use crate::{api::Api, fields::Fields, store::AppwriteAccounts};

/// The pause before a connection is opened anew: it grows up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How long the JWT of a login is good. The server looks at it once.
const LIFETIME_SECONDS: u32 = 60;

/// Tells that something of an account may have changed. It keeps a connection open until it is
/// dropped, and opens it anew when it breaks.
pub(crate) struct Feed {
    news: watch::Receiver<News>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct News {
    is_connected: bool,
    count: u64,
}

impl Drop for Feed {
    fn drop(&mut self) {
        // The connection closes with its task.
        self.task.abort();
    }
}

impl Feed {
    pub(crate) fn start(accounts: &AppwriteAccounts, account: &AuthId) -> Self {
        let (sender, news) = watch::channel(News::default());
        let keeper = Keeper {
            api: accounts.shared_api(),
            channels: vec![accounts.rows().channel(), "account".to_owned()],
            account: account.clone(),
            heartbeat: accounts.config().heartbeat,
            news: sender,
        };
        Self {
            news,
            task: tokio::spawn(keeper.run()),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.news.borrow().is_connected
    }

    /// Waits for news: a change, or a connection that opened or broke. Both may hide a change.
    pub(crate) async fn changed(&mut self) {
        if self.news.changed().await.is_err() {
            // The task has ended, which only a bug can do. Asking goes on.
            std::future::pending::<()>().await;
        }
    }
}

/// What keeps the connection.
struct Keeper {
    api: Arc<Api>,
    channels: Vec<String>,
    account: AuthId,
    heartbeat: Duration,
    news: watch::Sender<News>,
}

impl Keeper {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened_at = Instant::now();
            let error = match self.open().await {
                Ok(connection) => {
                    let error = self.follow(connection).await;
                    if opened_at.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                    error
                }
                Err(error) => error,
            };
            self.tell(false);
            tracing::debug!(%error, ?pause, "Realtime is not connected; settings are asked for");
            // Not all at once, when a server comes back.
            sleep(pause / 2 + pause.mul_f64(rand::random::<f64>() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens a connection as the account itself: it sees the rows that its owner may read.
    async fn open(&self) -> Result<Connection> {
        let path = ["users", self.account.as_str(), "jwts"];
        let body = json!({ "duration": LIFETIME_SECONDS });
        let made: Value = self.api.post(&path, &body).await?;
        let jwt = Fields(&made).needed("jwt")?;
        let settings = self.api.client().settings();
        let login = Login {
            project: self.api.project(),
            channels: &self.channels,
            jwt,
            account: &self.account,
            heartbeat: self.heartbeat,
        };
        Connection::open(settings, &login).await
    }

    /// Passes news on until the connection breaks.
    async fn follow(&self, mut connection: Connection) -> Error {
        // What changed before the connection was open is asked for.
        self.tell(true);
        loop {
            match connection.changed().await {
                Ok(()) => self.tell(true),
                Err(error) => return error,
            }
        }
    }

    fn tell(&self, is_connected: bool) {
        self.news.send_modify(|news| {
            news.is_connected = is_connected;
            news.count = news.count.wrapping_add(1);
        });
    }
}
