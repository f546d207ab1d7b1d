//! The repository traits, each in its own file, and the pages of lists. A backend implements the
//! traits; a host calls them through an [`AuthorStack`](crate::AuthorStack).

mod accounts;
mod aggregates;
mod authenticator;
mod books;
mod boosts;
mod checklists;
mod community;
mod competitors;
mod erasure;
mod follows;
mod forecasts;
mod identities;
mod insights;
mod page;
mod preferences;
mod sales;
mod sessions;
mod sync_logs;
mod users;

pub use accounts::AccountRepository;
pub use aggregates::AggregateRepository;
pub use authenticator::Authenticator;
pub use books::BookRepository;
pub use boosts::BoostRepository;
pub use checklists::{ChecklistRepository, ChecklistRepositoryExt};
pub use community::CommunityRepository;
pub use competitors::CompetitorRepository;
pub use erasure::ErasureRepository;
pub use follows::FollowRepository;
pub use forecasts::ForecastRepository;
pub use identities::IdentityRepository;
pub use insights::InsightRepository;
pub use page::{Cursor, Order, Page, PageRequest};
pub use preferences::PreferencesRepository;
pub use sales::SalesRepository;
pub use sessions::SessionRepository;
pub use sync_logs::SyncLogRepository;
pub use users::{UserRepository, UserRepositoryExt};

/// Mocks of the repository traits, made by [mockall](https://docs.rs/mockall) (feature `mocks`).
///
/// Every trait `XRepository` has a `MockXRepository`. A host gives it to a stack in the place of a
/// store's repository; calls to the others answer Unsupported.
///
/// ```
/// use authorstack_core::{AuthorStack, Error, Id, mocks::MockUserRepository};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut users = MockUserRepository::new();
/// users
///     .expect_get()
///     .returning(|_| Err(Error::unavailable("failing over")));
/// let stack = AuthorStack::builder().users(users).build();
///
/// let error = stack.users().get(Id::new()).await.unwrap_err();
/// assert!(error.is_retryable());
/// # }
/// ```
#[cfg(feature = "mocks")]
pub mod mocks {
    pub use super::{
        accounts::MockAccountRepository, aggregates::MockAggregateRepository,
        authenticator::MockAuthenticator, books::MockBookRepository, boosts::MockBoostRepository,
        checklists::MockChecklistRepository, community::MockCommunityRepository,
        competitors::MockCompetitorRepository, erasure::MockErasureRepository,
        follows::MockFollowRepository, forecasts::MockForecastRepository,
        identities::MockIdentityRepository, insights::MockInsightRepository,
        preferences::MockPreferencesRepository, sales::MockSalesRepository,
        sessions::MockSessionRepository, sync_logs::MockSyncLogRepository,
        users::MockUserRepository,
    };
}
