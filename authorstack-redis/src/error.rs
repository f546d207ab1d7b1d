//! Converts the driver's errors into AuthorStack's, code by code.

use std::{error::Error as _, time::Duration};

use authorstack_core::{Error, ErrorKind, shown};
use redis::{ErrorKind as DriverKind, RedisError};

/// The setting that contains all of Redis's own settings.
pub(crate) const SETTING: &str = "redis_url";

/// What a call was about, for its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The key, or the first of several.
    pub(crate) key: &'a str,
    /// How long the call could take.
    pub(crate) deadline: Duration,
}

/// An error of the driver or the server.
pub(crate) fn map(error: &RedisError, about: About<'_>) -> Error {
    if let Some(code) = error.code() {
        let said = error.detail().unwrap_or_default();
        return by_code(code, without_arguments(said), about);
    }
    let said = cause(error);
    match error.kind() {
        _ if error.is_timeout() => Error::timeout(about.deadline),
        DriverKind::Io if is_about_tls(&said) => tls(&said),
        DriverKind::Io if is_unknown_host(&said) => Error::configuration(
            SETTING,
            format!("no address is known for the host ({said}); check its spelling"),
        ),
        DriverKind::Io => Error::unavailable(format!("the connection to Redis failed: {said}")),
        // A refusal of the password comes without its code.
        DriverKind::AuthenticationFailed => by_code("WRONGPASS", &said, about),
        DriverKind::InvalidClientConfig => Error::configuration(SETTING, said),
        DriverKind::RESP3NotSupported => Error::configuration(
            SETTING,
            "the server does not speak RESP3; remove protocol=resp3 from the address",
        ),
        DriverKind::Parse => Error::internal(format!(
            "what the server at {SETTING} answered is no answer of Redis ({said})"
        )),
        DriverKind::UnexpectedReturnType => Error::corrupt(format!(
            "key {} gave an answer of another type ({said})",
            shown(about.key)
        )),
        _ => Error::internal(said),
    }
}

/// The error for a code of the server. `said` is the text behind it.
fn by_code(code: &str, said: &str, about: About<'_>) -> Error {
    let key = shown(about.key);
    let full = format!("{code} {said}");
    let mapped = match code {
        "WRONGTYPE" => Error::corrupt(format!(
            "key {key} holds a value of another type than AuthorStack stores there; delete the \
             key, or rename it if another app uses it"
        )),
        "OOM" => Error::unavailable(
            "Redis has reached its memory limit (maxmemory) and refuses to write; raise the limit, \
             or remove what is not needed",
        ),
        "READONLY" => Error::unavailable(
            "the Redis server is a read-only replica; a failover may be under way, otherwise name \
             the primary in redis_url",
        ),
        "LOADING" => Error::unavailable("Redis is starting and still loads its data"),
        "BUSY" => Error::unavailable("Redis is busy with a script that takes long"),
        "MASTERDOWN" | "NOREPLICAS" => {
            Error::unavailable(format!("Redis has lost a server that it needs ({said})"))
        }
        "MISCONF" => Error::unavailable(
            "Redis cannot save its data on disk and refuses to write; look at the server's log",
        ),
        "NOAUTH" => Error::configuration(
            SETTING,
            "the server demands a password; write it into the address, as \
             rediss://user:password@host:port",
        ),
        "WRONGPASS" => Error::configuration(
            SETTING,
            "the server refused the user name or the password; correct them (Upstash's user is \
             default), and percent-encode what is no letter or digit",
        ),
        "NOPERM" => Error::new(ErrorKind::PermissionDenied {
            reason: format!(
                "the Redis user lacks a right ({said}); grant it ~authorstack:* and the commands, \
                 scripts included"
            )
            .into(),
        }),
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => cluster(),
        // The driver loads a script that the server lacks. It was flushed in between.
        "NOSCRIPT" => Error::unavailable("Redis has lost a script; repeat the call"),
        "NOPROTO" => Error::configuration(
            SETTING,
            "the server does not speak the protocol that the address asks for; remove protocol=",
        ),
        "ERR" => return general(said, about).with_source(full),
        _ => Error::internal(full.clone()),
    };
    mapped.with_source(full)
}

