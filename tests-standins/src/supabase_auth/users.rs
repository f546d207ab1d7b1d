//! Accounts as JSON.

use sqlx::{PgPool, Row, postgres::PgRow, query};
use uuid::Uuid;

use super::answers::Refusal;

/// A row of `auth.users` as the API shows it. What is not there is left out, as Go does it.
const USER: &str = "jsonb_strip_nulls(jsonb_build_object( \
    'id', u.id, 'aud', u.aud, 'role', u.role, 'email', coalesce(u.email, ''), \
    'email_confirmed_at', u.email_confirmed_at, 'phone', coalesce(u.phone, ''), \
    'phone_confirmed_at', u.phone_confirmed_at, 'confirmed_at', u.confirmed_at, \
    'last_sign_in_at', u.last_sign_in_at, \
    'app_metadata', coalesce(u.raw_app_meta_data, '{}'), \
    'user_metadata', coalesce(u.raw_user_meta_data, '{}'), \
    'identities', coalesce((select jsonb_agg(jsonb_build_object( \
        'identity_id', i.id, 'id', i.provider_id, 'user_id', i.user_id, \
        'identity_data', i.identity_data, 'provider', i.provider, \
        'last_sign_in_at', i.last_sign_in_at, 'created_at', i.created_at, \
        'updated_at', i.updated_at, 'email', i.email) order by i.created_at) \
      from auth.identities as i where i.user_id = u.id), '[]'), \
    'factors', (select jsonb_agg(jsonb_build_object( \
        'id', f.id, 'status', f.status, 'friendly_name', f.friendly_name, \
        'factor_type', f.factor_type, 'phone', f.phone, 'created_at', f.created_at, \
        'updated_at', f.updated_at, 'last_challenged_at', f.last_challenged_at) \
        order by f.created_at) from auth.mfa_factors as f where f.user_id = u.id), \
    'created_at', u.created_at, 'updated_at', u.updated_at, \
    'banned_until', u.banned_until, 'is_anonymous', u.is_anonymous))";

/// What signing in looks at.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: Uuid,
    pub(super) hash: Option<String>,
    pub(super) is_banned: bool,
    pub(super) has_email: bool,
    pub(super) has_phone: bool,
    /// What the server cannot read where a text is null.
    pub(super) is_readable: bool,
}

pub(super) async fn find(
    pool: &PgPool,
    column: &str,
    value: &str,
) -> Result<Option<Found>, Refusal> {
    let select = format!(
        "select u.id, u.encrypted_password, coalesce(u.banned_until > now(), false), \
           u.email_confirmed_at is not null, u.phone_confirmed_at is not null, \
           u.confirmation_token is not null and u.recovery_token is not null \
             and u.email_change_token_new is not null and u.email_change is not null \
         from auth.users as u \
         where u.{column} = $1 and u.instance_id = '00000000-0000-0000-0000-000000000000' \
           and u.aud = 'authenticated' and not u.is_sso_user and u.deleted_at is null"
    );
    let row = query(sqlx::AssertSqlSafe(select)).bind(value);
    let row = row.fetch_optional(pool).await?;
    Ok(row.map(|row: PgRow| Found {
        id: row.get(0),
        hash: row.get(1),
        is_banned: row.get(2),
        has_email: row.get(3),
        has_phone: row.get(4),
        is_readable: row.get(5),
    }))
}

/// The account as JSON.
pub(super) async fn json(pool: &PgPool, id: Uuid) -> Result<Option<serde_json::Value>, Refusal> {
    let select =
        format!("select {USER} from auth.users as u where u.id = $1 and u.deleted_at is null");
    let row = query(sqlx::AssertSqlSafe(select)).bind(id);
    let row = row.fetch_optional(pool).await?;
    Ok(row.map(|row| row.get(0)))
}

/// A page of accounts, and how many there are.
pub(super) async fn page(
    pool: &PgPool,
    page: i64,
    per_page: i64,
) -> Result<(Vec<serde_json::Value>, i64), Refusal> {
    let select = format!(
        "select {USER} from auth.users as u where u.deleted_at is null \
         order by u.created_at desc, u.id limit $1 offset $2"
    );
    let rows = query(sqlx::AssertSqlSafe(select)).bind(per_page);
    let rows = rows.bind((page - 1) * per_page).fetch_all(pool).await?;
    let count = query("select count(*) from auth.users where deleted_at is null");
    let count = count.fetch_one(pool).await?.get(0);
    Ok((rows.iter().map(|row| row.get(0)).collect(), count))
}
