//! Streams as calls: to a layer, a stream is one call that lasts until the stream ends.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::{
    Call, Layer, Next, Operation, Reply,
    call::{Run, absent},
};
use crate::{Error, ErrorKind, Result, Stores};

/// Opens the stream of a store.
pub(super) type Open<R, T> = Arc<dyn Fn(&R) -> BoxStream<'static, Result<T>> + Send + Sync>;

/// Room for one record: the call fills it, the host empties it.
struct Slot<T> {
    record: Option<Result<T>>,
    /// The call, waiting for the slot to be empty.
    waiting: Option<Waker>,
    /// Whether there has been a record in it.
    is_used: bool,
}

type Shared<T> = Arc<Mutex<Slot<T>>>;

/// No call panics while it holds the lock, so what a poisoned lock guards is sound.
fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the call of a stream, and passes its records on one by one.
struct Pump<R: ?Sized, T> {
    store: Option<Arc<R>>,
    of_stores: fn(&Stores) -> Option<Arc<R>>,
    open: Open<R, T>,
    operation: Operation,
    slot: Shared<T>,
}

impl<R: ?Sized + Send + Sync, T: Send> Pump<R, T> {
    fn pump(&self, store: Option<Arc<R>>) -> BoxFuture<'_, Result<Reply>> {
        async move {
            if lock(&self.slot).is_used {
                return Err(Error::internal(
                    "a layer repeated a stream that had given records",
                ));
            }
            let store = store.ok_or_else(absent)?;
            let mut records = (self.open)(&store);
            let mut unreadable = 0;
            while let Some(record) = records.next().await {
                let record = match record {
                    // One record cannot be read: the others follow.
                    Err(error) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => {
                        unreadable += 1;
                        Err(error.in_operation(self.operation))
                    }
                    record => Ok(record?),
                };
                {
                    let mut slot = lock(&self.slot);
                    slot.record = Some(record);
                    slot.is_used = true;
                }
                // The host takes the record before the next one is read.
                poll_fn(|context| {
                    let mut slot = lock(&self.slot);
                    if slot.record.is_none() {
                        return Poll::Ready(());
                    }
                    slot.waiting = Some(context.waker().clone());
                    Poll::Pending
                })
                .await;
            }
            Ok(Reply::new(()).with_unreadable(unreadable))
        }
        .boxed()
    }
}

impl<R: ?Sized + Send + Sync, T: Send> Run for Pump<R, T> {
    fn run(&self) -> BoxFuture<'_, Result<Reply>> {
        self.pump(self.store.clone())
    }

    fn run_on(&self, stores: &Stores) -> BoxFuture<'_, Result<Reply>> {
        self.pump((self.of_stores)(stores))
    }
}

/// The host's side: polls the call while the host reads records.
struct Driven<T> {
    /// None when the call has ended.
    call: Option<BoxFuture<'static, Result<()>>>,
    slot: Shared<T>,
    error: Option<Error>,
}

impl<T> Driven<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        if let Some(call) = &mut self.call {
            // A layer may poll the call only when it is woken.
            let waiting = lock(&self.slot).waiting.take();
            if let Some(waiting) = waiting
                && !waiting.will_wake(context.waker())
            {
                waiting.wake();
            }
            if let Poll::Ready(ended) = call.poll_unpin(context) {
                self.call = None;
                self.error = ended.err();
            }
        }
        let record = lock(&self.slot).record.take();
        match (record, &self.call) {
            (Some(record), _) => Poll::Ready(Some(record)),
            (None, Some(_)) => Poll::Pending,
            (None, None) => Poll::Ready(self.error.take().map(Err)),
        }
    }
}

/// Makes the stream that passes through the layers.
pub(super) fn layered<R, T>(
    call: Call<'static>,
    layers: Arc<[Arc<dyn Layer>]>,
    store: Option<Arc<R>>,
    of_stores: fn(&Stores) -> Option<Arc<R>>,
    open: Open<R, T>,
) -> BoxStream<'static, Result<T>>
where
    R: ?Sized + Send + Sync + 'static,
    T: Send + 'static,
{
    let slot = Arc::new(Mutex::new(Slot {
        record: None,
        waiting: None,
        is_used: false,
    }));
    let pump = Pump {
        store,
        of_stores,
        open,
        operation: call.operation(),
        slot: Arc::clone(&slot),
    };
    let driven = Driven {
        call: Some(
            async move {
                let next = Next {
                    call: &call,
                    layers: &layers,
                    run: &pump,
                };
                // Named here too: the error may be a layer's own.
                let end = next.run().await.and_then(Reply::into);
                end.map_err(|error| call.named(error))
            }
            .boxed(),
        ),
        slot,
        error: None,
    };
    stream::unfold(driven, |mut driven| async move {
        let record = poll_fn(|context| driven.poll(context)).await?;
        Some((record, driven))
    })
    .boxed()
}
