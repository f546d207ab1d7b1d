//! Who has signed in, and signing out.

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
};
use chrono::Utc;
use serde::Deserialize;
use serde_json::Value;
use sqlx::query;
use uuid::Uuid;

use super::{Auth, answers::Refusal, bearer, users};

/// Who has shown a token.
struct Shown {
    id: Uuid,
    /// Tokens of a server of one's own may have none.
    session: Option<Uuid>,
    user: Value,
}

/// The bearer of a token: a session that has ended and a ban are seen.
async fn shown(auth: &Auth, headers: &HeaderMap) -> Result<Shown, Refusal> {
    let missing = Refusal::new(
        401,
        "no_authorization",
        "This endpoint requires a Bearer token",
    );
    let token = bearer(headers).ok_or(missing)?;
    let bad = || {
        Refusal::new(
            403,
            "bad_jwt",
            "invalid JWT: unable to parse or verify signature",
        )
    };
    let claims = auth.read(token).ok_or_else(bad)?;
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
    let session = uuid("session_id");
    if let Some(session) = session {
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
    Ok(Shown { id, session, user })
}

/// `GET /user`.
pub(super) async fn user(
    State(auth): State<Auth>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(shown(&auth, &headers).await?.user))
}

#[derive(Deserialize)]
pub(super) struct Scope {
    #[serde(default)]
    scope: String,
}

/// `POST /logout`: this session, the others, or all.
pub(super) async fn logout(
    State(auth): State<Auth>,
    Query(Scope { scope }): Query<Scope>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let Shown { id, session, .. } = shown(&auth, &headers).await?;
    if !["", "global", "local", "others"].contains(&scope.as_str()) {
        let message = "Unsupported logout scope";
        return Err(Refusal::new(400, "validation_failed", message));
    }
    let end = "delete from auth.sessions where user_id = $1 and case \
                 when $2::uuid is null then true \
                 when $3 = 'local' then id = $2 \
                 when $3 = 'others' then id <> $2 \
                 else true end";
    let end = query(end).bind(id).bind(session).bind(scope);
    end.execute(&auth.pool).await?;
    Ok(StatusCode::NO_CONTENT)
}
