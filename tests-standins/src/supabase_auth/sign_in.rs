use axum::{
    Json,
    extract::{Query, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::query;
use uuid::Uuid;

use super::{Auth, answers::Refusal, bearer, passwords, users};

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
}

/// `POST /token`: the checks in the order of the real server.
pub(super) async fn token(
    State(auth): State<Auth>,
    Query(grant): Query<Grant>,
    headers: HeaderMap,
    Json(given): Json<Given>,
) -> Result<Response, Refusal> {
    if grant.grant_type != "password" {
        return Err(Refusal::new(
            400,
            "invalid_credentials",
            "unsupported_grant_type",
        ));
    }
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
    let agent = headers.get("user-agent").and_then(|it| it.to_str().ok());
    begin(&auth, found.id, agent).await
}

/// Begins a session.
async fn begin(auth: &Auth, id: Uuid, agent: Option<&str>) -> Result<Response, Refusal> {
    let (session, refresh) = (Uuid::new_v4(), Uuid::new_v4().simple().to_string());
    let mut unit = auth.pool.begin().await?;
    let insert = "insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip) \
                  values ($1, $2, clock_timestamp(), clock_timestamp(), 'aal1', $3, '127.0.0.1')";
    let insert = query(insert).bind(session).bind(id).bind(agent);
    insert.execute(&mut *unit).await?;
    let insert = "insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, \
                    updated_at, session_id) \
                  values ('00000000-0000-0000-0000-000000000000', $1, $2, false, now(), now(), $3)";
    let insert = query(insert).bind(&refresh[..22]).bind(id.to_string());
    insert.bind(session).execute(&mut *unit).await?;
    let seen = "update auth.users set last_sign_in_at = now() where id = $1";
    query(seen).bind(id).execute(&mut *unit).await?;
    unit.commit().await?;
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
        "access_token": auth.signing.sign(&claims), "token_type": "bearer", "expires_in": LIFETIME,
        "expires_at": now + LIFETIME, "refresh_token": &refresh[..22], "user": user,
    }))
    .into_response())
}

/// `GET /user`: it sees sessions that have ended, and bans.
pub(super) async fn user(
    State(auth): State<Auth>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let missing = Refusal::new(
        401,
        "no_authorization",
        "This endpoint requires a Bearer token",
    );
    let token = bearer(&headers).ok_or(missing)?;
    let bad = || {
        Refusal::new(
            403,
            "bad_jwt",
            "invalid JWT: unable to parse or verify signature",
        )
    };
    let claims = auth.signing.read(token).ok_or_else(bad)?;
    if claims["exp"]
        .as_i64()
        .is_none_or(|end| end <= Utc::now().timestamp())
    {
        return Err(bad());
    }
    let uuid = |name: &str| claims[name].as_str().and_then(|id| id.parse::<Uuid>().ok());
    let id = uuid("sub").ok_or_else(bad)?;
    let user = users::json(&auth.pool, id).await?;
    let user = user.ok_or(Refusal::new(
        403,
        "user_not_found",
        "User from sub claim in JWT does not exist",
    ))?;
    if let Some(session) = uuid("session_id") {
        let look = query("select 1 from auth.sessions where id = $1 and user_id = $2");
        let found = look
            .bind(session)
            .bind(id)
            .fetch_optional(&auth.pool)
            .await?;
        if found.is_none() {
            let message = "Session from session_id claim in JWT does not exist";
            return Err(Refusal::new(403, "session_not_found", message));
        }
    }
    let banned = query("select 1 from auth.users where id = $1 and banned_until > now()");
    if banned.bind(id).fetch_optional(&auth.pool).await?.is_some() {
        return Err(Refusal::new(403, "user_banned", "User is banned"));
    }
    Ok(Json(user))
}
