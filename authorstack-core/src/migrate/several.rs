use std::sync::Arc;

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;

use super::{
    BatchLimits, Kind, Original, Position, Problem, Problems, Record, RowSource, Scanned,
    ScannedBatch, Source,
};
use crate::{Error, ErrorKind, Result};

/// Several stores as one source, each with kinds of its own.
#[derive(Debug, Clone)]
pub struct Several {
    sources: Vec<Arc<dyn Source>>,
    kinds: Vec<Kind>,
}

impl Several {
    /// These stores. Where two of them hold a kind, it is read from the first.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn Source>>) -> Self {
        let held = |kind: &&Kind| sources.iter().any(|source| source.kinds().contains(kind));
        let kinds = Kind::ALL.iter().filter(held).copied().collect();
        Self { sources, kinds }
    }

    fn of(&self, kind: Kind) -> Option<&dyn Source> {
        let mut sources = self.sources.iter();
        let holds = |source: &&Arc<dyn Source>| source.kinds().contains(&kind);
        sources.find(holds).map(AsRef::as_ref)
    }

    fn known(&self, kind: Kind) -> Result<&dyn Source> {
        self.of(kind).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported {
                what: format!("no source holds {kind}").into(),
            })
        })
    }
}

#[async_trait]
impl Source for Several {
    fn name(&self) -> &'static str {
        match self.sources.as_slice() {
            [one] => one.name(),
            _ => "the sources",
        }
    }

    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    async fn check(&self) -> Result<()> {
        for source in &self.sources {
            source.check().await?;
        }
        Ok(())
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

    async fn fetch(&self, kind: Kind, key: &str) -> Result<Option<Scanned>> {
        self.known(kind)?.fetch(kind, key).await
    }

    fn render(&self, kind: Kind, original: &Original) -> Value {
        self.of(kind)
            .map_or(Value::Null, |source| source.render(kind, original))
    }

    fn parse(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        match self.known(kind) {
            Ok(source) => source.parse(kind, value),
            Err(error) => Err(Problem::from(error).into()),
        }
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.of(kind)?.rows(kind)
    }
}
