//! Rows of `auth.users` as accounts.

use authorstack_core::{
    Account, AuthId, AuthProvider, Error, ExportedAccount, PasswordHash, Result, StoredPassword,
};
use authorstack_sql::get;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::account_metadata as metadata;

/// The columns of an account, of `auth.users` under the name `u`.
pub(crate) const COLUMNS: &str = "u.id, u.email, u.email_confirmed_at is not null, u.phone, \
     u.phone_confirmed_at is not null, u.raw_user_meta_data, u.raw_app_meta_data, u.is_anonymous, \
     coalesce(u.banned_until > now(), false), \
     date_trunc('milliseconds', coalesce(u.created_at, u.updated_at, now())), \
     date_trunc('milliseconds', coalesce(u.updated_at, u.created_at, now())), \
     date_trunc('milliseconds', u.last_sign_in_at), \
     exists (select from auth.mfa_factors as f where f.user_id = u.id and f.status = 'verified')";

/// Whether the account has a factor that it can sign in with here.
pub(crate) const FACTOR: usize = 12;
/// The column behind them in an export.
pub(crate) const PASSWORD: usize = 13;

#[cfg_attr(
    not(feature = "auth"),
    allow(dead_code, reason = "repositories use it")
)]
/// `updated_at` of a change: always later than before.
pub(crate) const MOVED: &str = "greatest(date_trunc('milliseconds', clock_timestamp()), \
     date_trunc('milliseconds', u.updated_at) + interval '1 millisecond')";

#[cfg_attr(
    not(feature = "auth"),
    allow(dead_code, reason = "repositories use it")
)]
/// The id as the tables have it. Ids of other forms belong to nobody here.
pub(crate) fn uuid_of(id: &AuthId) -> Result<Uuid> {
    id.as_str().parse().map_err(|_| Error::not_found())
}

pub(crate) fn auth_id(id: Uuid) -> Result<AuthId> {
    id.to_string().parse()
}

/// Reads an account from a row that begins with [`COLUMNS`].
pub(crate) fn account(row: &PgRow) -> Result<Account> {
    let id: Uuid = get(row, 0)?;
    read(row, id).map_err(|error| {
        // A value that makes no sense is the row's fault, not the caller's.
        Error::corrupt(error.kind().to_string()).for_record(id)
    })
}

fn read(row: &PgRow, id: Uuid) -> Result<Account> {
    let email: Option<String> = get(row, 1)?;
    let phone: Option<String> = get(row, 3)?;
    let (name, prefs) = metadata::read_user(get::<Option<Value>>(row, 5)?);
    let app = metadata::read_app(get::<Option<Value>>(row, 6)?)?;
    let filled = |text: &String| !text.is_empty();
    let (email, phone) = (email.filter(filled), phone.filter(filled));
    // Here as elsewhere, one that signs in by an identity alone has neither.
    let has_neither = email.is_none() && phone.is_none();
    Ok(Account {
        id: auth_id(id)?,
        provider: AuthProvider::SUPABASE,
        email: email.map(|it| it.parse()).transpose()?,
        email_verified: get(row, 2)?,
        phone: phone
            .map(|digits| format!("+{digits}").parse())
            .transpose()?,
        phone_verified: get(row, 4)?,
        name,
        labels: app.labels,
        prefs,
        // The mark says that there was a factor at the service before.
        has_mfa: app.has_mfa || get(row, FACTOR)?,
        is_anonymous: get::<bool>(row, 7)? || has_neither,
        is_blocked: get(row, 8)?,
        old_id: app.old_id,
        created_at: get::<DateTime<Utc>>(row, 9)?,
        updated_at: get::<DateTime<Utc>>(row, 10)?,
        last_seen_at: get(row, 11)?,
        extra: app.extra,
    })
}

/// Reads an account with its password.
pub(crate) fn exported(row: &PgRow) -> Result<ExportedAccount> {
    let password: Option<String> = get(row, PASSWORD)?;
    Ok(ExportedAccount {
        account: account(row)?,
        password: match password.as_deref() {
            None | Some("") => StoredPassword::None,
            Some(hash) => match hash.parse::<PasswordHash>() {
                Ok(hash) => StoredPassword::Hash(hash),
                Err(error) => StoredPassword::Unknown {
                    problem: error.kind().to_string(),
                },
            },
        },
    })
}
