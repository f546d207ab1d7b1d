//! `/admin/users`.

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::query;
use uuid::Uuid;

use super::{Auth, answers::Refusal, passwords, users};

#[derive(Deserialize)]
pub(super) struct Page {
    page: Option<i64>,
    per_page: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Params {
    id: Option<String>,
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
    let (number, size) = (
        page.page.unwrap_or(1).max(1),
        page.per_page.unwrap_or(50).max(1),
    );
    let (users, count) = users::page(&auth.pool, number, size).await?;
    let count = [("x-total-count", count.to_string())];
    Ok((
        count,
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
          email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data, created_at, \
          updated_at) \
        values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', $2, \
          $3, case when $4 then now() end, $5, case when $6 then now() end, '', '', '', '', $7, $8, \
          now(), now())";
    query(insert)
        .bind(id)
        .bind(&email)
        .bind(hash)
        .bind(email.is_some() && params.email_confirm)
        .bind(&phone)
        .bind(phone.is_some() && params.phone_confirm)
        .bind(Value::from(app))
        .bind(Value::from(user))
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

pub(super) async fn update(
    State(auth): State<Auth>,
    Path(id): Path<String>,
    Json(params): Json<Params>,
) -> Result<Json<Value>, Refusal> {
    let id = id_of(&id)?;
    users::json(&auth.pool, id).await?.ok_or_else(not_found)?;
    if params.password.is_some() {
        // A hash is not looked at here.
        let only = Params {
            password_hash: None,
            ..params
        };
        let hash = hash_of(&only)?;
        let mut unit = auth.pool.begin().await?;
        let set = "update auth.users set encrypted_password = $2, updated_at = now() where id = $1";
        query(set).bind(id).bind(hash).execute(&mut *unit).await?;
        let end = query("delete from auth.sessions where user_id = $1");
        end.bind(id).execute(&mut *unit).await?;
        unit.commit().await?;
    } else if let Some(duration) = &params.ban_duration {
        let set = "update auth.users set banned_until = now() + make_interval(secs => $2 * 3600), \
                   updated_at = now() where id = $1";
        let set = query(set).bind(id).bind(hours(duration)?);
        set.execute(&auth.pool).await?;
    }
    let found = users::json(&auth.pool, id).await?;
    found.map(Json).ok_or_else(not_found)
}

pub(super) async fn delete(
    State(auth): State<Auth>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let delete = query("delete from auth.users where id = $1 returning id");
    let gone = delete.bind(id_of(&id)?).fetch_optional(&auth.pool).await?;
    gone.map(|_| Json(json!({}))).ok_or_else(not_found)
}
