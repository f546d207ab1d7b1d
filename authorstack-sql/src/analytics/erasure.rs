use async_trait::async_trait;
use authorstack_core::{
    Book, ErasedAnalytics, ErasureRepository, Error, Id, Result, User,
    resilience::retry_on_conflict,
};
use sqlx::{postgres::PgRow, query};

use super::{aggregates::lock_of, base::Base};
use crate::get;

#[derive(Debug)]
pub(super) struct SqlErasure(pub(super) Base);

const OF_USER: &str = "with \
     sales as (delete from public.sales_data where user_id = $1 returning 1), \
     aggregates as (delete from public.daily_aggregates where user_id = $1 returning 1), \
     logs as (delete from public.sync_logs where user_id = $1 returning 1), \
     insights as (delete from public.ai_insights where user_id = $1 returning 1), \
     forecasts as (delete from public.revenue_forecasts where user_id = $1 returning 1) \
     select (select count(*) from sales), (select count(*) from aggregates), \
            (select count(*) from logs), (select count(*) from insights), \
            (select count(*) from forecasts)";

const OF_BOOK: &str = "with erased as ( \
       delete from public.ai_insights where user_id = $1 and book_id = $2 returning 1) \
     select count(*) from erased";

fn count(row: &PgRow, index: usize) -> Result<u64> {
    Ok(get::<i64>(row, index)?.unsigned_abs())
}

fn without_counts() -> Error {
    Error::internal("an erasure has no counts")
}

impl SqlErasure {
    async fn erase(&self, user_id: Id<User>) -> Result<ErasedAnalytics> {
        let user = self.0.uuid(user_id);
        let mut unit = self.0.pool.unit().await?;
        // A refresh under way ends first: its roll-ups are erased with the others.
        let lock = query("select pg_advisory_xact_lock($1)").bind(lock_of(user));
        unit.fetch_optional(lock).await?;
        let erased = unit.fetch_optional(query(OF_USER).bind(user)).await?;
        let row = erased.ok_or_else(without_counts)?;
        let erased = ErasedAnalytics {
            sales: count(&row, 0)?,
            aggregates: count(&row, 1)?,
            sync_logs: count(&row, 2)?,
            insights: count(&row, 3)?,
            forecasts: count(&row, 4)?,
        };
        unit.commit().await?;
        Ok(erased)
    }
}

#[async_trait]
impl ErasureRepository for SqlErasure {
    async fn erase_user(&self, user_id: Id<User>) -> Result<ErasedAnalytics> {
        retry_on_conflict(|| self.erase(user_id)).await
    }

    async fn erase_book(&self, user_id: Id<User>, book_id: Id<Book>) -> Result<u64> {
        let erase = query(OF_BOOK)
            .bind(self.0.uuid(user_id))
            .bind(self.0.uuid(book_id));
        let row = self.0.pool.fetch_optional(erase).await?;
        count(&row.ok_or_else(without_counts)?, 0)
    }
}
