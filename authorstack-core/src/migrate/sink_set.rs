use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::Value;

use super::{
    Applied, BatchLimits, Digests, Kind, Original, Position, Problem, Problems, Record, Scanned,
    ScannedBatch, Sink, SinkBatch, SinkState, Snapshot, Stranger, source_set::none_holds,
};
use crate::Result;

/// Several stores as one sink, each for its own kinds. The ledger is in another store.
#[derive(Debug, Clone)]
pub struct SinkSet {
    stores: Vec<Part>,
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone)]
struct Part {
    sink: Arc<dyn Sink>,
    snapshot: Arc<dyn Snapshot>,
}

impl SinkSet {
    /// A set without stores.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stores: Vec::new(),
            kinds: Vec::new(),
        }
    }

    /// Adds a store. A kind that an earlier store holds still goes there.
    #[must_use]
    pub fn with<S: Sink + Snapshot + 'static>(self, store: Arc<S>) -> Self {
        self.with_sides(store.clone(), store)
    }

    /// Adds a store, given as a sink and as a snapshot.
    #[must_use]
    pub fn with_sides(mut self, sink: Arc<dyn Sink>, snapshot: Arc<dyn Snapshot>) -> Self {
        self.stores.push(Part { sink, snapshot });
        let held = |kind: &&Kind| {
            let mut stores = self.stores.iter();
            stores.any(|store| store.sink.kinds().contains(kind))
        };
        self.kinds = Kind::ALL.iter().filter(held).copied().collect();
        self
    }

    fn of(&self, kind: Kind) -> Result<&Part> {
        let mut stores = self.stores.iter();
        stores
            .find(|store| store.sink.kinds().contains(&kind))
            .ok_or_else(|| none_holds(kind))
    }
}

impl Default for SinkSet {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Sink for SinkSet {
    fn name(&self) -> &'static str {
        match self.stores.as_slice() {
            [one] => one.sink.name(),
            _ => "the targets",
        }
    }

    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    async fn inspect(&self) -> Result<SinkState> {
        let mut all = SinkState::default();
        for store in &self.stores {
            let SinkState {
                pending_migrations,
                blockers,
                notes,
                records,
                readable_columns,
            } = store.sink.inspect().await?;
            all.pending_migrations.extend(pending_migrations);
            all.blockers.extend(blockers);
            all.notes.extend(notes);
            all.records.extend(records);
            all.readable_columns.extend(readable_columns);
        }
        Ok(all)
    }

    fn screen(&self, record: &Record) -> Problems {
        self.of(record.kind())
            .map_or_else(|_| Problems::default(), |store| store.sink.screen(record))
    }

    async fn prepare(&self) -> Result<()> {
        for store in &self.stores {
            store.sink.prepare().await?;
        }
        Ok(())
    }

    async fn begin(&self, kind: Kind) -> Result<()> {
        self.of(kind)?.sink.begin(kind).await
    }

    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        self.of(batch.kind)?.sink.apply(batch).await
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        self.of(kind)?.sink.finish(kind).await
    }
}

#[async_trait]
impl Snapshot for SinkSet {
    fn name(&self) -> &'static str {
        Sink::name(self)
    }

    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        for store in &self.stores {
            store.snapshot.check(kinds).await?;
        }
        Ok(())
    }

    async fn strangers(&self, kinds: &[Kind]) -> Result<Vec<Stranger>> {
        let mut found = Vec::new();
        for store in &self.stores {
            found.extend(store.snapshot.strangers(kinds).await?);
        }
        Ok(found)
    }

    async fn databases(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for store in &self.stores {
            found.extend(store.snapshot.databases().await?);
        }
        Ok(found)
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        self.of(kind)?.snapshot.count(kind).await
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        match self.of(kind) {
            Ok(store) => store.snapshot.scan(kind, after, limits),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        self.of(kind)?.snapshot.fetch(kind, keys).await
    }

    fn stored(&self, kind: Kind, limits: BatchLimits) -> Option<BoxStream<'_, Result<Digests>>> {
        self.of(kind).ok()?.snapshot.stored(kind, limits)
    }

    fn write_stored(&self, record: &Record, form: &mut Vec<u8>) -> bool {
        self.of(record.kind())
            .is_ok_and(|store| store.snapshot.write_stored(record, form))
    }

    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.of(kind)
            .map_or(Value::Null, |store| store.snapshot.encode(kind, original))
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        match self.of(kind) {
            Ok(store) => store.snapshot.decode(kind, value),
            Err(error) => Err(Problem::from(error).into()),
        }
    }
}
