//! A table of records that remembers which of them were changed.

use std::{
    collections::BTreeMap,
    ops::{Deref, RangeBounds},
};

use crate::migrate::Key;

/// The key of a record of a table in a migration.
pub(super) trait Keyed<K> {
    fn key(&self, place: &K) -> Key;
}

/// A map of records. It can be read as a `BTreeMap`; each method that writes notes the keys of the
/// records that it changes.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    records: BTreeMap<K, V>,
    touched: Vec<Key>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            touched: Vec::new(),
        }
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.records
    }
}

impl<K: Ord + Clone, V: Keyed<K>> Table<K, V> {
    pub(super) fn insert(&mut self, place: K, record: V) -> Option<V> {
        self.touched.push(record.key(&place));
        if let Some(before) = self.records.get(&place) {
            self.touched.push(before.key(&place));
        }
        self.records.insert(place, record)
    }

    pub(super) fn remove(&mut self, place: &K) -> Option<V> {
        let removed = self.records.remove(place)?;
        self.touched.push(removed.key(place));
        Some(removed)
    }

    pub(super) fn get_mut(&mut self, place: &K) -> Option<&mut V> {
        let record = self.records.get_mut(place)?;
        self.touched.push(record.key(place));
        Some(record)
    }

    /// Keeps the records for which the function returns true.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&K, &V) -> bool) {
        let touched = &mut self.touched;
        self.records.retain(|place, record| {
            let kept = keeps(place, record);
            if !kept {
                touched.push(record.key(place));
            }
            kept
        });
    }

    /// Passes each record of a range to a function that may change it and returns whether it did.
    pub(super) fn change_all(
        &mut self,
        range: impl RangeBounds<K>,
        mut change: impl FnMut(&mut V) -> bool,
    ) {
        for (place, record) in self.records.range_mut(range) {
            if change(record) {
                self.touched.push(record.key(place));
            }
        }
    }

    /// The keys of the records changed since the last call.
    pub(super) fn take_touched(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.touched)
    }
}
