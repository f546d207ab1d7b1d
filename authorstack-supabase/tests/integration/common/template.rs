//! A database that has our schema already, of which tests get copies: migrating each one takes longer
//! than most tests.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
};

use authorstack_core::testing::servers::{supabase_db_url, workspace};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// The name of the template, which is made if this server has none for the migrations as they are now.
pub(super) async fn migrated(admin: &mut PgConnection) -> String {
    let name = name();
    if is_ready(admin, &name).await {
        return name;
    }
    // The other tests wait for the first one.
    lock(admin, "select pg_advisory_lock(hashtext($1))", &name).await;
    if !is_ready(admin, &name).await {
        make(admin, &name).await;
    }
    lock(admin, "select pg_advisory_unlock(hashtext($1))", &name).await;
    name
}

async fn lock(admin: &mut PgConnection, sql: &'static str, name: &str) {
    let lock = sqlx::query(sql).bind(name);
    lock.execute(admin).await.unwrap();
}

async fn make(admin: &mut PgConnection, name: &str) {
    // A test that was killed may have left a half of it.
    for sql in [
        format!("drop database if exists {name} with (force)"),
        format!("create database {name} template authorstack_template"),
    ] {
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let mut url: url::Url = supabase_db_url().parse().unwrap();
    url.set_path(name);
    let store = SupabaseStore::connect(SupabaseConfig::new(url.as_str())).await;
    let store = store.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    // A copy fails while a connection is open.
    let finish = format!("alter database {name} is_template true allow_connections false");
    admin.execute(AssertSqlSafe(finish)).await.unwrap();
}

async fn is_ready(admin: &mut PgConnection, name: &str) -> bool {
    let look = "select exists (select from pg_database where datname = $1 and datistemplate)";
    let look = sqlx::query_scalar(look).bind(name);
    look.fetch_one(admin).await.unwrap()
}

/// Names the state of the migrations.
fn name() -> String {
    let folder = workspace().join("authorstack-supabase/supabase/migrations");
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.file_name().unwrap().hash(&mut hasher);
        fs::read(&file).unwrap().hash(&mut hasher);
    }
    format!("authorstack_migrated_{:016x}", hasher.finish())
}
