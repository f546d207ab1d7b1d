//! One call of every method of every repository, and what layers see of it.

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use authorstack_core::{
    AccountPatch, AccountPreferences, AccountPreferencesPatch, AuthorStack, BearerToken,
    BookFilter, BookPatch, Change, ChecklistFilter, ChecklistPatch, CompetitorPatch, Conversion,
    Credential, DateRange, Days, Error, Feed, Id, Identity, IdentityProvider, InsightKind,
    InsightScope, MemoryStore, NewAccount, NewBook, NewBoost, NewChecklist, NewCompetitor,
    NewForecast, NewInsight, NewPost, NewSale, NewSyncLog, NewTask, PageRequest, Password,
    Platform, PostPatch, Result, SaleKey, SyncStatus, TaskChange, TotalsBy, User, UserPatch,
    layers::{Access, Call, Layer, Next, Operation, Reply},
};
use chrono::{TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use crate::layers::common::{Recording, all_sales, new_user, on};

/// Stands in every text that [`make_every_call`] hands to a store.
pub(crate) const MARK: &str = "quokka";

/// A call that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) operation: Operation,
    pub(crate) user: Option<Id<User>>,
    pub(crate) record: Option<String>,
    pub(crate) error: Option<Error>,
}

/// Makes a call: its operation, its user, its record, the call.
macro_rules! make {
    ($made:ident, $operation:ident, $user:expr, $record:expr, $call:expr) => {{
        let (user, record) = ($user, $record);
        let (answer, error) = match $call.await {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error)),
        };
        let operation = Operation::$operation;
        let record = shown(record);
        $made.push(Made {
            operation,
            user,
            record,
            error,
        });
        answer
    }};
}

fn shown(record: Option<&dyn fmt::Display>) -> Option<String> {
    record.map(ToString::to_string)
}

/// A record's id.
macro_rules! record {
    ($id:expr) => {
        Some(&$id as &dyn fmt::Display)
    };
}

/// Calls every method of every repository. On an empty store in memory each succeeds, and each
/// that may write does, if the store is named, since a client must sign in. Elsewhere the ids of
/// records that were not made are new ones.
pub(crate) async fn make_every_call(
    stack: &AuthorStack,
    clients: Option<&MemoryStore>,
) -> Vec<Made> {
    let mut made = Vec::new();
    accounts(stack, clients, &mut made).await;
    let (ada, bob) = users(stack, &mut made).await;
    let book = books(stack, ada, &mut made).await;
    checklists(stack, ada, book, &mut made).await;
    follows(stack, ada, bob, &mut made).await;
    community(stack, ada, bob, &mut made).await;
    boosts(stack, ada, book, &mut made).await;
    competitors(stack, ada, &mut made).await;
    sales_and_roll_ups(stack, ada, book, &mut made).await;
    logs_insights_and_forecasts(stack, ada, &mut made).await;
    let (books, users, erasure) = (stack.books(), stack.users(), stack.erasure());
    let mut insight = NewInsight::new(InsightKind::TREND, MARK.into());
    insight.book_id = Some(book);
    let insights = stack.insights();
    make!(
        made,
        InsightsCreate,
        Some(ada),
        None,
        insights.create(ada, insight)
    );
    make!(
        made,
        ErasureEraseBook,
        Some(ada),
        record!(book),
        erasure.erase_book(ada, book)
    );
    make!(
        made,
        ErasureEraseUser,
        Some(ada),
        None,
        erasure.erase_user(ada)
    );
    make!(
        made,
        BooksDelete,
        Some(ada),
        record!(book),
        books.delete(ada, book)
    );
    make!(
        made,
        UsersDelete,
        Some(bob),
        record!(bob),
        users.delete(bob)
    );
    made
}

fn page() -> PageRequest {
    PageRequest::first(10)
}

