//! Users.

use async_trait::async_trait;
use authorstack_core::{
    AuthId, Email, Error, ErrorKind, Id, NewUser, Order, Page, PageRequest, Platform, Result,
    SubscriptionTier, User, UserPatch, UserRepository, check_credits, time,
};
use chrono::{DateTime, Utc};
use sqlx::query;

use crate::{
    row::{self, Jsonb, Moment, check_moment, user_columns},
    store::{Statement, SupabaseStore, again},
};

/// `updated_at` of a change made at `$2` to the user `$1`: always later than before.
macro_rules! update_user {
    ($set:literal, $where:literal) => {
        concat!(
            "update public.users set ",
            $set,
            " updated_at = greatest($2, updated_at + interval '1 millisecond') where id = $1 ",
            $where,
            " returning ",
            user_columns!()
        )
    };
}

/// How often a call that found the balance changed under it looks again.
const ATTEMPTS: usize = 5;

#[derive(Debug)]
pub(crate) struct SupabaseUsers(pub(crate) SupabaseStore);

impl SupabaseUsers {
    async fn one(&self, statement: Statement<'_>) -> Result<User> {
        match self.0.fetch_optional(statement).await? {
            Some(row) => row::user(&row),
            None => Err(Error::not_found()),
        }
    }

    async fn exists(&self, id: Id<User>) -> Result<bool> {
        let found = query("select 1 from public.users where id = $1").bind(id.to_uuid());
        Ok(self.0.fetch_optional(found).await?.is_some())
    }

    async fn insert(&self, user: &User) -> Result<()> {
        let insert = query(concat!(
            "insert into public.users (",
            user_columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        ))
        .bind(user.id.to_uuid())
        .bind(user.auth_id.as_str())
        .bind(user.auth_provider.as_str())
        .bind(user.email.as_str())
        .bind(&user.name)
        .bind(user.subscription_tier.as_str())
        .bind(user.credits)
        .bind(Jsonb(&user.preferences))
        .bind(Jsonb(&user.connected_platforms))
        .bind(Moment(user.created_at))
        .bind(Moment(user.updated_at))
        .bind(Jsonb(&user.extra));
        self.0.fetch_optional(insert).await?;
        Ok(())
    }

    async fn patch(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        patch.check()?;
        let expected = patch.expected_updated_at;
        if expected.is_some_and(|moment| row::postgres_micros(moment).is_none()) {
            return Err(if self.exists(id).await? {
                Error::stale()
            } else {
                Error::not_found()
            });
        }
        let update = query(update_user!(
            "auth_id = coalesce($4, auth_id), auth_provider = coalesce($5, auth_provider), \
             email = coalesce($6, email), name = coalesce($7, name), \
             subscription_tier = coalesce($8, subscription_tier), \
             preferences = coalesce($9, preferences),",
            "and ($3::timestamptz is null or updated_at = $3)"
        ))
        .bind(id.to_uuid())
        .bind(Moment(time::now()))
        .bind(expected.map(Moment))
        .bind(patch.auth_id.as_ref().map(AuthId::as_str))
        .bind(patch.auth_provider.as_ref().map(AsRef::<str>::as_ref))
        .bind(patch.email.as_ref().map(Email::as_str))
        .bind(patch.name.as_deref())
        .bind(patch.subscription_tier.map(SubscriptionTier::as_str))
        .bind(patch.preferences.as_ref().map(Jsonb));
        match self.0.fetch_optional(update).await? {
            Some(row) => row::user(&row),
            None if expected.is_some() && self.exists(id).await? => Err(Error::stale()),
            None => Err(Error::not_found()),
        }
    }

    async fn add(&self, id: Id<User>, amount: i64) -> Result<User> {
        check_existing(check_credits(amount), || self.exists(id)).await?;
        let update = query(update_user!("credits = credits + $3,", ""))
            .bind(id.to_uuid())
            .bind(Moment(time::now()))
            .bind(amount);
        self.one(update).await.map_err(|error| match error.kind() {
            // 22003, and this statement has no other number.
            ErrorKind::Invalid { field, reason }
                if field == "value" && reason.contains("larger") =>
            {
                Error::invalid("amount", "the balance would be larger than can be stored")
            }
            _ => error,
        })
    }

