//! MongoDB as what records are moved into.

use crate::common;

use std::sync::Arc;

use authorstack_core::{
    AuthorStack, CommentId, Id, MemoryStore, NewBook, NewBoost, NewChecklist, NewCompetitor,
    NewPost, NewTask, Page, PageRequest, PostPatch, User,
    migrate::{
        BatchLimits, Destination, Key, Kind, Record, RunOptions, ScannedBatch, Silent, Sink,
        SinkBatch, Snapshot, Status, repair, run, verify,
    },
    testing::{author, new_author},
};
use authorstack_mongo::MongoStore;
use bson::{doc, oid::ObjectId};
use common::{documents, on_empty, on_indexed};
use futures::TryStreamExt;
use serde_json::json;

/// Every kind of document, with unknown fields.
async fn filled(users: usize) -> MemoryStore {
    let store = MemoryStore::new();
    let stack = store.stack();
    let mut first = None;
    for n in 0..users {
        let user = author(&stack, &format!("user{n}")).await.id;
        stack.users().add_credits(user, 100).await.unwrap();
        let at = "2024-05-01T10:00:00Z".parse().unwrap();
        let kdp = authorstack_core::Platform::KDP;
        stack.users().connect_platform(user, kdp, at).await.unwrap();
        let mut book = NewBook::new(format!("Book {n}"));
        book.genres = vec!["Sea".to_owned(), "Salt".to_owned()];
        book.metadata.page_count = Some(312);
        book.metadata.extra.insert(
            "paper".to_owned(),
            json!({"grams": 90, "colour": [1.5, null]}),
        );
        book.extra.insert(
            "legacy".to_owned(),
            json!({"$oid": "6b0379ca3f6979be1a457c2c"}),
        );
        let book = stack.books().create(user, book).await.unwrap().id;
        let mut checklist = NewChecklist::empty(book, "Launch");
        checklist.tasks = vec![NewTask::new("Cover"), NewTask::new("Blurb")];
        stack.checklists().create(user, checklist).await.unwrap();
        let boost = NewBoost::new(book, 7, 30);
        stack.boosts().purchase(user, boost).await.unwrap();
        let post = if let Some(post) = first {
            post
        } else {
            let post = stack
                .community()
                .create(user, NewPost::new("Out now"))
                .await;
            let post = post.unwrap();
            first = Some((post.author_id, post.id));
            (post.author_id, post.id)
        };
        if post.0 != user {
            stack.follows().follow(user, post.0).await.unwrap();
        }
        stack.community().like(user, post.1).await.unwrap();
        for text in ["Bravo", "Encore"] {
            let comment = stack.community().comment(user, post.1, text.to_owned());
            comment.await.unwrap();
        }
        let asin = "B08N5WRWNW".parse().unwrap();
        let rival = stack
            .competitors()
            .create(user, NewCompetitor::new(asin))
            .await;
        let rival = rival.unwrap().id;
        for (price, at) in [
            ("4.99", "2024-05-01T00:00:00Z"),
            ("3.99", "2024-04-01T00:00:00Z"),
        ] {
            let (price, at) = (price.parse().unwrap(), at.parse().unwrap());
            let recorded = stack.competitors().record_price(user, rival, price, at);
            recorded.await.unwrap();
        }
    }
    store
}

async fn all(store: &impl Snapshot, kind: Kind) -> Vec<Record> {
    let scan = store.scan(kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
    let items = batches.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.outcome.unwrap()).collect()
}

fn documents_only() -> RunOptions {
    RunOptions {
        kinds: Kind::DOCUMENTS.to_vec(),
        limits: BatchLimits {
            records: 3,
            bytes: 1 << 20,
        },
    }
}

/// A destination in MongoDB, with its ledger in memory.
fn into(store: &MongoStore) -> Destination {
    Destination::paired(Arc::new(store.clone()), Arc::new(MemoryStore::new()))
}

