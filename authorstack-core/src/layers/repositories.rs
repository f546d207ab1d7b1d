//! The repository traits, implemented once for layers around a store.
//!
//! Each entry lists everything about a call except the store's part: the operation, the arguments,
//! the user and the record, and the checks of the arguments. Nothing else in the project names
//! operations of repositories or checks their input.

use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use futures::{FutureExt, future::BoxFuture, stream::BoxStream};

use super::{
    Call, Layer, Next, Operation, Reply,
    answer::Answer,
    call::{Run, absent},
    stream,
};
use crate::{
    Account, AccountPatch, AccountPreferences, AccountPreferencesPatch, AccountRepository,
    AggregateRepository, Asin, AuthId, Authenticator, BearerToken, Book, BookFilter, BookPatch,
    BookRepository, Boost, BoostRepository, Checklist, ChecklistFilter, ChecklistPatch,
    ChecklistRepository, Comment, CommentId, CommunityRepository, Competitor, CompetitorPatch,
    CompetitorRepository, Conversion, Credential, DailyAggregate, DateRange, Days, Done, DueTask,
    Email, ErasedAnalytics, ErasureRepository, Error, ExportedAccount, Feed, Follow, FollowCounts,
    FollowRepository, Forecast, ForecastAccuracy, ForecastRepository, Id, Identity,
    IdentityProvider, IdentityRepository, Insight, InsightKind, InsightRepository, InsightScope,
    Listed, NewAccount, NewBook, NewBoost, NewChecklist, NewCompetitor, NewForecast, NewInsight,
    NewPost, NewSale, NewSyncLog, NewUser, Overview, Page, PageRequest, Platform, Post, PostPatch,
    PostView, PreferencesRepository, Price, PricePoint, Principal, PublicBook, RefreshReport,
    Result, Sale, SaleKey, SalesFilter, SalesRepository, SalesTotal, Session, SessionId,
    SessionRepository, Stores, SyncLog, SyncLogRepository, TaskChange, TotalsBy, UpsertCounts,
    User, UserPatch, UserRepository, check_credits,
    records::{community::check_comment, sales::check_batch},
    values::time::check_moment,
};

/// A repository of a store, with layers around it.
pub(crate) struct Layered<R: ?Sized> {
    /// The store's name.
    name: &'static str,
    /// `None` if the stack was built without it.
    store: Option<Arc<R>>,
    /// The repository of other stores that a layer may choose.
    of_stores: fn(&Stores) -> Option<Arc<R>>,
    layers: Arc<[Arc<dyn Layer>]>,
}

impl<R: ?Sized> Clone for Layered<R> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            store: self.store.clone(),
            of_stores: self.of_stores,
            layers: Arc::clone(&self.layers),
        }
    }
}

impl<R: ?Sized + fmt::Debug> fmt::Debug for Layered<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered")
            .field("layers", &self.layers)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl<R: ?Sized> Layered<R> {
    pub(crate) fn new(
        name: &'static str,
        store: Option<Arc<R>>,
        of_stores: fn(&Stores) -> Option<Arc<R>>,
        layers: Arc<[Arc<dyn Layer>]>,
    ) -> Self {
        Self {
            name,
            store,
            of_stores,
            layers,
        }
    }
}

impl<R: ?Sized + Send + Sync> Layered<R> {
    /// Makes a call through the layers.
    async fn call<'c, T: Any + Send>(
        &'c self,
        call: Call<'c>,
        run: impl Fn(Arc<R>) -> BoxFuture<'c, Result<Reply>> + Sync,
    ) -> Result<T> {
        let end = End { layered: self, run };
        let next = Next {
            call: &call,
            layers: &self.layers,
            run: &end,
        };
        // Named here too: the error may be a layer's own.
        let answer = next.run().await.and_then(Reply::into);
        answer.map_err(|error| call.named(error))
    }
}

/// The reply of an answer.
fn reply<T: Answer + Any + Send>(answer: T) -> Reply {
    let unreadable = answer.unreadable();
    Reply::new(answer).with_unreadable(unreadable)
}

