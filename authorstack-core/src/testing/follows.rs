//! The cases of [`FollowRepository`](crate::FollowRepository).

use futures::future::join_all;

use super::{author, clock_moved, users::assert_kind};
use crate::{AuthorStack, ErrorKind, FollowCounts, Id, Order, PageRequest};

pub async fn following_twice_is_one_follow(store: &AuthorStack) {
    let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
    let follows = store.follows();
    assert!(!follows.is_following(ada, bob).await.unwrap());
    let first = follows.follow(ada, bob).await.unwrap();
    assert_eq!((first.follower_id, first.author_id), (ada, bob));
    assert_eq!(follows.follow(ada, bob).await.unwrap(), first);
    assert!(follows.is_following(ada, bob).await.unwrap());
    assert!(!follows.is_following(bob, ada).await.unwrap());
    let counts = FollowCounts {
        followers: 1,
        following: 0,
    };
    assert_eq!(follows.counts(bob).await.unwrap(), counts);
}

pub async fn a_follow_repeated_later_is_the_first(store: &AuthorStack) {
    let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
    let follows = store.follows();
    let first = follows.follow(ada, bob).await.unwrap();
    clock_moved().await;
    assert_eq!(follows.follow(ada, bob).await.unwrap(), first);
    let page = follows.followers(bob, PageRequest::default()).await;
    assert_eq!(page.unwrap().items, std::slice::from_ref(&first));
    follows.unfollow(ada, bob).await.unwrap();
    clock_moved().await;
    let anew = follows.follow(ada, bob).await.unwrap();
    assert!(anew.created_at > first.created_at, "a new follow is new");
}

pub async fn unfollowing_twice_is_no_error(store: &AuthorStack) {
    let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
    let follows = store.follows();
    follows.follow(ada, bob).await.unwrap();
    follows.unfollow(ada, bob).await.unwrap();
    follows.unfollow(ada, bob).await.unwrap();
    follows.unfollow(Id::new(), Id::new()).await.unwrap();
    assert_eq!(follows.counts(bob).await.unwrap(), FollowCounts::default());
}

pub async fn nobody_follows_themselves_or_nobody(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let follows = store.follows();
    let refused = follows.follow(ada, ada).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "authorId");
    assert_kind!(follows.follow(ada, Id::new()).await, ErrorKind::NotFound);
    assert_kind!(follows.follow(Id::new(), ada).await, ErrorKind::NotFound);
    assert_eq!(follows.counts(ada).await.unwrap(), FollowCounts::default());
}

pub async fn follows_at_once_are_one(store: &AuthorStack) {
    let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
    let follows = store.follows();
    let calls = (0..20).map(|_| follows.follow(ada, bob));
    let made: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(made.iter().all(|follow| *follow == made[0]), "{made:?}");
    assert_eq!(follows.counts(ada).await.unwrap().following, 1);
}

pub async fn pages_walk_followers_and_following(store: &AuthorStack) {
    let star = author(store, "star").await.id;
    let follows = store.follows();
    let mut fans = Vec::new();
    for n in 0..5 {
        let fan = author(store, &format!("fan{n}")).await.id;
        fans.push(follows.follow(fan, star).await.unwrap());
        follows.follow(star, fan).await.unwrap();
    }
    let counts = FollowCounts {
        followers: 5,
        following: 5,
    };
    assert_eq!(follows.counts(star).await.unwrap(), counts);
    let mut request = PageRequest::first(2).order(Order::OldestFirst);
    let mut found = Vec::new();
    loop {
        let page = follows.followers(star, request.clone()).await.unwrap();
        found.extend(page.items);
        match page.next {
            Some(cursor) => request = request.after(cursor),
            None => break,
        }
    }
    assert_eq!(found, fans);
    let newest = follows
        .following(star, PageRequest::first(1))
        .await
        .unwrap();
    assert_eq!(newest.items[0].author_id, fans[4].follower_id);
    assert!(newest.next.is_some());
}
