//! What all handlers share.

use std::{ops::Deref, sync::Arc};

use authorstack_appwrite::SeenDeliveries;
use authorstack_core::{
    AuthorStack, Conversion, MemoryStore, Result,
    cache::Cache,
    health::Health,
    queue::JobQueue,
    rate_limit::RateLimiter,
    services::{Dashboard, Erasure, ProfileSync, SalesIngest},
};
use tokio::sync::watch;

use crate::{backend::Stores, settings::Settings};

/// What all handlers share. Clones are one.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

/// The stores, the services on them, and the settings.
#[derive(Debug)]
pub struct Shared {
    /// The repositories.
    pub stack: AuthorStack,
    /// The same without a limit of calls at once: a stream that never ends would hold a place.
    pub live: AuthorStack,
    /// Makes profiles of accounts.
    pub profiles: ProfileSync,
    /// Sums up what was sold.
    pub dashboard: Dashboard,
    /// Imports what was sold.
    pub ingest: SalesIngest,
    /// Erases users.
    pub erasure: Erasure,
    /// Whether the stores answer.
    pub health: Health,
    /// The queue of the host's jobs.
    pub queue: Arc<dyn JobQueue>,
    /// Where answers to repeated requests are kept.
    pub answers: Arc<dyn Cache>,
    /// How many requests a client may send.
    pub limiter: Arc<dyn RateLimiter>,
    /// The store that signs in; other backends do it at their own service.
    pub memory: Option<MemoryStore>,
    /// The webhook of the accounts' service, and what it has delivered already.
    pub webhook: Option<(authorstack_appwrite::Webhook, SeenDeliveries)>,
    /// What currencies are worth.
    pub conversion: Conversion,
    /// Whether the host is to stop: streams that never end by themselves end then.
    closing: watch::Sender<bool>,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// The app on these stores.
    ///
    /// # Errors
    /// Configuration for settings that are wrong.
    pub fn new(stores: Stores, settings: &Settings) -> Result<Self> {
        let stack = stores.stack;
        Ok(Self(Arc::new(Shared {
            profiles: ProfileSync::new(&stack),
            dashboard: Dashboard::new(&stack).cached(&stores.cached),
            ingest: SalesIngest::new(&stack),
            erasure: Erasure::new(&stack),
            stack,
            live: stores.live,
            health: stores.health,
            queue: stores.queue,
            answers: stores.answers,
            limiter: stores.limiter,
            memory: stores.memory,
            webhook: stores
                .webhook
                .map(|hook| (hook, SeenDeliveries::new(10_000))),
            conversion: settings.conversion()?,
            closing: watch::channel(false).0,
        })))
    }

    /// Tells streams to end.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the host is to stop.
    pub async fn closing(&self) {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as the app.
        drop(closing.wait_for(|closing| *closing).await);
    }
}
