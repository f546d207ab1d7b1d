//! Reads a range of rows as a consistent snapshot.

use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Error, Result, SET_ASIDE,
    migrate::{
        BatchLimits, Kind, Original, Problems, References, RowDigest, RowRange, RowReader, Scanned,
        UnfitRow,
    },
    resilience::with_deadline,
};
use authorstack_sql::get;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use memchr::memmem;
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgRow, query};
use uuid::Uuid;

use super::{
    conversion::{Conversion, Known},
    shared::{PAGE, Shared, failed},
};

/// Rows are passed on in pieces of this size, because the server sends each row separately.
const PIECE: usize = 256 << 10;

/// How many bytes of rows are read before they are passed on.
const PART_BYTES: usize = 4 << 20;

pub(super) struct RangeReader {
    shared: Arc<Shared>,
    connection: PgConnection,
    kind: Kind,
    range: RowRange,
    rows: u64,
    known: Known,
    conversion: Conversion,
    /// Whether the rows that were copied last may have values set aside; `None` before that.
    copied_aside: Option<bool>,
}

/// Opens the first rows of a range.
pub(super) async fn open(
    shared: &Arc<Shared>,
    kind: Kind,
    window: RowRange,
    most: u64,
    references: &References,
) -> Result<Option<RangeReader>> {
    Shared::known(kind)?;
    let limit = shared.pool.timeouts().load;
    let mut connection = shared.begin().await?;
    let conversion = shared.conversion(&mut connection, kind).await?;
    let row = with_deadline(limit, async {
        let sql = format!(
            "select count(*), max(id)::bigint from (select id from public.{kind} \
             where id > $1 and id <= $2 order by id limit $3) as first"
        );
        let cut = query(AssertSqlSafe(sql))
            .bind(window.after)
            .bind(window.until)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let cut = shared.pool.statement(cut);
        cut.fetch_one(&mut connection).await.map_err(failed)
    })
    .await?;
    let (rows, last): (i64, Option<i64>) = (get(&row, 0)?, get(&row, 1)?);
    let Some(until) = last else {
        shared.end(connection).await?;
        return Ok(None);
    };
    let known = shared.set_absent(&mut connection, references).await?;
    Ok(Some(RangeReader {
        shared: Arc::clone(shared),
        connection,
        kind,
        range: RowRange {
            after: window.after,
            until,
        },
        rows: rows.unsigned_abs(),
        known,
        conversion,
        copied_aside: None,
    }))
}

impl RangeReader {
    /// The rows of a statement, in parts. Its first parameters are the range.
    fn parts<T: Sized + Send + 'static>(
        &mut self,
        sql: String,
        most: usize,
        read: fn(&Shared, &Conversion, Kind, &PgRow) -> Result<T>,
        size: fn(&T) -> usize,
    ) -> BoxStream<'_, Result<Vec<T>>> {
        let (shared, conversion, kind) = (&self.shared, &self.conversion, self.kind);
        let limit = shared.pool.timeouts().load;
        let select = query(AssertSqlSafe(sql))
            .bind(self.range.after)
            .bind(self.range.until);
        let rows = shared.pool.statement(select).fetch(&mut self.connection);
        stream::try_unfold(rows, move |mut rows| async move {
            let part = with_deadline(limit, async {
                let (mut part, mut bytes) = (Vec::new(), 0);
                while part.len() < most
                    && bytes < PART_BYTES
                    && let Some(row) = rows.try_next().await.map_err(failed)?
                {
                    let scanned = read(shared, conversion, kind, &row)?;
                    bytes += size(&scanned);
                    part.push(scanned);
                }
                Ok(part)
            });
            let part = part.await?;
            Ok::<_, Error>((!part.is_empty()).then_some((part, rows)))
        })
        .boxed()
    }
}

