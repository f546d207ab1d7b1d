//! Inspects the project before a run begins.

use authorstack_core::{
    Error, Result,
    migrate::{Group, Kind, SinkState},
};
use authorstack_sql::{READ_ONLY, get, read_only_blocker};
use sqlx::{AssertSqlSafe, PgConnection, query};

use super::{
    SupabaseMigration, accounts, deferred,
    notes::unsigned,
    work::{Durability, Work},
};
use crate::schema;

/// The number of records up to which those of a table are counted.
const COUNTED: u64 = 10_000;

impl SupabaseMigration {
    pub(super) async fn look(&self) -> Result<SinkState> {
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let connection = &mut worker.connection;
        let found = schema::find(&self.work.store, connection).await?;
        let mut state = SinkState {
            pending_migrations: found
                .pending
                .iter()
                .map(|file| (*file).to_owned())
                .collect(),
            blockers: found.blockers.clone(),
            ..SinkState::default()
        };
        if let Some(blocker) = read_only(&self.work, connection).await? {
            state.blockers.push(blocker);
        }
        let access_is_pending = found.is_pending(schema::ACCESS);
        for &kind in self.kinds {
            if kind.is_of(Group::Accounts) {
                if !found.is_pending(schema::ACCOUNTS) && !found.is_closed {
                    self.look_at_table(connection, kind, &mut state).await?;
                }
                // Whoever signs in reads both in their own token.
                state.readable_columns.push((kind, "extra"));
                continue;
            }
            let version = schema::TABLES
                .iter()
                .find(|(table, _)| *table == kind.as_str());
            let missing = version.is_none_or(|(_, version)| found.is_pending(version));
            if !missing && !found.is_closed {
                self.look_at_table(connection, kind, &mut state).await?;
            }
            if access_is_pending || missing || found.is_closed {
                // As it will be when the migrations are applied.
                let columns = kind.column_names().into_iter();
                let columns = columns.filter(|column| !schema::HOST_COLUMNS.contains(column));
                let columns = columns.map(|column| (kind, column));
                state.readable_columns.extend(columns);
            } else {
                let columns = self.readable_columns(connection, kind).await?;
                state.readable_columns.extend(columns);
            }
        }
        let may_look = !access_is_pending && !found.is_closed && state.blockers.is_empty();
        if may_look && self.is_first_load(connection).await? {
            state.notes.push(
                "a first load has not ended: the Data API can only read until a run completes it"
                    .to_owned(),
            );
        }
        self.work.commit(worker).await?;
        Ok(state)
    }

    /// The columns that a signed-in user may read, under the policies. A column that a pending migration
    /// adds counts as it will be then.
    async fn readable_columns(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
    ) -> Result<Vec<(Kind, &'static str)>> {
        let names = kind.column_names();
        let select = query(
            "select array(select name from unnest($2::text[]) as name \
             left join pg_catalog.pg_attribute on attrelid = $1::regclass and attname = name \
               and not attisdropped \
             where case when attnum is null then name <> all ($3) \
               else has_column_privilege('authenticated', attrelid, attnum, 'SELECT') end)",
        );
        let select = select
            .bind(deferred::table(kind))
            .bind(&names)
            .bind(schema::HOST_COLUMNS);
        let row = self.work.fetch_optional(connection, select).await?;
        let readable: Vec<String> = row.map_or_else(|| Ok(Vec::new()), |row| get(&row, 0))?;
        let names = names.into_iter();
        let names = names.filter(|name| readable.iter().any(|readable| readable == name));
        Ok(names.map(|name| (kind, name)).collect())
    }

    /// Whether something is put off until the end of a first load.
    async fn is_first_load(&self, connection: &mut PgConnection) -> Result<bool> {
        let select = query("select exists (select from authorstack.deferred_ddl)");
        let row = self.work.fetch_optional(connection, select).await?;
        row.map_or(Ok(false), |row| get(&row, 0))
    }

    pub(super) async fn look_at_table(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        state: &mut SinkState,
    ) -> Result<()> {
        let table = deferred::table(kind);
        let privileges = query(
            "select has_table_privilege($1, 'SELECT') and has_table_privilege($1, 'INSERT') \
                and has_table_privilege($1, 'UPDATE'), \
              has_schema_privilege('authorstack', 'USAGE'), current_user::text, \
              row_security_active($1)",
        );
        let row = self
            .work
            .fetch_optional(connection, privileges.bind(&table))
            .await?;
        let row = row.ok_or_else(|| Error::internal("no answer about privileges"))?;
        let (may_write, may_keep_ledger): (bool, bool) = (get(&row, 0)?, get(&row, 1)?);
        if !may_write || !may_keep_ledger {
            let what = if may_write {
                "the schema authorstack"
            } else {
                table.as_str()
            };
            let role: String = get(&row, 2)?;
            state.blockers.push(format!(
                "the role {role} may not write to {what}; connect as the project's role postgres"
            ));
            return Ok(());
        }
        if get(&row, 3)? {
            let role: String = get(&row, 2)?;
            state.blockers.push(format!(
                "row level security hides rows of {table} from the role {role}; connect as the \
                 project's role postgres"
            ));
            return Ok(());
        }
        let which = accounts::which(kind);
        // Every command asks this, so it must not read a large table.
        let count = query(AssertSqlSafe(format!(
            "select count(*) from (select from {table} {which} limit {COUNTED} + 1) as first"
        )));
        let row = self.work.fetch_optional(connection, count).await?;
        let count = row.map_or(Ok(0), |row| unsigned(&row, 0))?;
        state.records.push((kind, count));
        if count > 0 {
            let records = match count {
                1 => "1 record".to_owned(),
                ..=COUNTED => format!("{count} records"),
                _ => format!("more than {COUNTED} records"),
            };
            state.notes.push(format!(
                "{table} holds {records} already; records with the same id are brought up to \
                 date, others stay",
            ));
        }
        Ok(())
    }
}

/// Why the database takes no writes, if it takes none.
async fn read_only(work: &Work, connection: &mut PgConnection) -> Result<Option<String>> {
    let row = work.fetch_optional(connection, query(READ_ONLY)).await?;
    row.map_or(Ok(None), |row| read_only_blocker(&row))
}
