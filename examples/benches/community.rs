//! The feed and the leaderboard through the repositories, against the raw drivers doing the same
//! work, and page 100 against page 1.

mod common;

use anyhow::{Context, Result, ensure};
use authorstack_core::{AuthorStack, Feed, Id, Page, PageRequest, Post, PostView, User};
use authorstack_examples::{dataset, scratch::Scratch};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use bson::{DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};
use chrono::Utc;
use clap::Parser;
use common::{
    Comparison, Pair,
    moving::{fresh_name, run},
    setting,
};
use futures::TryStreamExt;
use mongodb::Database;
use sqlx::{
    PgPool, Row,
    postgres::{PgPoolOptions, PgRow},
};
use uuid::Uuid;

const SEED: u64 = 11;
const PAGE: u32 = 20;
const DEEP: usize = 100;
const BOARD: i64 = 100;

#[derive(Debug, Parser)]
struct Options {
    /// Posts
    #[arg(long, default_value_t = 100_000)]
    posts: usize,
    /// Their authors
    #[arg(long, default_value_t = 1_000)]
    authors: usize,
    /// Authors whom the viewer follows
    #[arg(long, default_value_t = 200)]
    followed: usize,
    /// Boosts, of which a hundred hold a position
    #[arg(long, default_value_t = 10_000)]
    boosts: i64,
    /// Users who like one post
    #[arg(long, default_value_t = 50_000)]
    likes: usize,
    /// Pairs of rounds, after one that does not count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls in a round
    #[arg(long, default_value_t = 200)]
    calls: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// What `cargo bench` passes on
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (mongodb, supabase) = (
        setting("AUTHORSTACK_TEST_MONGODB_URL")?,
        setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?,
    );
    let scratch = Scratch::create(&fresh_name(), &mongodb, &supabase).await?;
    let outcome = async {
        let (viewer, liked) = fill(&scratch, &options).await?;
        let store = MongoStore::connect(MongoConfig::new(scratch.mongodb_url().to_owned())).await?;
        store.ensure_indexes().await?;
        run(&scratch, &scratch, &[])?;
        let raw = RawMongo(scratch.mongodb().await?);
        measure(
            "mongodb",
            &AuthorStack::builder().documents(&store).build(),
            &raw,
            (viewer, liked),
            &options,
        )
        .await?;
        let store = SupabaseStore::connect(SupabaseConfig::new(scratch.supabase_db_url())).await?;
        let pool = PgPoolOptions::new().test_before_acquire(false);
        let raw = RawPostgres(pool.connect(&scratch.supabase_db_url()).await?);
        sqlx::raw_sql("vacuum analyze").execute(&raw.0).await?;
        measure(
            "supabase",
            &AuthorStack::supabase(&store),
            &raw,
            (viewer, liked),
            &options,
        )
        .await?;
        raw.0.close().await;
        Ok(())
    }
    .await;
    scratch.remove().await?;
    outcome
}

