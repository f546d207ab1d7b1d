//! Joins a store of documents and another one of analytics, so that a stack on both answers as one
//! store does that holds everything.
//!
//! - Analytics are written for users who exist, and insights about books that do. The store of the
//!   documents is asked before the write, and once more behind it: what was written for a user who
//!   was deleted meanwhile is erased again.
//! - Deleting a user or a book erases their analytics first, then the documents with the user or
//!   the book last, and then the analytics once more, for what was written in between. A call that
//!   broke off can be repeated.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use futures::stream::BoxStream;

use crate::{
    AggregateRepository, Asin, AuthId, Book, BookFilter, BookPatch, BookRepository, Conversion,
    DailyAggregate, Days, Email, ErasureRepository, ErrorKind, Forecast, ForecastAccuracy,
    ForecastRepository, Id, Insight, InsightKind, InsightRepository, InsightScope, Listed, NewBook,
    NewForecast, NewInsight, NewSale, NewSyncLog, NewUser, Overview, Page, PageRequest, Platform,
    PublicBook, RefreshReport, Result, Sale, SaleKey, SalesFilter, SalesRepository, SalesTotal,
    SyncLog, SyncLogRepository, TotalsBy, UpsertCounts, User, UserPatch, UserRepository,
    stores::{Analytics, Documents},
};

/// Joins the repositories of two stores.
pub(crate) fn join(documents: Documents, analytics: Analytics) -> (Documents, Analytics) {
    let both = Both {
        users: Arc::clone(&documents.users),
        books: Arc::clone(&documents.books),
        erasure: Arc::clone(&analytics.erasure),
    };
    let documents = Documents {
        users: Arc::new(Joined::new(documents.users, &both)),
        books: Arc::new(Joined::new(documents.books, &both)),
        ..documents
    };
    let Analytics {
        sales,
        aggregates,
        sync_logs,
        insights,
        forecasts,
        erasure,
    } = analytics;
    let analytics = Analytics {
        sales: Arc::new(Joined::new(sales, &both)),
        aggregates: Arc::new(Joined::new(aggregates, &both)),
        sync_logs: Arc::new(Joined::new(sync_logs, &both)),
        insights: Arc::new(Joined::new(insights, &both)),
        forecasts: Arc::new(Joined::new(forecasts, &both)),
        erasure,
    };
    (documents, analytics)
}

/// What the calls on one store need of the other one.
#[derive(Debug, Clone)]
struct Both {
    users: Arc<dyn UserRepository>,
    books: Arc<dyn BookRepository>,
    erasure: Arc<dyn ErasureRepository>,
}

/// A repository of one store that knows the other one.
#[derive(Debug)]
struct Joined<R: ?Sized> {
    store: Arc<R>,
    both: Both,
}

impl<R: ?Sized> Joined<R> {
    fn new(store: Arc<R>, both: &Both) -> Self {
        let both = both.clone();
        Self { store, both }
    }
}

/// A record that cannot be read is there.
fn is_there<T>(found: Result<T>) -> Result<()> {
    match found {
        Err(error) if !matches!(error.kind(), ErrorKind::Corrupt { .. }) => Err(error),
        _ => Ok(()),
    }
}

impl Both {
    async fn known_user(&self, id: Id<User>) -> Result<()> {
        let found = is_there(self.users.get(id).await);
        found.map_err(|error| error.for_record(format_args!("user {id}")))
    }

    async fn own_book(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        let found = is_there(self.books.get(user_id, id).await);
        found.map_err(|error| error.for_record(format_args!("book {id}")))
    }

    /// Writes something for a user who exists.
    async fn for_user<T>(
        &self,
        user_id: Id<User>,
        write: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.known_user(user_id).await?;
        let written = write.await?;
        match self.known_user(user_id).await {
            Err(gone) if gone.is_not_found() => {
                self.erasure.erase_user(user_id).await?;
                Err(gone)
            }
            // It is written. A failed look must not make the caller write it again.
            Ok(()) | Err(_) => Ok(written),
        }
    }
}

/// A call of the store, or of a method of this file.
macro_rules! call {
    ($joined:expr, $name:ident, ($($argument:ident),*)) => {
        $joined.store.$name($($argument),*).await
    };
    ($joined:expr, $name:ident, ($($argument:ident),*), $own:ident) => {
        $joined.$own($($argument),*).await
    };
}

/// Implements repositories: each call goes to the store, or, with `by`, to a method below.
macro_rules! joined {
    ($(
        impl $repository:ident {
            $(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty $(, by $own:ident)?;)+
        }
        $(streams { $(fn $stream:ident($($part:ident: $part_type:ty),*) -> $item:ty;)+ })?
    )+) => {$(
        #[async_trait]
        impl $repository for Joined<dyn $repository> {
            $(
                async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                    call!(self, $name, ($($argument),*) $(, $own)?)
                }
            )+
            $($(
                fn $stream(&self, $($part: $part_type),*) -> BoxStream<'static, Result<$item>> {
                    self.store.$stream($($part),*)
                }
            )+)?
        }
    )+};
}

