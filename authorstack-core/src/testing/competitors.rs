//! The cases of [`CompetitorRepository`](crate::CompetitorRepository).

use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::json;

use super::{author, clock_moved, users::assert_kind};
use crate::{
    AuthorStack, Change, Competitor, CompetitorPatch, Cursor, DateRange, ErrorKind, Id,
    NewCompetitor, Order, PageRequest, Price, PricePoint, User,
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(day: u32) -> DateTime<Utc> {
    at(&format!("2024-05-{day:02}T00:00:00.125Z"))
}

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

fn rival(asin: &str) -> NewCompetitor {
    NewCompetitor::new(asin.parse().unwrap())
}

async fn tracked(store: &AuthorStack) -> (Id<User>, Competitor) {
    let user = author(store, "ada").await.id;
    let tracked = store.competitors().create(user, rival("B08N5WRWNW")).await;
    (user, tracked.unwrap())
}

async fn history(
    store: &AuthorStack,
    user: Id<User>,
    id: Id<Competitor>,
    range: DateRange,
) -> Vec<PricePoint> {
    let (mut request, mut found) = (PageRequest::first(2).order(Order::OldestFirst), Vec::new());
    loop {
        let page = store
            .competitors()
            .history(user, id, range, request.clone())
            .await
            .unwrap();
        found.extend(page.items);
        match page.next {
            Some(cursor) => request = request.after(cursor),
            None => return found,
        }
    }
}

pub async fn every_field_of_a_competitor_survives(store: &AuthorStack) {
    let user = author(store, "ada").await.id;
    let mut new = rival("b08n5wrwnw");
    new.title = Some("$The 'Salt' Road".to_owned());
    new.author = Some("N. Öz".to_owned());
    new.genre = Some(String::new());
    new.currency = Some("EUR".parse().unwrap());
    new.extra = json!({"__v": 0, "marketplace": {"id": 7}})
        .as_object()
        .unwrap()
        .clone();
    let created = store.competitors().create(user, new.clone()).await.unwrap();
    assert_eq!(created.asin.as_str(), "B08N5WRWNW");
    assert_eq!((created.current_price, created.last_checked), (None, None));
    assert_eq!((&created.title, &created.extra), (&new.title, &new.extra));
    assert_eq!(
        store.competitors().get(user, created.id).await.unwrap(),
        created
    );
    let found = store
        .competitors()
        .get_by_asin(user, &new.asin)
        .await
        .unwrap();
    assert_eq!(found, created);
}

pub async fn an_asin_is_tracked_once_by_a_user(store: &AuthorStack) {
    let (ada, first) = tracked(store).await;
    let bob = author(store, "bob").await.id;
    let competitors = store.competitors();
    let refused = competitors.create(ada, rival("B08N5WRWNW")).await;
    assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "asin");
    let theirs = competitors.create(bob, rival("B08N5WRWNW")).await.unwrap();
    assert_ne!(theirs.id, first.id);
    assert_kind!(competitors.get(bob, first.id).await, ErrorKind::NotFound);
    let unknown = competitors.create(Id::new(), rival("B000000000")).await;
    assert_kind!(unknown, ErrorKind::NotFound);
    let other = "B000000000".parse().unwrap();
    assert_kind!(
        competitors.get_by_asin(ada, &other).await,
        ErrorKind::NotFound
    );
}

