//! What a queue in memory and its feeds share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::state::State;

/// What the queue and its feeds share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Counts the changes: whoever waits looks again.
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            changes: watch::Sender::new(0),
        }
    }

    /// Looks at the state, and changes it without waking anyone.
    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        // A panic while it was locked is a fault of a test's own; the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whoever waits.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.look());
        self.wake();
        answer
    }

    pub(super) fn wake(&self) {
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
