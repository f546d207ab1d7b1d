use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Asin, Competitor, CompetitorPatch, DateRange, Id, Listed, NewCompetitor, Page, PageRequest,
    Price, PricePoint, Result, User,
};

/// The operations on competitors. Each call takes the user who watches them, and another user's
/// competitor is NotFound.
///
/// The schema has no `updatedAt` for this record, so a patch has no `expected_updated_at`.
///
/// ```
/// use authorstack_core::{AuthorStack, NewCompetitor, NewUser, time};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// let rival = NewCompetitor::new("B07XJ8C8F5".parse()?);
/// let rival = stack.competitors().create(ada.id, rival).await?;
/// let (price, now) = ("4.99".parse()?, time::now());
/// let rival = stack.competitors().record_price(ada.id, rival.id, price, now).await?;
/// assert_eq!(rival.current_price, Some(price));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CompetitorRepository: std::fmt::Debug + Send + Sync {
    /// Starts to watch a book.
    ///
    /// # Errors
    /// NotFound when there is no such user; AlreadyExists for `asin` when the user watches it
    /// already; Invalid; Timeout or Unavailable of a store, as for every call.
    async fn create(&self, user_id: Id<User>, competitor: NewCompetitor) -> Result<Competitor>;

    /// A competitor of the user.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<Competitor>;

    /// The user's competitor with this ASIN.
    ///
    /// # Errors
    /// NotFound.
    async fn get_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Competitor>;

    /// A page of the user's competitors.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Competitor>>;

    /// Changes the fields that the patch sets.
    ///
    /// # Errors
    /// NotFound; Invalid.
    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor>;

    /// Stops watching a book and deletes its price history.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()>;

    /// Stores a price with its date: the history, the current price and `lastChecked` change in one
    /// update. A price stored before for the same moment is replaced. Prices may arrive out of
    /// order: the newest stays the current one.
    ///
    /// # Errors
    /// NotFound.
    async fn record_price(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: Price,
        at: DateTime<Utc>,
    ) -> Result<Competitor>;

    /// Stores when a price was looked for and not found. A time before the stored one changes
    /// nothing.
    ///
    /// # Errors
    /// NotFound.
    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor>;

    /// A page of the prices in a range of time, ordered by date.
    ///
    /// # Errors
    /// NotFound; Invalid for a cursor of a different list.
    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        page: PageRequest,
    ) -> Result<Page<PricePoint>>;

    /// The competitors of all users that were last checked before a given time: those never checked
    /// first, then the longest unchecked, then by id. At most `limit`, and at most
    /// [`PageRequest::MAX_LIMIT`]; a limit of zero counts as one. What cannot be read does not count:
    /// it is named beside them, and holds nobody's check up. For the job that checks prices.
    ///
    /// # Errors
    /// Only those of the store.
    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Listed<Competitor>>;
}
