//! A circuit breaker: a service that keeps failing is left alone for a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Closed at first. After some failures in a row it opens: no call passes for a while. Then one call
/// tries, and its outcome closes the circuit or opens it again.
#[derive(Debug)]
pub(crate) struct Circuit {
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// When the next call may try.
    open_until: Option<Instant>,
}

/// A call that may be made. Dropped without an outcome, it says nothing.
#[derive(Debug)]
#[must_use = "its outcome matters"]
pub(crate) struct Pass<'c>(&'c Circuit);

impl Circuit {
    /// Opens after so many failures in a row, for so long.
    pub(crate) fn new(failures: u32, pause: Duration) -> Self {
        Self {
            failures,
            pause,
            state: Mutex::default(),
        }
    }

    /// Whether a call may be made.
    pub(crate) fn pass(&self) -> Option<Pass<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            Some(until) if Instant::now() < until => None,
            Some(_) => {
                // This call tries; the others wait until it is known, or for another pause.
                state.open_until = Some(Instant::now() + self.pause);
                Some(Pass(self))
            }
            None => Some(Pass(self)),
        }
    }
}

impl Pass<'_> {
    pub(crate) fn succeeded(self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::default();
    }

    pub(crate) fn failed(self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.0.failures {
            state.open_until = Some(Instant::now() + self.0.pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_tries_and_closes() {
        let circuit = Circuit::new(2, Duration::from_secs(1));
        let fail = || circuit.pass().map(Pass::failed).is_some();
        assert!(fail());
        assert!(circuit.pass().is_some_and(|pass| {
            pass.succeeded();
            true
        }));
        assert!(fail() && fail());
        assert!(!fail());
        tokio::time::advance(Duration::from_secs(1)).await;
        // One tries, the others wait.
        let trying = circuit.pass();
        assert!(trying.is_some() && circuit.pass().is_none());
        assert!(trying.map(Pass::failed).is_some());
        assert!(circuit.pass().is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(circuit.pass().map(Pass::succeeded).is_some());
        assert!(circuit.pass().is_some() && circuit.pass().is_some());
    }
}
