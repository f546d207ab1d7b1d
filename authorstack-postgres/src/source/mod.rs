//! The analytics as a source of migrations: rows leave in the target's form, converted by the
//! server that holds them.

mod check;
mod conversion;
mod decode;
mod encode;
mod id_map;
mod reader;
mod shared;

use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Error, Id, Result,
    layers::Operation,
    migrate::{
        Absent, BatchLimits, Digest, Kind, Original, Position, Problems, Record, RowRange,
        RowReader, RowSource, Scanned, ScannedBatch, Source,
    },
    resilience::with_deadline,
};
use authorstack_sql::{get, spawned, unique_columns};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;

pub use self::id_map::IdMap;
use self::{
    check::check,
    shared::{PAGE, Shared},
};
use crate::{schema::has_key, store::PostgresStore};

/// The five tables as a source of migrations. Made by
/// [`PostgresStore::source`](crate::PostgresStore::source).
#[derive(Debug, Clone)]
pub struct PostgresSource {
    shared: Arc<Shared>,
}

impl PostgresStore {
    /// The source that a migration reads rows from, with the ids that this map knows; the others
    /// have the form that the settings name.
    #[must_use]
    pub fn source(&self, map: IdMap) -> PostgresSource {
        let shared = Shared::new(self.pool().clone(), self.ids(), map);
        PostgresSource {
            shared: Arc::new(shared),
        }
    }
}

#[async_trait]
impl Source for PostgresSource {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ANALYTICS
    }

    async fn check(&self) -> Result<()> {
        let run = async {
            let mut connection = self.shared.begin().await?;
            let limit = self.shared.pool.timeouts().operation;
            with_deadline(limit, check(&mut connection)).await?;
            self.shared.end(connection).await
        };
        run.await
            .map_err(|error: Error| error.in_operation(Operation::Check))
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        self.shared.conversion(kind)?;
        // For a large table the server's estimate is enough.
        let sql = format!(
            "select case when reltuples > 1000000 then reltuples::bigint \
               else (select count(*) from public.{kind}) end \
             from pg_catalog.pg_class where oid = 'public.{kind}'::regclass"
        );
        let rows = self.shared.fetch_all(sql, &[]).await?;
        let count = rows.first().map_or(Ok(0), |row| get::<i64>(row, 0))?;
        Ok(count.unsigned_abs())
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let shared = &self.shared;
        let after = after.map_or(Ok(i64::MIN), |Position(text)| text.parse());
        let Ok(after) = after else {
            let error = Error::invalid("position", "is no row's number");
            return stream::iter([Err(error)]).boxed();
        };
        let most = limits.records.clamp(1, PAGE);
        stream::try_unfold(after, move |after| async move {
            let conversion = shared.conversion(kind)?;
            let sql = conversion.records("t.id > $1", "limit $2");
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = shared.fetch_all(sql, &[after, limit]).await?;
            let items: Vec<Scanned> = rows
                .iter()
                .map(|row| shared.scanned(kind, row))
                .collect::<Result<_>>()?;
            let Some(last) = rows.last() else {
                return Ok(None);
            };
            let last: i64 = get(last, 0)?;
            let position = Position(last.to_string());
            Ok::<_, Error>(Some((ScannedBatch { items, position }, last)))
        })
        .map_err(|error| error.in_operation(Operation::Scan))
        .boxed()
    }

    async fn fetch(&self, kind: Kind, key: &str) -> Result<Option<Scanned>> {
        let Ok(number) = key.parse::<i64>() else {
            return Ok(None);
        };
        let conversion = self.shared.conversion(kind)?;
        let sql = conversion.records("t.id = $1", "");
        let rows = self.shared.fetch_all(sql, &[number]).await?;
        rows.first()
            .map(|row| self.shared.scanned(kind, row))
            .transpose()
    }

    fn render(&self, _: Kind, original: &Original) -> Value {
        encode::row(&String::from_utf8_lossy(&original.0))
    }

    fn parse(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        decode::read(&self.shared, kind, value)
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        Kind::ANALYTICS.contains(&kind).then_some(self)
    }
}

/// The column that refers to records of a kind.
fn reference(to: Kind) -> Result<&'static str> {
    match to {
        Kind::Users => Ok("user_id"),
        Kind::Books => Ok("book_id"),
        other => Err(Error::internal(format!("no row refers to {other}"))),
    }
}

#[async_trait]
impl RowSource for PostgresSource {
    fn conversion(&self) -> String {
        let map = Digest::of_bytes(self.shared.map_json.as_bytes());
        format!("{:?} {map:?}", self.shared.ids)
    }

    async fn may_collide(&self, kind: Kind) -> Result<bool> {
        let limit = self.shared.pool.timeouts().operation;
        let mut connection = self.shared.begin().await?;
        let keys = [&["id"], unique_columns(kind)];
        let mut may_collide = self.shared.has_map();
        for key in keys.into_iter().filter(|key| !key.is_empty()) {
            may_collide |= !with_deadline(limit, has_key(&mut connection, kind, key)).await?;
        }
        self.shared.end(connection).await?;
        Ok(may_collide)
    }

    async fn last(&self, kind: Kind) -> Result<Option<i64>> {
        self.shared.conversion(kind)?;
        let sql = format!("select max(id)::bigint from public.{kind}");
        let rows = self.shared.fetch_all(sql, &[]).await?;
        rows.first().map_or(Ok(None), |row| get(row, 0))
    }

    fn references(&self, kind: Kind, to: Kind) -> BoxStream<'_, Result<Vec<Id<Record>>>> {
        let shared = Arc::clone(&self.shared);
        spawned(move |sender| async move { shared.send_ids(kind, reference(to)?, sender).await })
    }

    async fn open(
        &self,
        kind: Kind,
        within: RowRange,
        most: u64,
        absent: &Absent,
    ) -> Result<Option<Box<dyn RowReader>>> {
        let opened = reader::open(&self.shared, kind, within, most, absent).await;
        let reader = opened.map_err(|error| error.in_operation(Operation::Scan))?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn RowReader>))
    }
}
