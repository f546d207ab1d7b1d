//! A database of a test's own, made like a hosted Supabase project's.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of this"
)]

pub mod filled;
mod template;

use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, resume_unwind},
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, Book, Id, NewBook, NewUser, Result, User,
    migrate::{BatchLimits, Destination, Key, Kind, Record, ScannedBatch, Snapshot},
    testing::{
        FreshAnalytics, FreshStore,
        servers::{
            fresh_name, setting, supabase_db_url, supabase_pooler_url, supabase_session_pooler_url,
            workspace,
        },
    },
};
use authorstack_supabase::{
    PoolMode, SupabaseConfig, SupabaseLedger, SupabaseMigration, SupabaseStore,
};
use futures::{FutureExt, TryStreamExt};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, postgres::PgRow};

const PARTITION_SALES: &str = include_str!("../../../supabase/optional/partition_sales_data.sql");

/// A store, and the stack that an app makes of it.
#[derive(Debug, Clone)]
pub struct Host {
    store: SupabaseStore,
    stack: AuthorStack,
}

impl Host {
    pub async fn connect(config: SupabaseConfig) -> Result<Self> {
        let store = SupabaseStore::connect(config).await?;
        let stack = AuthorStack::supabase(&store);
        Ok(Self { store, stack })
    }

    pub async fn migrate(&self) -> Result<()> {
        self.store.migrate().await
    }

    pub async fn pending(&self) -> Result<Vec<String>> {
        self.store.pending().await
    }

    pub fn migration(&self) -> SupabaseMigration {
        self.store.migration()
    }

    pub fn return_ledger(&self) -> SupabaseLedger {
        self.store.return_ledger()
    }

    /// Where a run moves records.
    pub fn destination(&self) -> Destination {
        Destination::transactional(Arc::new(self.migration()))
    }

    pub async fn close(&self) {
        self.store.close().await;
    }
}

impl Deref for Host {
    type Target = AuthorStack;

    fn deref(&self) -> &AuthorStack {
        &self.stack
    }
}

/// The way to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Direct,
    Pooler,
    SessionPooler,
}

#[derive(Debug)]
pub struct Database {
    pub name: String,
}

impl Database {
    pub async fn create() -> Self {
        let admin = PgConnection::connect(&supabase_db_url()).await.unwrap();
        Self::copy_of("authorstack_template", admin).await
    }

    /// One whose schema is up to date.
    pub async fn with_schema() -> Self {
        let mut admin = PgConnection::connect(&supabase_db_url()).await.unwrap();
        let template = template::migrated(&mut admin).await;
        Self::copy_of(&template, admin).await
    }

    async fn copy_of(template: &str, mut admin: PgConnection) -> Self {
        let name = fresh_name();
        let create = format!("create database {name} template {template}");
        admin.execute(AssertSqlSafe(create)).await.unwrap();
        admin.close().await.unwrap();
        Self { name }
    }

    pub async fn drop(self) {
        let mut admin = PgConnection::connect(&supabase_db_url()).await.unwrap();
        let drop = format!("drop database if exists {} with (force)", self.name);
        for _ in 0..40 {
            match admin.execute(AssertSqlSafe(drop.as_str())).await {
                Ok(_) => return,
                // An autovacuum worker is at it, which only a superuser may end.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Err(error) => panic!("{}: {error}", self.name),
            }
        }
        panic!("{} is in use", self.name);
    }

    pub fn url(&self, via: Via) -> String {
        let server = match via {
            Via::Direct => supabase_db_url(),
            Via::Pooler => supabase_pooler_url(),
            Via::SessionPooler => supabase_session_pooler_url(),
        };
        let mut url: url::Url = server.parse().unwrap();
        url.set_path(&self.name);
        url.into()
    }

    pub fn config(&self, via: Via) -> SupabaseConfig {
        let mode = match via {
            Via::Pooler => PoolMode::Transaction,
            Via::Direct | Via::SessionPooler => PoolMode::Session,
        };
        SupabaseConfig::new(self.url(via)).pool_mode(mode)
    }

    pub async fn store(&self, via: Via) -> Host {
        Host::connect(self.config(via)).await.unwrap()
    }

    /// A store whose schema is up to date.
    pub async fn migrated(&self, via: Via) -> Host {
        let store = self.store(via).await;
        store.migrate().await.unwrap();
        store
    }

    /// Runs the optional script, in one transaction as `psql -1` does.
    pub async fn partition(&self) -> sqlx::Result<()> {
        let mut connection = self.connection().await;
        let mut transaction = connection.begin().await?;
        transaction.execute(PARTITION_SALES).await?;
        transaction.commit().await
    }

    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url(Via::Direct)).await.unwrap()
    }

    pub async fn execute(&self, sql: &str) {
        let mut connection = self.connection().await;
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    pub async fn rows(&self, sql: &str) -> Vec<PgRow> {
        let mut connection = self.connection().await;
        connection.fetch_all(AssertSqlSafe(sql)).await.unwrap()
    }

    /// Drops the checks of a table, as before there were any: for rows that are no records.
    pub async fn without_checks(&self, table: &str) {
        let checks = format!(
            "select conname::text from pg_constraint \
             where contype = 'c' and conrelid = 'public.{table}'::regclass"
        );
        for name in self.texts(&checks).await {
            self.execute(&format!(
                "alter table public.{table} drop constraint {name}"
            ))
            .await;
        }
    }

    /// The bytes of a COPY.
    pub async fn copy_out(&self, sql: &str) -> Vec<u8> {
        let mut connection = self.connection().await;
        let parts = connection.copy_out_raw(sql).await.unwrap();
        let parts: Vec<_> = futures::TryStreamExt::try_collect(parts).await.unwrap();
        parts.concat()
    }

    /// The first column, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql).await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let rows = self.rows(&format!("select count(*) from {table}")).await;
        rows[0].get(0)
    }
}

