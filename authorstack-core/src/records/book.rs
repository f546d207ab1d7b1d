//! Books: an author's catalogue.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    check::{check_fields, check_patch},
    fields::{Patch, Shape, fields, part_fields, patch, text_scalars},
    json::{input_json, json, patch_json},
};
use crate::{
    Asin, Change, Error, Extra, Id, Isbn, Platform, Result, User, limits, time,
    values::{closed_set, excerpt, is_web_url},
};

/// A book of an author.
#[derive(Debug, Clone, PartialEq)]
pub struct Book {
    /// The id.
    pub id: Id<Book>,
    /// The user who owns it.
    pub user_id: Id<User>,
    /// The title.
    pub title: String,
    /// The subtitle.
    pub subtitle: Option<String>,
    /// The author's name on the cover.
    pub author: Option<String>,
    /// The description that readers see.
    pub description: Option<String>,
    /// The ISBN.
    pub isbn: Option<Isbn>,
    /// Amazon's id (ASIN).
    pub asin: Option<Asin>,
    /// The address of the cover: `http` or `https`. An old app may have stored a path.
    pub cover_url: Option<String>,
    /// Genres, in the author's order.
    pub genres: Vec<String>,
    /// The platforms that sell the book.
    pub platforms: Vec<Platform>,
    /// When it was, or will be, published.
    pub published_date: Option<DateTime<Utc>>,
    /// Its status.
    pub status: BookStatus,
    /// Lengths and series.
    pub metadata: BookMetadata,
    /// When the record was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed; later with every change.
    pub updated_at: DateTime<Utc>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

closed_set! {
    /// The status of a book.
    #[derive(Default)]
    BookStatus, "status",
    /// Being written.
    #[default]
    Draft = "draft",
    /// On sale.
    Published = "published",
    /// Out of sight.
    Archived = "archived"
}

/// Lengths and series of a book.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BookMetadata {
    /// Pages.
    pub page_count: Option<u32>,
    /// Words.
    pub word_count: Option<u32>,
    /// The series that the book belongs to.
    pub series: Option<String>,
    /// The place in the series; a novella may stand at 1.5.
    pub series_position: Option<f64>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

/// A book to be created.
///
/// ```
/// use authorstack_core::{NewBook, Platform};
///
/// let mut book = NewBook::new("The Tide House");
/// book.isbn = Some("978-3-16-148410-0".parse()?);
/// book.platforms = vec![Platform::KDP];
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewBook {
    /// The title.
    pub title: String,
    /// The subtitle.
    pub subtitle: Option<String>,
    /// The author's name on the cover.
    pub author: Option<String>,
    /// The description that readers see.
    pub description: Option<String>,
    /// The ISBN.
    pub isbn: Option<Isbn>,
    /// Amazon's id (ASIN).
    pub asin: Option<Asin>,
    /// The address of the cover: `http` or `https`.
    pub cover_url: Option<String>,
    /// Genres, in the author's order.
    pub genres: Vec<String>,
    /// The platforms that sell the book.
    pub platforms: Vec<Platform>,
    /// When it was, or will be, published.
    pub published_date: Option<DateTime<Utc>>,
    /// Its status.
    pub status: BookStatus,
    /// Lengths and series.
    pub metadata: BookMetadata,
    /// Fields that the schema does not know.
    pub extra: Extra,
}

impl NewBook {
    /// A draft with this title.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_title(&self.title)?;
        self.cover_url.as_deref().map_or(Ok(()), check_new_cover)?;
        self.clone().into_book(Id::new()).check()
    }

    /// The record to store, with a new id and the current time.
    #[must_use]
    pub fn into_book(self, user_id: Id<User>) -> Book {
        let Self {
            title,
            subtitle,
            author,
            description,
            isbn,
            asin,
            cover_url,
            genres,
            platforms,
            published_date,
            status,
            metadata,
            extra,
        } = self;
        let now = time::now();
        Book {
            id: Id::new(),
            user_id,
            title,
            subtitle,
            author,
            description,
            isbn,
            asin,
            cover_url,
            genres,
            platforms,
            published_date: published_date.map(time::to_millis),
            status,
            metadata: metadata.without_negative_zero(),
            created_at: now,
            updated_at: now,
            extra,
        }
    }
}

/// A new book needs a title; a stored book may have an empty one.
fn check_title(title: &str) -> Result<()> {
    if title.trim().is_empty() {
        Err(Error::invalid("title", "is empty; a book needs a title"))
    } else {
        Ok(())
    }
}

/// A new cover is on the web, or it could be a script.
fn check_new_cover(url: &str) -> Result<()> {
    if is_web_url(url) {
        return Ok(());
    }
    Err(Error::invalid(
        "coverUrl",
        format!(
            "{} is not an address on the web; write it whole, like https://example.org/cover.jpg",
            excerpt(url)
        ),
    ))
}

/// A stored cover may also be a path, as old apps stored it: a text without a scheme.
fn check_cover(url: &str) -> Result<()> {
    let before_path = url.split(['/', '?', '#']).next().unwrap_or_default();
    if before_path.contains(':') {
        check_new_cover(url)
    } else {
        Ok(())
    }
}

