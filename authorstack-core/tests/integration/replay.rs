//! What a replay loads, and what it refuses.

use std::sync::Arc;

use authorstack_core::{
    Error, ErrorKind, Extra, MemoryStore, Result, User, UserPatch, is_unseen,
    migrate::{
        BatchLimits, Counts, Destination, Difference, DifferenceKind, Kind, Ledger, Load, Problem,
        Problems, Record, RefusedLine, Reject, RejectLine, Rejected, Report, RunOptions, Silent,
        Snapshot, Status, Step, TransactionalSink, replay, run,
    },
    testing::new_author,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

fn arc(store: &MemoryStore) -> Arc<MemoryStore> {
    Arc::new(store.clone())
}

fn into(store: &MemoryStore) -> Destination {
    Destination::transactional(arc(store))
}

const fn counts(read: u64, written: u64, unchanged: u64, rejected: u64) -> Counts {
    Counts {
        read,
        written,
        unchanged,
        rejected,
    }
}

async fn all(store: &MemoryStore, kind: Kind) -> Vec<Record> {
    let scan = store.scan(kind, None, BatchLimits::default());
    let batches: Vec<_> = scan.try_collect().await.unwrap();
    let items = batches.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.outcome.unwrap()).collect()
}

/// A source with one user who holds the address of a user of the target, and secrets in `extra`.
async fn one_reject() -> (MemoryStore, MemoryStore, User) {
    let source = MemoryStore::new();
    let mut ada = new_author("ada");
    let platforms = json!([
        {"name": "kdp", "refreshToken": "token-of-kdp"},
        {"name": "apple", "refreshToken": "token-of-apple"},
    ]);
    ada.extra = Extra::from_iter([
        ("legacyPlatforms".to_owned(), platforms),
        ("passwordHash".to_owned(), json!("old-hash")),
    ]);
    let ada = source.stack().users().create(ada).await.unwrap();
    let target = MemoryStore::new();
    let mut holder = new_author("holder");
    holder.email = ada.email.clone();
    target.stack().users().create(holder).await.unwrap();
    (source, target, ada)
}

/// Both forms of a destination: the ledger in the target itself, or elsewhere.
fn both(target: &MemoryStore) -> [Destination; 2] {
    let elsewhere = MemoryStore::new();
    [
        into(target),
        Destination::paired(arc(target), arc(&elsewhere)),
    ]
}

async fn open_lines(to: &Destination) -> Vec<RejectLine> {
    let rejects: Vec<Vec<Reject>> = to.rejects().try_collect().await.unwrap();
    let lines = rejects.concat().into_iter();
    lines.map(|reject| reject.to_line().unwrap()).collect()
}

/// The unknown fields of a line's record.
fn unknown(line: &mut RejectLine) -> &mut Extra {
    let fields = line.record.as_object_mut().unwrap();
    if fields.contains_key("extra") {
        return fields["extra"].as_object_mut().unwrap();
    }
    fields
}

async fn replay_lines(source: &MemoryStore, to: &Destination, lines: &[RejectLine]) -> Report {
    let lines: Vec<Result<RejectLine>> = lines.iter().cloned().map(Ok).collect();
    let lines = stream::iter(lines).boxed();
    replay(arc(source), to, lines, &Silent).await.unwrap()
}