/// Rows that a statement of a role finds or changes; an error's SQLSTATE.
pub async fn as_role(
    database: &Database,
    role: &str,
    sub: Option<&User>,
    sql: &str,
) -> Result<u64, String> {
    let sub = sub.map(|user| user.id.to_uuid().to_string());
    as_account(database, role, sub.as_deref(), sql).await
}

/// The same, signed in to an account whatever its id.
pub async fn as_account(
    database: &Database,
    role: &str,
    sub: Option<&str>,
    sql: &str,
) -> Result<u64, String> {
    let mut connection = database.connection().await;
    let mut transaction = connection.begin().await.unwrap();
    let claims = sub.map_or(String::new(), |sub| format!(r#"{{"sub":"{sub}"}}"#));
    let become_role = format!("set local role {role}; set local request.jwt.claims = '{claims}'");
    transaction
        .execute(AssertSqlSafe(become_role))
        .await
        .unwrap();
    let done = transaction.execute(AssertSqlSafe(sql)).await;
    transaction.rollback().await.unwrap();
    match done {
        Ok(done) => Ok(done.rows_affected()),
        Err(error) => Err(error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned()),
    }
}

/// A user of this name, and a book of theirs.
pub async fn author(store: &AuthorStack, name: &str) -> (User, Id<Book>) {
    let email = format!("{name}@example.org").parse().unwrap();
    let new = NewUser::new(name.parse().unwrap(), email, name);
    let user = store.users().create(new).await.unwrap();
    let book = store.books().create(user.id, NewBook::new("Tide")).await;
    (user, book.unwrap().id)
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

/// A store for the conformance suite.
#[derive(Debug)]
pub struct Fresh {
    database: Database,
    store: Host,
}

impl Fresh {
    pub async fn new(via: Via) -> Self {
        let database = Database::with_schema().await;
        let store = database.store(via).await;
        Self { database, store }
    }

    /// With the sales partitioned: some of the suite's months have a partition, others none.
    pub async fn partitioned(via: Via) -> Self {
        let fresh = Self::new(via).await;
        fresh.database.partition().await.unwrap();
        let months = "select authorstack.make_sales_partition(month::date) \
                      from generate_series('2024-02-01'::timestamp, '2024-12-01', '1 month') as month";
        fresh.database.execute(months).await;
        fresh
    }
}

#[async_trait]
impl FreshStore for Fresh {
    fn stack(&self) -> AuthorStack {
        self.store.stack.clone()
    }

    async fn clean_up(self) {
        self.store.close().await;
        self.database.drop().await;
    }
}

#[async_trait]
impl FreshAnalytics for Fresh {
    fn stack(&self) -> AuthorStack {
        self.store.stack.clone()
    }

    async fn author(&self) -> (Id<User>, Id<Book>) {
        let name = Id::<User>::new().to_string();
        let (user, book) = author(&self.store, &name).await;
        (user.id, book)
    }

    async fn clean_up(self) {
        FreshStore::clean_up(self).await;
    }
}

/// The Supabase CLI, run in a directory that holds this crate's `supabase/migrations`.
pub struct Cli {
    directory: tempfile::TempDir,
}

impl Cli {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let migrations = directory.path().join("supabase/migrations");
        std::fs::create_dir_all(&migrations).unwrap();
        let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("supabase/migrations");
        for file in std::fs::read_dir(ours).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), migrations.join(file.file_name())).unwrap();
        }
        Self { directory }
    }

    pub fn add_migration(&self, file: &str, sql: &str) {
        let migrations = self.directory.path().join("supabase/migrations");
        std::fs::write(migrations.join(file), sql).unwrap();
    }

    /// What the CLI prints to stdout and stderr.
    pub fn run(&self, database: &Database, arguments: &[&str]) -> (String, String) {
        let remote = format!("--remote={}?sslmode=disable", database.url(Via::Direct));
        let output = Command::new(Self::program())
            .args(arguments)
            .arg(remote)
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stdout}\n{stderr}");
        (stdout, stderr)
    }

    /// What Supabase's advisors find, but for indexes that nothing has used yet.
    pub fn advisors(&self, database: &Database) -> Vec<serde_json::Value> {
        let arguments = [
            "db",
            "advisors",
            "--type",
            "all",
            "--level",
            "info",
            "--fail-on",
            "none",
            "--output-format",
            "json",
        ];
        let (stdout, _) = self.run(database, &arguments);
        let mut answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let mut findings = std::mem::take(answer["results"].as_array_mut().unwrap());
        findings.retain(|found| found["name"] != "unused_index");
        findings
    }

    fn program() -> PathBuf {
        let installed = workspace().join("target/tools/node/node_modules/.bin/supabase");
        if std::env::var_os("AUTHORSTACK_TEST_SUPABASE_CLI").is_none() && installed.is_file() {
            return installed;
        }
        setting("AUTHORSTACK_TEST_SUPABASE_CLI").into()
    }
}

/// All records of a kind.
pub async fn scan(snapshot: &dyn Snapshot, kind: Kind) -> Vec<Record> {
    let batches = snapshot.scan(kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = batches.try_collect().await.unwrap();
    let items = batches.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.outcome.unwrap()).collect()
}

/// The records with these keys.
pub async fn fetch(snapshot: &dyn Snapshot, kind: Kind, keys: &[Key]) -> Vec<Record> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let found = snapshot.fetch(kind, &keys).await.unwrap().into_iter();
    found.map(|item| item.outcome.unwrap()).collect()
}
