//! Writes for users and books that do not exist. A stack that holds users answers alike on every
//! combination of stores; one without users cannot know.

use super::{Stage, currency, day, held, holds_users, sale, sync_logs::success};
use crate::{
    Conversion, Days, ErasedAnalytics, ErrorKind, Id, InsightKind, InsightScope, NewForecast,
    NewInsight, Platform, Result, services::SalesIngest, testing::users::assert_kind,
};

pub async fn an_ingest_for_nobody_is_not_found(stage: Stage<'_>) {
    let nobody = Id::new();
    let has_users = holds_users(stage.store).await;
    let dollars = Conversion::into(currency("USD"));
    let ingest = SalesIngest::new(stage.store);
    for sales in [
        Vec::new(),
        vec![sale(stage.book, "kdp", "2024-03-01", "1")],
        vec![sale(stage.book, "gumroad", "2024-03-01", "1")],
    ] {
        let run = ingest.run(nobody, &Platform::KDP, sales, &dollars).await;
        if has_users {
            assert_kind!(run, ErrorKind::NotFound);
        } else {
            run.unwrap();
        }
    }
    if has_users {
        assert_eq!(held(stage.store, nobody).await, ErasedAnalytics::default());
    }
}

pub async fn nothing_is_written_for_nobody(stage: Stage<'_>) {
    let (store, nobody) = (stage.store, Id::new());
    let has_users = holds_users(store).await;
    let dollars = Conversion::into(currency("USD"));
    let sales = [sale(stage.book, "kdp", "2024-03-01", "1")];
    let forecast = NewForecast::new(day("2024-03-01"), "9".parse().unwrap());
    let insight = NewInsight::new(InsightKind::TREND, serde_json::json!("up"));
    let days = Days::month(day("2024-03-01"));
    let answers: [(&str, Result<()>); 7] = [
        (
            "an empty batch",
            store.sales().upsert(nobody, &[]).await.map(drop),
        ),
        (
            "sales",
            store.sales().upsert(nobody, &sales).await.map(drop),
        ),
        (
            "a refresh",
            store
                .aggregates()
                .refresh(nobody, days, &dollars)
                .await
                .map(drop),
        ),
        (
            "a log",
            store.sync_logs().create(nobody, success()).await.map(drop),
        ),
        (
            "an insight",
            store.insights().create(nobody, insight).await.map(drop),
        ),
        (
            "no forecasts",
            store.forecasts().create(nobody, Vec::new()).await.map(drop),
        ),
        (
            "a forecast",
            store
                .forecasts()
                .create(nobody, vec![forecast])
                .await
                .map(drop),
        ),
    ];
    for (what, answer) in answers {
        match answer {
            Err(error) if has_users => assert!(error.is_not_found(), "{what}: {error:?}"),
            answer => assert_eq!(answer.is_ok(), !has_users, "{what}"),
        }
    }
    if has_users {
        assert_eq!(held(store, nobody).await, ErasedAnalytics::default());
    }
}

pub async fn an_insight_is_about_a_book_of_the_user(stage: Stage<'_>) {
    let insights = stage.store.insights();
    if !holds_users(stage.store).await {
        return;
    }
    let about = |book| {
        let mut insight = NewInsight::new(InsightKind::TREND, serde_json::json!("up"));
        insight.book_id = Some(book);
        insight
    };
    let unknown = Id::new();
    assert_kind!(
        insights.create(stage.user, about(unknown)).await,
        ErrorKind::NotFound
    );
    assert_kind!(
        insights.create(stage.stranger, about(stage.book)).await,
        ErrorKind::NotFound
    );
    for (user, book) in [(stage.user, unknown), (stage.stranger, stage.book)] {
        let scope = InsightScope::Book(book);
        let found = insights.latest(user, scope, &InsightKind::TREND, crate::time::now());
        assert_kind!(found.await, ErrorKind::NotFound);
    }
    let put = insights
        .create(stage.user, about(stage.book))
        .await
        .unwrap();
    assert_eq!(put.book_id, Some(stage.book));
}
