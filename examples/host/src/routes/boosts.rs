//! Boosts of books, and the leaderboard that they make.

use std::collections::BTreeMap;

use authorstack_core::{Boost, NewBoost, Page, PublicBook, PublicUser, time};
use axum::{Json, Router, extract::State, routing::get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::{
    answer::{Answer, Created, JsonAnswer},
    app::App,
    auth::Authenticated,
    extract::{Body, PageQuery, Query},
    idempotency::IdempotencyKey,
    names::{self, Person},
    schema::{self, PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(list, purchase, leaderboard))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/boosts", get(list).post(purchase))
        .route("/leaderboard", get(leaderboard))
}

/// The user's boosts
#[utoipa::path(get, path = "/boosts", params(PageQuery),
    responses((status = 200, body = PageOf<schema::Boost>), Refusals))]
async fn list(
    State(app): State<App>,
    who: Authenticated,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<Boost>> {
    Ok(Json(
        app.stack.boosts().list(who.user.id, page.into()).await?,
    ))
}

/// Buys a boost for credits
///
/// Repeated with the same `Idempotency-Key`, it answers the first boost and spends nothing.
#[utoipa::path(post, path = "/boosts", params(("idempotency-key" = Option<String>, Header)),
    request_body = schema::NewBoost, responses((status = 201, body = schema::Boost), Refusals))]
async fn purchase(
    State(app): State<App>,
    who: Authenticated,
    key: IdempotencyKey,
    Body(mut new): Body<NewBoost>,
) -> Answer<Created<Json<Boost>>> {
    if let Some(id) = key.id(who.user.id) {
        new.id = id;
    }
    let boost = app.stack.boosts().purchase(who.user.id, new).await?;
    Ok(Created(Json(boost)))
}

/// How much of the leaderboard.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Top {
    /// How many positions at most; 10 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What everyone may see of a published book, in the document.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it stands for PublicBook in the document")]
struct PublicBookSchema {
    id: String,
    user_id: String,
    title: String,
    subtitle: Option<String>,
    author: Option<String>,
    cover_url: Option<String>,
}

/// A position of the leaderboard.
#[derive(Debug, Serialize, ToSchema)]
struct Place {
    #[schema(value_type = schema::Boost)]
    boost: Boost,
    /// The book; none while it is not published.
    #[schema(value_type = Option<PublicBookSchema>)]
    book: Option<PublicBook>,
    #[schema(value_type = Person)]
    author: PublicUser,
}

/// The leaderboard, the first position first
#[utoipa::path(get, path = "/leaderboard", params(Top),
    responses((status = 200, body = Vec<Place>), Refusals))]
async fn leaderboard(
    State(app): State<App>,
    _who: Authenticated,
    Query(top): Query<Top>,
) -> JsonAnswer<Vec<Place>> {
    let limit = top.limit.unwrap_or(10);
    let boosts = app.stack.boosts().leaderboard(time::now(), limit).await?;
    let ids: Vec<_> = boosts.iter().map(|boost| boost.book_id).collect();
    let (books, names) = futures::try_join!(
        app.stack.books().list_public(&ids),
        names::of(&app, boosts.iter().map(|boost| boost.user_id)),
    )?;
    let books: BTreeMap<_, _> = books.into_iter().map(|book| (book.id, book)).collect();
    let places = boosts.into_iter().map(|boost| Place {
        book: books.get(&boost.book_id).cloned(),
        author: names.person(boost.user_id),
        boost,
    });
    Ok(Json(places.collect()))
}
