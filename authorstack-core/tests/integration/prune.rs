//! What a prune removes and what it leaves, between stores in memory.

use std::sync::Arc;

use authorstack_core::{
    MemoryStore, NewBook, PageRequest,
    migrate::{
        Destination, DifferenceKind, Kind, RunOptions, Silent, Status, Verification, prune, run,
        verify,
    },
    testing::author,
};

fn to(target: &MemoryStore) -> Destination {
    Destination::transactional(Arc::new(target.clone()))
}

async fn pruned(source: &MemoryStore, target: &MemoryStore) -> Verification {
    let source = Arc::new(source.clone());
    let found = prune(source, &to(target), Kind::ALL, &Silent).await;
    found.unwrap()
}

fn removed(found: &Verification) -> u64 {
    found.kinds.iter().map(|kind| kind.pruned).sum()
}

/// Two users with a book each, moved.
async fn moved() -> (MemoryStore, MemoryStore) {
    let (source, target) = (MemoryStore::new(), MemoryStore::new());
    for name in ["ann", "bob"] {
        let user = author(&source.stack(), name).await.id;
        let book = NewBook::new(name);
        source.stack().books().create(user, book).await.unwrap();
    }
    let from = Arc::new(source.clone());
    let report = run(from, &to(&target), &RunOptions::default(), &Silent).await;
    assert_eq!(report.unwrap().status, Status::Complete);
    (source, target)
}

#[tokio::test]
async fn what_is_gone_from_the_source_is_removed() {
    let (source, target) = moved().await;
    let users = source
        .stack()
        .users()
        .list(PageRequest::default())
        .await
        .unwrap();
    let (gone, stays) = (users.items[0].id, users.items[1].id);
    source.stack().users().delete(gone).await.unwrap();
    let late = NewBook::new("late");
    let late = target.stack().books().create(stays, late).await.unwrap();

    let found = verify(Arc::new(source.clone()), &to(&target), Kind::ALL, &Silent).await;
    let found = found.unwrap();
    let differs = |kind: usize| -> Vec<&DifferenceKind> {
        let differences = found.kinds[kind].differences.iter();
        differences.map(|it| &it.difference).collect()
    };
    assert_eq!(differs(0), [&DifferenceKind::GoneFromSource]);
    assert_eq!(
        differs(1),
        [
            &DifferenceKind::GoneFromSource,
            &DifferenceKind::OnlyInTarget
        ]
    );

    let found = pruned(&source, &target).await;
    assert_eq!(removed(&found), 2);
    let left = &found.kinds[1].differences;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, late.id.to_string());
    assert!(target.stack().users().get(stays).await.is_ok());
    assert_eq!(removed(&pruned(&source, &target).await), 0);
}

/// A user who wrote a book in the target keeps it, and stays.
#[tokio::test]
async fn what_others_refer_to_is_kept() {
    let (source, target) = moved().await;
    let users = source
        .stack()
        .users()
        .list(PageRequest::default())
        .await
        .unwrap();
    let gone = users.items[0].id;
    source.stack().users().delete(gone).await.unwrap();
    let late = NewBook::new("late");
    target.stack().books().create(gone, late).await.unwrap();
    let found = pruned(&source, &target).await;
    assert_eq!((found.kinds[0].pruned, found.kinds[1].pruned), (0, 1));
    assert_eq!(found.kinds[0].differences[0].key, gone.to_string());
    assert!(target.stack().users().get(gone).await.is_ok());
}

#[tokio::test]
async fn an_empty_or_another_source_removes_nothing() {
    let (source, target) = moved().await;
    let users = source
        .stack()
        .users()
        .list(PageRequest::default())
        .await
        .unwrap();
    for user in &users.items {
        source.stack().users().delete(user.id).await.unwrap();
    }
    assert_eq!(removed(&pruned(&source, &target).await), 0);
    let other = MemoryStore::new();
    author(&other.stack(), "other").await;
    assert_eq!(removed(&pruned(&other, &target).await), 0);
    assert_eq!(removed(&pruned(&MemoryStore::new(), &target).await), 0);
}