/// What servers answer without a code of its own.
fn general(said: &str, about: About<'_>) -> Error {
    let has = |part: &str| said.to_ascii_lowercase().contains(part);
    if has("max number of clients") || has("max concurrent connections") {
        return Error::unavailable(format!(
            "Redis accepts no further connection ({said}); close some, or raise the limit"
        ));
    }
    if has("invalid password") || has("no password is set") || has("auth <password>") {
        return by_code("WRONGPASS", said, about);
    }
    if has("db index") || has("select is not allowed") {
        return Error::configuration(
            SETTING,
            format!("the server refuses the database in the address ({said})"),
        );
    }
    // Upstash's plans.
    if has("max request size") || has("proto-max-bulk-len") {
        return Error::invalid(
            "value",
            format!(
                "key {}: larger than the server accepts ({said})",
                shown(about.key)
            ),
        );
    }
    if has("max daily request limit") || has("max requests limit") || has("max database size") {
        return Error::unavailable(format!("the plan's limit is reached: {said}"));
    }
    if has("unknown command") || has("unknown subcommand") || has("unknown redis command") {
        return Error::new(ErrorKind::Unsupported {
            what: format!("the Redis server lacks a command: {said}; use Redis 6.2 or newer")
                .into(),
        });
    }
    if has("cluster support") || has("cross slot") {
        return cluster();
    }
    Error::internal(format!("key {}: {said}", shown(about.key)))
}

/// The error for a server that is a part of a cluster.
pub(crate) fn cluster() -> Error {
    Error::configuration(
        SETTING,
        "the server is a part of a Redis Cluster, whose servers hold some of the keys each; use \
         one server that holds all, with a replica for failover",
    )
}

/// Texts about unknown commands repeat their arguments, which may be anything.
fn without_arguments(said: &str) -> &str {
    let end = said.find(", with args").unwrap_or(said.len());
    said[..end].trim_end()
}

/// The innermost cause that the driver tells.
fn cause(error: &RedisError) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    error.to_string()
}

fn is_about_tls(said: &str) -> bool {
    [
        "certificate",
        "InvalidContentType",
        "corrupt message",
        "HandshakeFailure",
        "received fatal alert",
        "UnknownIssuer",
    ]
    .iter()
    .any(|part| said.contains(part))
}

fn is_unknown_host(said: &str) -> bool {
    said.contains("failed to lookup address") || said.contains("No address found")
}

