//! `/admin/users`.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::query;
use uuid::Uuid;

use super::{Auth, answers::Refusal, passwords, users};

/// An empty text is as none.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    page: String,
    #[serde(default)]
    per_page: String,
}

#[derive(Deserialize)]
pub(super) struct Params {
    id: Option<String>,
    role: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    password_hash: Option<String>,
    #[serde(default)]
    email_confirm: bool,
    #[serde(default)]
    phone_confirm: bool,
    user_metadata: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
    ban_duration: Option<String>,
}

fn not_found() -> Refusal {
    Refusal::new(404, "user_not_found", "User not found")
}

fn id_of(text: &str) -> Result<Uuid, Refusal> {
    let id = text.parse().ok();
    id.ok_or(Refusal::new(
        404,
        "validation_failed",
        "user_id must be an UUID",
    ))
}

pub(super) async fn list(
    State(auth): State<Auth>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let bad = |_| Refusal::new(400, "validation_failed", "Bad Pagination Parameters");
    let number = |text: &str, otherwise: i64| match text {
        "" => Ok(otherwise),
        text => text.parse::<u32>().map(i64::from).map_err(bad),
    };
    let (number, size) = (number(&page.page, 1)?.max(1), number(&page.per_page, 50)?);
    if size == 0 {
        let message = "Bad Pagination Parameters: per_page must be greater than 0";
        return Err(Refusal::new(400, "validation_failed", message));
    }
    let (users, count) = users::page(&auth.pool, number, size).await?;
    let last = (count + size - 1) / size;
    let link = |number: i64, rel: &str| {
        format!("</admin/users?page={number}&per_page={size}>; rel=\"{rel}\"")
    };
    let next = (number < last).then(|| format!("{}, ", link(number + 1, "next")));
    let headers = [
        ("x-total-count", count.to_string()),
        ("link", next.unwrap_or_default() + &link(last, "last")),
    ];
    Ok((
        headers,
        Json(json!({ "users": users, "aud": "authenticated" })),
    )
        .into_response())
}

pub(super) async fn get(
    State(auth): State<Auth>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let found = users::json(&auth.pool, id_of(&id)?).await?;
    found.map(Json).ok_or_else(not_found)
}

