//! A database of a test's own.
#![allow(
    dead_code,
    clippy::panic,
    unreachable_pub,
    reason = "each test file uses a part of this"
)]

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use authorstack_core::{
    AuthorStack,
    testing::servers::{fresh_name, setting},
};
use authorstack_postgres::{PostgresConfig, PostgresStore};
use futures::FutureExt;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use url::Url;

#[derive(Debug)]
pub struct Database {
    pub name: String,
}

fn server() -> String {
    setting("AUTHORSTACK_TEST_POSTGRES_URL")
}

impl Database {
    pub async fn create() -> Self {
        let name = fresh_name();
        let mut admin = PgConnection::connect(&server()).await.unwrap();
        let create = format!("create database {name} template template0");
        admin.execute(AssertSqlSafe(create)).await.unwrap();
        Self { name }
    }

    pub async fn drop(self) {
        let mut admin = PgConnection::connect(&server()).await.unwrap();
        let drop = format!("drop database if exists {} with (force)", self.name);
        for _ in 0..40 {
            match admin.execute(AssertSqlSafe(drop.as_str())).await {
                Ok(_) => return,
                // Autovacuum works in it, which only a superuser may end.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Err(error) => panic!("{}: {error}", self.name),
            }
        }
        panic!("{}: cannot be dropped", self.name);
    }

    pub fn url(&self) -> String {
        let mut url: Url = server().parse().unwrap();
        url.set_path(&self.name);
        url.into()
    }

    pub async fn store(&self) -> PostgresStore {
        PostgresStore::connect(PostgresConfig::new(self.url()))
            .await
            .unwrap()
    }

    pub async fn execute(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// The first column, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        let rows = connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// The analytics that an app makes of a store.
pub fn stack(store: &PostgresStore) -> AuthorStack {
    AuthorStack::builder().analytics(store).build()
}

/// Runs a test on a database of its own, and drops the database whatever comes of it.
pub async fn on_database(test: impl AsyncFnOnce(&Database)) {
    let database = Database::create().await;
    let outcome = AssertUnwindSafe(test(&database)).catch_unwind().await;
    database.drop().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}
