//! AuthorStack's domain, without a driver: records, repository traits, the error type, the
//! in-memory stores and the migration engine.
//!
//! A host codes against [`AuthorStack`]; a backend crate implements [`DocumentStore`] and, for
//! migrations, [`migrate::Source`] and [`migrate::Target`].

mod book;
mod boost;
mod change;
mod checklist;
mod community;
mod competitor;
mod days;
mod error;
mod extra;
mod follow;
mod forecast;
mod id;
mod insight;
mod memory;
pub mod migrate;
mod page;
pub mod rollup;
pub mod sales;
pub mod services;
mod stack;
mod sync_log;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod user;
pub mod values;

pub use book::{Book, BookFilter, BookMetadata, BookPatch, BookRepository, BookStatus, NewBook};
pub use boost::{Boost, BoostRepository, NewBoost, first_free_position};
pub use change::Change;
pub use checklist::{
    Checklist, ChecklistFilter, ChecklistPatch, ChecklistRepository, ChecklistTemplate, DueTask,
    NewChecklist, NewTask, Task, TaskChange, TaskPatch, TemplateTask, progress,
};
pub use community::{
    Attachment, Comment, CommunityRepository, Feed, Like, NewPost, Post, PostPatch, PostView,
    Visibility,
};
pub use competitor::{
    Competitor, CompetitorPatch, CompetitorRepository, DateRange, NewCompetitor, PricePoint,
};
pub use days::{Days, day_at};
pub use error::{Error, ErrorKind, Result};
pub use extra::Extra;
pub use follow::{Follow, FollowCounts, FollowRepository};
pub use forecast::{Forecast, ForecastAccuracy, ForecastRepository, NewForecast};
pub use id::Id;
pub use insight::{Insight, InsightRepository, InsightScope, NewInsight};
pub use memory::MemoryStore;
pub use page::{Cursor, Order, Page, PageRequest};
pub use rollup::{AggregateRepository, Conversion, DailyAggregate, Overview, RefreshCounts};
pub use sales::{
    NewSale, Sale, SaleKey, SalesFilter, SalesRepository, SalesTotal, Sums, TotalsBy, TotalsGroup,
    UpsertCounts,
};
pub use stack::{AnalyticsStore, AuthorStack, DocumentStore};
pub use sync_log::{NewSyncLog, SyncLog, SyncLogRepository, SyncStatus};
pub use user::{
    ConnectedPlatform, NewUser, Preferences, SubscriptionTier, Theme, User, UserPatch,
    UserRepository, check_credits,
};
pub use values::{
    Amount, Asin, AttachmentKind, AuthId, AuthProvider, CommentId, Confidence, Currency, Email,
    InsightKind, Isbn, Platform, Price, TaskId, WebUrl,
};

#[cfg(feature = "mocks")]
pub use {
    book::MockBookRepository, boost::MockBoostRepository, checklist::MockChecklistRepository,
    community::MockCommunityRepository, competitor::MockCompetitorRepository,
    follow::MockFollowRepository, forecast::MockForecastRepository, insight::MockInsightRepository,
    rollup::MockAggregateRepository, sales::MockSalesRepository, sync_log::MockSyncLogRepository,
    user::MockUserRepository,
};
