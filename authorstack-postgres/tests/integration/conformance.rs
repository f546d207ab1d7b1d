//! The conformance suite of the analytics, for each way in which ids stand in a database.

use async_trait::async_trait;
use authorstack_core::{AuthorStack, Book, Id, User, testing::FreshAnalytics};
use authorstack_postgres::{IdForm, PostgresConfig, PostgresStore};

use crate::common::{Database, stack};

struct Fresh {
    database: Database,
    store: PostgresStore,
}

impl Fresh {
    async fn new(ids: IdForm) -> Self {
        let database = Database::create().await;
        let config = PostgresConfig::new(database.url()).ids(ids);
        let store = PostgresStore::connect(config).await.unwrap();
        store.migrate().await.unwrap();
        Self { database, store }
    }
}

#[async_trait]
impl FreshAnalytics for Fresh {
    fn stack(&self) -> AuthorStack {
        stack(&self.store)
    }

    async fn author(&self) -> (Id<User>, Id<Book>) {
        (Id::new(), Id::new())
    }

    async fn clean_up(self) {
        self.store.close().await;
        self.database.drop().await;
    }
}

mod embedded {
    use super::{Fresh, IdForm};

    async fn fresh() -> Fresh {
        Fresh::new(IdForm::Embedded).await
    }

    authorstack_core::analytics_conformance!(fresh);
}

mod padded_right {
    use super::{Fresh, IdForm};

    async fn fresh() -> Fresh {
        Fresh::new(IdForm::PaddedRight).await
    }

    authorstack_core::analytics_conformance!(fresh);
}

mod padded_left {
    use super::{Fresh, IdForm};

    async fn fresh() -> Fresh {
        Fresh::new(IdForm::PaddedLeft).await
    }

    authorstack_core::analytics_conformance!(fresh);
}
