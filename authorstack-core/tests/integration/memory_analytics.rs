//! The conformance suite of the analytics on the in-memory store.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    Analytics, AnalyticsStore, AuthorStack, Book, Id, Listed, MemoryStore, NewBook, NewSale,
    Result, Sale, SaleKey, SalesFilter, SalesRepository, SalesTotal, TotalsBy, UpsertCounts, User,
    testing::{FreshAnalytics, Stage, analytics, author},
};
use futures::{FutureExt, stream::BoxStream};

struct Fresh(MemoryStore);

#[async_trait]
impl FreshAnalytics for Fresh {
    fn stack(&self) -> AuthorStack {
        self.0.stack()
    }

    async fn author(&self) -> (Id<User>, Id<Book>) {
        let user = author(&self.0.stack(), &Id::<User>::new().to_string()).await;
        let book = self
            .0
            .stack()
            .books()
            .create(user.id, NewBook::new("A book"))
            .await;
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
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn analytics(&self) -> Analytics {
        Analytics {
            sales: Arc::new(self.clone()),
            ..self.0.analytics()
        }
    }
}

#[async_trait]
impl SalesRepository for Faulty {
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts> {
        self.0.analytics().sales.upsert(user_id, sales).await
    }
    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale> {
        self.0.analytics().sales.get(user_id, key).await
    }
    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()> {
        self.0.analytics().sales.get(user_id, key).await.map(drop)
    }
    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>> {
        self.0.analytics().sales.stream(user_id, filter)
    }
    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Listed<SalesTotal>> {
        self.0.analytics().sales.totals(user_id, filter, by).await
    }
}

#[tokio::test]
async fn random_operations_find_a_sale_that_stays() {
    let fresh = fresh().await;
    let faulty = Faulty(fresh.0.clone());
    let faulty = AuthorStack::builder().analytics(&faulty).build();
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
