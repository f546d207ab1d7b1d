//! What happens to every request: its id, its span, its time, its headers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use authorstack_core::rate_limit::{RateLimitLayer, RateLimited};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::{AllowOrigin, CorsLayer},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
};
use tracing::Instrument;

use crate::{app::App, auth, problem::Problem, settings::Settings};

/// How long a handler may take. A stream counts until its first byte.
const DEADLINE: Duration = Duration::from_secs(15);

/// The largest body, but for a sales report.
const MOST_BYTES: usize = 256 * 1024;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The page runs its own script and style, and talks to its own host.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The headers of every answer that has none of the kind.
static SECURITY: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    // What is somebody's own stays in no cache on the way.
    (header::CACHE_CONTROL, "no-store"),
];

/// Puts the limit around the routes of the API.
pub fn limited(router: Router<App>, app: &App) -> Router<App> {
    let limiter = Arc::clone(&app.limiter);
    let limit = RateLimitLayer::new("api", limiter, |request: &Request| {
        Some((client(request), 1))
    });
    router
        .layer(limit)
        // Around the limit: its answers have no body.
        .layer(middleware::map_response(refused))
}

/// Whom a request counts for: a session, or an address. No token is kept.
fn client(request: &Request) -> String {
    if let Ok(token) = auth::token(request.headers()) {
        return blake3::hash(token.expose().as_bytes()).to_hex()[..32].to_owned();
    }
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address = from.map(|ConnectInfo(address)| address.ip());
    address
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), IpAddr::to_string)
}

async fn refused(response: Response) -> Response {
    let Some(limited) = response.extensions().get::<RateLimited>() else {
        return response;
    };
    let mut answer = Problem::from(limited.error.as_ref()).into_response();
    let headers = response.headers().iter();
    for (name, value) in headers.filter(|(name, _)| name.as_str().starts_with("ratelimit")) {
        answer.headers_mut().insert(name, value.clone());
    }
    answer
}

/// Puts everything else around all routes.
pub fn around(router: Router, settings: &Settings) -> Router {
    let mut router = router
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            let why = "the service failed unexpectedly";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", why).into_response()
        }))
        .layer(CompressionLayer::new())
        .layer(cors(settings));
    for (name, value) in &SECURITY {
        let value = HeaderValue::from_static(value);
        router = router.layer(SetResponseHeaderLayer::if_not_present(name.clone(), value));
    }
    router
        .layer(middleware::from_fn(traced))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID.clone()))
        .layer(SetRequestIdLayer::new(REQUEST_ID.clone(), MakeRequestUuid))
}

/// Web pages of other addresses may call with a token; there are no cookies.
fn cors(settings: &Settings) -> CorsLayer {
    let origins = settings.allowed_origins().map(HeaderValue::from_str);
    let origins: Vec<HeaderValue> = origins.filter_map(Result::ok).collect();
    let idempotency_key = HeaderName::from_static("idempotency-key");
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            idempotency_key,
        ])
        .expose_headers([header::ETAG, header::RETRY_AFTER, REQUEST_ID.clone()])
}

async fn in_time(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(DEADLINE, next.run(request)).await;
    answered.unwrap_or_else(|_| {
        let error = authorstack_core::Error::timeout(DEADLINE);
        Problem::from(error).into_response()
    })
}

/// One span and one measurement for each request. Paths are those of the routes: an id in a label
/// would make a time series of its own.
async fn traced(request: Request<Body>, next: Next) -> Response {
    let id = request.headers().get(&REQUEST_ID);
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unknown", MatchedPath::as_str).to_owned();
    let method = request.method().to_string();
    let span = tracing::info_span!("request", id, method, route, status = tracing::field::Empty);
    let start = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("status", status);
    let took = start.elapsed();
    span.in_scope(|| tracing::info!(milliseconds = took.as_millis(), "answered"));
    let labels = [
        ("method", method),
        ("route", route),
        ("status", status.to_string()),
    ];
    metrics::histogram!("http_request_duration_seconds", &labels).record(took.as_secs_f64());
    response
}