#[async_trait]
impl RowReader for RangeReader {
    fn range(&self) -> RowRange {
        self.range
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    async fn digest(&mut self) -> Result<Option<RowDigest>> {
        /// `hash_record_extended` exists since version 14.
        const SINCE: u32 = 140_000;
        if self
            .connection
            .server_version_num()
            .is_none_or(|version| version < SINCE)
        {
            return Ok(None);
        }
        let limit = self.shared.pool.timeouts().load;
        let sql = self.conversion.digest(&self.known);
        let digest = query(AssertSqlSafe(sql))
            .bind(self.range.after)
            .bind(self.range.until);
        let digest = self.shared.pool.statement(digest);
        let row = with_deadline(limit, async {
            digest.fetch_one(&mut self.connection).await.map_err(failed)
        })
        .await?;
        Ok(Some(RowDigest {
            rows: get::<i64>(&row, 0)?.unsigned_abs(),
            sum: get(&row, 1)?,
        }))
    }

    fn copy(&mut self) -> BoxStream<'_, Result<Vec<u8>>> {
        let limit = self.shared.pool.timeouts().load;
        let RowRange { after, until } = self.range;
        let sql = self.conversion.copy(&self.known, after, until);
        let (connection, aside) = (&mut self.connection, &mut self.copied_aside);
        let aside = aside.insert(false);
        let rows = async move {
            let rows = with_deadline(limit, async {
                connection.copy_out_raw(&sql).await.map_err(failed)
            });
            let rows = rows.await?;
            let state = (rows, aside);
            let pieces = stream::try_unfold(state, move |(mut rows, aside)| async move {
                let piece = with_deadline(limit, async {
                    let mut piece = Vec::with_capacity(PIECE + (PIECE >> 3));
                    while piece.len() < PIECE
                        && let Some(row) = rows.try_next().await.map_err(failed)?
                    {
                        piece.extend_from_slice(&row);
                    }
                    Ok(piece)
                });
                let piece = piece.await?;
                *aside |= memmem::find(&piece, SET_ASIDE.as_bytes()).is_some();
                Ok::<_, Error>((!piece.is_empty()).then_some((piece, (rows, aside))))
            });
            Ok::<_, Error>(pieces)
        };
        stream::once(rows).try_flatten().boxed()
    }

    fn refused(&mut self) -> BoxStream<'_, Result<Vec<UnfitRow>>> {
        let sql = self.conversion.refused(&self.known);
        let read: fn(&Shared, &Conversion, Kind, &PgRow) -> _ = |shared, conversion, kind, row| {
            let (number, original): (i64, &str) = (get(row, 0)?, get(row, 3)?);
            let references: Vec<Option<Uuid>> = get(row, 1)?;
            let flags: Vec<bool> = get(row, 2)?;
            let problems = shared.problems(conversion, kind, &flags, original, &references);
            let absent = conversion.absent(&flags, &references);
            let row = Scanned {
                key: number.to_string(),
                set_aside: Problems::default(),
                outcome: Err(problems),
                original: Original::Bytes(original.as_bytes().to_vec()),
            };
            Ok(UnfitRow { row, absent })
        };
        self.parts(sql, PAGE, read, |unfit| unfit.row.original.len())
    }

    fn set_aside(&mut self) -> BoxStream<'_, Result<Vec<Scanned>>> {
        // Looking for them costs the server as much as the copy did. A piece has whole rows, and what
        // is set aside is under this name in each: where it is nowhere, there are none.
        let sql = self.conversion.aside(&self.known);
        match sql.filter(|_| self.copied_aside != Some(false)) {
            Some(sql) => self.parts(sql, PAGE, Shared::scanned, |row| row.original.len()),
            None => stream::empty().boxed(),
        }
    }

    fn records(&mut self, limits: BatchLimits) -> BoxStream<'_, Result<Vec<Scanned>>> {
        let sql = self.conversion.records("t.id > $1 and t.id <= $2", "");
        let most = limits.records.clamp(1, PAGE);
        self.parts(sql, most, Shared::scanned, |row| row.original.len())
    }

    async fn fetch(&mut self, numbers: &[i64]) -> Result<Vec<Scanned>> {
        let (shared, kind) = (&self.shared, self.kind);
        let sql = self.conversion.records("t.id = any ($1)", "");
        let select = query(AssertSqlSafe(sql)).bind(numbers);
        let select = shared.pool.statement(select);
        let rows = with_deadline(shared.pool.timeouts().load, async {
            select.fetch_all(&mut self.connection).await.map_err(failed)
        })
        .await?;
        rows.iter()
            .map(|row| shared.scanned(&self.conversion, kind, row))
            .collect()
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.shared.end(self.connection).await
    }
}
