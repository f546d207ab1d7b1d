//! The user's own profile, and all that is theirs: as an export, and to be erased.

use authorstack_core::{Platform, User, UserPatch, time};
use axum::{
    Json, Router,
    extract::State,
    response::IntoResponse,
    routing::{get, put},
};
use http::header;
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::{
    answer::{Answer, JsonAnswer, Tagged},
    app::App,
    auth::Authenticated,
    export,
    extract::{Body, IfMatch, Path},
    problem::Problem,
    schema::{self, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(show, change, erase, export_all, connect, disconnect))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/me", get(show).patch(change).delete(erase))
        .route("/me/export", get(export_all))
        .route("/me/platforms/{platform}", put(connect).delete(disconnect))
}

/// The user's profile with the credits
#[utoipa::path(get, path = "/me", responses((status = 200, body = schema::User), Refusals))]
async fn show(who: Authenticated) -> Answer<Tagged<User>> {
    Ok(Tagged(who.user))
}

/// Changes name and preferences
#[utoipa::path(patch, path = "/me", params(("if-match" = Option<String>, Header)),
    request_body = schema::UserPatch, responses((status = 200, body = schema::User), Refusals))]
async fn change(
    State(app): State<App>,
    who: Authenticated,
    condition: IfMatch,
    Body(patch): Body<UserPatch>,
) -> Answer<Tagged<User>> {
    // The rest is not the user's to change: who they are, and what they have paid for.
    let patch = match patch {
        UserPatch {
            name,
            preferences,
            expected_updated_at,
            auth_id: None,
            auth_provider: None,
            email: None,
            subscription_tier: None,
        } => UserPatch {
            name,
            preferences,
            expected_updated_at: condition.or(expected_updated_at),
            ..UserPatch::default()
        },
        _ => {
            return Err(Problem::unreadable(
                "only name and preferences change here".to_owned(),
            ));
        }
    };
    let user = app.stack.users().update(who.user.id, patch).await;
    user.map(Tagged).map_err(|error| condition.judge(error))
}

/// Erases the user everywhere: account, profile, records
#[utoipa::path(delete, path = "/me", responses((status = 200, body = Value), Refusals))]
async fn erase(State(app): State<App>, who: Authenticated) -> JsonAnswer<Value> {
    let report = app.erasure.run(who.user.id).await?;
    let account = report.account.map(|erased| {
        json!({ "account": erased.account, "sessions": erased.sessions, "identities": erased.identities })
    });
    Ok(Json(json!({ "user": report.user, "account": account })))
}

/// All that is the user's, a record a line
#[utoipa::path(get, path = "/me/export",
    responses((status = 200, body = String, content_type = "application/x-ndjson"), Refusals))]
async fn export_all(State(app): State<App>, who: Authenticated) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"export.ndjson\"",
        ),
    ];
    (headers, export::body(app, who.user))
}

/// Connects a platform
#[utoipa::path(put, path = "/me/platforms/{platform}", params(("platform" = String, Path)),
    responses((status = 200, body = schema::User), Refusals))]
async fn connect(
    State(app): State<App>,
    who: Authenticated,
    Path(platform): Path<Platform>,
) -> Answer<Tagged<User>> {
    let users = app.stack.users();
    let user = users.connect_platform(who.user.id, platform, time::now());
    Ok(Tagged(user.await?))
}

/// Disconnects a platform
#[utoipa::path(delete, path = "/me/platforms/{platform}", params(("platform" = String, Path)),
    responses((status = 200, body = schema::User), Refusals))]
async fn disconnect(
    State(app): State<App>,
    who: Authenticated,
    Path(platform): Path<Platform>,
) -> Answer<Tagged<User>> {
    let user = app
        .stack
        .users()
        .disconnect_platform(who.user.id, &platform);
    Ok(Tagged(user.await?))
}
