//! Books.

use async_trait::async_trait;
use authorstack_core::{
    Asin, Book, BookFilter, BookPatch, BookRepository, BookStatus, Error, Id, Listed, NewBook,
    Page, PageRequest, PublicBook, Result, User,
};
use bson::{Bson, Document, doc};

use crate::{
    document::encode,
    error::driver,
    pipeline::{name_as_read, refers_to},
    store::{MongoStore, own},
};

#[derive(Debug)]
pub(crate) struct MongoBooks(pub(crate) MongoStore);

#[async_trait]
impl BookRepository for MongoBooks {
    async fn create(&self, user_id: Id<User>, book: NewBook) -> Result<Book> {
        let store = &self.0;
        let book = book.into_book(user_id);
        let document = encode(&book)?;
        store.known_user(user_id).await?;
        store.insert(&store.books, document).await?;
        Ok(book)
    }

    async fn get(&self, user_id: Id<User>, id: Id<Book>) -> Result<Book> {
        let store = &self.0;
        store.get(&store.books, own(user_id, id)).await
    }

    async fn get_many(&self, user_id: Id<User>, ids: &[Id<Book>]) -> Result<Listed<Book>> {
        let store = &self.0;
        let own = doc! {"userId": refers_to(user_id)};
        store.get_many(&store.books, ids, own).await
    }

    async fn list_public(&self, ids: &[Id<Book>]) -> Result<Listed<PublicBook>> {
        let store = &self.0;
        let published = name_as_read("status", BookStatus::Published.as_str())?;
        let published = doc! {"status": published};
        let found = store.get_many(&store.books, ids, published).await?;
        Ok(found.map(PublicBook::from))
    }

    async fn count(&self, user_id: Id<User>, wanted: BookFilter) -> Result<u64> {
        let store = &self.0;
        let count = store.books.count_documents(matching(user_id, wanted)?);
        driver(store.deadline, count).await
    }

    async fn list_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Listed<Book>> {
        let store = &self.0;
        // Reading also accepts an ASIN in lower case.
        let spellings = [asin.as_str().to_owned(), asin.as_str().to_ascii_lowercase()];
        let filter = doc! {"userId": refers_to(user_id), "asin": {"$in": spellings.to_vec()}};
        let sort = doc! {"_id": 1};
        let found = store.first_of(&store.books, filter, sort, PageRequest::MAX_LIMIT);
        found.await
    }

    async fn list(
        &self,
        user_id: Id<User>,
        wanted: BookFilter,
        request: PageRequest,
    ) -> Result<Page<Book>> {
        let store = &self.0;
        let filter = matching(user_id, wanted)?;
        store.page(&store.books, filter, &request).await
    }

    async fn update(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book> {
        let store = &self.0;
        let (own, expected) = (own(user_id, id), patch.expected_updated_at);
        store.patch(&store.books, own, id, &patch, expected).await
    }

    /// Its checklists and boosts are removed first, so a call that failed can be repeated.
    async fn delete(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        let store = &self.0;
        if !store.exists(&store.books, own(user_id, id)).await? {
            return Err(Error::not_found());
        }
        let of_book = doc! {"bookId": refers_to(id)};
        for collection in [&store.checklists, &store.boosts] {
            driver(store.deadline, collection.delete_many(of_book.clone())).await?;
        }
        store.delete(&store.books, own(user_id, id)).await
    }
}

/// The filter for the books of a user that are wanted.
fn matching(user_id: Id<User>, wanted: BookFilter) -> Result<Document> {
    let mut filter = doc! {"userId": refers_to(user_id)};
    match wanted.status {
        None => {}
        // A document without a status is a draft.
        Some(BookStatus::Draft) => {
            let draft = name_as_read("status", BookStatus::Draft.as_str())?;
            let draft: Vec<Bson> = vec![draft, Bson::Null];
            filter.insert("status", doc! {"$in": draft});
        }
        Some(status) => {
            filter.insert("status", name_as_read("status", status.as_str())?);
        }
    }
    if let Some(platform) = wanted.platform {
        filter.insert("platforms", name_as_read("platform", platform.as_str())?);
    }
    if let Some(genre) = wanted.genre {
        filter.insert("genres", genre);
    }
    Ok(filter)
}