/// Fills MongoDB; answers the viewer and the post that many like.
async fn fill(scratch: &Scratch, options: &Options) -> Result<(Id<User>, Id<Post>)> {
    let database = scratch.mongodb().await?;
    let all = options.likes.max(options.authors);
    let (users, documents) = dataset::sound_users(SEED, all);
    dataset::insert(&database, "users", &documents).await?;
    let (viewer, authors) = (users[0], &users[..options.authors]);
    let mut from = 1_000_000;
    let mut left = options.posts;
    while left > 0 {
        let portion = left.min(20_000);
        let posts = dataset::sound_posts(from, authors, portion, 5);
        dataset::insert(&database, "community_posts", &posts).await?;
        (from, left) = (from + u32::try_from(portion)?, left - portion);
    }
    let liked = dataset::sound_posts(from, &users, 1, options.likes);
    dataset::insert(&database, "community_posts", &liked).await?;
    let liked = liked[0].get_object_id("_id").context("the post's id")?;
    let posts = database.collection::<Document>("community_posts");
    let public = doc! {"$set": {"visibility": "public"}};
    posts.update_one(doc! {"_id": liked}, public).await?;

    let raw = |document: Document| RawDocumentBuf::try_from(&document);
    let now = DateTime::now();
    let follows: Result<Vec<_>, _> = authors
        .iter()
        .skip(1)
        .take(options.followed)
        .map(|author| {
            raw(doc! {
                "_id": ObjectId::new(), "followerId": viewer, "authorId": author, "createdAt": now,
            })
        })
        .collect();
    dataset::insert(&database, "follows", &follows?).await?;
    let books = dataset::sound_books(9_000_000, &users[..1], 1);
    dataset::insert(&database, "books", &books).await?;
    let book = books[0].get_object_id("_id").context("the book's id")?;
    let day = |n: i64| DateTime::from_millis(now.timestamp_millis() + n * 86_400_000);
    let boosts: Result<Vec<_>, _> = (0..options.boosts)
        .map(|n| {
            // A hundred hold a position now, and a hundred in each ten days before.
            let ago = n / BOARD * 10;
            raw(doc! {
                "_id": ObjectId::new(), "bookId": book, "userId": viewer, "duration": 10,
                "position": n % BOARD + 1, "credits_spent": 10_i64, "active": ago < 200,
                "startedAt": day(-ago - 5), "expiresAt": day(5 - ago),
            })
        })
        .collect();
    dataset::insert(&database, "marketplace_boosts", &boosts?).await?;
    Ok((Id::from_object_id(viewer), Id::from_object_id(liked)))
}

/// The same work by a driver alone; each call answers the ids that it found, in their order.
trait Raw {
    async fn following(&self, viewer: Id<User>) -> Result<Vec<Id<Post>>>;
    async fn everyone(&self, viewer: Id<User>) -> Result<Vec<Id<Post>>>;
    async fn board(&self) -> Result<usize>;
    async fn post(&self, viewer: Id<User>, id: Id<Post>) -> Result<i64>;
}

fn ids(page: &Page<PostView>) -> Vec<Id<Post>> {
    page.items.iter().map(|view| view.post.id).collect()
}

async fn measure(
    name: &str,
    store: &AuthorStack,
    raw: &impl Raw,
    (viewer, liked): (Id<User>, Id<Post>),
    options: &Options,
) -> Result<()> {
    let (community, boosts) = (store.community(), store.boosts());
    let page = || PageRequest::first(PAGE);
    let first = |feed| community.feed(viewer, feed, page());
    // Both must find the same, before anything is timed.
    let mut ours = ids(&first(Feed::Following).await?);
    let theirs = raw.following(viewer).await?;
    ours.extend(theirs.last().filter(|_| theirs.len() > ours.len()));
    ensure!(ours == theirs, "the feeds differ");
    let mut ours = ids(&first(Feed::Everyone).await?);
    let theirs = raw.everyone(viewer).await?;
    ours.extend(theirs.last().filter(|_| theirs.len() > ours.len()));
    ensure!(ours == theirs, "the feeds of everyone differ");
    ensure!(boosts.leaderboard(Utc::now(), 200).await?.len() == raw.board().await?);

    let mut deep = Vec::new();
    for feed in [Feed::Following, Feed::Everyone] {
        let mut request = page();
        for _ in 1..DEEP {
            let next = community.feed(viewer, feed, request.clone()).await?.next;
            request = request.after(next.context("fewer than a hundred pages")?);
        }
        deep.push(request);
    }

    let mut found: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for round in 0..=options.rounds {
        let mut pairs: [Pair; 6] = Default::default();
        for call in 0..options.calls {
            let feed = async |feed, request: PageRequest| {
                let page = community.feed(viewer, feed, request).await?;
                ensure!(page.items.len() == PAGE as usize, "a short page");
                Ok(())
            };
            let following = || feed(Feed::Following, page());
            let everyone = || feed(Feed::Everyone, page());
            let theirs = async { raw.following(viewer).await.map(drop) };
            pairs[0].time(call, following(), theirs).await?;
            let theirs = async { raw.everyone(viewer).await.map(drop) };
            pairs[1].time(call, everyone(), theirs).await?;
            let behind = feed(Feed::Following, deep[0].clone());
            pairs[2].time(call, behind, following()).await?;
            let behind = feed(Feed::Everyone, deep[1].clone());
            pairs[3].time(call, behind, everyone()).await?;
            let ours = async {
                let board = boosts.leaderboard(Utc::now(), 200).await?;
                ensure!(
                    board.len() == usize::try_from(BOARD)?,
                    "a short leaderboard"
                );
                Ok(())
            };
            let theirs = async { raw.board().await.map(drop) };
            pairs[4].time(call, ours, theirs).await?;
            let ours = async {
                let view = community.get(viewer, liked).await?;
                ensure!(view.like_count == options.likes as u64, "a wrong count");
                Ok(())
            };
            let theirs = async { raw.post(viewer, liked).await.map(drop) };
            pairs[5].time(call, ours, theirs).await?;
        }
        let names = [
            "feed",
            "feed of everyone",
            "feed page 100",
            "everyone page 100",
            "leaderboard",
            "post with many likes",
        ];
        for (name, pair) in names.into_iter().zip(&pairs).filter(|_| round > 0) {
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, pairs)) => pairs.push(pair.medians()),
                None => found.push((name, vec![pair.medians()])),
            }
        }
    }
    for (what, pairs) in found {
        let deep = what.ends_with("page 100");
        Comparison {
            bench: format!("{name} {what}"),
            peer_name: if deep {
                "page 1, p50"
            } else {
                "the raw driver, p50"
            },
            goal: Some(if deep { 1.2 } else { 1.05 }),
            unit: "ms",
            pairs,
            peak_mb: None,
        }
        .print(options.json);
    }
    Ok(())
}

