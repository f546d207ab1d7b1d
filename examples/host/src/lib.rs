//! An author platform as a web service on AuthorStack: the example to copy from.
//!
//! Read it in this order:
//!
//! 1. [`backend`] opens the stores that one setting chooses. Nothing else knows which they are.
//! 2. [`app`] is what all handlers share: the stack, and the services on it.
//! 3. [`routes`] has a file for each resource. Handlers are short, since the SDK does the work.
//! 4. [`auth`] finds out who has sent a request; [`extract`] and [`answer`] have the other parts of
//!    handlers; [`problem`] makes a problem of every error.
//! 5. [`http_layers`] is around all routes: ids, spans, times, limits, headers.
//! 6. [`openapi`] and [`schema`] make the document of the API; [`ops`] is for monitoring.

pub mod answer;
pub mod app;
pub mod auth;
pub mod backend;
pub mod demo;
pub mod export;
pub mod extract;
pub mod http_layers;
pub mod idempotency;
pub mod names;
pub mod openapi;
pub mod ops;
pub mod page;
pub mod problem;
pub mod report;
pub mod routes;
pub mod schema;
pub mod settings;
pub mod work;

use axum::Router;

use app::App;
use problem::Problem;
use settings::Settings;

/// All routes, with everything around them.
pub fn router(app: &App, settings: &Settings) -> Router {
    let api = http_layers::limited(routes::router(), app);
    let router = Router::new()
        .nest("/api", api)
        .merge(openapi::router())
        .merge(ops::router())
        .merge(page::router())
        .fallback(|| async { Problem::not_found() });
    http_layers::around(router.with_state(app.clone()), settings)
}
