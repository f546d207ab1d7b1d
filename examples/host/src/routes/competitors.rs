//! Competitors' books and their prices.

use authorstack_core::{
    Competitor, CompetitorPatch, DateRange, Id, NewCompetitor, Page, Price, PricePoint,
    chrono::{DateTime, Utc},
    time,
};
use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use crate::{
    answer::{Answer, Created, JsonAnswer, NOTHING},
    app::App,
    auth::Authenticated,
    extract::{Body, PageQuery, Path, Query},
    schema::{self, PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(list, watch, show, change, remove, prices, record_price))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/competitors", get(list).post(watch))
        .route("/competitors/{id}", get(show).patch(change).delete(remove))
        .route("/competitors/{id}/prices", get(prices).post(record_price))
}

/// The competitors that the user watches
#[utoipa::path(get, path = "/competitors", params(PageQuery),
    responses((status = 200, body = PageOf<schema::Competitor>), Refusals))]
async fn list(
    State(app): State<App>,
    who: Authenticated,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<Competitor>> {
    let page = app.stack.competitors().list(who.user.id, page.into());
    Ok(Json(page.await?))
}

/// Watches a competitor
#[utoipa::path(post, path = "/competitors", request_body = schema::NewCompetitor,
    responses((status = 201, body = schema::Competitor), Refusals))]
async fn watch(
    State(app): State<App>,
    who: Authenticated,
    Body(new): Body<NewCompetitor>,
) -> Answer<Created<Json<Competitor>>> {
    let competitor = app.stack.competitors().create(who.user.id, new).await?;
    Ok(Created(Json(competitor)))
}

/// A competitor
#[utoipa::path(get, path = "/competitors/{id}", params(("id" = String, Path)),
    responses((status = 200, body = schema::Competitor), Refusals))]
async fn show(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Competitor>>,
) -> JsonAnswer<Competitor> {
    Ok(Json(app.stack.competitors().get(who.user.id, id).await?))
}

/// Changes what is known of a competitor
#[utoipa::path(patch, path = "/competitors/{id}", params(("id" = String, Path)),
    request_body = schema::CompetitorPatch, responses((status = 200, body = schema::Competitor), Refusals))]
async fn change(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Competitor>>,
    Body(patch): Body<CompetitorPatch>,
) -> JsonAnswer<Competitor> {
    let competitor = app.stack.competitors().update(who.user.id, id, patch);
    Ok(Json(competitor.await?))
}

/// Watches a competitor no longer
#[utoipa::path(delete, path = "/competitors/{id}", params(("id" = String, Path)),
    responses((status = 204), Refusals))]
async fn remove(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Competitor>>,
) -> Answer<StatusCode> {
    app.stack.competitors().delete(who.user.id, id).await?;
    Ok(NOTHING)
}

/// The prices that were seen
#[utoipa::path(get, path = "/competitors/{id}/prices", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = PageOf<schema::PricePoint>), Refusals))]
async fn prices(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Competitor>>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<PricePoint>> {
    let all = DateRange::default();
    let page = app
        .stack
        .competitors()
        .history(who.user.id, id, all, page.into());
    Ok(Json(page.await?))
}

/// A price, and when it was seen.
#[derive(Debug, Deserialize, ToSchema)]
struct Seen {
    #[schema(value_type = String)]
    price: Price,
    /// Now without it.
    #[schema(value_type = Option<String>, format = DateTime)]
    date: Option<DateTime<Utc>>,
}

/// Notes a price
#[utoipa::path(post, path = "/competitors/{id}/prices", params(("id" = String, Path)),
    request_body = Seen, responses((status = 200, body = schema::Competitor), Refusals))]
async fn record_price(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Competitor>>,
    Body(seen): Body<Seen>,
) -> JsonAnswer<Competitor> {
    let at = seen.date.unwrap_or_else(time::now);
    let competitors = app.stack.competitors();
    let competitor = competitors.record_price(who.user.id, id, seen.price, at);
    Ok(Json(competitor.await?))
}
