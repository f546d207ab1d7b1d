use std::sync::Arc;

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;

use super::{
    BatchLimits, DigestOf, Digests, Kind, Original, Position, Problem, Problems, Record, RowSource,
    Scanned, ScannedBatch, Snapshot, Stranger,
};
use crate::{Error, ErrorKind, Id, Result};

/// Several stores as one source, each with its own kinds.
#[derive(Debug, Clone)]
pub struct SourceSet {
    sources: Vec<Arc<dyn Snapshot>>,
    kinds: Vec<Kind>,
}

impl SourceSet {
    /// A set of these stores. A kind that several of them hold is read from the first.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn Snapshot>>) -> Self {
        let held = |kind: &&Kind| sources.iter().any(|source| source.kinds().contains(kind));
        let kinds = Kind::ALL.iter().filter(held).copied().collect();
        Self { sources, kinds }
    }

    fn of(&self, kind: Kind) -> Option<&dyn Snapshot> {
        let mut sources = self.sources.iter();
        let holds = |source: &&Arc<dyn Snapshot>| source.kinds().contains(&kind);
        sources.find(holds).map(AsRef::as_ref)
    }

    fn known(&self, kind: Kind) -> Result<&dyn Snapshot> {
        self.of(kind).ok_or_else(|| none_holds(kind))
    }
}

pub(super) fn none_holds(kind: Kind) -> Error {
    Error::new(ErrorKind::Unsupported {
        what: format!("none of the stores holds {kind}; leave that kind out").into(),
    })
}

#[async_trait]
impl Snapshot for SourceSet {
    fn name(&self) -> &'static str {
        match self.sources.as_slice() {
            [one] => one.name(),
            _ => "the sources",
        }
    }

    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        for source in &self.sources {
            source.check(kinds).await?;
        }
        Ok(())
    }

    async fn strangers(&self, kinds: &[Kind]) -> Result<Vec<Stranger>> {
        let mut found = Vec::new();
        for source in &self.sources {
            found.extend(source.strangers(kinds).await?);
        }
        Ok(found)
    }

    async fn databases(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for source in &self.sources {
            found.extend(source.databases().await?);
        }
        Ok(found)
    }

    async fn origin(&self, kind: Kind) -> Result<Option<String>> {
        self.known(kind)?.origin(kind).await
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        self.known(kind)?.count(kind).await
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        match self.known(kind) {
            Ok(source) => source.scan(kind, after, limits),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn has_checked(&self, kind: Kind) -> bool {
        self.of(kind).is_some_and(|source| source.has_checked(kind))
    }

    fn digests(
        &self,
        kind: Kind,
        limits: BatchLimits,
        digest_of: DigestOf,
    ) -> BoxStream<'_, Result<Digests>> {
        match self.known(kind) {
            Ok(source) => source.digests(kind, limits, digest_of),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        self.known(kind)?.fetch(kind, keys).await
    }

    async fn with_unkeyed_parts(
        &self,
        kind: Kind,
        wholes: &[Id<Record>],
    ) -> Result<Vec<Id<Record>>> {
        self.known(kind)?.with_unkeyed_parts(kind, wholes).await
    }

    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.of(kind)
            .map_or(Value::Null, |source| source.encode(kind, original))
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        match self.known(kind) {
            Ok(source) => source.decode(kind, value),
            Err(error) => Err(Problem::from(error).into()),
        }
    }

    fn decode_setting_aside(
        &self,
        kind: Kind,
        value: &Value,
    ) -> Result<(Record, Problems), Problems> {
        match self.known(kind) {
            Ok(source) => source.decode_setting_aside(kind, value),
            Err(error) => Err(Problem::from(error).into()),
        }
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.of(kind)?.rows(kind)
    }

    fn strict_rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.of(kind)?.strict_rows(kind)
    }
}
