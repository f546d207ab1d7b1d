//! Work that takes longer than a request.

use authorstack_core::queue::{Job, JobId, NewJob, payloads::RefreshRollups};
use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use super::sales::DayRange;
use crate::{
    answer::{Answer, JsonAnswer},
    app::App,
    auth::Authenticated,
    extract::{Path, Query},
    problem::Problem,
    schema::Refusals,
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(refresh, show))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/jobs/refresh", post(refresh))
        .route("/jobs/{id}", get(show))
}

/// A job that was accepted.
#[derive(Debug, Serialize, ToSchema)]
struct Accepted {
    /// Its id, for its progress.
    id: String,
}

/// Adds the user's sales up anew, in the background
#[utoipa::path(post, path = "/jobs/refresh", params(DayRange),
    responses((status = 202, body = Accepted), Refusals))]
async fn refresh(
    State(app): State<App>,
    who: Authenticated,
    Query(range): Query<DayRange>,
) -> Answer<(StatusCode, Json<Accepted>)> {
    let days = range.days(&who)?;
    let payload = RefreshRollups::new(who.user.id, days.first(), days.last());
    let id = app.queue.add(NewJob::of(&payload)?.attempts(3)).await?;
    let id = id.as_str().to_owned();
    Ok((StatusCode::ACCEPTED, Json(Accepted { id })))
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// `waiting`, `active`, `completed`, `failed`, …
    state: &'static str,
    /// In percent.
    progress: Value,
    /// What it answered.
    result: Option<Value>,
}

/// How far a job is
#[utoipa::path(get, path = "/jobs/{id}", params(("id" = String, Path)),
    responses((status = 200, body = Status), Refusals))]
async fn show(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<String>,
) -> JsonAnswer<Status> {
    let job = app.queue.get(&JobId::from(id)).await?;
    if !is_of(&job, &who) {
        return Err(Problem::not_found());
    }
    Ok(Json(Status {
        state: job.state.as_str(),
        progress: job.progress,
        result: job.returned,
    }))
}

/// Whether a job is the user's own.
fn is_of(job: &Job, who: &Authenticated) -> bool {
    let payload = job.payload::<RefreshRollups>();
    payload.is_ok_and(|payload| payload.user_id == who.user.id)
}
