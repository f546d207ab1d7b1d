use async_trait::async_trait;
use authorstack_core::{
    AuthId, Error, Extra, Identity, IdentityProvider, IdentityRepository, Result, time,
};
use authorstack_sql::get;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, postgres::PgRow, query};
use uuid::Uuid;

use super::store::SupabaseAccounts;
use crate::account_rows::{auth_id, uuid_of};

/// Rows of other services: an account's own address and number are rows there, too.
const OTHERS: &str = "i.provider not in ('email', 'phone')";

const COLUMNS: &str = "i.id, i.user_id, i.provider, i.provider_id, i.identity_data, \
     date_trunc('milliseconds', coalesce(i.created_at, i.updated_at, now())), \
     date_trunc('milliseconds', i.last_sign_in_at)";

/// What the server keeps beside what the other service says.
const SERVERS: [&str; 4] = ["sub", "email", "email_verified", "phone_verified"];

const PAGE: i64 = 500;

#[derive(Debug)]
pub(super) struct SupabaseIdentities(pub(super) SupabaseAccounts);

fn identity(row: &PgRow) -> Result<Identity> {
    let id: Uuid = get(row, 0)?;
    let read = || -> Result<Identity> {
        let data = match get::<Option<Value>>(row, 4)? {
            Some(Value::Object(data)) => data,
            _ => Map::new(),
        };
        let email = data.get("email").and_then(Value::as_str);
        let email = email.and_then(|email| email.parse().ok());
        let mut extra: Extra = data;
        extra.retain(|name, _| !SERVERS.contains(&name.as_str()));
        Ok(Identity {
            account_id: auth_id(get(row, 1)?)?,
            provider: get::<String>(row, 2)?.parse()?,
            subject: get(row, 3)?,
            email,
            created_at: get::<DateTime<Utc>>(row, 5)?,
            last_used_at: get(row, 6)?,
            extra,
        })
    };
    read().map_err(|error| Error::corrupt(error.kind().to_string()).for_record(id))
}

#[async_trait]
impl IdentityRepository for SupabaseIdentities {
    async fn create(&self, new: Identity) -> Result<Identity> {
        if matches!(new.provider.as_str(), "email" | "phone") {
            return Err(Error::invalid(
                "provider",
                "is no other service: addresses and numbers are fields of the account",
            ));
        }
        let id = uuid_of(&new.account_id)?;
        let mut data = new.extra.clone();
        data.insert("sub".to_owned(), new.subject.as_str().into());
        if let Some(email) = &new.email {
            data.insert("email".to_owned(), email.as_str().into());
        }
        let insert = format!(
            "with i as ( \
               insert into auth.identities (provider_id, user_id, identity_data, provider, \
                 created_at, updated_at, last_sign_in_at) \
               select $1, u.id, $3, $4, $5, now(), $6 from auth.users as u \
               where u.id = $2 and u.deleted_at is null \
               on conflict (provider_id, provider) do nothing returning *), \
             named as ( \
               update auth.users as u set raw_app_meta_data = \
                 coalesce(u.raw_app_meta_data, '{{}}') || jsonb_build_object('providers', ( \
                   select jsonb_agg(distinct name) from ( \
                     select jsonb_array_elements_text( \
                       case jsonb_typeof(u.raw_app_meta_data -> 'providers') when 'array' \
                         then u.raw_app_meta_data -> 'providers' else '[]' end) as name \
                     union all select $4) as names)) \
               from i where u.id = i.user_id) \
             select {COLUMNS} from i"
        );
        let insert = query(AssertSqlSafe(insert))
            .bind(new.subject.clone())
            .bind(id)
            .bind(Value::from(data))
            .bind(new.provider.as_str().to_owned())
            .bind(time::to_millis(new.created_at))
            .bind(new.last_used_at.map(time::to_millis));
        if let Some(row) = self.0.row(insert).await? {
            return identity(&row);
        }
        match self.get(&new.provider, &new.subject).await {
            Ok(there) if there.account_id == new.account_id => Ok(there),
            Ok(_) => Err(Error::already_exists("subject")),
            // No row was written, and none is there: there is no such account.
            Err(error) => Err(error),
        }
    }

    async fn get(&self, provider: &IdentityProvider, subject: &str) -> Result<Identity> {
        let select = format!(
            "select {COLUMNS} from auth.identities as i \
             where i.provider_id = $1 and i.provider = $2 and {OTHERS}"
        );
        let select = query(AssertSqlSafe(select)).bind(subject);
        let row = self.0.row(select.bind(provider.as_str())).await?;
        identity(&row.ok_or_else(Error::not_found)?)
    }

    async fn list(&self, account_id: &AuthId) -> Result<Vec<Identity>> {
        let Ok(id) = uuid_of(account_id) else {
            return Ok(Vec::new());
        };
        let select = format!(
            "select {COLUMNS} from auth.identities as i where i.user_id = $1 and {OTHERS} \
             order by i.created_at, i.id"
        );
        let rows = self.0.rows(query(AssertSqlSafe(select)).bind(id)).await?;
        rows.iter().map(identity).collect()
    }

    fn stream(&self) -> BoxStream<'static, Result<Identity>> {
        let select = format!(
            "select {COLUMNS} from auth.identities as i where i.id > $1 and {OTHERS} \
             order by i.id limit $2"
        );
        let start = Some((self.0.clone(), Uuid::nil()));
        let pages = stream::unfold(start, move |state| {
            let select = select.clone();
            async move {
                let (store, after) = state?;
                let page = query(AssertSqlSafe(select)).bind(after).bind(PAGE);
                let rows = match store.rows(page).await {
                    Ok(rows) => rows,
                    Err(error) => return Some((vec![Err(error)], None)),
                };
                let next = match rows.last().map(|row| get::<Uuid>(row, 0)) {
                    None => return None,
                    Some(Ok(last)) => Some((store, last)),
                    Some(Err(error)) => return Some((vec![Err(error)], None)),
                };
                Some((rows.iter().map(identity).collect(), next))
            }
        });
        pages.flat_map(stream::iter).boxed()
    }

    async fn delete(&self, provider: &IdentityProvider, subject: &str) -> Result<()> {
        let delete = format!(
            "delete from auth.identities as i \
             where i.provider_id = $1 and i.provider = $2 and {OTHERS} returning i.id"
        );
        let delete = query(AssertSqlSafe(delete)).bind(subject);
        let row = self.0.row(delete.bind(provider.as_str())).await?;
        row.map(drop).ok_or_else(Error::not_found)
    }
}
