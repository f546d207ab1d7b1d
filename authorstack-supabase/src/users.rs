//! Users.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    AuthId, Email, Error, ErrorKind, Id, Listed, NewUser, Order, Page, PageRequest, Platform,
    Result, User, UserPatch, UserRepository,
    fields::{Fields as _, Patch as _},
    resilience::retry_on_conflict,
    time,
};
use authorstack_sql::{
    ArgumentWriter, Jsonb, Moment, arguments, check_moment, get, insert, postgres_micros, select,
    update,
};
use chrono::{DateTime, Utc};
use sqlx::{query, query_with};

use crate::store::{SupabaseStore, record, uuids};

#[derive(Debug)]
pub(crate) struct SupabaseUsers(pub(crate) SupabaseStore);

/// Sets `updated_at` to the moment `$2`, or later if it has already reached that moment.
const CHANGED: &str = "updated_at = greatest($2, updated_at + interval '1 millisecond')";

/// Changes the user `$1`. A condition begins with `and`.
fn change(set: &str, condition: &str) -> String {
    format!(
        "update public.users set {set}, {CHANGED} where id = $1 {condition} returning {}",
        User::columns()
    )
}

static INSERT: LazyLock<String> = LazyLock::new(insert::<User>);
static GET: LazyLock<String> = LazyLock::new(|| select::<User>("where id = $1"));
static GET_MANY: LazyLock<String> =
    LazyLock::new(|| select::<User>("where id = any ($1) order by id"));
static GET_BY_AUTH_ID: LazyLock<String> = LazyLock::new(|| select::<User>("where auth_id = $1"));
/// An account whose id is that of a profile has been moved with it, as `authorstack.user_id()` says.
static GET_BY_ACCOUNT: LazyLock<String> = LazyLock::new(|| {
    select::<User>("where id = $2 or auth_id = $1 order by (id = $2) desc limit 1")
});
static GET_BY_EMAIL: LazyLock<String> = LazyLock::new(|| select::<User>("where email = $1"));
static UPDATE: LazyLock<String> = LazyLock::new(|| {
    update::<UserPatch>(
        &format!("{CHANGED}, "),
        "id = $1 and ($3::timestamptz is null or updated_at = $3)",
        3,
    )
});
static ADD_CREDITS: LazyLock<String> = LazyLock::new(|| change("credits = credits + $3", ""));
static SPEND_CREDITS: LazyLock<String> =
    LazyLock::new(|| change("credits = credits - $3", "and credits >= $3"));
/// Platforms are the same in any case, and an entry keeps its spelling. The moment is JSON, as in
/// every entry. The rest of the entry is kept.
static CONNECT: LazyLock<String> = LazyLock::new(|| {
    change(
        "connected_platforms = case \
           when exists (select from jsonb_array_elements(connected_platforms) as entry \
                        where lower((entry ->> 'platform') collate \"C\") = $3) \
           then (select jsonb_agg(case when lower((entry ->> 'platform') collate \"C\") = $3 \
                                  then entry || jsonb_build_object('connectedAt', $4::jsonb) \
                                  else entry end order by place) \
                 from jsonb_array_elements(connected_platforms) with ordinality as entries (entry, place)) \
           else connected_platforms || jsonb_build_array( \
                 jsonb_build_object('platform', $3::text, 'connectedAt', $4::jsonb)) end",
        "",
    )
});
static DISCONNECT: LazyLock<String> = LazyLock::new(|| {
    change(
        "connected_platforms = coalesce((select jsonb_agg(entry order by place) \
           from jsonb_array_elements(connected_platforms) with ordinality as entries (entry, place) \
           where lower((entry ->> 'platform') collate \"C\") is distinct from $3), '[]')",
        "",
    )
});
/// Moments are compared as moments, since their texts differ in length and precision. PostgreSQL
/// cannot read the sign of years before Christ and after 9999.
static MARK_SYNCED: LazyLock<String> = LazyLock::new(|| {
    change(
        "connected_platforms = (select jsonb_agg( \
           case when lower((entry ->> 'platform') collate \"C\") = $3 \
             and case when entry ->> 'lastSync' like '-%' then true \
                  else coalesce(ltrim(entry ->> 'lastSync', '+')::timestamptz < $5, true) end \
           then entry || jsonb_build_object('lastSync', $4::jsonb) \
           else entry end order by place) \
         from jsonb_array_elements(connected_platforms) \
           with ordinality as entries (entry, place))",
        "and exists (select from jsonb_array_elements(connected_platforms) as entry \
                     where lower((entry ->> 'platform') collate \"C\") = $3)",
    )
});
// One statement for each case: a plan for "no cursor, or after it" would not use the index.
static OLDEST: LazyLock<String> = LazyLock::new(|| select::<User>("order by id limit $1"));
static OLDEST_BEHIND: LazyLock<String> =
    LazyLock::new(|| select::<User>("where id > $2 order by id limit $1"));
static NEWEST: LazyLock<String> = LazyLock::new(|| select::<User>("order by id desc limit $1"));
static NEWEST_BEHIND: LazyLock<String> =
    LazyLock::new(|| select::<User>("where id < $2 order by id desc limit $1"));

/// How often a call tries again if the balance changes meanwhile.
const ATTEMPTS: usize = 5;

impl SupabaseUsers {
    async fn exists(&self, id: Id<User>) -> Result<bool> {
        let found = query("select 1 from public.users where id = $1").bind(id.to_uuid());
        Ok(self.0.fetch_optional(found).await?.is_some())
    }
}

