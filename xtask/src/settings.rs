//! The settings by which tests find their servers, all named `AUTHORSTACK_TEST_…`.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

pub(crate) const MONGODB: &str = "AUTHORSTACK_TEST_MONGODB_URL";
pub(crate) const POSTGRES: &str = "AUTHORSTACK_TEST_POSTGRES_URL";
/// The newest PostgreSQL that we support; [`POSTGRES`] is the oldest.
pub(crate) const POSTGRES_NEWEST: &str = "AUTHORSTACK_TEST_POSTGRES_NEWEST_URL";
pub(crate) const SUPABASE: &str = "AUTHORSTACK_TEST_SUPABASE_DB_URL";
pub(crate) const POOLER: &str = "AUTHORSTACK_TEST_SUPABASE_POOLER_URL";
pub(crate) const SESSION_POOLER: &str = "AUTHORSTACK_TEST_SUPABASE_SESSION_POOLER_URL";
pub(crate) const REDIS: &str = "AUTHORSTACK_TEST_REDIS_URL";

/// The password of every database role here; the servers listen on 127.0.0.1 only.
pub(crate) const PASSWORD: &str = "authorstack-development";

/// Names and values, in the order of their names.
pub(crate) type Settings = BTreeMap<&'static str, String>;

/// The address of the caller's own server, if they have set one.
pub(crate) fn external(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// An address without its password, to be shown.
pub(crate) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(set)".to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // The last `@` counts, because a password may contain any character.
    let Some(at) = rest.rfind('@') else {
        return format!("{scheme}://{}", &rest[..end]);
    };
    let (credentials, host) = (&rest[..at], &rest[at + 1..]);
    let host = host.split(['?', '#']).next().unwrap_or(host);
    match credentials.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{host}"),
        None => format!("{scheme}://***@{host}"),
    }
}

/// Removes the settings of production from a command's environment: tests and demo never see them.
pub(crate) fn without_production(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AUTHORSTACK_") && !text.starts_with("AUTHORSTACK_TEST_") {
            command.env_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(masked("postgres://u:p@h:1/d"), "postgres://u:***@h:1/d");
        assert_eq!(masked("postgres://u:p@ss/x@h/d"), "postgres://u:***@h/d");
        assert_eq!(masked("redis://:p@h:1"), "redis://:***@h:1");
        assert_eq!(masked("mongodb://h:1/?replicaSet=rs0"), "mongodb://h:1");
        assert_eq!(masked("postgres://u@h/d?password=p"), "postgres://***@h/d");
        assert_eq!(masked("host=h password=p"), "(set)");
    }
}
