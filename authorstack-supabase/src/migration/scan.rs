//! Reads tables: streams of rows as records, in the order of their keys.

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{
        BatchLimits, Digest, Digests, Kind, Original, Position, Problem, Problems, Record, Scanned,
        ScannedBatch,
    },
    resilience::with_deadline,
};
use authorstack_sql::{IdForm, WHOLE_TABLES, get};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, PgConnection, Row, ValueRef,
    postgres::{PgRow, PgValueFormat},
    query, raw_sql,
};
use tokio::sync::mpsc;

use super::{
    copy::NULL,
    place::{Place, key_indexes},
    statements::statements,
    work::Work,
};
use crate::{error::from_sqlx, store::SupabaseStore};

/// The largest number of rows that one statement returns.
const PAGE: i64 = 20_000;
/// The limits of one batch of a stream.
pub(super) const BATCH: BatchLimits = BatchLimits {
    records: 2_000,
    bytes: 4 << 20,
};

/// The part of a table to read.
pub(super) struct Scan {
    pub(super) kind: Kind,
    /// The place after which it begins.
    pub(super) after: Option<Place>,
    /// The number of the last row; `None` to read to the end.
    pub(super) until: Option<i64>,
    pub(super) limits: BatchLimits,
}

/// What is made of the rows of a batch.
pub(super) trait Rows: Default + Send {
    type Batch: Send;

    /// Adds a row. Returns how many bytes it has.
    fn add(
        &mut self,
        store: &SupabaseStore,
        kind: Kind,
        row: &PgRow,
        place: &Place,
        form: &mut Vec<u8>,
    ) -> impl Future<Output = Result<usize>> + Send;

    /// How many rows there are.
    fn count(&self) -> usize;

    /// The batch, which ends at this place.
    fn batch(self, end: &Place) -> Self::Batch;
}

impl Rows for Vec<Scanned> {
    type Batch = ScannedBatch;

    async fn add(
        &mut self,
        store: &SupabaseStore,
        kind: Kind,
        row: &PgRow,
        place: &Place,
        _: &mut Vec<u8>,
    ) -> Result<usize> {
        self.extend(scanned(store, kind, row, place).await?);
        Ok(size(row))
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn batch(self, end: &Place) -> ScannedBatch {
        ScannedBatch {
            items: self,
            position: Position(end.to_string()),
        }
    }
}

impl Rows for Digests {
    type Batch = Self;

    async fn add(
        &mut self,
        store: &SupabaseStore,
        kind: Kind,
        row: &PgRow,
        place: &Place,
        form: &mut Vec<u8>,
    ) -> Result<usize> {
        if let Some(key) = place.key() {
            write_stored(row, form)?;
            self.entries.push((key, Digest::of_bytes(form)));
            Ok(form.len())
        } else {
            self.others.extend(scanned(store, kind, row, place).await?);
            Ok(size(row))
        }
    }

    fn count(&self) -> usize {
        self.entries.len() + self.others.len()
    }

