//! Marketplace boosts.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    Boost, BoostRepository, Done, Error, ErrorKind, Id, Listed, NewBoost, Page, PageRequest,
    Result, Unreadable, User, first_free_position, migrate::Stored as _,
    resilience::retry_on_conflict, time,
};
use authorstack_sql::{Moment, Unit, arguments, check_moment, get, insert, select};
use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, query, query_with};
use uuid::Uuid;

use crate::{
    error::user_label,
    store::{SupabaseStore, push_page, record},
};

/// The key of the transaction lock of purchases that look for a free position. Those that choose one
/// share it.
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
static MORE_OF_LEADERBOARD: LazyLock<String> =
    LazyLock::new(|| format!("{} offset $3", *LEADERBOARD));

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
        match wanted {
            Some(position) => lock_position(&mut unit, position).await?,
            None => boost.position = free_position(&mut unit, &boost).await?,
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

impl SupabaseBoosts {
    /// A rule of the table may be younger than a boost that breaks it. Such a boost cannot be
    /// changed; the others expire.
    async fn expire_one_by_one(&self, at: DateTime<Utc>) -> Result<Done> {
        let mut done = Done::default();
        let mut after = Uuid::nil();
        loop {
            let due = query(
                "select id from public.marketplace_boosts \
                 where active and expires_at <= $1 and id > $2 order by id limit 1000",
            );
            let due = due.bind(Moment(at)).bind(after);
            let rows = self.0.fetch_all(due).await?;
            for row in &rows {
                after = get(row, 0)?;
                let expire = query(
                    "update public.marketplace_boosts set active = false \
                     where id = $2 and active and expires_at <= $1 returning 1",
                );
                let expire = expire.bind(Moment(at)).bind(after);
                match self.0.fetch_optional(expire).await {
                    Ok(row) => done.count += u64::from(row.is_some()),
                    Err(error) => match error.kind() {
                        ErrorKind::Invalid { field, .. } => {
                            let id = Id::<Boost>::from_uuid(after);
                            let key = id.map_or_else(|_| after.to_string(), |id| id.to_string());
                            let fields = vec![field.clone().into_owned()];
                            let kind = Boost::KIND.as_str();
                            done.unreadable.push(Unreadable::new(kind, key, fields));
                        }
                        _ => return Err(error),
                    },
                }
            }
            if rows.is_empty() {
                return Ok(done);
            }
        }
    }
}

/// Lets one purchase at a time insert a position. An exclusion constraint is checked after the row is
/// inserted, so concurrent purchases would wait for each other's rows: a deadlock.
async fn lock_position(unit: &mut Unit<'_>, position: u32) -> Result<()> {
    let lock = query(
        "select pg_advisory_xact_lock_shared($1), \
         pg_advisory_xact_lock(hashint8extended($2, $1))",
    );
    let lock = lock.bind(POSITIONS_LOCK).bind(i64::from(position));
    unit.fetch_optional(lock).await?;
    Ok(())
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
        push_page(&mut select, &page)?;
        self.0.page(select.build(), &page).await
    }

    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Listed<Boost>> {
        check_moment("at", at)?;
        let first = |limit: i64| query(LEADERBOARD.as_str()).bind(Moment(at)).bind(limit);
        let more = |limit: i64, offset: i64| {
            query(MORE_OF_LEADERBOARD.as_str())
                .bind(Moment(at))
                .bind(limit)
                .bind(offset)
        };
        let limit = limit.clamp(1, PageRequest::MAX_LIMIT);
        self.0.first(limit, first, more).await
    }

    async fn expire_due(&self, at: DateTime<Utc>) -> Result<Done> {
        check_moment("at", at)?;
        let expire = query(
            "with expired as (\
               update public.marketplace_boosts set active = false \
               where active and expires_at <= $1 returning 1) \
             select count(*) from expired",
        )
        .bind(Moment(at));
        match self.0.fetch_optional(expire).await {
            Ok(row) => {
                let count: i64 = row.map_or(Ok(0), |row| get(&row, 0))?;
                Ok(count.unsigned_abs().into())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Invalid { .. }) => {
                self.expire_one_by_one(at).await
            }
            Err(error) => Err(error),
        }
    }
}
