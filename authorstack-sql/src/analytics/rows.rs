//! The rows of the analytics as a migration moves them: in Supabase's columns.

use authorstack_core::migrate::Kind;

use super::IdForm;

/// The columns of a table of the analytics on Supabase, in the order in which rows are copied;
/// `None` for other kinds.
#[must_use]
pub const fn row_columns(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::SalesData => Some(
            "id, user_id, book_id, platform, date, revenue, units, page_reads, currency, synced_at",
        ),
        Kind::DailyAggregates => Some(
            "id, user_id, date, total_revenue, total_units, total_page_reads, \
             platform_breakdown, book_breakdown",
        ),
        Kind::SyncLogs => {
            Some("id, user_id, platform, status, records_synced, error_message, synced_at")
        }
        Kind::AiInsights => {
            Some("id, user_id, book_id, insight_type, content, confidence, valid_until, created_at")
        }
        Kind::RevenueForecasts => Some(
            "id, user_id, forecast_date, predicted_revenue, actual_revenue, confidence, factors, \
             created_at",
        ),
        _ => None,
    }
}

/// The columns of a kind that hold JSON.
#[must_use]
pub const fn json_columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::DailyAggregates => &["platform_breakdown", "book_breakdown"],
        Kind::AiInsights => &["content"],
        Kind::RevenueForecasts => &["factors"],
        _ => &[],
    }
}

/// What tells the rows of a kind apart beside their numbers; empty where nothing does.
#[must_use]
pub const fn unique_columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::SalesData => &["user_id", "book_id", "platform", "date"],
        Kind::DailyAggregates => &["user_id", "date"],
        _ => &[],
    }
}

/// What stays of a row of a kind for as long as it lives: where it differs, the same number is
/// another record's.
#[must_use]
pub const fn lasting_columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::SyncLogs => &["user_id", "platform", "synced_at"],
        Kind::AiInsights => &["user_id", "created_at"],
        Kind::RevenueForecasts => &["user_id", "forecast_date", "created_at"],
        _ => unique_columns(kind),
    }
}

/// What a statement selects to digest rows of these columns: their count, and the sum of their
/// hashes as a text. JSON counts as its text, in which 1 and 1.0 differ.
#[must_use]
pub fn row_digest(kind: Kind) -> Option<String> {
    let json = json_columns(kind);
    let columns: Vec<String> = row_columns(kind)?
        .split(", ")
        .map(|column| {
            let text = if json.contains(&column) { "::text" } else { "" };
            format!("{column}{text}")
        })
        .collect();
    Some(format!(
        "count(*), coalesce(sum(hash_record_extended(({})::record, 0)), 0)::text",
        columns.join(", ")
    ))
}

impl IdForm {
    /// SQL that says whether a `uuid` column has this form.
    #[must_use]
    pub fn holds(self, column: &str) -> String {
        let bytes = format!("uuid_send({column})");
        match self {
            Self::Embedded => format!(
                "get_byte({bytes}, 6) >> 4 = 8 and get_byte({bytes}, 8) >> 4 = 8 \
                 and substr({bytes}, 14) = '\\x000000'::bytea"
            ),
            Self::PaddedLeft => format!("substr({bytes}, 1, 4) = '\\x00000000'::bytea"),
            Self::PaddedRight => format!("substr({bytes}, 13) = '\\x00000000'::bytea"),
        }
    }

    /// SQL that turns a `uuid` column of this form into AuthorStack's.
    #[must_use]
    pub fn embedded(self, column: &str) -> String {
        let part = |from: u8, length: u8| format!("substr({column}::text, {from}, {length})");
        let parts = match self {
            Self::Embedded => return column.to_owned(),
            Self::PaddedLeft => [
                [part(10, 4), part(15, 4)].join(" || "),
                part(20, 4),
                part(25, 3),
                part(28, 3),
                part(31, 6),
            ],
            Self::PaddedRight => [
                part(1, 8),
                part(10, 4),
                part(15, 3),
                [part(18, 1), part(20, 2)].join(" || "),
                [part(22, 2), part(25, 4)].join(" || "),
            ],
        };
        let [seconds, machine, first, second, last] = parts;
        format!(
            "({seconds} || {machine} || '8' || {first} || '8' || {second} || {last} || '000000')::uuid"
        )
    }
}
