//! The `OpenAPI` document, made from the handlers.

use axum::{Json, Router, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use crate::{app::App, problem::Problem, routes};

/// The document.
#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "AuthorStack host", description = "An author platform on AuthorStack."),
    components(schemas(Problem)),
    modifiers(&Token),
    security(("token" = [])),
    nest(
        (path = "/api", api = routes::session::Doc, tags = ["session"]),
        (path = "/api", api = routes::me::Doc, tags = ["me"]),
        (path = "/api", api = routes::users::Doc, tags = ["users"]),
        (path = "/api", api = routes::books::Doc, tags = ["books"]),
        (path = "/api", api = routes::checklists::Doc, tags = ["checklists"]),
        (path = "/api", api = routes::posts::Doc, tags = ["posts"]),
        (path = "/api", api = routes::boosts::Doc, tags = ["boosts"]),
        (path = "/api", api = routes::competitors::Doc, tags = ["competitors"]),
        (path = "/api", api = routes::sales::Doc, tags = ["sales"]),
        (path = "/api", api = routes::dashboard::Doc, tags = ["dashboard"]),
        (path = "/api", api = routes::preferences::Doc, tags = ["preferences"]),
        (path = "/api", api = routes::jobs::Doc, tags = ["jobs"]),
        (path = "/api", api = routes::webhooks::Doc, tags = ["webhooks"]),
    )
)]
pub struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", scheme);
    }
}

/// The document's route.
pub fn router() -> Router<App> {
    Router::new().route("/openapi.json", get(|| async { Json(Document::openapi()) }))
}
