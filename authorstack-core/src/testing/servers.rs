//! The addresses of the servers for tests.
//!
//! Each has a setting `AUTHORSTACK_TEST_…`. Where it is not set, the servers of
//! `cargo xtask services up` are used. The settings of production are never read.

use std::{env, fs, path::PathBuf};

/// The MongoDB of the tests, without a database in its path.
#[must_use]
pub fn mongodb_url() -> String {
    setting("AUTHORSTACK_TEST_MONGODB_URL")
}

/// The Supabase-like PostgreSQL, as `postgres`, in its database `postgres`.
#[must_use]
pub fn supabase_db_url() -> String {
    setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")
}

/// The address of this PostgreSQL through a pooler in transaction mode.
#[must_use]
pub fn supabase_pooler_url() -> String {
    setting("AUTHORSTACK_TEST_SUPABASE_POOLER_URL")
}

/// The address of this PostgreSQL through a pooler in session mode.
#[must_use]
pub fn supabase_session_pooler_url() -> String {
    setting("AUTHORSTACK_TEST_SUPABASE_SESSION_POOLER_URL")
}

/// A setting of the tests.
///
/// # Panics
/// If neither the environment nor the running services have it: a test without its server fails.
#[must_use]
pub fn setting(name: &str) -> String {
    if let Ok(value) = env::var(name)
        && !value.is_empty()
    {
        return value;
    }
    let file = workspace().join("target/services/env");
    let settings = fs::read_to_string(&file).unwrap_or_default();
    let value = settings
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    match value {
        Some(value) => value.trim().to_owned(),
        None => panic!("no {name}: run `cargo xtask services up`, or set it to a server of yours"),
    }
}

/// The workspace's root.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A name for the database of one test. `cargo xtask test` removes what killed tests leave.
#[must_use]
pub fn fresh_name() -> String {
    format!("as_test_{:016x}", rand::random::<u64>())
}
