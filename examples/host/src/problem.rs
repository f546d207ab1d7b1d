//! Errors as problem details (RFC 9457). This is the only place where an error becomes a status.

use std::borrow::Cow;

use authorstack_core::{Error, ErrorKind};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request failed, for its client. Nothing in it comes from the inside of the service.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The meaning of the status.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// A stable name of the problem, such as `not_found`.
    code: &'static str,
    /// What is wrong, and what to do.
    detail: Cow<'static, str>,
    /// The field of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem that the service itself finds.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            retry_after: None,
        }
    }

    /// There is no such record or route.
    #[must_use]
    pub fn not_found() -> Self {
        Error::not_found().into()
    }

    /// A body that cannot be read. `reason` may begin with the name of a field, as the errors of
    /// AuthorStack's records do.
    pub fn unreadable(reason: String) -> Self {
        let field = reason.split_once(": ").map(|(field, _)| field);
        let field = field
            .filter(|field| !field.contains(' '))
            .map(str::to_owned);
        Self {
            field,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", reason)
        }
    }

    /// The same problem when the request had `If-Match`: the record has another version.
    #[must_use]
    pub fn of_condition(self) -> Self {
        match self.code {
            "conflict" => Self {
                detail: self.detail,
                ..Self::new(StatusCode::PRECONDITION_FAILED, "changed", "")
            },
            _ => self,
        }
    }

    /// Asks the client to wait before it tries again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// The status of a kind of error.
const fn status(kind: &ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists { .. } | ErrorKind::Conflict { .. } => StatusCode::CONFLICT,
        ErrorKind::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::InsufficientCredits { .. } => StatusCode::PAYMENT_REQUIRED,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PermissionDenied { .. } => StatusCode::FORBIDDEN,
        ErrorKind::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Timeout { .. }
        | ErrorKind::Unavailable { .. }
        | ErrorKind::Locked
        | ErrorKind::Moving => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// How many seconds a client should wait.
fn pause(kind: &ErrorKind) -> Option<u64> {
    match kind {
        ErrorKind::RateLimited { retry_after } => {
            Some(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0))
        }
        ErrorKind::Timeout { .. } | ErrorKind::Unavailable { .. } => Some(1),
        ErrorKind::Locked | ErrorKind::Moving => Some(30),
        _ => None,
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let kind = error.kind();
        let status = status(kind);
        if status.is_server_error() {
            tracing::warn!(%error, "a call failed");
        }
        let field = match kind {
            ErrorKind::Invalid { field, .. } | ErrorKind::AlreadyExists { field } => {
                Some(field.to_string())
            }
            _ => None,
        };
        Self {
            field,
            retry_after: pause(kind),
            ..Self::new(status, kind.code(), error.public_message().into_owned())
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_kind_has_its_status_and_tells_when_to_come_back() {
        let limited = ErrorKind::RateLimited {
            retry_after: Duration::from_millis(1_200),
        };
        for (error, status, retry_after) in [
            (Error::not_found(), 404, None),
            (Error::stale(), 409, None),
            (Error::invalid("title", "is empty"), 422, None),
            (Error::unauthenticated(), 401, None),
            (Error::new(limited), 429, Some(2)),
            (Error::timeout(Duration::from_secs(5)), 503, Some(1)),
            (Error::new(ErrorKind::Moving), 503, Some(30)),
            (Error::internal("10.0.0.7 said no"), 500, None),
        ] {
            let problem = Problem::from(error);
            assert_eq!(problem.status, status);
            assert_eq!(problem.retry_after, retry_after);
            assert!(!problem.detail.contains("10.0.0.7"));
        }
        let problem = Problem::from(Error::stale()).of_condition();
        assert_eq!(problem.status, 412);
    }

    #[test]
    fn a_body_that_cannot_be_read_names_its_field() {
        let named = Problem::unreadable("metadata.pageCount: is no number".to_owned());
        assert_eq!(named.field.as_deref(), Some("metadata.pageCount"));
        let unnamed = Problem::unreadable("expected value at line 1: column 2".to_owned());
        assert_eq!(unnamed.field, None);
    }
}
