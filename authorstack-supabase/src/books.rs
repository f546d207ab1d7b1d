//! Books.

use async_trait::async_trait;
use authorstack_core::{
    Asin, Book, BookFilter, BookPatch, BookRepository, BookStatus, Change, Error, Id, Isbn,
    NewBook, Page, PageRequest, Platform, Result, User, time,
};
use sqlx::{QueryBuilder, query};

use crate::{
    error::user_label,
    row::{self, Jsonb, Moment, book_columns, check_moment},
    store::{Statement, SupabaseStore, push_page},
};

#[derive(Debug)]
pub(crate) struct SupabaseBooks(pub(crate) SupabaseStore);

impl SupabaseBooks {
    async fn one(&self, statement: Statement<'_>) -> Result<Book> {
        match self.0.fetch_optional(statement).await? {
            Some(row) => row::book(&row),
            None => Err(Error::not_found()),
        }
    }

    async fn all(&self, statement: Statement<'_>) -> Result<Vec<Book>> {
        let rows = self.0.fetch_all(statement).await?;
        rows.iter().map(row::book).collect()
    }

    async fn exists(&self, user_id: Id<User>, id: Id<Book>) -> Result<bool> {
        let found = query("select 1 from public.books where id = $1 and user_id = $2")
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        Ok(self.0.fetch_optional(found).await?.is_some())
    }

    async fn insert(&self, book: &Book) -> Result<()> {
        if let Some(date) = book.published_date {
            check_moment("publishedDate", date)?;
        }
        let insert = query(concat!(
            "insert into public.books (",
            book_columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
        ))
        .bind(book.id.to_uuid())
        .bind(book.user_id.to_uuid())
        .bind(&book.title)
        .bind(book.subtitle.as_deref())
        .bind(book.author.as_deref())
        .bind(book.description.as_deref())
        .bind(book.isbn.as_ref().map(Isbn::as_str))
        .bind(book.asin.as_ref().map(Asin::as_str))
        .bind(book.cover_url.as_deref())
        .bind(&book.genres)
        .bind(texts(&book.platforms))
        .bind(book.published_date.map(Moment))
        .bind(book.status.as_str())
        .bind(Jsonb(&book.metadata))
        .bind(Moment(book.created_at))
        .bind(Moment(book.updated_at))
        .bind(Jsonb(&book.extra));
        match self.0.fetch_optional(insert).await {
            Ok(_) => Ok(()),
            // The one foreign key is the user's.
            Err(error) if error.is_not_found() => Err(error.for_record(user_label(book.user_id))),
            Err(error) => Err(error),
        }
    }

    async fn patch(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book> {
        patch.check()?;
        let published = match &patch.published_date {
            Change::Set(date) => Some(time::to_millis(*date)),
            Change::Keep | Change::Clear => None,
        };
        if let Some(date) = published {
            check_moment("publishedDate", date)?;
        }
        let expected = patch.expected_updated_at;
        if expected.is_some_and(|moment| row::postgres_micros(moment).is_none()) {
            return Err(self.stale_or_missing(user_id, id).await?);
        }
        // Each optional field has a parameter that says whether it changes, and its value.
        let update = query(concat!(
            "update public.books set \
             updated_at = greatest($3, updated_at + interval '1 millisecond'), \
             title = coalesce($5, title), \
             genres = coalesce($6, genres), \
             platforms = coalesce($7, platforms), \
             status = coalesce($8, status), \
             metadata = coalesce($9, metadata), \
             subtitle = case when $10 then $11 else subtitle end, \
             author = case when $12 then $13 else author end, \
             description = case when $14 then $15 else description end, \
             isbn = case when $16 then $17 else isbn end, \
             asin = case when $18 then $19 else asin end, \
             cover_url = case when $20 then $21 else cover_url end, \
             published_date = case when $22 then $23 else published_date end \
             where id = $1 and user_id = $2 and ($4::timestamptz is null or updated_at = $4) \
             returning ",
            book_columns!()
        ))
        .bind(id.to_uuid())
        .bind(user_id.to_uuid())
        .bind(Moment(time::now()))
        .bind(expected.map(Moment))
        .bind(patch.title.as_deref())
        .bind(patch.genres.as_deref())
        .bind(patch.platforms.as_deref().map(texts))
        .bind(patch.status.map(BookStatus::as_str))
        .bind(patch.metadata.as_ref().map(Jsonb));
        let update = bind_change(update, &patch.subtitle, String::as_str);
        let update = bind_change(update, &patch.author, String::as_str);
        let update = bind_change(update, &patch.description, String::as_str);
        let update = bind_change(update, &patch.isbn, Isbn::as_str);
        let update = bind_change(update, &patch.asin, Asin::as_str);
        let update = bind_change(update, &patch.cover_url, String::as_str);
        let update = update
            .bind(patch.published_date != Change::Keep)
            .bind(published.map(Moment));
        match self.0.fetch_optional(update).await? {
            Some(row) => row::book(&row),
            None if expected.is_some() => Err(self.stale_or_missing(user_id, id).await?),
            None => Err(Error::not_found()),
        }
    }

    /// Why an update with an expected moment matched nothing.
    async fn stale_or_missing(&self, user_id: Id<User>, id: Id<Book>) -> Result<Error> {
        Ok(if self.exists(user_id, id).await? {
            Error::stale()
        } else {
            Error::not_found()
        })
    }
}

/// Binds whether an optional text changes, and the text.
pub(crate) fn bind_change<'q, T>(
    statement: Statement<'q>,
    change: &'q Change<T>,
    text: impl Fn(&T) -> &str,
) -> Statement<'q> {
    statement
        .bind(!matches!(change, Change::Keep))
        .bind(change.as_option().flatten().map(text))
}

