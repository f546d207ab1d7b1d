use async_trait::async_trait;

use super::{
    pages::page,
    store::{MemoryStore, Records},
};
use crate::{Follow, FollowCounts, FollowRepository, Id, Page, PageRequest, Result, User};

#[derive(Debug)]
pub(super) struct MemoryFollows(pub(super) MemoryStore);

impl Records {
    pub(super) fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Option<&Follow> {
        self.follows
            .values()
            .find(|follow| follow.follower_id == follower_id && follow.author_id == author_id)
    }
}

#[async_trait]
impl FollowRepository for MemoryFollows {
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        let follow = Follow::new(follower_id, author_id);
        let mut records = self.0.lock();
        records.known_user(follower_id)?;
        records.known_user(author_id)?;
        if let Some(present) = records.follow(follower_id, author_id) {
            return Ok(present.clone());
        }
        records.follows.insert(follow.id, follow.clone());
        Ok(follow)
    }

    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()> {
        self.0
            .lock()
            .follows
            .retain(|_, follow| follow.follower_id != follower_id || follow.author_id != author_id);
        Ok(())
    }

    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool> {
        Ok(self.0.lock().follow(follower_id, author_id).is_some())
    }

    async fn followers(&self, author_id: Id<User>, request: PageRequest) -> Result<Page<Follow>> {
        let records = self.0.lock();
        let matches = |follow: &Follow| follow.author_id == author_id;
        page(&records.follows, &request, |follow| follow.id, matches)
    }

    async fn following(&self, follower_id: Id<User>, request: PageRequest) -> Result<Page<Follow>> {
        let records = self.0.lock();
        let matches = |follow: &Follow| follow.follower_id == follower_id;
        page(&records.follows, &request, |follow| follow.id, matches)
    }

    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts> {
        let records = self.0.lock();
        let mut counts = FollowCounts::default();
        for follow in records.follows.values() {
            counts.followers += u64::from(follow.author_id == user_id);
            counts.following += u64::from(follow.follower_id == user_id);
        }
        Ok(counts)
    }
}
