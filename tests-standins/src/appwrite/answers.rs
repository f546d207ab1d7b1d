use axum::{
    Json,
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// The version that is stood in for.
pub(super) const VERSION: &str = "1.9.0";

/// An error, as Appwrite answers it.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: u16,
    kind: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }

    /// A parameter with a value that is not taken.
    pub(super) fn argument(name: &str, problem: &str) -> Self {
        let message = format!("Invalid `{name}` param: {problem}");
        Self::new(400, "general_argument_invalid", message)
    }

    /// A parameter that is missing.
    pub(super) fn missing(name: &str) -> Self {
        let message = format!("Param \"{name}\" is not optional.");
        Self::new(400, "general_argument_invalid", message)
    }

    pub(super) fn user_not_found() -> Self {
        let message = "User with the requested ID could not be found.";
        Self::new(404, "user_not_found", message)
    }

    pub(super) fn scope(role: &str, scope: &str) -> Self {
        let message = format!("User (role: {role}) missing scopes ([\"{scope}\"])");
        Self::new(401, "general_unauthorized_scope", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let said = json!({
            "message": self.message, "code": status.as_u16(), "type": self.kind, "version": VERSION,
        });
        (status, Json(said)).into_response()
    }
}

/// An answer without an error.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self::of(200, body)
    }

    pub(super) fn created(body: Value) -> Self {
        Self::of(201, body)
    }

    pub(super) fn of(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            headers: Vec::new(),
        }
    }

    pub(super) fn empty() -> Self {
        Self {
            status: 204,
            body: None,
            headers: Vec::new(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Changes the body, where there is one.
    pub(super) fn map(mut self, change: impl FnOnce(Value) -> Value) -> Self {
        self.body = self.body.map(change);
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = match self.body {
            Some(body) => (status, Json(body)).into_response(),
            None => (status, Body::empty()).into_response(),
        };
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                let name = HeaderName::from_static(name);
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
