//! How values are read through a cache, and removed.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use super::{
    flights::{Boarding, Flights, landed},
    stale::Unremoved,
    store::{Cache, Lease, Leased, Slot, Stale},
};
use crate::{Id, Result, User, circuit::Circuit, resilience::with_deadline};

/// Reads through a cache, and makes values stale. It never fails for the cache's sake.
#[derive(Debug)]
pub(crate) struct Engine {
    cache: Arc<dyn Cache>,
    deadline: Duration,
    circuit: Circuit,
    flights: Flights,
    unremoved: Unremoved,
}

/// How the answers of a call become bytes, and bytes answers.
pub(crate) struct Codec<'c, A> {
    /// The bytes; `None` for an answer that is not kept, such as an error.
    pub(crate) encode: &'c (dyn Fn(&Result<A>) -> Option<Kept> + Sync),
    /// The answer; `None` for bytes that cannot be used.
    pub(crate) decode: &'c (dyn Fn(&[u8]) -> Option<Result<A>> + Sync),
}

/// Bytes to keep.
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
    /// Whether they say that the record does not exist.
    pub(crate) is_absent: bool,
}

/// How long a lease holds: longer than most reads of a database, and not so long that a process that
/// died keeps others from filling.
const LEASE: Duration = Duration::from_secs(3);
/// How long it is kept that a record does not exist.
const ABSENT: Duration = Duration::from_secs(10);
/// How long a caller waits for another one of this process that loads the same.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often, and in which distance, a process looks whether another one has filled a key.
const LOOKS: u32 = 8;
const DISTANCE: Duration = Duration::from_millis(15);
/// How often a caller begins again before it reads the database by itself.
const ROUNDS: u32 = 3;
/// How long removing may take before the call goes on without it.
const REMOVING: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) fn new(cache: Arc<dyn Cache>, deadline: Duration) -> Self {
        Self {
            cache,
            deadline,
            circuit: Circuit::new(5, Duration::from_secs(1)),
            flights: Flights::default(),
            unremoved: Unremoved::default(),
        }
    }

    /// Asks the cache, within the deadline; `None` if it fails, or is left alone.
    async fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> Option<T> {
        let pass = self.circuit.pass()?;
        match with_deadline(self.deadline, question).await {
            Ok(answer) => {
                pass.succeeded();
                Some(answer)
            }
            Err(error) => {
                pass.failed();
                tracing::debug!(%error, "the cache failed; the database is read");
                None
            }
        }
    }

    /// The answer from the cache, or from `load`, which reads the database. `variant` tells callers
    /// apart that cannot share one load: the key keeps the answer of one of them.
    pub(crate) async fn read<A, F>(
        &self,
        slot: &Slot,
        variant: &str,
        codec: Codec<'_, A>,
        load: impl Fn() -> F,
    ) -> Result<A>
    where
        F: Future<Output = Result<A>>,
    {
        let flight = format!("{}{variant}", slot.key);
        for _ in 0..ROUNDS {
            if self.unremoved.has(slot) {
                break;
            }
            match self.ask(self.cache.get(slot)).await {
                None => break,
                Some(None) => {}
                Some(Some(bytes)) => {
                    if let Some(answer) = (codec.decode)(&bytes) {
                        return answer;
                    }
                    // Of another release, or of another question with the same key.
                    let stale = [Stale::Key(slot.key.clone())];
                    if self.ask(self.cache.invalidate(&stale)).await.is_none() {
                        break;
                    }
                }
            }
            let mut flight = match self.flights.board(&flight) {
                Boarding::Lead(flight) => flight,
                Boarding::Join(flight) => match timeout(PATIENCE, landed(flight)).await {
                    Ok(Some(bytes)) => match (codec.decode)(&bytes) {
                        Some(answer) => return answer,
                        None => continue,
                    },
                    Ok(None) => continue,
                    Err(_) => break,
                },
            };
            let lease = match self.ask(self.cache.lease(slot, LEASE)).await {
                None => break,
                Some(Leased::Yours(lease)) => lease,
                Some(Leased::Found(bytes)) => match (codec.decode)(&bytes) {
                    Some(answer) => return answer,
                    None => continue,
                },
                // Most likely for another variant, whose answer would be of no use.
                Some(Leased::Taken) if !variant.is_empty() => break,
                Some(Leased::Taken) => match self.look(slot).await {
                    Some(bytes) => match (codec.decode)(&bytes) {
                        Some(answer) => return answer,
                        None => break,
                    },
                    None => break,
                },
            };
            let held = Held::new(&self.cache, slot, lease);
            let answer = load().await;
            let Some(kept) = (codec.encode)(&answer) else {
                held.release();
                return answer;
            };
            flight.close();
            let ttl = if kept.is_absent {
                ABSENT.min(slot.ttl)
            } else {
                slot.ttl
            };
            let fill = self
                .cache
                .fill(slot, held.lease(), &kept.bytes, jittered(ttl));
            if self.ask(fill).await == Some(true) {
                held.filled();
                flight.land(kept.bytes);
            }
            return answer;
        }
        load().await
    }

    /// Looks a few times whether another process has filled a key.
    async fn look(&self, slot: &Slot) -> Option<Vec<u8>> {
        for _ in 0..LOOKS {
            sleep(DISTANCE).await;
            if let Some(bytes) = self.ask(self.cache.get(slot)).await? {
                return Some(bytes);
            }
        }
        None
    }

    /// Removes what became stale. When the cache fails, the call goes on: this process does not use
    /// the values until they are removed, which a task does.
    pub(crate) async fn invalidate(self: &Arc<Self>, stale: &[Stale]) {
        let ask = async {
            let pass = self.circuit.pass()?;
            let removed = with_deadline(REMOVING, self.cache.invalidate(stale)).await;
            match removed {
                Ok(()) => pass.succeeded(),
                Err(_) => pass.failed(),
            }
            removed.ok()
        };
        if ask.await.is_none() {
            self.later(stale);
        }
    }

    /// Has what became stale removed by a task. Until then it is not used.
    pub(crate) fn later(self: &Arc<Self>, stale: &[Stale]) {
        if !self.unremoved.add(stale) {
            return;
        }
        // Without a runtime, as while a process ends, nobody reads either.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let engine = Arc::clone(self);
        runtime.spawn(async move { engine.remove().await });
    }

    /// As [`Engine::later`], now and once more in a while: for a write that broke off, and may still
    /// reach the database.
    pub(crate) fn uncertain(self: &Arc<Self>, stale: Vec<Stale>) {
        /// Databases end what was asked of them before.
        const IN_A_WHILE: Duration = Duration::from_secs(5);
        self.later(&stale);
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let engine = Arc::clone(self);
        runtime.spawn(async move {
            sleep(IN_A_WHILE).await;
            engine.later(&stale);
        });
    }

    /// Tries until everything is removed, or has gone by itself.
    async fn remove(&self) {
        const SHORTEST: Duration = Duration::from_millis(50);
        const LONGEST: Duration = Duration::from_secs(2);
        let mut pause = SHORTEST;
        loop {
            let some = self.unremoved.next();
            if some.is_empty() {
                return;
            }
            let stale: Vec<Stale> = some.iter().map(|(stale, _)| stale.clone()).collect();
            let removed = with_deadline(REMOVING, self.cache.invalidate(&stale)).await;
            if removed.is_ok() {
                self.unremoved.removed(&some);
                pause = SHORTEST;
            } else {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

/// A little shorter each time, so that values that came together do not go together.
fn jittered(ttl: Duration) -> Duration {
    let random = Id::<User>::new().to_bytes()[11];
    ttl.saturating_sub(ttl * u32::from(random % 100) / 1_000)
}

/// A lease that is given back if its call is dropped.
struct Held<'h> {
    cache: &'h Arc<dyn Cache>,
    slot: &'h Slot,
    lease: Lease,
    is_used: bool,
}

impl<'h> Held<'h> {
    const fn new(cache: &'h Arc<dyn Cache>, slot: &'h Slot, lease: Lease) -> Self {
        Self {
            cache,
            slot,
            lease,
            is_used: false,
        }
    }

    const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The value went in, and the lease with it.
    fn filled(mut self) {
        self.is_used = true;
    }

    /// Gives it back now.
    fn release(self) {
        drop(self);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.is_used {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (cache, slot, lease) = (
            Arc::clone(self.cache),
            self.slot.clone(),
            self.lease.clone(),
        );
        runtime.spawn(async move {
            // If it fails, the lease ends by itself.
            drop(with_deadline(REMOVING, cache.release(&slot, &lease)).await);
        });
    }
}
