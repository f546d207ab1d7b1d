//! The in-memory store. It is the model for all backends: random tests compare them with it. Each
//! repository has its own file; `table.rs` holds records and notes what changes; `migration/` makes
//! the store a snapshot, a sink, a ledger and a feed of changes.

mod aggregates;
mod analytics;
mod books;
mod boosts;
mod checklists;
mod community;
mod competitors;
mod follows;
mod migration;
mod sales;
mod table;
mod users;

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::Notify;

use self::{
    migration::{Feed, MemoryLedger},
    table::{Keyed, Table},
};
use crate::{
    Analytics, AnalyticsStore, AuthorStack, Book, Boost, Checklist, Comment, CommentId, Competitor,
    Cursor, DailyAggregate, DocumentStore, Documents, Error, Follow, Forecast, Id, Insight, Like,
    Order, Page, PageRequest, Post, PricePoint, Result, Sale, SaleKey, SyncLog, User,
    migrate::{Key, Kind},
};

/// The store's name in messages.
const NAME: &str = "memory";

/// A store in memory: for documents and analytics, and for either side of a migration. Clones share
/// their data.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    records: Mutex<Records>,
    /// Wakes the followers of the changes.
    changed: Notify,
}

macro_rules! records {
    ($($name:ident: $place:ty => $record:ty, $kind:ident, |$of:ident, $at:ident| $key:expr;)+) => {
        /// The data of the store: a table for each kind, in the order of the kinds.
        #[derive(Debug, Default)]
        struct Records {
            $($name: Table<$place, $record>,)+
            /// The last number given to a row.
            last_row: i64,
            ledger: MemoryLedger,
            feed: Feed,
        }

        $(impl Keyed<$place> for $record {
            fn key(&self, place: &$place) -> Key {
                let ($of, $at) = (self, place);
                let _ = ($of, $at);
                $key
            }
        })+

        impl Records {
            /// Passes the keys of changed records to the feed, kind by kind.
            fn note_changes(&mut self) -> bool {
                let mut changed = false;
                $(
                    let touched = self.$name.take_touched();
                    changed |= !touched.is_empty();
                    self.feed.note(Kind::$kind, touched);
                )+
                changed
            }
        }
    };
}

records! {
    users: Id<User> => User, Users, |user, _at| user.id.into();
    books: Id<Book> => Book, Books, |book, _at| book.id.into();
    checklists: Id<Checklist> => Checklist, Checklists, |checklist, _at| checklist.id.into();
    follows: Id<Follow> => Follow, Follows, |follow, _at| follow.id.into();
    posts: Id<Post> => Post, CommunityPosts, |post, _at| post.id.into();
    likes: (Id<Post>, Id<User>) => Like, PostLikes, |like, _at| Key::Like(like.post_id, like.user_id);
    comments: (Id<Post>, CommentId) => Comment, PostComments,
        |comment, _at| Key::Comment(comment.post_id, comment.id.clone());
    boosts: Id<Boost> => Boost, MarketplaceBoosts, |boost, _at| boost.id.into();
    competitors: Id<Competitor> => Competitor, Competitors, |competitor, _at| competitor.id.into();
    prices: (Id<Competitor>, DateTime<Utc>) => PricePoint, CompetitorPrices,
        |point, place| Key::Price(place.0, point.date);
    sales: (Id<User>, SaleKey) => Sale, SalesData, |sale, _at| Key::Row(sale.id);
    aggregates: (Id<User>, NaiveDate) => DailyAggregate, DailyAggregates, |day, _at| Key::Row(day.id);
    sync_logs: i64 => SyncLog, SyncLogs, |log, _at| Key::Row(log.id);
    insights: i64 => Insight, AiInsights, |insight, _at| Key::Row(insight.id);
    forecasts: i64 => Forecast, RevenueForecasts, |forecast, _at| Key::Row(forecast.id);
}

/// The locked records. When the lock is released, the feed gets the changes.
struct Locked<'s> {
    records: MutexGuard<'s, Records>,
    changed: &'s Notify,
}

impl Deref for Locked<'_> {
    type Target = Records;

    fn deref(&self) -> &Records {
        &self.records
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Records {
        &mut self.records
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.records.note_changes() {
            self.changed.notify_waiters();
        }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A stack on this store, without further layers.
    #[must_use]
    pub fn stack(&self) -> AuthorStack {
        AuthorStack::builder().store(self).build()
    }

    /// No call panics while it holds the lock, so what a poisoned lock guards is sound.
    fn lock(&self) -> Locked<'_> {
        let records = self.shared.records.lock();
        Locked {
            records: records.unwrap_or_else(PoisonError::into_inner),
            changed: &self.shared.changed,
        }
    }
}

impl Records {
    /// The book, if it is the user's.
    fn own_book(&self, user_id: Id<User>, id: Id<Book>) -> Result<&Book> {
        let own = self.books.get(&id).filter(|book| book.user_id == user_id);
        own.ok_or_else(|| Error::not_found().for_record(format_args!("book {id}")))
    }

