//! The community: the feed, likes, comments.

use authorstack_core::{
    Comment, CommentId, Feed, Id, NewPost, Page, Post, PostPatch, PostView, PublicUser, User,
};
use axum::{
    Json, Router,
    extract::State,
    routing::{delete, get, put},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::{
    answer::{Answer, Created, JsonAnswer, NOTHING, Tagged},
    app::App,
    auth::Authenticated,
    extract::{Body, IfMatch, PageQuery, Path, Query},
    names::{self, Person},
    schema::{self, PageOf, Refusals},
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    feed,
    write,
    show,
    change,
    remove,
    like,
    unlike,
    comments,
    comment,
    remove_comment
))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/posts", get(feed).post(write))
        .route("/posts/{id}", get(show).patch(change).delete(remove))
        .route("/posts/{id}/like", put(like).delete(unlike))
        .route("/posts/{id}/comments", get(comments).post(comment))
        .route("/posts/{id}/comments/{comment}", delete(remove_comment))
}

/// Whose posts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// This author's.
    #[param(value_type = Option<String>)]
    author: Option<Id<User>>,
    /// Everyone's, and not only those of the authors whom the user follows.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    everyone: bool,
}

impl From<Whose> for Feed {
    fn from(whose: Whose) -> Self {
        match (whose.author, whose.everyone) {
            (Some(author), _) => Self::Author(author),
            (None, true) => Self::Everyone,
            (None, false) => Self::Following,
        }
    }
}

/// A post with its author's name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[schema(value_type = schema::Post)]
    post: Post,
    #[schema(value_type = Person)]
    author: PublicUser,
    like_count: u64,
    comment_count: u64,
    /// Whether the signed-in user likes it.
    liked: bool,
}

impl Shown {
    fn of(view: PostView, author: PublicUser) -> Self {
        let PostView {
            post,
            like_count,
            comment_count,
            liked,
        } = view;
        Self {
            post,
            author,
            like_count,
            comment_count,
            liked,
        }
    }
}

/// A comment with its author's name.
#[derive(Debug, Serialize, ToSchema)]
struct Said {
    #[schema(value_type = schema::Comment)]
    comment: Comment,
    #[schema(value_type = Person)]
    author: PublicUser,
}

/// How many like a post.
#[derive(Debug, Serialize, ToSchema)]
struct Likes {
    likes: u64,
}

/// The feed
#[utoipa::path(get, path = "/posts", params(Whose, PageQuery),
    responses((status = 200, body = PageOf<Shown>), Refusals))]
async fn feed(
    State(app): State<App>,
    who: Authenticated,
    Query(whose): Query<Whose>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<Shown>> {
    let posts = app.stack.community();
    let page = posts.feed(who.user.id, whose.into(), page.into()).await?;
    let names = names::of(&app, page.items.iter().map(|view| view.post.author_id)).await?;
    Ok(Json(page.map(|view| {
        let author = names.person(view.post.author_id);
        Shown::of(view, author)
    })))
}

/// Writes a post
#[utoipa::path(post, path = "/posts", request_body = schema::NewPost,
    responses((status = 201, body = schema::Post), Refusals))]
async fn write(
    State(app): State<App>,
    who: Authenticated,
    Body(new): Body<NewPost>,
) -> Answer<Created<Tagged<Post>>> {
    let post = app.stack.community().create(who.user.id, new).await?;
    Ok(Created(Tagged(post)))
}

/// A post
#[utoipa::path(get, path = "/posts/{id}", params(("id" = String, Path)),
    responses((status = 200, body = Shown), Refusals))]
async fn show(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Post>>,
) -> JsonAnswer<Shown> {
    let view = app.stack.community().get(who.user.id, id).await?;
    let names = names::of(&app, [view.post.author_id]).await?;
    let author = names.person(view.post.author_id);
    Ok(Json(Shown::of(view, author)))
}

/// Edits a post
#[utoipa::path(patch, path = "/posts/{id}", params(("id" = String, Path), ("if-match" = Option<String>, Header)),
    request_body = schema::PostPatch, responses((status = 200, body = schema::Post), Refusals))]
async fn change(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Post>>,
    condition: IfMatch,
    Body(mut patch): Body<PostPatch>,
) -> Answer<Tagged<Post>> {
    patch.expected_updated_at = condition.or(patch.expected_updated_at);
    let post = app.stack.community().update(who.user.id, id, patch).await;
    post.map(Tagged).map_err(|error| condition.judge(error))
}

/// Deletes a post
#[utoipa::path(delete, path = "/posts/{id}", params(("id" = String, Path)),
    responses((status = 204), Refusals))]
async fn remove(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Post>>,
) -> Answer<StatusCode> {
    app.stack.community().delete(who.user.id, id).await?;
    Ok(NOTHING)
}

/// Likes a post
#[utoipa::path(put, path = "/posts/{id}/like", params(("id" = String, Path)),
    responses((status = 200, body = Likes), Refusals))]
async fn like(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Post>>,
) -> JsonAnswer<Likes> {
    let likes = app.stack.community().like(who.user.id, id).await?;
    Ok(Json(Likes { likes }))
}

/// Likes a post no longer
#[utoipa::path(delete, path = "/posts/{id}/like", params(("id" = String, Path)),
    responses((status = 200, body = Likes), Refusals))]
async fn unlike(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Post>>,
) -> JsonAnswer<Likes> {
    let likes = app.stack.community().unlike(who.user.id, id).await?;
    Ok(Json(Likes { likes }))
}

/// The comments on a post
#[utoipa::path(get, path = "/posts/{id}/comments", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = PageOf<Said>), Refusals))]
async fn comments(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Post>>,
    Query(page): Query<PageQuery>,
) -> JsonAnswer<Page<Said>> {
    let posts = app.stack.community();
    let page = posts.comments(who.user.id, id, page.into()).await?;
    let names = names::of(&app, page.items.iter().map(|said| said.author_id)).await?;
    Ok(Json(page.map(|comment| {
        let author = names.person(comment.author_id);
        Said { comment, author }
    })))
}

/// What somebody says.
#[derive(Debug, Deserialize, ToSchema)]
struct NewComment {
    content: String,
}

/// Comments on a post
#[utoipa::path(post, path = "/posts/{id}/comments", params(("id" = String, Path)),
    request_body = NewComment, responses((status = 201, body = schema::Comment), Refusals))]
async fn comment(
    State(app): State<App>,
    who: Authenticated,
    Path(id): Path<Id<Post>>,
    Body(new): Body<NewComment>,
) -> Answer<Created<Json<Comment>>> {
    let comment = app.stack.community().comment(who.user.id, id, new.content);
    Ok(Created(Json(comment.await?)))
}

/// Removes a comment
#[utoipa::path(delete, path = "/posts/{id}/comments/{comment}", params(("id" = String, Path), ("comment" = String, Path)),
    responses((status = 204), Refusals))]
async fn remove_comment(
    State(app): State<App>,
    who: Authenticated,
    Path((id, comment)): Path<(Id<Post>, CommentId)>,
) -> Answer<StatusCode> {
    app.stack
        .community()
        .delete_comment(who.user.id, id, comment)
        .await?;
    Ok(NOTHING)
}
