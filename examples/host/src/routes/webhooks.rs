//! What the accounts' service tells.

use authorstack_appwrite::WebhookEvent;
use authorstack_core::{AuthId, Error};
use axum::{Router, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use utoipa::OpenApi;

use crate::{
    answer::{Answer, NOTHING},
    app::App,
    extract::Raw,
    problem::Problem,
    schema::Refusals,
};

/// The routes in the `OpenAPI` document.
#[derive(Debug, OpenApi)]
#[openapi(paths(appwrite))]
pub struct Doc;

/// The routes.
pub fn router() -> Router<App> {
    Router::new().route("/webhooks/appwrite", post(appwrite))
}

/// A delivery of Appwrite's webhook
#[utoipa::path(post, path = "/webhooks/appwrite", security(()),
    params(("x-appwrite-webhook-signature" = String, Header), ("x-appwrite-webhook-events" = String, Header)),
    request_body(content = String, content_type = "application/json"),
    responses((status = 204), Refusals))]
async fn appwrite(
    State(app): State<App>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Answer<StatusCode> {
    let (webhook, seen) = app.webhook.as_ref().ok_or_else(Problem::not_found)?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signature = header("x-appwrite-webhook-signature").unwrap_or_default();
    let events = header("x-appwrite-webhook-events").unwrap_or_default();
    // The signature is of the bytes as they came.
    let delivery = webhook.read(signature, events, &body)?;
    let Some(account) = account_of(&delivery.event) else {
        return Ok(NOTHING);
    };
    if delivery.key.as_ref().is_some_and(|key| !seen.is_new(key)) {
        return Ok(NOTHING);
    }
    let followed = follow(&app, account).await;
    if let (Err(_), Some(key)) = (&followed, &delivery.key) {
        // Appwrite sends it again.
        seen.forget(key);
    }
    followed?;
    Ok(NOTHING)
}

/// The account whose profile an event may concern.
fn account_of(event: &WebhookEvent) -> Option<&AuthId> {
    match event {
        WebhookEvent::AccountCreated(account) | WebhookEvent::AccountChanged(account) => {
            Some(&account.id)
        }
        WebhookEvent::AccountDeleted { account_id } => Some(account_id),
        _ => None,
    }
}

/// Brings what the host has of an account in line with the account as it is now: a delivery may come
/// late, or twice.
async fn follow(app: &App, account: &AuthId) -> Result<(), Error> {
    match app.stack.accounts().get(account).await {
        Ok(_) => app.profiles.run(account).await.map(drop),
        Err(error) if error.is_not_found() => app.erasure.run_for_account(account).await.map(drop),
        Err(error) => Err(error),
    }
}
