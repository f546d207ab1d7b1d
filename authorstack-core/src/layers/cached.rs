use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};

use super::{Call, Layer, Next, Operation, Reply};
use crate::{
    Book, Error, Id, Listed, Result, SalesTotal, User,
    cache::{Cache, Codec, Engine, Kept, Slot, Stale, decode, encode, encode_absent},
};

/// Answers reads from a [cache](crate::cache), and removes from it what writes change.
///
/// | call | key | kept for |
/// |---|---|---|
/// | `users().get` | `authorstack:user:{userId}` | 300 s |
/// | `books().get` | `authorstack:book:{bookId}` | 300 s |
/// | `sales().totals` | `authorstack:sales:{userId}:{range}` | 60 s |
/// | [`Dashboard::summary`](crate::services::Dashboard::cached) | `authorstack:dashboard:{userId}` | 60 s |
///
/// Values are kept up to a tenth shorter, at random, so that what came together does not go together.
/// `{range}` is the text of [`Call::range`]. Beside a key there may be `{key}:lease` for three
/// seconds, and for a user `authorstack:sales:{userId}:generation` and
/// `authorstack:user:{userId}:books`: removing these makes all ranges, or all books, misses at once.
///
/// Every write through this stack that changes a value removes it before the call returns; a call
/// that fails or is dropped does so too, since it may have written. Clones are one layer. All stacks
/// of all processes on one database use one cache, or none.
///
/// ```
/// use authorstack_core::{AuthorStack, MemoryStore, NewUser, cache::MemoryCache, layers::Cached};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let cached = Cached::new(MemoryCache::default());
/// let stack = AuthorStack::builder()
///     .store(&MemoryStore::new())
///     .layer(cached)
///     .build();
/// let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// let ada = stack.users().create(ada).await?;
/// assert_eq!(stack.users().get(ada.id).await?.credits, 0);
/// stack.users().add_credits(ada.id, 30).await?;
/// assert_eq!(stack.users().get(ada.id).await?.credits, 30);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cached {
    engine: Arc<Engine>,
}

const RECORD: Duration = Duration::from_secs(300);
const SUMS: Duration = Duration::from_secs(60);

impl Cached {
    /// A layer with this cache. A question to it may take 250 milliseconds; then the database is
    /// read.
    #[must_use]
    pub fn new(cache: impl Cache + 'static) -> Self {
        Self::with_deadline(cache, Duration::from_millis(250))
    }

    /// A layer with this cache and another time that a question to it may take.
    #[must_use]
    pub fn with_deadline(cache: impl Cache + 'static, deadline: Duration) -> Self {
        Self {
            engine: Arc::new(Engine::new(Arc::new(cache), deadline)),
        }
    }

    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The place of a user's dashboard.
    pub(crate) fn dashboard(user: Id<User>) -> Slot {
        Slot {
            key: format!("authorstack:dashboard:{user}"),
            group: None,
            ttl: SUMS,
        }
    }

    async fn read<T>(&self, slot: &Slot, next: Next<'_>) -> Result<Reply>
    where
        T: Any + Send + PartialEq + Serialize + DeserializeOwned,
    {
        let codec = Codec {
            encode: &|answer: &Result<Reply>| match answer {
                // What could not be read may be repaired without a write that we see.
                Ok(reply) if reply.unreadable() > 0 => None,
                Ok(reply) => Some(Kept {
                    bytes: encode(reply.get::<T>()?)?,
                    is_absent: false,
                }),
                Err(error) if error.is_not_found() => Some(Kept {
                    bytes: encode_absent(),
                    is_absent: true,
                }),
                Err(_) => None,
            },
            decode: &|bytes| match decode::<T>(bytes)? {
                Some(value) => Some(Ok(Reply::new(value))),
                None => Some(Err(Error::not_found())),
            },
        };
        self.engine.read(slot, "", codec, || next.run()).await
    }

    async fn write(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let mut writing = Writing {
            engine: &self.engine,
            stale: stale(call),
        };
        let reply = next.run().await;
        if let Ok(reply) = &reply {
            writing.stale.extend(created(reply));
        }
        let is_sure = reply
            .as_ref()
            .err()
            .is_none_or(|error| !error.is_retryable());
        self.engine.invalidate(&writing.stale).await;
        if is_sure {
            writing.stale.clear();
        }
        reply
    }
}

/// A write under way. Dropped with something left, it has that removed later: the write may reach
/// the database all the same.
struct Writing<'w> {
    engine: &'w Arc<Engine>,
    stale: Vec<Stale>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.stale.is_empty() {
            self.engine.uncertain(std::mem::take(&mut self.stale));
        }
    }
}

