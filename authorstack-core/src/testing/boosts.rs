//! The cases of [`BoostRepository`](crate::BoostRepository).

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::{author, users::assert_kind};
use crate::{AuthorStack, Book, Boost, ErrorKind, Id, NewBook, NewBoost, PageRequest, User};

/// A user with credits and a book.
async fn buyer(store: &AuthorStack, name: &str, credits: i64) -> (Id<User>, Id<Book>) {
    let user = author(store, name).await.id;
    if credits > 0 {
        store.users().add_credits(user, credits).await.unwrap();
    }
    let book = store.books().create(user, NewBook::new("Tide")).await;
    (user, book.unwrap().id)
}

fn start() -> DateTime<Utc> {
    "2024-05-01T12:00:00.250Z".parse().unwrap()
}

fn boost(book: Id<Book>, position: u32) -> NewBoost {
    let mut boost = NewBoost::new(book, 7, 30);
    (boost.position, boost.starts_at) = (Some(position), start());
    boost
}

async fn credits(store: &AuthorStack, user: Id<User>) -> i64 {
    store.users().get(user).await.unwrap().credits
}

pub async fn a_purchase_spends_and_creates(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 100).await;
    let before = store.users().get(user).await.unwrap();
    let mut new = boost(book, 3);
    new.extra.insert("campaign".to_owned(), "spring".into());
    let bought = store.boosts().purchase(user, new.clone()).await.unwrap();
    let expected = Boost {
        id: new.id,
        book_id: book,
        user_id: user,
        duration_days: 7,
        position: 3,
        credits_spent: 30,
        active: true,
        started_at: start(),
        expires_at: start() + TimeDelta::days(7),
        extra: new.extra,
    };
    assert_eq!(bought, expected);
    assert_eq!(store.boosts().get(user, bought.id).await.unwrap(), bought);
    let after = store.users().get(user).await.unwrap();
    assert_eq!(after.credits, 70);
    assert!(after.updated_at > before.updated_at);
}

pub async fn a_purchase_without_credits_changes_nothing(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 29).await;
    let refused = store.boosts().purchase(user, boost(book, 1)).await;
    assert_kind!(
        refused,
        ErrorKind::InsufficientCredits {
            balance: 29,
            needed: 30
        }
    );
    assert_eq!(credits(store, user).await, 29);
    let page = store
        .boosts()
        .list(user, PageRequest::default())
        .await
        .unwrap();
    assert_eq!(page.items, []);
}

pub async fn only_own_books_are_boosted(store: &AuthorStack) {
    let (ada, book) = buyer(store, "ada", 100).await;
    let (bob, _) = buyer(store, "bob", 100).await;
    let boosts = store.boosts();
    assert_kind!(
        boosts.purchase(bob, boost(book, 1)).await,
        ErrorKind::NotFound
    );
    assert_kind!(
        boosts.purchase(Id::new(), boost(book, 1)).await,
        ErrorKind::NotFound
    );
    assert_kind!(
        boosts.purchase(ada, boost(Id::new(), 1)).await,
        ErrorKind::NotFound
    );
    let bought = boosts.purchase(ada, boost(book, 1)).await.unwrap();
    assert_kind!(boosts.get(bob, bought.id).await, ErrorKind::NotFound);
    assert_eq!(credits(store, bob).await, 100);
}

pub async fn bad_purchases_are_invalid(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 100).await;
    let with = |change: &dyn Fn(&mut NewBoost)| {
        let mut new = boost(book, 1);
        change(&mut new);
        new
    };
    for (new, named) in [
        (with(&|new| new.duration_days = 0), "duration"),
        (
            with(&|new| new.duration_days = NewBoost::MOST_DAYS + 1),
            "duration",
        ),
        (with(&|new| new.credits = 0), "credits_spent"),
        (with(&|new| new.position = Some(0)), "position"),
        (
            with(&|new| drop(new.extra.insert("active".to_owned(), true.into()))),
            "active",
        ),
    ] {
        let refused = store.boosts().purchase(user, new).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == named);
    }
    assert_eq!(credits(store, user).await, 100);
}

pub async fn a_repeated_purchase_spends_once(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 100).await;
    let boosts = store.boosts();
    let new = boost(book, 1);
    let first = boosts.purchase(user, new.clone()).await.unwrap();
    assert_eq!(boosts.purchase(user, new.clone()).await.unwrap(), first);
    assert_eq!(credits(store, user).await, 70);
    assert_eq!(credits(store, user).await, 70);
}