#[tokio::test]
async fn documents_move_in_and_out_again_unchanged() {
    on_empty(async |fresh| {
        let mongo = &fresh.mongo;
        let source = filled(4).await;
        let (from, to) = (Arc::new(source.clone()), into(mongo));
        let report = run(from.clone(), &to, &documents_only(), &Silent).await;
        let report = report.unwrap();
        assert_eq!(report.status, Status::Complete, "{report:?}");
        for &kind in Kind::DOCUMENTS {
            assert_eq!(all(mongo, kind).await, all(&source, kind).await, "{kind}");
        }
        let again = run(from.clone(), &to, &documents_only(), &Silent).await;
        for (first, second) in report.kinds.iter().zip(again.unwrap().kinds) {
            assert_eq!(second.counts.unchanged, first.counts.read, "{second:?}");
        }
        let verified = verify(from, &to, Kind::DOCUMENTS, &Silent).await.unwrap();
        assert_eq!(verified.status, Status::Complete, "{verified:?}");

        // Out again, into another store.
        let back = MemoryStore::new();
        let out = Destination::transactional(Arc::new(back.clone()));
        let report = run(Arc::new(mongo.clone()), &out, &documents_only(), &Silent).await;
        assert_eq!(report.unwrap().status, Status::Complete);
        for &kind in Kind::DOCUMENTS {
            assert_eq!(all(&back, kind).await, all(&source, kind).await, "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn repair_copies_what_differs() {
    on_empty(async |fresh| {
        let mongo = &fresh.mongo;
        let source = Arc::new(filled(3).await);
        let to = into(mongo);
        run(source.clone(), &to, &documents_only(), &Silent)
            .await
            .unwrap();
        let posts = documents(mongo, "community_posts");
        let cut = doc! {"$set": {"likes": [], "content": "Changed"}};
        posts.update_many(doc! {}, cut).await.unwrap();
        documents(mongo, "books")
            .delete_many(doc! {})
            .await
            .unwrap();
        let prices = doc! {"$set": {"priceHistory.0.price": 1.0}};
        documents(mongo, "competitors")
            .update_many(doc! {}, prices)
            .await
            .unwrap();
        let found = verify(source.clone(), &to, Kind::DOCUMENTS, &Silent)
            .await
            .unwrap();
        assert_eq!(found.status, Status::Incomplete);
        let repaired = repair(source.clone(), &to, Kind::DOCUMENTS, &Silent)
            .await
            .unwrap();
        let written: u64 = repaired
            .kinds
            .iter()
            .map(|kind| kind.report.counts.written)
            .sum();
        assert_eq!(written, 1 + 3 + 3 + 3, "{repaired:?}");
        let verified = verify(source, &to, Kind::DOCUMENTS, &Silent).await.unwrap();
        assert_eq!(verified.status, Status::Complete, "{verified:?}");
    })
    .await;
}

#[tokio::test]
async fn a_post_that_is_written_again_keeps_its_likes_and_comments() {
    on_empty(async |fresh| {
        let mongo = &fresh.mongo;
        let source = filled(2).await;
        run(
            Arc::new(source.clone()),
            &into(mongo),
            &documents_only(),
            &Silent,
        )
        .await
        .unwrap();
        let Some(Record::Post(post)) = all(&source, Kind::CommunityPosts).await.pop() else {
            panic!("posts are posts");
        };
        let patch = PostPatch {
            content: Some("Edited".to_owned()),
            ..PostPatch::default()
        };
        let edited = source
            .stack()
            .community()
            .update(post.author_id, post.id, patch)
            .await;
        let batch = SinkBatch {
            kind: Kind::CommunityPosts,
            upserts: &[edited.unwrap().into()],
            removals: &[],
        };
        let applied = Sink::apply(mongo, &batch).await.unwrap();
        assert_eq!((applied.written, applied.unchanged), (1, 0));
        let seen = fresh
            .community()
            .get(post.author_id, post.id)
            .await
            .unwrap();
        assert_eq!(seen.post.content, "Edited");
        assert_eq!((seen.like_count, seen.comment_count), (2, 4));
        // The fields stand in the schema's order still.
        let held = documents(mongo, "community_posts")
            .find_one(doc! {})
            .await
            .unwrap()
            .unwrap();
        let names: Vec<&str> = held.keys().map(String::as_str).collect();
        let expected = [
            "_id",
            "authorId",
            "content",
            "attachments",
            "likes",
            "comments",
            "visibility",
            "createdAt",
            "updatedAt",
        ];
        assert_eq!(names, expected);
    })
    .await;
}

#[tokio::test]
async fn removals_take_records_and_parts_out() {
    on_empty(async |fresh| {
        let mongo = &fresh.mongo;
        let source = filled(3).await;
        run(
            Arc::new(source.clone()),
            &into(mongo),
            &documents_only(),
            &Silent,
        )
        .await
        .unwrap();
        for &kind in Kind::DOCUMENTS.iter().rev() {
            let records = all(mongo, kind).await;
            let (gone, kept) = records.split_at(1);
            let removals = [gone[0].key(), gone[0].key()];
            let batch = SinkBatch {
                kind,
                upserts: &[],
                removals: &removals[..1],
            };
            let applied = Sink::apply(mongo, &batch).await.unwrap();
            assert_eq!((applied.removed, applied.refused.len()), (1, 0), "{kind}");
            assert_eq!(all(mongo, kind).await, kept, "{kind}");
            assert_eq!(
                Sink::apply(mongo, &batch).await.unwrap().removed,
                0,
                "{kind}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_server_refuses_is_refused_alone() {
    on_indexed(async |fresh| {
        let mongo = &fresh.mongo;
        let holder = author(fresh, "holder").await;
        let mut twin = new_author("twin");
        twin.email = holder.email.clone();
        let free = new_author("free").into_user();
        let batch = SinkBatch {
            kind: Kind::Users,
            upserts: &[twin.into_user().into(), free.clone().into()],
            removals: &[],
        };
        let applied = Sink::apply(mongo, &batch).await.unwrap();
        assert_eq!(applied.written, 1);
        let [(0, problems)] = applied.refused.as_slice() else {
            panic!("{applied:?}");
        };
        assert_eq!(problems.0[0].field, "email");
        assert_eq!(fresh.users().get(free.id).await.unwrap(), free);

        // A like of a post that is not there.
        let like = authorstack_core::Like {
            post_id: Id::new(),
            user_id: free.id,
        };
        let batch = SinkBatch {
            kind: Kind::PostLikes,
            upserts: &[like.into()],
            removals: &[],
        };
        let applied = Sink::apply(mongo, &batch).await.unwrap();
        assert_eq!(applied.refused.len(), 1);
        assert_eq!(applied.refused[0].1.0[0].field, "postId");
    })
    .await;
}

#[tokio::test]
async fn values_that_were_exchanged_between_users_find_their_places() {
    on_indexed(async |fresh| {
        let (ada, bob) = (author(fresh, "ada").await, author(fresh, "bob").await);
        let free = author(fresh, "cleo").await;
        let (mut first, mut second, mut third) = (ada.clone(), bob.clone(), free.clone());
        // Each takes the address of the one behind; the last takes a new one.
        (first.email, second.email) = (bob.email.clone(), free.email.clone());
        third.email = "new@example.org".parse().unwrap();
        let batch = SinkBatch {
            kind: Kind::Users,
            upserts: &[
                first.clone().into(),
                second.clone().into(),
                third.clone().into(),
            ],
            removals: &[],
        };
        let applied = Sink::apply(&fresh.mongo, &batch).await.unwrap();
        assert_eq!((applied.written, applied.refused.len()), (3, 0));
        for user in [first, second, third] {
            assert_eq!(fresh.users().get(user.id).await.unwrap(), user);
        }
    })
    .await;
}

#[tokio::test]
async fn an_old_apps_single_like_counts_as_a_list() {
    on_indexed(async |fresh| {
        let mongo = &fresh.mongo;
        let (ada, bob) = (author(fresh, "ada").await, author(fresh, "bob").await);
        let post = ObjectId::new();
        let old = doc! {
            "_id": post, "authorId": ada.id.to_object_id(), "content": "x",
            "visibility": "public", "likes": ada.id.to_object_id(),
        };
        documents(mongo, "community_posts")
            .insert_one(old)
            .await
            .unwrap();
        let like = |user: &User| {
            Record::from(authorstack_core::Like {
                post_id: Id::from_object_id(post),
                user_id: user.id,
            })
        };
        let batch = SinkBatch {
            kind: Kind::PostLikes,
            upserts: &[like(&ada), like(&bob)],
            removals: &[],
        };
        let applied = Sink::apply(mongo, &batch).await.unwrap();
        assert_eq!((applied.written, applied.unchanged), (1, 1));
        let likers = likers(fresh, ada.id, Id::from_object_id(post)).await;
        assert_eq!(likers.items.len(), 2);
    })
    .await;
}

async fn likers(
    stack: &AuthorStack,
    viewer: Id<User>,
    post: Id<authorstack_core::Post>,
) -> Page<Id<User>> {
    let page = PageRequest::first(10);
    stack.community().likers(viewer, post, page).await.unwrap()
}

#[tokio::test]
async fn a_comments_key_may_look_like_an_expression() {
    on_empty(async |fresh| {
        let mongo = &fresh.mongo;
        let source = filled(1).await;
        run(
            Arc::new(source.clone()),
            &into(mongo),
            &documents_only(),
            &Silent,
        )
        .await
        .unwrap();
        let Some(Record::Comment(mut comment)) = all(&source, Kind::PostComments).await.pop()
        else {
            panic!("comments are comments");
        };
        let id: CommentId = "$content".parse().unwrap();
        comment.id = id.clone();
        comment.content = "$$ROOT".to_owned();
        let record = Record::Comment(comment.clone());
        let batch = SinkBatch {
            kind: Kind::PostComments,
            upserts: std::slice::from_ref(&record),
            removals: &[],
        };
        assert_eq!(Sink::apply(mongo, &batch).await.unwrap().written, 1);
        assert_eq!(Sink::apply(mongo, &batch).await.unwrap().unchanged, 1);
        assert!(all(mongo, Kind::PostComments).await.contains(&record));
        let batch = SinkBatch {
            kind: Kind::PostComments,
            upserts: &[],
            removals: &[Key::Comment(comment.post_id, id)],
        };
        assert_eq!(Sink::apply(mongo, &batch).await.unwrap().removed, 1);
        assert_eq!(all(mongo, Kind::PostComments).await.len(), 2);
    })
    .await;
}