#[async_trait]
impl Layer for Cached {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        use Operation as Op;
        let operation = call.operation();
        let Some(user) = call.user() else {
            // Of the writes without a user, one changes what is cached.
            return match operation {
                Op::UsersCreate => self.write(call, next).await,
                _ => next.run().await,
            };
        };
        match operation {
            Op::UsersGet => {
                let slot = Slot {
                    key: user_key(user),
                    group: None,
                    ttl: RECORD,
                };
                self.read::<User>(&slot, next).await
            }
            Op::BooksGet => {
                // The group is the user's who asks: another one's book is never theirs.
                let slot = Slot {
                    key: book_key(&call.record().unwrap_or_default()),
                    group: Some(books_of(user)),
                    ttl: RECORD,
                };
                self.read::<Book>(&slot, next).await
            }
            Op::SalesTotals => {
                let range = call.range().unwrap_or_default();
                let slot = Slot {
                    key: format!("authorstack:sales:{user}:{range}"),
                    group: Some(sales_of(user)),
                    ttl: SUMS,
                };
                self.read::<Listed<SalesTotal>>(&slot, next).await
            }
            _ if changes(operation) => self.write(call, next).await,
            _ => next.run().await,
        }
    }
}

fn user_key(user: Id<User>) -> String {
    format!("authorstack:user:{user}")
}

fn books_of(user: Id<User>) -> String {
    format!("authorstack:user:{user}:books")
}

fn book_key(book: &str) -> String {
    format!("authorstack:book:{book}")
}

fn sales_of(user: Id<User>) -> String {
    format!("authorstack:sales:{user}:generation")
}

