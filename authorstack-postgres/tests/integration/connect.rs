//! Connecting to a database that has no tables yet.

use crate::common;

use authorstack_core::{ConnectionSecurity, ErrorKind, Id, PageRequest, health::HealthCheck as _};
use authorstack_postgres::{PostgresConfig, PostgresStore};
use common::{on_database, stack};

#[tokio::test]
async fn one_step_makes_a_fresh_database_usable() {
    on_database(async |database| {
        let bare = database.store().await;
        assert_eq!(bare.security(), ConnectionSecurity::Local);
        let logs = async || {
            let stack = stack(&bare);
            let logs = stack.sync_logs();
            let page = logs.list(Id::new(), None, PageRequest::first(5)).await;
            page.map(|page| page.items.len())
        };
        let error = logs().await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{error:?}"
        );
        let said = error.to_string();
        assert!(said.contains("PostgresStore::prepare"), "{said}");

        // Several hosts may start at once.
        let config = || PostgresConfig::new(database.url());
        let starts = (0..4).map(|_| PostgresStore::connect_and_prepare(config()));
        for started in futures::future::join_all(starts).await {
            started.unwrap().prepare().await.unwrap();
        }
        assert_eq!(logs().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_health_check_asks_the_server() {
    on_database(async |database| {
        let store = database.store().await;
        store.check_health().await.unwrap();
        let (one,): (i32,) = sqlx::query_as("select 1")
            .fetch_one(store.connections())
            .await
            .unwrap();
        assert_eq!(one, 1);
        store.close().await;
        let error = store.check_health().await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
    })
    .await;
}
