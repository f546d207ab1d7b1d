//! Launch checklists and their tasks.

use authorstack_core::{
    Book, Checklist, ChecklistFilter, ChecklistPatch, ChecklistRepositoryExt as _, DueTask, Id,
    NewChecklist, NewTask, Page, TaskId,
    chrono::{DateTime, Utc},
    time,
};
use axum::{
    Json, Router,
    extract::State,
    routing::{delete, get, post, put},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use crate::{
    answer::{Answer, Created, JsonAnswer, NOTHING, Tagged},
    app::App,
    auth::Authenticated,
    extract::{Body, IfMatch, PageQuery, Path, Query},
    schema::{self, PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    list,
    create,
    show,
    change,
    remove,
    due,
    add_task,
    complete,
    reopen,
    remove_task
))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/checklists", get(list).post(create))
        .route("/checklists/{id}", get(show).patch(change).delete(remove))
        .route("/checklists/{id}/tasks", post(add_task))
        .route("/checklists/{id}/tasks/{task}", delete(remove_task))
        .route(
            "/checklists/{id}/tasks/{task}/done",
            put(complete).delete(reopen),
        )
        .route("/tasks/due", get(due))
}

/// Which checklists.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Those of this book.
    #[param(value_type = Option<String>)]
    book: Option<Id<Book>>,
}

/// The user's checklists
#[utoipa::path(get, path = "/checklists", params(Filter, PageQuery),
    responses((status = 200, body = PageOf<schema::Checklist>), Refusals))]
async fn list(
    State(app): State<App>,
    who: Authenticated,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<Checklist>> {
    let filter = ChecklistFilter {
        book_id: filter.book,
    };
    let page = app
        .stack
        .checklists()
        .list(who.user.id, filter, page.into());
    Ok(Json(page.await?))
}

/// Adds a checklist
#[utoipa::path(post, path = "/checklists", request_body = schema::NewChecklist,
    responses((status = 201, body = schema::Checklist), Refusals))]
async fn create(
    State(app): State<App>,
    who: Authenticated,
    Body(new): Body<NewChecklist>,
) -> Answer<Created<Tagged<Checklist>>> {
    let list = app.stack.checklists().create(who.user.id, new).await?;
    Ok(Created(Tagged(list)))
}

/// A checklist
#[utoipa::path(get, path = "/checklists/{id}", params(("id" = String, Path)),
    responses((status = 200, body = schema::Checklist), Refusals))]
async fn show(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Checklist>>,
) -> Answer<Tagged<Checklist>> {
    Ok(Tagged(app.stack.checklists().get(who.user.id, id).await?))
}

/// Renames a checklist
#[utoipa::path(patch, path = "/checklists/{id}", params(("id" = String, Path), ("if-match" = Option<String>, Header)),
    request_body = schema::ChecklistPatch, responses((status = 200, body = schema::Checklist), Refusals))]
async fn change(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Checklist>>,
    condition: IfMatch,
    Body(mut patch): Body<ChecklistPatch>,
) -> Answer<Tagged<Checklist>> {
    patch.expected_updated_at = condition.or(patch.expected_updated_at);
    let list = app.stack.checklists().update(who.user.id, id, patch).await;
    list.map(Tagged).map_err(|error| condition.judge(error))
}

/// Deletes a checklist
#[utoipa::path(delete, path = "/checklists/{id}", params(("id" = String, Path)),
    responses((status = 204), Refusals))]
async fn remove(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Checklist>>,
) -> Answer<StatusCode> {
    app.stack.checklists().delete(who.user.id, id).await?;
    Ok(NOTHING)
}

/// Until when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Until {
    /// Tasks that are due then or before; now without it.
    #[param(value_type = Option<String>)]
    until: Option<DateTime<Utc>>,
}

/// The open tasks that are due
#[utoipa::path(get, path = "/tasks/due", params(Until, PageQuery),
    responses((status = 200, body = PageOf<serde_json::Value>), Refusals))]
async fn due(
    State(app): State<App>,
    who: Authenticated,
    Query(until): Query<Until>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<DueTask>> {
    let until = until.until.unwrap_or_else(time::now);
    let page = app.stack.checklists().due(who.user.id, until, page.into());
    Ok(Json(page.await?))
}

/// Adds a task
#[utoipa::path(post, path = "/checklists/{id}/tasks", params(("id" = String, Path)),
    request_body = schema::NewTask, responses((status = 200, body = schema::Checklist), Refusals))]
async fn add_task(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Checklist>>,
    Body(new): Body<NewTask>,
) -> Answer<Tagged<Checklist>> {
    let list = app.stack.checklists().add_task(who.user.id, id, new);
    Ok(Tagged(list.await?))
}

/// Marks a task as done
#[utoipa::path(put, path = "/checklists/{id}/tasks/{task}/done", params(("id" = String, Path), ("task" = String, Path)),
    responses((status = 200, body = schema::Checklist), Refusals))]
async fn complete(
    State(app): State<App>,
    who: Authenticated,
    Path((id, task)): Path<(Id<Checklist>, TaskId)>,
) -> Answer<Tagged<Checklist>> {
    let lists = app.stack.checklists();
    let list = lists.complete_task(who.user.id, id, task, time::now());
    Ok(Tagged(list.await?))
}

/// Marks a task as not done
#[utoipa::path(delete, path = "/checklists/{id}/tasks/{task}/done", params(("id" = String, Path), ("task" = String, Path)),
    responses((status = 200, body = schema::Checklist), Refusals))]
async fn reopen(
    State(app): State<App>,
    who: Authenticated,
    Path((id, task)): Path<(Id<Checklist>, TaskId)>,
) -> Answer<Tagged<Checklist>> {
    let list = app.stack.checklists().reopen_task(who.user.id, id, task);
    Ok(Tagged(list.await?))
}

/// Removes a task
#[utoipa::path(delete, path = "/checklists/{id}/tasks/{task}", params(("id" = String, Path), ("task" = String, Path)),
    responses((status = 200, body = schema::Checklist), Refusals))]
async fn remove_task(
    State(app): State<App>,
    who: Authenticated,
    Path((id, task)): Path<(Id<Checklist>, TaskId)>,
) -> Answer<Tagged<Checklist>> {
    let list = app.stack.checklists().remove_task(who.user.id, id, task);
    Ok(Tagged(list.await?))
}
