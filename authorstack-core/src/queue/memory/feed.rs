//! The feed of a queue in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::shared::Shared;
use crate::{
    Result,
    queue::{
        feed::{Exchanged, FeedOptions, Held, JobFeed, Recovered, Settlement, Wake},
        job_id::JobId,
    },
    time,
};

#[derive(Debug)]
pub(super) struct MemoryFeed {
    shared: Arc<Shared>,
    options: FeedOptions,
    id: Uuid,
    tokens: AtomicU64,
}

impl MemoryFeed {
    pub(super) fn new(shared: Arc<Shared>, options: FeedOptions) -> Self {
        Self {
            shared,
            options,
            id: Uuid::new_v4(),
            tokens: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl JobFeed for MemoryFeed {
    async fn exchange(&self, settled: &[Settlement], room: usize) -> Result<Exchanged> {
        let token = || {
            format!(
                "{}:{}",
                self.id,
                self.tokens.fetch_add(1, Ordering::Relaxed)
            )
        };
        let mut state = self.shared.look();
        let exchanged = state.exchange(settled, room, &self.options, token);
        let has_more = state.has_work();
        drop(state);
        if has_more || !settled.is_empty() || !exchanged.taken.is_empty() {
            self.shared.wake();
        }
        Ok(exchanged)
    }

    async fn extend(&self, held: &[Held]) -> Result<Vec<JobId>> {
        Ok(self.shared.look().extend(held, self.options.lock))
    }

    async fn recover(&self, every: Duration) -> Result<Recovered> {
        let found = self.shared.look().recover(every, self.options.max_stalled);
        if !found.stalled.is_empty() {
            self.shared.wake();
        }
        Ok(found)
    }

    async fn reclaim(&self, held: &[Held]) -> Result<u64> {
        let feed = self.id.to_string();
        Ok(self.shared.change(|state| state.reclaim(held, &feed)))
    }

    fn wait(&self, longest: Duration) -> BoxFuture<'static, Result<Wake>> {
        let shared = Arc::clone(&self.shared);
        let mut changes = shared.changes();
        Box::pin(async move {
            let woken = async {
                loop {
                    changes.borrow_and_update();
                    let due = {
                        let state = shared.look();
                        if state.has_work() {
                            return Wake::Now;
                        }
                        let due = state.delayed.keys().next().map(|(due, _)| *due);
                        due.filter(|_| !state.paused)
                    };
                    let until = due.map(|due| (due - time::now()).to_std().unwrap_or_default());
                    let alarm = tokio::time::sleep(until.unwrap_or(longest));
                    tokio::select! {
                        gone = changes.changed() => {
                            if gone.is_err() {
                                return Wake::Nothing;
                            }
                        }
                        () = alarm, if due.is_some() => return Wake::Now,
                    }
                }
            };
            Ok(tokio::time::timeout(longest, woken)
                .await
                .unwrap_or(Wake::Nothing))
        })
    }

    async fn rearm(&self) -> Result<()> {
        self.shared.wake();
        Ok(())
    }
}