async fn accounts(stack: &AuthorStack, clients: Option<&MemoryStore>, made: &mut Vec<Made>) {
    let accounts = stack.accounts();
    let email: authorstack_core::Email = format!("{MARK}@example.org").parse().unwrap();
    let mut new = NewAccount::new(email.clone());
    new.credential = Credential::Password(Password::new(format!("{MARK}-secret")).unwrap());
    let ada = make!(made, AccountsCreate, None, None, accounts.create(new));
    let ada = ada.map_or_else(|| MARK.parse().unwrap(), |account| account.id);
    let it = record!(ada);
    make!(made, AccountsGet, None, it, accounts.get(&ada));
    make!(
        made,
        AccountsGetByEmail,
        None,
        None,
        accounts.get_by_email(&email)
    );
    let all = accounts.stream().try_collect::<Vec<_>>();
    make!(made, AccountsStream, None, None, all);
    let all = accounts.export().try_collect::<Vec<_>>();
    make!(made, AccountsExport, None, None, all);
    let patch = AccountPatch {
        name: Some(MARK.to_owned()),
        ..AccountPatch::default()
    };
    make!(made, AccountsUpdate, None, it, accounts.update(&ada, patch));
    make!(made, AccountsBlock, None, it, accounts.block(&ada));
    make!(made, AccountsUnblock, None, it, accounts.unblock(&ada));

    let identities = stack.identities();
    let google = Identity::new(ada.clone(), IdentityProvider::GOOGLE, MARK);
    make!(
        made,
        IdentitiesCreate,
        None,
        None,
        identities.create(google)
    );
    let both = format!("google.{MARK}");
    let (provider, own) = (IdentityProvider::GOOGLE, record!(both));
    make!(
        made,
        IdentitiesGet,
        None,
        own,
        identities.get(&provider, MARK)
    );
    make!(made, IdentitiesList, None, it, identities.list(&ada));
    let all = identities.stream().try_collect::<Vec<_>>();
    make!(made, IdentitiesStream, None, None, all);
    make!(
        made,
        IdentitiesDelete,
        None,
        own,
        identities.delete(&provider, MARK)
    );

    let settings = stack.preferences();
    let mut chosen = AccountPreferences::empty(ada.clone());
    chosen.extra.insert(MARK.to_owned(), MARK.into());
    make!(made, PreferencesPut, None, it, settings.put(chosen));
    make!(made, PreferencesGet, None, it, settings.get(&ada));
    let quiet = AccountPreferencesPatch {
        notifications: Change::Set(false),
        ..AccountPreferencesPatch::default()
    };
    make!(
        made,
        PreferencesUpdate,
        None,
        it,
        settings.update(&ada, quiet)
    );
    let watch = first(settings.watch(ada.clone()));
    make!(made, PreferencesWatch, None, None, watch);

    let (sessions, authenticator) = (stack.sessions(), stack.authenticator());
    let sign_in = || clients?.sign_in(&email, &format!("{MARK}-secret")).ok();
    // Two sessions: one is revoked alone, the other with all.
    let (signed_in, _) = (sign_in(), sign_in());
    let token = signed_in.unwrap_or_else(|| BearerToken::new(MARK).unwrap());
    let who = authenticator.authenticate(&token);
    let who = make!(made, AuthenticatorAuthenticate, None, None, who);
    make!(made, SessionsList, None, it, sessions.list(&ada));
    let session = who.and_then(|who| who.session_id);
    let session = session.unwrap_or_else(|| MARK.parse().unwrap());
    let revoked = sessions.revoke(&ada, &session);
    make!(made, SessionsRevoke, None, record!(session), revoked);
    make!(made, SessionsRevokeAll, None, it, sessions.revoke_all(&ada));
    let none = accounts.set_credential(&ada, Credential::None);
    make!(made, AccountsSetCredential, None, it, none);
    make!(made, AccountsDelete, None, it, accounts.delete(&ada));
}

/// The first record of a stream that has no end of its own; then the stream is dropped.
async fn first<T>(mut endless: BoxStream<'static, Result<T>>) -> Result<T> {
    endless.next().await.unwrap()
}

