//! Records of every kind.

use authorstack_core::{
    Attachment, AttachmentKind, ChecklistRepositoryExt, MemoryStore, NewBook, NewBoost,
    NewChecklist, NewCompetitor, NewPost, NewTask, Visibility,
    testing::{author, fill_analytics},
};
use chrono::{DateTime, Utc};
use serde_json::json;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Five users with a record of each kind and more, unknown fields among them.
pub async fn filled() -> MemoryStore {
    let memory = MemoryStore::new();
    let store = memory.stack();
    let extra = json!({"__v": 0, "big": 1e16, "nested": {"a": [1, 2.5, null]}});
    let extra = extra.as_object().unwrap().clone();
    let community = store.community();
    let mut post = None;
    for n in 0..5 {
        let user = author(&store, &format!("user{n}")).await.id;
        store.users().add_credits(user, 100).await.unwrap();
        let book = store
            .books()
            .create(user, NewBook::new("Tide"))
            .await
            .unwrap()
            .id;
        let mut checklist = NewChecklist::empty(book, "Launch");
        let mut task = NewTask::new("Cover");
        task.due_date = Some(at("+12000-01-01T00:00:00.001Z"));
        checklist.tasks = vec![task, NewTask::new("Blurb \u{2028}")];
        checklist.extra = extra.clone();
        let checklists = store.checklists();
        let checklist = checklists.create(user, checklist).await.unwrap();
        let done = checklist.tasks[0].id.clone();
        let done = checklists
            .complete_task(user, checklist.id, done, Utc::now())
            .await;
        done.unwrap();
        let mut boost = NewBoost::new(book, 7, 10);
        boost.extra = extra.clone();
        store.boosts().purchase(user, boost).await.unwrap();
        let post = if let Some(post) = post {
            post
        } else {
            let mut new = NewPost::new("Out now");
            let url = "https://example.org/a.jpg".parse().unwrap();
            let mut image = Attachment::new(AttachmentKind::IMAGE, url);
            image.extra = extra.clone();
            new.attachments = vec![image];
            new.visibility = Visibility::Followers;
            *post.insert((user, community.create(user, new).await.unwrap().id))
        };
        if post.0 != user {
            store.follows().follow(user, post.0).await.unwrap();
        }
        community.like(user, post.1).await.unwrap();
        for _ in 0..3 {
            community
                .comment(user, post.1, "Bravo".to_owned())
                .await
                .unwrap();
        }
        fill_analytics(&store, user, book).await;
        let mut rival = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
        rival.extra = extra.clone();
        let competitors = store.competitors();
        let rival = competitors.create(user, rival).await.unwrap();
        for (price, on) in [
            ("0", "1960-01-01"),
            ("123456789012.345", "2024-05-01"),
            ("0.000001", "9999-12-31"),
        ] {
            let seen = at(&format!("{on}T00:00:00.125Z"));
            let noted = competitors.record_price(user, rival.id, price.parse().unwrap(), seen);
            noted.await.unwrap();
        }
    }
    memory
}
