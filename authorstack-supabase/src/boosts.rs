//! Marketplace boosts.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    Boost, BoostRepository, Error, ErrorKind, Id, NewBoost, Page, PageRequest, Result, User,
    first_free_position, resilience::retry_on_conflict, time,
};
use authorstack_sql::{Moment, Unit, arguments, check_moment, get, insert, select};
use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, query, query_with};

use crate::{
    error::user_label,
    store::{SupabaseStore, push_page, record},
};

/// The key of the transaction lock of purchases that look for a free position.
const POSITIONS_LOCK: i64 = 0x6175_7468_6f72_0003;

#[derive(Debug)]
pub(crate) struct SupabaseBoosts(pub(crate) SupabaseStore);

static INSERT: LazyLock<String> = LazyLock::new(insert::<Boost>);
static PRESENT: LazyLock<String> = LazyLock::new(|| select::<Boost>("where id = $1"));
static GET: LazyLock<String> = LazyLock::new(|| select::<Boost>("where id = $1 and user_id = $2"));
static SELECT_OF_USER: LazyLock<String> = LazyLock::new(|| select::<Boost>("where user_id = "));
static LEADERBOARD: LazyLock<String> = LazyLock::new(|| {
    select::<Boost>(
        "where active and started_at <= $1 and expires_at > $1 order by position, id limit $2",
    )
});

impl SupabaseBoosts {
    /// The user's row is locked first, so purchases of one user run one after another.
    async fn buy(&self, user_id: Id<User>, new: &NewBoost) -> Result<Boost> {
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
        let present = query(PRESENT.as_str()).bind(new.id.to_uuid());
        if let Some(present) = unit.fetch_optional(present).await? {
            return new.repeated(user_id, record(&present)?);
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
        let mut boost = new.clone().into_boost(user_id, wanted.unwrap_or(1));
        if wanted.is_none() {
            boost.position = free_position(&mut unit, &boost).await?;
        }
        let insert = query_with(INSERT.as_str(), arguments(&boost)?);
        match unit.fetch_optional(insert).await {
            Ok(_) => {}
            Err(error) if position_was_taken(&error) => {
                let taken = Boost::position_taken(boost.position);
                // The position was free a moment ago, so another attempt may find a free one.
                return Err(taken.retryable(wanted.is_none()));
            }
            // Not this user's: their purchases follow each other.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                return Err(new.id_is_taken());
            }
            Err(error) => return Err(error),
        }
        unit.commit().await?;
        Ok(boost)
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

/// Whether the exclusion constraint refused the boost. The table has only one, on positions.
/// Repeating the call does not help.
fn position_was_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict { .. }) && !error.is_retryable()
}

#[async_trait]
impl BoostRepository for SupabaseBoosts {
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost> {
        check_moment("startedAt", boost.starts_at)?;
        retry_on_conflict(|| self.buy(user_id, &boost)).await
    }

    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost> {
        let select = query(GET.as_str())
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        self.0.one(select).await
    }

    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Boost>> {
        let mut select = QueryBuilder::new(SELECT_OF_USER.as_str());
        select.push_bind(user_id.to_uuid());
        push_page::<Boost>(&mut select, &page)?;
        let found = self.0.all::<Boost>(select.build()).await?;
        Ok(Page::from_one_more(found, page.limit(), |boost| boost.id))
    }

    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Vec<Boost>> {
        check_moment("at", at)?;
        let select = query(LEADERBOARD.as_str())
            .bind(Moment(at))
            .bind(i64::from(limit.clamp(1, PageRequest::MAX_LIMIT)));
        self.0.all(select).await
    }

    async fn expire_due(&self, at: DateTime<Utc>) -> Result<u64> {
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