async fn users(stack: &AuthorStack, made: &mut Vec<Made>) -> (Id<User>, Id<User>) {
    let users = stack.users();
    let new = new_user(&format!("{MARK}-ada"));
    let (auth_id, email) = (new.auth_id.clone(), new.email.clone());
    let ada = make!(made, UsersCreate, None, None, users.create(new));
    let ada = ada.map_or_else(Id::new, |user| user.id);
    let bob = users.create(new_user(&format!("{MARK}-bob")));
    let bob = make!(made, UsersCreate, None, None, bob);
    let bob = bob.map_or_else(Id::new, |user| user.id);
    let (of, it) = (Some(ada), record!(ada));
    make!(made, UsersGet, of, it, users.get(ada));
    make!(
        made,
        UsersGetByAuthId,
        None,
        None,
        users.get_by_auth_id(&auth_id)
    );
    make!(
        made,
        UsersGetByEmail,
        None,
        None,
        users.get_by_email(&email)
    );
    make!(made, UsersList, None, None, users.list(page()));
    make!(made, UsersGetMany, None, None, users.get_many(&[ada]));
    let patch = UserPatch {
        name: Some(format!("{MARK} the second")),
        ..UserPatch::default()
    };
    make!(made, UsersUpdate, of, it, users.update(ada, patch));
    make!(made, UsersAddCredits, of, it, users.add_credits(ada, 1_000));
    make!(made, UsersSpendCredits, of, it, users.spend_credits(ada, 1));
    let (platform, now): (Platform, _) = (MARK.parse().unwrap(), Utc::now());
    let connected = users.connect_platform(ada, platform.clone(), now);
    make!(made, UsersConnectPlatform, of, it, connected);
    make!(
        made,
        UsersMarkSynced,
        of,
        it,
        users.mark_synced(ada, &platform, now)
    );
    let disconnected = users.disconnect_platform(ada, &platform);
    make!(made, UsersDisconnectPlatform, of, it, disconnected);
    (ada, bob)
}

async fn books(
    stack: &AuthorStack,
    ada: Id<User>,
    made: &mut Vec<Made>,
) -> Id<authorstack_core::Book> {
    let (books, of) = (stack.books(), Some(ada));
    let mut new = NewBook::new(MARK);
    new.description = Some(MARK.to_owned());
    new.genres = vec![MARK.to_owned()];
    new.extra.insert(MARK.to_owned(), MARK.into());
    let book = make!(made, BooksCreate, of, None, books.create(ada, new));
    let book = book.map_or_else(Id::new, |book| book.id);
    let asin = "B08N5WRWNW".parse().unwrap();
    let ids = [book];
    let many = books.get_many(ada, &ids);
    make!(made, BooksGetMany, of, None, many);
    let public = books.list_public(&ids);
    make!(made, BooksListPublic, None, None, public);
    let count = books.count(ada, BookFilter::default());
    make!(made, BooksCount, of, None, count);
    make!(made, BooksGet, of, record!(book), books.get(ada, book));
    make!(
        made,
        BooksListByAsin,
        of,
        None,
        books.list_by_asin(ada, &asin)
    );
    let filter = BookFilter {
        genre: Some(MARK.to_owned()),
        ..BookFilter::default()
    };
    make!(made, BooksList, of, None, books.list(ada, filter, page()));
    let patch = BookPatch {
        subtitle: Change::Set(MARK.to_owned()),
        ..BookPatch::default()
    };
    let updated = books.update(ada, book, patch);
    make!(made, BooksUpdate, of, record!(book), updated);
    book
}

async fn checklists(
    stack: &AuthorStack,
    ada: Id<User>,
    book: Id<authorstack_core::Book>,
    made: &mut Vec<Made>,
) {
    let (lists, of) = (stack.checklists(), Some(ada));
    let new = lists.create(ada, NewChecklist::empty(book, MARK));
    let list = make!(made, ChecklistsCreate, of, None, new);
    let list = list.map_or_else(Id::new, |list| list.id);
    let it = record!(list);
    make!(made, ChecklistsGet, of, it, lists.get(ada, list));
    let filter = ChecklistFilter::default();
    make!(
        made,
        ChecklistsList,
        of,
        None,
        lists.list(ada, filter, page())
    );
    make!(
        made,
        ChecklistsDue,
        of,
        None,
        lists.due(ada, Utc::now(), page())
    );
    let patch = ChecklistPatch {
        name: Some(format!("{MARK} the second")),
        ..ChecklistPatch::default()
    };
    make!(
        made,
        ChecklistsUpdate,
        of,
        it,
        lists.update(ada, list, patch)
    );
    let change = TaskChange::Add(NewTask::new(MARK).into_task());
    let changed = lists.change_tasks(ada, list, change);
    make!(made, ChecklistsChangeTasks, of, it, changed);
    make!(made, ChecklistsDelete, of, it, lists.delete(ada, list));
}

