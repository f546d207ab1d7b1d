//! Who follows whom.

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Follow, FollowCounts, FollowRepository, Id, Page, PageRequest, Result, User,
};
use bson::{Document, doc};
use mongodb::options::ReturnDocument;

use crate::{
    document::{self, follow_document},
    error::within,
    store::{MongoStore, decode, not_bson},
};

#[derive(Debug)]
pub(crate) struct MongoFollows(pub(crate) MongoStore);

fn pair(follower_id: Id<User>, author_id: Id<User>) -> Document {
    doc! {"followerId": follower_id.to_object_id(), "authorId": author_id.to_object_id()}
}

impl MongoFollows {
    async fn follow_once(&self, follow: &Follow) -> Result<Follow> {
        let store = &self.0;
        let new: Document = follow_document(follow)?.try_into().map_err(not_bson)?;
        let upsert = store
            .follows
            .find_one_and_update(
                pair(follow.follower_id, follow.author_id),
                doc! {"$setOnInsert": new},
            )
            .upsert(true)
            .return_document(ReturnDocument::After);
        match within(store.deadline, upsert).await? {
            Some(document) => decode(&document, document::follow),
            None => Err(Error::internal("an upsert answered nothing")),
        }
    }

    async fn start(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        let follow = Follow::new(follower_id, author_id)?;
        self.0.known_user(follower_id).await?;
        self.0.known_user(author_id).await?;
        match self.follow_once(&follow).await {
            // Another upsert came first: now there is something to find.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                self.follow_once(&follow).await
            }
            other => other,
        }
    }

    async fn page(&self, filter: Document, request: &PageRequest) -> Result<Page<Follow>> {
        let store = &self.0;
        let read = document::follow;
        let page = store.page(&store.follows, filter, request, read, |follow| follow.id);
        page.await
    }

    async fn count(&self, filter: Document) -> Result<u64> {
        let store = &self.0;
        within(store.deadline, store.follows.count_documents(filter)).await
    }
}

#[async_trait]
impl FollowRepository for MongoFollows {
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        self.start(follower_id, author_id)
            .await
            .map_err(|error| error.in_operation("follows.follow"))
    }

    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()> {
        let store = &self.0;
        let delete = store.follows.delete_many(pair(follower_id, author_id));
        within(store.deadline, delete)
            .await
            .map(drop)
            .map_err(|error| error.in_operation("follows.unfollow"))
    }

    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool> {
        let store = &self.0;
        let found = store.exists(&store.follows, pair(follower_id, author_id));
        found
            .await
            .map_err(|error| error.in_operation("follows.is_following"))
    }

    async fn followers(&self, author_id: Id<User>, request: PageRequest) -> Result<Page<Follow>> {
        let filter = doc! {"authorId": author_id.to_object_id()};
        self.page(filter, &request)
            .await
            .map_err(|error| error.in_operation("follows.followers"))
    }

    async fn following(&self, follower_id: Id<User>, request: PageRequest) -> Result<Page<Follow>> {
        let filter = doc! {"followerId": follower_id.to_object_id()};
        self.page(filter, &request)
            .await
            .map_err(|error| error.in_operation("follows.following"))
    }

    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts> {
        let user = user_id.to_object_id();
        let counts = async {
            Ok(FollowCounts {
                followers: self.count(doc! {"authorId": user}).await?,
                following: self.count(doc! {"followerId": user}).await?,
            })
        };
        counts
            .await
            .map_err(|error: Error| error.in_operation("follows.counts"))
    }
}
