//! Single flight: of the callers of one process that miss a key, one loads it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// What a load gave to those who waited: the bytes that went into the cache, or nothing that they
/// may use.
pub(super) type Landing = Option<Arc<[u8]>>;

/// The loads under way, by key.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<String, watch::Receiver<Landing>>>,
}

/// What a caller does about a load.
#[derive(Debug)]
pub(super) enum Boarding<'f> {
    /// It makes it.
    Lead(Flight<'f>),
    /// It waits for it.
    Join(watch::Receiver<Landing>),
}

/// A load under way. Dropped, it tells those who wait that there is nothing for them.
#[derive(Debug)]
pub(super) struct Flight<'f> {
    flights: &'f Flights,
    key: String,
    lands: watch::Sender<Landing>,
    is_open: bool,
}

impl Flights {
    pub(super) fn board(&self, key: &str) -> Boarding<'_> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = under_way.get(key) {
            return Boarding::Join(flight.clone());
        }
        let (lands, flight) = watch::channel(None);
        under_way.insert(key.to_owned(), flight);
        Boarding::Lead(Flight {
            flights: self,
            key: key.to_owned(),
            lands,
            is_open: true,
        })
    }
}

impl Flight<'_> {
    /// Lets nobody join any more. It must happen before the value goes into the cache: who comes
    /// later may have to see a write that comes in between.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let under_way = self.flights.under_way.lock();
            let mut under_way = under_way.unwrap_or_else(PoisonError::into_inner);
            under_way.remove(&self.key);
        }
    }

    /// Gives the value to those who wait.
    pub(super) fn land(mut self, bytes: Vec<u8>) {
        self.close();
        self.lands.send_replace(Some(bytes.into()));
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for a load that another caller makes.
pub(super) async fn landed(mut flight: watch::Receiver<Landing>) -> Landing {
    // An error says that the flight was dropped, after its last value was sent.
    drop(flight.changed().await);
    flight.borrow().clone()
}