struct RawMongo(Database);

impl RawMongo {
    async fn circle(&self, viewer: Id<User>) -> Result<Vec<ObjectId>> {
        let follows = self.0.collection::<Document>("follows");
        let found = follows
            .find(doc! {"followerId": viewer.to_object_id()})
            .projection(doc! {"_id": 0, "authorId": 1})
            .await?;
        let found: Vec<Document> = found.try_collect().await?;
        let mut circle = vec![viewer.to_object_id()];
        for follow in found {
            circle.push(follow.get_object_id("authorId")?);
        }
        Ok(circle)
    }

    async fn views(&self, viewer: Id<User>, matches: Document) -> Result<Vec<Document>> {
        let posts = self.0.collection::<Document>("community_posts");
        let pipeline = [
            doc! {"$match": matches},
            doc! {"$sort": {"_id": -1}},
            doc! {"$limit": i64::from(PAGE) + 1},
            doc! {"$set": {
                "likeCount": {"$size": "$likes"},
                "commentCount": {"$size": "$comments"},
                "liked": {"$in": [viewer.to_object_id(), "$likes"]},
            }},
            doc! {"$unset": ["likes", "comments"]},
        ];
        Ok(posts.aggregate(pipeline).await?.try_collect().await?)
    }
}

fn ids_of(documents: &[Document]) -> Result<Vec<Id<Post>>> {
    let id = |document: &Document| document.get_object_id("_id").map(Id::from_object_id);
    Ok(documents.iter().map(id).collect::<Result<_, _>>()?)
}

impl Raw for RawMongo {
    async fn following(&self, viewer: Id<User>) -> Result<Vec<Id<Post>>> {
        let circle = self.circle(viewer).await?;
        let found = self
            .views(viewer, doc! {"authorId": {"$in": circle}})
            .await?;
        ids_of(&found)
    }

    async fn everyone(&self, viewer: Id<User>) -> Result<Vec<Id<Post>>> {
        let circle = self.circle(viewer).await?;
        let visible = doc! {"$or": [{"visibility": "public"}, {"authorId": {"$in": circle}}]};
        ids_of(&self.views(viewer, visible).await?)
    }

    async fn board(&self) -> Result<usize> {
        let boosts = self.0.collection::<Document>("marketplace_boosts");
        let now = DateTime::now();
        let held = doc! {
            "active": true, "startedAt": {"$lte": now}, "expiresAt": {"$gt": now},
        };
        let found = boosts
            .find(held)
            .sort(doc! {"position": 1})
            .limit(200)
            .await?;
        let found: Vec<Document> = found.try_collect().await?;
        Ok(found.len())
    }

