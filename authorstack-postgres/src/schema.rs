//! Applies the schema's migrations, and checks tables that existed before.

use std::borrow::Cow;

use authorstack_core::{
    Error, Result, layers::Operation, migrate::Kind, resilience::with_deadline,
};
use authorstack_sql::{BEGIN, Pool, from_sqlx, get};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    migrate::{MigrateError, Migrator},
    query,
};

use crate::{config::SERVER, store::PostgresStore};

static MIGRATOR: Migrator = Migrator {
    table_name: Cow::Borrowed(HISTORY),
    // Ours is of the transaction: poolers in transaction mode have no session.
    locking: false,
    ..sqlx::migrate!()
};

/// The driver's table of what was applied.
pub(crate) const HISTORY: &str = "public._sqlx_migrations";

/// The key of the transaction lock that prevents two migrations at the same time.
const LOCK: i64 = 0x6175_7468_6f72_0003;

/// The schema's migrations: version and file name.
pub(crate) fn migrations() -> impl Iterator<Item = (i64, String)> {
    MIGRATOR.iter().map(|migration| {
        let description = migration.description.replace(' ', "_");
        (
            migration.version,
            format!("{}_{description}.sql", migration.version),
        )
    })
}

impl PostgresStore {
    /// Creates the five tables and their indexes if they are missing. Tables that an old app
    /// created with the schema's own SQL stay as they are.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](authorstack_core::ErrorKind::Blocked) if a table with one of these
    /// names lacks a column or its unique key, or if the schema is newer than this crate knows.
    pub async fn migrate(&self) -> Result<()> {
        let migrated = migrate(self.pool()).await;
        migrated.map_err(|error| error.in_operation(Operation::Migrate))
    }
}

pub(crate) async fn migrate(pool: &Pool) -> Result<()> {
    let mut connection = pool.open().await?;
    // The deadline of this program applies, not the role's.
    let begin = AssertSqlSafe(format!("{BEGIN}; set local statement_timeout = 0"));
    let sql = |error| from_sqlx(error, &SERVER);
    let run = async {
        let mut transaction = connection.begin_with(begin).await.map_err(sql)?;
        let lock = query("select pg_advisory_xact_lock($1)").bind(LOCK);
        let lock = lock.persistent(false).execute(&mut *transaction).await;
        lock.map_err(sql)?;
        // The compiler cannot prove that the future of `run` is `Send`; for that there is
        // `run_direct`.
        let applied = MIGRATOR.run_direct(None, &mut *transaction, false).await;
        applied.map_err(from_migrate)?;
        check(&mut transaction).await?;
        transaction.commit().await.map_err(sql)
    };
    let result = with_deadline(pool.timeouts().load, run).await;
    pool.close_connection(connection).await;
    result
}

fn from_migrate(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            from_sqlx(error, &SERVER)
        }
        MigrateError::VersionMissing(version) => Error::blocked(newer(version)),
        other => Error::blocked(format!(
            "the schema's history is not as it should be: {other}"
        )),
    }
}

/// The schema has a version that this program does not know.
pub(crate) fn newer(version: i64) -> String {
    format!(
        "the database's schema has version {version}, which this program does not know: update the \
         program"
    )
}

/// Checks that the tables that existed before have the schema's columns and keys.
async fn check(connection: &mut PgConnection) -> Result<()> {
    for &kind in Kind::ANALYTICS {
        let missing = missing_columns(connection, kind).await?;
        if !missing.is_empty() {
            return Err(Error::blocked(format!(
                "the table {kind} existed before and lacks {}; add the columns, or rename the \
                 table and migrate again",
                missing.join(", ")
            )));
        }
        // Upserts need it.
        for unique in kind.description().unique {
            if !has_key(connection, kind, unique.columns).await? {
                return Err(Error::blocked(format!(
                    "the table {kind} existed before and has no unique key over {}; add it, or \
                     rename the table and migrate again",
                    unique.columns.join(", ")
                )));
            }
        }
    }
    Ok(())
}

/// The columns of the schema that a table lacks.
pub(crate) async fn missing_columns(
    connection: &mut PgConnection,
    kind: Kind,
) -> Result<Vec<String>> {
    // A table of an old app has no such column; the schema's migrations add it.
    let mut columns = kind.column_names();
    columns.retain(|column| *column != "extra");
    let missing = query(
        "select array(select name from unnest($2::text[]) as name where not exists ( \
           select from pg_catalog.pg_attribute \
           where attrelid = to_regclass('public.' || $1) and attname = name and not attisdropped))",
    )
    .persistent(false)
    .bind(kind.as_str())
    .bind(columns)
    .fetch_one(connection)
    .await
    .map_err(|error| from_sqlx(error, &SERVER))?;
    get(&missing, 0)
}

/// Whether these columns are a key of a table.
pub(crate) async fn has_key(
    connection: &mut PgConnection,
    kind: Kind,
    columns: &[&str],
) -> Result<bool> {
    let found = query(
        "select exists (select from pg_catalog.pg_index as i \
           where indrelid = to_regclass('public.' || $1) and indisunique and indisvalid \
             and indpred is null and indexprs is null \
             and (select array_agg(attname::text order by attname) \
                  from pg_catalog.pg_attribute \
                  where attrelid = indrelid and attnum = any (indkey::int2[])) \
               = (select array_agg(name order by name collate \"C\") from unnest($2::text[]) as name))",
    )
    .persistent(false)
    .bind(kind.as_str())
    .bind(columns)
    .fetch_one(connection)
    .await
    .map_err(|error| from_sqlx(error, &SERVER))?;
    get(&found, 0)
}
