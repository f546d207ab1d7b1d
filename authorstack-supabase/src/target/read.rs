//! Reading the target: streams of records and rejects, and rows of the books.

use authorstack_core::{
    Error, Result,
    migrate::{Key, Kind, Position, Record, Reject, RowRange, Settled},
};
use futures::TryStreamExt;
use sqlx::{PgConnection, Row, postgres::PgRow, query, raw_sql};
use tokio::sync::mpsc;

use super::statements::{bind_after, statements};
use crate::{
    error::from_sqlx,
    row,
    row::get,
    store::{SupabaseStore, within},
};

/// Rows that one statement may return.
const PAGE: i64 = 20_000;
/// What is handed on at once.
const BATCH_RECORDS: usize = 2_000;
const BATCH_BYTES: usize = 4 << 20;

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
        within(limit, async { begin_reading(&mut connection).await }).await?;
        let behind = after.take();
        let page = bind_after(query(statements.page.as_str()), kind, behind.as_ref()).bind(PAGE);
        let mut rows = store.statement(page).fetch(&mut connection);
        let (mut batch, mut bytes, mut count) = (Vec::new(), 0, 0);
        let mut beyond = false;
        while let Some(row) =
            within(limit, async { rows.try_next().await.map_err(from_sqlx) }).await?
        {
            count += 1;
            if beyond {
                continue;
            }
            let record = read_record(&store, kind, &row)?;
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
        within(limit, async {
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

/// Sends the open rejects by kind and key.
pub(super) async fn send_rejects(
    store: SupabaseStore,
    sender: mpsc::Sender<Result<Vec<Reject>>>,
) -> Result<()> {
    let limit = store.timeouts().load;
    let mut connection = store.open().await?;
    within(limit, async { begin_reading(&mut connection).await }).await?;
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let select = query(
        "select kind, key, problems, record, source_digest from authorstack.rejects \
         where replayed_as is null order by array_position($1::text[], kind), key",
    )
    .bind(kinds);
    let mut rows = store.statement(select).fetch(&mut connection);
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(row) = within(limit, async { rows.try_next().await.map_err(from_sqlx) }).await? {
        bytes += size(&row);
        batch.push(read_reject(&row)?);
        if batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
            bytes = 0;
            if sender.send(Ok(std::mem::take(&mut batch))).await.is_err() {
                return Ok(());
            }
        }
    }
    if !batch.is_empty() {
        let _ = sender.send(Ok(batch)).await;
    }
    Ok(())
}

/// Begins a transaction that may wait for the reader of its rows.
async fn begin_reading(connection: &mut PgConnection) -> Result<()> {
    raw_sql(
        "begin read only; set local statement_timeout = 0; \
         set local idle_in_transaction_session_timeout = 0",
    )
    .execute(connection)
    .await
    .map_err(from_sqlx)?;
    Ok(())
}

pub(super) fn read_record(store: &SupabaseStore, kind: Kind, row: &PgRow) -> Result<Record> {
    match kind {
        Kind::Users => row::user(row).map(Record::from),
        Kind::Books => row::book(row).map(Record::from),
        Kind::Checklists => row::checklist(row).map(Record::from),
        Kind::Follows => row::follow(row).map(Record::from),
        Kind::CommunityPosts => row::post(row).map(Record::from),
        Kind::PostLikes => row::like(row).map(Record::from),
        Kind::PostComments => row::comment(row).map(Record::from),
        Kind::MarketplaceBoosts => row::boost(row).map(Record::from),
        Kind::Competitors => row::competitor(row).map(Record::from),
        Kind::CompetitorPrices => row::competitor_price(row).map(Record::from),
        _ => store.analytics().record(kind, row),
    }
}

pub(super) fn read_settled(kind: Kind, row: &PgRow) -> Result<Settled> {
    let replayed_as: Option<&str> = get(row, 2)?;
    Ok(Settled {
        key: read_text(row, 0)?,
        source_digest: read_digest(row, 1)?,
        replayed_as: replayed_as
            .map(|key| Key::parse(kind, key))
            .transpose()
            .map_err(|error| Error::corrupt(format!("a reject: {error}")))?,
    })
}

fn read_reject(row: &PgRow) -> Result<Reject> {
    let kind: &str = get(row, 0)?;
    let problems: &str = get(row, 2)?;
    Ok(Reject {
        kind: kind
            .parse()
            .map_err(|error| Error::corrupt(format!("a reject: {error}")))?,
        key: read_text(row, 1)?,
        problems: serde_json::from_str(problems)
            .map_err(|error| Error::corrupt(format!("a reject's problems: {error}")))?,
        record: get(row, 3)?,
        source_digest: read_digest(row, 4)?,
    })
}

/// The bytes of a row.
fn size(row: &PgRow) -> usize {
    let columns = 0..row.len();
    let sizes =
        columns.filter_map(|column| Some(row.try_get_raw(column).ok()?.as_bytes().ok()?.len()));
    sizes.sum()
}

/// Text that is stored as bytes: PostgreSQL's own cannot hold a NUL.
fn read_text(row: &PgRow, index: usize) -> Result<String> {
    String::from_utf8(get(row, index)?)
        .map_err(|error| Error::corrupt(format!("the books: {error}")))
}

pub(super) fn position(row: &PgRow, index: usize) -> Result<Option<Position>> {
    let bytes: Option<Vec<u8>> = get(row, index)?;
    bytes
        .map(|bytes| String::from_utf8(bytes).map(Position))
        .transpose()
        .map_err(|error| Error::corrupt(format!("a checkpoint: {error}")))
}

fn read_digest(row: &PgRow, index: usize) -> Result<[u8; 32]> {
    let bytes: &[u8] = get(row, index)?;
    bytes
        .try_into()
        .map_err(|_| Error::corrupt("a reject's digest has not 32 bytes"))
}

pub(super) fn unsigned(row: &PgRow, index: usize) -> Result<u64> {
    let count: i64 = get(row, index)?;
    u64::try_from(count).map_err(|_| Error::corrupt(format!("a count is {count}")))
}
