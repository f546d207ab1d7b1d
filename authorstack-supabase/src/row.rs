//! Rows as records, and JSON as `jsonb`.

mod documents;

use std::str::FromStr;

use authorstack_core::{Book, Error, Extra, Id, Result, User};
use authorstack_sql::Bytes;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use sqlx::{Decode, Postgres, Row, Type, postgres::PgRow};
use uuid::Uuid;

pub(crate) use authorstack_sql::{
    Jsonb, Moment, check_moment, first_moment, get, postgres_micros, write_json,
};

/// The columns of a user, in the order in which [`user`] reads them.
macro_rules! user_columns {
    () => {
        "id, auth_id, auth_provider, email, name, subscription_tier, credits, preferences, \
         connected_platforms, created_at, updated_at, extra"
    };
}
pub(crate) use user_columns;

/// The columns of a book, in the order in which [`book`] reads them.
macro_rules! book_columns {
    () => {
        "id, user_id, title, subtitle, author, description, isbn, asin, cover_url, genres, \
         platforms, published_date, status, metadata, created_at, updated_at, extra"
    };
}
pub(crate) use book_columns;

pub(crate) use documents::{
    boost, boost_columns, checklist, checklist_columns, comment, comment_columns, competitor,
    competitor_columns, competitor_price, follow, follow_columns, like, like_columns, post,
    post_columns, post_view, price_columns,
};

/// Reads a row of [`user_columns!`].
pub(crate) fn user(row: &PgRow) -> Result<User> {
    let row = Fields::of(row)?;
    let read = || {
        Ok(User {
            id: row.id.cast(),
            auth_id: row.parsed(1, "authId")?,
            auth_provider: row.parsed(2, "authProvider")?,
            email: row.parsed(3, "email")?,
            name: row.get(4, "name")?,
            subscription_tier: row.parsed(5, "subscriptionTier")?,
            credits: row.get(6, "credits")?,
            preferences: row.json(7, "preferences")?,
            connected_platforms: row.json(8, "connectedPlatforms")?,
            created_at: row.moment(9, "createdAt")?,
            updated_at: row.moment(10, "updatedAt")?,
            extra: row.extra(11)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("user {}", row.id)))
}

/// Reads a row of [`book_columns!`].
pub(crate) fn book(row: &PgRow) -> Result<Book> {
    let row = Fields::of(row)?;
    let read = || {
        Ok(Book {
            id: row.id.cast(),
            user_id: row.reference(1, "userId")?,
            title: row.get(2, "title")?,
            subtitle: row.get(3, "subtitle")?,
            author: row.get(4, "author")?,
            description: row.get(5, "description")?,
            isbn: row.parsed_option(6, "isbn")?,
            asin: row.parsed_option(7, "asin")?,
            cover_url: row.get(8, "coverUrl")?,
            genres: row.get(9, "genres")?,
            platforms: row.parsed_list(10, "platforms")?,
            published_date: row
                .get::<Option<Moment>>(11, "publishedDate")?
                .map(|moment| moment.0),
            status: row.parsed(12, "status")?,
            metadata: row.json(13, "metadata")?,
            created_at: row.moment(14, "createdAt")?,
            updated_at: row.moment(15, "updatedAt")?,
            extra: row.extra(16)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("book {}", row.id)))
}

/// A row whose first column is a readable id.
struct Fields<'r> {
    row: &'r PgRow,
    id: Id<()>,
}

fn corrupt(field: &str, problem: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("{field}: {problem}"))
}

impl<'r> Fields<'r> {
    fn of(row: &'r PgRow) -> Result<Self> {
        let uuid: Uuid = row.try_get(0).map_err(|error| corrupt("_id", error))?;
        let id = Id::from_uuid(uuid)
            .map_err(|error| corrupt("_id", error.kind()).for_record(format_args!("row {uuid}")))?;
        Ok(Self { row, id })
    }

    fn get<T: Decode<'r, Postgres> + Type<Postgres>>(
        &self,
        index: usize,
        field: &'static str,
    ) -> Result<T> {
        self.row.try_get(index).map_err(|error| match error {
            sqlx::Error::ColumnDecode { source, .. } => corrupt(field, source),
            other => corrupt(field, other),
        })
    }

    fn reference<T>(&self, index: usize, field: &'static str) -> Result<Id<T>> {
        let uuid: Uuid = self.get(index, field)?;
        Id::from_uuid(uuid).map_err(|error| corrupt(field, error.kind()))
    }

    fn moment(&self, index: usize, field: &'static str) -> Result<DateTime<Utc>> {
        self.get::<Moment>(index, field).map(|moment| moment.0)
    }

    fn parsed<T: FromStr<Err = Error>>(&self, index: usize, field: &'static str) -> Result<T> {
        let text: &str = self.get(index, field)?;
        text.parse().map_err(|error: Error| corrupt(field, error))
    }

    fn parsed_option<T: FromStr<Err = Error>>(
        &self,
        index: usize,
        field: &'static str,
    ) -> Result<Option<T>> {
        let text: Option<&str> = self.get(index, field)?;
        text.map(str::parse)
            .transpose()
            .map_err(|error: Error| corrupt(field, error))
    }

    fn parsed_list<T: FromStr<Err = Error>>(
        &self,
        index: usize,
        field: &'static str,
    ) -> Result<Vec<T>> {
        let texts: Vec<String> = self.get(index, field)?;
        texts
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_>>()
            .map_err(|error| corrupt(field, error))
    }

    fn json<T: DeserializeOwned>(&self, index: usize, field: &'static str) -> Result<T> {
        let Bytes(json) = self.get(index, field)?;
        serde_json::from_slice(json).map_err(|error| corrupt(field, error))
    }

    fn extra(&self, index: usize) -> Result<Extra> {
        let Bytes(json) = self.get(index, "extra")?;
        if json == b"{}" {
            return Ok(Extra::new());
        }
        serde_json::from_slice(json).map_err(|error| corrupt("extra", error))
    }
}
