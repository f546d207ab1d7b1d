//! The rows as they are now.

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{
        BatchLimits, Kind, Original, Position, Problems, Record, RowSource, Scanned, ScannedBatch,
        Snapshot, Stranger,
    },
    resilience::with_deadline,
};
use authorstack_sql::{IDENTITY, ORIGIN, get};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, query};

use super::{
    NAME, PostgresMigration,
    check::{check, fits},
    decode, encode,
    shared::{PAGE, Shared},
    strangers,
};

#[async_trait]
impl Snapshot for PostgresMigration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ANALYTICS
    }

    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        let mut connection = self.shared.begin().await?;
        let limit = self.shared.pool.timeouts().operation;
        with_deadline(limit, check(&mut connection, kinds)).await?;
        let limit = self.shared.pool.timeouts().load;
        with_deadline(limit, fits(&self.shared, &mut connection, kinds)).await?;
        self.shared.end(connection).await
    }

    async fn strangers(&self, kinds: &[Kind]) -> Result<Vec<Stranger>> {
        strangers::strangers(&self.shared, kinds).await
    }

    async fn databases(&self) -> Result<Vec<String>> {
        let rows = self.shared.fetch_all(query(IDENTITY)).await?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    async fn origin(&self, kind: Kind) -> Result<Option<String>> {
        Shared::known(kind)?;
        let rows = match self
            .shared
            .fetch_all(query(ORIGIN).bind(kind.as_str()))
            .await
        {
            // An owner may have closed the function.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                return Ok(None);
            }
            rows => rows?,
        };
        rows.first().map(|row| get(row, 0)).transpose()
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        Shared::known(kind)?;
        if !self.shared.has_table(kind).await? {
            return Ok(0);
        }
        let count = query(AssertSqlSafe(count(kind)));
        let rows = self.shared.fetch_all(count).await?;
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
            let error = Error::invalid("position", "is not the number of a row");
            return stream::iter([Err(error)]).boxed();
        };
        let most = limits.records.clamp(1, PAGE);
        stream::try_unfold(after, move |after| async move {
            if !shared.has_table(kind).await? {
                return Ok(None);
            }
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = shared
                .read_rows(kind, "t.id > $1", "limit $2", |select| {
                    select.bind(after).bind(limit)
                })
                .await?;
            let Some((last, _)) = rows.last() else {
                return Ok(None);
            };
            let last = *last;
            let items = rows.into_iter().map(|(_, item)| item).collect();
            let position = Position(last.to_string());
            Ok::<_, Error>(Some((ScannedBatch { items, position }, last)))
        })
        .boxed()
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        Shared::known(kind)?;
        // A key that is not a number belongs to no row.
        let numbers: Vec<i64> = keys.iter().filter_map(|key| key.parse().ok()).collect();
        if numbers.is_empty() || !self.shared.has_table(kind).await? {
            return Ok(Vec::new());
        }
        let rows = self
            .shared
            .read_rows(kind, "t.id = any ($1)", "", |select| select.bind(numbers))
            .await?;
        Ok(rows.into_iter().map(|(_, item)| item).collect())
    }

    fn encode(&self, _: Kind, original: &Original) -> Value {
        encode::row(&String::from_utf8_lossy(&original.bytes(None)))
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        decode::read(&self.shared, kind, value)
    }

    fn decode_setting_aside(
        &self,
        kind: Kind,
        value: &Value,
    ) -> Result<(Record, Problems), Problems> {
        decode::read_setting_aside(&self.shared, kind, value)
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.kinds().contains(&kind).then_some(self)
    }

    fn strict_rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.strict.as_deref().unwrap_or(self).rows(kind)
    }
}

/// SQL that counts the rows. For a large table the server's estimate is enough.
pub(super) fn count(kind: Kind) -> String {
    format!(
        "select case when reltuples > 1000000 then reltuples::bigint \
           else (select count(*) from public.{kind}) end \
         from pg_catalog.pg_class where oid = 'public.{kind}'::regclass"
    )
}
