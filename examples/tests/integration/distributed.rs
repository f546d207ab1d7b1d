//! The suites of both parts on a stack of two stores: the documents in MongoDB, the analytics in
//! PostgreSQL. It answers as a stack on one store does.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, Book, Id, NewBook, User,
    layers::Switched,
    testing::{FreshAnalytics, FreshStore, author, new_author, servers},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{PostgresConfig, PostgresStore};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

/// Two databases of a test's own.
struct Fresh {
    mongo: MongoStore,
    postgres: PostgresStore,
    name: String,
}

fn postgres_url() -> String {
    servers::setting("AUTHORSTACK_TEST_POSTGRES_URL")
}

async fn on_postgres(sql: String) {
    let mut admin = PgConnection::connect(&postgres_url()).await.unwrap();
    // Refused while autovacuum, which belongs to the superuser, works in the database.
    for _ in 0..100 {
        match admin.execute(AssertSqlSafe(sql.clone())).await {
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("42501" | "55006")) =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            outcome => {
                outcome.unwrap();
                return admin.close().await.unwrap();
            }
        }
    }
    panic!("refused again and again: {sql}");
}

async fn fresh() -> Fresh {
    let name = servers::fresh_name();
    let config = MongoConfig::new(servers::mongodb_url()).database(&name);
    let mongo = MongoStore::connect(config).await.unwrap();
    mongo.ensure_indexes().await.unwrap();
    on_postgres(format!("create database {name} template template0")).await;
    let mut url: Url = postgres_url().parse().unwrap();
    url.set_path(&name);
    let config = PostgresConfig::new(url.to_string());
    let postgres = PostgresStore::connect(config).await.unwrap();
    postgres.migrate().await.unwrap();
    Fresh {
        mongo,
        postgres,
        name,
    }
}

impl Fresh {
    fn distributed(&self) -> AuthorStack {
        AuthorStack::distributed(&self.mongo, &self.postgres)
    }

    async fn remove(self) {
        self.postgres.close().await;
        let dropped = format!("drop database if exists {} with (force)", self.name);
        on_postgres(dropped).await;
        self.mongo.database().drop().await.unwrap();
    }
}

#[async_trait]
impl FreshStore for Fresh {
    fn stack(&self) -> AuthorStack {
        self.distributed()
    }

    async fn clean_up(self) {
        self.remove().await;
    }
}

#[async_trait]
impl FreshAnalytics for Fresh {
    fn stack(&self) -> AuthorStack {
        self.distributed()
    }

    async fn author(&self) -> (Id<User>, Id<Book>) {
        let stack = self.distributed();
        let user = author(&stack, &Id::<User>::new().to_string()).await.id;
        let book = stack.books().create(user, NewBook::new("A book")).await;
        (user, book.unwrap().id)
    }

    async fn clean_up(self) {
        self.remove().await;
    }
}

authorstack_core::conformance!(fresh);

mod analytics {
    use super::fresh;

    authorstack_core::analytics_conformance!(fresh);
}

/// Behind a switch, as after a cutover: the stores of the other stack stay joined.
mod switched {
    use super::{
        Arc, AuthorStack, Book, Fresh, FreshAnalytics, Id, Switched, User, async_trait, fresh,
    };

    struct Behind(Fresh);

    async fn behind() -> Behind {
        Behind(fresh().await)
    }

    #[async_trait]
    impl FreshAnalytics for Behind {
        fn stack(&self) -> AuthorStack {
            let switch = Switched::new();
            let _under_way = switch.to(self.0.distributed());
            let stack = AuthorStack::builder().shared_layer(Arc::new(switch));
            stack.build()
        }

        async fn author(&self) -> (Id<User>, Id<Book>) {
            self.0.author().await
        }

        async fn clean_up(self) {
            self.0.remove().await;
        }
    }

    authorstack_core::__analytics_cases! { behind, erasure:
        erasing_a_user_leaves_nothing_of_them,
        deleting_a_user_erases_their_analytics,
        deleting_a_book_erases_its_insights_only,
    }
    authorstack_core::__analytics_cases! { behind, unknown:
        an_ingest_for_nobody_is_not_found,
        nothing_is_written_for_nobody,
        an_insight_is_about_a_book_of_the_user,
    }
}

/// A user of another part of the app: analytics alone do not know who exists.
#[tokio::test]
async fn analytics_alone_take_any_user() {
    let fresh = fresh().await;
    let stack = AuthorStack::builder().analytics(&fresh.postgres).build();
    let sales = stack.sales().upsert(Id::new(), &[]).await;
    let created = stack.users().create(new_author("ada")).await;
    fresh.remove().await;
    sales.unwrap();
    let kind = created.unwrap_err().kind().code();
    assert_eq!(kind, "unsupported");
}