fn tls(said: &str) -> Error {
    if said.contains("InvalidContentType") || said.contains("corrupt message") {
        return Error::configuration(
            SETTING,
            "the server does not speak TLS at this port; correct the port, or use redis:// if it \
             is on this machine",
        );
    }
    Error::configuration(
        SETTING,
        format!(
            "the server's certificate is refused ({said}); use the name that the certificate is \
             for, and name its authority as the root certificate if that is no public one"
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use std::io;

    use redis::{ServerErrorKind, make_extension_error};

    use super::*;

    const ABOUT: About<'static> = About {
        key: "authorstack:user:1",
        deadline: Duration::from_secs(5),
    };

    fn code(code: &str, said: &str) -> Error {
        map(
            &make_extension_error(code.to_owned(), Some(said.to_owned())),
            ABOUT,
        )
    }

    #[test]
    fn every_code_has_its_kind() {
        for (name, said, kind, retryable) in [
            ("WRONGTYPE", "Operation against a key", "corrupt", false),
            (
                "OOM",
                "command not allowed when used memory",
                "unavailable",
                true,
            ),
            ("READONLY", "You can't write", "unavailable", true),
            ("LOADING", "Redis is loading", "unavailable", true),
            ("BUSY", "Redis is busy", "unavailable", true),
            (
                "MASTERDOWN",
                "Link with MASTER is down",
                "unavailable",
                true,
            ),
            (
                "NOREPLICAS",
                "Not enough good replicas",
                "unavailable",
                true,
            ),
            (
                "MISCONF",
                "Redis is configured to save",
                "unavailable",
                true,
            ),
            ("NOSCRIPT", "No matching script", "unavailable", true),
            ("NOAUTH", "Authentication required.", "configuration", false),
            (
                "WRONGPASS",
                "invalid username-password",
                "configuration",
                false,
            ),
            ("NOPROTO", "unsupported protocol", "configuration", false),
            ("NOPERM", "no permissions", "permission_denied", false),
            ("MOVED", "3999 127.0.0.1:6381", "configuration", false),
            ("ASK", "3999 127.0.0.1:6381", "configuration", false),
            ("CROSSSLOT", "Keys in request", "configuration", false),
            (
                "CLUSTERDOWN",
                "Hash slot not served",
                "configuration",
                false,
            ),
            ("TRYAGAIN", "Multiple keys", "configuration", false),
            ("ERR", "max number of clients reached", "unavailable", true),
            (
                "ERR",
                "max daily request limit exceeded",
                "unavailable",
                true,
            ),
            ("ERR", "max request size exceeded", "invalid", false),
            ("ERR", "invalid password", "configuration", false),
            ("ERR", "DB index is out of range", "configuration", false),
            (
                "ERR",
                "unknown command 'LPOS', with args beginning with: 'a'",
                "unsupported",
                false,
            ),
            ("ERR", "something new", "internal", false),
            ("NEWCODE", "something new", "internal", false),
        ] {
            let error = code(name, said);
            assert_eq!(error.kind().code(), kind, "{name} {said}: {error}");
            assert_eq!(error.is_retryable(), retryable, "{name} {said}");
            assert!(
                !format!("{error:?}").contains("beginning with"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn codes_that_the_driver_knows_are_mapped_like_others() {
        for (kind, expected) in [
            (ServerErrorKind::BusyLoading, "unavailable"),
            (ServerErrorKind::ReadOnly, "unavailable"),
            (ServerErrorKind::MasterDown, "unavailable"),
            (ServerErrorKind::NoScript, "unavailable"),
            (ServerErrorKind::NoPerm, "permission_denied"),
            (ServerErrorKind::Moved, "configuration"),
            (ServerErrorKind::Ask, "configuration"),
            (ServerErrorKind::CrossSlot, "configuration"),
            (ServerErrorKind::ClusterDown, "configuration"),
            (ServerErrorKind::TryAgain, "configuration"),
            (ServerErrorKind::ResponseError, "internal"),
        ] {
            let error = RedisError::from((DriverKind::Server(kind), "said"));
            assert_eq!(map(&error, ABOUT).kind().code(), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_key_of_the_wrong_type_is_named() {
        let error = code(
            "WRONGTYPE",
            "Operation against a key holding the wrong kind of value",
        );
        assert!(error.to_string().contains("authorstack:user:1"), "{error}");
    }

    #[test]
    fn what_the_network_does_is_told_apart() {
        let io = |kind, text: &'static str| map(&io::Error::new(kind, text).into(), ABOUT);
        let timeout = io(io::ErrorKind::TimedOut, "timed out");
        assert_eq!(
            timeout.kind(),
            &ErrorKind::Timeout {
                after: ABOUT.deadline
            }
        );
        for (error, expected) in [
            (
                io(io::ErrorKind::ConnectionRefused, "refused"),
                "unavailable",
            ),
            (io(io::ErrorKind::ConnectionReset, "reset"), "unavailable"),
            (io(io::ErrorKind::UnexpectedEof, "early eof"), "unavailable"),
            (
                io(
                    io::ErrorKind::InvalidData,
                    "invalid peer certificate: UnknownIssuer",
                ),
                "configuration",
            ),
            (
                io(
                    io::ErrorKind::InvalidData,
                    "received corrupt message of type InvalidContentType",
                ),
                "configuration",
            ),
            (
                io(io::ErrorKind::Other, "failed to lookup address information"),
                "configuration",
            ),
        ] {
            assert_eq!(error.kind().code(), expected, "{error}");
        }
    }
}
