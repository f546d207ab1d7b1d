use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};

use super::Key;
use crate::{
    Book, Boost, Checklist, Comment, Competitor, DailyAggregate, Error, Follow, Forecast, Id,
    Insight, Like, Post, PricePoint, Result, Sale, SyncLog, User, values::excerpt,
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal [$($on:ident),*] $variant:ident($record:ty)),+ $(,)?) => {
        /// A kind of record, named as its table; those of whole documents as their collections, too.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            /// Every kind, each behind those it depends on.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The kinds whose records this kind's records refer to: they move first.
            #[must_use]
            pub const fn depends_on(self) -> &'static [Self] {
                match self {
                    $(Self::$kind => &[$(Self::$on),*],)+
                }
            }

            /// The name of the table.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }

        /// A record of any kind.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Record {
            $($(#[$doc])* $variant(Box<$record>),)+
        }

        impl Record {
            /// The kind of the record.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant(_) => Kind::$kind,)+
                }
            }

            /// Checks that every backend can hold the record.
            ///
            /// # Errors
            /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
            pub fn check(&self) -> Result<()> {
                match self {
                    $(Self::$variant(record) => record.check(),)+
                }
            }

            /// Reads the JSON of [`Record::to_json`].
            ///
            /// # Errors
            /// What is missing or malformed.
            pub fn from_json(kind: Kind, json: serde_json::Value) -> serde_json::Result<Self> {
                match kind {
                    $(Kind::$kind => serde_json::from_value(json).map(Self::$variant),)+
                }
            }
        }

        impl Serialize for Record {
            /// The record's own fields, named as in the schema.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(record) => record.serialize(serializer),)+
                }
            }
        }

        $(impl From<$record> for Record {
            fn from(record: $record) -> Self {
                Self::$variant(Box::new(record))
            }
        })+
    };
}

kinds! {
    /// Users.
    Users = "users" [] User(User),
    /// Books.
    Books = "books" [Users] Book(Book),
    /// Launch checklists.
    Checklists = "checklists" [Users, Books] Checklist(Checklist),
    /// Who follows whom.
    Follows = "follows" [Users] Follow(Follow),
    /// Community posts, without their likes and comments.
    CommunityPosts = "community_posts" [Users] Post(Post),
    /// The likes of community posts.
    PostLikes = "post_likes" [Users, CommunityPosts] Like(Like),
    /// The comments on community posts.
    PostComments = "post_comments" [Users, CommunityPosts] Comment(Comment),
    /// Marketplace boosts.
    MarketplaceBoosts = "marketplace_boosts" [Users, Books] Boost(Boost),
    /// Competitors, without their price histories.
    Competitors = "competitors" [Users] Competitor(Competitor),
    /// The price histories of competitors.
    CompetitorPrices = "competitor_prices" [Competitors] Price(CompetitorPrice),
    /// Sales.
    SalesData = "sales_data" [Users] Sale(Sale),
    /// Roll-ups of the sales.
    DailyAggregates = "daily_aggregates" [Users] DailyAggregate(DailyAggregate),
    /// Sync logs.
    SyncLogs = "sync_logs" [Users] SyncLog(SyncLog),
    /// AI insights.
    AiInsights = "ai_insights" [Users, Books] Insight(Insight),
    /// Revenue forecasts.
    RevenueForecasts = "revenue_forecasts" [Users] Forecast(Forecast),
}

/// One entry of a competitor's price history, with the competitor that it is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompetitorPrice {
    /// The competitor.
    pub competitor_id: Id<Competitor>,
    /// The price and its moment.
    #[serde(flatten)]
    pub point: PricePoint,
}

impl CompetitorPrice {
    /// Checks that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        self.point.check()
    }
}

impl Kind {
    /// The kinds of the documents: those of a [`DocumentStore`](crate::DocumentStore).
    pub const DOCUMENTS: &'static [Self] = Self::ALL.split_at(10).0;

