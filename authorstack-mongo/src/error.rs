//! Converts the driver's errors into AuthorStack's, code by code.

use std::{borrow::Cow, time::Duration};

use authorstack_core::{Error, ErrorKind, Result, resilience::with_deadline};
use bson::RawDocument;
use futures::TryFutureExt;
use mongodb::error::{
    Error as DriverError, ErrorKind as DriverKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure,
};

/// The setting that contains all of MongoDB's own settings.
pub(crate) const SETTING: &str = "mongodb_url";

/// Runs a call of the driver with the deadline.
pub(crate) fn driver<T>(
    deadline: Duration,
    call: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> impl Future<Output = Result<T>> {
    let call = call.into_future();
    with_deadline(deadline, call.map_err(move |error| map(&error, deadline)))
}

/// An error of the driver or the server. Its cause is the server's text, without the documents in
/// the driver's own error.
pub(crate) fn map(error: &DriverError, deadline: Duration) -> Error {
    match error.kind.as_ref() {
        DriverKind::Command(command) => by_code(
            error,
            command.code,
            &command.code_name,
            &command.message,
            deadline,
        ),
        DriverKind::Write(WriteFailure::WriteError(write)) => by_code(
            error,
            write.code,
            write.code_name.as_deref().unwrap_or_default(),
            &write.message,
            deadline,
        ),
        DriverKind::Write(WriteFailure::WriteConcernError(concern)) => by_code(
            error,
            concern.code,
            &concern.code_name,
            &concern.message,
            deadline,
        ),
        DriverKind::ServerSelection { message, .. }
        | DriverKind::ConnectionPoolCleared { message, .. } => Error::unavailable(message.clone()),
        DriverKind::Io(cause) => Error::unavailable(format!("the connection failed: {cause}"))
            .with_source(cause.to_string()),
        DriverKind::Authentication { message, .. } => refused_login(message),
        DriverKind::DnsResolve { message, .. } => Error::configuration(
            SETTING,
            format!("the host name cannot be resolved ({message}); check its spelling"),
        ),
        DriverKind::InvalidTlsConfig { message, .. } => Error::configuration(
            SETTING,
            format!("the TLS options cannot be used: {message}"),
        ),
        DriverKind::IncompatibleServer { message, .. } => Error::new(ErrorKind::Unsupported {
            what: format!("{message}; use MongoDB 4.4 or newer").into(),
        }),
        // The driver checks the size before it sends.
        DriverKind::InvalidArgument { message, .. }
            if message.contains("document must be within") =>
        {
            too_large()
        }
        DriverKind::InvalidArgument { message, .. } => {
            Error::internal(format!("the driver refused the call: {message}"))
        }
        DriverKind::Bson(cause) => Error::corrupt(cause.to_string()),
        DriverKind::InvalidResponse { message, .. } => {
            Error::internal(format!("an answer that the driver cannot read: {message}"))
        }
        DriverKind::Shutdown => Error::unavailable("the client was shut down; connect again"),
        other => Error::internal(other.to_string()),
    }
}

fn by_code(error: &DriverError, code: i32, name: &str, message: &str, deadline: Duration) -> Error {
    let said = format!("{message} ({code} {name})");
    if error.contains_label(TRANSIENT_TRANSACTION_ERROR) {
        return write_conflict().with_source(said);
    }
    let mapped = match code {
        // DuplicateKey, and its name before MongoDB 3.
        11000 | 11001 | 12582 => {
            // The text contains the taken value; the field is enough.
            return Error::already_exists(duplicate_field(error, message));
        }
        // Unauthorized.
        13 => Error::new(ErrorKind::PermissionDenied {
            reason: format!("{message}; grant the database user readWrite on this database").into(),
        }),
        // UserNotFound, AuthenticationFailed.
        11 | 18 => refused_login(message),
        // AtlasError: everything that Atlas's proxy refuses.
        8000 if message.contains("auth") => refused_login(message),
        8000 => Error::new(ErrorKind::PermissionDenied {
            reason: message.to_owned().into(),
        }),
        // MaxTimeMSExpired, WriteConcernFailed (wtimeout), NetworkInterfaceExceededTimeLimit,
        // ExceededTimeLimit.
        50 | 64 | 202 | 262 => Error::timeout(deadline),
        // WriteConflict, NoSuchTransaction, LockTimeout.
        112 | 251 | 24 => write_conflict(),
        // DocumentValidationFailure: a validator of the collection.
        121 => Error::invalid(
            "document",
            "the collection's validator refuses it; correct the record or the validator",
        ),
        // BSONObjectTooLarge; an update beyond the limit.
        10334 | 17419 | 17420 => too_large(),
        // UnsatisfiableWriteConcern, UnknownReplWriteConcern.
        100 | 79 => Error::configuration(
            SETTING,
            format!("the write concern cannot be satisfied: {message}"),
        ),
        // Not primary, stepping down, starting, shutting down, network between the servers,
        // ReadConcernMajorityNotAvailableYet, FailedToSatisfyReadPreference, cursor gone.
        10107 | 13435 | 10058 | 11600 | 11602 | 13436 | 189 | 91 | 6 | 7 | 89 | 9001 | 134
        | 133 | 43 | 237 => Error::unavailable(said.clone()),
        _ => Error::internal(said.clone()),
    };
    mapped.with_source(said)
}

fn write_conflict() -> Error {
    Error::new(ErrorKind::Conflict {
        reason: "another write came in between; repeat the call".into(),
    })
    .retryable(true)
}

fn too_large() -> Error {
    Error::invalid(
        "document",
        "is larger than the 16 MB that MongoDB stores in one document; shorten its texts",
    )
}

fn refused_login(message: &str) -> Error {
    Error::configuration(
        SETTING,
        format!(
            "the server refused the user name or the password ({message}); correct them, and \
             name the database that keeps the user as authSource if it is another"
        ),
    )
}

/// The field whose index already contains the value.
fn duplicate_field(error: &DriverError, message: &str) -> Cow<'static, str> {
    error
        .server_response()
        .and_then(|response| key_pattern(response))
        .or_else(|| key_name(message))
        .or_else(|| index_name(message))
        .map_or(Cow::Borrowed("_id"), Cow::Owned)
}

