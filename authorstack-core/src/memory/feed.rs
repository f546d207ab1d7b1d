//! The changes of the store, for its followers.

use std::collections::VecDeque;

use crate::migrate::{Key, Kind};

/// How many changes are kept for followers.
const KEPT: usize = 100_000;
/// The numbered changes of the store. They are kept from the first call of `position` on.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pub(super) is_followed: bool,
    /// The number of the last change.
    pub(super) last: u64,
    pub(super) changes: VecDeque<(u64, Kind, Key)>,
}

impl Feed {
    pub(super) fn note(&mut self, kind: Kind, keys: Vec<Key>) {
        if !self.is_followed {
            return;
        }
        for key in keys {
            self.last += 1;
            self.changes.push_back((self.last, kind, key));
        }
        let surplus = self.changes.len().saturating_sub(KEPT);
        self.changes.drain(..surplus);
    }
}
