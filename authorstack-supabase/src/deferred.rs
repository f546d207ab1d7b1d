//! Indexes and foreign keys that a first load puts off.
//!
//! What is dropped is recorded in the same transaction, and what is made again is removed from
//! the record in the same transaction: whenever a run is killed, the rest is still written down.

use authorstack_core::{Error, Result, migrate::Kind};
use sqlx::{AssertSqlSafe, PgConnection, Row, query, raw_sql};

use crate::{
    error::{from_sqlx, has_code},
    store::SupabaseStore,
};

/// The table's secondary indexes and foreign keys, with what makes them again. Left alone is
/// what that would not make again as it was: marks of replication and clustering, comments,
/// tablespaces, statistics targets.
const FIND: &str = "\
    select c.relname::text, true, pg_get_indexdef(c.oid), \
           format('drop index %s', c.oid::regclass) \
    from pg_catalog.pg_index as i join pg_catalog.pg_class as c on c.oid = i.indexrelid \
    where i.indrelid = $1::regclass and i.indisvalid \
      and not (i.indisunique or i.indisprimary or i.indisexclusion or i.indisreplident or i.indisclustered) \
      and c.reltablespace = 0 \
      and obj_description(c.oid, 'pg_class') is null \
      and not exists (select from pg_catalog.pg_constraint where conindid = c.oid) \
      and not exists (select from pg_catalog.pg_attribute where attrelid = c.oid and attstattarget >= 0) \
    union all \
    select conname::text, false, \
           format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)), \
           format('alter table %s drop constraint %I', conrelid::regclass, conname) \
    from pg_catalog.pg_constraint \
    where conrelid = $1::regclass and contype = 'f' and conparentid = 0 \
      and obj_description(oid, 'pg_constraint') is null \
    order by 1";

/// The table of a kind.
pub(crate) fn table(kind: Kind) -> String {
    format!("public.{kind}")
}

/// Drops what a first load into an empty table need not keep up, in the transaction that is
/// open. Where that must wait for others, or is not allowed, everything stays.
pub(crate) async fn put_off(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
) -> sqlx::Result<()> {
    raw_sql("savepoint put_off; set local lock_timeout = '5s'; set local search_path = ''")
        .execute(&mut *connection)
        .await?;
    match drop_all(store, connection, kind).await {
        Ok(()) => {
            let done = "release savepoint put_off; set local lock_timeout = 0; \
                        set local search_path to default";
            raw_sql(done).execute(connection).await?;
            Ok(())
        }
        // Locked by another, or not the owner.
        Err(error) if has_code(&error, "55P03") || has_code(&error, "42501") => {
            tracing::warn!(%kind, %error, "the indexes stay during the load");
            raw_sql("rollback to savepoint put_off")
                .execute(connection)
                .await?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn drop_all(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
) -> sqlx::Result<()> {
    let find = query(FIND).bind(table(kind));
    let rows = store.statement(find).fetch_all(&mut *connection).await?;
    for row in rows {
        let (name, is_index): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        let (definition, drop): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let record = query(
            "insert into authorstack.deferred_ddl (kind, name, is_index, definition) \
             values ($1, $2, $3, $4) \
             on conflict (kind, name) do update \
             set is_index = excluded.is_index, definition = excluded.definition",
        )
        .bind(kind.as_str())
        .bind(name)
        .bind(is_index)
        .bind(definition);
        store.statement(record).execute(&mut *connection).await?;
        // The catalog's own names, quoted by the server.
        raw_sql(AssertSqlSafe(drop))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What a kind still waits for: names of indexes, then of constraints.
pub(crate) async fn waiting(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
) -> sqlx::Result<Vec<(String, bool)>> {
    let select = query(
        "select name, is_index from authorstack.deferred_ddl where kind = $1 \
         order by is_index desc, name",
    )
    .bind(kind.as_str());
    let rows = store.statement(select).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Makes one again, in the transaction that is open.
pub(crate) async fn restore(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
    name: &str,
) -> Result<()> {
    let take = query(
        "delete from authorstack.deferred_ddl where kind = $1 and name = $2 \
         returning definition, case when is_index \
           then to_regclass(format('public.%I', name)) is not null \
           else exists (select from pg_catalog.pg_constraint \
                        where conrelid = $3::regclass and conname = name) end",
    )
    .bind(kind.as_str())
    .bind(name)
    .bind(table(kind));
    let row = store
        .statement(take)
        .fetch_optional(&mut *connection)
        .await
        .map_err(from_sqlx)?;
    // Made by another meanwhile, or by hand.
    let Some(row) = row else { return Ok(()) };
    if row.try_get(1).map_err(from_sqlx)? {
        return Ok(());
    }
    let definition: String = row.try_get(0).map_err(from_sqlx)?;
    raw_sql("set local maintenance_work_mem = '128MB'")
        .execute(&mut *connection)
        .await
        .map_err(from_sqlx)?;
    match raw_sql(AssertSqlSafe(definition)).execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) if has_code(&error, "23503") => Err(Error::blocked(format!(
            "{} holds records that refer to others which were deleted during the load, so {name} \
             cannot be made again; delete those records or restore the others, then run again",
            table(kind),
        ))),
        Err(error) => Err(from_sqlx(error)),
    }
}
