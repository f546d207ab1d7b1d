//! The cache of one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::store::{Cache, Lease, Leased, Slot, Stale};
use crate::{Id, Result, User};

/// Values in memory: for one process, and for tests. Clones share their values.
#[derive(Debug, Clone)]
pub struct MemoryCache {
    entries: Arc<Mutex<HashMap<String, Entry>>>,
    most: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    bytes: Vec<u8>,
    /// The generation of its group.
    generation: String,
    ends: Instant,
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl MemoryCache {
    /// A cache of this many entries at most; leases and generations count too.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self {
            entries: Arc::default(),
            most: entries.max(8),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// The keys whose time is not over.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let entries = self.lock();
        let live = entries.keys().filter(|key| live(&entries, key).is_some());
        live.cloned().collect()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, entries: &mut HashMap<String, Entry>, key: String, entry: Entry) {
        if entries.len() >= self.most && !entries.contains_key(&key) {
            let now = Instant::now();
            entries.retain(|_, entry| entry.ends > now);
            if entries.len() >= self.most {
                // Some have to go. A lease or a generation that goes makes a miss, no more.
                let keep = self.most - self.most / 8;
                let surplus = entries.keys().skip(keep).cloned().collect::<Vec<_>>();
                for key in surplus {
                    entries.remove(&key);
                }
            }
        }
        entries.insert(key, entry);
    }
}

/// The entry of a key whose time is not over.
fn live<'e>(entries: &'e HashMap<String, Entry>, key: &str) -> Option<&'e Entry> {
    let entry = entries.get(key)?;
    (entry.ends > Instant::now()).then_some(entry)
}

/// The generation of a slot's group; nothing for a slot without a group, `None` if it is lost.
fn generation(entries: &HashMap<String, Entry>, slot: &Slot) -> Option<String> {
    match &slot.group {
        None => Some(String::new()),
        Some(group) => Some(live(entries, group)?.generation.clone()),
    }
}

fn value(entries: &HashMap<String, Entry>, slot: &Slot) -> Option<Vec<u8>> {
    let generation = generation(entries, slot)?;
    let entry = live(entries, &slot.key)?;
    (entry.generation == generation).then(|| entry.bytes.clone())
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, slot: &Slot) -> Result<Option<Vec<u8>>> {
        Ok(value(&self.lock(), slot))
    }

    async fn lease(&self, slot: &Slot, for_time: Duration) -> Result<Leased> {
        let mut entries = self.lock();
        if let Some(bytes) = value(&entries, slot) {
            return Ok(Leased::Found(bytes));
        }
        let token = Id::<User>::new().to_string();
        let now = Instant::now();
        let generation = generation(&entries, slot).unwrap_or_else(|| token.clone());
        if let Some(group) = &slot.group {
            let entry = Entry {
                bytes: Vec::new(),
                generation: generation.clone(),
                ends: now + slot.ttl + for_time,
            };
            self.put(&mut entries, group.clone(), entry);
        }
        let lease = Stale::lease_of(&slot.key);
        if live(&entries, &lease).is_some_and(|held| held.generation == generation) {
            return Ok(Leased::Taken);
        }
        let entry = Entry {
            bytes: token.clone().into_bytes(),
            generation: generation.clone(),
            ends: now + for_time,
        };
        self.put(&mut entries, lease, entry);
        Ok(Leased::Yours(Lease { token, generation }))
    }

    async fn fill(&self, slot: &Slot, lease: &Lease, value: &[u8], ttl: Duration) -> Result<bool> {
        let mut entries = self.lock();
        let key = Stale::lease_of(&slot.key);
        let is_held = live(&entries, &key).is_some_and(|held| {
            held.bytes == lease.token.as_bytes() && held.generation == lease.generation
        });
        if !is_held || generation(&entries, slot).as_ref() != Some(&lease.generation) {
            return Ok(false);
        }
        entries.remove(&key);
        let entry = Entry {
            bytes: value.to_vec(),
            generation: lease.generation.clone(),
            ends: Instant::now() + ttl,
        };
        self.put(&mut entries, slot.key.clone(), entry);
        Ok(true)
    }

    async fn release(&self, slot: &Slot, lease: &Lease) -> Result<()> {
        let mut entries = self.lock();
        let key = Stale::lease_of(&slot.key);
        if entries
            .get(&key)
            .is_some_and(|held| held.bytes == lease.token.as_bytes())
        {
            entries.remove(&key);
        }
        Ok(())
    }

    async fn invalidate(&self, stale: &[Stale]) -> Result<()> {
        let mut entries = self.lock();
        for key in stale.iter().flat_map(Stale::keys) {
            entries.remove(&key);
        }
        Ok(())
    }
}
