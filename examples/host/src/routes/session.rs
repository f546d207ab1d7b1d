//! Signing in and out.
//!
//! On MongoDB with Appwrite and on Supabase, the client signs in at that service and sends the token
//! that it got there. In memory the host itself is the service.

use authorstack_core::{
    Email, SessionId, User,
    chrono::{DateTime, Utc},
};
use axum::{Json, Router, extract::State, routing::post};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use crate::{
    answer::{Answer, Created, JsonAnswer, NOTHING},
    app::App,
    auth::Authenticated,
    extract::Body,
    problem::Problem,
    schema::{self, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(sign_in, show, sign_out))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new().route("/session", post(sign_in).get(show).delete(sign_out))
}

/// An address and a password.
#[derive(Debug, Deserialize, ToSchema)]
struct Credentials {
    /// The e-mail address.
    #[schema(value_type = String)]
    email: Email,
    /// The password.
    #[schema(value_type = String)]
    password: SecretText,
}

/// A text that `Debug` does not show.
#[derive(Debug)]
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// What the client shows from now on.
#[derive(Serialize, ToSchema)]
struct Token {
    /// The token, for the header `Authorization: Bearer …`.
    token: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignedIn {
    /// The profile.
    #[schema(value_type = schema::User)]
    user: User,
    /// The session, where the token names it.
    #[schema(value_type = Option<String>)]
    session_id: Option<SessionId>,
    /// When the token ends.
    #[schema(value_type = Option<String>)]
    expires_at: Option<DateTime<Utc>>,
}

/// Signs in, on the backend in memory
#[utoipa::path(post, path = "/session", request_body = Credentials, security(()),
    responses((status = 201, body = Token), Refusals))]
async fn sign_in(
    State(app): State<App>,
    Body(given): Body<Credentials>,
) -> Answer<Created<Json<Token>>> {
    let memory = app.memory.clone().ok_or_else(elsewhere)?;
    // It hashes the password, which takes a while.
    let signing_in = tokio::task::spawn_blocking(move || {
        memory.sign_in(&given.email, given.password.0.expose_secret())
    });
    let token = signing_in
        .await
        .map_err(|_| authorstack_core::Error::internal("signing in has failed"))??;
    let token = token.expose().to_owned();
    Ok(Created(Json(Token { token })))
}

fn elsewhere() -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "unsupported",
        "sign in at the accounts' own service, and send its token",
    )
}

/// Who is signed in
#[utoipa::path(get, path = "/session", responses((status = 200, body = SignedIn), Refusals))]
async fn show(who: Authenticated) -> JsonAnswer<SignedIn> {
    Ok(Json(SignedIn {
        user: who.user,
        session_id: who.principal.session_id,
        expires_at: who.principal.expires_at,
    }))
}

/// Signs out
#[utoipa::path(delete, path = "/session", responses((status = 204), Refusals))]
async fn sign_out(State(app): State<App>, who: Authenticated) -> Answer<StatusCode> {
    let sessions = app.stack.sessions();
    match &who.principal.session_id {
        Some(session) => sessions.revoke(&who.principal.account_id, session).await?,
        None => sessions.revoke_all(&who.principal.account_id).await?,
    }
    Ok(NOTHING)
}