/// The store at the end of a call's way.
struct End<'l, R: ?Sized, F> {
    layered: &'l Layered<R>,
    run: F,
}

impl<'c, R, F> End<'c, R, F>
where
    R: ?Sized + Send + Sync,
    F: Fn(Arc<R>) -> BoxFuture<'c, Result<Reply>> + Sync,
{
    fn on(&self, store: Option<Arc<R>>) -> BoxFuture<'_, Result<Reply>> {
        match store {
            Some(store) => (self.run)(store),
            None => futures::future::ready(Err(absent())).boxed(),
        }
    }
}

impl<'c, R, F> Run for End<'c, R, F>
where
    R: ?Sized + Send + Sync,
    F: Fn(Arc<R>) -> BoxFuture<'c, Result<Reply>> + Sync,
{
    fn run(&self) -> BoxFuture<'_, Result<Reply>> {
        self.on(self.layered.store.clone())
    }

    fn run_on(&self, stores: &Stores) -> BoxFuture<'_, Result<Reply>> {
        self.on((self.layered.of_stores)(stores))
    }
}

/// Each call: the operation; the name, the arguments and the return type; the `user`, the `record`
/// and the `range`; the `check`s of the arguments, in their order.
macro_rules! layered {
    ($(
        impl $repository:ident {
            $(
                $operation:ident: fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty
                $(, user $user:expr)? $(, record $record:expr)? $(, range $range:expr)? $(, check $check:expr)*;
            )+
        }
        $(streams {$(
            $stream_operation:ident: fn $stream:ident($($stream_argument:ident: $stream_type:ty),*) -> $item:ty
            $(, user $stream_user:expr)?;
        )+})?
    )+) => {$(
        #[async_trait]
        impl $repository for Layered<dyn $repository> {
            $(
                async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                    let call = Call {
                        operation: Operation::$operation,
                        store: self.name,
                        user: first!($(Some($user))?),
                        record: first!($(Some(&$record))?),
                        range: first!($(Some(&$range))?),
                        is_stream: false,
                    };
                    // What the call takes by value is kept: a layer may make it again.
                    let make = |store: Arc<dyn $repository>| {
                        let arguments = ($(Clone::clone(&$argument),)*);
                        let checked = || -> Result<()> {
                            $($check?;)*
                            Ok(())
                        };
                        let checked = checked();
                        async move {
                            checked?;
                            let ($($argument,)*) = arguments;
                            store.$name($($argument),*).await.map(reply)
                        }
                        .boxed()
                    };
                    self.call(call, make).await
                }
            )+
            $($(
                fn $stream(&self, $($stream_argument: $stream_type),*) -> BoxStream<'static, Result<$item>> {
                    let call = Call {
                        operation: Operation::$stream_operation,
                        store: self.name,
                        user: first!($(Some($stream_user))?),
                        record: None,
                        range: None,
                        is_stream: true,
                    };
                    let Self { store, of_stores, layers, .. } = self.clone();
                    let open: stream::Open<dyn $repository, $item> =
                        Arc::new(move |store| store.$stream($(Clone::clone(&$stream_argument)),*));
                    stream::layered(call, layers, store, of_stores, open)
                }
            )+)?
        }
    )+};
}

/// The expression, or `None` without one.
macro_rules! first {
    () => {
        None
    };
    ($there:expr) => {
        $there
    };
}

/// How messages show a comment: the post's id and the comment's.
#[derive(Clone)]
struct CommentOf(Id<Post>, CommentId);

impl fmt::Display for CommentOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What sums of sales are of.
struct TotalsRange<'f>(&'f SalesFilter, TotalsBy);

