//! The records in memory, protected by a lock.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::Notify;

use super::{
    accounts::AccountTables,
    feed::Feed,
    ledger::MemoryLedger,
    table::{Keyed, Table},
};
use crate::{
    Book, Boost, Checklist, Comment, CommentId, Competitor, DailyAggregate, Error, Follow,
    Forecast, Id, Insight, Like, Post, PricePoint, Result, Sale, SaleKey, SyncLog, User,
    migrate::{Key, Kind},
};

/// The store's name in messages.
pub(super) const NAME: &str = "memory";

/// A store in memory: for documents and analytics, and for either side of a migration. Clones share
/// their data.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    records: Mutex<Records>,
    /// Wakes the followers of the changes.
    pub(super) changed: Notify,
    /// Wakes the followers of the settings of accounts.
    pub(super) preferences_changed: Notify,
}

macro_rules! records {
    ($($name:ident: $place:ty => $record:ty, $kind:ident, |$of:ident, $at:ident| $key:expr;)+) => {
        /// The data of the store: a table for each kind, in the order of the kinds.
        #[derive(Debug, Default)]
        pub(super) struct Records {
            $(pub(super) $name: Table<$place, $record>,)+
            /// The last number given to a row.
            pub(super) last_row: i64,
            pub(super) ledger: MemoryLedger,
            pub(super) feed: Feed,
            pub(super) accounts: AccountTables,
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
pub(super) struct Locked<'s> {
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

    /// No call panics while it holds the lock, so the value in a poisoned lock is valid.
    pub(super) fn lock(&self) -> Locked<'_> {
        let records = self.shared.records.lock();
        Locked {
            records: records.unwrap_or_else(PoisonError::into_inner),
            changed: &self.shared.changed,
        }
    }
}

impl Records {
    /// The book, if it is the user's.
    pub(super) fn own_book(&self, user_id: Id<User>, id: Id<Book>) -> Result<&Book> {
        let own = self.books.get(&id).filter(|book| book.user_id == user_id);
        own.ok_or_else(|| Error::not_found().for_record(format_args!("book {id}")))
    }

    pub(super) fn known_user(&self, id: Id<User>) -> Result<&User> {
        let user = self.users.get(&id);
        user.ok_or_else(|| Error::not_found().for_record(format_args!("user {id}")))
    }

    /// Removes a user and everything that belongs to them, also likes and comments on other posts.
    pub(super) fn remove_user(&mut self, id: Id<User>) -> bool {
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
        self.remove_analytics(id);
        self.remove_dependents();
        true
    }

    /// Removes what belongs to removed records.
    pub(super) fn remove_dependents(&mut self) {
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
