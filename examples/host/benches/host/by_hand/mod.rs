//! The routes as one would write them without AuthorStack's repositories: queries, structs for rows
//! and for answers, one file for each store.

mod mongo;
mod postgres;

use anyhow::Result;
use authorstack_core::{AuthorStack, Days, services::DashboardSummary};
use authorstack_host::{app::App, auth, http_layers, settings::Settings};
use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, NaiveDate, Utc};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use mongo::Distributed;
pub(crate) use postgres::Supabase;

/// What the routes read.
pub(crate) trait Raw: Clone + Send + Sync + 'static {
    /// A user's key in the store of the documents.
    type User: Copy + Send + Sync;

    fn user(&self, account: &str) -> impl Future<Output = Result<Self::User>> + Send;
    fn books(&self, user: Self::User, limit: i64) -> impl Future<Output = Result<Books>> + Send;
    fn feed(&self, user: Self::User, limit: i64) -> impl Future<Output = Result<Feed>> + Send;
    fn dashboard(
        &self,
        user: Self::User,
        days: Days,
    ) -> impl Future<Output = Result<DashboardSummary>> + Send;
}

/// A page of books.
#[derive(Serialize)]
pub(crate) struct Books {
    items: Vec<Book>,
    next: Option<String>,
    total: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Book {
    id: String,
    user_id: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtitle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isbn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cover_url: Option<String>,
    genres: Vec<String>,
    platforms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_date: Option<DateTime<Utc>>,
    status: String,
    metadata: serde_json::Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A page of the feed.
#[derive(Serialize)]
pub(crate) struct Feed {
    items: Vec<Shown>,
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    post: Post,
    author: Person,
    like_count: i64,
    comment_count: i64,
    liked: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    id: String,
    author_id: String,
    content: String,
    attachments: serde_json::Value,
    visibility: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Clone, Serialize)]
struct Person {
    id: String,
    name: String,
}

/// Cuts off the record that only tells whether there are more.
fn next<T>(items: &mut Vec<T>, limit: i64, id: impl Fn(&T) -> &str) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or_default();
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    items.last().map(|last| id(last).to_owned())
}

/// A UUID's id in JSON: the UUIDs of this schema hold the ids of MongoDB.
fn hex<T>(uuid: Uuid) -> Result<String> {
    Ok(authorstack_core::Id::<T>::from_uuid(uuid)?.to_string())
}

#[derive(Clone)]
struct ByHand<S> {
    raw: S,
    /// Only for the accounts, and without a layer.
    accounts: AuthorStack,
}

/// The routes with everything around them that the host has.
pub(crate) fn router<S: Raw>(app: &App, raw: S, settings: &Settings) -> Router {
    let mut accounts = AuthorStack::builder();
    if let Some(memory) = &app.memory {
        accounts = accounts.accounts(memory);
    }
    let state = ByHand {
        raw,
        accounts: accounts.build(),
    };
    let routes = Router::new()
        .route("/books", get(books::<S>))
        .route("/posts", get(feed::<S>))
        .route("/dashboard", get(dashboard::<S>));
    let api = http_layers::limited(routes.with_state(state), app);
    http_layers::around(
        Router::new().nest("/api", api).with_state(app.clone()),
        settings,
    )
}

/// What went wrong; a benchmark has no use for problem details.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", self.0)).into_response()
    }
}

impl<S: Raw> ByHand<S> {
    async fn signed_in(&self, headers: &HeaderMap) -> Result<S::User> {
        let token = auth::token(headers)?;
        let principal = self.accounts.authenticator().authenticate(&token).await?;
        self.raw.user(principal.account_id.as_str()).await
    }
}

#[derive(Deserialize)]
struct Limit {
    limit: i64,
}

#[derive(Deserialize)]
struct Range {
    first: NaiveDate,
    last: NaiveDate,
}

async fn books<S: Raw>(
    State(by_hand): State<ByHand<S>>,
    headers: HeaderMap,
    Query(page): Query<Limit>,
) -> Result<Json<Books>, Failed> {
    let user = by_hand.signed_in(&headers).await?;
    Ok(Json(by_hand.raw.books(user, page.limit).await?))
}

async fn feed<S: Raw>(
    State(by_hand): State<ByHand<S>>,
    headers: HeaderMap,
    Query(page): Query<Limit>,
) -> Result<Json<Feed>, Failed> {
    let user = by_hand.signed_in(&headers).await?;
    Ok(Json(by_hand.raw.feed(user, page.limit).await?))
}

async fn dashboard<S: Raw>(
    State(by_hand): State<ByHand<S>>,
    headers: HeaderMap,
    Query(range): Query<Range>,
) -> Result<Json<DashboardSummary>, Failed> {
    let user = by_hand.signed_in(&headers).await?;
    let days = Days::new(range.first, range.last)?;
    Ok(Json(by_hand.raw.dashboard(user, days).await?))
}
