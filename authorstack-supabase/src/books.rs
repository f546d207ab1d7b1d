//! Books.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    Asin, Book, BookFilter, BookPatch, BookRepository, BookStatus, Error, Id, Listed, NewBook,
    Page, PageRequest, PublicBook, Result, User, fields::Patch as _, time,
};
use authorstack_sql::{
    ArgumentWriter, Moment, arguments, get, insert, postgres_micros, select, update,
};
use sqlx::{Postgres, QueryBuilder, query, query_with};

use crate::{
    error::user_label,
    store::{SupabaseStore, push_page, record, uuids},
};

#[derive(Debug)]
pub(crate) struct SupabaseBooks(pub(crate) SupabaseStore);

static INSERT: LazyLock<String> = LazyLock::new(insert::<Book>);
static GET: LazyLock<String> = LazyLock::new(|| select::<Book>("where id = $1 and user_id = $2"));
static GET_MANY: LazyLock<String> =
    LazyLock::new(|| select::<Book>("where id = any ($1) and user_id = $2 order by id"));
static GET_PUBLISHED: LazyLock<String> =
    LazyLock::new(|| select::<Book>("where id = any ($1) and status = $2 order by id"));
static LIST_BY_ASIN: LazyLock<String> =
    LazyLock::new(|| select::<Book>("where asin = $1 and user_id = $2 order by id limit $3"));
static FIND_MORE_BY_ASIN: LazyLock<String> =
    LazyLock::new(|| format!("{} offset $4", *LIST_BY_ASIN));
static SELECT_OF_USER: LazyLock<String> = LazyLock::new(|| select::<Book>("where user_id = "));
static UPDATE: LazyLock<String> = LazyLock::new(|| {
    update::<BookPatch>(
        "updated_at = greatest($3, updated_at + interval '1 millisecond'), ",
        "id = $1 and user_id = $2 and ($4::timestamptz is null or updated_at = $4)",
        4,
    )
});

#[async_trait]
impl BookRepository for SupabaseBooks {
    async fn create(&self, user_id: Id<User>, book: NewBook) -> Result<Book> {
        let book = book.into_book(user_id);
        let insert = query_with(INSERT.as_str(), arguments(&book)?);
        match self.0.fetch_optional(insert).await {
            Ok(_) => Ok(book),
            // The only foreign key is the user's.
            Err(error) if error.is_not_found() => Err(error.for_record(user_label(user_id))),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, user_id: Id<User>, id: Id<Book>) -> Result<Book> {
        let select = query(GET.as_str())
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        self.0.one(select).await
    }

    async fn get_many(&self, user_id: Id<User>, ids: &[Id<Book>]) -> Result<Listed<Book>> {
        if ids.is_empty() {
            return Ok(Listed::default());
        }
        let select = query(GET_MANY.as_str())
            .bind(uuids(ids))
            .bind(user_id.to_uuid());
        self.0.listed(select).await
    }

    async fn list_public(&self, ids: &[Id<Book>]) -> Result<Listed<PublicBook>> {
        if ids.is_empty() {
            return Ok(Listed::default());
        }
        let select = query(GET_PUBLISHED.as_str())
            .bind(uuids(ids))
            .bind(BookStatus::Published.as_str());
        Ok(self.0.listed(select).await?.map(|book: Book| book.into()))
    }

    async fn count(&self, user_id: Id<User>, filter: BookFilter) -> Result<u64> {
        if !is_possible(&filter) {
            return Ok(0);
        }
        let mut select =
            QueryBuilder::new("select pg_catalog.count(*) from public.books where user_id = ");
        push_filter(&mut select, user_id, &filter);
        let row = self.0.fetch_optional(select.build()).await?;
        let row = row.ok_or_else(|| Error::internal("a count has no row"))?;
        Ok(get::<i64>(&row, 0)?.unsigned_abs())
    }

    async fn list_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Listed<Book>> {
        let first = |limit: i64| {
            query(LIST_BY_ASIN.as_str())
                .bind(asin.as_str())
                .bind(user_id.to_uuid())
                .bind(limit)
        };
        let more = |limit: i64, offset: i64| {
            query(FIND_MORE_BY_ASIN.as_str())
                .bind(asin.as_str())
                .bind(user_id.to_uuid())
                .bind(limit)
                .bind(offset)
        };
        self.0.first(PageRequest::MAX_LIMIT, first, more).await
    }

    async fn list(
        &self,
        user_id: Id<User>,
        filter: BookFilter,
        page: PageRequest,
    ) -> Result<Page<Book>> {
        if !is_possible(&filter) {
            return Ok(Page {
                items: Vec::new(),
                next: None,
                unreadable: Vec::new(),
            });
        }
        let mut select = QueryBuilder::new(SELECT_OF_USER.as_str());
        push_filter(&mut select, user_id, &filter);
        push_page(&mut select, &page)?;
        self.0.page(select.build(), &page).await
    }

    async fn update(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book> {
        let expected = patch.expected_updated_at;
        // No record has a moment that PostgreSQL cannot hold.
        if expected.is_none_or(|at| postgres_micros(at).is_some()) {
            let mut arguments = ArgumentWriter::default();
            arguments.push(id.to_uuid())?;
            arguments.push(user_id.to_uuid())?;
            arguments.push(Moment(time::now()))?;
            arguments.push(expected.map(Moment))?;
            patch.write(&mut arguments)?;
            let update = query_with(UPDATE.as_str(), arguments.into_arguments());
            if let Some(row) = self.0.fetch_optional(update).await? {
                return record(&row);
            }
        }
        if expected.is_none() {
            return Err(Error::not_found());
        }
        let found = query("select 1 from public.books where id = $1 and user_id = $2")
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        Err(match self.0.fetch_optional(found).await? {
            Some(_) => Error::stale(),
            None => Error::not_found(),
        })
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        let delete = query("delete from public.books where id = $1 and user_id = $2 returning 1")
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        self.0.delete(delete).await
    }
}

/// Whether a book can match: none has a genre that PostgreSQL cannot hold.
fn is_possible(filter: &BookFilter) -> bool {
    let genre = filter.genre.as_ref();
    genre.is_none_or(|genre| !genre.contains('\0'))
}

/// Adds the user and the wanted conditions to a statement that ends with `user_id = `. It has no
/// others, so each form has its own plan.
fn push_filter(select: &mut QueryBuilder<Postgres>, user_id: Id<User>, filter: &BookFilter) {
    select.push_bind(user_id.to_uuid());
    if let Some(status) = filter.status {
        select.push(" and status = ").push_bind(status.as_str());
    }
    if let Some(platform) = &filter.platform {
        select
            .push(" and ")
            .push_bind(platform.as_str().to_owned())
            // The app's own lists may have it in capitals.
            .push(" in (select lower(name collate \"C\") from unnest(platforms) as name)");
    }
    if let Some(genre) = &filter.genre {
        select
            .push(" and ")
            .push_bind(genre.clone())
            .push(" = any (genres)");
    }
}
