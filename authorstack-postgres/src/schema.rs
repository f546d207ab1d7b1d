//! The schema's migrations, applied by sqlx; and whether what was there before is the schema's.

use authorstack_core::{Error, Result};
use authorstack_sql::{Pool, from_sqlx, get};
use sqlx::{
    PgConnection,
    migrate::{MigrateError, Migrator},
    query,
};
use tokio::time::timeout;

use crate::config::SERVER;

static MIGRATOR: Migrator = sqlx::migrate!();

/// The columns that the repositories use, table by table.
const COLUMNS: &[(&str, &[&str])] = &[
    (
        "sales_data",
        &[
            "id",
            "user_id",
            "book_id",
            "platform",
            "date",
            "revenue",
            "units",
            "page_reads",
            "currency",
            "synced_at",
        ],
    ),
    (
        "daily_aggregates",
        &[
            "id",
            "user_id",
            "date",
            "total_revenue",
            "total_units",
            "total_page_reads",
            "platform_breakdown",
            "book_breakdown",
        ],
    ),
    (
        "sync_logs",
        &[
            "id",
            "user_id",
            "platform",
            "status",
            "records_synced",
            "error_message",
            "synced_at",
        ],
    ),
    (
        "ai_insights",
        &[
            "id",
            "user_id",
            "book_id",
            "insight_type",
            "content",
            "confidence",
            "valid_until",
            "created_at",
        ],
    ),
    (
        "revenue_forecasts",
        &[
            "id",
            "user_id",
            "forecast_date",
            "predicted_revenue",
            "actual_revenue",
            "confidence",
            "factors",
            "created_at",
        ],
    ),
];

/// The unique keys that upserts go by.
const KEYS: &[(&str, &[&str])] = &[
    ("sales_data", &["user_id", "book_id", "platform", "date"]),
    ("daily_aggregates", &["user_id", "date"]),
];

pub(crate) async fn migrate(pool: &Pool) -> Result<()> {
    let deadline = pool.timeouts().load;
    let mut connection = pool.open().await?;
    let run = async {
        let applied = MIGRATOR.run(&mut connection).await;
        applied.map_err(from_migrate)?;
        check(&mut connection).await
    };
    let result = timeout(deadline, run)
        .await
        .unwrap_or_else(|_| Err(Error::timeout(deadline)));
    pool.close_connection(connection).await;
    result
}

fn from_migrate(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            from_sqlx(error, &SERVER)
        }
        MigrateError::VersionMissing(version) => Error::blocked(format!(
            "the database's schema has version {version}, which this program does not know: \
             update the program"
        )),
        other => Error::blocked(format!(
            "the schema's history is not as it should be: {other}"
        )),
    }
}

/// Whether tables that were there before are the schema's.
async fn check(connection: &mut PgConnection) -> Result<()> {
    for (table, columns) in COLUMNS {
        let missing = query(
            "select array(select name from unnest($2::text[]) as name where not exists ( \
               select from pg_catalog.pg_attribute \
               where attrelid = ('public.' || $1)::regclass and attname = name and not attisdropped))",
        )
        .bind(*table)
        .bind(*columns)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| from_sqlx(error, &SERVER))?;
        let missing: Vec<String> = get(&missing, 0)?;
        if !missing.is_empty() {
            return Err(Error::blocked(format!(
                "the table {table} was there before and lacks {}; add the columns, or rename the \
                 table and migrate again",
                missing.join(", ")
            )));
        }
    }
    for (table, key) in KEYS {
        let has_key = query(
            "select exists (select from pg_catalog.pg_index as i \
               where indrelid = ('public.' || $1)::regclass and indisunique and indisvalid \
                 and indpred is null and indexprs is null \
                 and (select array_agg(attname::text order by attname) \
                      from pg_catalog.pg_attribute \
                      where attrelid = indrelid and attnum = any (indkey::int2[])) \
                   = (select array_agg(name order by name collate \"C\") from unnest($2::text[]) as name))",
        )
        .bind(*table)
        .bind(*key)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| from_sqlx(error, &SERVER))?;
        if !get::<bool>(&has_key, 0)? {
            return Err(Error::blocked(format!(
                "the table {table} was there before and has no unique key over {}; add it, or \
                 rename the table and migrate again",
                key.join(", ")
            )));
        }
    }
    Ok(())
}
