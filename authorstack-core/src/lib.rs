//! AuthorStack's domain, without any database driver.
//!
//! A host app codes against [`AuthorStack`]. A backend crate implements [`DocumentStore`] or
//! [`AnalyticsStore`] and, for migrations, the traits of [`migrate`] that it can:
//! [`Snapshot`](migrate::Snapshot), [`Sink`](migrate::Sink), [`Ledger`](migrate::Ledger) and
//! [`Changes`](migrate::Changes).
//!
//! Where to find what:
//!
//! - `records/`: the records, such as [`Book`], with what creates and changes them, and the list of
//!   their [`fields`].
//! - `repositories/`: the repository traits, such as [`BookRepository`], and [pages](PageRequest).
//! - [`layers`]: code that runs around every call: input checks, context of errors, spans, metrics.
//! - `memory/`: [`MemoryStore`], the in-memory store and the model for all backends.
//! - [`migrate`]: the migration engine and the kinds of records.
//! - [`services`]: logic that uses several repositories.
//! - [`values`]: validated values, such as [`Email`] and [`Amount`].
//! - `testing/` (feature `testing`): the conformance suite for backends.
//! - `stack.rs`: [`AuthorStack`] and its builder; `resilience.rs`: [deadlines and
//!   retries](resilience); `error.rs`: [`Error`].

mod error;
pub mod layers;
pub mod limits;
mod memory;
pub mod migrate;
mod records;
mod repositories;
pub mod resilience;
pub mod services;
mod stack;
mod stores;
#[cfg(feature = "testing")]
pub mod testing;
pub mod values;

pub use error::{Error, ErrorKind, Result};
pub use memory::MemoryStore;
pub use records::{
    book::{Book, BookFilter, BookMetadata, BookPatch, BookStatus, NewBook},
    boost::{Boost, NewBoost, first_free_position},
    change::Change,
    checklist::{
        Checklist, ChecklistFilter, ChecklistPatch, ChecklistTemplate, DueTask, NewChecklist,
        NewTask, Task, TaskChange, TaskPatch, TemplateTask, progress,
    },
    community::{Attachment, Comment, Feed, Like, NewPost, Post, PostPatch, PostView, Visibility},
    competitor::{Competitor, CompetitorPatch, DateRange, NewCompetitor, PricePoint},
    extra::Extra,
    fields,
    follow::{Follow, FollowCounts},
    forecast::{Forecast, ForecastAccuracy, NewForecast},
    insight::{Insight, InsightScope, NewInsight},
    rollup,
    rollup::{Conversion, DailyAggregate, Overview, RefreshCounts},
    sales,
    sales::{NewSale, Sale, SaleKey, SalesFilter, SalesTotal, TotalsBy, TotalsGroup, UpsertCounts},
    sums::Sums,
    sync_log::{NewSyncLog, SyncLog, SyncStatus},
    user::{
        ConnectedPlatform, NewUser, Preferences, SubscriptionTier, Theme, User, UserPatch,
        check_credits,
    },
};
pub use repositories::*;
pub use stack::{AuthorStack, AuthorStackBuilder};
pub use stores::{Analytics, AnalyticsStore, DocumentStore, Documents, Stores};
pub use values::{
    Amount, Asin, AttachmentKind, AuthId, AuthProvider, CommentId, Confidence, Currency, Days,
    Email, Id, InsightKind, Isbn, Platform, Price, TaskId, WebUrl, day_at, time,
};
