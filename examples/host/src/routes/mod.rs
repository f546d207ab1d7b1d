//! The routes of the API, a file for each resource.

pub mod books;
pub mod boosts;
pub mod checklists;
pub mod competitors;
pub mod dashboard;
pub mod jobs;
pub mod me;
pub mod posts;
pub mod preferences;
pub mod sales;
pub mod session;
pub mod users;
pub mod webhooks;

use axum::Router;

use crate::{app::App, problem::Problem};

/// The API.
pub fn router() -> Router<App> {
    let routers = [
        session::router(),
        me::router(),
        users::router(),
        books::router(),
        checklists::router(),
        posts::router(),
        boosts::router(),
        competitors::router(),
        sales::router(),
        dashboard::router(),
        preferences::router(),
        jobs::router(),
        webhooks::router(),
    ];
    let api = routers.into_iter().fold(Router::new(), Router::merge);
    api.fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            let status = http::StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(
                status,
                "method_not_allowed",
                "the resource has other methods",
            )
        })
}
