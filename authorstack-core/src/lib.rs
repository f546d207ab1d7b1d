//! AuthorStack's domain, without any database driver.
//!
//! A host app codes against [`AuthorStack`]. A backend crate implements [`DocumentStore`] or
//! [`AnalyticsStore`] and, for migrations, the traits of [`migrate`] that it can:
//! [`Snapshot`](migrate::Snapshot), [`Sink`](migrate::Sink), [`Ledger`](migrate::Ledger) and
//! [`Changes`](migrate::Changes).
//!
//! # What to call
//! Each trait's page has an example.
//!
//! | For | Trait | From a stack |
//! |---|---|---|
//! | profiles, credits, platforms | [`UserRepository`] | [`users`](AuthorStack::users) |
//! | books | [`BookRepository`] | [`books`](AuthorStack::books) |
//! | launch checklists | [`ChecklistRepository`] | [`checklists`](AuthorStack::checklists) |
//! | who follows whom | [`FollowRepository`] | [`follows`](AuthorStack::follows) |
//! | feed, likes, comments | [`CommunityRepository`] | [`community`](AuthorStack::community) |
//! | paid boosts, leaderboard | [`BoostRepository`] | [`boosts`](AuthorStack::boosts) |
//! | competitors, prices | [`CompetitorRepository`] | [`competitors`](AuthorStack::competitors) |
//! | sales | [`SalesRepository`] | [`sales`](AuthorStack::sales) |
//! | roll-ups | [`AggregateRepository`] | [`aggregates`](AuthorStack::aggregates) |
//! | results of syncs | [`SyncLogRepository`] | [`sync_logs`](AuthorStack::sync_logs) |
//! | AI insights | [`InsightRepository`] | [`insights`](AuthorStack::insights) |
//! | forecasts | [`ForecastRepository`] | [`forecasts`](AuthorStack::forecasts) |
//! | accounts | [`AccountRepository`] | [`accounts`](AuthorStack::accounts) |
//! | linked logins | [`IdentityRepository`] | [`identities`](AuthorStack::identities) |
//! | sessions | [`SessionRepository`] | [`sessions`](AuthorStack::sessions) |
//! | settings | [`PreferencesRepository`] | [`preferences`](AuthorStack::preferences) |
//! | whose token it is | [`Authenticator`] | [`authenticator`](AuthorStack::authenticator) |
//!
//! [`services`] do what concerns several of them: the dashboard, an import of sales, profiles of
//! accounts, erasure. Beside a stack there are the [`Cache`](cache::Cache), the
//! [`RateLimiter`](rate_limit::RateLimiter), the [`JobQueue`](queue::JobQueue) and
//! [`Health`](health::Health).
//!
//! With `default-features = false` there are only the records, their values, lists of fields and
//! JSON, and few crates are compiled. The feature `stores` has the rest.
//!
//! Where to find what:
//!
//! - `records/`: the records, such as [`Book`], with what creates and changes them, and the list of
//!   their [`fields`].
//! - `repositories/`: the repository traits, such as [`BookRepository`], and [pages](PageRequest).
//! - [`layers`]: code that runs around every call: input checks, context of errors, spans, metrics.
//! - `memory/`: [`MemoryStore`], the in-memory store and the model for all backends.
//! - [`migrate`]: the migration engine and the kinds of records.
//! - [`rate_limit`]: how many calls a user may make.
//! - [`queue`]: work that runs later, again after a failure, or by the clock.
//! - [`health`]: whether the stores of a host answer.
//! - [`cache`]: what is kept for a while so that the store is not asked again.
//! - [`services`]: logic that uses several repositories.
//! - [`values`]: validated values, such as [`Email`] and [`Amount`].
//! - `mocks` (feature `mocks`): mocks of the repository traits, for the tests of a host.
//! - `testing/` (feature `testing`): the conformance suite for backends.
//! - `stack.rs`: [`AuthorStack`] and its builder; `resilience.rs`: [deadlines and
//!   retries](resilience); `error.rs`: [`Error`]; `security.rs`: [how a connection is
//!   secured](ConnectionSecurity); `shown.rs`: [text from data](shown()) for people.

