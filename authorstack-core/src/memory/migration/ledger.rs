use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};

use crate::{
    Error, ErrorKind, Result,
    memory::store::MemoryStore,
    migrate::{Checkpoint, Entry, Kind, Ledger, Reject, RunLock, SetAside, Settled},
};

/// The lock of a run; released when dropped.
#[derive(Debug)]
struct Lock {
    _held: Arc<()>,
}

impl RunLock for Lock {}

#[async_trait]
impl Ledger for MemoryStore {
    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        let mut records = MemoryStore::lock(self);
        if records.ledger.run.upgrade().is_some() {
            return Err(Error::new(ErrorKind::Locked));
        }
        let held = Arc::new(());
        records.ledger.run = Arc::downgrade(&held);
        Ok(Box::new(Lock { _held: held }))
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        Ok(MemoryStore::lock(self).ledger.begin(kind))
    }

    async fn note(&self, entry: &Entry<'_>) -> Result<u64> {
        MemoryStore::lock(self).ledger.note(entry)
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        MemoryStore::lock(self).ledger.finish(kind);
        Ok(())
    }

    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        let records = MemoryStore::lock(self);
        let kept = records.ledger.rejects.values();
        let open = kept.filter(|kept| kept.replayed_as.is_none());
        let open = open.map(|kept| kept.reject.clone()).collect();
        stream::iter([Ok(open)]).boxed()
    }

    fn set_aside(&self) -> BoxStream<'_, Result<Vec<SetAside>>> {
        let records = MemoryStore::lock(self);
        let all = records.ledger.set_aside.values().cloned().collect();
        stream::iter([Ok(all)]).boxed()
    }

    async fn set_aside_fields(&self, kind: Kind) -> Result<u64> {
        let records = MemoryStore::lock(self);
        let of_kind = records.ledger.set_aside.values();
        let of_kind = of_kind.filter(|set_aside| set_aside.kind == kind);
        Ok(of_kind
            .map(|set_aside| set_aside.fields.0.len() as u64)
            .sum())
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        let records = MemoryStore::lock(self);
        let mut settled = records.ledger.settled_where(|of, _| of == kind);
        settled.retain(|settled| settled.replayed_as.is_some());
        Ok(settled)
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let records = MemoryStore::lock(self);
        let matches = |of: Kind, key: &str| of == kind && keys.contains(key);
        Ok(records.ledger.settled_where(matches))
    }

    async fn deferred(&self, _: Kind) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
