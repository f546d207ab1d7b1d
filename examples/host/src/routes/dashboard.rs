//! The dashboard, insights and forecasts.

use authorstack_core::{
    Forecast, ForecastAccuracy, Insight, Page,
    services::{DashboardQuery, DashboardSummary},
    time,
};
use axum::{Json, Router, extract::State, routing::get};
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use super::sales::DayRange;
use crate::{
    answer::JsonAnswer,
    app::App,
    auth::Authenticated,
    extract::{PageQuery, Query},
    schema::{self, PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(summary, insights, forecasts, accuracy))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/dashboard", get(summary))
        .route("/insights", get(insights))
        .route("/forecasts", get(forecasts))
        .route("/forecasts/accuracy", get(accuracy))
}

/// Sums, in the document.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it stands for Sums in the document")]
struct Sums {
    revenue: String,
    units: i64,
    page_reads: i64,
}

/// A dashboard, in the document.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it stands for DashboardSummary in the document")]
struct Summary {
    days: Value,
    totals: Sums,
    previous: Sums,
    revenue_change: Option<String>,
    gaps: Vec<String>,
    series: Vec<Value>,
    books: Vec<Value>,
    platforms: Vec<Value>,
    #[schema(value_type = Vec<schema::Insight>)]
    insights: Vec<Insight>,
    #[schema(value_type = Vec<schema::Forecast>)]
    forecasts: Vec<Forecast>,
    accuracy: Accuracy,
}

/// How right forecasts were, in the document.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "it stands for ForecastAccuracy in the document")]
struct Accuracy {
    days: u64,
    mape: Option<String>,
    bias: Option<String>,
}

/// The dashboard of a range of days
#[utoipa::path(get, path = "/dashboard", params(DayRange),
    responses((status = 200, body = Summary), Refusals))]
async fn summary(
    State(app): State<App>,
    who: Authenticated,
    Query(range): Query<DayRange>,
) -> JsonAnswer<DashboardSummary> {
    let query = DashboardQuery::of(range.days(&who)?);
    Ok(Json(app.dashboard.summary(who.user.id, &query).await?))
}

/// The insights that are valid now
#[utoipa::path(get, path = "/insights", params(PageQuery),
    responses((status = 200, body = PageOf<schema::Insight>), Refusals))]
async fn insights(
    State(app): State<App>,
    who: Authenticated,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<Insight>> {
    let insights = app.stack.insights();
    let page = insights.list_valid(who.user.id, time::now(), page.into());
    Ok(Json(page.await?))
}

/// The forecasts of a range of days
#[utoipa::path(get, path = "/forecasts", params(DayRange),
    responses((status = 200, body = Vec<schema::Forecast>), Refusals))]
async fn forecasts(
    State(app): State<App>,
    who: Authenticated,
    Query(range): Query<DayRange>,
) -> JsonAnswer<Vec<Forecast>> {
    let forecasts = app.stack.forecasts().list(who.user.id, range.days(&who)?);
    Ok(Json(forecasts.await?.items))
}

/// How right the forecasts were
#[utoipa::path(get, path = "/forecasts/accuracy", params(DayRange),
    responses((status = 200, body = Accuracy), Refusals))]
async fn accuracy(
    State(app): State<App>,
    who: Authenticated,
    Query(range): Query<DayRange>,
) -> JsonAnswer<ForecastAccuracy> {
    let accuracy = app
        .stack
        .forecasts()
        .accuracy(who.user.id, range.days(&who)?);
    Ok(Json(accuracy.await?))
}
