//! The schema's migrations: the files in `supabase/migrations`, applied as the Supabase CLI applies
//! them.

use authorstack_core::{Error, Result, layers::Operation, resilience::with_deadline};
use authorstack_sql::{BEGIN, get, has_code, is_duplicate_object};
use sqlx::{AssertSqlSafe, Connection, PgConnection, query, raw_sql};

use crate::{error::from_sqlx, store::SupabaseStore};

/// A file in `supabase/migrations`.
pub(crate) struct Migration {
    /// The file's name.
    pub(crate) file: &'static str,
    /// The fourteen digits at its beginning.
    pub(crate) version: &'static str,
    /// The rest of the name, without the file extension.
    pub(crate) name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal, $name:literal;)+) => {
        /// All migrations, in their order.
        pub(crate) const MIGRATIONS: &[Migration] = &[$(Migration {
            file: concat!($version, "_", $name, ".sql"),
            version: $version,
            name: $name,
            sql: include_str!(concat!("../supabase/migrations/", $version, "_", $name, ".sql")),
        }),+];
    };
}

migrations! {
    "20261123000000", "authorstack_bookkeeping";
    "20261123000001", "authorstack_users_books";
    "20261124000000", "authorstack_documents";
    "20261124000001", "authorstack_analytics";
    "20261125000000", "authorstack_rows";
    "20261126000000", "authorstack_return";
    "20261127000000", "authorstack_access";
    "20261127010000", "authorstack_rules";
    "20261127030000", "authorstack_sales";
    "20261127040000", "authorstack_counts";
    "20261128000000", "authorstack_extra";
    "20261128010000", "authorstack_set_aside";
    "20261128030000", "authorstack_lengths";
    "20261128040000", "authorstack_moved";
    "20261129000000", "authorstack_preferences";
    "20261130000000", "authorstack_accounts";
    "20261201000000", "authorstack_checks";
    "20261202000000", "authorstack_moved_keys";
}

/// The tables that the migrations create in `public`, each with its migration.
pub(crate) const TABLES: &[(&str, &str)] = &[
    ("users", "20261123000001"),
    ("books", "20261123000001"),
    ("checklists", "20261124000000"),
    ("follows", "20261124000000"),
    ("community_posts", "20261124000000"),
    ("post_likes", "20261124000000"),
    ("post_comments", "20261124000000"),
    ("marketplace_boosts", "20261124000000"),
    ("competitors", "20261124000000"),
    ("competitor_prices", "20261124000000"),
    ("sales_data", "20261124000001"),
    ("daily_aggregates", "20261124000001"),
    ("sync_logs", "20261124000001"),
    ("ai_insights", "20261124000001"),
    ("revenue_forecasts", "20261124000001"),
    ("user_preferences", "20261129000000"),
];

/// The migration that makes the table of moved accounts.
pub(crate) const ACCOUNTS: &str = "20261130000000";

/// The migration that says what the API roles may read and write.
pub(crate) const ACCESS: &str = "20261127000000";

/// The columns that it leaves to the host.
pub(crate) const HOST_COLUMNS: &[&str] = &["extra", "connected_platforms"];

/// The key of the transaction lock that prevents two migrations at the same time.
const LOCK: i64 = 0x6175_7468_6f72_0001;

const MAKE_HISTORY: &str = "\
    create schema if not exists supabase_migrations; \
    create table if not exists supabase_migrations.schema_migrations (version text not null primary key); \
    alter table supabase_migrations.schema_migrations add column if not exists statements text[]; \
    alter table supabase_migrations.schema_migrations add column if not exists name text;";

/// The state of the database's schema.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The migrations that are still to be applied.
    pub(crate) pending: Vec<&'static str>,
    /// What blocks them, and how to fix it.
    pub(crate) blockers: Vec<String>,
    /// Whether privileges are missing for a full check.
    pub(crate) is_closed: bool,
    /// Applied, but missing from the history, for example after the restore of a dump without it.
    unrecorded: Vec<&'static str>,
}

impl SupabaseStore {
    /// Applies the schema's migrations that the database lacks, each in a transaction.
    ///
    /// This uses the Supabase CLI's history: `supabase migration up` does not apply these
    /// migrations again, nor the other way round. Two calls at the same time wait for each other.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](authorstack_core::ErrorKind::Blocked) if there is a table with such a
    /// name that AuthorStack did not create, or if the schema is newer than this crate knows.
    pub async fn migrate(&self) -> Result<()> {
        let run = with_connection(self, async |connection| {
            while step(self, connection).await? {}
            Ok(())
        });
        run.await
            .map_err(|error| error.in_operation(Operation::Migrate))
    }

