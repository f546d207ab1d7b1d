//! Reading the target: streams of records.

use authorstack_core::{
    Result,
    migrate::{Key, Kind, Record, RowRange},
    resilience::with_deadline,
};
use authorstack_sql::IdForm;
use futures::TryStreamExt;
use sqlx::{PgConnection, Row, postgres::PgRow, query, raw_sql};
use tokio::sync::mpsc;

use super::statements::{bind_after, statements};
use crate::{error::from_sqlx, store::SupabaseStore};

/// Rows that one statement may return.
const PAGE: i64 = 20_000;
/// The limits of one batch of a stream.
pub(super) const BATCH_RECORDS: usize = 2_000;
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// Sends all records in the order of their keys, a page a transaction; of rows that have numbers,
/// a range.
pub(super) async fn send_records(
    store: SupabaseStore,
    kind: Kind,
    range: Option<RowRange>,
    sender: mpsc::Sender<Result<Vec<Record>>>,
) -> Result<()> {
    let limit = store.timeouts().load;
    let statements = statements(kind)?;
    let mut connection = store.open().await?;
    let mut after = range.map(|range| Key::Row(range.after));
    let last = range.map(|range| Key::Row(range.until));
    loop {
        with_deadline(limit, async { begin_reading(&mut connection).await }).await?;
        let behind = after.take();
        let page = bind_after(query(statements.page.as_str()), kind, behind.as_ref()).bind(PAGE);
        let mut rows = store.statement(page).fetch(&mut connection);
        let (mut batch, mut bytes, mut count) = (Vec::new(), 0, 0);
        let mut beyond = false;
        while let Some(row) =
            with_deadline(limit, async { rows.try_next().await.map_err(from_sqlx) }).await?
        {
            count += 1;
            if beyond {
                continue;
            }
            let record = read_record(kind, &row)?;
            let key = record.key();
            beyond = last.as_ref().is_some_and(|last| key > *last);
            if beyond {
                continue;
            }
            after = Some(key);
            bytes += size(&row);
            batch.push(record);
            if batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
                bytes = 0;
                if sender.send(Ok(std::mem::take(&mut batch))).await.is_err() {
                    return Ok(());
                }
            }
        }
        drop(rows);
        if !batch.is_empty() && sender.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
        with_deadline(limit, async {
            raw_sql("commit")
                .execute(&mut connection)
                .await
                .map_err(from_sqlx)
        })
        .await?;
        if beyond || count < PAGE {
            store.close_connection(connection).await;
            return Ok(());
        }
    }
}

/// Begins a transaction that may wait for the reader of its rows.
pub(super) async fn begin_reading(connection: &mut PgConnection) -> Result<()> {
    raw_sql(
        "begin read only; set local statement_timeout = 0; \
         set local idle_in_transaction_session_timeout = 0",
    )
    .execute(connection)
    .await
    .map_err(from_sqlx)?;
    Ok(())
}

pub(super) fn read_record(kind: Kind, row: &PgRow) -> Result<Record> {
    authorstack_sql::read_record(kind, row, IdForm::Embedded)
}

/// The bytes of a row.
pub(super) fn size(row: &PgRow) -> usize {
    let columns = 0..row.len();
    let sizes =
        columns.filter_map(|column| Some(row.try_get_raw(column).ok()?.as_bytes().ok()?.len()));
    sizes.sum()
}
