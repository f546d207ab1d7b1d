//! Competitors and their price histories.

use async_trait::async_trait;
use authorstack_core::{
    Asin, Competitor, CompetitorPatch, CompetitorRepository, Currency, Cursor, DateRange, Error,
    Id, NewCompetitor, Order, Page, PageRequest, Price, PricePoint, Result, User, time,
};
use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, query};

use crate::{
    books::bind_change,
    error::user_label,
    row::{self, Jsonb, Moment, check_moment, competitor_columns, get, price_columns},
    store::{Statement, SupabaseStore, again, push_page},
};

#[derive(Debug)]
pub(crate) struct SupabaseCompetitors(pub(crate) SupabaseStore);

macro_rules! own {
    ($lock:literal) => {
        concat!(
            "select ",
            competitor_columns!(),
            " from public.competitors where id = $1 and user_id = $2",
            $lock
        )
    };
}

impl SupabaseCompetitors {
    async fn one(&self, statement: Statement<'_>) -> Result<Competitor> {
        let row = self.0.fetch_optional(statement).await?;
        row::competitor(&row.ok_or_else(Error::not_found)?)
    }

    async fn insert(&self, competitor: &Competitor) -> Result<()> {
        let insert = query(concat!(
            "insert into public.competitors (",
            competitor_columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ))
        .bind(competitor.id.to_uuid())
        .bind(competitor.user_id.to_uuid())
        .bind(competitor.asin.as_str())
        .bind(competitor.title.as_deref())
        .bind(competitor.author.as_deref())
        .bind(competitor.current_price.map(Price::amount))
        .bind(competitor.currency.as_ref().map(Currency::as_str))
        .bind(competitor.genre.as_deref())
        .bind(competitor.last_checked.map(Moment))
        .bind(Moment(competitor.created_at))
        .bind(Jsonb(&competitor.extra));
        match self.0.fetch_optional(insert).await {
            Ok(_) => Ok(()),
            // The one foreign key is the user's.
            Err(error) if error.is_not_found() => {
                Err(error.for_record(user_label(competitor.user_id)))
            }
            Err(error) => Err(error),
        }
    }

    async fn page(&self, user_id: Id<User>, page: &PageRequest) -> Result<Page<Competitor>> {
        let mut select = QueryBuilder::new(concat!(
            "select ",
            competitor_columns!(),
            " from public.competitors where user_id = "
        ));
        select.push_bind(user_id.to_uuid());
        push_page::<Competitor>(&mut select, page)?;
        let rows = self.0.fetch_all(select.build()).await?;
        let found: Result<Vec<_>> = rows.iter().map(row::competitor).collect();
        Ok(Page::from_one_more(found?, page.limit(), |rival| rival.id))
    }

    async fn patch(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: &CompetitorPatch,
    ) -> Result<Competitor> {
        patch.check()?;
        let update = query(concat!(
            "update public.competitors set \
             title = case when $3 then $4 else title end, \
             author = case when $5 then $6 else author end, \
             genre = case when $7 then $8 else genre end, \
             currency = case when $9 then $10 else currency end \
             where id = $1 and user_id = $2 returning ",
            competitor_columns!()
        ))
        .bind(id.to_uuid())
        .bind(user_id.to_uuid());
        let update = bind_change(update, &patch.title, String::as_str);
        let update = bind_change(update, &patch.author, String::as_str);
        let update = bind_change(update, &patch.genre, String::as_str);
        let update = bind_change(update, &patch.currency, Currency::as_str);
        self.one(update).await
    }

