//! Counting the calls that are under way, and waiting for their end.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// How many calls are under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    calls: AtomicUsize,
    /// Wakes those who wait when the last call has ended.
    ended: Notify,
}

/// One call that is under way, until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it says that the call has ended"]
pub(super) struct Mark(Arc<UnderWay>);

impl UnderWay {
    /// Counts a call. It never waits.
    pub(super) fn enter(self: &Arc<Self>) -> Mark {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Mark(Arc::clone(self))
    }

    /// Waits until no call is under way.
    pub(super) async fn ended(&self) {
        loop {
            // Made before the count is read, so that the end of the last call is not missed.
            let ended = self.ended.notified();
            if self.calls.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.0.calls.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}
