use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    AuthId, Email, Id, Listed, NewUser, Page, PageRequest, Platform, PublicUser, Result, User,
    UserPatch,
};

/// The operations on users.
///
/// Every call that changes a user returns the user as changed, and moves `updated_at` forward.
///
/// ```
/// use authorstack_core::{AuthorStack, NewUser};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// let ada = stack.users().create(ada).await?;
/// assert_eq!(stack.users().add_credits(ada.id, 100).await?.credits, 100);
/// let found = stack.users().get_by_email(&"Ada@Example.org".parse()?).await?;
/// assert_eq!(found.id, ada.id);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UserRepository: std::fmt::Debug + Send + Sync {
    /// Creates a user.
    ///
    /// # Errors
    /// AlreadyExists for `authId` or `email`; Invalid; Timeout or Unavailable of a store, as for
    /// every call.
    async fn create(&self, user: NewUser) -> Result<User>;

    /// The user with this id.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, id: Id<User>) -> Result<User>;

    /// The users with these ids, in one round trip: each once, in the order of their ids. Those that
    /// do not exist are left out. At most [`PageRequest::MAX_LIMIT`] ids.
    ///
    /// # Errors
    /// Invalid for more ids.
    async fn get_many(&self, ids: &[Id<User>]) -> Result<Listed<User>>;

    /// The user of this account. On Supabase, an account that was moved with its profile, and so
    /// has the profile's UUID as its id, also finds it.
    ///
    /// # Errors
    /// NotFound.
    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User>;

    /// The user with this e-mail address, whatever its case.
    ///
    /// # Errors
    /// NotFound.
    async fn get_by_email(&self, email: &Email) -> Result<User>;

    /// A page of all users.
    ///
    /// # Errors
    /// Only those of the store.
    async fn list(&self, page: PageRequest) -> Result<Page<User>>;

    /// Changes the fields that the patch sets.
    ///
    /// # Errors
    /// NotFound; AlreadyExists for `authId` or `email`; Conflict when `expected_updated_at` no
    /// longer holds; Invalid.
    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User>;

    /// Deletes the user and everything that belongs to them, in all stores of the stack: books,
    /// checklists, boosts, competitors, follows, posts, their likes and comments on all posts, and
    /// all analytics.
    ///
    /// One store may do so in one transaction. Otherwise the analytics go first, then the
    /// documents, and the user last. A call that failed can be repeated, and continues.
    /// [`services::Erasure`](crate::services::Erasure) also reports what was erased.
    ///
    /// # Errors
    /// NotFound when there is no such user. Analytics that a call which broke off has left are
    /// erased then, too.
    async fn delete(&self, id: Id<User>) -> Result<()>;

    /// Adds credits, atomically.
    ///
    /// # Errors
    /// NotFound; Invalid when `amount` is not above zero or the balance would overflow.
    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User>;

    /// Spends credits, atomically: never below zero.
    ///
    /// # Errors
    /// NotFound; InsufficientCredits; Invalid when `amount` is not above zero.
    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User>;

    /// Connects a platform, with the date of the connection. A platform that is connected already
    /// gets the new date and keeps its last sync.
    ///
    /// # Errors
    /// NotFound.
    async fn connect_platform(
        &self,
        id: Id<User>,
        platform: Platform,
        at: DateTime<Utc>,
    ) -> Result<User>;

    /// Disconnects a platform. It is no error if it is not connected.
    ///
    /// # Errors
    /// NotFound.
    async fn disconnect_platform(&self, id: Id<User>, platform: &Platform) -> Result<User>;

    /// Stores when a platform was synced. A time before the stored one changes nothing.
    ///
    /// # Errors
    /// NotFound, also if the platform is not connected.
    async fn mark_synced(
        &self,
        id: Id<User>,
        platform: &Platform,
        at: DateTime<Utc>,
    ) -> Result<User>;
}

/// Calls that are made of the others.
#[async_trait]
pub trait UserRepositoryExt: UserRepository {
    /// What everyone may see of these users: their names in a feed. One call of
    /// [`UserRepository::get_many`].
    ///
    /// ```
    /// use authorstack_core::{AuthorStack, NewUser, UserRepositoryExt as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> authorstack_core::Result<()> {
    /// let stack = AuthorStack::memory();
    /// let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
    /// let ada = stack.users().create(ada).await?;
    /// assert_eq!(stack.users().list_public(&[ada.id]).await?[0].name, "Ada");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Invalid for more than [`PageRequest::MAX_LIMIT`] ids.
    async fn list_public(&self, ids: &[Id<User>]) -> Result<Listed<PublicUser>> {
        Ok(self.get_many(ids).await?.map(PublicUser::from))
    }
}

impl<R: UserRepository + ?Sized> UserRepositoryExt for R {}
