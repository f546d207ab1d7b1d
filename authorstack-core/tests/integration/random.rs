//! The random operations find stores that are nearly right.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, Boost, BoostRepository, DocumentStore, Documents, Done, Follow, FollowCounts,
    FollowRepository, Id, Listed, MemoryStore, NewBoost, Page, PageRequest, Result, User,
    testing::random,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Ending a follow does nothing.
    FollowsStay,
    /// A boost is on the leaderboard a millisecond longer than it holds its position.
    BoostsLinger,
    /// One boost too many is on a short leaderboard.
    OneTooMany,
}

/// The in-memory store with a fault.
#[derive(Debug, Clone)]
struct Faulty {
    store: MemoryStore,
    fault: Option<Fault>,
}

impl DocumentStore for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn documents(&self) -> Documents {
        Documents {
            follows: Arc::new(self.clone()),
            boosts: Arc::new(self.clone()),
            ..self.store.documents()
        }
    }
}

#[async_trait]
impl FollowRepository for Faulty {
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        self.store
            .documents()
            .follows
            .follow(follower_id, author_id)
            .await
    }
    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()> {
        if self.fault == Some(Fault::FollowsStay) {
            return Ok(());
        }
        self.store
            .documents()
            .follows
            .unfollow(follower_id, author_id)
            .await
    }
    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool> {
        let follows = self.store.documents().follows;
        follows.is_following(follower_id, author_id).await
    }
    async fn followers(&self, author_id: Id<User>, page: PageRequest) -> Result<Page<Follow>> {
        self.store
            .documents()
            .follows
            .followers(author_id, page)
            .await
    }
    async fn following(&self, follower_id: Id<User>, page: PageRequest) -> Result<Page<Follow>> {
        self.store
            .documents()
            .follows
            .following(follower_id, page)
            .await
    }
    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts> {
        self.store.documents().follows.counts(user_id).await
    }
}

#[async_trait]
impl BoostRepository for Faulty {
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost> {
        self.store.documents().boosts.purchase(user_id, boost).await
    }
    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost> {
        self.store.documents().boosts.get(user_id, id).await
    }
    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Boost>> {
        self.store.documents().boosts.list(user_id, page).await
    }
    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Listed<Boost>> {
        let boosts = self.store.documents().boosts;
        match self.fault {
            Some(Fault::BoostsLinger) => {
                boosts
                    .leaderboard(at - TimeDelta::milliseconds(1), limit)
                    .await
            }
            Some(Fault::OneTooMany) => boosts.leaderboard(at, limit + 1).await,
            _ => boosts.leaderboard(at, limit).await,
        }
    }
    async fn expire_due(&self, at: DateTime<Utc>) -> Result<Done> {
        self.store.documents().boosts.expire_due(at).await
    }
}

/// Whether the operations of a seed find a fault.
async fn finds(fault: Option<Fault>, seed: u64) -> bool {
    let store = Faulty {
        store: MemoryStore::new(),
        fault,
    };
    let store = AuthorStack::builder().documents(&store).build();
    let run = AssertUnwindSafe(random::agrees(&store, seed, 2_000));
    run.catch_unwind().await.is_err()
}

#[tokio::test]
async fn a_sound_store_passes() {
    for seed in 0..5 {
        assert!(!finds(None, seed).await, "{seed}");
    }
}

#[tokio::test]
async fn each_fault_is_found() {
    for fault in [Fault::FollowsStay, Fault::BoostsLinger, Fault::OneTooMany] {
        for seed in 0..3 {
            assert!(finds(Some(fault), seed).await, "{fault:?} {seed}");
        }
    }
}
