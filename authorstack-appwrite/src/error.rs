//! Errors of Appwrite by their types, in AuthorStack's words.

use std::time::Duration;

use authorstack_core::{Error, ErrorKind};
use authorstack_http::{Answer, StatusCode};
use serde::Deserialize;

use crate::config::{DATABASE, ENDPOINT, KEY, PROJECT, TABLE};

/// What Appwrite says of an error. Its message is read for names alone: it may repeat a value.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    message: String,
}

/// The type of an answer's error, such as `user_not_found`; empty if it has none.
pub(crate) fn type_of(answer: &Answer) -> String {
    answer.json::<Said>().unwrap_or_default().r#type
}

/// The error of an answer to a call with the key.
pub(crate) fn of_answer(answer: &Answer) -> Error {
    let said: Said = answer.json().unwrap_or_default();
    of(answer.status(), &said.r#type, &said.message)
}

pub(crate) fn blocked() -> Error {
    Error::new(ErrorKind::PermissionDenied {
        reason: "the account is blocked".into(),
    })
}

fn of(status: StatusCode, kind: &str, message: &str) -> Error {
    match kind {
        "user_not_found"
        | "user_session_not_found"
        | "user_identity_not_found"
        | "row_not_found"
        | "document_not_found" => Error::not_found(),
        "user_already_exists" | "row_already_exists" | "document_already_exists" => {
            Error::already_exists("id")
        }
        "user_email_already_exists" => Error::already_exists("email"),
        "user_phone_already_exists" | "user_target_already_exists" => {
            Error::already_exists("phone")
        }
        "password_recently_used" | "password_personal_data" | "password_dictionary" => {
            Error::invalid(
                "password",
                "breaks a rule of the project: it was used before, holds personal data or is a \
                 common one; choose another one",
            )
        }
        "general_argument_invalid" => {
            let field = field_of(message);
            let reason = "has a value that Appwrite refuses; correct it";
            Error::invalid(field, reason)
        }
        "row_invalid_structure" | "document_invalid_structure" => structure(message),
        "row_update_conflict" | "document_update_conflict" => Error::stale().retryable(true),
        "user_blocked" => blocked(),
        "user_unauthorized" | "general_access_forbidden" => {
            Error::configuration(KEY, "is refused; set an API key of this project")
        }
        "general_unauthorized_scope" => Error::configuration(
            KEY,
            "lacks a scope; give it users.read, users.write, sessions.write, rows.read and \
             rows.write",
        ),
        "project_not_found" | "project_id_missing" => Error::configuration(
            PROJECT,
            "is the id of no project of this server; copy it from the project's settings",
        ),
        "database_not_found" => {
            Error::configuration(DATABASE, "is the id of no database; `prepare` makes it")
        }
        "table_not_found" | "collection_not_found" => {
            Error::configuration(TABLE, "is the id of no table; `prepare` makes it")
        }
        "general_route_not_found" => Error::configuration(
            ENDPOINT,
            "has no such path: the server is older than Appwrite 1.8, or the address is not its \
             own; write it like https://<region>.cloud.appwrite.io/v1",
        ),
        "user_count_exceeded" => Error::new(ErrorKind::PermissionDenied {
            reason: "the project holds as many accounts as its plan allows; raise its limit".into(),
        }),
        "database_timeout" | "general_timeout" => Error::timeout(Duration::from_secs(15)),
        _ if status.is_server_error() => {
            Error::internal(format!("Appwrite answered {status} {}", known(kind)))
        }
        _ => Error::internal(format!("Appwrite answered {status} {}", known(kind))),
    }
}

/// A type that is a name, and no text of anybody's.
fn known(kind: &str) -> &str {
    let is_name = kind.len() <= 60 && kind.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    if is_name { kind } else { "" }
}

/// The field of an argument that is refused, if it is one of ours.
fn field_of(message: &str) -> &'static str {
    let name = message.split('`').nth(1).unwrap_or_default();
    match name {
        "userId" => "id",
        "email" => "email",
        "phone" | "number" => "phone",
        "name" => "name",
        "labels" => "labels",
        "prefs" => "prefs",
        "data" => "preferences",
        name if name.starts_with("password") => "password",
        _ => "account",
    }
}

/// A row that does not fit its table. The column's name stands between quotes.
fn structure(message: &str) -> Error {
    let name = message.split('"').nth(1).unwrap_or_default();
    let is_name = !name.is_empty()
        && name.len() <= 60
        && name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    let name = if is_name { name } else { "preferences" };
    if message.contains("Unknown attribute") {
        let reason = format!("has no column {name}; add it, or let `prepare` do it");
        return Error::configuration(TABLE, reason);
    }
    let reason = "has a value that does not fit its column in Appwrite; shorten or correct it";
    Error::invalid(name.to_owned(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16, kind: &str, message: &str) -> (&'static str, String) {
        let error = of(StatusCode::from_u16(status).unwrap(), kind, message);
        (error.kind().code(), error.to_string())
    }

    #[test]
    fn each_type_has_its_kind() {
        for (status, kind, expected) in [
            (404, "user_not_found", "not_found"),
            (404, "user_session_not_found", "not_found"),
            (404, "user_identity_not_found", "not_found"),
            (404, "row_not_found", "not_found"),
            (404, "document_not_found", "not_found"),
            (409, "user_already_exists", "already_exists"),
            (409, "user_email_already_exists", "already_exists"),
            (409, "user_target_already_exists", "already_exists"),
            (409, "row_already_exists", "already_exists"),
            (409, "row_update_conflict", "conflict"),
            (400, "password_personal_data", "invalid"),
            (400, "general_argument_invalid", "invalid"),
            (400, "row_invalid_structure", "invalid"),
            (403, "user_blocked", "permission_denied"),
            (401, "user_unauthorized", "configuration"),
            (401, "general_unauthorized_scope", "configuration"),
            (404, "project_not_found", "configuration"),
            (403, "project_id_missing", "configuration"),
            (404, "database_not_found", "configuration"),
            (404, "table_not_found", "configuration"),
            (404, "general_route_not_found", "configuration"),
            (501, "user_count_exceeded", "permission_denied"),
            (408, "database_timeout", "timeout"),
            (500, "general_unknown", "internal"),
            (400, "", "internal"),
        ] {
            assert_eq!(code(status, kind, "").0, expected, "{kind}");
        }
    }

    #[test]
    fn a_refused_argument_is_named_and_its_value_is_not() {
        let message = "Invalid `password` param: quokka is too short";
        let (_, shown) = code(400, "general_argument_invalid", message);
        assert!(shown.starts_with("password: "), "{shown}");
        assert!(!shown.contains("quokka"));
        let message = "Invalid document structure: Unknown attribute: \"extra\"";
        let (kind, shown) = code(400, "row_invalid_structure", message);
        assert_eq!(kind, "configuration");
        assert!(shown.contains("no column extra"), "{shown}");
        let message = "Invalid document structure: Attribute \"theme\" has invalid type. quokka";
        let (_, shown) = code(400, "row_invalid_structure", message);
        assert!(shown.starts_with("theme: ") && !shown.contains("quokka"));
        let (_, shown) = code(500, "Quokka at <home>", "quokka");
        assert!(!shown.to_lowercase().contains("quokka"), "{shown}");
    }
}
