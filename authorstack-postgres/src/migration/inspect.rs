//! Inspects the target before a run begins to write.

use std::collections::HashSet;

use authorstack_core::{
    Error, Result,
    migrate::{Kind, SinkState},
    resilience::with_deadline,
};
use authorstack_sql::{READ_ONLY, get, read_only_blocker};
use sqlx::{AssertSqlSafe, PgConnection, query};

use super::{shared::Shared, snapshot::count};
use crate::{
    config::SERVER,
    schema::{HISTORY, has_key, migrations, missing_columns, newer},
};

pub(super) async fn inspect(shared: &Shared) -> Result<SinkState> {
    let limit = shared.pool.timeouts().load;
    let mut connection = shared.begin().await?;
    let mut state = SinkState::default();
    let look = async {
        let read_only = shared.fetch_in(&mut connection, query(READ_ONLY)).await?;
        if let Some(row) = read_only.first() {
            state.blockers.extend(read_only_blocker(row)?);
        }
        look_at_schema(shared, &mut connection, &mut state).await?;
        for &kind in Kind::ANALYTICS {
            look_at_table(shared, &mut connection, kind, &mut state).await?;
        }
        Ok(())
    };
    with_deadline(limit, look).await?;
    shared.end(connection).await?;
    Ok(state)
}

async fn look_at_schema(
    shared: &Shared,
    connection: &mut PgConnection,
    state: &mut SinkState,
) -> Result<()> {
    let look = query(
        "select to_regclass($1) is not null, \
           has_schema_privilege('public', 'create'), current_user::text, \
           current_setting('server_encoding') = 'UTF8'",
    )
    .bind(HISTORY);
    let rows = shared.fetch_in(connection, look).await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::internal("no answer about the schema"))?;
    let (has_history, may_create): (bool, bool) = (get(row, 0)?, get(row, 1)?);
    let (role, is_utf8): (String, bool) = (get(row, 2)?, get(row, 3)?);
    let mut applied: HashSet<i64> = HashSet::new();
    if has_history {
        let history = format!("select version from {HISTORY} where success order by version");
        let history = query(AssertSqlSafe(history));
        for row in shared.fetch_in(connection, history).await? {
            applied.insert(get(&row, 0)?);
        }
    }
    let mut known = HashSet::new();
    for (version, file) in migrations() {
        known.insert(version);
        if !applied.contains(&version) {
            state.pending_migrations.push(file);
        }
    }
    if let Some(version) = applied.difference(&known).max() {
        state.blockers.push(newer(*version));
    }
    if !state.pending_migrations.is_empty() && !may_create {
        state.blockers.push(format!(
            "the role {role} may not create tables in the schema public; {}",
            SERVER.role_hint
        ));
    }
    if !is_utf8 {
        let blocker = "the database's encoding is not UTF8; restore a dump of it into one that is";
        state.blockers.push(blocker.to_owned());
    }
    Ok(())
}

async fn look_at_table(
    shared: &Shared,
    connection: &mut PgConnection,
    kind: Kind,
    state: &mut SinkState,
) -> Result<()> {
    let look = query(
        "select to_regclass('public.' || $1) is not null, \
           coalesce((select bool_and(has_table_privilege(to_regclass('public.' || $1), name)) \
             from unnest(array['select', 'insert', 'update', 'delete']) as name), true), \
           current_user::text",
    );
    let look = look.bind(kind.as_str());
    let rows = shared.fetch_in(connection, look).await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::internal("no answer about a table"))?;
    let (is_there, may_write): (bool, bool) = (get(row, 0)?, get(row, 1)?);
    if !is_there {
        if state.pending_migrations.is_empty() {
            state.blockers.push(format!(
                "the table {kind} is gone, though the schema's migrations were applied; restore it"
            ));
        }
        return Ok(());
    }
    if !may_write {
        let (role, hint): (String, _) = (get(row, 2)?, SERVER.role_hint);
        let blocker = format!("the role {role} may not write to {kind}; {hint}");
        state.blockers.push(blocker);
        return Ok(());
    }
    let missing = missing_columns(connection, kind).await?;
    if !missing.is_empty() {
        let missing = missing.join(", ");
        let blocker = format!("the table {kind} lacks {missing}; add the columns");
        state.blockers.push(blocker);
        return Ok(());
    }
    let unique = kind.description().unique.iter();
    let keys = unique.map(|unique| unique.columns);
    for key in keys.chain([["id"].as_slice()]) {
        if !has_key(connection, kind, key).await? {
            let key = key.join(", ");
            let blocker = format!("the table {kind} has no unique key over {key}; add it");
            state.blockers.push(blocker);
        }
    }
    let rows = shared
        .fetch_in(connection, query(AssertSqlSafe(count(kind))))
        .await?;
    let count = rows.first().map_or(Ok(0), |row| get::<i64>(row, 0))?;
    let count = count.unsigned_abs();
    state.records.push((kind, count));
    if count > 0 {
        state.notes.push(format!(
            "{kind} holds {count} {} already; records with the same number are brought up to \
             date, others stay",
            if count == 1 { "record" } else { "records" }
        ));
    }
    Ok(())
}