    /// The kinds of the analytics: those of an [`AnalyticsStore`](crate::AnalyticsStore).
    pub const ANALYTICS: &'static [Self] = Self::ALL.split_at(10).1;

    /// What one record of the kind is called in a message.
    #[must_use]
    pub const fn one(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Books => "book",
            Self::Checklists => "checklist",
            Self::Follows => "follow",
            Self::CommunityPosts => "post",
            Self::PostLikes => "like",
            Self::PostComments => "comment",
            Self::MarketplaceBoosts => "boost",
            Self::Competitors => "competitor",
            Self::CompetitorPrices => "price",
            Self::SalesData => "sale",
            Self::DailyAggregates => "roll-up",
            Self::SyncLogs => "sync log",
            Self::AiInsights => "insight",
            Self::RevenueForecasts => "forecast",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
                Error::invalid(
                    "kind",
                    format!("{} is not one of {}", excerpt(text), names.join(", ")),
                )
            })
    }
}

impl Record {
    /// What tells the record from the others of its kind.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::User(user) => user.id.into(),
            Self::Book(book) => book.id.into(),
            Self::Checklist(checklist) => checklist.id.into(),
            Self::Follow(follow) => follow.id.into(),
            Self::Post(post) => post.id.into(),
            Self::Like(like) => Key::Like(like.post_id, like.user_id),
            Self::Comment(comment) => Key::Comment(comment.post_id, comment.id.clone()),
            Self::Boost(boost) => boost.id.into(),
            Self::Competitor(competitor) => competitor.id.into(),
            Self::Price(price) => Key::Price(price.competitor_id, price.point.date),
            Self::Sale(sale) => Key::Row(sale.id),
            Self::DailyAggregate(day) => Key::Row(day.id),
            Self::SyncLog(log) => Key::Row(log.id),
            Self::Insight(insight) => Key::Row(insight.id),
            Self::Forecast(forecast) => Key::Row(forecast.id),
        }
    }

    /// The records that must be there before this one: the field, the kind, the id.
    #[must_use]
    pub fn refers_to(&self) -> Vec<(&'static str, Kind, Id<Record>)> {
        let user = |field, id: Id<User>| (field, Kind::Users, id.cast());
        let owner = |id: Id<User>| vec![user("user_id", id)];
        let book = |id: Id<Book>| ("bookId", Kind::Books, id.cast());
        let post = |id: Id<Post>| ("postId", Kind::CommunityPosts, id.cast());
        match self {
            Self::User(_) => vec![],
            Self::Book(book) => vec![user("userId", book.user_id)],
            Self::Checklist(checklist) => {
                vec![user("userId", checklist.user_id), book(checklist.book_id)]
            }
            Self::Follow(follow) => vec![
                user("followerId", follow.follower_id),
                user("authorId", follow.author_id),
            ],
            Self::Post(post) => vec![user("authorId", post.author_id)],
            Self::Like(like) => vec![post(like.post_id), user("likes", like.user_id)],
            Self::Comment(comment) => {
                vec![
                    post(comment.post_id),
                    user("comments.authorId", comment.author_id),
                ]
            }
            Self::Boost(boost) => vec![user("userId", boost.user_id), book(boost.book_id)],
            Self::Competitor(competitor) => vec![user("userId", competitor.user_id)],
            Self::Price(price) => {
                let competitor = price.competitor_id.cast();
                vec![("competitorId", Kind::Competitors, competitor)]
            }
            // A sale's book may be gone: money outlives it.
            Self::Sale(sale) => owner(sale.user_id),
            Self::DailyAggregate(day) => owner(day.user_id),
            Self::SyncLog(log) => owner(log.user_id),
            Self::Insight(insight) => {
                let book = insight
                    .book_id
                    .map(|id| ("book_id", Kind::Books, id.cast()));
                owner(insight.user_id).into_iter().chain(book).collect()
            }
            Self::Forecast(forecast) => owner(forecast.user_id),
        }
    }

    /// The record as JSON, its fields named as in the schema.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
