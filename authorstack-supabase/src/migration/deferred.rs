//! Indexes, constraints and a setting that a first load defers.
//!
//! An index is dropped and recorded in one transaction. It is restored and removed from the records
//! in one transaction. So if a run is killed, the records show what is still missing.

use std::iter;

use authorstack_core::{Error, Result, migrate::Kind, shown};
use authorstack_sql::{get, has_code};
use sqlx::{AssertSqlSafe, PgConnection, Row, query, raw_sql};

use super::place::key_columns;
use crate::{error::from_sqlx, store::SupabaseStore};

/// Finds the table's secondary indexes and foreign keys, and the SQL that restores them. With the
/// second parameter it also finds the table's keys, each as an index and the constraint that uses
/// it; without it, our own checks by functions and of ASINs, whose rules the records have passed in
/// Rust. They apply to new rows only (`not valid`), so `pg_dump` has them after the rows, too. And autovacuum
/// is off for a table during its first load, unless the owner has decided: it gives way to the
/// builds of indexes only after the server's `deadlock_timeout`.
///
/// It leaves out indexes that this SQL would not restore completely: those with marks of
/// replication or clustering, comments, tablespaces or statistics targets, and the keys of a
/// partitioned table.
const FIND: &str = "\
    with indexes as ( \
      select c.oid, c.relname::text as name, con.conname::text as constraint_name, con.contype, \
             replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') as definition \
      from pg_catalog.pg_index as i join pg_catalog.pg_class as c on c.oid = i.indexrelid \
      left join pg_catalog.pg_constraint as con on con.conindid = c.oid and con.conrelid = i.indrelid \
      where i.indrelid = $1::regclass and i.indisvalid \
        and not (i.indisexclusion or i.indisreplident or i.indisclustered) \
        and (not i.indisunique \
          or ($2 and c.relkind = 'i' and con.contype in ('p', 'u') and not con.condeferrable)) \
        and c.reltablespace = 0 \
        and obj_description(c.oid, 'pg_class') is null \
        and obj_description(con.oid, 'pg_constraint') is null \
        and not exists (select from pg_catalog.pg_attribute where attrelid = c.oid and attstattarget >= 0)) \
    select name, true, definition, \
           case when constraint_name is null then format('drop index %s', oid::regclass) \
             else format('alter table %s drop constraint %I', $1::regclass, constraint_name) end \
    from indexes \
    union all \
    select constraint_name, false, \
           format('alter table %s add constraint %I %s using index %I', $1::regclass, constraint_name, \
             case contype when 'p' then 'primary key' else 'unique' end, name), \
           null \
    from indexes where constraint_name is not null \
    union all \
    select conname::text, false, \
           format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)), \
           format('alter table %s drop constraint %I', conrelid::regclass, conname) \
    from pg_catalog.pg_constraint \
    where conrelid = $1::regclass and conparentid = 0 \
      and obj_description(oid, 'pg_constraint') is null \
      and (contype = 'f' \
        or (contype = 'c' and not $2 and not convalidated \
          and pg_get_constraintdef(oid) = 'CHECK ((asin ~ ''^[A-Z0-9]{10}$''::text)) NOT VALID') \
        or (contype = 'c' and not $2 and not convalidated and exists ( \
          select from pg_catalog.pg_depend as of \
          join pg_catalog.pg_proc as called on called.oid = of.refobjid \
          where of.classid = 'pg_catalog.pg_constraint'::regclass \
            and of.refclassid = 'pg_catalog.pg_proc'::regclass \
            and of.objid = pg_constraint.oid \
            and called.pronamespace = 'authorstack'::regnamespace))) \
    union all \
    select 'autovacuum_enabled', false, \
           format('alter table %s reset (autovacuum_enabled)', oid::regclass), \
           format('alter table %s set (autovacuum_enabled = off)', oid::regclass) \
    from pg_catalog.pg_class \
    where oid = $1::regclass and relkind = 'r' \
      and not exists (select from pg_catalog.pg_options_to_table(reloptions) \
                      where option_name = 'autovacuum_enabled') \
      and not exists (select from pg_catalog.pg_constraint \
                      where conrelid = $1::regclass and conname = 'autovacuum_enabled') \
    order by 1";