    fn known_user(&self, id: Id<User>) -> Result<&User> {
        let user = self.users.get(&id);
        user.ok_or_else(|| Error::not_found().for_record(format_args!("user {id}")))
    }

    /// Removes a user and everything that belongs to them, also likes and comments on other posts.
    fn remove_user(&mut self, id: Id<User>) -> bool {
        if self.users.remove(&id).is_none() {
            return false;
        }
        self.books.retain(|_, book| book.user_id != id);
        self.follows
            .retain(|_, follow| follow.follower_id != id && follow.author_id != id);
        self.posts.retain(|_, post| post.author_id != id);
        self.likes.retain(|_, like| like.user_id != id);
        self.comments.retain(|_, comment| comment.author_id != id);
        self.competitors.retain(|_, rival| rival.user_id != id);
        self.checklists.retain(|_, list| list.user_id != id);
        self.boosts.retain(|_, boost| boost.user_id != id);
        self.sales.retain(|(user, _), _| *user != id);
        self.aggregates.retain(|(user, _), _| *user != id);
        self.sync_logs.retain(|_, log| log.user_id != id);
        self.insights.retain(|_, insight| insight.user_id != id);
        self.forecasts.retain(|_, forecast| forecast.user_id != id);
        self.remove_dependents();
        true
    }

    /// Removes what belongs to removed records.
    fn remove_dependents(&mut self) {
        let (books, posts, rivals) = (&self.books, &self.posts, &self.competitors);
        self.checklists
            .retain(|_, list| books.contains_key(&list.book_id));
        self.boosts
            .retain(|_, boost| books.contains_key(&boost.book_id));
        self.insights
            .retain(|_, insight| insight.book_id.is_none_or(|id| books.contains_key(&id)));
        self.likes.retain(|(post, _), _| posts.contains_key(post));
        self.comments
            .retain(|(post, _), _| posts.contains_key(post));
        self.prices
            .retain(|(rival, _), _| rivals.contains_key(rival));
    }
}

impl DocumentStore for MemoryStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn documents(&self) -> Documents {
        Documents {
            users: Arc::new(users::MemoryUsers(self.clone())),
            books: Arc::new(books::MemoryBooks(self.clone())),
            checklists: Arc::new(checklists::MemoryChecklists(self.clone())),
            follows: Arc::new(follows::MemoryFollows(self.clone())),
            community: Arc::new(community::MemoryCommunity(self.clone())),
            boosts: Arc::new(boosts::MemoryBoosts(self.clone())),
            competitors: Arc::new(competitors::MemoryCompetitors(self.clone())),
        }
    }
}

impl AnalyticsStore for MemoryStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn analytics(&self) -> Analytics {
        Analytics {
            sales: Arc::new(sales::MemorySales(self.clone())),
            aggregates: Arc::new(aggregates::MemoryAggregates(self.clone())),
            sync_logs: Arc::new(analytics::MemorySyncLogs(self.clone())),
            insights: Arc::new(analytics::MemoryInsights(self.clone())),
            forecasts: Arc::new(analytics::MemoryForecasts(self.clone())),
        }
    }
}

/// The page of the matching records, found by the last id of the previous page.
fn page<T: Clone>(
    records: &BTreeMap<Id<T>, T>,
    request: &PageRequest,
    id: impl Fn(&T) -> Id<T>,
    matches: impl Fn(&T) -> bool,
) -> Result<Page<T>> {
    use std::ops::Bound::{Excluded, Unbounded};
    let one_more = request.limit() as usize + 1;
    let after = request.after_id()?.map_or(Unbounded, Excluded);
    let found: Vec<T> = match request.sort_order() {
        Order::OldestFirst => {
            let range = records.range((after, Unbounded)).map(|(_, record)| record);
            range
                .filter(|r| matches(r))
                .take(one_more)
                .cloned()
                .collect()
        }
        Order::NewestFirst => {
            let range = records
                .range((Unbounded, after))
                .rev()
                .map(|(_, record)| record);
            range
                .filter(|r| matches(r))
                .take(one_more)
                .cloned()
                .collect()
        }
    };
    Ok(Page::from_one_more(found, request.limit(), id))
}

/// The page of a list that is ordered by a moment, then by a key.
fn page_by_moment<T>(
    mut records: Vec<T>,
    request: &PageRequest,
    place: impl Fn(&T) -> (DateTime<Utc>, String),
) -> Result<Page<T>> {
    let after = request.after_moment()?;
    records.sort_by_cached_key(&place);
    if request.sort_order() == Order::NewestFirst {
        records.reverse();
    }
    if let Some((at, key)) = after {
        let after = (at, key.to_owned());
        records.retain(|record| match request.sort_order() {
            Order::OldestFirst => place(record) > after,
            Order::NewestFirst => place(record) < after,
        });
    }
    Ok(Page::from_one_more_by(records, request.limit(), |last| {
        let (at, key) = place(last);
        Cursor::behind_moment(at, key)
    }))
}
