//! The settings of the account, also as they change.

use std::{convert::Infallible, time::Duration};

use authorstack_core::{AccountPreferences, AccountPreferencesPatch};
use axum::{
    Json, Router,
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures::{Stream, StreamExt};
use utoipa::OpenApi;

use crate::{
    answer::JsonAnswer,
    app::App,
    auth::Authenticated,
    extract::Body,
    problem::Problem,
    schema::{self, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(show, change, live))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/preferences", get(show).patch(change))
        .route("/preferences/live", get(live))
}

/// The account's settings
#[utoipa::path(get, path = "/preferences",
    responses((status = 200, body = schema::AccountPreferences), Refusals))]
async fn show(State(app): State<App>, who: Authenticated) -> JsonAnswer<AccountPreferences> {
    let preferences = app.stack.preferences();
    Ok(Json(preferences.get(&who.principal.account_id).await?))
}

/// Changes the account's settings
#[utoipa::path(patch, path = "/preferences", request_body = schema::AccountPreferencesPatch,
    responses((status = 200, body = schema::AccountPreferences), Refusals))]
async fn change(
    State(app): State<App>,
    who: Authenticated,
    Body(patch): Body<AccountPreferencesPatch>,
) -> JsonAnswer<AccountPreferences> {
    let preferences = app.stack.preferences();
    Ok(Json(
        preferences.update(&who.principal.account_id, patch).await?,
    ))
}

/// The account's settings now, and each time that they change: server-sent events
#[utoipa::path(get, path = "/preferences/live",
    responses((status = 200, body = String, content_type = "text/event-stream"), Refusals))]
async fn live(
    State(app): State<App>,
    who: Authenticated,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = app.live.preferences().watch(who.principal.account_id);
    let events = changes.map(|change| Ok(event(change)));
    // An open stream would hold up the end of the host.
    let events = events.take_until(async move { app.closing().await });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

fn event(change: authorstack_core::Result<AccountPreferences>) -> Event {
    let event = match change {
        Ok(preferences) => Event::default().event("preferences").json_data(preferences),
        Err(error) => Event::default()
            .event("problem")
            .json_data(Problem::from(error)),
    };
    event.unwrap_or_default()
}
