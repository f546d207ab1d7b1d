//! What could not be removed from the cache yet.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::store::{Slot, Stale};

/// The longest time for which a value is kept: five minutes. After that, it is gone by itself.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// How many are remembered one by one. With more, nothing in the cache is used.
const MOST: usize = 10_000;

/// What this process must not use, since it is stale and could not be removed.
#[derive(Debug, Default)]
pub(super) struct Unremoved {
    stale: Mutex<State>,
    /// Whether there is any: looked at on each read.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Until when each matters.
    until: HashMap<Stale, Instant>,
    /// Until when everything matters.
    all_until: Option<Instant>,
    /// Whether a task tries to remove them.
    is_retrying: bool,
}

impl Unremoved {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers some. Returns whether the caller is to start the task that removes them.
    pub(super) fn add(&self, more: &[Stale]) -> bool {
        let until = Instant::now() + LONGEST;
        let mut state = self.lock();
        if state.until.len() + more.len() > MOST {
            state.until.clear();
            state.all_until = Some(until);
        } else {
            state
                .until
                .extend(more.iter().map(|one| (one.clone(), until)));
        }
        self.any.store(true, Ordering::SeqCst);
        !std::mem::replace(&mut state.is_retrying, true)
    }

    /// Whether a slot must not be used.
    pub(super) fn has(&self, slot: &Slot) -> bool {
        if !self.any.load(Ordering::SeqCst) {
            return false;
        }
        let state = self.lock();
        let now = Instant::now();
        let is_stale = |stale: Stale| state.until.get(&stale).is_some_and(|until| *until > now);
        state.all_until.is_some_and(|until| until > now)
            || is_stale(Stale::Key(slot.key.clone()))
            || slot
                .group
                .clone()
                .is_some_and(|group| is_stale(Stale::Group(group)))
    }

    /// Some of those that matter still, with their times. If there are none, the task is to end.
    pub(super) fn next(&self) -> Vec<(Stale, Instant)> {
        /// How many are removed at once.
        const BATCH: usize = 200;
        let now = Instant::now();
        let mut state = self.lock();
        state.until.retain(|_, until| *until > now);
        if state.all_until.is_some_and(|until| until <= now) {
            state.all_until = None;
        }
        let some = state.until.iter().take(BATCH);
        let some: Vec<_> = some.map(|(stale, until)| (stale.clone(), *until)).collect();
        if some.is_empty() {
            state.is_retrying = false;
            self.any.store(state.all_until.is_some(), Ordering::SeqCst);
        }
        some
    }

    /// Forgets what was removed, unless it became stale again meanwhile.
    pub(super) fn removed(&self, removed: &[(Stale, Instant)]) {
        let mut state = self.lock();
        for (stale, until) in removed {
            if state.until.get(stale) == Some(until) {
                state.until.remove(stale);
            }
        }
    }
}
