//! What is written to `auth.users`, in one statement or transaction each.

use authorstack_core::{
    Account, AccountPatch, AuthId, Email, Error, NewAccount, Result,
    secrecy::{ExposeSecret, SecretString},
    time,
};
use authorstack_sql::get;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, query};
use uuid::Uuid;

use super::{error, store::SupabaseAccounts};
use crate::account_metadata as metadata;
use crate::account_rows::{COLUMNS, MOVED, account};

/// The id of a new account.
pub(super) fn uuid_of_new(id: &AuthId) -> Result<Uuid> {
    let uuid: Option<Uuid> = id.as_str().parse().ok();
    uuid.filter(|uuid| !uuid.is_nil()).ok_or_else(|| {
        Error::invalid(
            "id",
            "is no UUID, and Supabase Auth takes no other id; leave it out",
        )
    })
}

/// Creates an account with a hash, or without a password. Where the server reads texts, they are
/// empty, never null: it could not sign the account in otherwise.
pub(super) async fn create(
    accounts: &SupabaseAccounts,
    new: &NewAccount,
    hash: Option<&SecretString>,
) -> Result<Account> {
    let id = match &new.id {
        Some(id) => uuid_of_new(id)?,
        None => random_id(),
    };
    let mut app = metadata::of_app(&metadata::Marks::of_new(new))?;
    let ways: Vec<&str> = [
        ("email", new.email.is_some()),
        ("phone", new.phone.is_some()),
    ]
    .into_iter()
    .filter_map(|(way, is_there)| is_there.then_some(way))
    .collect();
    if let Some(first) = ways.first() {
        app.insert("provider".to_owned(), (*first).into());
    }
    app.insert("providers".to_owned(), json!(ways));
    let insert = format!(
        "with u as ( \
           insert into auth.users (instance_id, id, aud, role, email, encrypted_password, \
             email_confirmed_at, phone, phone_confirmed_at, confirmation_token, recovery_token, \
             email_change_token_new, email_change, raw_user_meta_data, raw_app_meta_data, \
             created_at, updated_at, last_sign_in_at, is_anonymous) \
           values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', \
             $2, $3, case when $4 then $10 end, $5, case when $6 then $10 end, '', '', '', '', \
             $7, $8, $9, $10, $11, $12) \
           on conflict (id) do nothing returning *), \
         ways as ( \
           insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, \
             updated_at) \
           select u.id::text, u.id, jsonb_strip_nulls(jsonb_build_object('sub', u.id, \
               'email', case way when 'email' then u.email end, \
               'phone', case way when 'phone' then u.phone end, \
               'email_verified', way = 'email' and u.email_confirmed_at is not null, \
               'phone_verified', way = 'phone' and u.phone_confirmed_at is not null)), \
             way, u.created_at, u.updated_at \
           from u, unnest($13::text[]) as way) \
         select {COLUMNS} from u"
    );
    let now = time::now();
    let insert = query(AssertSqlSafe(insert))
        .bind(id)
        .bind(new.email.as_ref().map(Email::as_str))
        .bind(hash.map(ExposeSecret::expose_secret))
        .bind(new.email.is_some() && new.email_verified)
        .bind(new.phone.as_ref().map(|phone| phone.digits().to_owned()))
        .bind(new.phone.is_some() && new.phone_verified)
        .bind(metadata::of_user(&new.name, &new.prefs))
        .bind(Value::from(app))
        .bind(new.created_at.map_or(now, time::to_millis))
        .bind(now)
        .bind(new.last_seen_at.map(time::to_millis))
        .bind(new.is_anonymous)
        .bind(ways);
    let row = accounts.row(insert).await?;
    account(&row.ok_or_else(|| Error::already_exists("id"))?)
}

