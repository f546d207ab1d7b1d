use futures::future::join_all;

use super::{FILLED, Stage, currency, day, fill_analytics, held, holds_users, moment, sale};
use crate::{
    Conversion, Days, ErasedAnalytics, Id, InsightKind, NewForecast, NewInsight, PageRequest,
    Platform,
    services::{Erasure, SalesIngest},
    testing::racing::settled,
};

/// Analytics of the stranger, who has no book.
async fn fill_strangers(stage: Stage<'_>) -> ErasedAnalytics {
    let (store, stranger) = (stage.store, stage.stranger);
    let ingest = SalesIngest::new(store);
    let sales = vec![sale(Id::new(), "kdp", "2024-03-01", "5")];
    let dollars = Conversion::into(currency("USD"));
    let run = ingest.run(stranger, &Platform::KDP, sales, &dollars);
    run.await.unwrap();
    let insight = NewInsight::new(InsightKind::TREND, serde_json::json!("up"));
    store.insights().create(stranger, insight).await.unwrap();
    let forecast = NewForecast::new(day("2024-03-01"), "3".parse().unwrap());
    let forecasts = store.forecasts().create(stranger, vec![forecast]);
    forecasts.await.unwrap();
    held(store, stranger).await
}

pub async fn erasing_a_user_leaves_nothing_of_them(stage: Stage<'_>) {
    let (store, user) = (stage.store, stage.user);
    let has_users = holds_users(store).await;
    fill_analytics(store, user, stage.book).await;
    let others = fill_strangers(stage).await;
    assert_eq!(held(store, user).await, FILLED);

    let erasure = Erasure::new(store);
    let report = erasure.run(user).await.unwrap();
    assert_eq!(report.analytics, Some(FILLED));
    assert_eq!(report.user, has_users.then_some(true));
    assert_eq!(held(store, user).await, ErasedAnalytics::default());
    if has_users {
        assert!(store.users().get(user).await.unwrap_err().is_not_found());
        let book = store.books().get(user, stage.book).await;
        assert!(book.unwrap_err().is_not_found());
    }
    assert_eq!(held(store, stage.stranger).await, others);

    let again = erasure.run(user).await.unwrap();
    assert_eq!(again.analytics, Some(ErasedAnalytics::default()));
    assert_eq!(again.user, has_users.then_some(false));
}

pub async fn an_erasure_that_broke_off_continues(stage: Stage<'_>) {
    let (store, user) = (stage.store, stage.user);
    let has_users = holds_users(store).await;
    fill_analytics(store, user, stage.book).await;
    // The first step, and a log that was written behind it.
    let first = store.erasure().erase_user(user).await.unwrap();
    assert_eq!(first, FILLED);
    let none = store.erasure().erase_user(user).await.unwrap();
    assert_eq!(none.total(), 0);
    let log = super::sync_logs::success();
    store.sync_logs().create(user, log).await.unwrap();

    let report = Erasure::new(store).run(user).await.unwrap();
    assert_eq!(report.analytics.map(|erased| erased.sync_logs), Some(1));
    assert_eq!(report.user, has_users.then_some(true));
    assert_eq!(held(store, user).await.total(), 0);
}

pub async fn erasures_at_once_end_alike(stage: Stage<'_>) {
    let (store, user) = (stage.store, stage.user);
    let has_users = holds_users(store).await;
    fill_analytics(store, user, stage.book).await;
    let erasure = Erasure::new(store);
    let runs = join_all((0..4).map(|_| settled(|| erasure.run(user)))).await;
    let runs: Vec<_> = runs.into_iter().map(Result::unwrap).collect();
    let deleted = runs.iter().filter(|report| report.user == Some(true));
    assert_eq!(deleted.count(), usize::from(has_users), "{runs:?}");
    assert_eq!(held(store, user).await.total(), 0);
}

pub async fn deleting_a_user_erases_their_analytics(stage: Stage<'_>) {
    let (store, user) = (stage.store, stage.user);
    fill_analytics(store, user, stage.book).await;
    let others = fill_strangers(stage).await;
    if !holds_users(store).await {
        // Nothing was erased by a call that could not be made.
        store.users().delete(user).await.unwrap_err();
        assert_eq!(held(store, user).await, FILLED);
        return;
    }
    store.users().delete(user).await.unwrap();
    assert_eq!(held(store, user).await, ErasedAnalytics::default());
    assert_eq!(held(store, stage.stranger).await, others);
    let again = store.users().delete(user).await.unwrap_err();
    assert!(again.is_not_found(), "{again:?}");
}

pub async fn deleting_a_book_erases_its_insights_only(stage: Stage<'_>) {
    let (store, user) = (stage.store, stage.user);
    fill_analytics(store, user, stage.book).await;
    let others = fill_strangers(stage).await;
    if holds_users(store).await {
        // Only the user's own calls reach their book.
        let stolen = store.books().delete(stage.stranger, stage.book).await;
        assert!(stolen.unwrap_err().is_not_found());
        assert_eq!(held(store, user).await, FILLED);
        store.books().delete(user, stage.book).await.unwrap();
    } else {
        let erased = store.erasure().erase_book(stage.stranger, stage.book);
        assert_eq!(erased.await.unwrap(), 0);
        let erased = store.erasure().erase_book(user, stage.book);
        assert_eq!(erased.await.unwrap(), 1);
    }
    let left = ErasedAnalytics {
        insights: 1,
        ..FILLED
    };
    assert_eq!(held(store, user).await, left);
    let insights = store.insights();
    let page = insights.list_valid(user, moment("2024-03-01"), PageRequest::first(9));
    let page = page.await.unwrap();
    assert!(page.items.iter().all(|insight| insight.book_id.is_none()));
    let rolled = store.aggregates().overview(user, Days::ALL, 5).await;
    assert_eq!(rolled.unwrap().books[0].0, stage.book);
    assert_eq!(held(store, stage.stranger).await, others);
}
