//! The kinds of records. Each kind is described once, here.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

use super::{CompetitorPrice, MovedAccount};
use crate::{
    Asin, AuthId, Book, Boost, Checklist, Comment, CommentId, Competitor, DailyAggregate, Email,
    Error, Follow, Forecast, Id, Identity, IdentityProvider, Insight, Like, Phone, Post, Result,
    Sale, SalesChannel, SyncLog, User,
    fields::{Field, FieldReader, FieldWriter, Fields},
    records::json::{Form, InForm},
    values::excerpt,
};

/// The store that holds a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// A [`DocumentStore`](crate::DocumentStore).
    Documents,
    /// An [`AnalyticsStore`](crate::AnalyticsStore).
    Analytics,
    /// An [`AccountStore`](crate::AccountStore).
    Accounts,
}

/// The form of a kind's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyForm {
    /// An id: [`Key::Id`].
    Id,
    /// A post and a user: [`Key::Like`].
    Like,
    /// A post and a text: [`Key::Comment`].
    Comment,
    /// A competitor and a moment: [`Key::Price`].
    Price,
    /// A number that the store assigns from a sequence: [`Key::Row`]. Such rows keep their numbers
    /// in a migration, and use the fast lane if both sides have one.
    Row,
    /// The id of an account: [`Key::Account`].
    Account,
    /// A provider and a subject: [`Key::Identity`].
    Identity,
}

/// The key of a record, unique within its kind. Keys are ordered by their parts; both sides of a
/// migration are read in that order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The id of a record that has one.
    Id(Id<Record>),
    /// A like: one for each post and user.
    Like(Id<Post>, Id<User>),
    /// A comment: its id is unique within the post; ids are compared byte by byte.
    Comment(Id<Post>, CommentId),
    /// A price: one for each competitor and moment.
    Price(Id<Competitor>, DateTime<Utc>),
    /// The number of a row of the analytics.
    Row(i64),
    /// The id that an account has at the account service, also where it has moved from there and has
    /// another one now. Ids are compared byte by byte.
    Account(AuthId),
    /// An identity: one for each provider and subject, both compared byte by byte.
    Identity(IdentityProvider, String),
}

impl Key {
    /// Reads a key of a kind in its text form.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is not a key of this kind.
    pub fn parse(kind: Kind, text: &str) -> Result<Self> {
        let parts = text.split_once('.');
        let key = match kind.description().key {
            KeyForm::Id => text.parse().ok().map(Self::Id),
            KeyForm::Row => text.parse().ok().map(Self::Row),
            KeyForm::Like => parts
                .and_then(|(post, user)| Some(Self::Like(post.parse().ok()?, user.parse().ok()?))),
            KeyForm::Comment => parts.and_then(|(post, comment)| {
                Some(Self::Comment(post.parse().ok()?, comment.parse().ok()?))
            }),
            KeyForm::Price => parts.and_then(|(competitor, millis)| {
                let at = DateTime::from_timestamp_millis(millis.parse().ok()?)?;
                Some(Self::Price(competitor.parse().ok()?, at))
            }),
            KeyForm::Account => text.parse().ok().map(Self::Account),
            KeyForm::Identity => text.split_once('/').and_then(|(provider, subject)| {
                let subject = Some(subject.to_owned()).filter(|subject| !subject.is_empty());
                Some(Self::Identity(provider.parse().ok()?, subject?))
            }),
        };
        key.ok_or_else(|| {
            let problem = format!("{} is not a key of {kind}", excerpt(text));
            Error::invalid("key", problem)
        })
    }

    /// The id of the record, or of the record that it is a part of; `None` for a numbered row, and for
    /// accounts and identities, whose ids are another service's.
    #[must_use]
    pub fn id(&self) -> Option<Id<Record>> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Like(post, _) | Self::Comment(post, _) => Some(post.cast()),
            Self::Price(competitor, _) => Some(competitor.cast()),
            Self::Row(_) | Self::Account(_) | Self::Identity(..) => None,
        }
    }
}