/// The table of a kind.
pub(super) fn table(kind: Kind) -> String {
    match kind {
        Kind::Accounts => "auth.users".to_owned(),
        Kind::Identities => "auth.identities".to_owned(),
        _ => format!("public.{kind}"),
    }
}

/// The parts that are dropped for a first load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutOff {
    /// Secondary indexes, foreign keys, our checks by functions, and autovacuum.
    Secondary,
    /// Also the primary key and unique keys, for rows that cannot collide.
    Everything,
}

/// Drops what slows down a first load into an empty table, in the open transaction. If that would
/// have to wait for others, or is not allowed, everything stays.
pub(super) async fn put_off(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
    what: PutOff,
) -> sqlx::Result<()> {
    raw_sql("savepoint put_off; set local lock_timeout = '5s'")
        .execute(&mut *connection)
        .await?;
    match drop_all(store, connection, kind, what).await {
        Ok(()) => {
            let done = "release savepoint put_off; set local lock_timeout = 0";
            raw_sql(done).execute(connection).await?;
            Ok(())
        }
        // The table is locked by another transaction, the role is not its owner, or a table of the
        // owner refers to it.
        Err(error)
            if ["55P03", "42501", "2BP01"]
                .iter()
                .any(|code| has_code(&error, code)) =>
        {
            let error = error.to_string();
            tracing::warn!(%kind, error = %shown(&error), "the indexes stay during the load");
            raw_sql("rollback to savepoint put_off")
                .execute(connection)
                .await?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Lets one transaction at a time drop and restore foreign keys. Each locks the tables at both of
/// its ends, so kinds side by side would wait for each other in a circle.
async fn one_at_a_time(connection: &mut PgConnection) -> sqlx::Result<()> {
    raw_sql("select pg_advisory_xact_lock(hashtextextended('authorstack.deferred_ddl', 0))")
        .execute(connection)
        .await?;
    Ok(())
}

async fn drop_all(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
    what: PutOff,
) -> sqlx::Result<()> {
    one_at_a_time(connection).await?;
    let find = query(FIND)
        .bind(table(kind))
        .bind(what == PutOff::Everything);
    let rows = store.statement(find).fetch_all(&mut *connection).await?;
    for row in rows {
        let (name, is_index): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        let (definition, drop): (String, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
        let record = query(
            "insert into authorstack.deferred_ddl (kind, name, is_index, definition) \
             values ($1, $2, $3, $4) \
             on conflict (kind, name, is_index) do update set definition = excluded.definition",
        )
        .bind(kind.as_str())
        .bind(name)
        .bind(is_index)
        .bind(definition);
        store.statement(record).execute(&mut *connection).await?;
        if let Some(drop) = drop {
            // These are names from the catalog, quoted by the server.
            raw_sql(AssertSqlSafe(drop))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// The most rows that are named for one cause.
const NAMED: usize = 10;

/// The values that must be unique and that several rows have.
pub(super) async fn doubles(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
) -> Result<Vec<String>> {
    let key = key_columns(kind).iter().map(|(name, _)| *name).collect();
    let unique = kind.description().unique.iter();
    let unique = unique.map(|unique| unique.columns.to_vec());
    let mut found = Vec::new();
    for columns in iter::once::<Vec<&str>>(key).chain(unique) {
        let (table, columns) = (table(kind), columns.join(", "));
        let select = format!(
            "select concat_ws(', ', {columns}) from {table} group by {columns} \
             having count(*) > 1 order by 1 limit {NAMED}"
        );
        let rows = store
            .statement(query(AssertSqlSafe(select)))
            .fetch_all(&mut *connection)
            .await
            .map_err(from_sqlx)?;
        let mut named = Vec::with_capacity(rows.len());
        for row in &rows {
            let values: String = get(row, 0)?;
            named.push(format!("({})", values.escape_debug()));
        }
        if !named.is_empty() {
            let more = if named.len() == NAMED { ", …" } else { "" };
            let named = named.join(", ");
            found.push(format!(
                "these are there more than once in ({columns}): {named}{more}; delete all but one \
                 row of each"
            ));
        }
    }
    Ok(found)
}

/// The records that refer to others which are not there, for each foreign key that is still
/// dropped, and the SQL that removes them.
pub(super) async fn orphans(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for reference in kind.description().refers_to {
        let (table, column) = (table(kind), reference.column);
        let condition = format!(
            "{column} is not null and not exists \
             (select from public.{} as held where held.id = {table}.{column})",
            reference.kind
        );
        let columns: Vec<&str> = key_columns(kind).iter().map(|(name, _)| *name).collect();
        let columns = columns.join(", ");
        let select = format!(
            "select concat_ws(' ', {columns}), {column}::text, count(*) over () \
             from {table} where {condition} order by 1 limit {NAMED}"
        );
        let rows = store
            .statement(query(AssertSqlSafe(select)))
            .fetch_all(&mut *connection)
            .await
            .map_err(from_sqlx)?;
        let Some(first) = rows.first() else { continue };
        let all: i64 = get(first, 2)?;
        let mut named = Vec::with_capacity(rows.len());
        for row in &rows {
            let (key, missing): (String, String) = (get(row, 0)?, get(row, 1)?);
            named.push(format!("{} (to {missing})", key.escape_debug()));
        }
        let more = if usize::try_from(all).is_ok_and(|all| all > named.len()) {
            ", …"
        } else {
            ""
        };
        found.push(format!(
            "{all} rows of {table} refer by {column} to {} that are not there: {}{more}; put those \
             back, or remove the rows: delete from {table} where {condition}",
            reference.kind,
            named.join(", "),
        ));
    }
    Ok(found)
}

/// The names of what is still dropped: first the indexes, the slowest builds first, then the
/// constraints. Autovacuum comes back last.
pub(super) async fn waiting(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
) -> sqlx::Result<Vec<(String, bool)>> {
    let select = query(
        "select name, is_index from authorstack.deferred_ddl where kind = $1 \
         order by is_index desc, name = 'autovacuum_enabled', length(definition) desc, name",
    )
    .bind(kind.as_str());
    let rows = store.statement(select).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Restores an index, a constraint or the setting, in the open transaction. An index that is built
/// beside another one needs no worker: the two keep two cores busy.
///
/// # Errors
/// Blocked if the table's rows do not allow it.
pub(super) async fn restore(
    store: &SupabaseStore,
    connection: &mut PgConnection,
    kind: Kind,
    (name, is_index): (&str, bool),
    workers: u8,
) -> Result<()> {
    if !is_index {
        one_at_a_time(connection).await.map_err(from_sqlx)?;
    }
    let take = query(
        "delete from authorstack.deferred_ddl where kind = $1 and name = $2 and is_index = $4 \
         returning definition, case when is_index \
           then to_regclass(format('public.%I', name)) is not null \
           else exists (select from pg_catalog.pg_constraint \
                        where conrelid = $3::regclass and conname = name) end",
    )
    .bind(kind.as_str())
    .bind(name)
    .bind(table(kind))
    .bind(is_index);
    let row = store
        .statement(take)
        .fetch_optional(&mut *connection)
        .await
        .map_err(from_sqlx)?;
    // Another run may have restored it meanwhile, or somebody by hand.
    let Some(row) = row else { return Ok(()) };
    if row.try_get(1).map_err(from_sqlx)? {
        return Ok(());
    }
    let definition: String = row.try_get(0).map_err(from_sqlx)?;
    // The buffers usually are a quarter of the memory. Two builds use one and a half times as much; a
    // build and its worker share.
    raw_sql(AssertSqlSafe(format!(
        "set local max_parallel_maintenance_workers = {workers}; \
         select set_config('maintenance_work_mem', least(greatest( \
           pg_size_bytes(current_setting('shared_buffers')) / 1024 * 3 / 4, 65536), 1048576) || 'kB', true)",
    )))
    .execute(&mut *connection)
    .await
    .map_err(from_sqlx)?;
    match raw_sql(AssertSqlSafe(definition)).execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) if has_code(&error, "23503") => Err(Error::blocked(format!(
            "{} holds records that refer to others which are not there, so {name} cannot be \
             restored: something else wrote to the database during the first load, or the source \
             changed meanwhile",
            table(kind),
        ))),
        Err(error) if has_code(&error, "23505") => Err(Error::blocked(format!(
            "{} holds rows that exist twice, so {name} cannot be restored: something else wrote \
             to the table during its first load",
            table(kind),
        ))),
        Err(error) => Err(from_sqlx(error)),
    }
}