/// Whether an operation may change what is cached. Every operation is listed: a new one must be
/// decided on.
#[expect(clippy::too_many_lines, reason = "a list of all operations")]
const fn changes(operation: Operation) -> bool {
    use Operation as Op;
    match operation {
        Op::UsersCreate
        | Op::UsersUpdate
        | Op::UsersDelete
        | Op::UsersAddCredits
        | Op::UsersSpendCredits
        | Op::UsersConnectPlatform
        | Op::UsersDisconnectPlatform
        | Op::UsersMarkSynced
        | Op::BooksCreate
        | Op::BooksUpdate
        | Op::BooksDelete
        | Op::BoostsPurchase
        | Op::SalesUpsert
        | Op::SalesDelete
        | Op::AggregatesRefresh
        | Op::InsightsCreate
        | Op::ForecastsCreate
        | Op::ForecastsFillActuals
        | Op::ErasureEraseUser
        | Op::ErasureEraseBook => true,
        Op::UsersGet
        | Op::UsersGetMany
        | Op::UsersGetByAuthId
        | Op::UsersGetByEmail
        | Op::UsersList
        | Op::BooksGet
        | Op::BooksGetMany
        | Op::BooksListPublic
        | Op::BooksCount
        | Op::BooksListByAsin
        | Op::BooksList
        | Op::ChecklistsCreate
        | Op::ChecklistsGet
        | Op::ChecklistsList
        | Op::ChecklistsDue
        | Op::ChecklistsUpdate
        | Op::ChecklistsChangeTasks
        | Op::ChecklistsDelete
        | Op::FollowsFollow
        | Op::FollowsUnfollow
        | Op::FollowsIsFollowing
        | Op::FollowsFollowers
        | Op::FollowsFollowing
        | Op::FollowsCounts
        | Op::CommunityCreate
        | Op::CommunityGet
        | Op::CommunityFeed
        | Op::CommunityUpdate
        | Op::CommunityDelete
        | Op::CommunityLike
        | Op::CommunityUnlike
        | Op::CommunityLikers
        | Op::CommunityComment
        | Op::CommunityComments
        | Op::CommunityDeleteComment
        | Op::BoostsGet
        | Op::BoostsList
        | Op::BoostsLeaderboard
        | Op::BoostsExpireDue
        | Op::CompetitorsCreate
        | Op::CompetitorsGet
        | Op::CompetitorsGetByAsin
        | Op::CompetitorsList
        | Op::CompetitorsUpdate
        | Op::CompetitorsDelete
        | Op::CompetitorsRecordPrice
        | Op::CompetitorsMarkChecked
        | Op::CompetitorsHistory
        | Op::CompetitorsDueForCheck
        | Op::SalesGet
        | Op::SalesStream
        | Op::SalesTotals
        | Op::AggregatesList
        | Op::AggregatesGaps
        | Op::AggregatesOverview
        | Op::SyncLogsCreate
        | Op::SyncLogsList
        | Op::InsightsLatest
        | Op::InsightsListValid
        // A dashboard shows valid insights only.
        | Op::InsightsDeleteExpired
        | Op::ForecastsList
        | Op::ForecastsAccuracy
        // An account is no user's record; what a service takes over from it is a call of its own.
        | Op::AccountsCreate
        | Op::AccountsGet
        | Op::AccountsGetByEmail
        | Op::AccountsStream
        | Op::AccountsExport
        | Op::AccountsUpdate
        | Op::AccountsSetCredential
        | Op::AccountsBlock
        | Op::AccountsUnblock
        | Op::AccountsDelete
        | Op::AccountsSyncProfile
        | Op::IdentitiesCreate
        | Op::IdentitiesGet
        | Op::IdentitiesList
        | Op::IdentitiesStream
        | Op::IdentitiesDelete
        | Op::SessionsList
        | Op::SessionsRevoke
        | Op::SessionsRevokeAll
        | Op::PreferencesGet
        | Op::PreferencesPut
        | Op::PreferencesUpdate
        | Op::PreferencesWatch
        | Op::PreferencesSync
        | Op::AuthenticatorAuthenticate
        // Services are made of other calls. Stores and migrations do not go through layers: after a
        // migration the cache is flushed.
        | Op::SalesIngest
        | Op::ErasureRun
        | Op::DashboardSummary
        | Op::Connect
        | Op::Check
        | Op::EnsureIndexes
        | Op::PendingMigrations
        | Op::Migrate
        | Op::Inspect
        | Op::Lock
        | Op::Prepare
        | Op::Count
        | Op::Scan
        | Op::Fetch
        | Op::Begin
        | Op::Load
        | Op::Finish
        | Op::Digest
        | Op::References
        | Op::Rejects
        | Op::Follow => false,
    }
}

/// What a write makes stale, as far as it names it.
fn stale(call: &Call<'_>) -> Vec<Stale> {
    use Operation as Op;
    let Some(user) = call.user() else {
        return Vec::new();
    };
    let the_user = || Stale::Key(user_key(user));
    let dashboard = || Stale::Key(Cached::dashboard(user).key);
    let sales = || Stale::Group(sales_of(user));
    let book = || Some(Stale::Key(book_key(&call.record()?)));
    match call.operation() {
        // Their books go too.
        Op::UsersDelete => vec![
            the_user(),
            Stale::Group(books_of(user)),
            sales(),
            dashboard(),
        ],
        // A purchase spends credits.
        Op::UsersUpdate
        | Op::UsersAddCredits
        | Op::UsersSpendCredits
        | Op::UsersConnectPlatform
        | Op::UsersDisconnectPlatform
        | Op::UsersMarkSynced
        | Op::BoostsPurchase => vec![the_user()],
        Op::BooksUpdate => book().into_iter().collect(),
        // Its insights go too.
        Op::BooksDelete => book().into_iter().chain([dashboard()]).collect(),
        Op::SalesUpsert | Op::SalesDelete | Op::ErasureEraseUser | Op::ErasureEraseBook => {
            vec![sales(), dashboard()]
        }
        Op::AggregatesRefresh
        | Op::InsightsCreate
        | Op::ForecastsCreate
        | Op::ForecastsFillActuals => vec![dashboard()],
        _ => Vec::new(),
    }
}

/// What is kept as absent of a record that a call has created.
fn created(reply: &Reply) -> Option<Stale> {
    let user = reply.get::<User>().map(|user| user_key(user.id));
    let book = || Some(book_key(&reply.get::<Book>()?.id.to_string()));
    user.or_else(book).map(Stale::Key)
}