async fn follows(stack: &AuthorStack, ada: Id<User>, bob: Id<User>, made: &mut Vec<Made>) {
    let (follows, bobs) = (stack.follows(), Some(bob));
    make!(made, FollowsFollow, bobs, None, follows.follow(bob, ada));
    make!(
        made,
        FollowsIsFollowing,
        bobs,
        None,
        follows.is_following(bob, ada)
    );
    make!(
        made,
        FollowsFollowers,
        Some(ada),
        None,
        follows.followers(ada, page())
    );
    make!(
        made,
        FollowsFollowing,
        bobs,
        None,
        follows.following(bob, page())
    );
    make!(made, FollowsCounts, Some(ada), None, follows.counts(ada));
    make!(
        made,
        FollowsUnfollow,
        bobs,
        None,
        follows.unfollow(bob, ada)
    );
}

async fn community(stack: &AuthorStack, ada: Id<User>, bob: Id<User>, made: &mut Vec<Made>) {
    let (posts, adas, bobs) = (stack.community(), Some(ada), Some(bob));
    let post = posts.create(ada, NewPost::new(MARK));
    let post = make!(made, CommunityCreate, adas, None, post);
    let post = post.map_or_else(Id::new, |post| post.id);
    let it = record!(post);
    make!(made, CommunityGet, bobs, it, posts.get(bob, post));
    make!(
        made,
        CommunityFeed,
        bobs,
        None,
        posts.feed(bob, Feed::Everyone, page())
    );
    let patch = PostPatch {
        content: Some(format!("{MARK} the second")),
        ..PostPatch::default()
    };
    make!(
        made,
        CommunityUpdate,
        adas,
        it,
        posts.update(ada, post, patch)
    );
    make!(made, CommunityLike, bobs, it, posts.like(bob, post));
    make!(
        made,
        CommunityLikers,
        bobs,
        it,
        posts.likers(bob, post, page())
    );
    make!(made, CommunityUnlike, bobs, it, posts.unlike(bob, post));
    let comment = posts.comment(bob, post, MARK.to_owned());
    let comment = make!(made, CommunityComment, bobs, it, comment);
    let comment = comment.map_or_else(|| "c1".parse().unwrap(), |comment| comment.id);
    make!(
        made,
        CommunityComments,
        bobs,
        it,
        posts.comments(bob, post, page())
    );
    let both = format!("{post}.{comment}");
    let removed = posts.delete_comment(bob, post, comment);
    make!(made, CommunityDeleteComment, bobs, record!(both), removed);
    make!(made, CommunityDelete, adas, it, posts.delete(ada, post));
}

async fn boosts(
    stack: &AuthorStack,
    ada: Id<User>,
    book: Id<authorstack_core::Book>,
    made: &mut Vec<Made>,
) {
    let (boosts, of) = (stack.boosts(), Some(ada));
    let mut new = NewBoost::new(book, 1, 10);
    new.starts_at -= TimeDelta::days(2);
    new.extra.insert(MARK.to_owned(), MARK.into());
    let boost = new.id;
    make!(made, BoostsPurchase, of, None, boosts.purchase(ada, new));
    make!(made, BoostsGet, of, record!(boost), boosts.get(ada, boost));
    make!(made, BoostsList, of, None, boosts.list(ada, page()));
    make!(
        made,
        BoostsLeaderboard,
        None,
        None,
        boosts.leaderboard(Utc::now(), 10)
    );
    make!(
        made,
        BoostsExpireDue,
        None,
        None,
        boosts.expire_due(Utc::now())
    );
}

