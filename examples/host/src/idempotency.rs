//! `Idempotency-Key`: a request that is repeated under its key gets the first answer again.

use std::time::Duration;

use authorstack_core::{
    Id, User,
    cache::{Cache, Leased, Slot},
};
use axum::{Json, extract::FromRequestParts};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{answer::JsonAnswer, app::App, problem::Problem};

/// How long a key is remembered.
const KEPT: Duration = Duration::from_hours(24);

/// How long a request may hold its key without an answer.
const HELD: Duration = Duration::from_mins(1);

/// The key of a request, if it has one.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let key = key.to_str().unwrap_or_default().trim();
        if key.is_empty() || key.len() > 200 {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "idempotency_key",
                "Idempotency-Key has 1 to 200 visible characters",
            ));
        }
        Ok(Self(Some(key.to_owned())))
    }
}

/// An answer, and the request that it is for.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    request: String,
    answer: T,
}

impl IdempotencyKey {
    /// The id that this key stands for, of this user: the same each time. Where the SDK knows a record
    /// by the id that its client gives, nothing else is needed.
    #[must_use]
    pub fn id<T>(&self, user: Id<User>) -> Option<Id<T>> {
        let digest = self.digest(user)?;
        let mut bytes = [0; 12];
        bytes.copy_from_slice(&digest.as_bytes()[..12]);
        Some(Id::from_bytes(bytes))
    }

    fn digest(&self, user: Id<User>) -> Option<blake3::Hash> {
        let key = self.0.as_ref()?;
        Some(blake3::hash(format!("{user} {key}").as_bytes()))
    }

    /// Runs a request once, and answers its repetitions from memory. `request` is what was sent: the
    /// key is not for another one.
    ///
    /// # Errors
    /// Those of the request; 409 while it runs; 422 for another request under the same key.
    pub async fn once<T: Serialize + DeserializeOwned + Send>(
        &self,
        app: &App,
        user: Id<User>,
        request: &[u8],
        run: impl Future<Output = authorstack_core::Result<T>> + Send,
    ) -> JsonAnswer<T> {
        let Some(digest) = self.digest(user) else {
            return Ok(Json(run.await?));
        };
        let slot = Slot {
            key: format!("authorstack:host:answer:{}", digest.to_hex()),
            group: None,
            ttl: KEPT,
        };
        let request = blake3::hash(request).to_hex().to_string();
        match app.answers.lease(&slot, HELD).await? {
            Leased::Taken => Err(Problem::new(
                StatusCode::CONFLICT,
                "in_progress",
                "the first request with this Idempotency-Key is still running; try again later",
            )
            .retry_after(1)),
            Leased::Found(kept) => found(&kept, &request),
            Leased::Yours(lease) => match run.await {
                Ok(answer) => {
                    let kept = Kept { request, answer };
                    if let Ok(bytes) = serde_json::to_vec(&kept) {
                        // Not kept is no failure: the SDK's own calls may be repeated.
                        let _ = app.answers.fill(&slot, &lease, &bytes, KEPT).await;
                    }
                    Ok(Json(kept.answer))
                }
                Err(error) => {
                    let _ = app.answers.release(&slot, &lease).await;
                    Err(error.into())
                }
            },
        }
    }
}

fn found<T: DeserializeOwned>(kept: &[u8], request: &str) -> JsonAnswer<T> {
    let kept: Kept<T> = serde_json::from_slice(kept)
        .map_err(|_| authorstack_core::Error::internal("a kept answer cannot be read"))?;
    if kept.request == request {
        return Ok(Json(kept.answer));
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key",
        "this Idempotency-Key was used for another request; choose another key",
    ))
}