    async fn post(&self, viewer: Id<User>, id: Id<Post>) -> Result<i64> {
        let found = self.views(viewer, doc! {"_id": id.to_object_id()}).await?;
        let found = found.first().context("no such post")?;
        Ok(found.get_i32("likeCount")?.into())
    }
}

struct RawPostgres(PgPool);

const VIEW: &str = "id, author_id, content, attachments, visibility, created_at, updated_at, \
    extra, like_count, comment_count, exists (select from public.post_likes as own \
    where own.post_id = post.id and own.user_id = $1)";
const VISIBLE: &str = "(post.visibility = 'public' or post.author_id = $1 or exists (\
    select from public.follows as follow \
    where follow.follower_id = $1 and follow.author_id = post.author_id))";

/// Reads every column, as a program without repositories would.
fn read(row: &PgRow) -> Result<Id<Post>> {
    std::hint::black_box((
        row.try_get::<Uuid, _>(1)?,
        row.try_get::<String, _>(2)?,
        row.try_get::<serde_json::Value, _>(3)?,
        row.try_get::<String, _>(4)?,
        row.try_get::<chrono::DateTime<Utc>, _>(5)?,
        row.try_get::<chrono::DateTime<Utc>, _>(6)?,
        row.try_get::<serde_json::Value, _>(7)?,
        row.try_get::<i64, _>(8)?,
        row.try_get::<i64, _>(9)?,
        row.try_get::<bool, _>(10)?,
    ));
    Ok(Id::from_uuid(row.try_get(0)?)?)
}

impl RawPostgres {
    async fn views(&self, viewer: Id<User>, sql: String) -> Result<Vec<Id<Post>>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(viewer.to_uuid())
            .bind(i64::from(PAGE) + 1)
            .fetch_all(&self.0)
            .await?;
        rows.iter().map(read).collect()
    }
}

impl Raw for RawPostgres {
    async fn following(&self, viewer: Id<User>) -> Result<Vec<Id<Post>>> {
        let sql = format!(
            "select {VIEW} from (select found.* from (select author_id from public.follows \
             where follower_id = $1 union select $1) as circle cross join lateral (\
             select * from public.community_posts as own where own.author_id = circle.author_id \
             order by own.id desc limit $2) as found order by found.id desc limit $2) as post \
             order by id desc"
        );
        self.views(viewer, sql).await
    }

    async fn everyone(&self, viewer: Id<User>) -> Result<Vec<Id<Post>>> {
        let sql = format!(
            "select {VIEW} from public.community_posts as post where {VISIBLE} \
             order by id desc limit $2"
        );
        self.views(viewer, sql).await
    }

    async fn board(&self) -> Result<usize> {
        let sql = "select id, book_id, user_id, duration, position, credits_spent, active, \
            started_at, expires_at, extra from public.marketplace_boosts \
            where active and started_at <= $1 and expires_at > $1 order by position limit 200";
        let rows = sqlx::query(sql).bind(Utc::now()).fetch_all(&self.0).await?;
        for row in &rows {
            std::hint::black_box((
                row.try_get::<Uuid, _>(0)?,
                row.try_get::<Uuid, _>(1)?,
                row.try_get::<Uuid, _>(2)?,
                row.try_get::<i64, _>(4)?,
                row.try_get::<chrono::DateTime<Utc>, _>(7)?,
                row.try_get::<chrono::DateTime<Utc>, _>(8)?,
                row.try_get::<serde_json::Value, _>(9)?,
            ));
        }
        Ok(rows.len())
    }

    async fn post(&self, viewer: Id<User>, id: Id<Post>) -> Result<i64> {
        let sql = format!(
            "select {VIEW} from public.community_posts as post where id = $2 and {VISIBLE}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(viewer.to_uuid())
            .bind(id.to_uuid())
            .fetch_one(&self.0)
            .await?;
        read(&row)?;
        Ok(row.try_get(8)?)
    }
}
