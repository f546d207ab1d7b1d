//! Other users, as everyone may see them, and who follows whom.

use authorstack_core::{Follow, FollowCounts, Id, Page, PublicUser, User, UserRepositoryExt as _};
use axum::{
    Json, Router,
    extract::State,
    routing::{get, put},
};
use http::StatusCode;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::{
    answer::{Answer, JsonAnswer, NOTHING},
    app::App,
    auth::Authenticated,
    extract::{PageQuery, Path, Query},
    names::{self, Person},
    problem::Problem,
    schema::{PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(show, follow, unfollow, followers, following))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/users/{id}", get(show))
        .route("/users/{id}/follow", put(follow).delete(unfollow))
        .route("/users/{id}/followers", get(followers))
        .route("/users/{id}/following", get(following))
}

/// A user, as everyone may see them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Profile {
    #[serde(flatten)]
    #[schema(value_type = Person)]
    user: PublicUser,
    /// How many users follow them.
    followers: u64,
    /// How many users they follow.
    following: u64,
    /// Whether the signed-in user follows them.
    is_followed: bool,
}

/// A user
#[utoipa::path(get, path = "/users/{id}", params(("id" = String, Path)),
    responses((status = 200, body = Profile), Refusals))]
async fn show(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<User>>,
) -> JsonAnswer<Profile> {
    let follows = app.stack.follows();
    let ids = [id];
    let (user, counts, is_followed) = futures::try_join!(
        app.stack.users().list_public(&ids),
        follows.counts(id),
        follows.is_following(who.user.id, id),
    )?;
    let user = user.into_iter().next().ok_or_else(Problem::not_found)?;
    let FollowCounts {
        followers,
        following,
    } = counts;
    Ok(Json(Profile {
        user,
        followers,
        following,
        is_followed,
    }))
}

/// Follows a user
#[utoipa::path(put, path = "/users/{id}/follow", params(("id" = String, Path)),
    responses((status = 204), Refusals))]
async fn follow(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<User>>,
) -> Answer<StatusCode> {
    app.stack.follows().follow(who.user.id, id).await?;
    Ok(NOTHING)
}

/// Follows a user no longer
#[utoipa::path(delete, path = "/users/{id}/follow", params(("id" = String, Path)),
    responses((status = 204), Refusals))]
async fn unfollow(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<User>>,
) -> Answer<StatusCode> {
    app.stack.follows().unfollow(who.user.id, id).await?;
    Ok(NOTHING)
}

/// Who follows a user
#[utoipa::path(get, path = "/users/{id}/followers", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = PageOf<Person>), Refusals))]
async fn followers(
    State(app): State<App>,
    _who: Authenticated,
    Path(id): Path<Id<User>>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<PublicUser>> {
    let follows = app.stack.follows().followers(id, page.into()).await?;
    named(&app, follows, |follow| follow.follower_id).await
}

/// Whom a user follows
#[utoipa::path(get, path = "/users/{id}/following", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = PageOf<Person>), Refusals))]
async fn following(
    State(app): State<App>,
    _who: Authenticated,
    Path(id): Path<Id<User>>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<PublicUser>> {
    let follows = app.stack.follows().following(id, page.into()).await?;
    named(&app, follows, |follow| follow.author_id).await
}

async fn named(
    app: &App,
    follows: Page<Follow>,
    of: impl Fn(&Follow) -> Id<User>,
) -> JsonAnswer<Page<PublicUser>> {
    let names = names::of(app, follows.items.iter().map(&of)).await?;
    Ok(Json(follows.map(|follow| names.person(of(&follow)))))
}
