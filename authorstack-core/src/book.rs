//! Books: an author's catalogue.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Asin, Change, Error, Extra, Id, Isbn, Page, PageRequest, Platform, Result, User,
    change::replace,
    time,
    user::check_extra,
    values::{check_text, closed_set},
};

/// A book of an author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// The id.
    pub id: Id<Book>,
    /// Whose book it is.
    pub user_id: Id<User>,
    /// The title.
    pub title: String,
    /// The subtitle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// The author's name on the cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The description that readers see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The ISBN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isbn: Option<Isbn>,
    /// Amazon's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asin: Option<Asin>,
    /// Where the cover is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover_url: Option<String>,
    /// Genres, in the author's order.
    pub genres: Vec<String>,
    /// The platforms that sell the book.
    pub platforms: Vec<Platform>,
    /// When it was, or will be, published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_date: Option<DateTime<Utc>>,
    /// Where it stands.
    pub status: BookStatus,
    /// Lengths and series.
    pub metadata: BookMetadata,
    /// When the record was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed; later with every change.
    pub updated_at: DateTime<Utc>,
    /// What the document holds beyond the schema.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

closed_set! {
    /// Where a book stands.
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookMetadata {
    /// Pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_count: Option<u32>,
    /// Words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word_count: Option<u32>,
    /// The series that the book belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// The place in the series; a novella may stand at 1.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_position: Option<f64>,
    /// What the document holds beyond the schema.
    #[serde(flatten)]
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
    /// Amazon's id.
    pub asin: Option<Asin>,
    /// Where the cover is.
    pub cover_url: Option<String>,
    /// Genres, in the author's order.
    pub genres: Vec<String>,
    /// The platforms that sell the book.
    pub platforms: Vec<Platform>,
    /// When it was, or will be, published.
    pub published_date: Option<DateTime<Utc>>,
    /// Where it stands.
    pub status: BookStatus,
    /// Lengths and series.
    pub metadata: BookMetadata,
    /// Fields beyond the schema.
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

    /// The record that a store will hold: checked, with a new id and the present moment.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when a field cannot be stored.
    pub fn into_book(self, user_id: Id<User>) -> Result<Book> {
        let now = time::now();
        let book = Book {
            id: Id::new(),
            user_id,
            title: self.title,
            subtitle: self.subtitle,
            author: self.author,
            description: self.description,
            isbn: self.isbn,
            asin: self.asin,
            cover_url: self.cover_url,
            genres: self.genres,
            platforms: self.platforms,
            published_date: self.published_date.map(time::to_millis),
            status: self.status,
            metadata: self.metadata.without_negative_zero(),
            created_at: now,
            updated_at: now,
            extra: self.extra,
        };
        check_title(&book.title)?;
        book.check()?;
        Ok(book)
    }
}

/// A title of a new book says something; what a store already holds may be empty.
fn check_title(title: &str) -> Result<()> {
    if title.trim().is_empty() {
        Err(Error::invalid("title", "is empty; a book needs a title"))
    } else {
        Ok(())
    }
}

impl Book {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &[
        "_id",
        "userId",
        "title",
        "subtitle",
        "author",
        "description",
        "isbn",
        "asin",
        "coverUrl",
        "genres",
        "platforms",
        "publishedDate",
        "status",
        "metadata",
        "createdAt",
        "updatedAt",
    ];

    /// Checks what the field types do not: that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        check_text("title", &self.title)?;
        let texts = [
            ("subtitle", &self.subtitle),
            ("author", &self.author),
            ("description", &self.description),
            ("coverUrl", &self.cover_url),
        ];
        for (field, text) in texts {
            text.as_deref()
                .map_or(Ok(()), |text| check_text(field, text))?;
        }
        for genre in &self.genres {
            check_text("genres", genre)?;
        }
        self.metadata.check()?;
        check_extra("", &self.extra, Self::FIELDS)
    }
}