#[tokio::test]
async fn secrets_come_back_to_the_entry_that_they_belong_to() {
    for form in 0..2 {
        let (source, target, ada) = one_reject().await;
        let to = &both(&target)[form];
        run(arc(&source), to, &RunOptions::default(), &Silent)
            .await
            .unwrap();
        let mut lines = open_lines(to).await;
        assert!(!format!("{lines:?}").contains("token-of"), "{lines:?}");

        // A mark under another name is refused, and the line's own reject stays open.
        let mut renamed = lines.clone();
        renamed[0].record["email"] = "ada.other@example.org".into();
        let fields = unknown(&mut renamed[0]);
        let hash = fields.remove("passwordHash").unwrap();
        fields.insert("bio".to_owned(), hash);
        let report = replay_lines(&source, to, &renamed).await;
        assert_eq!(report.kinds[0].counts, counts(1, 0, 0, 1));
        let open = open_lines(to).await;
        assert!(open[0].problems.0[0].field.ends_with("bio"), "{open:?}");
        assert!(target.stack().users().get(ada.id).await.is_err());

        // The first entry is deleted: the second one keeps its own token.
        lines[0].record["email"] = "ada.other@example.org".into();
        unknown(&mut lines[0])["legacyPlatforms"]
            .as_array_mut()
            .unwrap()
            .remove(0);
        let report = replay_lines(&source, to, &lines).await;
        assert_eq!(
            report.kinds[0].counts,
            counts(1, 1, 0, 0),
            "{:?}",
            open_lines(to).await
        );
        let moved = target.stack().users().get(ada.id).await.unwrap();
        let expected = json!([{"name": "apple", "refreshToken": "token-of-apple"}]);
        assert_eq!(moved.extra["legacyPlatforms"], expected);
        assert_eq!(moved.extra["passwordHash"], "old-hash");
    }
}

#[tokio::test]
async fn a_line_of_a_record_that_has_changed_in_the_source_is_not_loaded() {
    for form in 0..2 {
        let (source, target, ada) = one_reject().await;
        let to = &both(&target)[form];
        run(arc(&source), to, &RunOptions::default(), &Silent)
            .await
            .unwrap();
        let mut lines = open_lines(to).await;
        lines[0].record["email"] = "ada.other@example.org".into();
        let patch = UserPatch {
            name: Some("Countess".to_owned()),
            ..UserPatch::default()
        };
        source.stack().users().update(ada.id, patch).await.unwrap();
        let report = replay_lines(&source, to, &lines).await;
        assert_eq!(report.kinds[0].counts, counts(1, 0, 0, 1));
        assert!(target.stack().users().get(ada.id).await.is_err());
        let open = open_lines(to).await;
        assert!(
            open[0].reason.contains("has changed in the source"),
            "{open:?}"
        );

        source.stack().users().delete(ada.id).await.unwrap();
        let report = replay_lines(&source, to, &lines).await;
        assert_eq!(report.kinds[0].counts, counts(1, 0, 0, 1));
        let open = open_lines(to).await;
        assert!(
            open[0].reason.contains("no longer in the source"),
            "{open:?}"
        );
    }
}

#[tokio::test]
async fn only_open_rejects_are_replayed() {
    for form in 0..2 {
        let (source, target, ada) = one_reject().await;
        let bob = source
            .stack()
            .users()
            .create(new_author("bob"))
            .await
            .unwrap();
        let to = &both(&target)[form];
        run(arc(&source), to, &RunOptions::default(), &Silent)
            .await
            .unwrap();
        let mut lines = open_lines(to).await;
        assert_eq!(lines.len(), 1);

        // Lines for a user who was never rejected, with and without the digest of a reject.
        let users = target.stack();
        let before = users.users().get(bob.id).await.unwrap();
        let mut forged = lines[0].clone();
        forged.key = bob.id.to_string();
        forged.record = serde_json::to_value(&before).unwrap();
        forged.record["credits"] = 1_000_000.into();
        let mut other = forged.clone();
        other.source_digest = "00".repeat(32);
        let mut hostile = forged.clone();
        hostile.key = r#"{"$ne":null}"#.to_owned();
        // The key and the digest of the reject, and the other user's id.
        let mut stolen = lines[0].clone();
        stolen.record = forged.record.clone();
        let mut kind = lines[0].clone();
        kind.kind = Kind::Books;
        let report = replay_lines(&source, to, &[forged, other, hostile, stolen, kind]).await;
        assert_eq!(report.status, Status::Incomplete);
        assert_eq!(report.kinds[0].counts, counts(4, 0, 0, 4));
        assert_eq!(report.kinds[1].counts, counts(1, 0, 0, 1));
        assert_eq!(report.refused.len(), 4, "{:?}", report.refused);
        assert_eq!(users.users().get(bob.id).await.unwrap(), before);
        assert_eq!(open_lines(to).await.len(), 1, "forged lines are not kept");

        // A settled line changes nothing any more.
        lines[0].record["email"] = "ada.other@example.org".into();
        let report = replay_lines(&source, to, &lines).await;
        assert_eq!(report.kinds[0].counts, counts(1, 1, 0, 0));
        users.users().add_credits(ada.id, 500).await.unwrap();
        let live = users.users().get(ada.id).await.unwrap();
        let report = replay_lines(&source, to, &lines).await;
        assert_eq!(report.kinds[0].counts, counts(1, 0, 1, 0));
        assert_eq!(report.status, Status::Complete);
        assert_eq!(users.users().get(ada.id).await.unwrap(), live);
        // With another digest it is refused.
        lines[0].source_digest = "11".repeat(32);
        let report = replay_lines(&source, to, &lines).await;
        assert_eq!(report.kinds[0].counts, counts(1, 0, 0, 1));
        assert_eq!(users.users().get(ada.id).await.unwrap(), live);
    }
}

