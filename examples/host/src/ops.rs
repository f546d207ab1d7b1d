//! For those who operate the host: is it alive, is it ready, what does it do.

use std::sync::OnceLock;

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// The bounds of the histograms, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The recorder of the process. `Metered` and the host write to it.
fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let handle = HANDLE.get_or_init(|| {
        let names = Matcher::Suffix("seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(names, SECONDS);
        match builder.and_then(PrometheusBuilder::install_recorder) {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::warn!(%error, "there are no metrics");
                None
            }
        }
    });
    handle.as_ref()
}

/// The routes.
pub fn router() -> Router<App> {
    // What is counted before anybody asks must be recorded, too.
    recorder();
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// Whether the host can work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether all stores answer.
    ready: bool,
    /// The stores.
    stores: Vec<Store>,
}

/// A store.
#[derive(Debug, Serialize, ToSchema)]
struct Store {
    /// Its name.
    name: &'static str,
    /// Whether it answers.
    ready: bool,
    /// How long its answer took.
    milliseconds: u64,
}

async fn readyz(State(app): State<App>) -> impl IntoResponse {
    let mut stores = Vec::new();
    for found in app.health.check().await {
        if let Some(error) = &found.error {
            tracing::warn!(store = found.name, %error, "a store does not answer");
        }
        stores.push(Store {
            name: found.name,
            ready: found.is_healthy(),
            milliseconds: found.took.as_millis().try_into().unwrap_or(u64::MAX),
        });
    }
    let ready = stores.iter().all(|store| store.ready);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, stores }))
}

async fn metrics() -> impl IntoResponse {
    let text = recorder().map(PrometheusHandle::render);
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, text.unwrap_or_default())
}
