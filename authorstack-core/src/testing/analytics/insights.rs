use chrono::TimeDelta;
use serde_json::json;

use super::Stage;
use crate::{ErrorKind, InsightKind, InsightScope, NewInsight, Order, PageRequest, time};

fn insight(kind: InsightKind, text: &str) -> NewInsight {
    NewInsight::new(
        kind,
        json!({ "text": text, "nested": [1, 2.5, null, "\u{201c}"] }),
    )
}

pub async fn the_newest_valid_insight_of_a_kind_is_found(stage: Stage<'_>) {
    let insights = stage.store.insights();
    let now = time::now();
    let latest = |at| insights.latest(stage.user, InsightScope::User, &InsightKind::TREND, at);
    let none = latest(now).await.unwrap_err();
    assert!(none.is_not_found(), "{none}");

    let lasting = insights
        .create(stage.user, insight(InsightKind::TREND, "up"))
        .await
        .unwrap();
    let mut brief = insight(InsightKind::TREND, "down");
    brief.valid_until = Some(now + TimeDelta::hours(1));
    brief.confidence = Some("0.07".parse().unwrap());
    let brief = insights.create(stage.user, brief).await.unwrap();
    insights
        .create(stage.user, insight(InsightKind::PRICING, "4.99"))
        .await
        .unwrap();
    assert_eq!(latest(now).await.unwrap(), brief);
    // From the last moment on it is outdated.
    assert_eq!(latest(now + TimeDelta::hours(1)).await.unwrap(), lasting);
    let others = insights
        .latest(stage.stranger, InsightScope::User, &InsightKind::TREND, now)
        .await
        .unwrap_err();
    assert!(others.is_not_found(), "{others}");
}

pub async fn insights_of_the_user_and_of_books_are_apart(stage: Stage<'_>) {
    let insights = stage.store.insights();
    let now = time::now();
    let mut about_book = insight(InsightKind::TREND, "the book");
    about_book.book_id = Some(stage.book);
    let about_book = insights.create(stage.user, about_book).await.unwrap();
    let of_user = insights
        .latest(stage.user, InsightScope::User, &InsightKind::TREND, now)
        .await
        .unwrap_err();
    assert!(of_user.is_not_found(), "{of_user}");
    let scope = InsightScope::Book(stage.book);
    let found = insights
        .latest(stage.user, scope, &InsightKind::TREND, now)
        .await
        .unwrap();
    assert_eq!(found, about_book);
}

pub async fn what_is_outdated_is_purged(stage: Stage<'_>) {
    let insights = stage.store.insights();
    let now = time::now();
    for hours in [-2, -1, 0, 1] {
        let mut new = insight(InsightKind::FORECAST, "soon over");
        new.valid_until = Some(now + TimeDelta::hours(hours));
        insights.create(stage.user, new.clone()).await.unwrap();
        insights.create(stage.stranger, new).await.unwrap();
    }
    insights
        .create(stage.user, insight(InsightKind::FORECAST, "for ever"))
        .await
        .unwrap();
    assert_eq!(insights.delete_expired(now).await.unwrap(), 6);
    assert_eq!(insights.delete_expired(now).await.unwrap(), 0);
    let long_ago = now - TimeDelta::days(9);
    let left = insights
        .list_valid(stage.user, long_ago, PageRequest::first(9))
        .await
        .unwrap();
    assert_eq!(left.items.len(), 2);
}

pub async fn valid_insights_come_in_pages(stage: Stage<'_>) {
    let insights = stage.store.insights();
    let now = time::now();
    let mut made = Vec::new();
    for n in 0..5 {
        let mut new = insight(InsightKind::PRICING, &n.to_string());
        new.valid_until = (n == 1).then_some(now);
        new.book_id = (n == 2).then_some(stage.book);
        made.push(insights.create(stage.user, new).await.unwrap());
    }
    made.remove(1);
    let mut seen = Vec::new();
    let mut request = PageRequest::first(2).order(Order::OldestFirst);
    loop {
        let page = insights.list_valid(stage.user, now, request).await.unwrap();
        seen.extend(page.items);
        let Some(next) = page.next else { break };
        request = PageRequest::first(2).order(Order::OldestFirst).after(next);
    }
    assert_eq!(seen, made);
}

pub async fn nul_in_an_insight_is_invalid(stage: Stage<'_>) {
    let insights = stage.store.insights();
    for content in [
        json!("a\0"),
        json!({ "x": [{ "y": "\0" }] }),
        json!({ "\0": 1 }),
    ] {
        let new = NewInsight::new(InsightKind::TREND, content);
        let error = insights.create(stage.user, new).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid { field, .. } if field.starts_with("content")),
            "{error}"
        );
    }
}
