//! `POST /token`: by password, and by refresh token.

use axum::{
    Json,
    extract::{Query, State},
    http::HeaderMap,
};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Row, query};
use uuid::Uuid;

use super::{Auth, answers::Refusal, passwords, users};

const LIFETIME: i64 = 3_600;

#[derive(Deserialize)]
pub(super) struct Grant {
    #[serde(default)]
    grant_type: String,
}

#[derive(Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    email: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    refresh_token: String,
}

/// `POST /token`.
pub(super) async fn token(
    State(auth): State<Auth>,
    Query(grant): Query<Grant>,
    headers: HeaderMap,
    Json(given): Json<Given>,
) -> Result<Json<Value>, Refusal> {
    let agent = headers.get("user-agent").and_then(|it| it.to_str().ok());
    match grant.grant_type.as_str() {
        "password" => by_password(&auth, &given, agent).await,
        "refresh_token" => by_refresh_token(&auth, &given.refresh_token).await,
        _ => Err(Refusal::new(
            400,
            "invalid_credentials",
            "unsupported_grant_type",
        )),
    }
}

/// The checks in the order of the real server.
async fn by_password(
    auth: &Auth,
    given: &Given,
    agent: Option<&str>,
) -> Result<Json<Value>, Refusal> {
    let wrong = || Refusal::new(400, "invalid_credentials", "Invalid login credentials");
    let by_email = !given.email.is_empty();
    let (column, value) = match (by_email, given.phone.is_empty()) {
        (true, true) => ("email", given.email.to_lowercase()),
        (false, false) => ("phone", given.phone.trim_start_matches('+').to_owned()),
        _ => {
            let message = "Only an email address or phone number should be provided on login.";
            return Err(Refusal::new(400, "validation_failed", message));
        }
    };
    let found = users::find(&auth.pool, column, &value)
        .await?
        .ok_or_else(wrong)?;
    if !found.is_readable {
        return Err(Refusal::new(
            500,
            "unexpected_failure",
            "Database error querying schema",
        ));
    }
    let hash = found
        .hash
        .filter(|hash| !hash.is_empty())
        .ok_or_else(wrong)?;
    if found.is_banned {
        return Err(Refusal::new(400, "user_banned", "User is banned"));
    }
    match passwords::is_right(&given.password, &hash) {
        Some(true) => {}
        Some(false) => return Err(wrong()),
        None => return Err(Refusal::new(500, "unexpected_failure", "unsupported hash")),
    }
    if passwords::is_outdated(&hash) {
        let anew = passwords::hash(&given.password);
        let anew = anew.ok_or_else(|| Refusal::new(500, "unexpected_failure", "too long"))?;
        let update = query("update auth.users set encrypted_password = $2 where id = $1");
        update.bind(found.id).bind(anew).execute(&auth.pool).await?;
    }
    if by_email && !found.has_email {
        return Err(Refusal::new(
            400,
            "email_not_confirmed",
            "Email not confirmed",
        ));
    }
    if !by_email && !found.has_phone {
        return Err(Refusal::new(
            400,
            "phone_not_confirmed",
            "Phone not confirmed",
        ));
    }
    begin(auth, found.id, agent).await
}

/// A token that changes with each use.
fn new_refresh_token() -> String {
    let mut token = Uuid::new_v4().simple().to_string();
    token.truncate(22);
    token
}

/// Begins a session.
async fn begin(auth: &Auth, id: Uuid, agent: Option<&str>) -> Result<Json<Value>, Refusal> {
    let (session, refresh) = (Uuid::new_v4(), new_refresh_token());
    let mut unit = auth.pool.begin().await?;
    let insert = "insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip) \
                  values ($1, $2, clock_timestamp(), clock_timestamp(), 'aal1', $3, '127.0.0.1')";
    let insert = query(insert).bind(session).bind(id).bind(agent);
    insert.execute(&mut *unit).await?;
    let insert = "insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, \
                    updated_at, session_id) \
                  values ('00000000-0000-0000-0000-000000000000', $1, $2, false, now(), now(), $3)";
    let insert = query(insert).bind(&refresh).bind(id.to_string());
    insert.bind(session).execute(&mut *unit).await?;
    let seen = "update auth.users set last_sign_in_at = now() where id = $1";
    query(seen).bind(id).execute(&mut *unit).await?;
    unit.commit().await?;
    tokens_of(auth, id, session, &refresh).await
}

