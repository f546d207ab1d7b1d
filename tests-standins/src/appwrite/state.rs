use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use ring::hmac;
use tokio::sync::broadcast;

use crate::openapi::OpenApi;

use super::{
    data::{identities::Identity, sessions::Session, tables::Database, users::Users},
    events::Event,
    webhooks::Webhook,
};

/// The project.
pub(super) const PROJECT: &str = "acc";
/// A key with all scopes, and one without any.
pub(super) const KEY: &str = "standard_of_the_tests";
pub(super) const LIMITED_KEY: &str = "standard_without_scopes";

/// What all connections and requests share.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    state: Mutex<State>,
    /// The document that requests are held to; `None` for requests that are wrong on purpose.
    pub(super) document: Option<OpenApi>,
    pub(super) signing: hmac::Key,
    pub(super) hub: broadcast::Sender<Arc<Event>>,
    /// Tells the connections of Realtime to break off.
    pub(super) breaks: broadcast::Sender<()>,
    pub(super) has_realtime: AtomicBool,
    pub(super) connections: AtomicUsize,
    pub(super) requests: AtomicUsize,
}

impl std::ops::Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shared {
    pub(super) fn new(document: Option<OpenApi>) -> Self {
        let secret = uuid::Uuid::new_v4();
        Self(Arc::new(Inner {
            state: Mutex::default(),
            document,
            signing: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            hub: broadcast::channel(4_096).0,
            breaks: broadcast::channel(4).0,
            has_realtime: AtomicBool::new(true),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that a test has ordered.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) users: Users,
    pub(super) sessions: Vec<Session>,
    pub(super) identities: Vec<Identity>,
    pub(super) databases: BTreeMap<String, Database>,
    /// The number of the last row.
    pub(super) sequence: u64,
    pub(super) webhooks: Vec<Webhook>,
    /// Refusals of 429 that are still to come, and the seconds that each names.
    pub(super) throttles: VecDeque<u64>,
    pub(super) ordered: VecDeque<Ordered>,
    /// Ids of users that vanish as soon as a page has shown them.
    pub(super) vanishing: Vec<String>,
    /// What happened in the current request.
    pub(super) events: Vec<Event>,
}