joined! {
    impl UserRepository {
        fn create(user: NewUser) -> User;
        fn get(id: Id<User>) -> User;
        fn get_many(ids: &[Id<User>]) -> Listed<User>;
        fn get_by_auth_id(auth_id: &AuthId) -> User;
        fn get_by_email(email: &Email) -> User;
        fn list(page: PageRequest) -> Page<User>;
        fn update(id: Id<User>, patch: UserPatch) -> User;
        fn delete(id: Id<User>) -> (), by delete_everywhere;
        fn add_credits(id: Id<User>, amount: i64) -> User;
        fn spend_credits(id: Id<User>, amount: i64) -> User;
        fn connect_platform(id: Id<User>, platform: Platform, at: DateTime<Utc>) -> User;
        fn disconnect_platform(id: Id<User>, platform: &Platform) -> User;
        fn mark_synced(id: Id<User>, platform: &Platform, at: DateTime<Utc>) -> User;
    }

    impl BookRepository {
        fn create(user_id: Id<User>, book: NewBook) -> Book;
        fn get(user_id: Id<User>, id: Id<Book>) -> Book;
        fn get_many(user_id: Id<User>, ids: &[Id<Book>]) -> Listed<Book>;
        fn list_public(ids: &[Id<Book>]) -> Listed<PublicBook>;
        fn count(user_id: Id<User>, filter: BookFilter) -> u64;
        fn list_by_asin(user_id: Id<User>, asin: &Asin) -> Listed<Book>;
        fn list(user_id: Id<User>, filter: BookFilter, page: PageRequest) -> Page<Book>;
        fn update(user_id: Id<User>, id: Id<Book>, patch: BookPatch) -> Book;
        fn delete(user_id: Id<User>, id: Id<Book>) -> (), by delete_everywhere;
    }

    impl SalesRepository {
        fn upsert(user_id: Id<User>, sales: &[NewSale]) -> UpsertCounts, by upsert_of_known;
        fn get(user_id: Id<User>, key: &SaleKey) -> Sale;
        fn delete(user_id: Id<User>, key: &SaleKey) -> ();
        fn totals(user_id: Id<User>, filter: &SalesFilter, by: TotalsBy) -> Listed<SalesTotal>;
    }
    streams {
        fn stream(user_id: Id<User>, filter: SalesFilter) -> Sale;
    }

    impl AggregateRepository {
        fn refresh(user_id: Id<User>, days: Days, conversion: &Conversion) -> RefreshReport,
            by refresh_of_known;
        fn list(user_id: Id<User>, days: Days) -> Listed<DailyAggregate>;
        fn gaps(user_id: Id<User>, days: Days) -> Vec<NaiveDate>;
        fn overview(user_id: Id<User>, days: Days, top: u32) -> Overview;
    }

    impl SyncLogRepository {
        fn create(user_id: Id<User>, log: NewSyncLog) -> SyncLog, by create_of_known;
        fn list(user_id: Id<User>, platform: Option<Platform>, page: PageRequest) -> Page<SyncLog>;
    }

    impl InsightRepository {
        fn create(user_id: Id<User>, insight: NewInsight) -> Insight, by create_of_known;
        fn latest(user_id: Id<User>, scope: InsightScope, kind: &InsightKind, at: DateTime<Utc>) -> Insight;
        fn list_valid(user_id: Id<User>, at: DateTime<Utc>, page: PageRequest) -> Page<Insight>;
        fn delete_expired(at: DateTime<Utc>) -> u64;
    }

    impl ForecastRepository {
        fn create(user_id: Id<User>, forecasts: Vec<NewForecast>) -> Vec<Forecast>, by create_of_known;
        fn list(user_id: Id<User>, days: Days) -> Listed<Forecast>;
        fn fill_actuals(user_id: Id<User>, days: Days) -> u64;
        fn accuracy(user_id: Id<User>, days: Days) -> ForecastAccuracy;
    }
}

impl Joined<dyn UserRepository> {
    async fn delete_everywhere(&self, id: Id<User>) -> Result<()> {
        self.both.erasure.erase_user(id).await?;
        self.store.delete(id).await?;
        self.both.erasure.erase_user(id).await.map(drop)
    }
}

impl Joined<dyn BookRepository> {
    async fn delete_everywhere(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        // Also of a book that is gone: an earlier call may have broken off.
        self.both.erasure.erase_book(user_id, id).await?;
        self.store.delete(user_id, id).await?;
        self.both.erasure.erase_book(user_id, id).await.map(drop)
    }
}

impl Joined<dyn SalesRepository> {
    async fn upsert_of_known(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts> {
        let write = self.store.upsert(user_id, sales);
        self.both.for_user(user_id, write).await
    }
}

impl Joined<dyn AggregateRepository> {
    async fn refresh_of_known(
        &self,
        user_id: Id<User>,
        days: Days,
        conversion: &Conversion,
    ) -> Result<RefreshReport> {
        let write = self.store.refresh(user_id, days, conversion);
        self.both.for_user(user_id, write).await
    }
}

impl Joined<dyn SyncLogRepository> {
    async fn create_of_known(&self, user_id: Id<User>, log: NewSyncLog) -> Result<SyncLog> {
        let write = self.store.create(user_id, log);
        self.both.for_user(user_id, write).await
    }
}

impl Joined<dyn InsightRepository> {
    async fn create_of_known(&self, user_id: Id<User>, insight: NewInsight) -> Result<Insight> {
        let book = insight.book_id;
        let write = async {
            if let Some(book) = book {
                self.both.own_book(user_id, book).await?;
            }
            self.store.create(user_id, insight).await
        };
        let written = self.both.for_user(user_id, write).await?;
        let Some(book) = book else {
            return Ok(written);
        };
        match self.both.own_book(user_id, book).await {
            Err(gone) if gone.is_not_found() => {
                self.both.erasure.erase_book(user_id, book).await?;
                Err(gone)
            }
            Ok(()) | Err(_) => Ok(written),
        }
    }
}

impl Joined<dyn ForecastRepository> {
    async fn create_of_known(
        &self,
        user_id: Id<User>,
        forecasts: Vec<NewForecast>,
    ) -> Result<Vec<Forecast>> {
        let write = self.store.create(user_id, forecasts);
        self.both.for_user(user_id, write).await
    }
}
