use std::time::Duration;

use async_trait::async_trait;
use authorstack_core::{
    AccountPreferences, AccountPreferencesPatch, AuthId, Change, Error, ErrorKind,
    PreferencesRepository, Result, Theme,
};
use authorstack_sql::get;
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, postgres::PgRow, query};
use tokio::time::sleep;

use super::store::SupabaseAccounts;
use crate::account_rows::{auth_id, uuid_of};

const COLUMNS: &str = "p.user_id, p.theme, p.notifications, p.updated_at, p.extra";

/// The moment of a change: always later than before.
const MOVED: &str = "greatest(date_trunc('milliseconds', clock_timestamp()), \
     p.updated_at + interval '1 millisecond')";

#[derive(Debug)]
pub(super) struct SupabasePreferences(pub(super) SupabaseAccounts);

fn preferences(row: &PgRow) -> Result<AccountPreferences> {
    let id = auth_id(get(row, 0)?)?;
    let read = |id: &AuthId| -> Result<AccountPreferences> {
        let theme: Option<String> = get(row, 1)?;
        let theme: Option<Theme> = theme.map(|theme| theme.parse()).transpose()?;
        Ok(AccountPreferences {
            account_id: id.clone(),
            theme,
            notifications: get(row, 2)?,
            updated_at: get(row, 3)?,
            extra: match get::<Value>(row, 4)? {
                Value::Object(extra) => extra,
                _ => Map::new(),
            },
        })
    };
    read(&id).map_err(|error| Error::corrupt(error.kind().to_string()).for_record(&id))
}

#[async_trait]
impl PreferencesRepository for SupabasePreferences {
    async fn get(&self, account_id: &AuthId) -> Result<AccountPreferences> {
        let Ok(id) = uuid_of(account_id) else {
            return Ok(AccountPreferences::empty(account_id.clone()));
        };
        let select =
            format!("select {COLUMNS} from public.user_preferences as p where user_id = $1");
        let row = self.0.row(query(AssertSqlSafe(select)).bind(id)).await?;
        match row {
            Some(row) => preferences(&row),
            None => Ok(AccountPreferences::empty(account_id.clone())),
        }
    }

    async fn put(&self, new: AccountPreferences) -> Result<AccountPreferences> {
        let upsert = format!(
            "insert into public.user_preferences as p (user_id, theme, notifications, extra, \
               updated_at) \
             select u.id, $2, $3, $4, date_trunc('milliseconds', clock_timestamp()) \
             from auth.users as u where u.id = $1 and u.deleted_at is null \
             on conflict (user_id) do update set theme = excluded.theme, \
               notifications = excluded.notifications, extra = excluded.extra, updated_at = {MOVED} \
             returning {COLUMNS}"
        );
        let upsert = query(AssertSqlSafe(upsert))
            .bind(uuid_of(&new.account_id)?)
            .bind(new.theme.map(Theme::as_str))
            .bind(new.notifications)
            .bind(Value::from(new.extra));
        let row = self.0.row(upsert).await?;
        preferences(&row.ok_or_else(Error::not_found)?)
    }

    async fn update(
        &self,
        account_id: &AuthId,
        patch: AccountPreferencesPatch,
    ) -> Result<AccountPreferences> {
        let upsert = format!(
            "insert into public.user_preferences as p (user_id, theme, notifications, updated_at) \
             select u.id, $2, $4, date_trunc('milliseconds', clock_timestamp()) \
             from auth.users as u where u.id = $1 and u.deleted_at is null \
             on conflict (user_id) do update set \
               theme = case when $3 then excluded.theme else p.theme end, \
               notifications = case when $5 then excluded.notifications else p.notifications end, \
               updated_at = {MOVED} \
             returning {COLUMNS}"
        );
        let (theme, sets_theme) = parts(patch.theme);
        let (notifications, sets_notifications) = parts(patch.notifications);
        let upsert = query(AssertSqlSafe(upsert))
            .bind(uuid_of(account_id)?)
            .bind(theme.map(Theme::as_str))
            .bind(sets_theme)
            .bind(notifications)
            .bind(sets_notifications);
        let row = self.0.row(upsert).await?;
        preferences(&row.ok_or_else(Error::not_found)?)
    }

    fn watch(&self, account_id: AuthId) -> BoxStream<'static, Result<AccountPreferences>> {
        let watch = Watch {
            interval: self.0.inner().poll_interval,
            accounts: self.0.clone(),
            account_id,
            seen: None,
            has_ended: false,
        };
        stream::unfold(watch, Watch::next).boxed()
    }
}

/// The value, and whether it is to be set.
fn parts<T>(change: Change<T>) -> (Option<T>, bool) {
    match change {
        Change::Keep => (None, false),
        Change::Clear => (None, true),
        Change::Set(value) => (Some(value), true),
    }
}

/// Asks for the settings from time to time. That works behind every pooler, and needs no connection
/// of its own.
struct Watch {
    accounts: SupabaseAccounts,
    account_id: AuthId,
    interval: Duration,
    seen: Option<AccountPreferences>,
    has_ended: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<AccountPreferences>, Self)> {
        if self.has_ended {
            return None;
        }
        loop {
            match self.look().await {
                Ok(now) if self.seen.as_ref() != Some(&now) => {
                    self.seen = Some(now.clone());
                    return Some((Ok(now), self));
                }
                // A server that is down for a while is asked again.
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, "settings could not be read; they are asked for again");
                }
                Ok(_) => {}
                Err(error) => {
                    // What cannot be read now may be corrected.
                    self.has_ended = !matches!(error.kind(), ErrorKind::Corrupt { .. });
                    if self.has_ended {
                        return Some((Err(error), self));
                    }
                    tracing::debug!(%error, "settings cannot be read; they are asked for again");
                }
            }
            sleep(self.interval).await;
        }
    }

    async fn look(&self) -> Result<AccountPreferences> {
        let select = format!(
            "select {COLUMNS}, coalesce(u.banned_until > now(), false) from auth.users as u \
             left join public.user_preferences as p on p.user_id = u.id \
             where u.id = $1 and u.deleted_at is null"
        );
        let select = query(AssertSqlSafe(select)).bind(uuid_of(&self.account_id)?);
        let row = self.accounts.row(select).await?;
        let row = row.ok_or_else(Error::not_found)?;
        if get(&row, 5)? {
            return Err(Error::new(ErrorKind::PermissionDenied {
                reason: "the account is blocked".into(),
            }));
        }
        match get::<Option<uuid::Uuid>>(&row, 0)? {
            Some(_) => preferences(&row),
            None => Ok(AccountPreferences::empty(self.account_id.clone())),
        }
    }
}
