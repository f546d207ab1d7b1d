//! Books.

use async_trait::async_trait;
use authorstack_core::{
    Asin, Book, BookFilter, BookPatch, BookRepository, BookStatus, Change, Error, Id, Isbn,
    NewBook, Page, PageRequest, Platform, Result, User,
};
use bson::{Bson, Document, doc};

use crate::{
    document::{self, book_document, fields_of_metadata},
    error::within,
    page::in_one_batch,
    store::{Changes, MongoStore, contended, date, expect_update},
};

#[derive(Debug)]
pub(crate) struct MongoBooks(pub(crate) MongoStore);

/// The filter for a user's own book.
fn own(user_id: Id<User>, id: Id<Book>) -> Document {
    doc! {"_id": id.to_object_id(), "userId": user_id.to_object_id()}
}

fn change<T>(changes: &mut Changes, field: &str, change: Change<T>, value: impl FnOnce(T) -> Bson) {
    match change {
        Change::Keep => {}
        Change::Clear => changes.unset(field),
        Change::Set(new) => changes.set(field, value(new)),
    }
}

fn changes_of(patch: BookPatch) -> Result<Changes> {
    let mut changes = Changes::new();
    changes.set_some("title", patch.title);
    change(&mut changes, "subtitle", patch.subtitle, Bson::from);
    change(&mut changes, "author", patch.author, Bson::from);
    change(&mut changes, "description", patch.description, Bson::from);
    change(&mut changes, "isbn", patch.isbn, |isbn: Isbn| {
        isbn.into_string().into()
    });
    change(&mut changes, "asin", patch.asin, |asin: Asin| {
        asin.into_string().into()
    });
    change(&mut changes, "coverUrl", patch.cover_url, Bson::from);
    changes.set_some("genres", patch.genres);
    let names = |platforms: Vec<Platform>| -> Vec<String> {
        platforms.into_iter().map(Platform::into_string).collect()
    };
    changes.set_some("platforms", patch.platforms.map(names));
    change(&mut changes, "publishedDate", patch.published_date, |at| {
        date(at).into()
    });
    changes.set_some("status", patch.status.map(BookStatus::as_str));
    if let Some(metadata) = &patch.metadata {
        let fields = Document::try_from(fields_of_metadata(metadata)?)
            .map_err(|error| Error::internal(error.to_string()))?;
        changes.set("metadata", fields);
    }
    Ok(changes)
}

impl MongoBooks {
    async fn create_for(&self, user_id: Id<User>, book: NewBook) -> Result<Book> {
        let book = book.into_book(user_id)?;
        let document = book_document(&book)?;
        let store = &self.0;
        store.known_user(user_id).await?;
        within(store.deadline, store.books.insert_one(document)).await?;
        Ok(book)
    }

    async fn update_own(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book> {
        patch.check()?;
        let store = &self.0;
        let expected = patch.expected_updated_at;
        let mut filter = own(user_id, id);
        let possible = expected.is_none_or(|at| expect_update(&mut filter, id, at).is_some());
        let pipeline = changes_of(patch)?.into_pipeline();
        if possible
            && let Some(book) = store
                .change(&store.books, filter, pipeline, document::book)
                .await?
        {
            return Ok(book);
        }
        let found = store.first_on_primary(&store.books, own(user_id, id), document::book);
        Err(match found.await? {
            None => Error::not_found(),
            Some(_) if expected.is_some() => Error::stale(),
            Some(_) => contended(),
        })
    }
}

#[async_trait]
impl BookRepository for MongoBooks {
    async fn create(&self, user_id: Id<User>, book: NewBook) -> Result<Book> {
        self.create_for(user_id, book)
            .await
            .map_err(|error| error.in_operation("books.create"))
    }

    async fn get(&self, user_id: Id<User>, id: Id<Book>) -> Result<Book> {
        let store = &self.0;
        let found = store.first(&store.books, own(user_id, id), document::book);
        found
            .await
            .and_then(|book| book.ok_or_else(Error::not_found))
            .map_err(|error| error.in_operation("books.get").for_record(id))
    }

    async fn find_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Vec<Book>> {
        // Reading takes an ASIN in small letters too.
        let spellings = [asin.as_str().to_owned(), asin.as_str().to_ascii_lowercase()];
        let filter = doc! {"userId": user_id.to_object_id(), "asin": {"$in": spellings.to_vec()}};
        let options = in_one_batch(doc! {"_id": 1}, PageRequest::MAX_LIMIT);
        let store = &self.0;
        let found = store.find(&store.books, filter, options, document::book);
        found
            .await
            .map_err(|error| error.in_operation("books.find_by_asin"))
    }

    async fn list(
        &self,
        user_id: Id<User>,
        wanted: BookFilter,
        request: PageRequest,
    ) -> Result<Page<Book>> {
        let mut filter = doc! {"userId": user_id.to_object_id()};
        match wanted.status {
            None => {}
            // A document without a status is a draft.
            Some(BookStatus::Draft) => {
                let draft: Vec<Bson> = vec![BookStatus::Draft.as_str().into(), Bson::Null];
                filter.insert("status", doc! {"$in": draft});
            }
            Some(status) => {
                filter.insert("status", status.as_str());
            }
        }
        if let Some(platform) = wanted.platform {
            filter.insert("platforms", platform.into_string());
        }
        if let Some(genre) = wanted.genre {
            filter.insert("genres", genre);
        }
        let store = &self.0;
        store
            .page(&store.books, filter, &request, document::book, |book| {
                book.id
            })
            .await
            .map_err(|error| error.in_operation("books.list"))
    }

    async fn update(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book> {
        self.update_own(user_id, id, patch)
            .await
            .map_err(|error| error.in_operation("books.update").for_record(id))
    }

    /// Its checklists and boosts go first, so that a call that broke off can be repeated.
    async fn delete(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        let delete = async {
            let store = &self.0;
            if !store.exists(&store.books, own(user_id, id)).await? {
                return Err(Error::not_found());
            }
            let of_book = doc! {"bookId": id.to_object_id()};
            within(
                store.deadline,
                store.checklists.delete_many(of_book.clone()),
            )
            .await?;
            within(store.deadline, store.boosts.delete_many(of_book)).await?;
            let book = store.books.delete_one(own(user_id, id));
            match within(store.deadline, book).await?.deleted_count {
                0 => Err(Error::not_found()),
                _ => Ok(()),
            }
        };
        delete
            .await
            .map_err(|error| error.in_operation("books.delete").for_record(id))
    }
}
