//! The repositories of an app, bundled.

use std::sync::Arc;

use crate::{
    AggregateRepository, BookRepository, BoostRepository, ChecklistRepository, CommunityRepository,
    CompetitorRepository, FollowRepository, ForecastRepository, InsightRepository, MemoryStore,
    SalesRepository, SyncLogRepository, UserRepository,
};

/// A store that holds the documents of an app: MongoDB, Supabase, memory.
pub trait DocumentStore: std::fmt::Debug + Send + Sync {
    /// The store's users.
    fn users(&self) -> Arc<dyn UserRepository>;

    /// The store's books.
    fn books(&self) -> Arc<dyn BookRepository>;

    /// The store's launch checklists.
    fn checklists(&self) -> Arc<dyn ChecklistRepository>;

    /// Who follows whom.
    fn follows(&self) -> Arc<dyn FollowRepository>;

    /// The store's community posts.
    fn community(&self) -> Arc<dyn CommunityRepository>;

    /// The store's marketplace boosts.
    fn boosts(&self) -> Arc<dyn BoostRepository>;

    /// The store's competitors.
    fn competitors(&self) -> Arc<dyn CompetitorRepository>;
}

/// A store that holds the analytics of an app: PostgreSQL, Supabase, memory.
pub trait AnalyticsStore: std::fmt::Debug + Send + Sync {
    /// What was sold.
    fn sales(&self) -> Arc<dyn SalesRepository>;

    /// The sales of each day, summed.
    fn aggregates(&self) -> Arc<dyn AggregateRepository>;

    /// What became of each sync.
    fn sync_logs(&self) -> Arc<dyn SyncLogRepository>;

    /// What models found out.
    fn insights(&self) -> Arc<dyn InsightRepository>;

    /// What models foretold.
    fn forecasts(&self) -> Arc<dyn ForecastRepository>;
}

/// Everything that a host app codes against. Which backend is behind it is one line of the host.
///
/// ```
/// use authorstack_core::{AuthorStack, NewUser};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let ada = stack
///     .users()
///     .create(NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada"))
///     .await?;
/// assert_eq!(stack.users().get(ada.id).await?, ada);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AuthorStack {
    users: Arc<dyn UserRepository>,
    books: Arc<dyn BookRepository>,
    checklists: Arc<dyn ChecklistRepository>,
    follows: Arc<dyn FollowRepository>,
    community: Arc<dyn CommunityRepository>,
    boosts: Arc<dyn BoostRepository>,
    competitors: Arc<dyn CompetitorRepository>,
    sales: Arc<dyn SalesRepository>,
    aggregates: Arc<dyn AggregateRepository>,
    sync_logs: Arc<dyn SyncLogRepository>,
    insights: Arc<dyn InsightRepository>,
    forecasts: Arc<dyn ForecastRepository>,
}

impl AnalyticsStore for AuthorStack {
    fn sales(&self) -> Arc<dyn SalesRepository> {
        Arc::clone(&self.sales)
    }

    fn aggregates(&self) -> Arc<dyn AggregateRepository> {
        Arc::clone(&self.aggregates)
    }

    fn sync_logs(&self) -> Arc<dyn SyncLogRepository> {
        Arc::clone(&self.sync_logs)
    }

    fn insights(&self) -> Arc<dyn InsightRepository> {
        Arc::clone(&self.insights)
    }

    fn forecasts(&self) -> Arc<dyn ForecastRepository> {
        Arc::clone(&self.forecasts)
    }
}

impl AuthorStack {
    /// On the free services: the documents in MongoDB, the analytics in Azure PostgreSQL.
    #[must_use]
    pub fn distributed(documents: &dyn DocumentStore, analytics: &dyn AnalyticsStore) -> Self {
        Self::of(documents, analytics)
    }

    /// Everything on Supabase.
    #[must_use]
    pub fn supabase<S: DocumentStore + AnalyticsStore>(store: &S) -> Self {
        Self::of(store, store)
    }

    /// In memory, for tests and first steps: gone when the last clone is dropped.
    #[must_use]
    pub fn memory() -> Self {
        let store = MemoryStore::new();
        Self::of(&store, &store)
    }

    fn of(documents: &dyn DocumentStore, analytics: &dyn AnalyticsStore) -> Self {
        Self {
            users: documents.users(),
            books: documents.books(),
            checklists: documents.checklists(),
            follows: documents.follows(),
            community: documents.community(),
            boosts: documents.boosts(),
            competitors: documents.competitors(),
            sales: analytics.sales(),
            aggregates: analytics.aggregates(),
            sync_logs: analytics.sync_logs(),
            insights: analytics.insights(),
            forecasts: analytics.forecasts(),
        }
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> &dyn UserRepository {
        self.users.as_ref()
    }

    /// The books.
    #[must_use]
    pub fn books(&self) -> &dyn BookRepository {
        self.books.as_ref()
    }

    /// The launch checklists.
    #[must_use]
    pub fn checklists(&self) -> &dyn ChecklistRepository {
        self.checklists.as_ref()
    }

    /// Who follows whom.
    #[must_use]
    pub fn follows(&self) -> &dyn FollowRepository {
        self.follows.as_ref()
    }

    /// The community posts.
    #[must_use]
    pub fn community(&self) -> &dyn CommunityRepository {
        self.community.as_ref()
    }

    /// The marketplace boosts.
    #[must_use]
    pub fn boosts(&self) -> &dyn BoostRepository {
        self.boosts.as_ref()
    }

    /// The competitors.
    #[must_use]
    pub fn competitors(&self) -> &dyn CompetitorRepository {
        self.competitors.as_ref()
    }

    /// The sales.
    #[must_use]
    pub fn sales(&self) -> &dyn SalesRepository {
        self.sales.as_ref()
    }

    /// The roll-ups of the sales.
    #[must_use]
    pub fn aggregates(&self) -> &dyn AggregateRepository {
        self.aggregates.as_ref()
    }

    /// The sync logs.
    #[must_use]
    pub fn sync_logs(&self) -> &dyn SyncLogRepository {
        self.sync_logs.as_ref()
    }

    /// The AI insights.
    #[must_use]
    pub fn insights(&self) -> &dyn InsightRepository {
        self.insights.as_ref()
    }

    /// The revenue forecasts.
    #[must_use]
    pub fn forecasts(&self) -> &dyn ForecastRepository {
        self.forecasts.as_ref()
    }
}