fn texts(platforms: &[Platform]) -> Vec<&str> {
    platforms.iter().map(Platform::as_str).collect()
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

fn about<T>(result: Result<T>, operation: &'static str, id: Id<Book>) -> Result<T> {
    result.map_err(|error| error.in_operation(operation).for_record(id))
}

#[async_trait]
impl BookRepository for SupabaseBooks {
    async fn create(&self, user_id: Id<User>, book: NewBook) -> Result<Book> {
        let create = async {
            let book = book.into_book(user_id)?;
            self.insert(&book).await?;
            Ok(book)
        };
        named(create.await, "books.create")
    }

    async fn get(&self, user_id: Id<User>, id: Id<Book>) -> Result<Book> {
        let select = query(concat!(
            "select ",
            book_columns!(),
            " from public.books where id = $1 and user_id = $2"
        ))
        .bind(id.to_uuid())
        .bind(user_id.to_uuid());
        about(self.one(select).await, "books.get", id)
    }

    async fn find_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Vec<Book>> {
        let select = query(concat!(
            "select ",
            book_columns!(),
            " from public.books where asin = $1 and user_id = $2 order by id limit $3"
        ))
        .bind(asin.as_str())
        .bind(user_id.to_uuid())
        .bind(i64::from(PageRequest::MAX_LIMIT));
        named(self.all(select).await, "books.find_by_asin")
    }

    async fn list(
        &self,
        user_id: Id<User>,
        filter: BookFilter,
        page: PageRequest,
    ) -> Result<Page<Book>> {
        named(page.after_id::<Book>().map(drop), "books.list")?;
        // Text that PostgreSQL cannot hold is the genre of no book.
        if filter
            .genre
            .as_ref()
            .is_some_and(|genre| genre.contains('\0'))
        {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        // The statement has only what the page asks for: each form has a plan of its own.
        let mut select = QueryBuilder::new(concat!(
            "select ",
            book_columns!(),
            " from public.books where user_id = "
        ));
        select.push_bind(user_id.to_uuid());
        if let Some(status) = filter.status {
            select.push(" and status = ").push_bind(status.as_str());
        }
        if let Some(platform) = &filter.platform {
            select
                .push(" and ")
                .push_bind(platform.as_str())
                .push(" = any (platforms)");
        }
        if let Some(genre) = &filter.genre {
            select
                .push(" and ")
                .push_bind(genre)
                .push(" = any (genres)");
        }
        named(push_page::<Book>(&mut select, &page), "books.list")?;
        let found = self.all(select.build()).await;
        let page = found.map(|books| Page::from_one_more(books, page.limit(), |book| book.id));
        named(page, "books.list")
    }

    async fn update(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book> {
        about(self.patch(user_id, id, patch).await, "books.update", id)
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        let delete = query("delete from public.books where id = $1 and user_id = $2 returning 1")
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        let deleted = match self.0.fetch_optional(delete).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Error::not_found()),
            Err(error) => Err(error),
        };
        about(deleted, "books.delete", id)
    }
}
