//! A Mongoose app beside ours on checklists, follows, posts, boosts and competitors: each reads,
//! and then changes, what the other wrote.

use crate::common;

use authorstack_core::{
    Attachment, AttachmentKind, Change, ChecklistRepositoryExt, CompetitorPatch, DateRange, Feed,
    Id, NewBook, NewBoost, NewChecklist, NewCompetitor, NewPost, NewTask, Order, PageRequest,
    PostPatch, TaskId, TaskPatch, User, Visibility, testing::author,
};
use bson::{Bson, Document, doc, oid::ObjectId};
use chrono::{DateTime, Utc};
use common::{Fresh, documents, node::mongoose, on_indexed};
use serde_json::{Value, json};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn id<T>(ids: &Value, collection: &str) -> Id<T> {
    ids[collection].as_str().unwrap().parse().unwrap()
}

async fn stored(store: &Fresh, collection: &str, ids: &Value) -> Document {
    let id: ObjectId = ids[collection].as_str().unwrap().parse().unwrap();
    let found = documents(&store.mongo, collection)
        .find_one(doc! {"_id": id})
        .await;
    found.unwrap().unwrap()
}

/// Two users, the first with credits and a book.
async fn two(store: &Fresh) -> (Id<User>, Id<User>, Id<authorstack_core::Book>) {
    let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
    store.users().add_credits(ada, 100).await.unwrap();
    let book = store.books().create(ada, NewBook::new("Tide")).await;
    (ada, bob, book.unwrap().id)
}

