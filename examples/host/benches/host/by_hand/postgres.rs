//! Supabase: everything in one PostgreSQL.

use std::collections::HashMap;

use anyhow::Result;
use authorstack_core::{Days, services::DashboardSummary};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Book, Books, Feed, Person, Post, Raw, Shown, hex, next};

#[derive(Clone)]
pub(crate) struct Supabase {
    pool: PgPool,
}

#[derive(FromRow)]
struct BookRow {
    id: Uuid,
    user_id: Uuid,
    title: String,
    subtitle: Option<String>,
    author: Option<String>,
    description: Option<String>,
    isbn: Option<String>,
    asin: Option<String>,
    cover_url: Option<String>,
    genres: Vec<String>,
    platforms: Vec<String>,
    published_date: Option<DateTime<Utc>>,
    status: String,
    metadata: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct PostRow {
    id: Uuid,
    author_id: Uuid,
    content: String,
    attachments: Value,
    visibility: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    like_count: i64,
    comment_count: i64,
    liked: bool,
}

impl Supabase {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn names(&self, posts: &[PostRow]) -> Result<HashMap<Uuid, String>> {
        let mut ids: Vec<Uuid> = posts.iter().map(|post| post.author_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let users = sqlx::query_as("select id, name from public.users where id = any($1)");
        let users: Vec<(Uuid, String)> = users.bind(ids).fetch_all(&self.pool).await?;
        Ok(users.into_iter().collect())
    }
}

impl Raw for Supabase {
    type User = Uuid;

    async fn user(&self, account: &str) -> Result<Uuid> {
        let user = sqlx::query_scalar("select id from public.users where auth_id = $1");
        Ok(user.bind(account).fetch_one(&self.pool).await?)
    }

    async fn books(&self, user: Uuid, limit: i64) -> Result<Books> {
        let list = sqlx::query_as::<_, BookRow>(
            "select id, user_id, title, subtitle, author, description, isbn, asin, cover_url, \
             genres, platforms, published_date, status, metadata, created_at, updated_at \
             from public.books where user_id = $1 order by id desc limit $2",
        );
        let list = list.bind(user).bind(limit + 1).fetch_all(&self.pool);
        let count =
            sqlx::query_scalar::<_, i64>("select count(*) from public.books where user_id = $1");
        let count = count.bind(user).fetch_one(&self.pool);
        let (rows, total) = futures::try_join!(list, count)?;
        let items: Result<Vec<Book>> = rows.into_iter().map(Book::of).collect();
        let mut items = items?;
        Ok(Books {
            next: next(&mut items, limit, |book| &book.id),
            items,
            total: total.unsigned_abs(),
        })
    }

    async fn feed(&self, user: Uuid, limit: i64) -> Result<Feed> {
        let posts = sqlx::query_as::<_, PostRow>(
            "select id, author_id, content, attachments, visibility, created_at, updated_at, \
               like_count, comment_count, exists (select from public.post_likes as own \
                 where own.post_id = post.id and own.user_id = $1) as liked \
             from (select found.* from (select author_id from public.follows \
               where follower_id = $1 union select $1) as circle cross join lateral (\
               select * from public.community_posts as own where own.author_id = circle.author_id \
               order by own.id desc limit $2) as found order by found.id desc limit $2) as post \
             order by id desc",
        );
        let posts = posts.bind(user).bind(limit + 1);
        let posts = posts.fetch_all(&self.pool).await?;
        let names = self.names(&posts).await?;
        let shown = posts.into_iter().map(|post| {
            let name = names.get(&post.author_id).cloned().unwrap_or_default();
            Shown::of_row(post, name)
        });
        let mut items = shown.collect::<Result<Vec<Shown>>>()?;
        Ok(Feed {
            next: next(&mut items, limit, |shown| &shown.post.id),
            items,
        })
    }

    async fn dashboard(&self, user: Uuid, days: Days) -> Result<DashboardSummary> {
        crate::common::dashboard::of(&self.pool, user, days).await
    }
}

impl Book {
    fn of(row: BookRow) -> Result<Self> {
        Ok(Self {
            id: hex::<authorstack_core::Book>(row.id)?,
            user_id: hex::<authorstack_core::User>(row.user_id)?,
            title: row.title,
            subtitle: row.subtitle,
            author: row.author,
            description: row.description,
            isbn: row.isbn,
            asin: row.asin,
            cover_url: row.cover_url,
            genres: row.genres,
            platforms: row.platforms,
            published_date: row.published_date,
            status: row.status,
            metadata: row.metadata,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Shown {
    fn of_row(row: PostRow, name: String) -> Result<Self> {
        let author = hex::<authorstack_core::User>(row.author_id)?;
        Ok(Self {
            post: Post {
                id: hex::<authorstack_core::Post>(row.id)?,
                author_id: author.clone(),
                content: row.content,
                attachments: row.attachments,
                visibility: row.visibility,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
            author: Person { id: author, name },
            like_count: row.like_count,
            comment_count: row.comment_count,
            liked: row.liked,
        })
    }
}
