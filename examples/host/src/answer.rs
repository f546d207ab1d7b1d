//! What handlers answer with.

use authorstack_core::{
    Book, Checklist, Post, User,
    chrono::{DateTime, Utc},
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::problem::Problem;

/// The answer of a handler.
pub type Answer<T> = Result<T, Problem>;

/// The answer of a handler with a record in JSON.
pub type JsonAnswer<T> = Answer<Json<T>>;

/// Nothing to say.
pub const NOTHING: StatusCode = StatusCode::NO_CONTENT;

/// A record that tells when it was changed.
pub trait Versioned: Serialize {
    /// When it was last changed.
    fn updated_at(&self) -> DateTime<Utc>;
}

macro_rules! versioned {
    ($($record:ty),+) => {$(
        impl Versioned for $record {
            fn updated_at(&self) -> DateTime<Utc> {
                self.updated_at
            }
        }
    )+};
}

versioned!(Book, Checklist, Post, User);

/// A record with its version in `ETag`.
#[derive(Debug)]
pub struct Tagged<T>(pub T);

impl<T: Versioned> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let tag = format!("\"{}\"", self.0.updated_at().timestamp_millis());
        let mut response = Json(self.0).into_response();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// A record that was created.
#[derive(Debug)]
pub struct Created<T>(pub T);

impl<T: IntoResponse> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, self.0).into_response()
    }
}
