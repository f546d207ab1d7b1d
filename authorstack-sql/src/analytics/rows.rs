//! The digest of rows.

use authorstack_core::migrate::Kind;

use crate::fields::json_columns;

/// The select list that digests the rows of a kind: their count, and the sum of their hashes as a
/// text. JSON is hashed as text, in which 1 and 1.0 differ.
#[must_use]
pub fn row_digest(kind: Kind) -> String {
    let json = json_columns(kind);
    let columns = kind.column_names().into_iter().map(|column| {
        let text = if json.contains(&column) { "::text" } else { "" };
        format!("{column}{text}")
    });
    let columns: Vec<String> = columns.collect();
    format!(
        "count(*), coalesce(sum(hash_record_extended(({})::record, 0)), 0)::text",
        columns.join(", ")
    )
}