pub async fn a_purchase_repeated_later_is_the_first(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 60).await;
    let boosts = store.boosts();
    let (wished, mut found) = (boost(book, 2), boost(book, 1));
    found.position = None;
    for new in [wished, found] {
        let first = boosts.purchase(user, new.clone()).await.unwrap();
        // A host that makes the purchase anew keeps the id only.
        for moved in [
            TimeDelta::milliseconds(1),
            TimeDelta::days(3),
            TimeDelta::days(400),
            TimeDelta::days(-400),
        ] {
            let mut again = NewBoost::new(book, 7, 30);
            (again.id, again.position) = (new.id, new.position);
            again.starts_at = start() + moved;
            let again = boosts.purchase(user, again).await.unwrap();
            assert_eq!(again, first, "{moved}");
        }
        let mut now = NewBoost::new(book, 7, 30);
        (now.id, now.position) = (new.id, new.position);
        assert_eq!(boosts.purchase(user, now).await.unwrap(), first);
        // Also when somebody holds the position at the later time, or the boost has ended.
        let (bob, bobs) = buyer(store, &format!("bob{}", first.position), 100).await;
        let mut behind = boost(bobs, first.position);
        behind.starts_at = first.expires_at;
        boosts.purchase(bob, behind).await.unwrap();
        let mut again = new.clone();
        again.starts_at = first.expires_at;
        assert_eq!(boosts.purchase(user, again.clone()).await.unwrap(), first);
        assert!(boosts.expire_due(first.expires_at).await.unwrap().count > 0);
        let ended = boosts.purchase(user, again).await.unwrap();
        assert_eq!(
            ended,
            Boost {
                active: false,
                ..first
            }
        );
    }
    assert_eq!(credits(store, user).await, 0, "each was paid once");
    let held = boosts.list(user, PageRequest::default()).await.unwrap();
    assert_eq!(held.items.len(), 2);
}

pub async fn another_purchase_under_the_same_id_is_a_conflict(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 100).await;
    let (bob, bobs) = buyer(store, "bob", 100).await;
    let other_book = store.books().create(user, NewBook::new("Ebb")).await;
    let other_book = other_book.unwrap().id;
    let boosts = store.boosts();
    let new = boost(book, 1);
    let first = boosts.purchase(user, new.clone()).await.unwrap();
    let with = |change: &dyn Fn(&mut NewBoost)| {
        let mut new = new.clone();
        change(&mut new);
        new
    };
    for (other, named) in [
        (with(&|new| new.book_id = other_book), "bookId"),
        (with(&|new| new.duration_days = 8), "duration"),
        (with(&|new| new.credits = 31), "credits_spent"),
        (with(&|new| new.position = Some(2)), "position"),
    ] {
        let refused = boosts.purchase(user, other).await.unwrap_err();
        assert!(!refused.is_retryable(), "{refused:?}");
        let ErrorKind::Conflict { reason } = refused.kind() else {
            panic!("{refused:?}");
        };
        assert!(reason.contains(named), "{reason}");
        // A client that obeys must not pay twice.
        assert!(reason.contains("send it as it was"), "{reason}");
        assert!(!reason.contains("choose another"), "{reason}");
    }
    let stolen = with(&|new| new.book_id = bobs);
    let refused = boosts.purchase(bob, stolen).await;
    assert_kind!(refused, ErrorKind::Conflict { .. });
    assert_eq!(boosts.get(user, first.id).await.unwrap(), first);
    assert_eq!(credits(store, user).await, 70);
    assert_eq!(credits(store, bob).await, 100);
}

pub async fn purchases_repeated_at_once_spend_once(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 100).await;
    let boosts = store.boosts();
    let new = boost(book, 1);
    let calls = join_all((0..10).map(|_| boosts.purchase(user, new.clone()))).await;
    for call in calls {
        match call {
            Ok(bought) => assert_eq!(bought.id, new.id),
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
    boosts.purchase(user, new).await.unwrap();
    assert_eq!(credits(store, user).await, 70);
}

pub async fn a_taken_position_is_a_conflict(store: &AuthorStack) {
    let (ada, book) = buyer(store, "ada", 100).await;
    let (bob, bobs) = buyer(store, "bob", 100).await;
    let boosts = store.boosts();
    let held = boosts.purchase(ada, boost(book, 1)).await.unwrap();
    let mut overlapping = boost(bobs, 1);
    overlapping.starts_at = held.expires_at - TimeDelta::milliseconds(1);
    let refused = boosts.purchase(bob, overlapping.clone()).await;
    assert_kind!(refused, ErrorKind::Conflict { .. });
    assert_eq!(credits(store, bob).await, 100, "nothing was spent");
    let mut behind = overlapping.clone();
    behind.id = Id::new();
    behind.starts_at = held.expires_at;
    boosts.purchase(bob, behind).await.unwrap();
    let mut before = boost(bobs, 1);
    before.starts_at = start() - TimeDelta::days(7);
    boosts.purchase(bob, before).await.unwrap();
    overlapping.position = Some(2);
    boosts.purchase(bob, overlapping).await.unwrap();
}

pub async fn positions_without_a_wish_fill_the_gaps(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 1_000).await;
    let boosts = store.boosts();
    for position in [1, 3] {
        boosts.purchase(user, boost(book, position)).await.unwrap();
    }
    let mut positions = Vec::new();
    for _ in 0..3 {
        let mut new = boost(book, 1);
        new.position = None;
        positions.push(boosts.purchase(user, new).await.unwrap().position);
    }
    assert_eq!(positions, [2, 4, 5]);
}