async fn competitors(stack: &AuthorStack, ada: Id<User>, made: &mut Vec<Made>) {
    let (rivals, of) = (stack.competitors(), Some(ada));
    let asin = "B08N5WRWNW".parse().unwrap();
    let mut new = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
    new.title = Some(MARK.to_owned());
    let rival = make!(made, CompetitorsCreate, of, None, rivals.create(ada, new));
    let rival = rival.map_or_else(Id::new, |rival| rival.id);
    let it = record!(rival);
    make!(made, CompetitorsGet, of, it, rivals.get(ada, rival));
    make!(
        made,
        CompetitorsGetByAsin,
        of,
        None,
        rivals.get_by_asin(ada, &asin)
    );
    make!(made, CompetitorsList, of, None, rivals.list(ada, page()));
    let patch = CompetitorPatch {
        genre: Change::Set(MARK.to_owned()),
        ..CompetitorPatch::default()
    };
    make!(
        made,
        CompetitorsUpdate,
        of,
        it,
        rivals.update(ada, rival, patch)
    );
    let (now, price) = (Utc::now(), "4.99".parse().unwrap());
    let recorded = rivals.record_price(ada, rival, price, now);
    make!(made, CompetitorsRecordPrice, of, it, recorded);
    let checked = rivals.mark_checked(ada, rival, now + TimeDelta::seconds(1));
    make!(made, CompetitorsMarkChecked, of, it, checked);
    let history = rivals.history(ada, rival, DateRange::default(), page());
    make!(made, CompetitorsHistory, of, it, history);
    make!(
        made,
        CompetitorsDueForCheck,
        None,
        None,
        rivals.due_for_check(now, 10)
    );
    make!(made, CompetitorsDelete, of, it, rivals.delete(ada, rival));
}

async fn sales_and_roll_ups(
    stack: &AuthorStack,
    ada: Id<User>,
    book: Id<authorstack_core::Book>,
    made: &mut Vec<Made>,
) {
    let (of, platform): (_, Platform) = (Some(ada), MARK.parse().unwrap());
    let day = "2024-03-01".parse().unwrap();
    let days = Days::one(day);
    let key = SaleKey::new(book, platform.clone(), day);
    let dollars: authorstack_core::Currency = "USD".parse().unwrap();
    let sold = [NewSale::new(
        key.clone(),
        "9.99".parse().unwrap(),
        dollars.clone(),
    )];

    let sales = stack.sales();
    make!(made, SalesUpsert, of, None, sales.upsert(ada, &sold));
    make!(made, SalesGet, of, record!(key), sales.get(ada, &key));
    let all = sales.stream(ada, all_sales()).try_collect::<Vec<_>>();
    make!(made, SalesStream, of, None, all);
    let filter = all_sales();
    make!(
        made,
        SalesTotals,
        of,
        None,
        sales.totals(ada, &filter, TotalsBy::Day)
    );

    let (rollups, conversion) = (stack.aggregates(), Conversion::into(dollars));
    make!(
        made,
        AggregatesRefresh,
        of,
        None,
        rollups.refresh(ada, days, &conversion)
    );
    make!(made, AggregatesList, of, None, rollups.list(ada, days));
    make!(made, AggregatesGaps, of, None, rollups.gaps(ada, days));
    make!(
        made,
        AggregatesOverview,
        of,
        None,
        rollups.overview(ada, days, 3)
    );

    make!(made, SalesDelete, of, record!(key), sales.delete(ada, &key));
}

async fn logs_insights_and_forecasts(stack: &AuthorStack, ada: Id<User>, made: &mut Vec<Made>) {
    let (of, platform): (_, Platform) = (Some(ada), MARK.parse().unwrap());
    let log = NewSyncLog {
        platform: platform.clone(),
        status: SyncStatus::Partial,
        records_synced: 1,
        error_message: Some(MARK.to_owned()),
    };
    let logs = stack.sync_logs();
    make!(made, SyncLogsCreate, of, None, logs.create(ada, log));
    make!(
        made,
        SyncLogsList,
        of,
        None,
        logs.list(ada, Some(platform), page())
    );

    let day = "2024-03-01".parse().unwrap();
    let days = Days::one(day);
    let (insights, kind) = (stack.insights(), InsightKind::TREND);
    let mut insight = NewInsight::new(kind.clone(), MARK.into());
    let outdated = Utc::now() - TimeDelta::days(1);
    insight.valid_until = Some(outdated);
    make!(
        made,
        InsightsCreate,
        of,
        None,
        insights.create(ada, insight)
    );
    let before = outdated - TimeDelta::days(1);
    let latest = insights.latest(ada, InsightScope::User, &kind, before);
    make!(made, InsightsLatest, of, None, latest);
    make!(
        made,
        InsightsListValid,
        of,
        None,
        insights.list_valid(ada, before, page())
    );
    make!(
        made,
        InsightsDeleteExpired,
        None,
        None,
        insights.delete_expired(Utc::now())
    );

    let (forecasts, mut forecast) = (
        stack.forecasts(),
        NewForecast::new(day, "9.00".parse().unwrap()),
    );
    forecast.factors = Some(MARK.into());
    make!(
        made,
        ForecastsCreate,
        of,
        None,
        forecasts.create(ada, vec![forecast])
    );
    make!(made, ForecastsList, of, None, forecasts.list(ada, days));
    make!(
        made,
        ForecastsFillActuals,
        of,
        None,
        forecasts.fill_actuals(ada, days)
    );
    make!(
        made,
        ForecastsAccuracy,
        of,
        None,
        forecasts.accuracy(ada, days)
    );
}

