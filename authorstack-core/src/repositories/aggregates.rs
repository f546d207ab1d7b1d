use async_trait::async_trait;
use chrono::NaiveDate;

use crate::{Conversion, DailyAggregate, Days, Id, Listed, Overview, RefreshReport, Result, User};

/// The operations on roll-ups. Each call takes the user whose sales are summed.
///
/// ```
/// use authorstack_core::{AuthorStack, Conversion, Days, NewBook, NewSale, NewUser, Platform, SaleKey};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// # let book = stack.books().create(ada.id, NewBook::new("The Tide House")).await?;
/// # let key = SaleKey::new(book.id, Platform::KDP, "2024-03-01".parse().unwrap());
/// # let sale = NewSale::new(key, "13.96".parse()?, "USD".parse()?);
/// # stack.sales().upsert(ada.id, &[sale]).await?;
/// let march = Days::month("2024-03-01".parse().unwrap());
/// // SalesIngest does so for the days of each report.
/// stack.aggregates().refresh(ada.id, march, &Conversion::into("USD".parse()?)).await?;
/// let overview = stack.aggregates().overview(ada.id, march, 10).await?;
/// assert_eq!(overview.totals.revenue.to_string(), "13.96");
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AggregateRepository: std::fmt::Debug + Send + Sync {
    /// Computes the roll-ups of these days from the sales again, inside the store. Days without
    /// sales lose their roll-up; roll-ups that are right already stay untouched. The sums by
    /// platform count all markets of a platform.
    ///
    /// A day with a sale in a currency without a rate, or with sums that the table cannot hold, is
    /// named in the answer, and the other days are rolled up. Such a day loses its roll-up: the old
    /// one is wrong once sales have changed, and nothing would tell.
    /// [`gaps`](AggregateRepository::gaps) finds these days later.
    ///
    /// Refreshes of one user run one after the other, so the last one has seen every sale that was
    /// written before it began. Use the same currency each time: the table has no column for it.
    ///
    /// # Errors
    /// NotFound when there is no such user. A store's Timeout or Unavailable, as for every call.
    async fn refresh(
        &self,
        user_id: Id<User>,
        days: Days,
        conversion: &Conversion,
    ) -> Result<RefreshReport>;

    /// The roll-ups of these days, in order. A day without sales has none; see
    /// [`gaps`](AggregateRepository::gaps) for others without one.
    ///
    /// # Errors
    /// Only those of the store.
    async fn list(&self, user_id: Id<User>, days: Days) -> Result<Listed<DailyAggregate>>;

    /// The days with sales and without a roll-up, in order: they were not refreshed yet, or could
    /// not be rolled up. No sum of roll-ups counts them.
    ///
    /// # Errors
    /// Only those of the store.
    async fn gaps(&self, user_id: Id<User>, days: Days) -> Result<Vec<NaiveDate>>;

    /// The roll-ups of these days summed, with at most `top` books and platforms.
    ///
    /// # Errors
    /// Only those of the store.
    async fn overview(&self, user_id: Id<User>, days: Days, top: u32) -> Result<Overview>;
}
