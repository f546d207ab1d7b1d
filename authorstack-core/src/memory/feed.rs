//! What has changed, for those who follow the store.

use std::collections::VecDeque;

use crate::migrate::{Key, Kind};

/// How many changes are kept for those who follow.
const KEPT: usize = 100_000;
/// The changes of the store, each with its number; kept from the first time that someone asks for
/// the position.
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
