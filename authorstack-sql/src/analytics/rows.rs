//! The keys of the analytics' rows, and the digest of rows.

use authorstack_core::migrate::Kind;

use crate::fields::json_columns;

/// The columns that are unique together, apart from the row's number; empty where there are none.
#[must_use]
pub const fn unique_columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::SalesData => &["user_id", "book_id", "platform", "date"],
        Kind::DailyAggregates => &["user_id", "date"],
        _ => &[],
    }
}

/// The columns of a row that never change. Where they differ, the same number belongs to another
/// record.
#[must_use]
pub const fn identity_columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::SyncLogs => &["user_id", "platform", "synced_at"],
        Kind::AiInsights => &["user_id", "created_at"],
        Kind::RevenueForecasts => &["user_id", "forecast_date", "created_at"],
        _ => unique_columns(kind),
    }
}

/// The select list that digests the rows of a kind: their count, and the sum of their hashes as a
/// text. JSON is hashed as its text, in which 1 and 1.0 differ.
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
