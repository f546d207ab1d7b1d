//! Appwrite 1.9.0, with everything in memory: users with every form of hash, sessions, JWTs,
//! identities, rows (also as documents), Realtime, webhooks.
//!
//! It answers what a real server of this version answered: `appwrite/samples` has its answers, and a
//! test compares. A request that the vendor's `OpenAPI` document does not allow is answered 500.
//!
//! What a test cannot do through the API, it does by methods of [`Appwrite`].

mod account;
mod answers;
mod caller;
mod create;
mod data;
mod dispatch;
mod events;
mod identities;
mod incoming;
mod passwords;
mod queries;
mod realtime;
mod rows;
mod sessions;
mod state;
mod tables;
mod times;
mod tokens;
mod users;
mod webhooks;

use std::sync::atomic::Ordering;

use axum::{Router, routing::any};
use tokio::{net::TcpListener, task::JoinHandle};

pub use data::identities::NewIdentity;

use crate::openapi::OpenApi;

use data::identities::Identity;
use state::{Ordered, Shared};
use webhooks::Webhook;

/// The vendor's document, cut to what the tests use. Its origin and licence are in it.
const DOCUMENT: &str = include_str!("../../appwrite/openapi-1.8.1.json");

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct Appwrite {
    address: String,
    server: JoinHandle<()>,
    shared: Shared,
}

impl Drop for Appwrite {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Appwrite {
    /// The id of the project.
    pub const PROJECT: &'static str = state::PROJECT;
    /// A key with all scopes.
    pub const KEY: &'static str = state::KEY;
    /// A key without scopes.
    pub const LIMITED_KEY: &'static str = state::LIMITED_KEY;

    /// Starts on a free port, and holds each request to the `OpenAPI` document.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let document = serde_json::from_str(DOCUMENT).unwrap_or_default();
        Self::with(Some(OpenApi::of(document))).await
    }

    /// Starts on a free port, for requests that are wrong on purpose.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn lenient() -> Self {
        Self::with(None).await
    }

    #[allow(clippy::unwrap_used, reason = "a test without its server fails")]
    async fn with(document: Option<OpenApi>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Shared::new(document);
        let router = Router::new().fallback(any(dispatch::answer));
        let router = router.with_state(shared.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self {
            address,
            server,
            shared,
        }
    }

    /// The address, as a setting has it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Links an account with one of another service, as OAuth does it. Returns the identity's id.
    #[must_use]
    pub fn add_identity(&self, new: NewIdentity) -> String {
        let identity = Identity::new(new);
        let id = identity.id.clone();
        self.shared.lock().identities.push(identity);
        id
    }

    /// Answers the next requests with 429, each with a window that ends in so many seconds.
    pub fn throttle(&self, times: usize, seconds: u64) {
        let mut state = self.shared.lock();
        state.throttles.extend(std::iter::repeat_n(seconds, times));
    }

    /// Answers the next request with this, as a proxy would.
    pub fn order(&self, status: u16, kind: &'static str, body: impl Into<String>) {
        let body = body.into();
        let ordered = Ordered { status, kind, body };
        self.shared.lock().ordered.push_back(ordered);
    }

    /// Deletes these users as soon as a page of a list has shown them.
    pub fn delete_behind_pages(&self, ids: impl IntoIterator<Item = String>) {
        self.shared.lock().vanishing.extend(ids);
    }

    /// How many requests came, those for Realtime aside.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many connections of Realtime are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Breaks off all connections of Realtime.
    pub fn break_connections(&self) {
        // There may be none.
        let _ = self.shared.breaks.send(());
    }

    /// Whether Realtime takes connections.
    pub fn set_realtime(&self, takes_connections: bool) {
        self.shared
            .has_realtime
            .store(takes_connections, Ordering::SeqCst);
    }

    /// Posts each event from now on to this address, signed with this key.
    pub fn add_webhook(&self, url: &str, key: &str) {
        self.shared.lock().webhooks.push(Webhook::new(url, key));
    }
}
