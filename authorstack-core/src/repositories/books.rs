use async_trait::async_trait;

use crate::{
    Asin, Book, BookFilter, BookPatch, Id, Listed, NewBook, Page, PageRequest, PublicBook, Result,
    User,
};

/// The operations on books. Each call takes the user whose books they are, and another user's book
/// is NotFound.
///
/// ```
/// use authorstack_core::{AuthorStack, BookFilter, BookPatch, BookStatus, NewBook, NewUser, PageRequest};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// let book = stack.books().create(ada.id, NewBook::new("The Tide House")).await?;
/// let mut patch = BookPatch::default();
/// patch.status = Some(BookStatus::Published);
/// // Refused as Conflict if somebody has changed the book since it was read.
/// patch.expected_updated_at = Some(book.updated_at);
/// stack.books().update(ada.id, book.id, patch).await?;
///
/// let published = BookFilter { status: Some(BookStatus::Published), ..BookFilter::default() };
/// let page = stack.books().list(ada.id, published, PageRequest::first(20)).await?;
/// assert_eq!(page.items[0].title, "The Tide House");
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BookRepository: std::fmt::Debug + Send + Sync {
    /// Creates a book of a user.
    ///
    /// # Errors
    /// NotFound when there is no such user; Invalid; Timeout or Unavailable of a store, as for
    /// every call.
    async fn create(&self, user_id: Id<User>, book: NewBook) -> Result<Book>;

    /// A book of the user.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, id: Id<Book>) -> Result<Book>;

    /// The user's books with these ids, in one round trip: each once, in the order of their ids. Those
    /// that do not exist, or are another user's, are left out. At most [`PageRequest::MAX_LIMIT`] ids.
    ///
    /// # Errors
    /// Invalid for more ids.
    async fn get_many(&self, user_id: Id<User>, ids: &[Id<Book>]) -> Result<Listed<Book>>;

    /// What everyone may see of these books, whoever owns them, in one round trip: each once, in the
    /// order of their ids. Books that are not published are left out. At most
    /// [`PageRequest::MAX_LIMIT`] ids.
    ///
    /// # Errors
    /// Invalid for more ids.
    async fn list_public(&self, ids: &[Id<Book>]) -> Result<Listed<PublicBook>>;

    /// How many books of the user match the filter. Books that cannot be read count, too.
    ///
    /// # Errors
    /// Only those of the store.
    async fn count(&self, user_id: Id<User>, filter: BookFilter) -> Result<u64>;

    /// The user's books with this ASIN, oldest first: editions may share one. At most
    /// [`PageRequest::MAX_LIMIT`], not counting what cannot be read.
    ///
    /// # Errors
    /// Only those of the store.
    async fn list_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Listed<Book>>;

    /// A page of the user's books that match the filter.
    ///
    /// # Errors
    /// Only those of the store.
    async fn list(
        &self,
        user_id: Id<User>,
        filter: BookFilter,
        page: PageRequest,
    ) -> Result<Page<Book>>;

    /// Changes the fields that the patch sets.
    ///
    /// # Errors
    /// NotFound; Conflict when `expected_updated_at` no longer holds; Invalid.
    async fn update(&self, user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Result<Book>;

    /// Deletes a book, with its checklists, its boosts and the insights about it, in all stores of
    /// the stack, the book last. A call that failed can be repeated, and continues. The sales stay:
    /// they are money that was earned.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, id: Id<Book>) -> Result<()>;
}