impl<T> From<Id<T>> for Key {
    fn from(id: Id<T>) -> Self {
        Self::Id(id.cast())
    }
}

impl Key {
    /// How many bytes of text it holds, beside its own size.
    pub(crate) fn text_len(&self) -> usize {
        match self {
            Self::Comment(_, comment) => comment.as_str().len(),
            Self::Account(id) => id.as_str().len(),
            Self::Identity(provider, subject) => provider.as_str().len() + subject.len(),
            Self::Id(_) | Self::Like(..) | Self::Price(..) | Self::Row(_) => 0,
        }
    }
}

impl fmt::Display for Key {
    /// A row's number, an id's 24 hex digits, or an account's id. For a part: the id of the whole, a
    /// full stop, and the rest of the key. For an identity: the provider, a slash, and the subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => fmt::Display::fmt(id, f),
            Self::Row(number) => fmt::Display::fmt(number, f),
            Self::Like(post, user) => write!(f, "{post}.{user}"),
            Self::Comment(post, comment) => write!(f, "{post}.{comment}"),
            Self::Price(competitor, at) => write!(f, "{competitor}.{}", at.timestamp_millis()),
            Self::Account(id) => fmt::Display::fmt(id, f),
            Self::Identity(provider, subject) => write!(f, "{provider}/{subject}"),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A field that refers to a record of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The field, as problems name it.
    pub field: &'static str,
    /// The column.
    pub column: &'static str,
    /// The kind of the record that must exist.
    pub kind: Kind,
}

/// Columns whose values, taken together, are unique within a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unique {
    /// The field, as problems name it.
    pub field: &'static str,
    /// The columns.
    pub columns: &'static [&'static str],
}

/// Everything that the engine and the stores need to know about a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The name of the table. For whole documents it is also the name of the collection.
    pub table: &'static str,
    /// The name of one record in messages.
    pub one: &'static str,
    /// The store that holds it.
    pub group: Group,
    /// The kind whose documents contain its records, if they have no collection of their own.
    pub part_of: Option<Kind>,
    /// The form of its keys.
    pub key: KeyForm,
    /// The references of its records. The kinds that they refer to move first.
    pub refers_to: &'static [Reference],
    /// More kinds that move first: a store finds what belongs together by other values than ids.
    pub after: &'static [Kind],
    /// What must be unique.
    pub unique: &'static [Unique],
    /// The field whose value only one record may hold at a time.
    pub exclusive: Option<&'static str>,
    /// The columns that never change in a row. If they differ, two different records have the same
    /// number. Empty for kinds whose keys are not numbers.
    pub identity: &'static [&'static str],
    /// The fields, in the order of the columns.
    pub fields: &'static [Field],
    /// Whether its records also keep unknown fields.
    pub has_extra: bool,
}

/// A record that has a table of its own.
pub trait Stored: Fields + Into<Record> + Serialize + DeserializeOwned {
    /// The kind of the record.
    const KIND: Kind;
}

/// The id that a field refers to; `None` if the field is empty.
trait RefersTo {
    fn id(&self) -> Option<Id<Record>>;
}

impl<T> RefersTo for Id<T> {
    fn id(&self) -> Option<Id<Record>> {
        Some(self.cast())
    }
}

impl<T> RefersTo for Option<Id<T>> {
    fn id(&self) -> Option<Id<Record>> {
        self.map(Id::cast)
    }
}

/// The value of a field that must be unique, as text; `None` if the field is empty.
trait Held {
    fn held(&self) -> Option<String>;
}

macro_rules! held {
    ($($type:ty),+) => {$(
        impl Held for $type {
            fn held(&self) -> Option<String> {
                Some(self.to_string())
            }
        }

        impl Held for Option<$type> {
            fn held(&self) -> Option<String> {
                self.as_ref().map(ToString::to_string)
            }
        }
    )+};
}

held!(AuthId, Email, Phone, Asin, SalesChannel, NaiveDate);

