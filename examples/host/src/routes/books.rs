//! A user's books.

use authorstack_core::{Book, BookFilter, BookPatch, BookStatus, Id, NewBook, Page, Platform};
use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::{
    answer::{Answer, Created, JsonAnswer, NOTHING, Tagged},
    app::App,
    auth::Authenticated,
    extract::{Body, IfMatch, PageQuery, Path, Query},
    schema::{self, PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(list, create, show, change, delete))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/books", get(list).post(create))
        .route("/books/{id}", get(show).patch(change).delete(delete))
}

/// Which books.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// `draft`, `published` or `archived`.
    #[param(value_type = Option<String>)]
    status: Option<BookStatus>,
    /// A platform that sells them.
    #[param(value_type = Option<String>)]
    platform: Option<Platform>,
    /// A genre, exactly as the author has written it.
    genre: Option<String>,
}

impl From<Filter> for BookFilter {
    fn from(filter: Filter) -> Self {
        let Filter {
            status,
            platform,
            genre,
        } = filter;
        Self {
            status,
            platform,
            genre,
        }
    }
}

/// A page of books, and how many there are on all pages.
#[derive(Debug, Serialize, ToSchema)]
struct Books {
    #[serde(flatten)]
    #[schema(value_type = PageOf<schema::Book>)]
    page: Page<Book>,
    /// How many books match.
    total: u64,
}

/// The user's books
#[utoipa::path(get, path = "/books", params(Filter, PageQuery),
    responses((status = 200, body = Books), Refusals))]
async fn list(
    State(app): State<App>,
    who: Authenticated,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Books> {
    let (books, filter) = (app.stack.books(), BookFilter::from(filter));
    let list = books.list(who.user.id, filter.clone(), page.into());
    let count = books.count(who.user.id, filter);
    let (page, total) = futures::try_join!(list, count)?;
    Ok(Json(Books { page, total }))
}

/// Adds a book
#[utoipa::path(post, path = "/books", request_body = schema::NewBook,
    responses((status = 201, body = schema::Book), Refusals))]
async fn create(
    State(app): State<App>,
    who: Authenticated,
    Body(new): Body<NewBook>,
) -> Answer<Created<Tagged<Book>>> {
    let book = app.stack.books().create(who.user.id, new).await?;
    Ok(Created(Tagged(book)))
}

/// A book
#[utoipa::path(get, path = "/books/{id}", params(("id" = String, Path)),
    responses((status = 200, body = schema::Book), Refusals))]
async fn show(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Book>>,
) -> Answer<Tagged<Book>> {
    Ok(Tagged(app.stack.books().get(who.user.id, id).await?))
}

/// Changes a book
#[utoipa::path(patch, path = "/books/{id}", params(("id" = String, Path), ("if-match" = Option<String>, Header)),
    request_body = schema::BookPatch, responses((status = 200, body = schema::Book), Refusals))]
async fn change(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Book>>,
    condition: IfMatch,
    Body(mut patch): Body<BookPatch>,
) -> Answer<Tagged<Book>> {
    patch.expected_updated_at = condition.or(patch.expected_updated_at);
    let book = app.stack.books().update(who.user.id, id, patch).await;
    book.map(Tagged).map_err(|error| condition.judge(error))
}

/// Deletes a book with its checklists and boosts
#[utoipa::path(delete, path = "/books/{id}", params(("id" = String, Path)),
    responses((status = 204), Refusals))]
async fn delete(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Book>>,
) -> Answer<StatusCode> {
    app.stack.books().delete(who.user.id, id).await?;
    Ok(NOTHING)
}
