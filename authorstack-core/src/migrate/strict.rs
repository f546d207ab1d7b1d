use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde_json::Value;

use super::{
    BatchLimits, Kind, Original, Position, Problems, Record, RowSource, Scanned, ScannedBatch,
    Snapshot, Stranger,
};
use crate::{Id, Result};

/// A source that sets nothing aside: a record in which a value would be
/// [set aside](crate::SET_ASIDE) cannot move. Every command on it agrees, a plan and a replay too.
///
/// ```
/// use std::sync::Arc;
///
/// use authorstack_core::{MemoryStore, migrate::Strict};
///
/// let source = Arc::new(Strict::new(Arc::new(MemoryStore::new())));
/// # let _ = source;
/// ```
#[derive(Debug, Clone)]
pub struct Strict {
    source: Arc<dyn Snapshot>,
}

impl Strict {
    /// This source, strictly.
    #[must_use]
    pub fn new(source: Arc<dyn Snapshot>) -> Self {
        Self { source }
    }
}

/// What was set aside rejects the record.
fn strictly(mut items: Vec<Scanned>) -> Vec<Scanned> {
    for item in items.iter_mut().filter(|item| !item.set_aside.is_empty()) {
        let problems = std::mem::take(&mut item.set_aside);
        if item.outcome.is_ok() {
            item.outcome = Err(problems);
        }
    }
    items
}

#[async_trait]
impl Snapshot for Strict {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn kinds(&self) -> &[Kind] {
        self.source.kinds()
    }

    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        self.source.check(kinds).await
    }

    async fn strangers(&self, kinds: &[Kind]) -> Result<Vec<Stranger>> {
        self.source.strangers(kinds).await
    }

    async fn databases(&self) -> Result<Vec<String>> {
        self.source.databases().await
    }

    async fn origin(&self, kind: Kind) -> Result<Option<String>> {
        self.source.origin(kind).await
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        self.source.count(kind).await
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let scan = self.source.scan(kind, after, limits);
        let strict = scan.map_ok(|batch| ScannedBatch {
            items: strictly(batch.items),
            position: batch.position,
        });
        strict.boxed()
    }

    fn has_checked(&self, kind: Kind) -> bool {
        self.source.has_checked(kind)
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        Ok(strictly(self.source.fetch(kind, keys).await?))
    }

    async fn with_unkeyed_parts(
        &self,
        kind: Kind,
        wholes: &[Id<Record>],
    ) -> Result<Vec<Id<Record>>> {
        self.source.with_unkeyed_parts(kind, wholes).await
    }

    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.source.encode(kind, original)
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        self.source.decode(kind, value)
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.source.strict_rows(kind)
    }

    fn strict_rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.source.strict_rows(kind)
    }
}
