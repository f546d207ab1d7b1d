//! Many writers at once.

use crate::common;

use authorstack_core::{ErrorKind, Platform, UserPatch, testing::author, time};
use common::on_indexed;
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_spenders_spend_what_is_there() {
    on_indexed(async |store| {
        let users = store.users();
        let id = author(store, "ada").await.id;
        users.add_credits(id, 70).await.unwrap();
        let results = join_all((0..100).map(|_| users.spend_credits(id, 1))).await;
        let (mut spent, mut refused) = (Vec::new(), 0);
        for result in results {
            match result {
                Ok(user) => spent.push(user.credits),
                Err(error) => {
                    assert_eq!(
                        *error.kind(),
                        ErrorKind::InsufficientCredits {
                            balance: 0,
                            needed: 1
                        }
                    );
                    refused += 1;
                }
            }
        }
        // Each spender saw a balance of their own.
        spent.sort_unstable();
        assert_eq!(spent, (0..70).collect::<Vec<_>>());
        assert_eq!(refused, 30);
        assert_eq!(users.get(id).await.unwrap().credits, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_has_a_moment_of_its_own() {
    on_indexed(async |store| {
        let users = store.users();
        let id = author(store, "ada").await.id;
        let changes = (0..50).map(|n| {
            let patch = UserPatch {
                name: Some(format!("n{n}")),
                ..UserPatch::default()
            };
            users.update(id, patch)
        });
        let mut moments: Vec<_> = join_all(changes)
            .await
            .into_iter()
            .map(|user| user.unwrap().updated_at)
            .collect();
        moments.sort_unstable();
        moments.dedup();
        assert_eq!(moments.len(), 50);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn platforms_connected_and_synced_at_once_are_all_kept() {
    on_indexed(async |store| {
        let users = store.users();
        let id = author(store, "ada").await.id;
        let names: Vec<Platform> = (0..20).map(|n| format!("p{n}").parse().unwrap()).collect();
        let twice = names.iter().chain(&names);
        let at = time::now();
        for result in join_all(twice.map(|name| users.connect_platform(id, name.clone(), at))).await
        {
            result.unwrap();
        }
        for result in join_all(names.iter().map(|name| users.mark_synced(id, name, at))).await {
            result.unwrap();
        }
        let user = users.get(id).await.unwrap();
        let mut found: Vec<_> = user
            .connected_platforms
            .iter()
            .map(|c| c.platform.clone())
            .collect();
        found.sort();
        let mut expected = names;
        expected.sort();
        assert_eq!(found, expected);
        assert!(
            user.connected_platforms
                .iter()
                .all(|c| c.last_sync == Some(at))
        );
    })
    .await;
}