impl fmt::Display for TotalsRange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(filter, by) = self;
        let SalesFilter {
            days,
            platform,
            market,
            book_id,
            currency,
        } = filter;
        write!(f, "{}..{}:{by:?}", days.first(), days.last())?;
        // Quoted: the name of an old app's platform may hold anything.
        if let Some(platform) = platform {
            write!(f, ":platform={:?}", platform.as_str())?;
        }
        if let Some(market) = market {
            write!(f, ":market={market}")?;
        }
        if let Some(book) = book_id {
            write!(f, ":book={book}")?;
        }
        if let Some(currency) = currency {
            write!(f, ":currency={currency}")?;
        }
        Ok(())
    }
}

/// How messages show an identity: the other service, and the owner's id there.
#[derive(Clone)]
struct IdentityOf(IdentityProvider, String);

impl fmt::Display for IdentityOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Refuses more ids than a page has records.
fn check_ids<T>(ids: &[Id<T>]) -> Result<()> {
    if ids.len() <= PageRequest::MAX_LIMIT as usize {
        return Ok(());
    }
    Err(Error::invalid(
        "ids",
        format!(
            "{} ids, and {} are the most; ask for them in several calls",
            ids.len(),
            PageRequest::MAX_LIMIT
        ),
    ))
}

/// Refuses a cursor of a list that is ordered differently.
fn by_id(page: &PageRequest) -> Result<()> {
    page.after_uuid().map(drop)
}

fn by_row(page: &PageRequest) -> Result<()> {
    page.after_row().map(drop)
}

fn by_moment(page: &PageRequest) -> Result<()> {
    page.after_moment().map(drop)
}