impl<T> Held for Id<T> {
    fn held(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// The values of several columns as one text.
fn joined(values: Option<Vec<String>>) -> Option<String> {
    values.map(|values| values.join(", "))
}

/// The column of a field: its name, if no other is given.
macro_rules! unique_column {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $column:literal) => {
        $column
    };
}

macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $kind:ident: $variant:ident($record:ty) {
            table: $table:literal, one: $one:literal, group: $group:ident, part_of: $part_of:expr,
            key: $form:ident |$this:ident| $key:expr,
            refers_to: [$($ref_name:literal $ref_field:ident -> $ref_kind:ident),*],
            $(after: [$($after:ident),+],)?
            unique: [$($unique_name:literal ($($unique_field:ident $(. $within:ident)? $(in $unique_column:literal)?),+)),*],
            exclusive: $exclusive:expr,
            identity: [$($identity:literal),*],
        }
    )+) => {
        /// A kind of record, named after its table.
        ///
        /// Match it without a wildcard arm: then a new kind does not compile until every place
        /// handles it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            /// Every kind, each after those that it refers to.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The description of the kind.
            #[must_use]
            pub const fn description(self) -> &'static Description {
                match self {
                    $(Self::$kind => &Description {
                        table: $table,
                        one: $one,
                        group: Group::$group,
                        part_of: $part_of,
                        key: KeyForm::$form,
                        refers_to: &[$(Reference {
                            field: $ref_name,
                            column: stringify!($ref_field),
                            kind: Kind::$ref_kind,
                        }),*],
                        after: &[$($(Kind::$after),+)?],
                        unique: &[$(Unique {
                            field: $unique_name,
                            columns: &[$(unique_column!($unique_field $($unique_column)?)),+],
                        }),*],
                        exclusive: $exclusive,
                        identity: &[$($identity),*],
                        fields: <$record as Fields>::FIELDS,
                        has_extra: <$record as Fields>::HAS_EXTRA,
                    },)+
                }
            }

            /// Takes the fields of a record from a reader, in the order of the list. Returns `None`
            /// if the reader has noted a problem.
            pub fn read<R: FieldReader>(self, reader: &mut R) -> Option<Record> {
                match self {
                    $(Self::$kind => <$record as Fields>::read(reader).map(Record::from),)+
                }
            }
        }

        $(impl Stored for $record {
            const KIND: Kind = Kind::$kind;
        })+

        /// A record of any kind.
        #[derive(Debug, Clone, PartialEq)]
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

            /// The key of the record.
            #[must_use]
            pub fn key(&self) -> Key {
                match self {
                    $(Self::$variant(record) => {
                        let $this = record;
                        $key
                    })+
                }
            }

            /// The records that must exist before this one: the field, the kind, the id.
            #[must_use]
            pub fn refers_to(&self) -> Vec<(&'static str, Kind, Id<Record>)> {
                match self {
                    $(Self::$variant(record) => {
                        let _ = record;
                        let found = [$(
                            (RefersTo::id(&record.$ref_field), $ref_name, Kind::$ref_kind),
                        )*];
                        let found: &[(Option<Id<Record>>, &'static str, Kind)] = &found;
                        let there = found.iter().filter_map(|(id, field, kind)| {
                            id.map(|id| (*field, *kind, id))
                        });
                        there.collect()
                    })+
                }
            }

            /// The values that must be unique within the kind, each with the field that problems
            /// name. Values of several columns are separated by commas. Fields without a value are
            /// left out.
            #[must_use]
            pub fn unique_values(&self) -> Vec<(&'static Unique, String)> {
                let unique = self.kind().description().unique;
                match self {
                    $(Self::$variant(record) => {
                        let _ = record;
                        let values: Vec<Option<String>> = vec![$(joined(
                            [$(record.$unique_field $(. $within)?.held()),+].into_iter().collect(),
                        ),)*];
                        let values = unique.iter().zip(values);
                        values.filter_map(|(unique, value)| Some((unique, value?))).collect()
                    })+
                }
            }

            /// Checks that every backend can store the record.
            ///
            /// # Errors
            /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
            pub fn check(&self) -> Result<()> {
                match self {
                    $(Self::$variant(record) => record.check(),)+
                }
            }

            /// Passes the fields to a writer, in the order of the kind's columns.
            ///
            /// # Errors
            /// The writer's first error.
            pub fn write<W: FieldWriter>(&self, writer: &mut W) -> Result<()> {
                match self {
                    $(Self::$variant(record) => record.write(writer),)+
                }
            }
        }

        impl Serialize for Record {
            /// The record's own fields, named as in the schema: the form of rejects and digests.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(record) => {
                        InForm::new(Form::Stored, record.as_ref()).serialize(serializer)
                    })+
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
    Users: User(User) {
        table: "users", one: "user", group: Documents, part_of: None,
        key: Id |user| user.id.into(),
        refers_to: [],
        unique: ["authId" (auth_id), "email" (email)],
        exclusive: None,
        identity: [],
    }
    /// Books.
    Books: Book(Book) {
        table: "books", one: "book", group: Documents, part_of: None,
        key: Id |book| book.id.into(),
        refers_to: ["userId" user_id -> Users],
        unique: [],
        exclusive: None,
        identity: [],
    }
    /// Launch checklists.
    Checklists: Checklist(Checklist) {
        table: "checklists", one: "checklist", group: Documents, part_of: None,
        key: Id |checklist| checklist.id.into(),
        refers_to: ["userId" user_id -> Users, "bookId" book_id -> Books],
        unique: [],
        exclusive: None,
        identity: [],
    }
    /// Who follows whom.
    Follows: Follow(Follow) {
        table: "follows", one: "follow", group: Documents, part_of: None,
        key: Id |follow| follow.id.into(),
        refers_to: ["followerId" follower_id -> Users, "authorId" author_id -> Users],
        unique: ["authorId" (follower_id, author_id)],
        exclusive: None,
        identity: [],
    }
    /// Community posts, without their likes and comments.
    CommunityPosts: Post(Post) {
        table: "community_posts", one: "post", group: Documents, part_of: None,
        key: Id |post| post.id.into(),
        refers_to: ["authorId" author_id -> Users],
        unique: [],
        exclusive: None,
        identity: [],
    }
    /// The likes of community posts.
    PostLikes: Like(Like) {
        table: "post_likes", one: "like", group: Documents, part_of: Some(Kind::CommunityPosts),
        key: Like |like| Key::Like(like.post_id, like.user_id),
        refers_to: ["postId" post_id -> CommunityPosts, "likes" user_id -> Users],
        unique: [],
        exclusive: None,
        identity: [],
    }
    /// The comments on community posts.
    PostComments: Comment(Comment) {
        table: "post_comments", one: "comment", group: Documents, part_of: Some(Kind::CommunityPosts),
        key: Comment |comment| Key::Comment(comment.post_id, comment.id.clone()),
        refers_to: ["postId" post_id -> CommunityPosts, "comments.authorId" author_id -> Users],
        unique: [],
        exclusive: None,
        identity: [],
    }
    /// Marketplace boosts.
    MarketplaceBoosts: Boost(Boost) {
        table: "marketplace_boosts", one: "boost", group: Documents, part_of: None,
        key: Id |boost| boost.id.into(),
        refers_to: ["userId" user_id -> Users, "bookId" book_id -> Books],
        unique: [],
        exclusive: Some("position"),
        identity: [],
    }
    /// Competitors, without their price histories.
    Competitors: Competitor(Competitor) {
        table: "competitors", one: "competitor", group: Documents, part_of: None,
        key: Id |competitor| competitor.id.into(),
        refers_to: ["userId" user_id -> Users],
        unique: ["asin" (user_id, asin)],
        exclusive: None,
        identity: [],
    }
    /// The price histories of competitors.
    CompetitorPrices: Price(CompetitorPrice) {
        table: "competitor_prices", one: "price", group: Documents, part_of: Some(Kind::Competitors),
        key: Price |price| Key::Price(price.competitor_id, price.point.date),
        refers_to: ["competitorId" competitor_id -> Competitors],
        unique: [],
        exclusive: None,
        identity: [],
    }
    // A sale's book may no longer exist: sales outlive their book.
    /// Sales.
    SalesData: Sale(Sale) {
        table: "sales_data", one: "sale", group: Analytics, part_of: None,
        key: Row |sale| Key::Row(sale.id),
        refers_to: ["user_id" user_id -> Users],
        unique: ["date" (user_id, book_id, channel in "platform", date)],
        exclusive: None,
        identity: ["user_id", "book_id", "platform", "date"],
    }
    /// Roll-ups of the sales.
    DailyAggregates: DailyAggregate(DailyAggregate) {
        table: "daily_aggregates", one: "roll-up", group: Analytics, part_of: None,
        key: Row |day| Key::Row(day.id),
        refers_to: ["user_id" user_id -> Users],
        unique: ["date" (user_id, date)],
        exclusive: None,
        identity: ["user_id", "date"],
    }
    /// Sync logs.
    SyncLogs: SyncLog(SyncLog) {
        table: "sync_logs", one: "sync log", group: Analytics, part_of: None,
        key: Row |log| Key::Row(log.id),
        refers_to: ["user_id" user_id -> Users],
        unique: [],
        exclusive: None,
        identity: ["user_id", "platform", "synced_at"],
    }
    /// AI insights.
    AiInsights: Insight(Insight) {
        table: "ai_insights", one: "insight", group: Analytics, part_of: None,
        key: Row |insight| Key::Row(insight.id),
        refers_to: ["user_id" user_id -> Users, "book_id" book_id -> Books],
        unique: [],
        exclusive: None,
        identity: ["user_id", "created_at"],
    }
    /// Revenue forecasts.
    RevenueForecasts: Forecast(Forecast) {
        table: "revenue_forecasts", one: "forecast", group: Analytics, part_of: None,
        key: Row |forecast| Key::Row(forecast.id),
        refers_to: ["user_id" user_id -> Users],
        unique: [],
        exclusive: None,
        identity: ["user_id", "forecast_date", "created_at"],
    }
    // Last: `Kind::DATA` is all before them. An account's profile is found by its `authId`.
    /// Accounts, with the hashes of their passwords.
    Accounts: Account(MovedAccount) {
        table: "accounts", one: "account", group: Accounts, part_of: None,
        key: Account |moved| Key::Account(moved.account.id.clone()),
        refers_to: [],
        after: [Users],
        unique: ["email" (account.email in "email"), "phone" (account.phone in "phone")],
        exclusive: None,
        identity: [],
    }
    /// The accounts of other services that accounts are linked with.
    Identities: Identity(Identity) {
        table: "identities", one: "identity", group: Accounts, part_of: None,
        key: Identity |identity| Key::Identity(identity.provider.clone(), identity.subject.clone()),
        refers_to: [],
        after: [Accounts],
        unique: [],
        exclusive: None,
        identity: [],
    }
}