#[tokio::test]
async fn two_lines_of_one_reject_load_once() {
    let (source, target, ada) = one_reject().await;
    let to = into(&target);
    run(arc(&source), &to, &RunOptions::default(), &Silent)
        .await
        .unwrap();
    let mut lines = open_lines(&to).await;
    lines[0].record["email"] = "first@example.org".into();
    lines.push(lines[0].clone());
    lines[1].record["email"] = "second@example.org".into();
    let report = replay_lines(&source, &to, &lines).await;
    assert_eq!(report.kinds[0].counts, counts(2, 1, 1, 0));
    let moved = target.stack().users().get(ada.id).await.unwrap();
    assert_eq!(moved.email.as_str(), "first@example.org");
}

#[tokio::test]
async fn a_ledger_settles_only_what_is_open() {
    let (source, target, _) = one_reject().await;
    let to = into(&target);
    run(arc(&source), &to, &RunOptions::default(), &Silent)
        .await
        .unwrap();
    let rejects: Vec<Vec<Reject>> = Ledger::rejects(&target).try_collect().await.unwrap();
    let reject = rejects.concat().remove(0);
    let mut stranger = Rejected {
        key: reject.key.clone(),
        source_digest: [9; 32],
    };
    let load = |rejects: &[Rejected]| {
        let rejects = rejects.to_vec();
        let target = target.clone();
        async move {
            let user = new_author("eve").into_user();
            let load = Load {
                set_aside: &[],
                kind: Kind::Users,
                records: &[user.into()],
                rejects: &[],
                from: None,
                reject: &|_, problems| panic!("{problems}"),
                step: Step::Replay { rejects: &rejects },
            };
            target.load(&load).await
        }
    };
    let before = all(&target, Kind::Users).await;
    let error = load(std::slice::from_ref(&stranger)).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    assert_eq!(all(&target, Kind::Users).await, before);
    stranger.source_digest = reject.source_digest;
    assert_eq!(
        load(std::slice::from_ref(&stranger)).await.unwrap().counts,
        counts(1, 1, 0, 0)
    );
    assert!(load(&[stranger]).await.is_err(), "it is settled");
}

#[test]
fn people_see_no_control_characters() {
    let hostile = "\u{1b}]0;pwned\u{7}\u{9b}2J\u{202e}\u{200b}\r\n".repeat(100_000);
    let problem = Problem::new(hostile.clone(), hostile.clone());
    let line = RefusedLine {
        kind: Kind::Users,
        key: hostile.clone(),
        reason: "why".to_owned(),
    };
    let difference = Difference {
        key: hostile.clone(),
        difference: DifferenceKind::Differs {
            fields: vec![hostile.clone(); 100],
        },
    };
    let error = Error::unavailable(hostile.clone()).for_record(hostile);
    for text in [
        problem.to_string(),
        Problems(vec![problem]).to_string(),
        line.to_string(),
        difference.to_string(),
        error.to_string(),
    ] {
        assert!(!text.chars().any(is_unseen), "{text:?}");
        assert!(text.chars().count() < 6_000, "{}", text.len());
    }
}
