//! Competitors and their price histories.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    Asin, Competitor, CompetitorPatch, CompetitorRepository, DateRange, Error, Id, Listed,
    NewCompetitor, Order, Page, PageRequest, Price, PricePoint, Result, User,
    fields::{Fields as _, Patch as _},
    migrate::CompetitorPrice,
    resilience::retry_on_conflict,
    time,
};
use authorstack_sql::{
    ArgumentWriter, Moment, arguments, check_moment, get, insert, select, update,
};
use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, query, query_with};

use crate::{
    error::user_label,
    store::{SupabaseStore, behind_moment, listed, push_page, record, there},
};

#[derive(Debug)]
pub(crate) struct SupabaseCompetitors(pub(crate) SupabaseStore);

static INSERT: LazyLock<String> = LazyLock::new(insert::<Competitor>);
static GET: LazyLock<String> =
    LazyLock::new(|| select::<Competitor>("where id = $1 and user_id = $2"));
static GET_TO_CHANGE: LazyLock<String> =
    LazyLock::new(|| select::<Competitor>("where id = $1 and user_id = $2 for no key update"));
static GET_BY_ASIN: LazyLock<String> =
    LazyLock::new(|| select::<Competitor>("where user_id = $1 and asin = $2"));
static SELECT_OF_USER: LazyLock<String> =
    LazyLock::new(|| select::<Competitor>("where user_id = "));
static DUE_FOR_CHECK: LazyLock<String> = LazyLock::new(|| {
    select::<Competitor>(
        "where last_checked is null or last_checked < $1 \
         order by last_checked nulls first, id limit $2",
    )
});
static MORE_DUE_FOR_CHECK: LazyLock<String> =
    LazyLock::new(|| format!("{} offset $3", *DUE_FOR_CHECK));
static UPDATE: LazyLock<String> =
    LazyLock::new(|| update::<CompetitorPatch>("", "id = $1 and user_id = $2", 2));
static MARK_CHECKED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "update public.competitors set last_checked = greatest(last_checked, $3) \
         where id = $1 and user_id = $2 returning {}",
        Competitor::columns()
    )
});
static PUT_PRICE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} on conflict (competitor_id, date) do update set price = excluded.price",
        insert::<CompetitorPrice>()
    )
});
/// The first part of the statement of a page of the history.
static HISTORY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select price.* from public.competitors as rival left join lateral ({}",
        select::<CompetitorPrice>("where competitor_id = rival.id")
    )
});

impl SupabaseCompetitors {
    /// Locks the competitor, so that simultaneous prices are recorded one after another.
    async fn note(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: &CompetitorPrice,
    ) -> Result<Competitor> {
        let mut unit = self.0.unit().await?;
        let select = query(GET_TO_CHANGE.as_str())
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        let row = unit.fetch_optional(select).await?;
        let mut competitor: Competitor = record(&row.ok_or_else(Error::not_found)?)?;
        let newest =
            // Without infinity, which is no date.
            query(
                "select max(date) from public.competitor_prices \
                 where competitor_id = $1 and date <= $2",
            )
            .bind(id.to_uuid())
            .bind(Moment(DateTime::<Utc>::MAX_UTC));
        let newest = unit.fetch_optional(newest).await?;
        let newest: Option<Moment> = newest.map_or(Ok(None), |row| get(&row, 0))?;
        competitor.note_price(&price.point, newest.map(|newest| newest.0));
        let history = query_with(PUT_PRICE.as_str(), arguments(price)?);
        unit.fetch_optional(history).await?;
        let current = query(
            "update public.competitors set current_price = $2, last_checked = $3 where id = $1",
        )
        .bind(id.to_uuid())
        .bind(competitor.current_price.map(Price::amount))
        .bind(competitor.last_checked.map(Moment));
        unit.fetch_optional(current).await?;
        unit.commit().await?;
        Ok(competitor)
    }
}

