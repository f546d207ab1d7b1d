use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    Id, Listed, NewSale, Result, Sale, SaleKey, SalesFilter, SalesTotal, TotalsBy, UpsertCounts,
    User,
};

/// The operations on sales. Each call takes the user whose sales they are.
///
/// Platforms are the same whatever the case of their letters. Where an old app has written one in
/// capitals, the row is found, updated and deleted under its name in small letters, and keeps its
/// spelling in the table.
///
/// The user must exist, if the stack also holds users. Whether the book exists is not checked.
///
/// ```
/// use authorstack_core::{AuthorStack, Days, NewBook, NewSale, NewUser, Platform, SaleKey, SalesFilter, TotalsBy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// # let book = stack.books().create(ada.id, NewBook::new("The Tide House")).await?;
/// let key = SaleKey::new(book.id, Platform::KDP, "2024-03-01".parse().unwrap());
/// let mut sale = NewSale::new(key, "13.96".parse()?, "USD".parse()?);
/// sale.units = 4;
/// stack.sales().upsert(ada.id, std::slice::from_ref(&sale)).await?;
/// // A report that comes again changes nothing.
/// assert_eq!(stack.sales().upsert(ada.id, std::slice::from_ref(&sale)).await?.unchanged, 1);
///
/// let all = SalesFilter::of(Days::month(sale.key.date));
/// let totals = stack.sales().totals(ada.id, &all, TotalsBy::Platform).await?;
/// assert_eq!(totals[0].sums.units, 4);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SalesRepository: std::fmt::Debug + Send + Sync {
    /// Writes a batch of any size in one transaction. Sales with new keys are inserted, those with
    /// changed figures are updated, the others are left alone.
    ///
    /// # Errors
    /// Invalid for a date outside the years 1 to 9999, for a colon in a platform's name, or naming
    /// sales that the batch contains twice; Conflict naming those whose currency would change, or
    /// which the table holds in several spellings of their platform; NotFound when there is no such
    /// user, also for an empty batch. Nothing is written then. A store's Timeout or Unavailable, as
    /// for every call.
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts>;

    /// The sale with this key.
    ///
    /// # Errors
    /// NotFound; Conflict if the table holds it in several spellings of its platform.
    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale>;

    /// Removes the sale with this key, in every spelling of its platform. Refresh the roll-up of its day afterwards.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()>;

    /// Streams sales in the order of date, book and channel, with constant memory. Sales that are
    /// written meanwhile may or may not be included.
    ///
    /// A sale that cannot be read comes as an error of kind
    /// [`Corrupt`](crate::ErrorKind::Corrupt) that names it, in its place, and the stream goes on:
    /// read until `None`. Any other error is the stream's last item.
    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>>;

    /// Sums by group and currency, ordered by both. The store computes them. A group whose name or
    /// currency cannot be read is left out and named.
    ///
    /// # Errors
    /// Only those of the store.
    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Listed<SalesTotal>>;
}
