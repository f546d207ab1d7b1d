//! Checks whether a database can be a source.

use authorstack_core::{Error, Result, migrate::Kind};
use authorstack_sql::get;
use sqlx::{AssertSqlSafe, PgConnection, query};

use super::{
    columns,
    shared::{Shared, failed},
};
use crate::{config::SERVER, schema::missing_columns};

/// Reports what is wrong with a database as a source, if anything.
pub(super) async fn check(connection: &mut PgConnection, kinds: &[Kind]) -> Result<()> {
    let wrong = |reason: String| Err(Error::configuration(SERVER.setting, reason));
    let mut there = 0;
    let asked = Kind::ANALYTICS.iter().filter(|kind| kinds.contains(kind));
    for &kind in asked.clone() {
        let look = query(
            "select to_regclass('public.' || $1) is not null, \
                    coalesce(has_table_privilege(to_regclass('public.' || $1), 'select'), true), \
                    current_setting('server_encoding') = 'UTF8', \
                    coalesce(row_security_active(to_regclass('public.' || $1)), false)",
        );
        let row = look
            .persistent(false)
            .bind(kind.as_str())
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if !get::<bool>(&row, 0)? {
            // Then there are no rows of that kind.
            continue;
        }
        there += 1;
        if !get::<bool>(&row, 1)? {
            let hint = SERVER.role_hint;
            return wrong(format!("the role may not read {kind}; {hint}"));
        }
        if get::<bool>(&row, 3)? {
            return wrong(format!(
                "row level security hides rows of {kind} from the role; connect as the table's \
                 owner, give the role BYPASSRLS, or disable row level security on the table: a \
                 migration must see every row"
            ));
        }
        if !get::<bool>(&row, 2)? {
            return wrong(
                "the database's encoding is not UTF8; restore a dump of it into one that is"
                    .to_owned(),
            );
        }
        let missing = missing_columns(connection, kind).await?;
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return wrong(format!("the table {kind} lacks {missing}; add the columns"));
        }
    }
    let names: Vec<&str> = asked.map(|kind| kind.as_str()).collect();
    if there == 0 && !names.is_empty() && !has_any(connection).await? {
        return wrong(format!(
            "the database has no table of the analytics, such as {}; name the database that has \
             them in the URL's path",
            names.join(", ")
        ));
    }
    Ok(())
}

/// Whether a database has any table of the analytics: without, it is most likely another one.
async fn has_any(connection: &mut PgConnection) -> Result<bool> {
    let names: Vec<&str> = Kind::ANALYTICS.iter().map(|kind| kind.as_str()).collect();
    let look = query(
        "select exists (select from unnest($1::text[]) as name \
           where to_regclass('public.' || name) is not null)",
    );
    let look = look.persistent(false).bind(names);
    let row = look.fetch_one(connection).await.map_err(failed)?;
    get(&row, 0)
}

/// Reports, in one line, the columns whose types do not convert, and rows that cannot be told apart
/// because they have no number of their own.
pub(super) async fn fits(
    shared: &Shared,
    connection: &mut PgConnection,
    kinds: &[Kind],
) -> Result<()> {
    let mut problems = Vec::new();
    for &kind in Kind::ANALYTICS.iter().filter(|kind| kinds.contains(kind)) {
        let table = columns::of_table(&shared.pool, connection, kind).await?;
        // Another check names a table that is not there.
        if table.is_empty() {
            continue;
        }
        let conversion = shared.conversion_of(kind, table);
        match conversion {
            Ok(conversion) if conversion.has_numbers() => {}
            Ok(_) => problems.extend(numbers(shared, connection, kind).await?),
            Err(error) => problems.push(error.kind().to_string()),
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(columns::unfit(&problems))
    }
}

/// What is wrong with the numbers of rows, in a table that does not check them.
async fn numbers(
    shared: &Shared,
    connection: &mut PgConnection,
    kind: Kind,
) -> Result<Vec<String>> {
    let sql = format!(
        "select (select count(*) from public.{kind} where id is null), \
           (select min(id)::bigint from (select id from public.{kind} where id is not null \
             group by id having count(*) > 1) as twice)"
    );
    let mut problems = Vec::new();
    for row in shared
        .fetch_in(connection, query(AssertSqlSafe(sql)))
        .await?
    {
        let (without, twice): (i64, Option<i64>) = (get(&row, 0)?, get(&row, 1)?);
        if without > 0 {
            let has = if without == 1 { "row" } else { "rows" };
            let verb = if without == 1 { "has" } else { "have" };
            problems.push(format!(
                "{without} {has} of {kind} {verb} no number (the column id is null), and could not \
                 be found again; number them, and make id the primary key"
            ));
        }
        if let Some(number) = twice {
            problems.push(format!(
                "rows of {kind} share the number {number}; give each a number of its own, and make \
                 id the primary key"
            ));
        }
    }
    Ok(problems)
}