#[tokio::test]
async fn mongoose_reads_and_changes_what_we_write() {
    on_indexed(async |store| {
        let (ada, bob, book) = two(store).await;
        let mut new = NewChecklist::empty(book, "Launch");
        let mut task = NewTask::new("Cover");
        task.due_date = Some(at("2024-05-01T00:00:00Z"));
        new.tasks = vec![task, NewTask::new("Blurb")];
        let checklist = store.checklists().create(ada, new).await.unwrap();
        let follow = store.follows().follow(bob, ada).await.unwrap();
        let mut new = NewPost::new("Out now");
        let url = "https://example.org/a.jpg".parse().unwrap();
        new.attachments = vec![Attachment::new(AttachmentKind::IMAGE, url)];
        let community = store.community();
        let post = community.create(ada, new).await.unwrap();
        community.like(ada, post.id).await.unwrap();
        community
            .comment(ada, post.id, "First".to_owned())
            .await
            .unwrap();
        let boost = store
            .boosts()
            .purchase(ada, NewBoost::new(book, 7, 30))
            .await
            .unwrap();
        let rival = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
        let rival = store.competitors().create(ada, rival).await.unwrap();
        let (price, seen) = ("4.99".parse().unwrap(), at("2024-05-01T00:00:00Z"));
        store
            .competitors()
            .record_price(ada, rival.id, price, seen)
            .await
            .unwrap();

        let ids = json!({
            "checklists": checklist.id,
            "follows": follow.id,
            "community_posts": post.id,
            "marketplace_boosts": boost.id,
            "competitors": rival.id,
        });
        let mut wanted = ids.clone();
        for (_, id) in wanted.as_object_mut().unwrap() {
            *id = json!([id.clone()]);
        }
        // The models change nothing of what they read, so every type is the schema's.
        let found = mongoose(&store.mongo, "read", wanted).await;
        assert_eq!(found["checklists"][0]["progress"], 0);
        assert_eq!(found["competitors"][0]["priceHistory"][0]["price"], 4.99);
        assert_eq!(found["marketplace_boosts"][0]["credits_spent"], 30);
        assert_eq!(
            found["community_posts"][0]["likes"][0]["oid"],
            ada.to_string()
        );

        mongoose(
            &store.mongo,
            "changeDocuments",
            json!({"ids": ids, "other": bob}),
        )
        .await;
        let checklist = store.checklists().get(ada, checklist.id).await.unwrap();
        assert_eq!(checklist.tasks.len(), 3);
        assert_eq!(
            checklist.progress, 33,
            "as the tasks say, whatever Mongoose left"
        );
        assert_eq!(checklist.tasks[2].title, "Added by Mongoose");
        assert!(checklist.tasks[2].extra.contains_key("_id"));
        let view = community.get(bob, post.id).await.unwrap();
        assert_eq!(
            (view.like_count, view.comment_count, view.liked),
            (2, 2, true)
        );
        assert_eq!(view.post.content, "Edited by Mongoose");
        let comments = community
            .comments(bob, post.id, PageRequest::default())
            .await
            .unwrap();
        assert_eq!(comments.items[0].id.as_str(), "by-mongoose");
        assert!(!store.boosts().get(ada, boost.id).await.unwrap().active);
        let rival = store.competitors().get(ada, rival.id).await.unwrap();
        assert_eq!(rival.current_price, Some("3.25".parse().unwrap()));
        assert!(!store.follows().is_following(bob, ada).await.unwrap());
    })
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one step after the other")]
async fn we_read_and_change_what_mongoose_writes() {
    on_indexed(async |store| {
        let (ada, bob, book) = two(store).await;
        let input = json!({"user": ada, "other": bob, "book": book});
        let ids = mongoose(&store.mongo, "writeDocuments", input).await;
        let before = stored(store, "checklists", &ids).await;

        let (checklists, list) = (store.checklists(), id(&ids, "checklists"));
        let checklist = checklists.get(ada, list).await.unwrap();
        assert_eq!((checklist.progress, checklist.tasks.len()), (50, 2));
        let task: TaskId = "t2".parse().unwrap();
        let patch = TaskPatch {
            description: Change::Set("$literally".to_owned()),
            due_date: Change::Clear,
            ..TaskPatch::default()
        };
        checklists
            .edit_task(ada, list, task.clone(), patch)
            .await
            .unwrap();
        let when = at("2024-05-01T00:00:00Z");
        let done = checklists
            .complete_task(ada, list, task, when)
            .await
            .unwrap();
        assert_eq!(done.progress, 100);
        let after = stored(store, "checklists", &ids).await;
        assert_eq!(after.get("progress"), Some(&Bson::Int32(100)));
        // The parts' own ids and the version stay as Mongoose made them.
        assert_eq!(after.get("__v"), before.get("__v"));
        let part = |document: &Document, n: usize| {
            let tasks = document.get_array("tasks").unwrap();
            tasks[n].as_document().unwrap().clone()
        };
        assert_eq!(part(&after, 0), part(&before, 0), "nobody touched it");
        assert_eq!(part(&after, 1).get("_id"), part(&before, 1).get("_id"));

        let (community, post) = (store.community(), id(&ids, "community_posts"));
        let view = community.get(bob, post).await.unwrap();
        assert_eq!(
            (view.like_count, view.comment_count, view.liked),
            (1, 1, true)
        );
        assert_eq!(view.post.visibility, Visibility::Followers);
        assert_eq!(community.like(ada, post).await.unwrap(), 2);
        community
            .comment(bob, post, "Again".to_owned())
            .await
            .unwrap();
        community
            .delete_comment(ada, post, "c1".parse().unwrap())
            .await
            .unwrap();
        let patch = PostPatch {
            content: Some("Edited by us".to_owned()),
            ..PostPatch::default()
        };
        community.update(ada, post, patch).await.unwrap();
        let feed = community
            .feed(bob, Feed::Following, PageRequest::default())
            .await
            .unwrap();
        assert_eq!(feed.items.len(), 1);

        let boost = store
            .boosts()
            .get(ada, id(&ids, "marketplace_boosts"))
            .await
            .unwrap();
        assert_eq!((boost.credits_spent, boost.duration_days), (70, 7));
        let mut rival_boost = NewBoost::new(book, 1, 10);
        (rival_boost.position, rival_boost.starts_at) = (Some(1), boost.started_at);
        let refused = store.boosts().purchase(ada, rival_boost).await;
        assert!(refused.is_err(), "the Node app's boosts count");
        assert_eq!(
            store
                .boosts()
                .expire_due(boost.expires_at)
                .await
                .unwrap()
                .count,
            1
        );

        let (competitors, rival) = (store.competitors(), id(&ids, "competitors"));
        let earlier = at("2023-01-01T00:00:00Z");
        let noted = competitors
            .record_price(ada, rival, "9.99".parse().unwrap(), earlier)
            .await;
        assert_eq!(noted.unwrap().current_price, Some("4.99".parse().unwrap()));
        let patch = CompetitorPatch {
            genre: Change::Set("Mystery".to_owned()),
            ..CompetitorPatch::default()
        };
        competitors.update(ada, rival, patch).await.unwrap();
        let page = PageRequest::default().order(Order::OldestFirst);
        let history = competitors
            .history(ada, rival, DateRange::default(), page)
            .await
            .unwrap();
        assert_eq!(history.items.len(), 2);
        assert!(history.items[1].extra.contains_key("_id"));
        assert!(store.follows().is_following(bob, ada).await.unwrap());

        // The models read it all, and would change nothing.
        let mut wanted = ids.clone();
        for (_, id) in wanted.as_object_mut().unwrap() {
            *id = json!([id.clone()]);
        }
        let found = mongoose(&store.mongo, "read", wanted).await;
        assert_eq!(found["community_posts"][0]["content"], "Edited by us");
        assert_eq!(found["competitors"][0]["genre"], "Mystery");
        assert_eq!(found["marketplace_boosts"][0]["active"], false);
    })
    .await;
}
