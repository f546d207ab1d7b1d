//! Who follows whom.

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Follow, FollowCounts, FollowRepository, Id, Page, PageRequest, Result, User,
};
use bson::{Document, doc};
use mongodb::options::ReturnDocument;

use crate::{
    document::{decode, encode, to_document},
    error::driver,
    pipeline::refers_to,
    store::{MongoStore, read_document},
};

#[derive(Debug)]
pub(crate) struct MongoFollows(pub(crate) MongoStore);

fn pair(follower_id: Id<User>, author_id: Id<User>) -> Document {
    doc! {"followerId": refers_to(follower_id), "authorId": refers_to(author_id)}
}

impl MongoFollows {
    /// Adds the follow, or finds the existing one.
    async fn upsert(&self, follow: &Follow) -> Result<Follow> {
        let store = &self.0;
        let new = to_document(encode(follow)?)?;
        let upsert = store
            .follows
            .find_one_and_update(
                pair(follow.follower_id, follow.author_id),
                doc! {"$setOnInsert": new},
            )
            .upsert(true)
            .return_document(ReturnDocument::After);
        match driver(store.deadline, upsert).await? {
            Some(document) => read_document(&document, decode::<Follow>),
            None => Err(Error::internal("an upsert returned nothing")),
        }
    }

    async fn page(&self, filter: Document, request: &PageRequest) -> Result<Page<Follow>> {
        let store = &self.0;
        store.page(&store.follows, filter, request).await
    }

    async fn count(&self, filter: Document) -> Result<u64> {
        let store = &self.0;
        driver(store.deadline, store.follows.count_documents(filter)).await
    }
}

#[async_trait]
impl FollowRepository for MongoFollows {
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        self.0.needs_unique_indexes().await?;
        self.0.known_user(follower_id).await?;
        self.0.known_user(author_id).await?;
        let follow = Follow::new(follower_id, author_id);
        match self.upsert(&follow).await {
            // Another upsert came first: now the follow exists.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                self.upsert(&follow).await
            }
            other => other,
        }
    }

    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()> {
        let store = &self.0;
        let delete = store.follows.delete_many(pair(follower_id, author_id));
        driver(store.deadline, delete).await.map(drop)
    }

    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool> {
        let store = &self.0;
        let pair = pair(follower_id, author_id);
        store.exists(&store.follows, pair).await
    }

    async fn followers(&self, author_id: Id<User>, request: PageRequest) -> Result<Page<Follow>> {
        let filter = doc! {"authorId": refers_to(author_id)};
        self.page(filter, &request).await
    }

    async fn following(&self, follower_id: Id<User>, request: PageRequest) -> Result<Page<Follow>> {
        let filter = doc! {"followerId": refers_to(follower_id)};
        self.page(filter, &request).await
    }

    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts> {
        Ok(FollowCounts {
            followers: self.count(doc! {"authorId": refers_to(user_id)}).await?,
            following: self.count(doc! {"followerId": refers_to(user_id)}).await?,
        })
    }
}
