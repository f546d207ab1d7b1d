//! Concurrent purchases of boosts.

use crate::common;

use std::time::Duration;

use authorstack_core::{Boost, ErrorKind, Id, NewBoost, time};
use common::{Host, Via, author, on_database};
use futures::future::join_all;
use sqlx::{Connection, query};

/// A purchase that many wait for is rolled back. If they had all inserted their rows by then, they
/// would deadlock, and those who repeat their purchase would deadlock again. The server counts the
/// deadlocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buyers_of_one_position_do_not_deadlock() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let config = database.config(Via::Direct).max_connections(12);
        let store = Host::connect(config).await.unwrap();
        let mut buyers = Vec::new();
        for n in 0..12 {
            let (user, book) = author(&store, &format!("user{n}")).await;
            store.users().add_credits(user.id, 100).await.unwrap();
            buyers.push((user.id, book));
        }
        let start = time::now();
        let (user, book) = author(&store, "first").await;
        let mut connection = database.connection().await;
        let mut first = connection.begin().await.unwrap();
        query(
            "insert into public.marketplace_boosts (id, book_id, user_id, duration, position, \
             credits_spent, active, started_at, expires_at) \
             values ($1, $2, $3, 7, 5, 1, true, $4, $4 + interval '7 days')",
        )
        .bind(Id::<Boost>::new().to_uuid())
        .bind(book.to_uuid())
        .bind(user.id.to_uuid())
        .bind(start)
        .execute(&mut *first)
        .await
        .unwrap();
        let calls = buyers.iter().enumerate().map(|(n, (user, book))| {
            let mut boost = NewBoost::new(*book, 7, 1);
            boost.starts_at = start;
            // Every third takes any position.
            boost.position = (n % 3 > 0).then_some(5);
            let boosts = store.boosts();
            async move { (boost.position, boosts.purchase(*user, boost).await) }
        });
        let give_up = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            first.rollback().await.unwrap();
        };
        let (outcomes, ()) = tokio::join!(join_all(calls), give_up);
        let mut won = 0;
        for (position, outcome) in outcomes {
            match (position, outcome) {
                (Some(_), Ok(_)) => won += 1,
                (None, Ok(_)) => {}
                (Some(_), Err(error)) => {
                    let is_conflict = matches!(error.kind(), ErrorKind::Conflict { .. });
                    assert!(is_conflict && !error.is_retryable(), "{error:?}");
                }
                (None, Err(error)) => panic!("{error:?}"),
            }
        }
        assert_eq!(won, 1);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let deadlocks = "select deadlocks::text from pg_stat_database \
                         where datname = current_database()";
        assert_eq!(database.texts(deadlocks).await, ["0"]);
    })
    .await;
}
