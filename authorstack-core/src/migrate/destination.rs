use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{
    BatchLimits, Checkpoint, Counts, Digests, Entry, Key, Kind, Ledger, Load, Loaded, Origin,
    Position, Problems, Record, Reject, Rejected, RowSink, RunLock, Scanned, ScannedBatch,
    SetAside, Settled, Sink, SinkBatch, SinkState, Snapshot, Step, TransactionalSink,
};
use crate::{Result, layers::Operation};

/// The target of a migration: a sink, its snapshot, and the ledger.
///
/// ```
/// use std::sync::Arc;
///
/// use authorstack_core::{MemoryStore, migrate::Destination};
///
/// // The store keeps the ledger itself, in one transaction with the records.
/// let one = Destination::transactional(Arc::new(MemoryStore::new()));
/// // The ledger is in another store, and the records are written first.
/// let ledger = Arc::new(MemoryStore::new());
/// let two = Destination::paired(Arc::new(MemoryStore::new()), ledger);
/// # let _ = (one, two);
/// ```
#[derive(Debug, Clone)]
pub struct Destination {
    sink: Arc<dyn Sink>,
    snapshot: Arc<dyn Snapshot>,
    ledger: Arc<dyn Ledger>,
    /// If sink and ledger share their transactions.
    transactional: Option<Arc<dyn TransactionalSink>>,
}

