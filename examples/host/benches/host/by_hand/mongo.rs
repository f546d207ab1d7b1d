//! MongoDB for the documents, PostgreSQL for the analytics.

use std::collections::HashMap;

use anyhow::{Context, Result};
use authorstack_core::{Days, Id, User, services::DashboardSummary};
use bson::{DateTime, Document, doc, oid::ObjectId};
use futures::TryStreamExt;
use mongodb::{Collection, Database};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;

use super::{Book, Books, Feed, Person, Post, Raw, Shown, next};

#[derive(Clone)]
pub(crate) struct Distributed {
    database: Database,
    pool: PgPool,
}

#[derive(Deserialize)]
struct Account {
    #[serde(rename = "_id")]
    id: ObjectId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredBook {
    #[serde(rename = "_id")]
    id: ObjectId,
    user_id: ObjectId,
    title: String,
    subtitle: Option<String>,
    author: Option<String>,
    description: Option<String>,
    isbn: Option<String>,
    asin: Option<String>,
    cover_url: Option<String>,
    #[serde(default)]
    genres: Vec<String>,
    #[serde(default)]
    platforms: Vec<String>,
    published_date: Option<DateTime>,
    status: String,
    #[serde(default)]
    metadata: Value,
    created_at: DateTime,
    updated_at: DateTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredPost {
    #[serde(rename = "_id")]
    id: ObjectId,
    author_id: ObjectId,
    content: String,
    #[serde(default)]
    attachments: Value,
    visibility: String,
    created_at: DateTime,
    updated_at: DateTime,
    like_count: i64,
    comment_count: i64,
    liked: bool,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: ObjectId,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Followed {
    author_id: ObjectId,
}

impl Distributed {
    pub(crate) fn new(database: Database, pool: PgPool) -> Self {
        Self { database, pool }
    }

    fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.database.collection(name)
    }

    async fn names(&self, posts: &[StoredPost]) -> Result<HashMap<ObjectId, String>> {
        let mut ids: Vec<ObjectId> = posts.iter().map(|post| post.author_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let users = self.collection::<Named>("users");
        let found = users.find(doc! {"_id": {"$in": ids}});
        let found = found.projection(doc! {"name": 1}).await?;
        let found: Vec<Named> = found.try_collect().await?;
        Ok(found.into_iter().map(|user| (user.id, user.name)).collect())
    }
}

impl Raw for Distributed {
    type User = ObjectId;

    async fn user(&self, account: &str) -> Result<ObjectId> {
        let users = self.collection::<Account>("users");
        let found = users.find_one(doc! {"authId": account}).await?;
        Ok(found.context("no such user")?.id)
    }

    async fn books(&self, user: ObjectId, limit: i64) -> Result<Books> {
        let books = self.collection::<StoredBook>("books");
        let filter = doc! {"userId": user};
        let list = async {
            let found = books.find(filter.clone()).sort(doc! {"_id": -1});
            let found = found.limit(limit + 1).await?;
            found.try_collect::<Vec<StoredBook>>().await
        };
        let count = books.count_documents(filter.clone());
        let (found, total) = futures::try_join!(list, async { count.await })?;
        let mut items: Vec<Book> = found.into_iter().map(Book::from).collect();
        Ok(Books {
            next: next(&mut items, limit, |book| &book.id),
            items,
            total,
        })
    }

    async fn feed(&self, user: ObjectId, limit: i64) -> Result<Feed> {
        let follows = self.collection::<Followed>("follows");
        let found = follows.find(doc! {"followerId": user});
        let found = found.projection(doc! {"_id": 0, "authorId": 1}).await?;
        let found: Vec<Followed> = found.try_collect().await?;
        let mut circle: Vec<ObjectId> = found.into_iter().map(|follow| follow.author_id).collect();
        circle.push(user);
        let pipeline = [
            doc! {"$match": {"authorId": {"$in": circle}}},
            doc! {"$sort": {"_id": -1}},
            doc! {"$limit": limit + 1},
            doc! {"$set": {
                "likeCount": {"$size": "$likes"},
                "commentCount": {"$size": "$comments"},
                "liked": {"$in": [user, "$likes"]},
            }},
            doc! {"$unset": ["likes", "comments"]},
        ];
        let posts = self.collection::<Document>("community_posts");
        let found = posts.aggregate(pipeline).with_type::<StoredPost>().await?;
        let found: Vec<StoredPost> = found.try_collect().await?;
        let names = self.names(&found).await?;
        let shown = found.into_iter().map(|post| {
            let name = names.get(&post.author_id).cloned().unwrap_or_default();
            Shown::of(post, name)
        });
        let mut items: Vec<Shown> = shown.collect();
        Ok(Feed {
            next: next(&mut items, limit, |shown| &shown.post.id),
            items,
        })
    }

    async fn dashboard(&self, user: ObjectId, days: Days) -> Result<DashboardSummary> {
        let user = Id::<User>::from_object_id(user);
        crate::common::dashboard::of(&self.pool, user.to_uuid(), days).await
    }
}

impl From<StoredBook> for Book {
    fn from(book: StoredBook) -> Self {
        Self {
            id: book.id.to_hex(),
            user_id: book.user_id.to_hex(),
            title: book.title,
            subtitle: book.subtitle,
            author: book.author,
            description: book.description,
            isbn: book.isbn,
            asin: book.asin,
            cover_url: book.cover_url,
            genres: book.genres,
            platforms: book.platforms,
            published_date: book.published_date.map(DateTime::to_chrono),
            status: book.status,
            metadata: book.metadata,
            created_at: book.created_at.to_chrono(),
            updated_at: book.updated_at.to_chrono(),
        }
    }
}

impl Shown {
    fn of(post: StoredPost, name: String) -> Self {
        let author = post.author_id.to_hex();
        Self {
            post: Post {
                id: post.id.to_hex(),
                author_id: author.clone(),
                content: post.content,
                attachments: post.attachments,
                visibility: post.visibility,
                created_at: post.created_at.to_chrono(),
                updated_at: post.updated_at.to_chrono(),
            },
            author: Person { id: author, name },
            like_count: post.like_count,
            comment_count: post.comment_count,
            liked: post.liked,
        }
    }
}