impl BookMetadata {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] =
        &["pageCount", "wordCount", "series", "seriesPosition"];

    /// JSON in PostgreSQL has one zero.
    #[must_use]
    pub fn without_negative_zero(mut self) -> Self {
        self.series_position = self.series_position.map(|position| position + 0.0);
        self
    }

    fn check(&self) -> Result<()> {
        if let Some(series) = &self.series {
            check_text("metadata.series", series)?;
        }
        if let Some(position) = self.series_position
            && !position.is_finite()
        {
            return Err(Error::invalid(
                "metadata.seriesPosition",
                format!("{position} is not a finite number"),
            ));
        }
        check_extra("metadata", &self.extra, Self::FIELDS)
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
    /// Amazon's id.
    pub asin: Change<Asin>,
    /// Where the cover is.
    pub cover_url: Change<String>,
    /// New genres, as a whole.
    pub genres: Option<Vec<String>>,
    /// New platforms, as a whole.
    pub platforms: Option<Vec<Platform>>,
    /// When it was, or will be, published.
    pub published_date: Change<DateTime<Utc>>,
    /// Where it stands.
    pub status: Option<BookStatus>,
    /// New lengths and series, as a whole.
    pub metadata: Option<BookMetadata>,
    /// When set, the book must have been last changed then, or the call answers Conflict.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl BookPatch {
    /// Checks what the field types do not.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        if let Some(title) = &self.title {
            check_title(title)?;
            check_text("title", title)?;
        }
        let texts = [
            ("subtitle", &self.subtitle),
            ("author", &self.author),
            ("description", &self.description),
            ("coverUrl", &self.cover_url),
        ];
        for (field, change) in texts {
            if let Change::Set(text) = change {
                check_text(field, text)?;
            }
        }
        for genre in self.genres.iter().flatten() {
            check_text("genres", genre)?;
        }
        self.metadata.as_ref().map_or(Ok(()), BookMetadata::check)
    }

    /// Does it to a book in memory; `updated_at` moves forward.
    pub fn apply(self, book: &mut Book) {
        replace(&mut book.title, self.title);
        self.subtitle.apply(&mut book.subtitle);
        self.author.apply(&mut book.author);
        self.description.apply(&mut book.description);
        self.isbn.apply(&mut book.isbn);
        self.asin.apply(&mut book.asin);
        self.cover_url.apply(&mut book.cover_url);
        replace(&mut book.genres, self.genres);
        replace(&mut book.platforms, self.platforms);
        self.published_date.apply(&mut book.published_date);
        book.published_date = book.published_date.map(time::to_millis);
        replace(&mut book.status, self.status);
        let metadata = self.metadata.map(BookMetadata::without_negative_zero);
        replace(&mut book.metadata, metadata);
        book.updated_at = time::next_update(book.updated_at);
    }
}

/// Which books of a user: those that match every part that is set.
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
    /// Books of this genre, spelt alike.
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

/// What a host does with books. Each call takes the user whose books they are, and another
/// user's book is NotFound.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BookRepository: std::fmt::Debug + Send + Sync {
    /// Creates a book of a user.
    ///
    /// # Errors
    /// NotFound when there is no such user; Invalid; a store's Timeout or Unavailable, as for
    /// every call.
    async fn create(&self, user_id: Id<User>, book: NewBook) -> Result<Book>;

    /// A book of the user.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, id: Id<Book>) -> Result<Book>;

    /// The user's books with this ASIN, oldest first: editions may share one. At most
    /// [`PageRequest::MAX_LIMIT`].
    ///
    /// # Errors
    /// Only a store's.
    async fn find_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Vec<Book>>;

    /// A page of the user's books that match the filter.
    ///
    /// # Errors
    /// Only a store's.
    async fn list(
        &self,
        user_id: Id<User>,
        filter: BookFilter,
        page: PageRequest,
    ) -> Result<Page<Book>>;

    /// Changes the fields that the patch names.
    ///
    /// # Errors
    /// NotFound; Conflict when `expected_updated_at` no longer holds; Invalid.
    async fn update(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book>;

    /// Deletes a book.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, id: Id<Book>) -> Result<()>;
}