    async fn remove(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()> {
        let delete =
            query("delete from public.competitors where id = $1 and user_id = $2 returning 1")
                .bind(id.to_uuid())
                .bind(user_id.to_uuid());
        match self.0.fetch_optional(delete).await? {
            Some(_) => Ok(()),
            None => Err(Error::not_found()),
        }
    }

    /// Under the competitor's lock: prices that come at once follow each other.
    async fn note(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        point: &PricePoint,
    ) -> Result<Competitor> {
        check_moment("date", point.date)?;
        let mut unit = self.0.unit().await?;
        let select = query(own!(" for no key update"))
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        let row = unit.fetch_optional(select).await?;
        let mut competitor = row::competitor(&row.ok_or_else(Error::not_found)?)?;
        let newest =
            query("select max(date) from public.competitor_prices where competitor_id = $1")
                .bind(id.to_uuid());
        let newest = unit.fetch_optional(newest).await?;
        let newest: Option<Moment> = newest.map_or(Ok(None), |row| get(&row, 0))?;
        competitor.note_price(point, newest.map(|newest| newest.0));
        let history = query(concat!(
            "insert into public.competitor_prices (",
            price_columns!(),
            ") values ($1, $2, $3, $4) \
             on conflict (competitor_id, date) do update set price = excluded.price"
        ))
        .bind(id.to_uuid())
        .bind(Moment(point.date))
        .bind(point.price.amount())
        .bind(Jsonb(&point.extra));
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

    async fn history_page(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        page: &PageRequest,
    ) -> Result<Page<PricePoint>> {
        let after = page.after_moment()?;
        let bounds = [range.from, range.until, after.map(|(at, _)| at)];
        for at in bounds.into_iter().flatten() {
            check_moment("date", at)?;
        }
        // A competitor of the user's has one row at least.
        let mut select = QueryBuilder::new(concat!(
            "select price.* from public.competitors as rival left join lateral (select ",
            price_columns!(),
            " from public.competitor_prices where competitor_id = rival.id"
        ));
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
        let mut history = Vec::new();
        for row in &rows {
            if get::<Option<uuid::Uuid>>(row, 0)?.is_some() {
                history.push(row::competitor_price(row)?.point);
            }
        }
        Ok(Page::from_one_more_by(history, page.limit(), |last| {
            Cursor::behind_moment(last.date, "")
        }))
    }

    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<Competitor>> {
        check_moment("before", before)?;
        let select = query(concat!(
            "select ",
            competitor_columns!(),
            " from public.competitors where last_checked is null or last_checked < $1 \
             order by last_checked nulls first, id limit $2"
        ))
        .bind(Moment(before))
        .bind(i64::from(limit.clamp(1, PageRequest::MAX_LIMIT)));
        let rows = self.0.fetch_all(select).await?;
        rows.iter().map(row::competitor).collect()
    }
}

fn about<T>(result: Result<T>, operation: &'static str, id: Id<Competitor>) -> Result<T> {
    result.map_err(|error| error.in_operation(operation).for_record(id))
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

#[async_trait]
impl CompetitorRepository for SupabaseCompetitors {
    async fn track(&self, user_id: Id<User>, competitor: NewCompetitor) -> Result<Competitor> {
        let track = async {
            let competitor = competitor.into_competitor(user_id)?;
            self.insert(&competitor).await?;
            Ok(competitor)
        };
        named(track.await, "competitors.track")
    }

    async fn get(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<Competitor> {
        let select = query(own!("")).bind(id.to_uuid()).bind(user_id.to_uuid());
        about(self.one(select).await, "competitors.get", id)
    }

    async fn get_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Competitor> {
        let select = query(concat!(
            "select ",
            competitor_columns!(),
            " from public.competitors where user_id = $1 and asin = $2"
        ))
        .bind(user_id.to_uuid())
        .bind(asin.as_str());
        named(self.one(select).await, "competitors.get_by_asin")
    }

    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Competitor>> {
        named(self.page(user_id, &page).await, "competitors.list")
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor> {
        let updated = self.patch(user_id, id, &patch).await;
        about(updated, "competitors.update", id)
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()> {
        about(self.remove(user_id, id).await, "competitors.delete", id)
    }

    async fn record_price(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: Price,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        let point = PricePoint::new(price, at);
        let noted = again(|| self.note(user_id, id, &point)).await;
        about(noted, "competitors.record_price", id)
    }

    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        let mark = async {
            let at = time::to_millis(at);
            check_moment("lastChecked", at)?;
            let update = query(concat!(
                "update public.competitors set last_checked = greatest(last_checked, $3) \
                 where id = $1 and user_id = $2 returning ",
                competitor_columns!()
            ))
            .bind(id.to_uuid())
            .bind(user_id.to_uuid())
            .bind(Moment(at));
            self.one(update).await
        };
        about(mark.await, "competitors.mark_checked", id)
    }

    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        page: PageRequest,
    ) -> Result<Page<PricePoint>> {
        let found = self.history_page(user_id, id, range, &page).await;
        about(found, "competitors.history", id)
    }

    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<Competitor>> {
        named(self.due(before, limit).await, "competitors.due_for_check")
    }
}