/// The phone number as it is stored.
fn phone(text: &str) -> Result<String, Refusal> {
    let digits = text.trim_start_matches('+').replace(' ', "");
    let is_sound = (2..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if is_sound {
        Ok(digits)
    } else {
        Err(Refusal::new(
            400,
            "validation_failed",
            "Invalid phone number format (E.164 required)",
        ))
    }
}

fn hash_of(params: &Params) -> Result<Option<String>, Refusal> {
    match (&params.password, &params.password_hash) {
        (Some(_), Some(_)) => {
            let message = "Only a password or a password hash should be provided";
            Err(Refusal::new(400, "validation_failed", message))
        }
        (Some(password), None) if password.len() < 6 => {
            let message = "Password should be at least 6 characters.";
            Err(Refusal::new(422, "weak_password", message))
        }
        (Some(password), None) => {
            let hash = passwords::hash(password);
            let long = Refusal::new(
                400,
                "validation_failed",
                "Password cannot be longer than 72 characters",
            );
            hash.map(Some).ok_or(long)
        }
        (None, Some(hash)) => match passwords::is_right("", hash) {
            Some(_) => Ok(Some(hash.clone())),
            None => Err(Refusal::new(
                500,
                "unexpected_failure",
                "invalid password hash",
            )),
        },
        (None, None) => Ok(None),
    }
}

pub(super) async fn create(
    State(auth): State<Auth>,
    Json(params): Json<Params>,
) -> Result<Json<Value>, Refusal> {
    let id = match &params.id {
        Some(id) => {
            let id: Option<Uuid> = id.parse().ok();
            let id = id.filter(|id| !id.is_nil());
            id.ok_or(Refusal::new(
                400,
                "validation_failed",
                "ID is not a valid UUID",
            ))?
        }
        None => Uuid::new_v4(),
    };
    let email = params
        .email
        .as_deref()
        .filter(|it| !it.is_empty())
        .map(str::to_lowercase);
    let phone = params
        .phone
        .as_deref()
        .filter(|it| !it.is_empty())
        .map(phone)
        .transpose()?;
    if email.is_none() && phone.is_none() {
        let message = "Cannot create a user without either an email or phone";
        return Err(Refusal::new(400, "validation_failed", message));
    }
    if let Some(email) = &email
        && users::find(&auth.pool, "email", email).await?.is_some()
    {
        let message = "A user with this email address has already been registered";
        return Err(Refusal::new(422, "email_exists", message));
    }
    if let Some(phone) = &phone
        && users::find(&auth.pool, "phone", phone).await?.is_some()
    {
        let message = "A user with this phone number has already been registered";
        return Err(Refusal::new(422, "phone_exists", message));
    }
    let ban = params.ban_duration.as_deref().map(hours).transpose()?;
    // Without a password, the server invents one.
    let invented = || passwords::hash(&Uuid::new_v4().to_string());
    let hash = hash_of(&params)?.or_else(invented);
    let ways: Vec<&str> = [("email", email.is_some()), ("phone", phone.is_some())]
        .into_iter()
        .filter_map(|(way, there)| there.then_some(way))
        .collect();
    let mut app = params.app_metadata.unwrap_or_default();
    app.insert("provider".to_owned(), json!(ways.first()));
    app.insert("providers".to_owned(), json!(ways));
    let mut user = params.user_metadata.unwrap_or_default();
    if email.is_some() && params.email_confirm {
        user.insert("email_verified".to_owned(), true.into());
    }
    if phone.is_some() && params.phone_confirm {
        user.insert("phone_verified".to_owned(), true.into());
    }
    let mut unit = auth.pool.begin().await?;
    let insert = "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, \
          email_confirmed_at, phone, phone_confirmed_at, confirmation_token, recovery_token, \
          email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data, banned_until, \
          created_at, updated_at) \
        values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', \
          coalesce($10, 'authenticated'), $2, $3, case when $4 then now() end, $5, \
          case when $6 then now() end, '', '', '', '', $7, $8, \
          now() + make_interval(secs => $9 * 3600), now(), now())";
    query(insert)
        .bind(id)
        .bind(&email)
        .bind(hash)
        .bind(email.is_some() && params.email_confirm)
        .bind(&phone)
        .bind(phone.is_some() && params.phone_confirm)
        .bind(Value::from(app))
        .bind(Value::from(user))
        .bind(ban.flatten())
        .bind(&params.role)
        .execute(&mut *unit)
        .await?;
    for way in ways {
        let value = if way == "email" { &email } else { &phone };
        let data =
            json!({ "sub": id, way: value, "email_verified": false, "phone_verified": false });
        let insert = "insert into auth.identities (provider_id, user_id, identity_data, provider, \
                        created_at, updated_at) values ($1, $2, $3, $4, now(), now())";
        let insert = query(insert).bind(id.to_string()).bind(id);
        insert.bind(data).bind(way).execute(&mut *unit).await?;
    }
    unit.commit().await?;
    let made = users::json(&auth.pool, id).await?;
    made.map(Json).ok_or_else(not_found)
}

/// `ban_duration`: hours alone, which is what anybody sends, or `none`.
fn hours(duration: &str) -> Result<Option<f64>, Refusal> {
    if duration == "none" {
        return Ok(None);
    }
    let hours = duration
        .strip_suffix('h')
        .and_then(|hours| hours.parse().ok());
    let refused = Refusal::new(400, "validation_failed", "invalid format for ban duration");
    hours.map(Some).ok_or(refused)
}

/// Whether another account has this address or number.
async fn is_taken(auth: &Auth, id: Uuid, column: &str, value: &str) -> Result<bool, Refusal> {
    let found = users::find(&auth.pool, column, value).await?;
    Ok(found.is_some_and(|found| found.id != id))
}

/// A hash and an id are not looked at here. A value of null in the metadata removes the field.
pub(super) async fn update(
    State(auth): State<Auth>,
    Path(id): Path<String>,
    Json(params): Json<Params>,
) -> Result<Json<Value>, Refusal> {
    let id = id_of(&id)?;
    users::json(&auth.pool, id).await?.ok_or_else(not_found)?;
    let params = Params {
        password_hash: None,
        ..params
    };
    let hash = hash_of(&params)?;
    let ban = params.ban_duration.as_deref().map(hours).transpose()?;
    let given = |text: &Option<String>| text.clone().filter(|it| !it.is_empty());
    let email = given(&params.email).map(|it| it.to_lowercase());
    let phone = given(&params.phone).map(|it| phone(&it)).transpose()?;
    if let Some(email) = &email
        && is_taken(&auth, id, "email", email).await?
    {
        let message = "A user with this email address has already been registered";
        return Err(Refusal::new(422, "email_exists", message));
    }
    if let Some(phone) = &phone
        && is_taken(&auth, id, "phone", phone).await?
    {
        let message = "A user with this phone number has already been registered";
        return Err(Refusal::new(422, "phone_exists", message));
    }
    let mut unit = auth.pool.begin().await?;
    let set = "update auth.users set updated_at = now(), \
          encrypted_password = coalesce($2, encrypted_password), \
          banned_until = case when $3 then now() + make_interval(secs => $4 * 3600) \
            else banned_until end, \
          email = coalesce($5, email), phone = coalesce($6, phone), role = coalesce($7, role), \
          email_confirmed_at = case when $8 then coalesce(email_confirmed_at, now()) \
            else email_confirmed_at end, \
          phone_confirmed_at = case when $9 then coalesce(phone_confirmed_at, now()) \
            else phone_confirmed_at end, \
          raw_app_meta_data = case when $10::jsonb is null then raw_app_meta_data \
            else (select coalesce(jsonb_object_agg(key, value), '{}') \
              from jsonb_each(coalesce(raw_app_meta_data, '{}') || $10) \
              where value <> 'null') end, \
          raw_user_meta_data = case when $11::jsonb is null then raw_user_meta_data \
            else (select coalesce(jsonb_object_agg(key, value), '{}') \
              from jsonb_each(coalesce(raw_user_meta_data, '{}') || $11) \
              where value <> 'null') end \
        where id = $1";
    query(set)
        .bind(id)
        .bind(&hash)
        .bind(ban.is_some())
        .bind(ban.flatten())
        .bind(&email)
        .bind(&phone)
        .bind(given(&params.role))
        .bind(params.email_confirm)
        .bind(params.phone_confirm)
        .bind(params.app_metadata.map(Value::from))
        .bind(params.user_metadata.map(Value::from))
        .execute(&mut *unit)
        .await?;
    for (way, value) in [("email", &email), ("phone", &phone)] {
        let Some(value) = value else { continue };
        let data =
            json!({ "sub": id, way: value, "email_verified": false, "phone_verified": false });
        let upsert = "insert into auth.identities (provider_id, user_id, identity_data, provider, \
                        created_at, updated_at) values ($1, $2, $3, $4, now(), now()) \
                      on conflict (provider_id, provider) do update \
                        set identity_data = excluded.identity_data, updated_at = now()";
        let upsert = query(upsert).bind(id.to_string()).bind(id);
        upsert.bind(data).bind(way).execute(&mut *unit).await?;
    }
    if hash.is_some() {
        let end = query("delete from auth.sessions where user_id = $1");
        end.bind(id).execute(&mut *unit).await?;
    }
    unit.commit().await?;
    let found = users::json(&auth.pool, id).await?;
    found.map(Json).ok_or_else(not_found)
}

#[derive(Deserialize, Default)]
struct Deletion {
    #[serde(default)]
    should_soft_delete: bool,
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let deletion: Deletion = serde_json::from_slice(&body).unwrap_or_default();
    if deletion.should_soft_delete {
        let message = "The stand-in has no soft deletion";
        return Err(Refusal::new(500, "unexpected_failure", message));
    }
    let delete = query("delete from auth.users where id = $1 returning id");
    let gone = delete.bind(id_of(&id)?).fetch_optional(&auth.pool).await?;
    gone.map(|_| Json(json!({}))).ok_or_else(not_found)
}
