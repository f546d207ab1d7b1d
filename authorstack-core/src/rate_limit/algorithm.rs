//! The two ways to count. `authorstack-redis` has the same in its scripts.

use std::{collections::VecDeque, time::Duration};

use super::{
    decision::Decision,
    limit::{Algorithm, RateLimit},
};

/// What is known of a subject. Moments are microseconds of a clock.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// From when on nothing is used.
    Smooth(u64),
    /// When calls came, and how many.
    Window(VecDeque<(u64, u32)>),
}

impl State {
    pub(super) fn new(limit: &RateLimit) -> Self {
        match limit.algorithm() {
            Algorithm::Smooth { .. } => Self::Smooth(0),
            Algorithm::Window { .. } => Self::Window(VecDeque::new()),
        }
    }

    /// From when on the state says no more than none does.
    pub(super) fn ends(&self, limit: &RateLimit) -> u64 {
        match (self, limit.algorithm()) {
            (Self::Smooth(free_at), _) => *free_at,
            (Self::Window(calls), Algorithm::Window { length, .. }) => {
                calls.back().map_or(0, |(at, _)| at + length)
            }
            (Self::Window(_), Algorithm::Smooth { .. }) => 0,
        }
    }

    /// Counts a call at a moment, if it is allowed.
    pub(super) fn call(&mut self, limit: &RateLimit, now: u64, cost: u32) -> Decision {
        match (self, limit.algorithm()) {
            (Self::Smooth(free_at), Algorithm::Smooth { interval }) => {
                smooth(free_at, limit.quota(), interval, now, cost)
            }
            (Self::Window(calls), Algorithm::Window { length, slice }) => {
                window(calls, limit.quota(), (length, slice), now, cost)
            }
            // A limiter has one limit, and its states are made for it.
            (state, _) => {
                *state = Self::new(limit);
                Decision::uncounted(limit)
            }
        }
    }
}

fn smooth(free_at: &mut u64, quota: u32, interval: u64, now: u64, cost: u32) -> Decision {
    let room = interval * u64::from(quota);
    let from = (*free_at).max(now);
    let to = from + interval * u64::from(cost);
    let end = now + room;
    let decision = |allowed, from: u64, retry_after| Decision {
        allowed,
        limit: quota,
        remaining: u32::try_from(end.saturating_sub(from) / interval).unwrap_or(quota),
        reset_after: Duration::from_micros(from - now),
        retry_after,
    };
    if to > end {
        return decision(false, from, Some(Duration::from_micros(to - end)));
    }
    *free_at = to;
    decision(true, to, None)
}

fn window(
    calls: &mut VecDeque<(u64, u32)>,
    quota: u32,
    (length, slice): (u64, u64),
    now: u64,
    cost: u32,
) -> Decision {
    while calls.front().is_some_and(|(at, _)| at + length <= now) {
        calls.pop_front();
    }
    let used = calls.iter().map(|(_, count)| count).sum::<u32>();
    let last = |calls: &VecDeque<(u64, u32)>| calls.back().map_or(0, |(at, _)| at + length - now);
    if used + cost > quota {
        let mut over = used + cost - quota;
        let leaves = calls.iter().find(|(_, count)| {
            over = over.saturating_sub(*count);
            over == 0
        });
        let wait = leaves.map_or(length, |(at, _)| at + length - now);
        return Decision {
            allowed: false,
            limit: quota,
            remaining: quota - used,
            reset_after: Duration::from_micros(last(calls)),
            retry_after: Some(Duration::from_micros(wait)),
        };
    }
    match calls.back_mut() {
        Some((at, count)) if slice > 0 && *at / slice == now / slice => {
            *at = now;
            *count += cost;
        }
        _ => calls.push_back((now, cost)),
    }
    Decision {
        allowed: true,
        limit: quota,
        remaining: quota - used - cost,
        reset_after: Duration::from_micros(last(calls)),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use proptest::prelude::*;

    use super::*;

    fn limits() -> impl Strategy<Value = RateLimit> {
        (1_u32..200, 1_u64..5_000, any::<bool>()).prop_map(|(calls, millis, is_window)| {
            let period = Duration::from_millis(millis);
            if is_window {
                RateLimit::window(calls, period).unwrap()
            } else {
                RateLimit::smooth(calls, period).unwrap()
            }
        })
    }

    proptest! {
        /// In no stretch of a window's length do more pass than the quota; with GCRA not more than
        /// the quota and what comes back meanwhile.
        #[test]
        fn never_too_many(
            limit in limits(),
            steps in prop::collection::vec((0_u64..400_000, 1_u32..5), 1..300),
        ) {
            let mut state = State::new(&limit);
            let (mut now, mut passed) = (1_700_000_000_000_000, Vec::<(u64, u64)>::new());
            for (step, cost) in steps {
                now += step;
                let cost = cost.min(limit.quota());
                let decision = state.call(&limit, now, cost);
                prop_assert_eq!(decision.allowed, decision.retry_after.is_none());
                prop_assert!(decision.remaining <= decision.limit);
                if decision.allowed {
                    passed.push((now, u64::from(cost)));
                }
                for (index, (from, _)) in passed.iter().enumerate() {
                    let span = now - from;
                    let most = match limit.algorithm() {
                        Algorithm::Smooth { interval } => u64::from(limit.quota()) + span / interval,
                        Algorithm::Window { length, .. } if span < length => limit.quota().into(),
                        Algorithm::Window { .. } => continue,
                    };
                    let sum: u64 = passed[index..].iter().map(|(_, cost)| cost).sum();
                    prop_assert!(sum <= most, "{sum} in {span} µs");
                }
            }
        }

        /// The time to wait is enough, and a microsecond less is not.
        #[test]
        fn the_time_to_wait_is_exact(
            limit in limits(),
            steps in prop::collection::vec((0_u64..20_000, 1_u32..5), 1..300),
        ) {
            let mut state = State::new(&limit);
            let mut now = 1_700_000_000_000_000;
            for (step, cost) in steps {
                now += step;
                let cost = cost.min(limit.quota());
                if let Some(wait) = state.call(&limit, now, cost).retry_after {
                    let then = now + u64::try_from(wait.as_micros()).unwrap();
                    prop_assert!(!state.clone().call(&limit, then - 1, cost).allowed);
                    prop_assert!(state.clone().call(&limit, then, cost).allowed);
                }
            }
        }

        /// After `reset_after`, all is there again.
        #[test]
        fn a_reset_is_complete(limit in limits(), calls in 1_u32..50) {
            let mut state = State::new(&limit);
            let now = 1_700_000_000_000_000;
            for _ in 0..calls {
                state.call(&limit, now, 1);
            }
            let reset = state.call(&limit, now, 1).reset_after;
            let then = now + u64::try_from(reset.as_micros()).unwrap();
            prop_assert!(state.ends(&limit) <= then);
            prop_assert!(state.call(&limit, then, limit.quota()).allowed);
        }
    }
}
