//! Books.

use authorstack_core::{
    Asin, Book, BookMetadata, BookStatus, Extra, Id, Isbn, Platform, User, migrate::Problems,
};
use chrono::{DateTime, Utc};

use super::{Parts, Reader, raw::Raw, require};
use crate::extended_json::Path;

/// Reads a book's document.
pub(crate) fn book(bytes: &[u8]) -> Result<Book, Problems> {
    let mut reader = Reader::default();
    let mut book = BookParts::default();
    reader.fields(bytes, &Path::Root, Book::FIELDS, &mut book);
    book.finish(reader.problems)
}

#[derive(Debug, Default)]
struct BookParts {
    id: Option<Id<Book>>,
    user_id: Option<Id<User>>,
    title: Option<String>,
    subtitle: Option<String>,
    author: Option<String>,
    description: Option<String>,
    isbn: Option<Isbn>,
    asin: Option<Asin>,
    cover_url: Option<String>,
    genres: Vec<String>,
    platforms: Vec<Platform>,
    published_date: Option<DateTime<Utc>>,
    status: Option<BookStatus>,
    metadata: BookMetadata,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for BookParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "userId" => self.user_id = reader.id(path, value),
            "title" => self.title = reader.string(path, value),
            "subtitle" => self.subtitle = reader.string(path, value),
            "author" => self.author = reader.string(path, value),
            "description" => self.description = reader.string(path, value),
            "isbn" => self.isbn = reader.value_or_empty(path, value),
            "asin" => self.asin = reader.value_or_empty(path, value),
            "coverUrl" => self.cover_url = reader.string(path, value),
            "genres" => reader.items(path, value, |reader, path, item| {
                self.genres.extend(reader.item(path, item, Reader::string));
            }),
            "platforms" => reader.items(path, value, |reader, path, item| {
                self.platforms
                    .extend(reader.item(path, item, Reader::value));
            }),
            "publishedDate" => self.published_date = reader.date(path, value),
            "status" => self.status = reader.value(path, value),
            "metadata" => reader.nested(path, value, BookMetadata::FIELDS, &mut self.metadata),
            "createdAt" => self.created_at = reader.date(path, value),
            "updatedAt" => self.updated_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl BookParts {
    fn finish(self, mut problems: Problems) -> Result<Book, Problems> {
        require(
            &mut problems,
            "_id",
            self.id.is_some(),
            "a book needs an id",
        );
        require(
            &mut problems,
            "userId",
            self.user_id.is_some(),
            "say whose book it is",
        );
        require(
            &mut problems,
            "title",
            self.title.is_some(),
            "a book needs a title",
        );
        let (Some(id), Some(user_id), Some(title), true) =
            (self.id, self.user_id, self.title, problems.is_empty())
        else {
            return Err(problems);
        };
        let created_at = self.created_at.unwrap_or_else(|| id.created_at());
        Ok(Book {
            id,
            user_id,
            title,
            subtitle: self.subtitle,
            author: self.author,
            description: self.description,
            isbn: self.isbn,
            asin: self.asin,
            cover_url: self.cover_url,
            genres: self.genres,
            platforms: self.platforms,
            published_date: self.published_date,
            status: self.status.unwrap_or_default(),
            metadata: self.metadata,
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            extra: self.extra,
        })
    }
}

impl Parts for BookMetadata {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "pageCount" => self.page_count = reader.count(path, value, u32::MAX),
            "wordCount" => self.word_count = reader.count(path, value, u32::MAX),
            "series" => self.series = reader.string(path, value),
            "seriesPosition" => {
                self.series_position = reader.double(path, value).map(|position| position + 0.0);
            }
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}