#[async_trait]
impl UserRepository for SupabaseUsers {
    async fn create(&self, user: NewUser) -> Result<User> {
        let user = user.into_user();
        let insert = query_with(INSERT.as_str(), arguments(&user)?);
        self.0.fetch_optional(insert).await?;
        Ok(user)
    }

    async fn get(&self, id: Id<User>) -> Result<User> {
        self.0.one(query(GET.as_str()).bind(id.to_uuid())).await
    }

    async fn get_many(&self, ids: &[Id<User>]) -> Result<Listed<User>> {
        if ids.is_empty() {
            return Ok(Listed::default());
        }
        self.0
            .listed(query(GET_MANY.as_str()).bind(uuids(ids)))
            .await
    }

    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User> {
        let profile = auth_id.as_str().parse().ok();
        let profile = profile.and_then(|account| Id::<User>::from_uuid(account).ok());
        let select = match profile {
            Some(id) => query(GET_BY_ACCOUNT.as_str())
                .bind(auth_id.as_str())
                .bind(id.to_uuid()),
            None => query(GET_BY_AUTH_ID.as_str()).bind(auth_id.as_str()),
        };
        self.0.one(select).await
    }

    async fn get_by_email(&self, email: &Email) -> Result<User> {
        let select = query(GET_BY_EMAIL.as_str()).bind(email.as_str());
        self.0.one(select).await
    }

    async fn list(&self, page: PageRequest) -> Result<Page<User>> {
        let after = page.after_uuid()?;
        let text = match (page.sort_order(), after) {
            (Order::OldestFirst, None) => &OLDEST,
            (Order::OldestFirst, Some(_)) => &OLDEST_BEHIND,
            (Order::NewestFirst, None) => &NEWEST,
            (Order::NewestFirst, Some(_)) => &NEWEST_BEHIND,
        };
        let mut select = query(text.as_str()).bind(i64::from(page.limit()) + 1);
        if let Some(after) = after {
            select = select.bind(after);
        }
        self.0.page(select, &page).await
    }

    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        let expected = patch.expected_updated_at;
        // No record has a moment that PostgreSQL cannot hold.
        if expected.is_none_or(|at| postgres_micros(at).is_some()) {
            let mut arguments = ArgumentWriter::default();
            arguments.push(id.to_uuid())?;
            arguments.push(Moment(time::now()))?;
            arguments.push(expected.map(Moment))?;
            patch.write(&mut arguments)?;
            let update = query_with(UPDATE.as_str(), arguments.into_arguments());
            if let Some(row) = self.0.fetch_optional(update).await? {
                return record(&row);
            }
        }
        Err(if expected.is_some() && self.exists(id).await? {
            Error::stale()
        } else {
            Error::not_found()
        })
    }

    async fn delete(&self, id: Id<User>) -> Result<()> {
        // The database deletes all their records in the same transaction, which also changes counts
        // of other people's posts: two such calls can conflict.
        retry_on_conflict(|| {
            let delete = query("delete from public.users where id = $1 returning 1");
            self.0.delete(delete.bind(id.to_uuid()))
        })
        .await
    }

    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        let update = query(ADD_CREDITS.as_str())
            .bind(id.to_uuid())
            .bind(Moment(time::now()))
            .bind(amount);
        self.0
            .one(update)
            .await
            .map_err(|error| match error.kind() {
                // SQLSTATE 22003; this statement has no other number.
                ErrorKind::Invalid { field, reason }
                    if field == "value" && reason.contains("larger") =>
                {
                    Error::invalid("amount", "the balance would be larger than can be stored")
                }
                _ => error,
            })
    }

    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        for _ in 0..ATTEMPTS {
            let update = query(SPEND_CREDITS.as_str())
                .bind(id.to_uuid())
                .bind(Moment(time::now()))
                .bind(amount);
            if let Some(row) = self.0.fetch_optional(update).await? {
                return record(&row);
            }
            let balance =
                query("select credits from public.users where id = $1").bind(id.to_uuid());
            let Some(row) = self.0.fetch_optional(balance).await? else {
                return Err(Error::not_found());
            };
            let balance: i64 = get(&row, 0)?;
            // If the balance is high enough now, credits were added in between: try again.
            if balance < amount {
                return Err(Error::new(ErrorKind::InsufficientCredits {
                    balance,
                    needed: amount,
                }));
            }
        }
        Err(Error::new(ErrorKind::Conflict {
            reason: "the balance keeps changing; repeat the call".into(),
        })
        .retryable(true))
    }

    async fn connect_platform(
        &self,
        id: Id<User>,
        platform: Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        let at = time::to_millis(at);
        let update = query(CONNECT.as_str())
            .bind(id.to_uuid())
            .bind(Moment(time::now()))
            .bind(platform.as_str())
            .bind(Jsonb(&at));
        self.0.one(update).await
    }

    async fn disconnect_platform(&self, id: Id<User>, platform: &Platform) -> Result<User> {
        let update = query(DISCONNECT.as_str())
            .bind(id.to_uuid())
            .bind(Moment(time::now()))
            .bind(platform.as_str());
        self.0.one(update).await
    }

    async fn mark_synced(
        &self,
        id: Id<User>,
        platform: &Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        let at = time::to_millis(at);
        check_moment("at", at)?;
        let update = query(MARK_SYNCED.as_str())
            .bind(id.to_uuid())
            .bind(Moment(time::now()))
            .bind(platform.as_str())
            .bind(Jsonb(&at))
            .bind(Moment(at));
        self.0.one(update).await
    }
}
