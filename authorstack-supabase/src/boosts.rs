//! Marketplace boosts.

use async_trait::async_trait;
use authorstack_core::{
    Boost, BoostRepository, Error, ErrorKind, Id, NewBoost, Page, PageRequest, Result, User,
    first_free_position, time,
};
use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, query};

use crate::{
    error::user_label,
    row::{self, Jsonb, Moment, boost_columns, check_moment, get},
    store::{SupabaseStore, Unit, again, push_page},
};

/// Of the transaction lock of purchases that look for a free position.
const POSITIONS_LOCK: i64 = 0x6175_7468_6f72_0003;

#[derive(Debug)]
pub(crate) struct SupabaseBoosts(pub(crate) SupabaseStore);

impl SupabaseBoosts {
    /// The user's row is locked first: purchases of one user follow each other.
    async fn buy(&self, user_id: Id<User>, new: &NewBoost) -> Result<Boost> {
        new.check()?;
        check_moment("startedAt", new.starts_at)?;
        let mut unit = self.0.unit().await?;
        let user = query("select credits from public.users where id = $1 for no key update")
            .bind(user_id.to_uuid());
        let user = unit.fetch_optional(user).await?;
        let user = user.ok_or_else(|| Error::not_found().for_record(user_label(user_id)))?;
        let balance: i64 = get(&user, 0)?;
        let book = query("select 1 from public.books where id = $1 and user_id = $2")
            .bind(new.book_id.to_uuid())
            .bind(user_id.to_uuid());
        if unit.fetch_optional(book).await?.is_none() {
            return Err(Error::not_found().for_record(format_args!("book {}", new.book_id)));
        }
        let present = query(concat!(
            "select ",
            boost_columns!(),
            " from public.marketplace_boosts where id = $1"
        ))
        .bind(new.id.to_uuid());
        if let Some(present) = unit.fetch_optional(present).await? {
            return new.repeated(user_id, row::boost(&present)?);
        }
        if balance < new.credits {
            return Err(Error::new(ErrorKind::InsufficientCredits {
                balance,
                needed: new.credits,
            }));
        }
        let pay = query(
            "update public.users set credits = credits - $2, \
             updated_at = greatest($3, updated_at + interval '1 millisecond') where id = $1",
        )
        .bind(user_id.to_uuid())
        .bind(new.credits)
        .bind(Moment(time::now()));
        unit.fetch_optional(pay).await?;
        let wanted = new.position;
        let mut boost = new.clone().into_boost(user_id, wanted.unwrap_or(1))?;
        if wanted.is_none() {
            boost.position = free_position(&mut unit, &boost).await?;
        }
        match insert(&mut unit, &boost).await {
            Ok(()) => {}
            Err(error) if position_was_taken(&error) => {
                let taken = Boost::position_taken(boost.position);
                // A position that was free a moment ago: there is another.
                return Err(taken.retryable(wanted.is_none()));
            }
            Err(error) => return Err(error),
        }
        unit.commit().await?;
        Ok(boost)
    }

    async fn find(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost> {
        let select = query(concat!(
            "select ",
            boost_columns!(),
            " from public.marketplace_boosts where id = $1 and user_id = $2"
        ))
        .bind(id.to_uuid())
        .bind(user_id.to_uuid());
        let row = self.0.fetch_optional(select).await?;
        row::boost(&row.ok_or_else(Error::not_found)?)
    }

    async fn page(&self, user_id: Id<User>, page: &PageRequest) -> Result<Page<Boost>> {
        let mut select = QueryBuilder::new(concat!(
            "select ",
            boost_columns!(),
            " from public.marketplace_boosts where user_id = "
        ));
        select.push_bind(user_id.to_uuid());
        push_page::<Boost>(&mut select, page)?;
        let rows = self.0.fetch_all(select.build()).await?;
        let found: Result<Vec<_>> = rows.iter().map(row::boost).collect();
        Ok(Page::from_one_more(found?, page.limit(), |boost| boost.id))
    }

    async fn board(&self, at: DateTime<Utc>, limit: u32) -> Result<Vec<Boost>> {
        check_moment("at", at)?;
        let select = query(concat!(
            "select ",
            boost_columns!(),
            " from public.marketplace_boosts \
             where active and started_at <= $1 and expires_at > $1 order by position, id limit $2"
        ))
        .bind(Moment(at))
        .bind(i64::from(limit.clamp(1, PageRequest::MAX_LIMIT)));
        let rows = self.0.fetch_all(select).await?;
        rows.iter().map(row::boost).collect()
    }

    async fn expire(&self, at: DateTime<Utc>) -> Result<u64> {
        check_moment("at", at)?;
        let expire = query(
            "with expired as (\
               update public.marketplace_boosts set active = false \
               where active and expires_at <= $1 returning 1) \
             select count(*) from expired",
        )
        .bind(Moment(at));
        let row = self.0.fetch_optional(expire).await?;
        let count: i64 = row.map_or(Ok(0), |row| get(&row, 0))?;
        Ok(count.unsigned_abs())
    }
}

async fn free_position(unit: &mut Unit<'_>, boost: &Boost) -> Result<u32> {
    let lock = query("select pg_advisory_xact_lock($1)").bind(POSITIONS_LOCK);
    unit.fetch_optional(lock).await?;
    let select = query(
        "select distinct position from public.marketplace_boosts \
         where active and tstzrange(started_at, expires_at) && tstzrange($1, $2)",
    )
    .bind(Moment(boost.started_at))
    .bind(Moment(boost.expires_at));
    let mut taken = Vec::new();
    for row in unit.fetch_all(select).await? {
        let position: i64 = get(&row, 0)?;
        taken.extend(u32::try_from(position));
    }
    Ok(first_free_position(taken))
}

async fn insert(unit: &mut Unit<'_>, boost: &Boost) -> Result<()> {
    let insert = query(concat!(
        "insert into public.marketplace_boosts (",
        boost_columns!(),
        ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    ))
    .bind(boost.id.to_uuid())
    .bind(boost.book_id.to_uuid())
    .bind(boost.user_id.to_uuid())
    .bind(i64::from(boost.duration_days))
    .bind(i64::from(boost.position))
    .bind(boost.credits_spent)
    .bind(boost.active)
    .bind(Moment(boost.started_at))
    .bind(Moment(boost.expires_at))
    .bind(Jsonb(&boost.extra));
    unit.fetch_optional(insert).await.map(drop)
}

/// The exclusion constraint's refusal, which no repetition of the call changes.
fn position_was_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict { .. }) && !error.is_retryable()
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

#[async_trait]
impl BoostRepository for SupabaseBoosts {
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost> {
        named(again(|| self.buy(user_id, &boost)).await, "boosts.purchase")
    }

    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost> {
        let found = self.find(user_id, id).await;
        found.map_err(|error| error.in_operation("boosts.get").for_record(id))
    }

    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Boost>> {
        named(self.page(user_id, &page).await, "boosts.list")
    }

    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Vec<Boost>> {
        named(self.board(at, limit).await, "boosts.leaderboard")
    }

    async fn expire_due(&self, at: DateTime<Utc>) -> Result<u64> {
        named(self.expire(at).await, "boosts.expire_due")
    }
}