layered! {
    impl UserRepository {
        UsersCreate: fn create(user: NewUser) -> User, check user.check();
        UsersGet: fn get(id: Id<User>) -> User, user id, record id;
        UsersGetMany: fn get_many(ids: &[Id<User>]) -> Listed<User>, check check_ids(ids);
        UsersGetByAuthId: fn get_by_auth_id(auth_id: &AuthId) -> User;
        UsersGetByEmail: fn get_by_email(email: &Email) -> User;
        UsersList: fn list(page: PageRequest) -> Page<User>, check by_id(&page);
        UsersUpdate: fn update(id: Id<User>, patch: UserPatch) -> User,
            user id, record id, check patch.check();
        UsersDelete: fn delete(id: Id<User>) -> (), user id, record id;
        UsersAddCredits: fn add_credits(id: Id<User>, amount: i64) -> User,
            user id, record id, check check_credits(amount);
        UsersSpendCredits: fn spend_credits(id: Id<User>, amount: i64) -> User,
            user id, record id, check check_credits(amount);
        UsersConnectPlatform: fn connect_platform(id: Id<User>, platform: Platform, at: DateTime<Utc>) -> User,
            user id, record id, check check_moment("connectedPlatforms.connectedAt", at);
        UsersDisconnectPlatform: fn disconnect_platform(id: Id<User>, platform: &Platform) -> User,
            user id, record id;
        UsersMarkSynced: fn mark_synced(id: Id<User>, platform: &Platform, at: DateTime<Utc>) -> User,
            user id, record id, check check_moment("connectedPlatforms.lastSync", at);
    }

    impl BookRepository {
        BooksCreate: fn create(user_id: Id<User>, book: NewBook) -> Book,
            user user_id, check book.check();
        BooksGet: fn get(user_id: Id<User>, id: Id<Book>) -> Book, user user_id, record id;
        BooksGetMany: fn get_many(user_id: Id<User>, ids: &[Id<Book>]) -> Listed<Book>,
            user user_id, check check_ids(ids);
        BooksListPublic: fn list_public(ids: &[Id<Book>]) -> Listed<PublicBook>,
            check check_ids(ids);
        BooksCount: fn count(user_id: Id<User>, filter: BookFilter) -> u64, user user_id;
        BooksListByAsin: fn list_by_asin(user_id: Id<User>, asin: &Asin) -> Listed<Book>, user user_id;
        BooksList: fn list(user_id: Id<User>, filter: BookFilter, page: PageRequest) -> Page<Book>,
            user user_id, check by_id(&page);
        BooksUpdate: fn update(user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Book,
            user user_id, record id, check patch.check();
        BooksDelete: fn delete(user_id: Id<User>, id: Id<Book>) -> (), user user_id, record id;
    }

    impl ChecklistRepository {
        ChecklistsCreate: fn create(user_id: Id<User>, checklist: NewChecklist) -> Checklist,
            user user_id, check checklist.check();
        ChecklistsGet: fn get(user_id: Id<User>, id: Id<Checklist>) -> Checklist,
            user user_id, record id;
        ChecklistsList: fn list(user_id: Id<User>, filter: ChecklistFilter, page: PageRequest) -> Page<Checklist>,
            user user_id, check by_id(&page);
        ChecklistsDue: fn due(user_id: Id<User>, until: DateTime<Utc>, page: PageRequest) -> Page<DueTask>,
            user user_id, check by_moment(&page);
        ChecklistsUpdate: fn update(user_id: Id<User>, id: Id<Checklist>, patch: ChecklistPatch) -> Checklist,
            user user_id, record id, check patch.check();
        ChecklistsChangeTasks: fn change_tasks(user_id: Id<User>, id: Id<Checklist>, change: TaskChange) -> Checklist,
            user user_id, record id, check change.check();
        ChecklistsDelete: fn delete(user_id: Id<User>, id: Id<Checklist>) -> (),
            user user_id, record id;
    }

    impl FollowRepository {
        FollowsFollow: fn follow(follower_id: Id<User>, author_id: Id<User>) -> Follow,
            user follower_id, check Follow::new(follower_id, author_id).check();
        FollowsUnfollow: fn unfollow(follower_id: Id<User>, author_id: Id<User>) -> (),
            user follower_id;
        FollowsIsFollowing: fn is_following(follower_id: Id<User>, author_id: Id<User>) -> bool,
            user follower_id;
        FollowsFollowers: fn followers(author_id: Id<User>, page: PageRequest) -> Page<Follow>,
            user author_id, check by_id(&page);
        FollowsFollowing: fn following(follower_id: Id<User>, page: PageRequest) -> Page<Follow>,
            user follower_id, check by_id(&page);
        FollowsCounts: fn counts(user_id: Id<User>) -> FollowCounts, user user_id;
    }

    impl CommunityRepository {
        CommunityCreate: fn create(author_id: Id<User>, post: NewPost) -> Post,
            user author_id, check post.check();
        CommunityGet: fn get(viewer_id: Id<User>, id: Id<Post>) -> PostView,
            user viewer_id, record id;
        CommunityFeed: fn feed(viewer_id: Id<User>, feed: Feed, page: PageRequest) -> Page<PostView>,
            user viewer_id, check by_id(&page);
        CommunityUpdate: fn update(author_id: Id<User>, id: Id<Post>, patch: PostPatch) -> Post,
            user author_id, record id, check patch.check();
        CommunityDelete: fn delete(author_id: Id<User>, id: Id<Post>) -> (),
            user author_id, record id;
        CommunityLike: fn like(user_id: Id<User>, id: Id<Post>) -> u64, user user_id, record id;
        CommunityUnlike: fn unlike(user_id: Id<User>, id: Id<Post>) -> u64, user user_id, record id;
        CommunityLikers: fn likers(viewer_id: Id<User>, id: Id<Post>, page: PageRequest) -> Page<Id<User>>,
            user viewer_id, record id, check by_id(&page);
        CommunityComment: fn comment(author_id: Id<User>, id: Id<Post>, content: String) -> Comment,
            user author_id, record id, check check_comment(&content);
        CommunityComments: fn comments(viewer_id: Id<User>, id: Id<Post>, page: PageRequest) -> Page<Comment>,
            user viewer_id, record id, check by_moment(&page);
        CommunityDeleteComment: fn delete_comment(user_id: Id<User>, id: Id<Post>, comment: CommentId) -> (),
            user user_id, record CommentOf(id, comment.clone());
    }

    impl BoostRepository {
        BoostsPurchase: fn purchase(user_id: Id<User>, boost: NewBoost) -> Boost,
            user user_id, check boost.check();
        BoostsGet: fn get(user_id: Id<User>, id: Id<Boost>) -> Boost, user user_id, record id;
        BoostsList: fn list(user_id: Id<User>, page: PageRequest) -> Page<Boost>,
            user user_id, check by_id(&page);
        BoostsLeaderboard: fn leaderboard(at: DateTime<Utc>, limit: u32) -> Listed<Boost>;
        BoostsExpireDue: fn expire_due(at: DateTime<Utc>) -> Done;
    }

    impl CompetitorRepository {
        CompetitorsCreate: fn create(user_id: Id<User>, competitor: NewCompetitor) -> Competitor,
            user user_id, check competitor.check();
        CompetitorsGet: fn get(user_id: Id<User>, id: Id<Competitor>) -> Competitor,
            user user_id, record id;
        CompetitorsGetByAsin: fn get_by_asin(user_id: Id<User>, asin: &Asin) -> Competitor,
            user user_id;
        CompetitorsList: fn list(user_id: Id<User>, page: PageRequest) -> Page<Competitor>,
            user user_id, check by_id(&page);
        CompetitorsUpdate: fn update(user_id: Id<User>, id: Id<Competitor>, patch: CompetitorPatch) -> Competitor,
            user user_id, record id, check patch.check();
        CompetitorsDelete: fn delete(user_id: Id<User>, id: Id<Competitor>) -> (),
            user user_id, record id;
        CompetitorsRecordPrice: fn record_price(user_id: Id<User>, id: Id<Competitor>, price: Price, at: DateTime<Utc>) -> Competitor,
            user user_id, record id, check check_moment("priceHistory.date", at);
        CompetitorsMarkChecked: fn mark_checked(user_id: Id<User>, id: Id<Competitor>, at: DateTime<Utc>) -> Competitor,
            user user_id, record id, check check_moment("lastChecked", at);
        CompetitorsHistory: fn history(user_id: Id<User>, id: Id<Competitor>, range: DateRange, page: PageRequest) -> Page<PricePoint>,
            user user_id, record id, check by_moment(&page);
        CompetitorsDueForCheck: fn due_for_check(before: DateTime<Utc>, limit: u32) -> Listed<Competitor>;
    }

    impl SalesRepository {
        SalesUpsert: fn upsert(user_id: Id<User>, sales: &[NewSale]) -> UpsertCounts,
            user user_id, check check_batch(sales);
        SalesGet: fn get(user_id: Id<User>, key: &SaleKey) -> Sale, user user_id, record key;
        SalesDelete: fn delete(user_id: Id<User>, key: &SaleKey) -> (), user user_id, record key;
        SalesTotals: fn totals(user_id: Id<User>, filter: &SalesFilter, by: TotalsBy) -> Listed<SalesTotal>,
            user user_id, range TotalsRange(filter, by);
    }
    streams {
        SalesStream: fn stream(user_id: Id<User>, filter: SalesFilter) -> Sale, user user_id;
    }

    impl AggregateRepository {
        AggregatesRefresh: fn refresh(user_id: Id<User>, days: Days, conversion: &Conversion) -> RefreshReport,
            user user_id;
        AggregatesList: fn list(user_id: Id<User>, days: Days) -> Listed<DailyAggregate>, user user_id;
        AggregatesGaps: fn gaps(user_id: Id<User>, days: Days) -> Vec<NaiveDate>, user user_id;
        AggregatesOverview: fn overview(user_id: Id<User>, days: Days, top: u32) -> Overview,
            user user_id;
    }

    impl SyncLogRepository {
        SyncLogsCreate: fn create(user_id: Id<User>, log: NewSyncLog) -> SyncLog,
            user user_id, check log.check();
        SyncLogsList: fn list(user_id: Id<User>, platform: Option<Platform>, page: PageRequest) -> Page<SyncLog>,
            user user_id, check by_row(&page);
    }

    impl InsightRepository {
        InsightsCreate: fn create(user_id: Id<User>, insight: NewInsight) -> Insight,
            user user_id, check insight.check();
        InsightsLatest: fn latest(user_id: Id<User>, scope: InsightScope, kind: &InsightKind, at: DateTime<Utc>) -> Insight,
            user user_id;
        InsightsListValid: fn list_valid(user_id: Id<User>, at: DateTime<Utc>, page: PageRequest) -> Page<Insight>,
            user user_id, check by_row(&page);
        InsightsDeleteExpired: fn delete_expired(at: DateTime<Utc>) -> u64;
    }

    impl ForecastRepository {
        ForecastsCreate: fn create(user_id: Id<User>, forecasts: Vec<NewForecast>) -> Vec<Forecast>,
            user user_id, check forecasts.iter().try_for_each(NewForecast::check);
        ForecastsList: fn list(user_id: Id<User>, days: Days) -> Listed<Forecast>, user user_id;
        ForecastsFillActuals: fn fill_actuals(user_id: Id<User>, days: Days) -> u64, user user_id;
        ForecastsAccuracy: fn accuracy(user_id: Id<User>, days: Days) -> ForecastAccuracy,
            user user_id;
    }

    impl ErasureRepository {
        ErasureEraseUser: fn erase_user(user_id: Id<User>) -> ErasedAnalytics, user user_id;
        ErasureEraseBook: fn erase_book(user_id: Id<User>, book_id: Id<Book>) -> u64,
            user user_id, record book_id;
    }

    impl AccountRepository {
        AccountsCreate: fn create(account: NewAccount) -> Account, check account.check();
        AccountsGet: fn get(id: &AuthId) -> Account, record id;
        AccountsGetByEmail: fn get_by_email(email: &Email) -> Account;
        AccountsUpdate: fn update(id: &AuthId, patch: AccountPatch) -> Account,
            record id, check patch.check();
        AccountsSetCredential: fn set_credential(id: &AuthId, credential: Credential) -> (),
            record id;
        AccountsBlock: fn block(id: &AuthId) -> Account, record id;
        AccountsUnblock: fn unblock(id: &AuthId) -> Account, record id;
        AccountsDelete: fn delete(id: &AuthId) -> (), record id;
    }
    streams {
        AccountsStream: fn stream() -> Account;
        AccountsExport: fn export() -> ExportedAccount;
    }

    impl IdentityRepository {
        IdentitiesCreate: fn create(identity: Identity) -> Identity, check identity.check();
        IdentitiesGet: fn get(provider: &IdentityProvider, subject: &str) -> Identity,
            record IdentityOf(provider.clone(), subject.to_owned());
        IdentitiesList: fn list(account_id: &AuthId) -> Vec<Identity>, record account_id;
        IdentitiesDelete: fn delete(provider: &IdentityProvider, subject: &str) -> (),
            record IdentityOf(provider.clone(), subject.to_owned());
    }
    streams {
        IdentitiesStream: fn stream() -> Identity;
    }

    impl SessionRepository {
        SessionsList: fn list(account_id: &AuthId) -> Vec<Session>, record account_id;
        SessionsRevoke: fn revoke(account_id: &AuthId, id: &SessionId) -> (), record id;
        SessionsRevokeAll: fn revoke_all(account_id: &AuthId) -> (), record account_id;
    }

    impl PreferencesRepository {
        PreferencesGet: fn get(account_id: &AuthId) -> AccountPreferences, record account_id;
        PreferencesPut: fn put(preferences: AccountPreferences) -> AccountPreferences,
            record preferences.account_id.clone(), check preferences.check();
        PreferencesUpdate: fn update(account_id: &AuthId, patch: AccountPreferencesPatch) -> AccountPreferences,
            record account_id, check patch.check();
    }
    streams {
        PreferencesWatch: fn watch(account_id: AuthId) -> AccountPreferences;
    }

    impl Authenticator {
        AuthenticatorAuthenticate: fn authenticate(token: &BearerToken) -> Principal;
    }
}