impl Book {
    /// Checks what the field types cannot: every backend can store the record, and the cover is an
    /// address on the web or a path.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.cover_url.as_deref().map_or(Ok(()), check_cover)?;
        check_fields(self)
    }
}

/// What everyone may see of a published book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicBook {
    /// The id.
    pub id: Id<Book>,
    /// The user who owns it.
    pub user_id: Id<User>,
    /// The title.
    pub title: String,
    /// The subtitle.
    pub subtitle: Option<String>,
    /// The author's name on the cover.
    pub author: Option<String>,
    /// The address of the cover. An old app may have stored a path.
    pub cover_url: Option<String>,
}

impl From<Book> for PublicBook {
    fn from(book: Book) -> Self {
        let Book {
            id,
            user_id,
            title,
            subtitle,
            author,
            cover_url,
            ..
        } = book;
        Self {
            id,
            user_id,
            title,
            subtitle,
            author,
            cover_url,
        }
    }
}

text_scalars!(Shape::Text, BookStatus);
part_fields!(BookMetadata);

json!(Book, BookMetadata);

input_json! {
    NewBook, extra: extra;
    title: "title" required("a book needs a title"),
    subtitle: "subtitle",
    author: "author",
    description: "description",
    isbn: "isbn",
    asin: "asin",
    cover_url: "coverUrl",
    genres: "genres",
    platforms: "platforms",
    published_date: "publishedDate",
    status: "status" or(BookStatus::default()),
    metadata: "metadata",
}

fields! {
    Book, extra: extra;
    id: "_id" required("a book needs an id"),
    user_id: "userId" required("say whose book it is"),
    title: "title" required("a book needs a title"),
    subtitle: "subtitle",
    author: "author",
    description: "description" most(limits::LONG_TEXT),
    isbn: "isbn",
    asin: "asin",
    cover_url: "coverUrl",
    genres: "genres",
    platforms: "platforms",
    published_date: "publishedDate",
    status: "status" or(BookStatus::default()),
    metadata: "metadata",
    created_at: "createdAt" or(id.created_at()),
    updated_at: "updatedAt" or(created_at),
}

fields! {
    BookMetadata, extra: extra;
    page_count: "pageCount",
    word_count: "wordCount",
    series: "series",
    series_position: "seriesPosition",
}

impl BookMetadata {
    /// Replaces -0.0 by 0.0: JSON in PostgreSQL knows one zero only.
    #[must_use]
    pub fn without_negative_zero(mut self) -> Self {
        self.series_position = self.series_position.map(|position| position + 0.0);
        self
    }
}

/// Changes of a book.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BookPatch {
    /// A new title.
    pub title: Option<String>,
    /// The subtitle.
    pub subtitle: Change<String>,
    /// The author's name on the cover.
    pub author: Change<String>,
    /// The description.
    pub description: Change<String>,
    /// The ISBN.
    pub isbn: Change<Isbn>,
    /// Amazon's id (ASIN).
    pub asin: Change<Asin>,
    /// The address of the cover: `http` or `https`.
    pub cover_url: Change<String>,
    /// New genres; they replace all old ones.
    pub genres: Option<Vec<String>>,
    /// New platforms; they replace all old ones.
    pub platforms: Option<Vec<Platform>>,
    /// When it was, or will be, published.
    pub published_date: Change<DateTime<Utc>>,
    /// Its status.
    pub status: Option<BookStatus>,
    /// New lengths and series; they replace all old ones.
    pub metadata: Option<BookMetadata>,
    /// If set, the call returns Conflict unless the book was last changed at this time.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl BookPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.title.as_deref().map_or(Ok(()), check_title)?;
        if let Change::Set(url) = &self.cover_url {
            check_new_cover(url)?;
        }
        check_patch(self)
    }

    /// Applies the patch to a book in memory, and moves `updated_at` forward.
    pub fn apply(self, book: &mut Book) {
        self.apply_to(book);
        book.published_date = book.published_date.map(time::to_millis);
        book.metadata = std::mem::take(&mut book.metadata).without_negative_zero();
        book.updated_at = time::next_update(book.updated_at);
    }
}

patch! {
    BookPatch, Book, beside: [expected_updated_at];
    title,
    subtitle,
    author,
    description,
    isbn,
    asin,
    cover_url,
    genres,
    platforms,
    published_date,
    status,
    metadata,
}

patch_json!(BookPatch);

/// Which books of a user: those that match every part of the filter that is set.
///
/// ```
/// use authorstack_core::{BookFilter, BookStatus};
///
/// let drafts = BookFilter { status: Some(BookStatus::Draft), ..BookFilter::default() };
/// # let _ = drafts;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BookFilter {
    /// Books in this status.
    pub status: Option<BookStatus>,
    /// Books that this platform sells.
    pub platform: Option<Platform>,
    /// Books of this genre, in exactly this spelling.
    pub genre: Option<String>,
}

impl BookFilter {
    /// Whether a book matches.
    #[must_use]
    pub fn matches(&self, book: &Book) -> bool {
        self.status.is_none_or(|status| book.status == status)
            && self
                .platform
                .as_ref()
                .is_none_or(|platform| book.platforms.contains(platform))
            && self
                .genre
                .as_ref()
                .is_none_or(|genre| book.genres.contains(genre))
    }
}