const fn count(group: Group) -> usize {
    let (mut index, mut count) = (0, 0);
    while index < Kind::ALL.len() {
        if Kind::ALL[index].is_of(group) {
            count += 1;
        }
        index += 1;
    }
    count
}

const fn kinds_of<const N: usize>(group: Group) -> [Kind; N] {
    let mut kinds = [Kind::Users; N];
    let (mut index, mut next) = (0, 0);
    while index < Kind::ALL.len() {
        if Kind::ALL[index].is_of(group) {
            kinds[next] = Kind::ALL[index];
            next += 1;
        }
        index += 1;
    }
    kinds
}

impl Kind {
    /// The kinds of the documents.
    pub const DOCUMENTS: &'static [Self] =
        &kinds_of::<{ count(Group::Documents) }>(Group::Documents);

    /// The kinds of the analytics.
    pub const ANALYTICS: &'static [Self] =
        &kinds_of::<{ count(Group::Analytics) }>(Group::Analytics);

    /// The kinds of accounts.
    pub const ACCOUNTS: &'static [Self] = &kinds_of::<{ count(Group::Accounts) }>(Group::Accounts);

    /// The kinds of documents and analytics: all but accounts, which another service may have.
    pub const DATA: &'static [Self] = Self::ALL.split_at(Self::ALL.len() - Self::ACCOUNTS.len()).0;

