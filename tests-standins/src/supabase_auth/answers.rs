use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error, as Supabase Auth answers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let said = json!({
            "code": status.as_u16(), "error_code": self.code, "msg": self.message,
        });
        let mut response = (status, Json(said)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Refusal {
    /// The form of 2024-01-01, which the vendor's client asks for.
    pub(super) fn of_2024(self) -> Response {
        let said = json!({ "code": self.code, "message": self.message });
        let version = [("x-supabase-api-version", "2024-01-01")];
        (self.status(), version, Json(said)).into_response()
    }

    fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// What the real server answers when the database refuses a statement.
impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        if std::env::var_os("STANDIN_TRACE").is_some() {
            eprintln!("{error}");
        }
        Self::new(500, "unexpected_failure", "Database error")
    }
}