/// A random id, as Supabase Auth makes them: version 4.
fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// Changes an account. Its row is locked from the look to the change.
pub(super) async fn update(
    accounts: &SupabaseAccounts,
    id: Uuid,
    patch: &AccountPatch,
) -> Result<Account> {
    let mut unit = accounts.unit().await?;
    let look = format!(
        "select {COLUMNS} from auth.users as u where u.id = $1 and u.deleted_at is null for update"
    );
    let row = unit
        .fetch_optional(query(AssertSqlSafe(look)).bind(id))
        .await;
    let row = row.map_err(error::of_rows)?.ok_or_else(Error::not_found)?;
    let before = account(&row)?;
    let mut wanted = before.clone();
    patch.clone().apply(&mut wanted);
    wanted.check()?;
    let user: Value = match get::<Option<Value>>(&row, 5)? {
        // What the server keeps there stays.
        Some(Value::Object(there)) => {
            let mut kept = there;
            if let Some(prefs) = &patch.prefs {
                metadata::with_prefs(&mut kept, prefs);
            }
            match &patch.name {
                Some(name) if name.is_empty() => {
                    kept.remove("name");
                }
                Some(name) => {
                    kept.insert("name".to_owned(), name.as_str().into());
                }
                None => {}
            }
            kept.into()
        }
        _ => metadata::of_user(&wanted.name, &wanted.prefs),
    };
    let update = format!(
        "with changed as ( \
           update auth.users as u set email = $2, \
             email_confirmed_at = case when not $3 then null \
               when u.email is not distinct from $2 then coalesce(u.email_confirmed_at, now()) \
               else now() end, \
             phone = $4, \
             phone_confirmed_at = case when not $5 then null \
               when u.phone is not distinct from $4 then coalesce(u.phone_confirmed_at, now()) \
               else now() end, \
             raw_user_meta_data = $6, \
             raw_app_meta_data = case when cardinality($7::text[]) = 0 \
               then coalesce(u.raw_app_meta_data, '{{}}') - 'labels' \
               else coalesce(u.raw_app_meta_data, '{{}}') || jsonb_build_object('labels', $7) end, \
             updated_at = {MOVED} \
           where u.id = $1 returning u.*), \
         gone as ( \
           delete from auth.identities as i using changed as u where i.user_id = u.id \
             and (i.provider = 'email' and u.email is null \
               or i.provider = 'phone' and u.phone is null)), \
         ways as ( \
           insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, \
             updated_at) \
           select u.id::text, u.id, jsonb_strip_nulls(jsonb_build_object('sub', u.id, \
               'email', case way when 'email' then u.email end, \
               'phone', case way when 'phone' then u.phone end, \
               'email_verified', way = 'email' and u.email_confirmed_at is not null, \
               'phone_verified', way = 'phone' and u.phone_confirmed_at is not null)), \
             way, now(), now() \
           from changed as u, unnest(array['email', 'phone']) as way \
           where case way when 'email' then u.email else u.phone end is not null \
           on conflict (provider_id, provider) do update \
             set identity_data = auth.identities.identity_data || excluded.identity_data, \
               updated_at = excluded.updated_at) \
         select {COLUMNS} from changed as u"
    );
    let update = query(AssertSqlSafe(update))
        .bind(id)
        .bind(wanted.email.as_ref().map(|email| email.as_str().to_owned()))
        .bind(wanted.email_verified)
        .bind(wanted.phone.as_ref().map(|phone| phone.digits().to_owned()))
        .bind(wanted.phone_verified)
        .bind(user)
        .bind(&wanted.labels);
    let row = unit.fetch_optional(update).await.map_err(error::of_rows)?;
    let changed = account(&row.ok_or_else(Error::not_found)?)?;
    unit.commit().await?;
    Ok(changed)
}

/// Sets a hash, or takes the password away, and ends all sessions.
pub(super) async fn set_hash(
    accounts: &SupabaseAccounts,
    id: Uuid,
    hash: Option<&SecretString>,
) -> Result<()> {
    let update = format!(
        "with ended as (delete from auth.sessions where user_id = $1) \
         update auth.users as u set encrypted_password = $2, updated_at = {MOVED} \
         where u.id = $1 and u.deleted_at is null returning u.id"
    );
    let update = query(AssertSqlSafe(update)).bind(id);
    let row = accounts.row(update.bind(hash.map(ExposeSecret::expose_secret)));
    row.await?.map(drop).ok_or_else(Error::not_found)
}

/// Ends all sessions of an account. Their refresh tokens go with them.
pub(super) async fn end_sessions(accounts: &SupabaseAccounts, id: Uuid) -> Result<()> {
    let end = "with ended as (delete from auth.sessions where user_id = $1) \
               select id from auth.users where id = $1 and deleted_at is null";
    let row = accounts.row(query(end).bind(id)).await?;
    row.map(drop).ok_or_else(Error::not_found)
}