    /// The migrations that the database lacks, by file name, in their order.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](authorstack_core::ErrorKind::Blocked) if the role may not read the
    /// history.
    pub async fn pending(&self) -> Result<Vec<String>> {
        let pending = with_connection(self, async |connection| {
            let found = find_alone(self, connection).await?;
            match found.blockers.first() {
                Some(blocker) if found.is_closed => Err(Error::blocked(blocker.clone())),
                _ => Ok(found.pending.into_iter().map(str::to_owned).collect()),
            }
        });
        pending
            .await
            .map_err(|error: Error| error.in_operation(Operation::PendingMigrations))
    }
}

/// Runs on its own connection, which is closed at the end, with the deadline of a load.
async fn with_connection<T>(
    store: &SupabaseStore,
    run: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
) -> Result<T> {
    let deadline = store.timeouts().load;
    let mut connection = store.open().await?;
    let result = with_deadline(deadline, run(&mut connection)).await;
    store.close_connection(connection).await;
    result
}

/// Applies the first pending migration. Returns `false` if there is none.
async fn step(store: &SupabaseStore, connection: &mut PgConnection) -> Result<bool> {
    let mut transaction = connection.begin_with(BEGIN).await.map_err(from_sqlx)?;
    let lock = query("select pg_advisory_xact_lock($1)").bind(LOCK);
    store
        .statement(lock)
        .execute(&mut *transaction)
        .await
        .map_err(from_sqlx)?;
    let found = find(store, &mut transaction).await?;
    if let Some(blocker) = found.blockers.first() {
        return Err(Error::blocked(blocker.clone()));
    }
    let next = found.pending.first().or(found.unrecorded.first());
    let Some(migration) = next.and_then(|file| MIGRATIONS.iter().find(|m| m.file == *file)) else {
        return Ok(false);
    };
    let statements = split(migration.sql);
    let apply = async {
        raw_sql(MAKE_HISTORY).execute(&mut *transaction).await?;
        if !found.pending.is_empty() {
            // The deadline of this program applies, not the role's.
            raw_sql("set local statement_timeout = 0")
                .execute(&mut *transaction)
                .await?;
            raw_sql(AssertSqlSafe(migration.sql))
                .execute(&mut *transaction)
                .await?;
        }
        let record = query(
            "insert into supabase_migrations.schema_migrations (version, statements, name) \
             values ($1, $2, $3)",
        )
        .bind(migration.version)
        .bind(&statements)
        .bind(migration.name);
        store.statement(record).execute(&mut *transaction).await?;
        transaction.commit().await
    };
    match apply.await {
        Ok(()) => {
            tracing::info!(migration = migration.file, "applied");
            Ok(true)
        }
        Err(error) if is_duplicate_object(&error) => {
            // The CLI takes no lock: it may have been faster.
            let again = find_alone(store, connection).await?;
            if again.pending.contains(&migration.file) {
                Err(from_sqlx(error).for_record(migration.file))
            } else {
                Ok(true)
            }
        }
        Err(error) => Err(refused(error).for_record(migration.file)),
    }
}

/// The error of a migration. What its own checks raise is for the owner of the data to mend.
fn refused(error: sqlx::Error) -> Error {
    match error.as_database_error() {
        Some(raised) if has_code(&error, "P0001") => Error::blocked(raised.message().to_owned()),
        _ => from_sqlx(error),
    }
}

/// The content of the catalogs and the histories.
struct Catalog {
    /// Tables in `public` with the names of AuthorStack's tables.
    tables: Vec<String>,
    /// Whether there is a schema `authorstack` without AuthorStack's versions.
    has_foreign_schema: bool,
    may_create: bool,
    /// Whether the histories may be read.
    may_read: bool,
    role: String,
    /// The CLI's history: versions and names.
    history: Vec<(String, Option<String>)>,
    /// The versions that AuthorStack's migrations recorded themselves.
    versions: Vec<String>,
}

