//! Errors of the Auth server and of its tables, in AuthorStack's words.

use authorstack_core::{Error, ErrorKind};
use authorstack_http::{Answer, StatusCode};
use serde::Deserialize;

/// The setting of the key.
pub(super) const KEY: &str = "supabase_service_key";

/// What the server says of an error. Its message is not shown: it may repeat a value.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    error_code: String,
}

/// The code of an answer's error, such as `email_exists`; empty if it has none.
pub(super) fn code_of(answer: &Answer) -> String {
    answer.json::<Said>().unwrap_or_default().error_code
}

/// The error of an answer to a call with the service's key.
pub(super) fn of_answer(answer: &Answer) -> Error {
    let (status, code) = (answer.status(), code_of(answer));
    match (status, code.as_str()) {
        (_, "email_exists") => Error::already_exists("email"),
        (_, "phone_exists") => Error::already_exists("phone"),
        (_, "weak_password") => Error::invalid(
            "password",
            "is weaker than the project's settings ask for; choose a longer or rarer one",
        ),
        (_, "user_not_found") => Error::not_found(),
        (_, "validation_failed") => Error::invalid(
            "account",
            "has a value that Supabase Auth refuses: an address, a number, an id or a password",
        ),
        (StatusCode::PAYLOAD_TOO_LARGE, _) => {
            Error::invalid("account", "is larger than Supabase Auth takes; shorten it")
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Error::configuration(
            KEY,
            "is refused; set a secret key (sb_secret_…) or the service_role key of this project",
        ),
        (StatusCode::NOT_FOUND, _) => Error::configuration(
            "supabase_auth_url",
            "has no such path; write it like https://<ref>.supabase.co/auth/v1",
        ),
        (status, _) if status.is_server_error() => {
            Error::internal(format!("Supabase Auth answered {status} {}", known(&code)))
        }
        (status, _) => Error::internal(format!("Supabase Auth answered {status} {}", known(&code))),
    }
}

/// A code that is a name, and no text of anybody's.
fn known(code: &str) -> &str {
    let is_name = code.len() <= 60 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_name { code } else { "" }
}

/// The error of a statement on the tables of Supabase Auth.
pub(super) fn of_rows(error: Error) -> Error {
    let field = match error.kind() {
        ErrorKind::AlreadyExists { field } if field == "_id" => "id",
        ErrorKind::Internal { what } if what.contains("users_email_partial_key") => "email",
        ErrorKind::Internal { what } if what.contains("users_phone_key") => "phone",
        ErrorKind::Internal { what } if what.contains("identities_provider_id") => "subject",
        _ => return error,
    };
    Error::already_exists(field)
}
