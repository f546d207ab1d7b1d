//! Sales: reports of platforms, and what they add up to.

use authorstack_core::{
    Days, Page, Platform, SalesFilter, SalesTotal, SyncLog, TotalsBy, chrono::NaiveDate, day_at,
    time,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::{
    answer::JsonAnswer,
    app::App,
    auth::Authenticated,
    extract::{PageQuery, Query, Raw},
    idempotency::IdempotencyKey,
    problem::Problem,
    report,
    schema::{self, PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(upload, totals, sync_logs))]
pub struct Doc;

/// The largest report.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The routes.
pub fn router() -> Router<App> {
    let upload = post(upload).layer(DefaultBodyLimit::max(MOST_BYTES));
    Router::new()
        .route("/sales/reports", upload)
        .route("/sales/totals", get(totals))
        .route("/sales/imports", get(sync_logs))
}

/// Whose report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Source {
    /// The platform, such as `kdp`.
    #[param(value_type = String)]
    platform: Platform,
}

/// What an import did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Sales that are new.
    inserted: u64,
    /// Sales with other figures than before.
    updated: u64,
    /// Sales that were there already.
    unchanged: u64,
    /// Sales that were refused, and why.
    rejected: Vec<String>,
    /// Days whose sums are not known, and why.
    gaps: Vec<String>,
}

/// Imports a report in CSV
///
/// The columns are `date`, `asin`, `marketplace`, `units`, `refunds`, `royalty`, `currency`, `kenp`; only
/// `date`, `asin`, `royalty` and `currency` are needed. Importing the same report again changes nothing.
#[utoipa::path(post, path = "/sales/reports", params(Source, ("idempotency-key" = Option<String>, Header)),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Imported), Refusals))]
async fn upload(
    State(app): State<App>,
    who: Authenticated,
    Query(from): Query<Source>,
    key: IdempotencyKey,
    Raw(csv): Raw,
) -> JsonAnswer<Imported> {
    let user = who.user.id;
    let lines = report::read(&csv)?;
    let sales = report::sales(&app, user, &from.platform, lines).await?;
    let import = async {
        let imported = app.ingest.run(user, &from.platform, sales, &app.conversion);
        let report = imported.await?;
        let rejected = report.rejected.iter();
        let gaps = report.refreshed.gaps.iter();
        Ok::<_, authorstack_core::Error>(Imported {
            inserted: report.counts.inserted,
            updated: report.counts.updated,
            unchanged: report.counts.unchanged,
            rejected: rejected
                .map(|sale| format!("{}: {}", sale.key, sale.reason))
                .collect(),
            gaps: gaps.map(ToString::to_string).collect(),
        })
    };
    key.once(&app, user, &csv, import).await
}

/// Days, both included.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DayRange {
    /// The first day; 29 days before the last without it.
    #[param(value_type = Option<String>, format = Date)]
    first: Option<NaiveDate>,
    /// The last day; the user's today without it.
    #[param(value_type = Option<String>, format = Date)]
    last: Option<NaiveDate>,
}

impl DayRange {
    /// The days, where the user is.
    ///
    /// # Errors
    /// Invalid for days that do not fit each other.
    pub fn days(&self, who: &Authenticated) -> Result<Days, Problem> {
        let timezone = who.user.preferences.timezone.as_deref().unwrap_or("UTC");
        // A time zone that an old app has stored may be none.
        let today = day_at(timezone, time::now()).unwrap_or_else(|_| time::now().date_naive());
        let last = self.last.unwrap_or(today);
        Ok(match self.first {
            Some(first) => Days::new(first, last)?,
            None => Days::up_to(last, 30),
        })
    }
}

/// By what to add up.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct By {
    /// `currency`, `day`, `week`, `month`, `platform`, `market` or `book`; `day` without it.
    #[param(value_type = Option<String>)]
    by: Option<TotalsBy>,
    /// Sales on this platform alone.
    #[param(value_type = Option<String>)]
    platform: Option<Platform>,
}

/// Sums of sales, in the document.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it stands for SalesTotal in the document")]
struct Total {
    /// What is added up, such as `{"platform": "kdp"}`.
    group: serde_json::Value,
    currency: String,
    revenue: String,
    units: i64,
    page_reads: i64,
}

/// Sums of sales, each in its currency
#[utoipa::path(get, path = "/sales/totals", params(DayRange, By),
    responses((status = 200, body = Vec<Total>), Refusals))]
async fn totals(
    State(app): State<App>,
    who: Authenticated,
    Query(range): Query<DayRange>,
    Query(By { by, platform }): Query<By>,
) -> JsonAnswer<Vec<SalesTotal>> {
    let filter = SalesFilter {
        platform,
        ..SalesFilter::of(range.days(&who)?)
    };
    let by = by.unwrap_or(TotalsBy::Day);
    let totals = app.stack.sales().totals(who.user.id, &filter, by).await?;
    Ok(Json(totals.items))
}

/// Which imports.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Those from this platform.
    #[param(value_type = Option<String>)]
    platform: Option<Platform>,
}

/// What became of the imports, the newest first
#[utoipa::path(get, path = "/sales/imports", params(Of, PageQuery),
    responses((status = 200, body = PageOf<schema::SyncLog>), Refusals))]
async fn sync_logs(
    State(app): State<App>,
    who: Authenticated,
    Query(of): Query<Of>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<SyncLog>> {
    let logs = app.stack.sync_logs();
    Ok(Json(
        logs.list(who.user.id, of.platform, page.into()).await?,
    ))
}
