//! A verification that accepts rejects accepts exactly those that are listed.

use std::sync::Arc;

use authorstack_core::{
    ErrorKind, MemoryStore, UserPatch,
    migrate::{
        Acceptance, AcceptedRejects, Destination, Kind, Reject, RejectLine, RunOptions, Silent,
        Status, Unexpected, Verification, run, verify, verify_accepting,
    },
    testing::new_author,
};
use futures::{StreamExt, TryStreamExt, stream};

/// A source of which one user moves, and two hold the addresses of users of the target.
struct Case {
    source: MemoryStore,
    to: Destination,
    lines: Vec<RejectLine>,
}

async fn case() -> Case {
    let (source, target) = (MemoryStore::new(), MemoryStore::new());
    for name in ["ada", "bea", "cleo"] {
        source
            .stack()
            .users()
            .create(new_author(name))
            .await
            .unwrap();
    }
    for name in ["ada", "bea"] {
        target
            .stack()
            .users()
            .create(new_author(name))
            .await
            .unwrap();
    }
    let to = Destination::transactional(Arc::new(target));
    let options = RunOptions::default();
    let report = run(Arc::new(source.clone()), &to, &options, &Silent).await;
    assert_eq!(report.unwrap().status, Status::Incomplete);
    let rejects: Vec<Vec<Reject>> = to.rejects().try_collect().await.unwrap();
    let lines = rejects.concat().into_iter();
    let lines: Vec<RejectLine> = lines.map(|reject| reject.to_line().unwrap()).collect();
    assert_eq!(lines.len(), 2);
    Case { source, to, lines }
}

impl Case {
    async fn verify(&self, lines: &[RejectLine]) -> Verification {
        let lines: Vec<_> = lines.iter().cloned().map(Ok).collect();
        let accepted = AcceptedRejects::read(stream::iter(lines).boxed()).await;
        let source = Arc::new(self.source.clone());
        let kinds = [Kind::Users];
        let found = verify_accepting(source, &self.to, &kinds, accepted.unwrap(), &Silent).await;
        let found = found.unwrap();
        // The target's own users, which the source lacks, are beside the point.
        for kind in &found.kinds {
            assert_eq!(kind.report.differing, 2, "{found:?}");
        }
        found
    }
}

fn acceptance(found: &Verification) -> (u64, u64, u64, Vec<Unexpected>) {
    let Some(Acceptance {
        accepted,
        not_accepted,
        no_longer,
        examples,
    }) = &found.kinds[0].acceptance
    else {
        panic!("{found:?}");
    };
    let examples = examples.iter().map(|example| example.unexpected);
    (*accepted, *not_accepted, *no_longer, examples.collect())
}

#[tokio::test]
async fn the_listed_rejects_are_accepted_and_no_others() {
    let case = case().await;
    let found = case.verify(&case.lines).await;
    assert_eq!(acceptance(&found), (2, 0, 0, vec![]));

    let found = case.verify(&case.lines[1..]).await;
    assert_eq!(acceptance(&found), (1, 1, 0, vec![Unexpected::NotListed]));
    let key = &found.kinds[0].acceptance.as_ref().unwrap().examples[0].key;
    assert_eq!(*key, case.lines[0].key);

    let mut other = case.lines.clone();
    other[0].key = "0123456789abcdef01234567".to_owned();
    let found = case.verify(&other).await;
    let both = vec![Unexpected::NotListed, Unexpected::NoLonger];
    assert_eq!(acceptance(&found), (1, 1, 1, both));
}

#[tokio::test]
async fn a_changed_record_and_one_that_is_gone_are_not_accepted() {
    let case = case().await;
    let users = case.source.stack();
    let users = users.users();
    let id = case.lines[0].key.parse().unwrap();
    let patch = UserPatch {
        name: Some("Another".to_owned()),
        ..UserPatch::default()
    };
    users.update(id, patch).await.unwrap();
    let found = case.verify(&case.lines).await;
    assert_eq!(acceptance(&found), (1, 1, 0, vec![Unexpected::Changed]));

    users.delete(id).await.unwrap();
    let found = case.verify(&case.lines).await;
    assert_eq!(acceptance(&found), (1, 0, 1, vec![Unexpected::NoLonger]));
}

#[tokio::test]
async fn accepted_rejects_leave_a_verification_complete() {
    let (source, target) = (MemoryStore::new(), MemoryStore::new());
    source
        .stack()
        .users()
        .create(new_author("ada"))
        .await
        .unwrap();
    let holder = target.stack().users().create(new_author("ada")).await;
    let holder = holder.unwrap();
    let to = Destination::transactional(Arc::new(target.clone()));
    let from = Arc::new(source);
    let options = RunOptions::default();
    run(from.clone(), &to, &options, &Silent).await.unwrap();
    let rejects: Vec<Vec<Reject>> = to.rejects().try_collect().await.unwrap();
    let line = rejects.concat()[0].to_line().unwrap();
    target.stack().users().delete(holder.id).await.unwrap();

    let found = verify(from.clone(), &to, &[Kind::Users], &Silent)
        .await
        .unwrap();
    assert_eq!(found.status, Status::Incomplete);
    let accepted = |lines: &[&RejectLine]| {
        let mut accepted = AcceptedRejects::default();
        for line in lines {
            accepted.add(line).unwrap();
        }
        accepted
    };
    for (lines, status) in [
        (vec![&line], Status::Complete),
        (vec![], Status::Incomplete),
    ] {
        let lines = accepted(&lines);
        let found = verify_accepting(from.clone(), &to, &[Kind::Users], lines, &Silent).await;
        assert_eq!(found.unwrap().status, status);
    }
}

#[tokio::test]
async fn a_line_without_its_digest_is_named() {
    let mut line = case().await.lines.remove(0);
    let mut accepted = AcceptedRejects::default();
    accepted.add(&line).unwrap();
    accepted.add(&line).unwrap();
    for digest in [String::new(), "0".repeat(64)] {
        line.source_digest = digest;
        let error = accepted.add(&line).unwrap_err();
        let is_named = matches!(
            error.kind(),
            ErrorKind::Invalid { field, .. } if field == "source_digest"
        );
        assert!(is_named && error.to_string().contains(&line.key), "{error}");
    }
}
