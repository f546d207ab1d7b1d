//! Single calls through the repositories, against the raw driver doing the same work.

mod common;

use anyhow::{Context, Result};
use authorstack_core::{
    AuthorStack, Book, BookFilter, DocumentStore, Id, MemoryStore, NewBook, NewUser, PageRequest,
    User,
    layers::{Fenced, Limited, Switched, Traced},
};
use authorstack_examples::scratch::Scratch;
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use bson::{Document, doc};
use chrono::{DateTime, Utc};
use clap::Parser;
use common::{Comparison, Pair, setting};
use futures::TryStreamExt;
use mongodb::Collection;
use sqlx::{
    PgPool, Row,
    postgres::{PgPoolOptions, PgRow},
};
use uuid::Uuid;

#[derive(Debug, Parser)]
struct Options {
    /// Pairs of rounds, after one that does not count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls in a round
    #[arg(long, default_value_t = 1_000)]
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
    bench(&Options::parse()).await
}

async fn bench(options: &Options) -> Result<()> {
    measure_layers(options).await?;
    let name = format!("as_bench_{:08x}", rand::random::<u32>());
    let (mongodb, supabase) = (
        setting("AUTHORSTACK_TEST_MONGODB_URL")?,
        setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?,
    );
    let scratch = Scratch::create(&name, &mongodb, &supabase).await?;
    let outcome = async {
        let store = MongoStore::connect(MongoConfig::new(scratch.mongodb_url().to_owned())).await?;
        store.ensure_indexes().await?;
        let raw = RawMongo::of(&scratch).await?;
        measure(
            "mongodb",
            &AuthorStack::builder().documents(&store).build(),
            &raw,
            options,
        )
        .await?;

        let store = SupabaseStore::connect(SupabaseConfig::new(scratch.supabase_db_url())).await?;
        store.migrate().await?;
        // As in our store: no round trip before each call to see whether the connection lives.
        let pool = PgPoolOptions::new().test_before_acquire(false);
        let raw = RawPostgres {
            pool: pool.connect(&scratch.supabase_db_url()).await?,
        };
        measure("supabase", &AuthorStack::supabase(&store), &raw, options).await?;
        raw.pool.close().await;
        Ok(())
    }
    .await;
    scratch.remove().await?;
    outcome
}

/// What layers cost: calls on the in-memory store, which itself costs next to nothing.
async fn measure_layers(options: &Options) -> Result<()> {
    let store = MemoryStore::new();
    let bare = store.documents().books;
    let layered = AuthorStack::builder()
        .store(&store)
        .layer(Traced)
        .layer(Limited::new(64))
        .layer(Fenced::new())
        .layer(Switched::new())
        .build();
    let named = store.stack();
    let author = NewUser::new("bench".parse()?, "bench@example.org".parse()?, "Bench");
    let author = named.users().create(author).await?.id;
    let id = named.books().create(author, new_book(0)).await?.id;
    let peers = [
        ("without layers of a host", named.books()),
        ("with four layers", layered.books()),
    ];
    for (name, ours) in peers {
        let mut pairs = Vec::new();
        for round in 0..=options.rounds {
            let mut get = Pair::default();
            for call in 0..options.calls {
                // One call is too short to be timed: a hundred are.
                let ours = async {
                    for _ in 0..100 {
                        std::hint::black_box(ours.get(author, id).await?);
                    }
                    Ok(())
                };
                let theirs = async {
                    for _ in 0..100 {
                        std::hint::black_box(bare.get(author, id).await?);
                    }
                    Ok(())
                };
                get.time(call, ours, theirs).await?;
            }
            if round > 0 {
                // Milliseconds of a hundred calls are tens of microseconds of one.
                let (ours, theirs) = get.medians();
                pairs.push((ours * 10.0, theirs * 10.0));
            }
        }
        Comparison {
            bench: format!("calls memory get, {name}"),
            peer_name: "the repository itself, p50",
            goal: None,
            unit: "µs",
            pairs,
            peak_mb: None,
        }
        .print(options.json);
    }
    Ok(())
}