impl Catalog {
    async fn read(store: &SupabaseStore, connection: &mut PgConnection) -> Result<Self> {
        let tables: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
        // Every role may read the catalogs, but a name in a schema without access is an error.
        let look = query(
            "with histories as ( \
               select nspname, relname, has_schema_privilege(n.oid, 'USAGE') \
                        and (c.oid is null or has_table_privilege(c.oid, 'SELECT')) as readable \
               from pg_catalog.pg_namespace as n left join pg_catalog.pg_class as c \
                 on relnamespace = n.oid and relname in ('schema_migrations', 'schema_version') \
               where nspname in ('supabase_migrations', 'authorstack')) \
             select exists (select from histories where relname = 'schema_migrations'), \
                    exists (select from histories where relname = 'schema_version'), \
                    exists (select from histories where nspname = 'authorstack'), \
                    has_database_privilege(current_database(), 'CREATE') \
                      and has_schema_privilege('public', 'CREATE'), \
                    array(select relname::text from pg_catalog.pg_class \
                          where relnamespace = 'public'::regnamespace and relname = any ($1)), \
                    current_user::text, \
                    coalesce((select bool_and(readable) from histories), true)",
        )
        .bind(&tables);
        let row = store.statement(look).fetch_one(&mut *connection).await;
        let row = row.map_err(from_sqlx)?;
        let (has_history, has_versions): (bool, bool) = (get(&row, 0)?, get(&row, 1)?);
        let may_read: bool = get(&row, 6)?;
        let mut catalog = Self {
            may_read,
            has_foreign_schema: get::<bool>(&row, 2)? && !has_versions,
            may_create: get(&row, 3)?,
            tables: get(&row, 4)?,
            role: get(&row, 5)?,
            history: Vec::new(),
            versions: Vec::new(),
        };
        if may_read && has_history {
            // A history from an early version of the CLI has no names.
            let select = query(
                "select version, to_jsonb(migration) ->> 'name' \
                 from supabase_migrations.schema_migrations as migration",
            );
            let rows = store.statement(select).fetch_all(&mut *connection).await;
            for row in rows.map_err(from_sqlx)? {
                catalog.history.push((get(&row, 0)?, get(&row, 1)?));
            }
        }
        if may_read && has_versions {
            let select = store.statement(query("select version from authorstack.schema_version"));
            for row in select.fetch_all(connection).await.map_err(from_sqlx)? {
                catalog.versions.push(get(&row, 0)?);
            }
        }
        Ok(catalog)
    }
}

/// [`find`] in a transaction of its own.
async fn find_alone(store: &SupabaseStore, connection: &mut PgConnection) -> Result<Found> {
    let begin = connection.begin_with(BEGIN);
    let mut transaction = with_deadline(store.timeouts().operation, async {
        begin.await.map_err(from_sqlx)
    })
    .await?;
    let found = find(store, &mut transaction).await?;
    transaction.commit().await.map_err(from_sqlx)?;
    Ok(found)
}

/// Compares the database with the migrations, in an open transaction.
pub(crate) async fn find(store: &SupabaseStore, connection: &mut PgConnection) -> Result<Found> {
    // Reading the catalogs waits for nothing.
    let read = Catalog::read(store, connection);
    let catalog = with_deadline(store.timeouts().operation, read).await?;
    let mut found = Found::default();
    if !catalog.may_read {
        found.is_closed = true;
        found.blockers.push(format!(
            "the role {} may not read the schemas authorstack and supabase_migrations; connect as \
             the project's role postgres",
            catalog.role,
        ));
        return Ok(found);
    }
    for migration in MIGRATIONS {
        let mut history = catalog.history.iter();
        match history.find(|(version, _)| version == migration.version) {
            Some((_, Some(name))) if name != migration.name => found.blockers.push(format!(
                "another migration, {name:?}, has AuthorStack's number {}; give it another number \
                 in supabase_migrations.schema_migrations",
                migration.version,
            )),
            Some(_) => {}
            None if catalog
                .versions
                .iter()
                .any(|version| version == migration.version) =>
            {
                found.unrecorded.push(migration.file);
            }
            None => found.pending.push(migration.file),
        }
    }
    let newest = MIGRATIONS.last().map_or("", |migration| migration.version);
    let newer = catalog
        .versions
        .iter()
        .filter(|version| version.as_str() > newest);
    if let Some(newer) = newer.max() {
        found.blockers.push(format!(
            "the database's schema has version {newer}, and this program knows versions up to \
             {newest}: update the program"
        ));
    }
    for (table, version) in TABLES {
        if found.is_pending(version) && catalog.tables.iter().any(|name| name == table) {
            found.blockers.push(foreign(&format!("public.{table}")));
        }
    }
    if catalog.has_foreign_schema && found.is_pending(MIGRATIONS[0].version) {
        found.blockers.push(foreign("the schema authorstack"));
    }
    if !catalog.may_create && !found.pending.is_empty() {
        found.blockers.push(format!(
            "the role {} may not create schemas and tables in this database; connect as the \
             project's role postgres",
            catalog.role,
        ));
    }
    Ok(found)
}

