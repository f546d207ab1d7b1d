//! The web page. It is a part of the program: no build step, nothing from elsewhere.

use axum::{Router, routing::get};
use http::header;

use crate::app::App;

/// The files.
const FILES: &[(&str, &str, &str)] = &[
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../page/index.html"),
    ),
    (
        "/app.css",
        "text/css; charset=utf-8",
        include_str!("../page/app.css"),
    ),
    (
        "/app.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/app.js"),
    ),
    (
        "/api.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/api.js"),
    ),
    (
        "/chart.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/chart.js"),
    ),
    (
        "/docs",
        "text/html; charset=utf-8",
        include_str!("../page/docs.html"),
    ),
    (
        "/docs.js",
        "text/javascript; charset=utf-8",
        include_str!("../page/docs.js"),
    ),
];

/// The routes.
pub fn router() -> Router<App> {
    let file = |router: Router<App>,
                &(path, kind, text): &'static (_, &'static str, &'static str)| {
        let answer = move || async move { ([(header::CONTENT_TYPE, kind)], text) };
        router.route(path, get(answer))
    };
    FILES.iter().fold(Router::new(), file)
}
