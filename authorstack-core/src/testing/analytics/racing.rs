//! Calls that truly run at the same moment; see [`testing::racing`](crate::testing::racing).

use super::{Stage, day, sale};
use crate::{
    Days, InsightKind, NewForecast, NewInsight,
    testing::racing::{THREADS, each_deleted_once, race, settled},
};

const RECORDS: u32 = 8;

pub async fn a_sale_is_deleted_once(stage: Stage<'_>) {
    let sales: Vec<_> = (1..=RECORDS)
        .map(|n| sale(stage.book, "kdp", &format!("2024-03-{n:02}"), "1"))
        .collect();
    let (user, repository) = (stage.user, stage.store.sales());
    repository.upsert(user, &sales).await.unwrap();
    let keys = sales.into_iter().map(|sale| sale.key).collect();
    each_deleted_once(stage.store, keys, move |store, key, _| async move {
        store.sales().delete(user, &key).await
    })
    .await;
}

pub async fn insights_are_purged_once(stage: Stage<'_>) {
    let outdated = crate::time::now();
    for _ in 0..RECORDS {
        let mut insight = NewInsight::new(InsightKind::TREND, serde_json::json!("up"));
        insight.valid_until = Some(outdated);
        let insights = stage.store.insights();
        insights.create(stage.user, insight).await.unwrap();
    }
    let shared = stage.store.clone();
    let purged = race(move |_| {
        let store = shared.clone();
        async move {
            let purge = || store.insights().delete_expired(outdated);
            settled(purge).await.unwrap()
        }
    })
    .await;
    assert_eq!(purged.iter().sum::<u64>(), u64::from(RECORDS), "{purged:?}");
}

pub async fn actuals_are_filled_once(stage: Stage<'_>) {
    let forecasts = (1..=RECORDS).map(|n| {
        let date = day(&format!("2024-03-{n:02}"));
        NewForecast::new(date, "9".parse().unwrap())
    });
    let forecasts = stage
        .store
        .forecasts()
        .create(stage.user, forecasts.collect());
    forecasts.await.unwrap();
    let (shared, user) = (stage.store.clone(), stage.user);
    let filled = race(move |_| {
        let store = shared.clone();
        async move {
            let days = Days::month(day("2024-03-01"));
            let fill = || store.forecasts().fill_actuals(user, days);
            settled(fill).await.unwrap()
        }
    })
    .await;
    assert_eq!(filled.iter().sum::<u64>(), u64::from(RECORDS), "{filled:?}");
}

pub async fn a_sale_written_at_once_is_inserted_once(stage: Stage<'_>) {
    let sales: Vec<_> = (1..=RECORDS)
        .map(|n| sale(stage.book, "kdp", &format!("2024-03-{n:02}"), "1"))
        .collect();
    let (shared, user) = (stage.store.clone(), stage.user);
    let counts = race(move |_| {
        let (store, sales) = (shared.clone(), sales.clone());
        async move {
            let write = || store.sales().upsert(user, &sales);
            settled(write).await.unwrap()
        }
    })
    .await;
    let inserted: u64 = counts.iter().map(|counts| counts.inserted).sum();
    let unchanged: u64 = counts.iter().map(|counts| counts.unchanged).sum();
    let rows = u64::from(RECORDS);
    assert_eq!(inserted, rows, "{counts:?}");
    assert_eq!(unchanged, rows * (THREADS as u64 - 1), "{counts:?}");
}
