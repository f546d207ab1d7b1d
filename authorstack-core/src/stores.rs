//! What a backend is to a stack: the bundles of its repositories.

use std::{fmt, sync::Arc};

use crate::{
    AggregateRepository, BookRepository, BoostRepository, ChecklistRepository, CommunityRepository,
    CompetitorRepository, FollowRepository, ForecastRepository, InsightRepository, SalesRepository,
    SyncLogRepository, UserRepository,
};

/// The repositories of the documents, as a backend makes them. They trust what they are given:
/// the checks of it, the names in errors and a host's layers come with an [`AuthorStack`].
#[derive(Debug, Clone)]
pub struct Documents {
    /// Users.
    pub users: Arc<dyn UserRepository>,
    /// Books.
    pub books: Arc<dyn BookRepository>,
    /// Launch checklists.
    pub checklists: Arc<dyn ChecklistRepository>,
    /// Who follows whom.
    pub follows: Arc<dyn FollowRepository>,
    /// Community posts.
    pub community: Arc<dyn CommunityRepository>,
    /// Marketplace boosts.
    pub boosts: Arc<dyn BoostRepository>,
    /// Competitors.
    pub competitors: Arc<dyn CompetitorRepository>,
}

/// The repositories of the analytics, as a backend makes them; see [`Documents`].
#[derive(Debug, Clone)]
pub struct Analytics {
    /// What was sold.
    pub sales: Arc<dyn SalesRepository>,
    /// The sales of each day, summed.
    pub aggregates: Arc<dyn AggregateRepository>,
    /// What became of each sync.
    pub sync_logs: Arc<dyn SyncLogRepository>,
    /// What models found out.
    pub insights: Arc<dyn InsightRepository>,
    /// What models predicted.
    pub forecasts: Arc<dyn ForecastRepository>,
}

/// A store that holds the documents of an app: MongoDB, Supabase, memory.
pub trait DocumentStore: fmt::Debug + Send + Sync {
    /// The store's name in spans, metrics and messages, such as `MongoDB`.
    fn name(&self) -> &'static str;

    /// Its repositories, for an [`AuthorStack`].
    fn documents(&self) -> Documents;
}

/// A store that holds the analytics of an app: PostgreSQL, Supabase, memory.
pub trait AnalyticsStore: fmt::Debug + Send + Sync {
    /// The store's name in spans, metrics and messages, such as `PostgreSQL`.
    fn name(&self) -> &'static str;

    /// Its repositories, for an [`AuthorStack`].
    fn analytics(&self) -> Analytics;
}

/// All repositories of a stack, those that it was built with.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// The documents.
    pub documents: Option<Documents>,
    /// The analytics.
    pub analytics: Option<Analytics>,
}
