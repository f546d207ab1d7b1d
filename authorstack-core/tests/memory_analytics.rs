//! The conformance suite of the analytics on the in-memory store.

#![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    AggregateRepository, AnalyticsStore, Book, DocumentStore, ForecastRepository, Id,
    InsightRepository, MemoryStore, NewBook, NewSale, Result, Sale, SaleKey, SalesFilter,
    SalesRepository, SalesTotal, SyncLogRepository, TotalsBy, UpsertCounts, User,
    testing::{FreshAnalytics, Stage, analytics, author},
};
use futures::{FutureExt, stream::BoxStream};

struct Fresh(MemoryStore);

#[async_trait]
impl FreshAnalytics for Fresh {
    fn store(&self) -> &dyn AnalyticsStore {
        &self.0
    }

    async fn author(&self) -> (Id<User>, Id<Book>) {
        let user = author(&self.0, &Id::<User>::new().to_string()).await;
        let book = self.0.books().create(user.id, NewBook::new("A book")).await;
        (user.id, book.unwrap().id)
    }

    async fn clean_up(self) {}
}

async fn fresh() -> Fresh {
    Fresh(MemoryStore::new())
}

authorstack_core::analytics_conformance!(fresh);

/// The in-memory store, but a deleted sale stays.
#[derive(Debug, Clone)]
struct Faulty(MemoryStore);

impl AnalyticsStore for Faulty {
    fn sales(&self) -> Arc<dyn SalesRepository> {
        Arc::new(self.clone())
    }
    fn aggregates(&self) -> Arc<dyn AggregateRepository> {
        self.0.aggregates()
    }
    fn sync_logs(&self) -> Arc<dyn SyncLogRepository> {
        self.0.sync_logs()
    }
    fn insights(&self) -> Arc<dyn InsightRepository> {
        self.0.insights()
    }
    fn forecasts(&self) -> Arc<dyn ForecastRepository> {
        self.0.forecasts()
    }
}

#[async_trait]
impl SalesRepository for Faulty {
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts> {
        self.0.sales().upsert(user_id, sales).await
    }
    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale> {
        self.0.sales().get(user_id, key).await
    }
    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()> {
        self.0.sales().get(user_id, key).await.map(drop)
    }
    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>> {
        self.0.sales().stream(user_id, filter)
    }
    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Vec<SalesTotal>> {
        self.0.sales().totals(user_id, filter, by).await
    }
}

#[tokio::test]
async fn random_operations_find_a_sale_that_stays() {
    let fresh = fresh().await;
    let faulty = Faulty(fresh.0.clone());
    let (user, book) = fresh.author().await;
    let (stranger, _) = fresh.author().await;
    let stage = Stage {
        store: &faulty,
        user,
        book,
        stranger,
    };
    let run = AssertUnwindSafe(analytics::random::agrees(stage, 7, 2_000)).catch_unwind();
    let panic = run.await.unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("AUTHORSTACK_TEST_SEED=7"), "{message}");
}