fn key_pattern(response: &RawDocument) -> Option<String> {
    let in_write_error = || {
        let errors = response.get_array("writeErrors").ok()?;
        errors.get_document(0).ok()?.get_document("keyPattern").ok()
    };
    let pattern = response
        .get_document("keyPattern")
        .ok()
        .or_else(in_write_error)?;
    let fields: Vec<&str> = pattern
        .iter_elements()
        .map_while(Result::ok)
        .map(|element| element.key().as_str())
        .collect();
    (!fields.is_empty()).then(|| fields.join(", "))
}

/// For an insert, the driver drops the answer. The name is in the text:
/// `… dup key: { email: "…" }`.
fn key_name(message: &str) -> Option<String> {
    let (_, key) = message.split_once("dup key: { ")?;
    let (name, _) = key.split_once(':')?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Servers before 4.2 name only the index: `… index: email_1 dup key: { : "…" }`.
fn index_name(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("index: ")?;
    let name = rest.split_whitespace().next()?;
    let name = name.rsplit('$').next()?;
    Some(name.strip_suffix("_1").unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::error::{CommandError, WriteError};

    const DEADLINE: Duration = Duration::from_secs(7);

    fn command(code: i32, message: &str) -> DriverError {
        let error: CommandError = bson::deserialize_from_document(
            bson::doc! {"code": code, "codeName": "Name", "errmsg": message},
        )
        .unwrap();
        DriverKind::Command(error).into()
    }

    fn kind_of(error: &DriverError) -> (&'static str, bool) {
        let error = map(error, DEADLINE);
        let name = match error.kind() {
            ErrorKind::AlreadyExists { field } => {
                assert_eq!(field, "email");
                "exists"
            }
            ErrorKind::Conflict { .. } => "conflict",
            ErrorKind::Invalid { field, .. } => {
                assert_eq!(field, "document");
                "invalid"
            }
            ErrorKind::PermissionDenied { .. } => "denied",
            ErrorKind::Timeout { after } => {
                assert_eq!(*after, DEADLINE);
                "timeout"
            }
            ErrorKind::Unavailable { .. } => "unavailable",
            ErrorKind::Corrupt { .. } => "corrupt",
            ErrorKind::Configuration { setting, .. } => {
                assert_eq!(setting, SETTING);
                "configuration"
            }
            ErrorKind::Internal { .. } => "internal",
            other => panic!("{other:?}"),
        };
        (name, error.is_retryable())
    }

    #[test]
    fn each_code_has_its_kind() {
        let duplicate = "E11000 duplicate key error collection: a.users index: email_1 dup key: { email: \"a@b.c\" }";
        let table = [
            (11000, duplicate, "exists", false),
            (11001, duplicate, "exists", false),
            (13, "not authorized", "denied", false),
            (18, "Authentication failed.", "configuration", false),
            (
                8000,
                "bad auth : Authentication failed.",
                "configuration",
                false,
            ),
            (8000, "you are over your space quota", "denied", false),
            (50, "operation exceeded time limit", "timeout", true),
            (64, "waiting for replication timed out", "timeout", true),
            (112, "Write conflict", "conflict", true),
            (121, "Document failed validation", "invalid", false),
            (10334, "BSONObj size", "invalid", false),
            (17419, "Resulting document", "invalid", false),
            (100, "Not enough data-bearing nodes", "configuration", false),
            (10107, "not primary", "unavailable", true),
            (189, "primary stepped down", "unavailable", true),
            (91, "shutdown", "unavailable", true),
            (11600, "interrupted at shutdown", "unavailable", true),
            (
                134,
                "read concern majority not available",
                "unavailable",
                true,
            ),
            (43, "cursor id not found", "unavailable", true),
            (2, "bad value", "internal", false),
        ];
        for (code, message, kind, retryable) in table {
            assert_eq!(
                kind_of(&command(code, message)),
                (kind, retryable),
                "{code}"
            );
        }
    }

    #[test]
    fn a_write_error_is_mapped_alike() {
        let write: WriteError = bson::deserialize_from_document(
            bson::doc! {"code": 11000, "errmsg": "E11000 index: email_1 dup key: { : 1 }"},
        )
        .unwrap();
        let error = DriverKind::Write(WriteFailure::WriteError(write)).into();
        assert_eq!(kind_of(&error), ("exists", false));
    }

    #[test]
    fn the_field_is_named_whatever_the_index_is_called() {
        let error = command(11000, "E11000 index: mails dup key: { email: \"a: b\" }");
        assert_eq!(kind_of(&error), ("exists", false));
    }

    #[test]
    fn the_drivers_own_errors_have_their_kinds() {
        let io = DriverError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(kind_of(&io), ("unavailable", true));
        let bson = bson::deserialize_from_slice::<bson::Document>(&[1, 2]).unwrap_err();
        assert_eq!(kind_of(&DriverError::from(bson)), ("corrupt", false));
        assert_eq!(kind_of(&DriverKind::Shutdown.into()), ("unavailable", true));
        assert_eq!(
            kind_of(&DriverKind::SessionsNotSupported.into()),
            ("internal", false)
        );
    }

    #[test]
    fn the_taken_value_is_not_shown() {
        let error = command(11000, "E11000 index: email_1 dup key: { email: \"a@b.c\" }");
        let error = map(&error, DEADLINE);
        assert!(!format!("{error} {error:?}").contains("a@b.c"));
    }
}
