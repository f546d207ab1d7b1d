//! `POST /recover`: a link to set a new password.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Row, query};
use uuid::Uuid;

use super::{Auth, answers::Refusal};

#[derive(Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    email: String,
}

/// Answers alike for an address that nobody has. One account gets a link a minute.
pub(super) async fn recover(
    State(auth): State<Auth>,
    Json(given): Json<Given>,
) -> Result<Json<Value>, Refusal> {
    if !given.email.contains('@') {
        let message = "Unable to validate email address: invalid format";
        return Err(Refusal::new(400, "validation_failed", message));
    }
    let look = "select coalesce(recovery_sent_at > now() - interval '1 minute', false) \
                from auth.users where email = $1 and not is_sso_user";
    let look = query(look).bind(given.email.to_lowercase());
    let Some(found) = look.fetch_optional(&auth.pool).await? else {
        return Ok(Json(json!({})));
    };
    if found.try_get(0)? {
        let message = "For security purposes, you can only request this after 60 seconds.";
        return Err(Refusal::new(429, "over_email_send_rate_limit", message));
    }
    let note =
        "update auth.users set recovery_sent_at = now(), recovery_token = $2 where email = $1";
    let token = Uuid::new_v4().simple().to_string();
    let note = query(note).bind(given.email.to_lowercase()).bind(token);
    note.execute(&auth.pool).await?;
    Ok(Json(json!({})))
}
