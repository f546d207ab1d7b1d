use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Asin, Competitor, CompetitorPatch, DateRange, Id, NewCompetitor, Page, PageRequest, Price,
    PricePoint, Result, User,
};

/// The operations on competitors. Each call takes the user who watches them, and another user's
/// competitor is NotFound.
///
/// The record has no `updatedAt` in the schema, so that a patch has no expectation of it.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CompetitorRepository: std::fmt::Debug + Send + Sync {
    /// Begins to watch a book.
    ///
    /// # Errors
    /// NotFound when there is no such user; AlreadyExists for `asin` when the user watches it
    /// already; Invalid; a store's Timeout or Unavailable, as for every call.
    async fn track(&self, user_id: Id<User>, competitor: NewCompetitor) -> Result<Competitor>;

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
    /// Invalid for a cursor of another list.
    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Competitor>>;

    /// Changes the fields that the patch names.
    ///
    /// # Errors
    /// NotFound; Invalid.
    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor>;

    /// Ends watching a book; its history goes too.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()>;

    /// Notes a price that was seen at a moment: the history, the current price and
    /// `lastChecked` in one update. A price noted before at that moment is replaced. Prices may
    /// come out of order: the newest stays the current one.
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

    /// Notes that a price was looked for at a moment, and none found. An earlier moment than the
    /// one noted changes nothing.
    ///
    /// # Errors
    /// NotFound.
    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor>;

    /// A page of the prices seen in a range, by their dates.
    ///
    /// # Errors
    /// NotFound; Invalid for a cursor of another list.
    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        page: PageRequest,
    ) -> Result<Page<PricePoint>>;

    /// The competitors, everyone's, that were not looked at since a moment: those never looked
    /// at first, then those whose check is the longest ago, then by id; at most `limit`, and at
    /// most [`PageRequest::MAX_LIMIT`]; a limit of zero counts as one. For the job that checks prices.
    ///
    /// # Errors
    /// Only a store's.
    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<Competitor>>;
}