    /// Whether a store of this group holds it.
    #[must_use]
    pub const fn is_of(self, group: Group) -> bool {
        matches!(
            (self.description().group, group),
            (Group::Documents, Group::Documents)
                | (Group::Analytics, Group::Analytics)
                | (Group::Accounts, Group::Accounts)
        )
    }

    /// The kinds that move first, each once, in the order of [`Kind::ALL`]: those that its records
    /// refer to, and those that what belongs to it is found in.
    #[must_use]
    pub fn depends_on(self) -> Vec<Self> {
        let description = self.description();
        let references = description.refers_to.iter().map(|reference| reference.kind);
        let mut kinds: Vec<Self> = references
            .chain(description.after.iter().copied())
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// The fields of its records.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        self.description().fields
    }

    /// Whether its records also keep unknown fields.
    #[must_use]
    pub const fn has_extra(self) -> bool {
        self.description().has_extra
    }

    /// The columns of its table that hold the fields, in the order of the list.
    #[must_use]
    pub fn column_names(self) -> Vec<&'static str> {
        let columns = self.fields().iter().filter_map(|field| field.column);
        columns.chain(self.has_extra().then_some("extra")).collect()
    }

    /// Whether its records have numbers that the store assigns from a sequence.
    #[must_use]
    pub const fn is_numbered(self) -> bool {
        matches!(self.description().key, KeyForm::Row)
    }

    /// The name of the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.description().table
    }

    /// The name of one record in messages.
    #[must_use]
    pub const fn one(self) -> &'static str {
        self.description().one
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
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            Error::invalid(
                "kind",
                format!("{} is not one of {}", excerpt(text), names.join(", ")),
            )
        })
    }
}

