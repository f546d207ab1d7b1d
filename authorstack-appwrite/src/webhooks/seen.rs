use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Mutex, PoisonError},
};

use ring::digest;

/// By what a repeated delivery is recognised: its event and its body, whose moment is a part of it.
/// It holds nothing of them, so a host may keep it in a cache that its processes share.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DeliveryKey([u8; 32]);

impl DeliveryKey {
    pub(super) fn of(event: &str, body: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(event.as_bytes());
        // No name of an event holds it.
        context.update(&[0]);
        context.update(body);
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        Self(key)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// The deliveries that came last, for one process.
///
/// ```
/// use authorstack_appwrite::SeenDeliveries;
///
/// let seen = SeenDeliveries::new(10_000);
/// # let _ = seen;
/// ```
#[derive(Debug)]
pub struct SeenDeliveries {
    capacity: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<DeliveryKey>,
    order: VecDeque<DeliveryKey>,
}

impl SeenDeliveries {
    /// Remembers so many deliveries, 32 bytes each twice. An older one counts as new again.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            seen: Mutex::default(),
        }
    }

    /// Whether a delivery came for the first time. From then on it did not.
    pub fn is_new(&self, key: &DeliveryKey) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.keys.insert(key.clone()) {
            return false;
        }
        seen.order.push_back(key.clone());
        if seen.order.len() > self.capacity
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.keys.remove(&oldest);
        }
        true
    }

    /// Forgets a delivery, so that it may come again: when acting on it has failed.
    pub fn forget(&self, key: &DeliveryKey) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.keys.remove(key) {
            seen.order.retain(|other| other != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_new_once_while_it_is_remembered() {
        let seen = SeenDeliveries::new(2);
        let key = |event: &str| DeliveryKey::of(event, b"{}");
        assert!(seen.is_new(&key("a")));
        assert!(!seen.is_new(&key("a")));
        assert!(seen.is_new(&key("b")));
        assert_ne!(DeliveryKey::of("a", b"{}"), DeliveryKey::of("a", b"{ }"));
        seen.forget(&key("b"));
        assert!(seen.is_new(&key("b")));
        assert!(seen.is_new(&key("c")));
        assert!(seen.is_new(&key("a")), "the oldest is forgotten");
    }
}
