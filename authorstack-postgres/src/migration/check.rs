//! Checks whether a database can be a source.

use authorstack_core::{Error, Result, migrate::Kind};
use authorstack_sql::get;
use sqlx::{PgConnection, query};

use super::shared::failed;
use crate::{config::SERVER, schema::missing_columns};

/// Reports what is wrong with a database as a source, if anything.
pub(super) async fn check(connection: &mut PgConnection) -> Result<()> {
    let wrong = |reason: String| Err(Error::configuration(SERVER.setting, reason));
    for &kind in Kind::ANALYTICS {
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
            return wrong(format!(
                "the database lacks the table {kind}: name the database of the analytics in the \
                 URL's path, or make the tables with PostgresStore::migrate"
            ));
        }
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
    Ok(())
}