    fn batch(self, _: &Place) -> Self {
        self
    }
}

/// Writes a row as COPY sends it. All columns are bound in binary.
fn write_stored(row: &PgRow, form: &mut Vec<u8>) -> Result<()> {
    /// A buffer that is larger after a large row is not kept.
    const KEPT: usize = 1 << 20;
    form.clear();
    form.shrink_to(KEPT);
    // A table has at most 1,600 columns.
    let columns = i16::try_from(row.len()).unwrap_or(i16::MAX);
    form.extend_from_slice(&columns.to_be_bytes());
    for column in 0..row.len() {
        let value = row.try_get_raw(column).map_err(from_sqlx)?;
        if value.is_null() {
            form.extend_from_slice(&NULL);
            continue;
        }
        match (value.as_bytes(), value.format()) {
            (Ok(bytes), PgValueFormat::Binary) => {
                // The server sends no value of two gigabytes.
                let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
                form.extend_from_slice(&length.to_be_bytes());
                form.extend_from_slice(bytes);
            }
            _ => return Err(Error::internal("a column did not come in binary")),
        }
    }
    Ok(())
}

/// Sends rows, with one transaction for each page.
pub(super) async fn send_rows<R: Rows>(
    work: Work,
    scan: Scan,
    sender: mpsc::Sender<Result<R::Batch>>,
) -> Result<()> {
    let store = &work.store;
    let limit = store.timeouts().load;
    let statements = statements(scan.kind)?;
    let indexes = key_indexes(scan.kind);
    let mut worker = work.connection().await?;
    let mut after = scan.after;
    let mut form = Vec::new();
    loop {
        let connection = &mut worker.connection;
        begin_reading(store, connection).await?;
        let page = match &after {
            None => query(statements.first.as_str()),
            Some(after) => after.bind(query(statements.page.as_str())),
        };
        let mut rows = store.statement(page.bind(PAGE)).fetch(&mut *connection);
        let (mut items, mut bytes, mut count) = (R::default(), 0, 0);
        let mut beyond = false;
        while let Some(row) =
            with_deadline(limit, async { rows.try_next().await.map_err(from_sqlx) }).await?
        {
            count += 1;
            if beyond {
                continue;
            }
            let place = Place::read(scan.kind, &row, indexes)?;
            beyond = match (&place, scan.until) {
                (Place::Row(number), Some(until)) => *number > until,
                _ => false,
            };
            if beyond {
                continue;
            }
            bytes += items.add(store, scan.kind, &row, &place, &mut form).await?;
            after = Some(place);
            if items.count() >= scan.limits.records || bytes >= scan.limits.bytes {
                bytes = 0;
                if !send(&sender, &mut items, after.as_ref()).await {
                    return Ok(());
                }
            }
        }
        drop(rows);
        if !send(&sender, &mut items, after.as_ref()).await {
            return Ok(());
        }
        let is_last = beyond || count < PAGE;
        if is_last {
            return with_deadline(limit, work.commit(worker)).await;
        }
        with_deadline(limit, async {
            raw_sql("commit")
                .execute(connection)
                .await
                .map_err(from_sqlx)
        })
        .await?;
    }
}

/// Passes a batch on. Returns `false` if the receiver is gone.
async fn send<R: Rows>(
    sender: &mpsc::Sender<Result<R::Batch>>,
    items: &mut R,
    place: Option<&Place>,
) -> bool {
    let Some(place) = place.filter(|_| items.count() > 0) else {
        return true;
    };
    let batch = std::mem::take(items).batch(place);
    sender.send(Ok(batch)).await.is_ok()
}

/// A row as a record, or the JSON of an invalid record. `None` if the row was removed meanwhile.
pub(super) async fn scanned(
    store: &SupabaseStore,
    kind: Kind,
    row: &PgRow,
    place: &Place,
) -> Result<Option<Scanned>> {
    let error = match read_record(kind, row) {
        Ok(record) => return Ok(Some(Scanned::of(record))),
        Err(error) => error,
    };
    let json = place.bind(query(statements(kind)?.json.as_str()));
    let Some(found) = store.fetch_optional(json).await? else {
        return Ok(None);
    };
    let original: String = get(&found, 0)?;
    Ok(Some(Scanned {
        key: place.to_string(),
        set_aside: Problems::default(),
        outcome: Err(unreadable(&error)?),
        original: Original::Bytes(original.into_bytes()),
    }))
}

/// The problems of a row that is not a valid record. Other errors stay errors.
fn unreadable(error: &Error) -> Result<Problems> {
    match error.kind() {
        ErrorKind::Corrupt { what } => {
            // The reader begins with the field's name.
            let (field, problem) = what.split_once(": ").unwrap_or(("record", what));
            Ok(Problem::new(field.to_owned(), problem.to_owned()).into())
        }
        _ => Err(Error::new(error.kind().clone())),
    }
}

/// Begins a transaction that may wait for the reader of its rows.
pub(super) async fn begin_reading(
    store: &SupabaseStore,
    connection: &mut PgConnection,
) -> Result<()> {
    let begin = raw_sql(AssertSqlSafe(format!(
        "begin read only; {WHOLE_TABLES}; set local statement_timeout = 0; \
         set local idle_in_transaction_session_timeout = 0"
    )))
    .execute(connection);
    with_deadline(store.timeouts().operation, async {
        begin.await.map(drop).map_err(from_sqlx)
    })
    .await
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
