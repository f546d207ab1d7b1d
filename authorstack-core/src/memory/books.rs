use async_trait::async_trait;

use super::{
    pages::{page, pick},
    store::MemoryStore,
};
use crate::{
    Asin, Book, BookFilter, BookPatch, BookRepository, BookStatus, Error, Id, Listed, NewBook,
    Page, PageRequest, PublicBook, Result, User,
};

#[derive(Debug)]
pub(super) struct MemoryBooks(pub(super) MemoryStore);

#[async_trait]
impl BookRepository for MemoryBooks {
    async fn create(&self, user_id: Id<User>, book: NewBook) -> Result<Book> {
        let book = book.into_book(user_id);
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        records.books.insert(book.id, book.clone());
        Ok(book)
    }

    async fn get(&self, user_id: Id<User>, id: Id<Book>) -> Result<Book> {
        let records = self.0.lock();
        let own = records
            .books
            .get(&id)
            .filter(|book| book.user_id == user_id);
        own.cloned().ok_or_else(Error::not_found)
    }

    async fn get_many(&self, user_id: Id<User>, ids: &[Id<Book>]) -> Result<Listed<Book>> {
        let own = |book: &Book| book.user_id == user_id;
        Ok(pick(&self.0.lock().books, ids, own))
    }

    async fn list_public(&self, ids: &[Id<Book>]) -> Result<Listed<PublicBook>> {
        let published = |book: &Book| book.status == BookStatus::Published;
        Ok(pick(&self.0.lock().books, ids, published).map(PublicBook::from))
    }

    async fn count(&self, user_id: Id<User>, filter: BookFilter) -> Result<u64> {
        let records = self.0.lock();
        let matches = |book: &&Book| book.user_id == user_id && filter.matches(book);
        Ok(records.books.values().filter(matches).count() as u64)
    }

    async fn list_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Listed<Book>> {
        let records = self.0.lock();
        let own = records
            .books
            .values()
            .filter(|book| book.user_id == user_id);
        let found = own
            .filter(|book| book.asin.as_ref() == Some(asin))
            .take(PageRequest::MAX_LIMIT as usize);
        Ok(found.cloned().map(Ok).collect())
    }

    async fn list(
        &self,
        user_id: Id<User>,
        filter: BookFilter,
        request: PageRequest,
    ) -> Result<Page<Book>> {
        let records = self.0.lock();
        let matches = |book: &Book| book.user_id == user_id && filter.matches(book);
        page(&records.books, &request, |book| book.id, matches)
    }

    async fn update(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book> {
        let mut records = self.0.lock();
        let own = records
            .books
            .get_mut(&id)
            .filter(|book| book.user_id == user_id);
        let book = own.ok_or_else(Error::not_found)?;
        if patch
            .expected_updated_at
            .is_some_and(|expected| expected != book.updated_at)
        {
            return Err(Error::stale());
        }
        patch.apply(book);
        Ok(book.clone())
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        let mut records = self.0.lock();
        match records.books.get(&id) {
            Some(book) if book.user_id == user_id => {
                records.books.remove(&id);
                records.remove_dependents();
                Ok(())
            }
            _ => Err(Error::not_found()),
        }
    }
}