impl Destination {
    /// A store that keeps the ledger itself: a batch, its rejects and its checkpoint are one
    /// transaction.
    #[must_use]
    pub fn transactional<S: TransactionalSink + Snapshot + 'static>(store: Arc<S>) -> Self {
        Self {
            sink: store.clone(),
            snapshot: store.clone(),
            ledger: store.clone(),
            transactional: Some(store),
        }
    }

    /// A store with its ledger in another store. A batch is written first, then noted in the
    /// ledger. A run that was killed in between writes the batch again, which changes nothing.
    #[must_use]
    pub fn paired<S: Sink + Snapshot + 'static>(store: Arc<S>, ledger: Arc<dyn Ledger>) -> Self {
        Self {
            sink: store.clone(),
            snapshot: store,
            ledger,
            transactional: None,
        }
    }

    /// The store's name in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.sink.name()
    }

    /// The kinds that it can hold.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        self.sink.kinds()
    }

    /// The parts of a record that the store cannot hold.
    #[must_use]
    pub fn screen(&self, record: &Record) -> Problems {
        self.sink.screen(record)
    }

    /// The open rejects, in batches, by kind and key.
    #[must_use]
    pub fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        let rejects = self.ledger.rejects();
        rejects
            .map_err(|error| error.in_operation(Operation::Rejects))
            .boxed()
    }

    /// The records that moved with values [set aside](crate::SET_ASIDE), in batches, by kind and
    /// key.
    #[must_use]
    pub fn set_aside(&self) -> BoxStream<'_, Result<Vec<SetAside>>> {
        let set_aside = self.ledger.set_aside();
        set_aside
            .map_err(|error| error.in_operation(Operation::Rejects))
            .boxed()
    }

    pub(super) async fn set_aside_fields(&self, kind: Kind) -> Result<u64> {
        named(Operation::Rejects, self.ledger.set_aside_fields(kind)).await
    }

    pub(super) async fn databases(&self) -> Result<Vec<String>> {
        named(Operation::Inspect, self.snapshot.databases()).await
    }

    pub(super) async fn inspect(&self) -> Result<SinkState> {
        let look = async {
            let mut state = self.sink.inspect().await?;
            let there: Vec<Kind> = state.records.iter().map(|(kind, _)| *kind).collect();
            for kind in there {
                let deferred = self.ledger.deferred(kind).await?;
                if !deferred.is_empty() {
                    let are = match deferred.len() {
                        1 => format!("1 index, constraint or setting of {kind} is"),
                        count => format!("{count} indexes, constraints or settings of {kind} are"),
                    };
                    let names = deferred.join(", ");
                    state.notes.push(format!(
                        "{are} to be restored at the end of the next run: {names}"
                    ));
                }
            }
            Ok(state)
        };
        named(Operation::Inspect, look).await
    }

    pub(super) async fn lock(&self) -> Result<Box<dyn RunLock>> {
        named(Operation::Lock, self.ledger.lock()).await
    }

    pub(super) async fn prepare(&self) -> Result<()> {
        named(Operation::Prepare, self.sink.prepare()).await
    }

    pub(super) async fn begin(&self, kind: Kind, total: u64) -> Result<Checkpoint> {
        let begin = async {
            if let Some(store) = &self.transactional {
                return store.begin_pass(kind, total).await;
            }
            self.sink.begin(kind).await?;
            self.ledger.begin(kind).await
        };
        named(Operation::Begin, begin).await
    }

    pub(super) async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        let loaded = async {
            match &self.transactional {
                Some(store) => store.load(load).await,
                None => self.apply_and_note(load).await,
            }
        };
        named(Operation::Load, loaded).await
    }

    async fn apply_and_note(&self, load: &Load<'_>) -> Result<Loaded> {
        let batch = SinkBatch {
            kind: load.kind,
            upserts: load.records,
            removals: &[],
        };
        let mut applied = self.sink.apply(&batch).await?;
        applied.refused.sort_by_key(|(index, _)| *index);
        let is_refused = |index: usize| {
            let found = applied.refused.binary_search_by_key(&index, |(at, _)| *at);
            found.is_ok()
        };
        let set_aside = load.moved_aside(is_refused);
        let settled: Vec<(Rejected, Key)> = match load.step {
            Step::Replay { rejects } => {
                let records = load.records.iter().zip(rejects).enumerate();
                let moved = records.filter(|(index, _)| !is_refused(*index));
                moved
                    .map(|(_, (record, reject))| (reject.clone(), record.key()))
                    .collect()
            }
            Step::Advance { .. } | Step::Aside => Vec::new(),
        };
        let refused = applied.refused.into_iter();
        let refused = refused.map(|(index, problems)| (load.reject)(index, problems));
        let rejects: Vec<Reject> = load.rejects.iter().cloned().chain(refused).collect();
        let entry = Entry {
            kind: load.kind,
            step: load.step.clone(),
            applied: Counts {
                written: applied.written,
                unchanged: applied.unchanged,
                ..Counts::default()
            },
            rejects: &rejects,
            set_aside: &set_aside,
            settled: &settled,
        };
        let open = self.ledger.note(&entry).await?;
        Ok(Loaded {
            counts: entry.counts(open),
        })
    }

    pub(super) async fn finish(&self, kind: Kind) -> Result<()> {
        let finish = async {
            if let Some(store) = &self.transactional {
                return store.finish_pass(kind).await;
            }
            self.sink.finish(kind).await?;
            self.ledger.finish(kind).await
        };
        named(Operation::Finish, finish).await
    }

    pub(super) fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let scan = self.snapshot.scan(kind, after, limits);
        scan.map_err(|error| error.in_operation(Operation::Scan))
            .boxed()
    }

    /// The digests of what the store holds, if it knows the form of its records.
    pub(super) fn stored(
        &self,
        kind: Kind,
        limits: BatchLimits,
    ) -> Option<BoxStream<'_, Result<Digests>>> {
        let stored = self.snapshot.stored(kind, limits)?;
        let stored = stored.map_err(|error| error.in_operation(Operation::Scan));
        Some(stored.boxed())
    }

    pub(super) fn write_stored(&self, record: &Record, form: &mut Vec<u8>) -> bool {
        self.snapshot.write_stored(record, form)
    }

    pub(super) async fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Scanned>> {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        named(Operation::Fetch, self.snapshot.fetch(kind, &keys)).await
    }

    pub(super) async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        named(Operation::Rejects, self.ledger.replayed(kind)).await
    }

    pub(super) async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        named(Operation::Rejects, self.ledger.settled(kind, keys)).await
    }

    /// The records that the store would refuse because of others that it has.
    pub(super) async fn taken(
        &self,
        kind: Kind,
        records: &[Record],
        from: Option<Origin<'_>>,
    ) -> Result<Vec<(usize, Problems)>> {
        match &self.transactional {
            Some(store) => named(Operation::Check, store.taken(kind, records, from)).await,
            None => Ok(Vec::new()),
        }
    }

    /// Which of these records this store took from an origin.
    pub(super) async fn moved(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        match &self.transactional {
            Some(store) => named(Operation::Fetch, store.moved(kind, origin, keys)).await,
            None => Ok(Vec::new()),
        }
    }

    /// Removes records that this store took from an origin, unless others refer to them.
    pub(super) async fn prune(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        match &self.transactional {
            Some(store) => named(Operation::Load, store.prune(kind, origin, keys)).await,
            None => Ok(Vec::new()),
        }
    }

    /// The fast lane for a kind, if the store has one. Its ranges commit with the ledger.
    pub(super) fn rows(&self, kind: Kind) -> Option<&dyn RowSink> {
        self.transactional.as_ref()?;
        self.sink.rows(kind)
    }
}

impl Entry<'_> {
    /// The counts of the whole batch, given how many of its rejects are open.
    #[must_use]
    pub fn counts(&self, open: u64) -> Counts {
        let (written, rejects) = (self.applied.written, self.rejects.len() as u64);
        let unchanged = self.applied.unchanged + (rejects - open);
        Counts {
            read: written + unchanged + open,
            written,
            unchanged,
            rejected: open,
        }
    }
}

/// Names the operation in an error.
pub(super) async fn named<T>(
    operation: Operation,
    run: impl Future<Output = Result<T>>,
) -> Result<T> {
    run.await.map_err(|error| error.in_operation(operation))
}
