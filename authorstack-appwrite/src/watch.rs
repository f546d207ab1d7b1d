//! Following the settings of an account: told by Realtime, and by asking.

use std::time::Duration;

use authorstack_core::{AccountPreferences, AuthId, ErrorKind, Result};
use futures::{StreamExt, stream, stream::BoxStream};
use tokio::time::timeout;

use crate::{error, realtime::Feed, settings, store::AppwriteAccounts};

pub(crate) struct Watch {
    accounts: AppwriteAccounts,
    account_id: AuthId,
    seen: Option<AccountPreferences>,
    /// What tells of changes. It is dropped, and with it the connection, when the account is gone or
    /// blocked: the server itself would go on.
    feed: Option<Feed>,
    has_ended: bool,
}

impl Watch {
    pub(crate) fn start(
        accounts: AppwriteAccounts,
        account_id: AuthId,
    ) -> BoxStream<'static, Result<AccountPreferences>> {
        let watch = Self {
            accounts,
            account_id,
            seen: None,
            feed: None,
            has_ended: false,
        };
        stream::unfold(watch, Self::next).boxed()
    }

    async fn next(mut self) -> Option<(Result<AccountPreferences>, Self)> {
        if self.has_ended {
            return None;
        }
        if self.seen.is_some() {
            self.wait().await;
        }
        loop {
            match self.look().await {
                Ok(now) if self.seen.as_ref() != Some(&now) => {
                    self.seen = Some(now.clone());
                    return Some((Ok(now), self));
                }
                Ok(_) => {}
                // What is down now, or cannot be read, may be so no more later.
                Err(error)
                    if error.is_retryable()
                        || matches!(error.kind(), ErrorKind::Corrupt { .. }) =>
                {
                    tracing::debug!(%error, "settings could not be read; they are asked for again");
                }
                Err(error) => {
                    self.has_ended = true;
                    self.feed = None;
                    return Some((Err(error), self));
                }
            }
            self.wait().await;
        }
    }

    /// Waits until there may be something new.
    async fn wait(&mut self) {
        let config = self.accounts.config();
        if !config.uses_realtime {
            tokio::time::sleep(config.poll_interval).await;
            return;
        }
        let (accounts, id) = (&self.accounts, &self.account_id);
        let feed = self.feed.get_or_insert_with(|| Feed::start(accounts, id));
        let pause: Duration = if feed.is_connected() {
            config.check_interval
        } else {
            config.poll_interval
        };
        // An early look costs a request, and nothing else.
        let _ = timeout(pause, feed.changed()).await;
    }

    async fn look(&self) -> Result<AccountPreferences> {
        let is_blocked = settings::check_account(&self.accounts, &self.account_id).await?;
        if is_blocked {
            return Err(error::blocked());
        }
        match self.accounts.rows().of(&self.account_id).await? {
            Some(row) => settings::read(&row, &self.account_id),
            None => Ok(AccountPreferences::empty(self.account_id.clone())),
        }
    }
}