pub async fn the_leaderboard_is_of_a_moment(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 1_000).await;
    let boosts = store.boosts();
    let second = boosts.purchase(user, boost(book, 2)).await.unwrap();
    let first = boosts.purchase(user, boost(book, 1)).await.unwrap();
    let mut later = boost(book, 1);
    later.starts_at = first.expires_at;
    let later = boosts.purchase(user, later).await.unwrap();
    let board = |at| boosts.leaderboard(at, 10);
    assert_eq!(
        board(start()).await.unwrap(),
        [first.clone(), second.clone()]
    );
    assert_eq!(
        board(start() - TimeDelta::milliseconds(1)).await.unwrap(),
        []
    );
    assert_eq!(board(first.expires_at).await.unwrap(), [later]);
    let best = boosts.leaderboard(start(), 1).await.unwrap();
    assert_eq!(best.first(), Some(&first));
    assert_eq!(boosts.leaderboard(start(), 0).await.unwrap(), [first]);
}

pub async fn what_is_due_expires(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 1_000).await;
    let boosts = store.boosts();
    let bought = boosts.purchase(user, boost(book, 1)).await.unwrap();
    let mut long = boost(book, 2);
    long.duration_days = 30;
    let long = boosts.purchase(user, long).await.unwrap();
    let early = bought.expires_at - TimeDelta::milliseconds(1);
    assert_eq!(boosts.expire_due(early).await.unwrap().count, 0);
    assert_eq!(boosts.expire_due(bought.expires_at).await.unwrap().count, 1);
    assert_eq!(boosts.expire_due(bought.expires_at).await.unwrap().count, 0);
    assert!(!boosts.get(user, bought.id).await.unwrap().active);
    assert_eq!(boosts.leaderboard(start(), 10).await.unwrap(), [long]);
    // Its position is free again, even for the time that it once held.
    boosts.purchase(user, boost(book, 1)).await.unwrap();
}

pub async fn boosts_come_in_pages(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 1_000).await;
    let boosts = store.boosts();
    let mut made = Vec::new();
    for position in 1..6 {
        made.push(boosts.purchase(user, boost(book, position)).await.unwrap());
    }
    made.reverse();
    let (mut request, mut found) = (PageRequest::first(2), Vec::new());
    loop {
        let page = boosts.list(user, request.clone()).await.unwrap();
        found.extend(page.items);
        match page.next {
            Some(cursor) => request = request.after(cursor),
            None => break,
        }
    }
    assert_eq!(found, made);
}

/// Repeats a purchase that met others, as a host does.
async fn buy(store: &AuthorStack, user: Id<User>, new: NewBoost) -> Result<Boost, ErrorKind> {
    loop {
        match store.boosts().purchase(user, new.clone()).await {
            Err(error) if error.is_retryable() => {}
            other => return other.map_err(|error| error.kind().clone()),
        }
    }
}

pub async fn a_hundred_buyers_never_overdraw(store: &AuthorStack) {
    let (user, book) = buyer(store, "ada", 1_000).await;
    let calls = (1..=100).map(|position| buy(store, user, boost(book, position)));
    let mut bought = 0;
    for call in join_all(calls).await {
        match call {
            Ok(_) => bought += 1,
            Err(ErrorKind::InsufficientCredits { balance, needed }) => assert!(balance < needed),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(bought, 33, "a thousand credits are enough for so many");
    assert_eq!(credits(store, user).await, 10);
    let held = store.boosts().leaderboard(start(), 200).await.unwrap();
    assert_eq!(held.len(), 33);
}

pub async fn of_many_buyers_one_gets_the_position(store: &AuthorStack) {
    let mut buyers = Vec::new();
    for n in 0..15 {
        buyers.push(buyer(store, &format!("user{n}"), 50).await);
    }
    let calls = buyers
        .iter()
        .map(|(user, book)| buy(store, *user, boost(*book, 1)));
    let outcomes = join_all(calls).await;
    let won: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_ok()).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    for ((user, _), outcome) in buyers.iter().zip(&outcomes) {
        match outcome {
            Ok(_) => assert_eq!(credits(store, *user).await, 20),
            Err(kind) => {
                assert!(matches!(kind, ErrorKind::Conflict { .. }), "{kind:?}");
                assert_eq!(credits(store, *user).await, 50, "nothing was spent");
            }
        }
    }
}

pub async fn positions_found_at_once_differ(store: &AuthorStack) {
    let mut buyers = Vec::new();
    for n in 0..15 {
        buyers.push(buyer(store, &format!("user{n}"), 50).await);
    }
    let calls = buyers.iter().map(|(user, book)| {
        let mut new = boost(*book, 1);
        new.position = None;
        buy(store, *user, new)
    });
    let bought: Vec<Boost> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let positions: HashSet<u32> = bought.iter().map(|boost| boost.position).collect();
    assert_eq!(positions, (1..=15).collect());
}