fn foreign(what: &str) -> String {
    format!(
        "{what} exists and was not made by AuthorStack's migrations; rename it, or choose another \
         database"
    )
}

impl Found {
    /// Whether the migration with this version is still to be applied.
    pub(crate) fn is_pending(&self, version: &str) -> bool {
        self.pending.iter().any(|file| file.starts_with(version))
    }
}

/// Splits SQL at its semicolons, as the Supabase CLI does. Each statement has no semicolon and no
/// outer space, but includes the comments before it.
fn split(sql: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < sql.len() {
        let rest = &sql[at..];
        at += match rest.as_bytes()[0] {
            b';' => {
                push(&mut statements, &sql[start..at]);
                start = at + 1;
                1
            }
            quote @ (b'\'' | b'"') => {
                let escapes = quote == b'\'' && ends_in_escape_prefix(&sql[..at]);
                quoted(rest, quote, escapes)
            }
            b'-' if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |end| end + 1),
            b'/' if rest.starts_with("/*") => block_comment(rest),
            b'$' => dollar_quoted(rest, &sql[..at]),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    push(&mut statements, &sql[start..]);
    statements
}

fn push<'s>(statements: &mut Vec<&'s str>, statement: &'s str) {
    let statement = statement.trim();
    if !statement.is_empty() {
        statements.push(statement);
    }
}

/// Whether the text ends in the `E` of an escape string.
fn ends_in_escape_prefix(before: &str) -> bool {
    let mut back = before.bytes().rev();
    matches!(back.next(), Some(b'e' | b'E')) && !back.next().is_some_and(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// The length of the quoted text at the start. A doubled quote ends this text and begins the next.
fn quoted(rest: &str, quote: u8, escapes: bool) -> usize {
    let mut bytes = rest.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' && escapes {
            bytes.next();
        } else if byte == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// The length of the comment at the start; comments nest.
fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of the dollar-quoted text at the start, or of the dollar if it begins no such text.
fn dollar_quoted(rest: &str, before: &str) -> usize {
    if before.bytes().next_back().is_some_and(is_word) {
        return 1;
    }
    let Some(end) = rest[1..].find('$').map(|end| end + 2) else {
        return 1;
    };
    let tag = &rest[..end];
    let name = &tag[1..tag.len() - 1];
    let is_tag = name.bytes().all(|byte| is_word(byte) && byte != b'$')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if !is_tag {
        return 1;
    }
    rest[end..]
        .find(tag)
        .map_or(rest.len(), |close| end + close + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_that_are_not_quoted() {
        let sql = "select ';', \"a;b\", E'\\';', 'it''s;' ;\n\n-- a; comment\nselect 2 /* ; /* ; */ ; */;\
                   create function f() as $$ begin; end; $$; select $1, a$b; select $x$ ; $$ ; $x$;\n;";
        assert_eq!(
            split(sql),
            [
                "select ';', \"a;b\", E'\\';', 'it''s;'",
                "-- a; comment\nselect 2 /* ; /* ; */ ; */",
                "create function f() as $$ begin; end; $$",
                "select $1, a$b",
                "select $x$ ; $$ ; $x$",
            ]
        );
    }

    #[test]
    fn unfinished_sql_is_one_statement() {
        for sql in [
            "select 'a;",
            "select \"a;",
            "/* a;",
            "select $$ a;",
            "-- a;",
            "select E'\\",
        ] {
            assert_eq!(split(sql), [sql]);
        }
    }

    #[test]
    fn every_migration_records_its_version_and_is_in_order() {
        for migration in MIGRATIONS {
            let record = format!(
                "insert into authorstack.schema_version (version) values ('{}')",
                migration.version
            );
            assert_eq!(split(migration.sql).last(), Some(&record.as_str()));
            assert_eq!(migration.version.len(), 14);
        }
        assert!(MIGRATIONS.is_sorted_by(|a, b| a.version < b.version));
        for (_, version) in TABLES {
            assert!(MIGRATIONS.iter().any(|m| m.version == *version));
        }
    }
}