/// The calls that are compared, by the driver alone.
trait Raw {
    async fn get(&self, user: Id<User>, book: Id<Book>) -> Result<()>;
    async fn insert(&self, user: Id<User>, book: &Book) -> Result<()>;
    async fn list(&self, user: Id<User>) -> Result<usize>;
}

fn new_book(n: usize) -> NewBook {
    let mut book = NewBook::new(format!("Book {n}"));
    book.subtitle = Some("A tale of salt and paper".to_owned());
    book.description = Some("harbour winter glass orchard signal quiet ember ".repeat(5));
    book.asin = format!("B{n:09}").parse().ok();
    book.genres = vec!["Mystery".to_owned(), "Sea".to_owned()];
    book.platforms = vec![authorstack_core::Platform::KDP];
    book.metadata.page_count = Some(312);
    book
}

async fn measure(name: &str, store: &AuthorStack, raw: &impl Raw, options: &Options) -> Result<()> {
    let author = NewUser::new("bench".parse()?, "bench@example.org".parse()?, "Bench");
    let reader = NewUser::new("reader".parse()?, "reader@example.org".parse()?, "Reader");
    let (author, reader) = (
        store.users().create(author).await?.id,
        store.users().create(reader).await?.id,
    );
    let books = store.books();
    let mut ids = Vec::new();
    for n in 0..200 {
        ids.push(books.create(reader, new_book(n)).await?.id);
    }

    let (mut gets, mut inserts, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let (mut get, mut insert, mut list) = (Pair::default(), Pair::default(), Pair::default());
        for call in 0..options.calls {
            let id = ids[call * 7 % ids.len()];
            let ours = async { books.get(reader, id).await.map(drop).context("get") };
            get.time(call, ours, raw.get(reader, id)).await?;

            let book = new_book(call);
            let twin = new_book(call).into_book(author);
            let ours = async { books.create(author, book).await.map(drop).context("create") };
            insert.time(call, ours, raw.insert(author, &twin)).await?;

            if call % 5 == 0 {
                let ours = async {
                    let page = PageRequest::first(50);
                    let page = books.list(reader, BookFilter::default(), page).await?;
                    anyhow::ensure!(page.items.len() == 50, "a short page");
                    Ok(())
                };
                let theirs = async {
                    anyhow::ensure!(raw.list(reader).await? == 51, "a short list");
                    Ok(())
                };
                list.time(call / 5, ours, theirs).await?;
            }
        }
        if round > 0 {
            gets.push(get.medians());
            inserts.push(insert.medians());
            lists.push(list.medians());
        }
    }
    for (call, pairs) in [("get", gets), ("insert", inserts), ("list", lists)] {
        Comparison {
            bench: format!("calls {name} {call}"),
            peer_name: "the raw driver, p50",
            goal: Some(1.05),
            unit: "ms",
            pairs,
            peak_mb: None,
        }
        .print(options.json);
    }
    Ok(())
}

struct RawMongo {
    users: Collection<Document>,
    books: Collection<Document>,
}

impl RawMongo {
    async fn of(scratch: &Scratch) -> Result<Self> {
        let database = scratch.mongodb().await?;
        Ok(Self {
            users: database.collection("users"),
            books: database.collection("books"),
        })
    }
}

impl Raw for RawMongo {
    async fn get(&self, user: Id<User>, book: Id<Book>) -> Result<()> {
        let filter = doc! { "_id": book.to_object_id(), "userId": user.to_object_id() };
        self.books.find_one(filter).await?.context("no such book")?;
        Ok(())
    }

    async fn insert(&self, user: Id<User>, book: &Book) -> Result<()> {
        let filter = doc! { "_id": user.to_object_id() };
        let found = self
            .users
            .find_one(filter)
            .projection(doc! { "_id": 1 })
            .await?;
        found.context("no such user")?;
        let date = bson::DateTime::from_chrono;
        let document = doc! {
            "_id": book.id.to_object_id(),
            "userId": user.to_object_id(),
            "title": &book.title,
            "subtitle": &book.subtitle,
            "description": &book.description,
            "asin": book.asin.as_ref().map(AsRef::<str>::as_ref),
            "genres": &book.genres,
            "platforms": ["kdp"],
            "status": book.status.as_str(),
            "metadata": { "pageCount": book.metadata.page_count },
            "createdAt": date(book.created_at),
            "updatedAt": date(book.updated_at),
        };
        self.books.insert_one(document).await?;
        Ok(())
    }

