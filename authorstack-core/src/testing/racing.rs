//! Calls that truly run at the same moment, each on a thread of its own.
//!
//! A future of the in-memory store never waits, so futures joined in one task run one after the
//! other there, and find no gap between a check and the write behind it.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use tokio::{runtime::Handle, task::spawn_blocking};

use super::author;
use crate::{
    Asin, AuthorStack, Error, ErrorKind, Feed, Id, NewBook, NewBoost, NewChecklist, NewCompetitor,
    NewPost, PageRequest, Platform, Result, User,
};

/// How many threads race.
pub const THREADS: usize = 6;

/// Makes a call on many threads, which begin at the same moment. It is told the thread's number.
/// The test needs a runtime with several threads.
pub async fn race<T, F>(call: impl Fn(usize) -> F + Send + Sync + 'static) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (start, call, runtime) = (
        Arc::new(Barrier::new(THREADS)),
        Arc::new(call),
        Handle::current(),
    );
    let run = move |number: usize| {
        let (start, call, runtime) = (Arc::clone(&start), Arc::clone(&call), runtime.clone());
        thread::spawn(move || {
            runtime.block_on(async {
                start.wait();
                call(number).await
            })
        })
    };
    let threads: Vec<_> = (0..THREADS).map(run).collect();
    let ended = spawn_blocking(|| threads.into_iter().map(|thread| thread.join().unwrap()));
    ended.await.unwrap().collect()
}

/// Repeats a call that met others, as a host does.
///
/// # Errors
/// Those of the call that are not to be repeated.
pub async fn settled<T, F>(call: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    loop {
        match call().await {
            Err(error) if error.is_retryable() => {}
            other => return other,
        }
    }
}

/// Every thread deletes every record. Each record is deleted once; every other call finds nothing.
pub async fn each_deleted_once<I, F>(
    store: &AuthorStack,
    ids: Vec<I>,
    delete: impl Fn(AuthorStack, I, usize) -> F + Send + Sync + 'static,
) where
    I: Clone + Send + Sync + 'static,
    F: Future<Output = Result<()>>,
{
    let (store, count) = (store.clone(), ids.len());
    let (ids, delete) = (Arc::new(ids), Arc::new(delete));
    let outcomes = race(move |thread| {
        let (store, ids, delete) = (store.clone(), Arc::clone(&ids), Arc::clone(&delete));
        async move {
            let mut outcomes = Vec::new();
            for id in ids.iter() {
                let call = || delete(store.clone(), id.clone(), thread);
                outcomes.push(settled(call).await.map_err(|error| error.kind().clone()));
            }
            outcomes
        }
    })
    .await;
    for record in 0..count {
        let of_one: Vec<_> = outcomes.iter().map(|thread| &thread[record]).collect();
        let deleted = of_one.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(deleted, 1, "{of_one:?}");
        let others = of_one.iter().filter_map(|outcome| outcome.as_ref().err());
        assert!(
            others.clone().all(|kind| *kind == ErrorKind::NotFound),
            "{of_one:?}"
        );
    }
}

/// How many records each case deletes.
const RECORDS: usize = 8;

fn asin(number: usize) -> Asin {
    format!("B{number:09}").parse().unwrap()
}

/// Competitors of a user are deleted by many threads. `count` of them.
pub async fn competitors_race(store: &AuthorStack, count: usize) {
    let ada = author(store, "ada").await.id;
    let mut ids = Vec::new();
    for number in 0..count {
        let new = NewCompetitor::new(asin(number));
        ids.push(store.competitors().create(ada, new).await.unwrap().id);
    }
    each_deleted_once(store, ids, move |store, id, _| async move {
        store.competitors().delete(ada, id).await
    })
    .await;
}

pub async fn a_competitor_is_deleted_once(store: &AuthorStack) {
    competitors_race(store, RECORDS).await;
}

pub async fn a_book_is_deleted_once(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let mut ids = Vec::new();
    for _ in 0..RECORDS {
        let book = store.books().create(ada, NewBook::new("Tide")).await;
        ids.push(book.unwrap().id);
    }
    each_deleted_once(store, ids, move |store, id, _| async move {
        store.books().delete(ada, id).await
    })
    .await;
}

