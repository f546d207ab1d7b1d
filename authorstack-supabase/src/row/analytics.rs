//! The columns of the analytics, in the order in which a COPY writes them.

macro_rules! sale_columns {
    () => {
        "id, user_id, book_id, platform, date, revenue, units, page_reads, currency, synced_at"
    };
}
pub(crate) use sale_columns;

macro_rules! aggregate_columns {
    () => {
        "id, user_id, date, total_revenue, total_units, total_page_reads, platform_breakdown, \
         book_breakdown"
    };
}
pub(crate) use aggregate_columns;

macro_rules! sync_log_columns {
    () => {
        "id, user_id, platform, status, records_synced, error_message, synced_at"
    };
}
pub(crate) use sync_log_columns;

macro_rules! insight_columns {
    () => {
        "id, user_id, book_id, insight_type, content, confidence, valid_until, created_at"
    };
}
pub(crate) use insight_columns;

macro_rules! forecast_columns {
    () => {
        "id, user_id, forecast_date, predicted_revenue, actual_revenue, confidence, factors, \
         created_at"
    };
}
pub(crate) use forecast_columns;
