//! The fast lane: rows leave in the binary form of COPY.

use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Id, Result,
    layers::Operation,
    migrate::{Digest, Kind, Record, References, RefusedRow, RowRange, RowReader, RowSource},
    resilience::with_deadline,
};
use authorstack_sql::{get, spawned};
use futures::stream::BoxStream;
use sqlx::{AssertSqlSafe, query};

use super::{PostgresMigration, conversion::folded, reader, shared::Shared};
use crate::schema::has_key;

impl PostgresMigration {
    /// Whether rows of a kind have a platform in capitals in their key. Another row may have it in
    /// small letters.
    async fn has_capitals(&self, kind: Kind) -> Result<bool> {
        let mut unique = kind.description().unique.iter();
        if !unique.any(|unique| unique.columns.contains(&"platform")) {
            return Ok(false);
        }
        // `exists` would leave the server's other cores idle.
        let sql = format!(
            "select count(*) > 0 from public.{kind} where platform <> {}",
            folded("platform")
        );
        let rows = self.shared.fetch_all(query(AssertSqlSafe(sql))).await?;
        rows.first().map_or(Ok(false), |row| get(row, 0))
    }
}

#[async_trait]
impl RowSource for PostgresMigration {
    fn conversion(&self) -> String {
        let map = Digest::of_bytes(self.shared.map_json.as_bytes());
        let lenience = if self.shared.strict { " strict" } else { "" };
        format!("{:?} {map:?}{lenience}", self.shared.ids)
    }

    async fn may_collide(&self, kind: Kind) -> Result<bool> {
        if !self.shared.has_table(kind).await? {
            return Ok(false);
        }
        let limit = self.shared.pool.timeouts().operation;
        let mut connection = self.shared.begin().await?;
        let unique = kind.description().unique.iter();
        let keys = unique.map(|unique| unique.columns);
        let mut may_collide = self.shared.has_map();
        for key in keys.chain([["id"].as_slice()]) {
            may_collide |= !with_deadline(limit, has_key(&mut connection, kind, key)).await?;
        }
        self.shared.end(connection).await?;
        Ok(may_collide || self.has_capitals(kind).await?)
    }

    fn collisions(
        &self,
        kind: Kind,
        references: &References,
    ) -> BoxStream<'_, Result<Vec<RefusedRow>>> {
        let (shared, known) = (Arc::clone(&self.shared), references.clone());
        spawned(move |sender| async move { shared.send_collisions(kind, &known, sender).await })
    }

    async fn last(&self, kind: Kind) -> Result<Option<i64>> {
        Shared::known(kind)?;
        if !self.shared.has_table(kind).await? {
            return Ok(None);
        }
        let sql = format!("select max(id)::bigint from public.{kind}");
        let rows = self.shared.fetch_all(query(AssertSqlSafe(sql))).await?;
        rows.first().map_or(Ok(None), |row| get(row, 0))
    }

    fn references(&self, kind: Kind, to: Kind) -> BoxStream<'_, Result<Vec<Option<Id<Record>>>>> {
        let shared = Arc::clone(&self.shared);
        spawned(move |sender| async move { shared.send_ids(kind, to, sender).await })
    }

    async fn with_ids(&self, kind: Kind) -> Result<Vec<&'static str>> {
        if !self.shared.has_table(kind).await? {
            return Ok(Vec::new());
        }
        let mut connection = self.shared.begin().await?;
        let conversion = self.shared.conversion(&mut connection, kind).await?;
        let mut known = Vec::new();
        for (column, sql) in conversion.with_ids() {
            let select = query(AssertSqlSafe(sql));
            let rows = self.shared.fetch_in(&mut connection, select).await?;
            if rows.first().map_or(Ok(false), |row| get(row, 0))? {
                known.push(column);
            }
        }
        self.shared.end(connection).await?;
        Ok(known)
    }

    /// The engine does not name the operation here.
    async fn open(
        &self,
        kind: Kind,
        within: RowRange,
        most: u64,
        references: &References,
    ) -> Result<Option<Box<dyn RowReader>>> {
        if !self.shared.has_table(kind).await? {
            return Ok(None);
        }
        let opened = reader::open(&self.shared, kind, within, most, references).await;
        let reader = opened.map_err(|error| error.in_operation(Operation::Scan))?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn RowReader>))
    }
}