/// Operations of what is no repository: services, stores themselves, migrations.
fn is_of_a_repository(operation: Operation) -> bool {
    let group = operation.name().split('.').next().unwrap();
    let of_services = [
        Operation::SalesIngest,
        Operation::ErasureRun,
        Operation::AccountsSyncProfile,
        Operation::PreferencesSync,
    ];
    !of_services.contains(&operation) && !["dashboard", "store", "migration"].contains(&group)
}

fn by_name(operations: impl IntoIterator<Item = Operation>) -> BTreeSet<&'static str> {
    operations.into_iter().map(Operation::name).collect()
}

/// A method without a call in `make_every_call` fails here.
#[tokio::test]
async fn every_method_is_called_and_layers_see_what_it_is() {
    let recording = Recording::default();
    let store = MemoryStore::new();
    let stack = on(&store).layer(recording.clone()).build();
    let made = make_every_call(&stack, Some(&store)).await;
    let seen = recording.seen();
    assert_eq!(made.len(), seen.len());
    for (made, seen) in made.iter().zip(&seen) {
        let operation = made.operation;
        assert!(made.error.is_none(), "{operation}: {:?}", made.error);
        assert_eq!(seen.operation, operation);
        assert_eq!(seen.user, made.user, "{operation}");
        assert_eq!(seen.record, made.record, "{operation}");
        assert_eq!(seen.store, "memory", "{operation}");
        let streams = [
            Operation::SalesStream,
            Operation::AccountsStream,
            Operation::AccountsExport,
            Operation::IdentitiesStream,
            Operation::PreferencesWatch,
        ];
        let is_stream = streams.contains(&operation);
        assert_eq!(seen.is_stream, is_stream, "{operation}");
        assert_eq!(seen.access, operation.access(), "{operation}");
    }
    let repositories = Operation::ALL.iter().copied();
    let repositories = repositories.filter(|operation| is_of_a_repository(*operation));
    assert_eq!(by_name(recording.operations()), by_name(repositories));
}

/// Compares the store before and after each call.
#[derive(Debug)]
struct Watching(MemoryStore);

#[async_trait]
impl Layer for Watching {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let before = format!("{:?}", self.0);
        let reply = next.run().await?;
        let changed = format!("{:?}", self.0) != before;
        assert_eq!(changed, call.access() == Access::Write, "{call:?}");
        Ok(reply)
    }
}

#[tokio::test]
async fn reads_change_nothing_and_writes_do() {
    let store = MemoryStore::new();
    let stack = on(&store).layer(Watching(store.clone())).build();
    for made in make_every_call(&stack, Some(&store)).await {
        assert!(made.error.is_none(), "{:?}", made.error);
    }
}

/// Makes each call elsewhere first, in vain.
#[derive(Debug)]
struct ElsewhereFirst(AuthorStack);

#[async_trait]
impl Layer for ElsewhereFirst {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let error = next.run_on(&self.0.clone().into()).await.unwrap_err();
        assert_eq!(error.kind().code(), "unsupported", "{call:?}");
        next.run().await
    }
}

#[tokio::test]
async fn every_call_can_be_made_again() {
    let empty = AuthorStack::builder().build();
    let store = MemoryStore::new();
    let stack = on(&store).layer(ElsewhereFirst(empty)).build();
    for made in make_every_call(&stack, Some(&store)).await {
        assert!(made.error.is_none(), "{:?}", made.error);
    }
}
