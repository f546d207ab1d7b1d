//! The opposite direction: rows are written by their numbers.

use async_trait::async_trait;
use authorstack_core::{
    Result,
    migrate::{Applied, Kind, Problems, Record, Sink, SinkBatch, SinkState},
    resilience::retry_on_conflict,
};
use sqlx::{AssertSqlSafe, query};

use super::{NAME, PostgresMigration, batch, inspect, shared::Shared};
use crate::schema;

#[async_trait]
impl Sink for PostgresMigration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ANALYTICS
    }

    async fn inspect(&self) -> Result<SinkState> {
        inspect::inspect(&self.shared).await
    }

    /// Reports dates before 4713 BC, and ids that the map would change into others.
    fn screen(&self, record: &Record) -> Problems {
        batch::screen(&self.shared, record)
    }

    async fn prepare(&self) -> Result<()> {
        schema::migrate(&self.shared.pool).await
    }

    async fn begin(&self, kind: Kind) -> Result<()> {
        Shared::known(kind)
    }

    /// Writes a batch in one transaction. A row keeps its number. If the same record is already
    /// there, only values with another meaning are written.
    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        retry_on_conflict(|| batch::apply(&self.shared, batch)).await
    }

    /// Rows keep their numbers, so the numbers of new rows must come after them.
    async fn finish(&self, kind: Kind) -> Result<()> {
        Shared::known(kind)?;
        let set = format!(
            "select setval(number, last) from (select max(id), \
               pg_get_serial_sequence('public.{kind}', 'id')::regclass from public.{kind}) \
               as rows (last, number) \
             where last > coalesce(pg_sequence_last_value(number), 0)"
        );
        let mut connection = self.shared.begin_writing().await?;
        let set = query(AssertSqlSafe(set));
        self.shared.fetch_in(&mut connection, set).await?;
        self.shared.commit(connection).await
    }
}