pub async fn a_checklist_is_deleted_once(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let book = store.books().create(ada, NewBook::new("Tide")).await;
    let (book, mut ids) = (book.unwrap().id, Vec::new());
    for _ in 0..RECORDS {
        let new = NewChecklist::empty(book, "Launch");
        ids.push(store.checklists().create(ada, new).await.unwrap().id);
    }
    each_deleted_once(store, ids, move |store, id, _| async move {
        store.checklists().delete(ada, id).await
    })
    .await;
}

pub async fn a_post_is_deleted_once(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    let mut ids = Vec::new();
    for _ in 0..RECORDS {
        let post = store.community().create(ada, NewPost::new("Out now")).await;
        ids.push(post.unwrap().id);
    }
    each_deleted_once(store, ids, move |store, id, _| async move {
        store.community().delete(ada, id).await
    })
    .await;
}

/// By its author and by the post's author.
pub async fn a_comment_is_removed_once(store: &AuthorStack) {
    let users = [author(store, "ada").await.id, author(store, "bob").await.id];
    let post = store.community().create(users[0], NewPost::new("Out now"));
    let (post, mut ids) = (post.await.unwrap().id, Vec::new());
    for _ in 0..RECORDS {
        let comment = store
            .community()
            .comment(users[1], post, "Bravo".to_owned());
        ids.push(comment.await.unwrap().id);
    }
    each_deleted_once(store, ids, move |store, id, thread| async move {
        let community = store.community();
        community.delete_comment(users[thread % 2], post, id).await
    })
    .await;
    let view = store.community().get(users[0], post).await.unwrap();
    assert_eq!(view.comment_count, 0);
}

pub async fn a_user_is_deleted_once(store: &AuthorStack) {
    let mut ids: Vec<Id<User>> = Vec::new();
    for number in 0..RECORDS / 2 {
        let user = author(store, &format!("user{number}")).await.id;
        let book = store.books().create(user, NewBook::new("Tide")).await;
        book.unwrap();
        ids.push(user);
    }
    each_deleted_once(store, ids, move |store, id, _| async move {
        store.users().delete(id).await
    })
    .await;
}

pub async fn likes_follows_and_platforms_are_kept_once(store: &AuthorStack) {
    let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
    let post = store.community().create(ada, NewPost::new("Out now")).await;
    let post = post.unwrap().id;
    let shared = store.clone();
    let answers = race(move |_| {
        let store = shared.clone();
        async move {
            let likes = settled(|| store.community().like(bob, post)).await?;
            let follow = settled(|| store.follows().follow(bob, ada)).await?;
            settled(|| {
                let at = crate::time::now();
                store.users().connect_platform(bob, Platform::KDP, at)
            })
            .await?;
            Ok::<_, Error>((likes, follow))
        }
    })
    .await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|(likes, _)| *likes == 1), "{answers:?}");
    let first = &answers[0].1;
    assert!(answers.iter().all(|(_, it)| it == first), "{answers:?}");
    assert_eq!(store.follows().counts(ada).await.unwrap().followers, 1);
    let bob = store.users().get(bob).await.unwrap();
    assert_eq!(bob.connected_platforms.len(), 1);
    let feed = store.community();
    let feed = feed.feed(bob.id, Feed::Everyone, PageRequest::default());
    assert_eq!(feed.await.unwrap().items[0].like_count, 1);
}

pub async fn boosts_expire_once(store: &AuthorStack) {
    let ada = author(store, "ada").await.id;
    store.users().add_credits(ada, 1_000).await.unwrap();
    let book = store.books().create(ada, NewBook::new("Tide")).await;
    let (book, mut end) = (book.unwrap().id, crate::time::now());
    for _ in 0..RECORDS {
        let boost = NewBoost::new(book, 7, 10);
        let boost = store.boosts().purchase(ada, boost).await.unwrap();
        end = end.max(boost.expires_at);
    }
    let shared = store.clone();
    let expired = race(move |_| {
        let store = shared.clone();
        async move { settled(|| store.boosts().expire_due(end)).await.unwrap() }
    })
    .await;
    assert_eq!(
        expired.iter().map(|done| done.count).sum::<u64>(),
        RECORDS as u64,
        "{expired:?}"
    );
}