#[cfg(feature = "stores")]
pub mod cache;
#[cfg(feature = "stores")]
mod circuit;
mod error;
#[cfg(feature = "stores")]
pub mod health;
#[cfg(feature = "stores")]
mod joined;
pub mod json;
pub mod layers;
pub mod limits;
#[cfg(feature = "stores")]
mod memory;
#[cfg(feature = "stores")]
pub mod migrate;
#[cfg(feature = "stores")]
pub mod queue;
#[cfg(feature = "stores")]
pub mod rate_limit;
mod records;
#[cfg(feature = "stores")]
mod repositories;
#[cfg(feature = "stores")]
pub mod resilience;
#[cfg(feature = "stores")]
mod security;
#[cfg(feature = "stores")]
pub mod services;
mod shown;
#[cfg(feature = "stores")]
mod stack;
#[cfg(feature = "stores")]
mod stores;
#[cfg(feature = "testing")]
pub mod testing;
pub mod values;

/// The crates whose types are in this crate's signatures, in the versions that it uses.
#[cfg(feature = "bson")]
pub use bson;
pub use {chrono, rust_decimal, secrecy, serde_json};

pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "stores")]
pub use memory::MemoryStore;
pub use records::fields::SET_ASIDE;
pub use records::{
    account::{Account, AccountPatch, Credential, ExportedAccount, NewAccount, StoredPassword},
    account_preferences::{AccountPreferences, AccountPreferencesPatch},
    book::{Book, BookFilter, BookMetadata, BookPatch, BookStatus, NewBook, PublicBook},
    boost::{Boost, NewBoost, first_free_position},
    change::Change,
    checklist::{
        Checklist, ChecklistFilter, ChecklistPatch, ChecklistTemplate, DueTask, NewChecklist,
        NewTask, Task, TaskChange, TaskPatch, TemplateTask, progress,
    },
    community::{Attachment, Comment, Feed, Like, NewPost, Post, PostPatch, PostView, Visibility},
    competitor::{Competitor, CompetitorPatch, DateRange, NewCompetitor, PricePoint},
    erasure::ErasedAnalytics,
    extra::Extra,
    fields,
    follow::{Follow, FollowCounts},
    forecast::{Forecast, ForecastAccuracy, NewForecast},
    identity::{Identity, Principal, Session},
    insight::{Insight, InsightScope, NewInsight},
    rollup,
    rollup::{Conversion, DailyAggregate, Gap, GapReason, Overview, RefreshReport},
    sales,
    sales::{NewSale, Sale, SaleKey, SalesFilter, SalesTotal, TotalsBy, TotalsGroup, UpsertCounts},
    sums::Sums,
    sync_log::{NewSyncLog, SyncLog, SyncStatus},
    unreadable::{Done, Listed, Unreadable},
    user::{
        ConnectedPlatform, NewUser, Preferences, PublicUser, SubscriptionTier, Theme, User,
        UserPatch, check_credits,
    },
};
#[cfg(feature = "stores")]
pub use repositories::*;
#[cfg(feature = "stores")]
pub use security::ConnectionSecurity;
pub use shown::{Shown, is_unseen, shown};
#[cfg(feature = "stores")]
pub use stack::{AuthorStack, AuthorStackBuilder};
#[cfg(feature = "stores")]
pub use stores::{
    AccountStore, Accounts, Analytics, AnalyticsStore, DocumentStore, Documents, Stores,
};
pub use values::{
    Amount, Asin, AttachmentKind, AuthId, AuthProvider, BearerToken, CommentId, Confidence,
    Currency, Days, Email, HashParameters, Id, IdentityProvider, InsightKind, Isbn, Market,
    Password, PasswordAlgorithm, PasswordHash, Phone, Platform, Prefs, Price, SalesChannel,
    SessionId, TaskId, WebUrl, day_at, time,
};