    async fn list(&self, user: Id<User>) -> Result<usize> {
        let filter = doc! { "userId": user.to_object_id() };
        let found = self
            .books
            .find(filter)
            .sort(doc! { "_id": -1 })
            .limit(51)
            .await?;
        let found: Vec<Document> = found.try_collect().await?;
        Ok(found.len())
    }
}

struct RawPostgres {
    pool: PgPool,
}

/// Reads every column, as a program without repositories would.
fn read(row: &PgRow) -> Result<()> {
    std::hint::black_box((
        (row.try_get::<Uuid, _>(0)?, row.try_get::<Uuid, _>(1)?),
        row.try_get::<String, _>(2)?,
        (
            row.try_get::<Option<String>, _>(3)?,
            row.try_get::<Option<String>, _>(4)?,
        ),
        (
            row.try_get::<Option<String>, _>(5)?,
            row.try_get::<Option<String>, _>(6)?,
        ),
        (
            row.try_get::<Option<String>, _>(7)?,
            row.try_get::<Option<String>, _>(8)?,
        ),
        (
            row.try_get::<Vec<String>, _>(9)?,
            row.try_get::<Vec<String>, _>(10)?,
        ),
        row.try_get::<Option<DateTime<Utc>>, _>(11)?,
        row.try_get::<String, _>(12)?,
        row.try_get::<serde_json::Value, _>(13)?,
        (
            row.try_get::<DateTime<Utc>, _>(14)?,
            row.try_get::<DateTime<Utc>, _>(15)?,
        ),
        row.try_get::<serde_json::Value, _>(16)?,
    ));
    Ok(())
}

impl Raw for RawPostgres {
    async fn get(&self, user: Id<User>, book: Id<Book>) -> Result<()> {
        let sql = "select id, user_id, title, subtitle, author, description, isbn, asin, \
            cover_url, genres, platforms, published_date, status, metadata, created_at, \
            updated_at, extra from public.books where id = $1 and user_id = $2";
        let query = sqlx::query(sql).bind(book.to_uuid()).bind(user.to_uuid());
        read(&query.fetch_one(&self.pool).await?)
    }

    async fn insert(&self, user: Id<User>, book: &Book) -> Result<()> {
        let sql = "insert into public.books (id, user_id, title, subtitle, author, description, \
            isbn, asin, cover_url, genres, platforms, published_date, status, metadata, \
            created_at, updated_at, extra) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
        let query = sqlx::query(sql)
            .bind(book.id.to_uuid())
            .bind(user.to_uuid())
            .bind(&book.title)
            .bind(&book.subtitle)
            .bind(&book.author)
            .bind(&book.description)
            .bind(None::<String>)
            .bind(book.asin.as_ref().map(AsRef::<str>::as_ref))
            .bind(&book.cover_url)
            .bind(&book.genres)
            .bind(["kdp"])
            .bind(book.published_date)
            .bind(book.status.as_str())
            .bind(serde_json::json!({ "pageCount": book.metadata.page_count }))
            .bind(book.created_at)
            .bind(book.updated_at)
            .bind(serde_json::json!({}));
        query.execute(&self.pool).await?;
        Ok(())
    }

    async fn list(&self, user: Id<User>) -> Result<usize> {
        let sql = "select id, user_id, title, subtitle, author, description, isbn, asin, \
            cover_url, genres, platforms, published_date, status, metadata, created_at, \
            updated_at, extra from public.books where user_id = $1 order by id desc limit 51";
        let rows = sqlx::query(sql)
            .bind(user.to_uuid())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().try_for_each(read)?;
        Ok(rows.len())
    }
}