pub async fn an_asin_tracked_at_once_is_tracked_once(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let competitors = store.competitors();
    let calls = (0..15).map(|_| competitors.create(ada, rival("B08N5WRWNW")));
    let outcomes = join_all(calls).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let page = competitors.list(ada, PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

pub async fn a_patch_of_a_competitor_changes_its_fields(store: &AuthorStack) {
    let (user, created) = tracked(store).await;
    let competitors = store.competitors();
    let patch = CompetitorPatch {
        title: Change::Set("$Salt".to_owned()),
        currency: Change::Set("USD".parse().unwrap()),
        ..CompetitorPatch::default()
    };
    let changed = competitors.update(user, created.id, patch).await.unwrap();
    assert_eq!(changed.title.as_deref(), Some("$Salt"));
    let clear = CompetitorPatch {
        title: Change::Clear,
        ..CompetitorPatch::default()
    };
    let cleared = competitors.update(user, created.id, clear).await.unwrap();
    assert_eq!((cleared.title, cleared.currency), (None, changed.currency));
    let nothing = CompetitorPatch::default();
    competitors
        .update(user, created.id, nothing.clone())
        .await
        .unwrap();
    let missing = competitors.update(user, Id::new(), nothing).await;
    assert_kind!(missing, ErrorKind::NotFound);
}

pub async fn prices_out_of_order_keep_the_newest(store: &AuthorStack) {
    let (user, created) = tracked(store).await;
    let (competitors, id) = (store.competitors(), created.id);
    for (text, on, current, checked) in [
        ("4.99", 10, "4.99", 10),
        ("3.49", 5, "4.99", 10),
        ("5.25", 20, "5.25", 20),
        ("1", 15, "5.25", 20),
    ] {
        let noted = competitors
            .record_price(user, id, price(text), day(on))
            .await
            .unwrap();
        assert_eq!(noted.current_price, Some(price(current)));
        assert_eq!(noted.last_checked, Some(day(checked)));
        assert_eq!(competitors.get(user, id).await.unwrap(), noted);
    }
    let seen = history(store, user, id, DateRange::default()).await;
    let expected = [("3.49", 5), ("4.99", 10), ("1", 15), ("5.25", 20)];
    let expected = expected.map(|(text, on)| PricePoint::new(price(text), day(on)));
    assert_eq!(seen, expected);
    let missing = competitors
        .record_price(user, Id::new(), price("1"), day(1))
        .await;
    assert_kind!(missing, ErrorKind::NotFound);
}

pub async fn a_price_of_the_same_moment_is_replaced(store: &AuthorStack) {
    let (user, created) = tracked(store).await;
    let (competitors, id) = (store.competitors(), created.id);
    for text in ["4.99", "5.99"] {
        competitors
            .record_price(user, id, price(text), day(1))
            .await
            .unwrap();
    }
    let seen = history(store, user, id, DateRange::default()).await;
    assert_eq!(seen, [PricePoint::new(price("5.99"), day(1))]);
    let read = competitors.get(user, id).await.unwrap();
    assert_eq!(read.current_price, Some(price("5.99")));
}

pub async fn a_price_repeated_later_is_the_same_point(store: &AuthorStack) {
    let (user, created) = tracked(store).await;
    let (competitors, id) = (store.competitors(), created.id);
    let first = competitors.record_price(user, id, price("4.99"), day(1));
    let first = first.await.unwrap();
    clock_moved().await;
    let again = competitors.record_price(user, id, price("4.99"), day(1));
    assert_eq!(again.await.unwrap(), first);
    let seen = history(store, user, id, DateRange::default()).await;
    assert_eq!(seen, [PricePoint::new(price("4.99"), day(1))]);
}

pub async fn prices_are_exact(store: &AuthorStack) {
    let (user, created) = tracked(store).await;
    let competitors = store.competitors();
    let texts = [
        "0",
        "0.1",
        "0.3",
        "4.99",
        "1200",
        "0.000001",
        "123456789012.345",
    ];
    for (on, text) in (1..).zip(texts) {
        let noted = competitors.record_price(user, created.id, price(text), day(on));
        assert_eq!(
            noted.await.unwrap().current_price.unwrap().to_string(),
            text
        );
    }
    let seen = history(store, user, created.id, DateRange::default()).await;
    let seen: Vec<String> = seen.iter().map(|point| point.price.to_string()).collect();
    assert_eq!(seen, texts);
}

pub async fn history_comes_in_ranges_and_pages(store: &AuthorStack) {
    let (user, created) = tracked(store).await;
    let (competitors, id) = (store.competitors(), created.id);
    for on in [3, 1, 4, 2, 5] {
        let text = format!("{on}.5");
        competitors
            .record_price(user, id, price(&text), day(on))
            .await
            .unwrap();
    }
    let days = |points: Vec<PricePoint>| -> Vec<DateTime<Utc>> {
        points.into_iter().map(|point| point.date).collect()
    };
    let range = DateRange {
        from: Some(day(2)),
        until: Some(day(4)),
    };
    assert_eq!(
        days(history(store, user, id, range).await),
        [day(2), day(3)]
    );
    let between = DateRange {
        from: Some(day(2) + chrono::TimeDelta::microseconds(1)),
        until: None,
    };
    assert_eq!(
        days(history(store, user, id, between).await),
        [day(3), day(4), day(5)]
    );
    let newest = competitors
        .history(user, id, DateRange::default(), PageRequest::first(2))
        .await;
    let newest = newest.unwrap();
    assert_eq!(days(newest.items), [day(5), day(4)]);
    let request = PageRequest::first(2).after(newest.next.unwrap());
    let next = competitors
        .history(user, id, DateRange::default(), request)
        .await
        .unwrap();
    assert_eq!(days(next.items), [day(3), day(2)]);
    let bob = author(store, "bob").await.id;
    let page = PageRequest::default;
    let theirs = competitors
        .history(bob, id, DateRange::default(), page())
        .await;
    assert_kind!(theirs, ErrorKind::NotFound);
    let foreign = page().after(Cursor::behind(id));
    let refused = competitors
        .history(user, id, DateRange::default(), foreign)
        .await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "cursor");
}

pub async fn the_longest_unchecked_come_first(store: &AuthorStack) {
    let user = author(store, "ada").await.id;
    let competitors = store.competitors();
    let mut ids = Vec::new();
    for n in 0..5 {
        let tracked = competitors
            .create(user, rival(&format!("B00000000{n}")))
            .await;
        ids.push(tracked.unwrap().id);
    }
    competitors
        .mark_checked(user, ids[0], day(9))
        .await
        .unwrap();
    competitors
        .mark_checked(user, ids[1], day(3))
        .await
        .unwrap();
    competitors
        .record_price(user, ids[2], price("1"), day(2))
        .await
        .unwrap();
    let earlier = competitors
        .mark_checked(user, ids[0], day(1))
        .await
        .unwrap();
    assert_eq!(
        earlier.last_checked,
        Some(day(9)),
        "an earlier moment changes nothing"
    );
    let due = async |before, limit| {
        let due = competitors.due_for_check(before, limit).await.unwrap();
        due.into_iter().map(|rival| rival.id).collect::<Vec<_>>()
    };
    assert_eq!(due(day(9), 10).await, [ids[3], ids[4], ids[2], ids[1]]);
    assert_eq!(due(day(3), 10).await, [ids[3], ids[4], ids[2]]);
    assert_eq!(due(day(20), 3).await, [ids[3], ids[4], ids[2]]);
    assert_eq!(due(day(20), 0).await, [ids[3]]);
    let missing = competitors.mark_checked(user, Id::new(), day(1)).await;
    assert_kind!(missing, ErrorKind::NotFound);
}

pub async fn prices_at_once_are_all_kept(store: &AuthorStack) {
    let (user, created) = tracked(store).await;
    let competitors = store.competitors();
    let calls = (1..=20).map(|on| {
        let text = format!("{on}.25");
        competitors.record_price(user, created.id, price(&text), day(on))
    });
    for call in join_all(calls).await {
        call.unwrap();
    }
    let read = competitors.get(user, created.id).await.unwrap();
    assert_eq!(
        (read.current_price, read.last_checked),
        (Some(price("20.25")), Some(day(20)))
    );
    let seen = history(store, user, created.id, DateRange::default()).await;
    assert_eq!(seen.len(), 20);
}

pub async fn competitors_come_in_pages_and_go(store: &AuthorStack) {
    let user = author(store, "ada").await.id;
    let competitors = store.competitors();
    let mut made = Vec::new();
    for n in 0..3 {
        let tracked = competitors
            .create(user, rival(&format!("B00000000{n}")))
            .await;
        made.push(tracked.unwrap());
    }
    let request = PageRequest::first(2);
    let page = competitors.list(user, request.clone()).await.unwrap();
    assert_eq!(page.items, [made[2].clone(), made[1].clone()]);
    competitors
        .record_price(user, made[2].id, price("1"), day(1))
        .await
        .unwrap();
    competitors.delete(user, made[2].id).await.unwrap();
    assert_kind!(
        competitors.delete(user, made[2].id).await,
        ErrorKind::NotFound
    );
    let again = competitors.create(user, rival("B000000002")).await.unwrap();
    let seen = history(store, user, again.id, DateRange::default()).await;
    assert_eq!(seen, [], "the history went with the competitor");
    let page = competitors
        .list(user, request.after(page.next.unwrap()))
        .await
        .unwrap();
    assert_eq!((page.items, page.next), (vec![made[0].clone()], None));
}
