//! What handlers take from a request. Each extractor answers with a [`Problem`].

use authorstack_core::{
    Cursor, Order, PageRequest,
    chrono::{DateTime, Utc},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, rejection::BytesRejection},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use crate::problem::Problem;

/// A body in JSON. Errors of AuthorStack's records name the field.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send the body as application/json",
            ));
        }
        let Raw(bytes) = Raw::from_request(request, state).await?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self)
            .map_err(|error| Problem::unreadable(error.to_string()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// A body as it came.
#[derive(Debug)]
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await;
        bytes.map(Self).map_err(|rejected| match rejected {
            BytesRejection::FailedToBufferBody(cause) => Problem::new(
                cause.status(),
                "body",
                "the body is too large, or broke off",
            ),
            _ => Problem::new(StatusCode::BAD_REQUEST, "body", "the body cannot be read"),
        })
    }
}

/// The parts of the path. What is no id is the id of no record.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(read)| Self(read))
            .map_err(|_| Problem::not_found())
    }
}

/// The query.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        read.map(|axum::extract::Query(read)| Self(read))
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "query", error.body_text()))
    }
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many records at most, from 1 to 200; 50 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// `newestFirst`, or `oldestFirst`.
    #[param(value_type = Option<String>)]
    order: Option<Order>,
}

impl From<PageQuery> for PageRequest {
    fn from(query: PageQuery) -> Self {
        let mut page = query.limit.map_or_else(Self::default, Self::first);
        if let Some(cursor) = query.after {
            page = page.after(cursor);
        }
        page.order(query.order.unwrap_or_default())
    }
}

/// The version that a record must still have: the tag of `If-Match`, as an answer had it in `ETag`.
#[derive(Debug, Clone, Copy)]
pub struct IfMatch(pub Option<DateTime<Utc>>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(tag) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let tag = tag.to_str().unwrap_or_default().trim();
        if tag == "*" {
            return Ok(Self(None));
        }
        let millis = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let millis = millis.and_then(|millis| millis.parse().ok());
        match millis.and_then(DateTime::from_timestamp_millis) {
            Some(moment) => Ok(Self(Some(moment))),
            None => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "If-Match is no tag of this service; send ETag of the answer as it came",
            )),
        }
    }
}

impl IfMatch {
    /// The condition of an update: that of the header, or else that of the body.
    #[must_use]
    pub fn or(self, of_body: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        self.0.or(of_body)
    }

    /// An error of the update.
    #[must_use]
    pub fn judge(self, error: authorstack_core::Error) -> Problem {
        let problem = Problem::from(error);
        match self.0 {
            Some(_) => problem.of_condition(),
            None => problem,
        }
    }
}