    async fn spend(&self, id: Id<User>, amount: i64) -> Result<User> {
        check_existing(check_credits(amount), || self.exists(id)).await?;
        for _ in 0..ATTEMPTS {
            let update = query(update_user!("credits = credits - $3,", "and credits >= $3"))
                .bind(id.to_uuid())
                .bind(Moment(time::now()))
                .bind(amount);
            if let Some(row) = self.0.fetch_optional(update).await? {
                return row::user(&row);
            }
            let balance =
                query("select credits from public.users where id = $1").bind(id.to_uuid());
            let Some(row) = self.0.fetch_optional(balance).await? else {
                return Err(Error::not_found());
            };
            let balance: i64 = row::get(&row, 0)?;
            // Where it suffices by now, credits were added in between.
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
}

/// The model looks for the user before it looks at the amount.
async fn check_existing<F: Future<Output = Result<bool>>>(
    checked: Result<()>,
    exists: impl FnOnce() -> F,
) -> Result<()> {
    match checked {
        Ok(()) => Ok(()),
        Err(error) => Err(if exists().await? {
            error
        } else {
            Error::not_found()
        }),
    }
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

fn about<T>(result: Result<T>, operation: &'static str, id: Id<User>) -> Result<T> {
    result.map_err(|error| error.in_operation(operation).for_record(id))
}

#[async_trait]
impl UserRepository for SupabaseUsers {
    async fn create(&self, user: NewUser) -> Result<User> {
        let create = async {
            let user = user.into_user()?;
            self.insert(&user).await?;
            Ok(user)
        };
        named(create.await, "users.create")
    }

    async fn get(&self, id: Id<User>) -> Result<User> {
        let select = query(concat!(
            "select ",
            user_columns!(),
            " from public.users where id = $1"
        ));
        about(self.one(select.bind(id.to_uuid())).await, "users.get", id)
    }

    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User> {
        let select = query(concat!(
            "select ",
            user_columns!(),
            " from public.users where auth_id = $1"
        ));
        let found = self.one(select.bind(auth_id.as_str())).await;
        named(found, "users.get_by_auth_id")
    }

    async fn get_by_email(&self, email: &Email) -> Result<User> {
        let select = query(concat!(
            "select ",
            user_columns!(),
            " from public.users where email = $1"
        ));
        named(
            self.one(select.bind(email.as_str())).await,
            "users.get_by_email",
        )
    }

    async fn list(&self, page: PageRequest) -> Result<Page<User>> {
        let after = named(page.after_id::<User>(), "users.list")?.map(Id::to_uuid);
        let limit = i64::from(page.limit()) + 1;
        // One statement a case: a plan for "no cursor, or behind it" would not use the index.
        let select = match (page.sort_order(), after) {
            (Order::OldestFirst, None) => query(concat!(
                "select ",
                user_columns!(),
                " from public.users order by id limit $1"
            ))
            .bind(limit),
            (Order::OldestFirst, Some(after)) => query(concat!(
                "select ",
                user_columns!(),
                " from public.users where id > $2 order by id limit $1"
            ))
            .bind(limit)
            .bind(after),
            (Order::NewestFirst, None) => query(concat!(
                "select ",
                user_columns!(),
                " from public.users order by id desc limit $1"
            ))
            .bind(limit),
            (Order::NewestFirst, Some(after)) => query(concat!(
                "select ",
                user_columns!(),
                " from public.users where id < $2 order by id desc limit $1"
            ))
            .bind(limit)
            .bind(after),
        };
        let list = async {
            let rows = self.0.fetch_all(select).await?;
            let found: Vec<User> = rows.iter().map(row::user).collect::<Result<_>>()?;
            Ok(Page::from_one_more(found, page.limit(), |user| user.id))
        };
        named(list.await, "users.list")
    }

    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        about(self.patch(id, patch).await, "users.update", id)
    }

    async fn delete(&self, id: Id<User>) -> Result<()> {
        // All that is theirs goes with them, in the same transaction. Counts of other people's
        // posts change: two such calls may meet.
        let delete = || async move {
            let delete =
                query("delete from public.users where id = $1 returning 1").bind(id.to_uuid());
            match self.0.fetch_optional(delete).await? {
                Some(_) => Ok(()),
                None => Err(Error::not_found()),
            }
        };
        about(again(delete).await, "users.delete", id)
    }

    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        about(self.add(id, amount).await, "users.add_credits", id)
    }

    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        about(self.spend(id, amount).await, "users.spend_credits", id)
    }

    async fn connect_platform(
        &self,
        id: Id<User>,
        platform: Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        // The moment is JSON like every stored one; the rest of the entry stays as it is.
        let update = query(update_user!(
            "connected_platforms = case \
               when connected_platforms @> jsonb_build_array(jsonb_build_object('platform', $3::text)) \
               then (select jsonb_agg(case when entry ->> 'platform' = $3 \
                                      then entry || jsonb_build_object('connectedAt', $4::jsonb) \
                                      else entry end order by place) \
                     from jsonb_array_elements(connected_platforms) with ordinality as entries (entry, place)) \
               else connected_platforms || jsonb_build_array( \
                     jsonb_build_object('platform', $3::text, 'connectedAt', $4::jsonb)) end,",
            ""
        ))
        .bind(id.to_uuid())
        .bind(Moment(time::now()))
        .bind(platform.as_str());
        let at = time::to_millis(at);
        let result = self.one(update.bind(Jsonb(&at))).await;
        about(result, "users.connect_platform", id)
    }

    async fn disconnect_platform(&self, id: Id<User>, platform: &Platform) -> Result<User> {
        let update = query(update_user!(
            "connected_platforms = coalesce((select jsonb_agg(entry order by place) \
               from jsonb_array_elements(connected_platforms) with ordinality as entries (entry, place) \
               where entry ->> 'platform' is distinct from $3), '[]'),",
            ""
        ))
        .bind(id.to_uuid())
        .bind(Moment(time::now()))
        .bind(platform.as_str());
        about(self.one(update).await, "users.disconnect_platform", id)
    }

    async fn mark_synced(
        &self,
        id: Id<User>,
        platform: &Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        let at = time::to_millis(at);
        let sync = async {
            check_moment("at", at)?;
            // Moments are compared as moments: their texts differ in length and precision. Years
            // before Christ and after 9999 have a sign that PostgreSQL does not read.
            let update = query(update_user!(
                "connected_platforms = (select jsonb_agg( \
                   case when entry ->> 'platform' = $3 \
                     and case when entry ->> 'lastSync' like '-%' then true \
                          else coalesce(ltrim(entry ->> 'lastSync', '+')::timestamptz < $5, true) end \
                   then entry || jsonb_build_object('lastSync', $4::jsonb) \
                   else entry end order by place) \
                 from jsonb_array_elements(connected_platforms) \
                   with ordinality as entries (entry, place)),",
                "and connected_platforms @> jsonb_build_array(jsonb_build_object('platform', $3::text))"
            ))
            .bind(id.to_uuid())
            .bind(Moment(time::now()))
            .bind(platform.as_str())
            .bind(Jsonb(&at))
            .bind(Moment(at));
            self.one(update).await
        };
        about(sync.await, "users.mark_synced", id)
    }
}