/// A refresh token is good once. The one before the newest is answered with the newest: its answer
/// may have been lost.
async fn by_refresh_token(auth: &Auth, given: &str) -> Result<Json<Value>, Refusal> {
    let refused = |code, message| Refusal::new(400, code, message);
    let find = "select u.id, coalesce(u.banned_until > now(), false), t.session_id, t.revoked, \
                  (select n.token from auth.refresh_tokens as n \
                   where n.session_id = t.session_id and n.parent = t.token and not n.revoked) \
                from auth.refresh_tokens as t join auth.users as u on u.id::text = t.user_id \
                where t.token = $1 and u.deleted_at is null for update of t";
    let mut unit = auth.pool.begin().await?;
    let found = query(find).bind(given).fetch_optional(&mut *unit).await?;
    let found = found.ok_or(refused(
        "refresh_token_not_found",
        "Invalid Refresh Token: Refresh Token Not Found",
    ))?;
    let (id, is_banned, is_used): (Uuid, bool, bool) = (found.get(0), found.get(1), found.get(3));
    if is_banned {
        return Err(refused("user_banned", "Invalid Refresh Token: User Banned"));
    }
    let session: Uuid = found.get::<Option<Uuid>, _>(2).ok_or(refused(
        "session_not_found",
        "Invalid Refresh Token: No Valid Session Found",
    ))?;
    if is_used {
        let next: Option<String> = found.get(4);
        let next = next.ok_or(refused(
            "refresh_token_already_used",
            "Invalid Refresh Token: Already Used",
        ))?;
        return tokens_of(auth, id, session, &next).await;
    }
    let next = new_refresh_token();
    let revoke =
        "update auth.refresh_tokens set revoked = true, updated_at = now() where token = $1";
    query(revoke).bind(given).execute(&mut *unit).await?;
    let insert = "insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, \
                    updated_at, session_id, parent) \
                  values ('00000000-0000-0000-0000-000000000000', $1, $2, false, now(), now(), $3, $4)";
    let insert = query(insert).bind(&next).bind(id.to_string());
    insert.bind(session).bind(given).execute(&mut *unit).await?;
    let seen = "update auth.sessions set refreshed_at = now() at time zone 'utc', \
                updated_at = now() where id = $1";
    query(seen).bind(session).execute(&mut *unit).await?;
    unit.commit().await?;
    tokens_of(auth, id, session, &next).await
}

/// The tokens of a session.
async fn tokens_of(
    auth: &Auth,
    id: Uuid,
    session: Uuid,
    refresh: &str,
) -> Result<Json<Value>, Refusal> {
    let user = users::json(&auth.pool, id).await?.unwrap_or_default();
    let now = Utc::now().timestamp();
    let claims = json!({
        "iss": &*auth.issuer, "sub": id, "aud": "authenticated", "exp": now + LIFETIME, "iat": now,
        "email": user["email"], "phone": user["phone"], "app_metadata": user["app_metadata"],
        "user_metadata": user["user_metadata"], "role": "authenticated", "aal": "aal1",
        "amr": [{ "method": "password", "timestamp": now }], "session_id": session,
        "is_anonymous": user["is_anonymous"],
    });
    Ok(Json(json!({
        "access_token": auth.signing().sign(&claims), "token_type": "bearer", "expires_in": LIFETIME,
        "expires_at": now + LIFETIME, "refresh_token": refresh, "user": user,
    })))
}
