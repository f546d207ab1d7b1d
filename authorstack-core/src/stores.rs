//! What a backend gives to a stack: the bundles of its repositories.

use std::{fmt, sync::Arc};

use crate::{
    AccountRepository, AggregateRepository, Authenticator, BookRepository, BoostRepository,
    ChecklistRepository, CommunityRepository, CompetitorRepository, ErasureRepository,
    FollowRepository, ForecastRepository, IdentityRepository, InsightRepository,
    PreferencesRepository, SalesRepository, SessionRepository, SyncLogRepository, UserRepository,
};

/// The repositories of the documents, as a backend builds them. They do not check their input: an
/// [`AuthorStack`](crate::AuthorStack) adds the input checks, the context of errors and the layers.
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

/// The repositories of the analytics, as a backend builds them; see [`Documents`].
#[derive(Debug, Clone)]
pub struct Analytics {
    /// Sales.
    pub sales: Arc<dyn SalesRepository>,
    /// Roll-ups: the sums of each day's sales.
    pub aggregates: Arc<dyn AggregateRepository>,
    /// The results of each sync.
    pub sync_logs: Arc<dyn SyncLogRepository>,
    /// AI insights.
    pub insights: Arc<dyn InsightRepository>,
    /// Revenue forecasts.
    pub forecasts: Arc<dyn ForecastRepository>,
    /// What erases a user's analytics.
    pub erasure: Arc<dyn ErasureRepository>,
}

/// What concerns accounts, as a backend builds it; see [`Documents`].
#[derive(Debug, Clone)]
pub struct Accounts {
    /// Accounts.
    pub accounts: Arc<dyn AccountRepository>,
    /// The accounts of other services that they are linked with.
    pub identities: Arc<dyn IdentityRepository>,
    /// Sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// The settings of accounts.
    pub preferences: Arc<dyn PreferencesRepository>,
    /// Who has shown a token.
    pub authenticator: Arc<dyn Authenticator>,
}

/// A store that holds the documents of an app: MongoDB, Supabase, memory.
pub trait DocumentStore: fmt::Debug + Send + Sync {
    /// The store's name in spans, metrics and messages, such as `MongoDB`.
    fn name(&self) -> &'static str;

    /// Its repositories, for an [`AuthorStack`](crate::AuthorStack).
    fn documents(&self) -> Documents;
}

/// A store that holds the analytics of an app: PostgreSQL, Supabase, memory.
pub trait AnalyticsStore: fmt::Debug + Send + Sync {
    /// The store's name in spans, metrics and messages, such as `PostgreSQL`.
    fn name(&self) -> &'static str;

    /// Its repositories, for an [`AuthorStack`](crate::AuthorStack).
    fn analytics(&self) -> Analytics;
}

/// A service that holds the accounts of an app: Appwrite, Supabase Auth, memory.
pub trait AccountStore: fmt::Debug + Send + Sync {
    /// The service's name in spans, metrics and messages, such as `Appwrite`.
    fn name(&self) -> &'static str;

    /// Its repositories, for an [`AuthorStack`](crate::AuthorStack).
    fn accounts(&self) -> Accounts;
}

/// The repositories that a stack was built with.
///
/// Make it of a stack, as `Stores::from(stack)`, where documents and analytics are in two stores: a
/// stack joins them, so that deleting a user erases their analytics too.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// The documents.
    pub documents: Option<Documents>,
    /// The analytics.
    pub analytics: Option<Analytics>,
    /// The accounts.
    pub accounts: Option<Accounts>,
}
