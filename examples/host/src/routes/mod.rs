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

use std::collections::BTreeMap;

use axum::Router;
use serde_json::Value;
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{Content, Ref, RefOr, ResponseBuilder, response::Response},
};

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

/// All answers that are no success: problem details.
#[derive(Debug)]
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = Content::new(Some(Ref::from_schema_name(Problem::name())));
        let refusal = ResponseBuilder::new()
            .description("Why the request was refused, or failed")
            .content("application/problem+json", problem)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(refusal))])
    }
}

/// A page of a list, in the document.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "it stands for Page in the document")]
pub struct PageOf<T: ToSchema> {
    /// The records.
    items: Vec<T>,
    /// What to send as `after` for the next page; none on the last one.
    next: Option<String>,
    /// The names of stored records that cannot be read.
    #[schema(required = false)]
    unreadable: Vec<Value>,
}