impl Record {
    /// The record as JSON, its fields named as in the schema.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_behind_those_that_it_refers_to() {
        for (place, kind) in Kind::ALL.iter().enumerate() {
            for on in kind.depends_on() {
                assert!(Kind::ALL[..place].contains(&on), "{kind} before {on}");
            }
        }
    }

    #[test]
    fn accounts_are_apart_from_the_data() {
        assert_eq!(Kind::ACCOUNTS, [Kind::Accounts, Kind::Identities]);
        assert!(!Kind::DATA.iter().any(|kind| kind.is_of(Group::Accounts)));
        assert_eq!(Kind::DATA.len() + 2, Kind::ALL.len());
    }

    #[test]
    fn keys_of_accounts_survive_as_text() -> Result<()> {
        for (kind, text) in [
            (Kind::Accounts, "66f2.a_1-b"),
            (Kind::Identities, "google/10987"),
            (Kind::Identities, "custom:okta/a/b.c"),
        ] {
            assert_eq!(Key::parse(kind, text)?.to_string(), text);
        }
        for text in ["google", "google/", "/1", ""] {
            assert!(Key::parse(Kind::Identities, text).is_err(), "{text}");
        }
        Ok(())
    }

    #[test]
    fn descriptions_name_columns_that_exist() {
        for kind in Kind::ALL {
            let description = kind.description();
            let has = |name: &str| description.fields.iter().any(|it| it.column == Some(name));
            let references = description.refers_to.iter().map(|it| it.column);
            let unique = description.unique.iter().flat_map(|it| it.columns.iter());
            let identity = description.identity.iter();
            for column in references.chain(unique.chain(identity).copied()) {
                assert!(has(column), "{kind} has no column {column}");
            }
            assert_eq!(
                kind.is_numbered(),
                !description.identity.is_empty(),
                "{kind}"
            );
        }
    }
}