#[async_trait]
impl CompetitorRepository for SupabaseCompetitors {
    async fn create(&self, user_id: Id<User>, competitor: NewCompetitor) -> Result<Competitor> {
        let competitor = competitor.into_competitor(user_id);
        let insert = query_with(INSERT.as_str(), arguments(&competitor)?);
        match self.0.fetch_optional(insert).await {
            Ok(_) => Ok(competitor),
            // The only foreign key is the user's.
            Err(error) if error.is_not_found() => Err(error.for_record(user_label(user_id))),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<Competitor> {
        let select = query(GET.as_str())
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        self.0.one(select).await
    }

    async fn get_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Competitor> {
        let select = query(GET_BY_ASIN.as_str())
            .bind(user_id.to_uuid())
            .bind(asin.as_str());
        self.0.one(select).await
    }

    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Competitor>> {
        let mut select = QueryBuilder::new(SELECT_OF_USER.as_str());
        select.push_bind(user_id.to_uuid());
        push_page(&mut select, &page)?;
        self.0.page(select.build(), &page).await
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor> {
        let mut arguments = ArgumentWriter::default();
        arguments.push(id.to_uuid())?;
        arguments.push(user_id.to_uuid())?;
        patch.write(&mut arguments)?;
        let update = query_with(UPDATE.as_str(), arguments.into_arguments());
        self.0.one(update).await
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()> {
        let delete =
            query("delete from public.competitors where id = $1 and user_id = $2 returning 1")
                .bind(id.to_uuid())
                .bind(user_id.to_uuid());
        self.0.delete(delete).await
    }

    async fn record_price(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: Price,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        let price = CompetitorPrice {
            competitor_id: id,
            point: PricePoint::new(price, at),
        };
        check_moment("date", price.point.date)?;
        retry_on_conflict(|| self.note(user_id, id, &price)).await
    }

    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        let at = time::to_millis(at);
        check_moment("lastChecked", at)?;
        let update = query(MARK_CHECKED.as_str())
            .bind(id.to_uuid())
            .bind(user_id.to_uuid())
            .bind(Moment(at));
        self.0.one(update).await
    }

    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        page: PageRequest,
    ) -> Result<Page<PricePoint>> {
        let after = page.after_moment()?;
        let bounds = [range.from, range.until, after.map(|(at, _)| at)];
        for at in bounds.into_iter().flatten() {
            check_moment("date", at)?;
        }
        // A competitor of the user gives at least one row.
        let mut select = QueryBuilder::new(HISTORY.as_str());
        if let Some(from) = range.from {
            select.push(" and date >= ").push_bind(Moment(from));
        }
        if let Some(until) = range.until {
            select.push(" and date < ").push_bind(Moment(until));
        }
        let (beyond, order) = match page.sort_order() {
            Order::OldestFirst => (" and date > ", "asc"),
            Order::NewestFirst => (" and date < ", "desc"),
        };
        if let Some((at, _)) = after {
            select.push(beyond).push_bind(Moment(at));
        }
        select.push(" order by date ").push(order).push(" limit ");
        select.push_bind(i64::from(page.limit()) + 1);
        select.push(") as price on true where rival.id = ");
        select.push_bind(id.to_uuid());
        select
            .push(" and rival.user_id = ")
            .push_bind(user_id.to_uuid());
        select.push(" order by price.date ").push(order);
        let rows = self.0.fetch_all(select.build()).await?;
        rows.first().ok_or_else(Error::not_found)?;
        let there = there(rows)?;
        let prices = Page::from_rows(&there, page.limit(), listed::<CompetitorPrice>, |last| {
            behind_moment(last, "date", "", page.sort_order())
        });
        Ok(prices.map(|price| price.point))
    }

    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Listed<Competitor>> {
        check_moment("before", before)?;
        let first = |limit: i64| {
            query(DUE_FOR_CHECK.as_str())
                .bind(Moment(before))
                .bind(limit)
        };
        let more = |limit: i64, offset: i64| {
            query(MORE_DUE_FOR_CHECK.as_str())
                .bind(Moment(before))
                .bind(limit)
                .bind(offset)
        };
        let limit = limit.clamp(1, PageRequest::MAX_LIMIT);
        self.0.first(limit, first, more).await
    }
}
