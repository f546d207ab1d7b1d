//! What stays behind: tables that the schema does not know, and those that are missing.

use authorstack_core::{
    Result,
    migrate::{Kind, Stranger},
};
use authorstack_sql::{OTHER_TABLES, get};
use sqlx::query;

use super::{NAME, shared::Shared};
use crate::schema::HISTORY;

pub(super) async fn strangers(shared: &Shared, kinds: &[Kind]) -> Result<Vec<Stranger>> {
    let mut known: Vec<&str> = Kind::ANALYTICS.iter().map(|kind| kind.as_str()).collect();
    let history = HISTORY.trim_start_matches("public.");
    known.push(history);
    let mut found = Vec::new();
    for row in shared
        .fetch_all(query(OTHER_TABLES).bind(known).bind(false))
        .await?
    {
        let (name, is_view): (String, bool) = (get(&row, 0)?, get(&row, 1)?);
        let records: Option<i64> = get(&row, 2)?;
        found.push(Stranger {
            store: NAME,
            form: if is_view { "view" } else { "table" },
            name,
            records: records.map(i64::unsigned_abs),
            missing: false,
        });
    }
    for &kind in Kind::ANALYTICS.iter().filter(|kind| kinds.contains(kind)) {
        if !shared.has_table(kind).await? {
            found.push(Stranger {
                store: NAME,
                form: "table",
                name: kind.as_str().to_owned(),
                records: None,
                missing: true,
            });
        }
    }
    Ok(found)
}
