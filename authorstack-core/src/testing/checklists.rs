//! The cases of [`ChecklistRepository`](crate::ChecklistRepository).

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::json;

use super::{author, users::assert_kind};
use crate::{
    AuthorStack, Book, Change, Checklist, ChecklistFilter, ChecklistPatch, ChecklistRepositoryExt,
    ChecklistTemplate, Cursor, ErrorKind, Id, NewBook, NewChecklist, NewTask, Order, PageRequest,
    TaskId, TaskPatch, TemplateTask, User, layers::Operation, limits,
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn with_book(store: &AuthorStack, name: &str) -> (Id<User>, Id<Book>) {
    let user = author(store, name).await.id;
    let book = store.books().create(user, NewBook::new("Tide")).await;
    (user, book.unwrap().id)
}

/// A checklist with this number of open tasks.
async fn with_tasks(store: &AuthorStack, tasks: usize) -> (Id<User>, Checklist) {
    let (user, book) = with_book(store, "ada").await;
    let mut new = NewChecklist::empty(book, "Launch");
    new.tasks = (0..tasks).map(|n| NewTask::new(format!("t{n}"))).collect();
    (user, store.checklists().create(user, new).await.unwrap())
}

fn titles(checklist: &Checklist) -> Vec<&str> {
    checklist
        .tasks
        .iter()
        .map(|task| task.title.as_str())
        .collect()
}

pub async fn an_empty_checklist_has_no_progress(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 0).await;
    assert_eq!((checklist.progress, checklist.tasks.len()), (0, 0));
    assert_eq!(checklist.template_id, None);
    let read = store.checklists().get(user, checklist.id).await.unwrap();
    assert_eq!(read, checklist);
}

pub async fn a_checklist_has_a_thousand_tasks_at_most(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, limits::ENTRIES).await;
    let (checklists, id) = (store.checklists(), checklist.id);
    let refused = checklists
        .add_task(user, id, NewTask::new("One more"))
        .await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "tasks");
    let first = checklist.tasks[0].id.clone();
    checklists.remove_task(user, id, first).await.unwrap();
    let added = checklists
        .add_task(user, id, NewTask::new("One more"))
        .await;
    assert_eq!(added.unwrap().tasks.len(), limits::ENTRIES);
}

pub async fn a_template_makes_tasks_with_due_dates(store: &AuthorStack) {
    let (user, book) = with_book(store, "ada").await;
    let task = |title: &str, days| TemplateTask {
        title: title.to_owned(),
        description: Some("$literally".to_owned()),
        category: Some("Reviews".to_owned()),
        days_before_launch: days,
    };
    let template = ChecklistTemplate {
        id: "ebook".to_owned(),
        name: "E-book launch".to_owned(),
        tasks: vec![
            task("Copies", Some(30)),
            task("Thanks", Some(-7)),
            task("Plan", None),
        ],
    };
    let launch = at("2024-03-01T09:00:00.250Z");
    let new = NewChecklist::from_template(&template, book, Some(launch));
    let created = store.checklists().create(user, new).await.unwrap();
    let read = store.checklists().get(user, created.id).await.unwrap();
    assert_eq!(read, created);
    assert_eq!(
        (read.name.as_str(), read.template_id.as_deref()),
        ("E-book launch", Some("ebook"))
    );
    let due: Vec<_> = read.tasks.iter().map(|task| task.due_date).collect();
    let days = TimeDelta::days;
    assert_eq!(due, [Some(launch - days(30)), Some(launch + days(7)), None]);
    assert_eq!(read.tasks[0].category.as_deref(), Some("Reviews"));
    assert_eq!(read.tasks[0].description.as_deref(), Some("$literally"));
}

pub async fn unknown_fields_of_a_checklist_survive_changes(store: &AuthorStack) {
    let (user, book) = with_book(store, "ada").await;
    let mut new = NewChecklist::empty(book, "Launch");
    new.extra = json!({"__v": 3, "nested": {"a": [1, 2.5]}})
        .as_object()
        .unwrap()
        .clone();
    let created = store.checklists().create(user, new.clone()).await.unwrap();
    let checklists = store.checklists();
    let changed = checklists
        .add_task(user, created.id, NewTask::new("One"))
        .await
        .unwrap();
    assert_eq!(changed.extra, new.extra);
    assert_eq!(checklists.get(user, created.id).await.unwrap(), changed);
}

pub async fn a_checklist_needs_a_book_of_the_user(store: &AuthorStack) {
    let (ada, book) = with_book(store, "ada").await;
    let bob = author(store, "bob").await.id;
    let checklists = store.checklists();
    for (user, book) in [(bob, book), (ada, Id::new()), (Id::new(), book)] {
        let refused = checklists
            .create(user, NewChecklist::empty(book, "x"))
            .await;
        assert_kind!(refused, ErrorKind::NotFound);
    }
    let blank = checklists.create(ada, NewChecklist::empty(book, " ")).await;
    assert_kind!(blank, ErrorKind::Invalid { field, .. } if field == "name");
}

pub async fn checklists_of_others_are_not_found(store: &AuthorStack) {
    let (ada, checklist) = with_tasks(store, 1).await;
    let bob = author(store, "bob").await.id;
    let (checklists, id) = (store.checklists(), checklist.id);
    let task = checklist.tasks[0].id.clone();
    assert_kind!(checklists.get(bob, id).await, ErrorKind::NotFound);
    assert_kind!(checklists.delete(bob, id).await, ErrorKind::NotFound);
    let patch = ChecklistPatch::default();
    assert_kind!(checklists.update(bob, id, patch).await, ErrorKind::NotFound);
    let add = checklists.add_task(bob, id, NewTask::new("x")).await;
    assert_kind!(add, ErrorKind::NotFound);
    let complete = checklists
        .complete_task(bob, id, task, checklist.created_at)
        .await;
    assert_kind!(complete, ErrorKind::NotFound);
    let error = checklists.get(ada, Id::new()).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::ChecklistsGet));
    assert_eq!(checklists.get(ada, id).await.unwrap(), checklist);
}

pub async fn progress_is_what_the_tasks_say(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 3).await;
    let (checklists, id) = (store.checklists(), checklist.id);
    let ids: Vec<TaskId> = checklist.tasks.iter().map(|task| task.id.clone()).collect();
    let when = at("2024-05-01T00:00:00Z");
    let mut seen = Vec::new();
    for task in &ids {
        let changed = checklists.complete_task(user, id, task.clone(), when).await;
        seen.push(changed.unwrap().progress);
    }
    assert_eq!(seen, [33, 66, 100]);
    let added = checklists
        .add_task(user, id, NewTask::new("more"))
        .await
        .unwrap();
    assert_eq!(added.progress, 75);
    let removed = checklists
        .remove_task(user, id, added.tasks[3].id.clone())
        .await
        .unwrap();
    assert_eq!(removed.progress, 100);
    let reopened = checklists
        .reopen_task(user, id, ids[0].clone())
        .await
        .unwrap();
    assert_eq!(
        (reopened.progress, reopened.tasks[0].completed_at),
        (66, None)
    );
    assert_eq!(checklists.get(user, id).await.unwrap(), reopened);
}

pub async fn completing_twice_keeps_the_moment(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 1).await;
    let (checklists, task) = (store.checklists(), checklist.tasks[0].id.clone());
    let first = at("2024-05-01T00:00:00.123Z");
    for when in [first, at("2025-05-01T00:00:00Z")] {
        let done = checklists
            .complete_task(user, checklist.id, task.clone(), when)
            .await;
        let done = done.unwrap();
        assert!(done.tasks[0].completed);
        assert_eq!(done.tasks[0].completed_at, Some(first));
    }
}

pub async fn tasks_are_edited_and_cleared(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 2).await;
    let (checklists, id) = (store.checklists(), checklist.id);
    let task = checklist.tasks[1].id.clone();
    let due = at("2024-02-29T12:00:00Z");
    let patch = TaskPatch {
        title: Some("$set".to_owned()),
        description: Change::Set("$$ROOT \u{2028}".to_owned()),
        due_date: Change::Set(due),
        category: Change::Set("{\"$ne\": 1}".to_owned()),
    };
    let edited = checklists
        .edit_task(user, id, task.clone(), patch)
        .await
        .unwrap();
    assert_eq!(titles(&edited), ["t0", "$set"]);
    let found = &edited.tasks[1];
    assert_eq!(found.description.as_deref(), Some("$$ROOT \u{2028}"));
    assert_eq!(
        (found.due_date, found.category.as_deref()),
        (Some(due), Some("{\"$ne\": 1}"))
    );
    let clear = TaskPatch {
        description: Change::Clear,
        due_date: Change::Clear,
        ..TaskPatch::default()
    };
    let cleared = checklists
        .edit_task(user, id, task.clone(), clear)
        .await
        .unwrap();
    let found = &cleared.tasks[1];
    assert_eq!((found.description.as_ref(), found.due_date), (None, None));
    assert_eq!(found.category.as_deref(), Some("{\"$ne\": 1}"));
    assert_eq!(checklists.get(user, id).await.unwrap(), cleared);
    let blank = TaskPatch {
        title: Some(" ".to_owned()),
        ..TaskPatch::default()
    };
    let refused = checklists.edit_task(user, id, task, blank).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "tasks.title");
}

pub async fn unknown_tasks_are_not_found(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 2).await;
    let (checklists, id) = (store.checklists(), checklist.id);
    let none = TaskId::new;
    let patch = TaskPatch::default();
    assert_kind!(
        checklists.edit_task(user, id, none(), patch).await,
        ErrorKind::NotFound
    );
    let done = checklists
        .complete_task(user, id, none(), checklist.created_at)
        .await;
    assert_kind!(done, ErrorKind::NotFound);
    assert_kind!(
        checklists.reopen_task(user, id, none()).await,
        ErrorKind::NotFound
    );
    assert_kind!(
        checklists.remove_task(user, id, none()).await,
        ErrorKind::NotFound
    );
    assert_eq!(checklists.get(user, id).await.unwrap(), checklist);
}

pub async fn tasks_take_the_order_that_names_each_once(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 3).await;
    let (checklists, id) = (store.checklists(), checklist.id);
    let ids: Vec<TaskId> = checklist.tasks.iter().map(|task| task.id.clone()).collect();
    let order =
        |places: &[usize]| -> Vec<TaskId> { places.iter().map(|n| ids[*n].clone()).collect() };
    for wrong in [&[0, 1][..], &[0, 1, 1], &[0, 1, 2, 2], &[]] {
        let refused = checklists.reorder_tasks(user, id, order(wrong)).await;
        assert_kind!(refused, ErrorKind::Conflict { .. });
    }
    let foreign = [order(&[0, 1]), vec![TaskId::new()]].concat();
    let refused = checklists.reorder_tasks(user, id, foreign).await;
    assert_kind!(refused, ErrorKind::Conflict { .. });
    assert_eq!(checklists.get(user, id).await.unwrap(), checklist);
    let sorted = checklists
        .reorder_tasks(user, id, order(&[2, 0, 1]))
        .await
        .unwrap();
    assert_eq!(titles(&sorted), ["t2", "t0", "t1"]);
}

pub async fn tasks_completed_at_once_lose_nothing(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 20).await;
    let checklists = store.checklists();
    let calls = checklist.tasks.iter().map(|task| {
        let when = at("2024-05-01T00:00:00Z");
        checklists.complete_task(user, checklist.id, task.id.clone(), when)
    });
    for call in join_all(calls).await {
        call.unwrap();
    }
    let read = checklists.get(user, checklist.id).await.unwrap();
    assert!(read.tasks.iter().all(|task| task.completed), "{read:?}");
    assert_eq!(read.progress, 100);
}

pub async fn tasks_added_at_once_are_all_kept(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 1).await;
    let checklists = store.checklists();
    let calls =
        (0..15).map(|n| checklists.add_task(user, checklist.id, NewTask::new(format!("new {n}"))));
    for call in join_all(calls).await {
        call.unwrap();
    }
    let read = checklists.get(user, checklist.id).await.unwrap();
    let ids: std::collections::HashSet<_> = read.tasks.iter().map(|task| &task.id).collect();
    assert_eq!((ids.len(), read.tasks[0].title.as_str()), (16, "t0"));
}

pub async fn checklists_are_listed_by_user_and_by_book(store: &AuthorStack) {
    let (ada, book) = with_book(store, "ada").await;
    let (bob, bobs) = with_book(store, "bob").await;
    let other = store
        .books()
        .create(ada, NewBook::new("Other"))
        .await
        .unwrap()
        .id;
    let checklists = store.checklists();
    let mut made = Vec::new();
    for (user, book) in [(ada, book), (ada, other), (bob, bobs), (ada, book)] {
        let new = NewChecklist::empty(book, "x");
        made.push(checklists.create(user, new).await.unwrap());
    }
    let page = || PageRequest::first(10).order(Order::OldestFirst);
    let all = checklists
        .list(ada, ChecklistFilter::default(), page())
        .await
        .unwrap();
    assert_eq!(
        all.items,
        [made[0].clone(), made[1].clone(), made[3].clone()]
    );
    let filter = ChecklistFilter {
        book_id: Some(book),
    };
    let mut request = PageRequest::first(1);
    let newest = checklists
        .list(ada, filter.clone(), request.clone())
        .await
        .unwrap();
    assert_eq!(newest.items, [made[3].clone()]);
    request = request.after(newest.next.unwrap());
    let next = checklists.list(ada, filter, request).await.unwrap();
    assert_eq!((next.items, next.next), (vec![made[0].clone()], None));
    let foreign = page().after(Cursor::behind_moment(at("2024-01-01T00:00:00Z"), ""));
    let refused = checklists
        .list(ada, ChecklistFilter::default(), foreign)
        .await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "cursor");
}

pub async fn due_tasks_come_by_date_across_checklists(store: &AuthorStack) {
    let (user, book) = with_book(store, "ada").await;
    let checklists = store.checklists();
    let days = [
        "2024-01-03",
        "2024-01-01",
        "2024-01-02",
        "2024-01-02",
        "2024-01-09",
    ];
    let mut made = Vec::new();
    for n in 0..2 {
        let mut new = NewChecklist::empty(book, format!("list {n}"));
        for day in days {
            let mut task = NewTask::new(format!("{n} {day}"));
            task.due_date = Some(at(&format!("{day}T00:00:00Z")));
            new.tasks.push(task);
        }
        new.tasks.push(NewTask::new("whenever"));
        made.push(checklists.create(user, new).await.unwrap());
    }
    let done = made[0].tasks[1].id.clone();
    checklists
        .complete_task(user, made[0].id, done, at("2024-01-01T00:00:00Z"))
        .await
        .unwrap();

    let until = at("2024-01-03T00:00:00Z");
    for limit in [1, 2, 3, 200] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let mut request = PageRequest::first(limit).order(order);
            let mut found = Vec::new();
            loop {
                let page = checklists.due(user, until, request.clone()).await.unwrap();
                found.extend(page.items);
                match page.next {
                    Some(cursor) => request = request.after(cursor),
                    None => break,
                }
            }
            if order == Order::NewestFirst {
                found.reverse();
            }
            let found: Vec<_> = found.iter().map(|due| due.task.title.as_str()).collect();
            let expected = [
                "1 2024-01-01",
                "0 2024-01-02",
                "0 2024-01-02",
                "1 2024-01-02",
                "1 2024-01-02",
                "0 2024-01-03",
                "1 2024-01-03",
            ];
            assert_eq!(found, expected, "{limit} {order:?}");
        }
    }
    let bob = author(store, "bob").await.id;
    let none = checklists
        .due(bob, until, PageRequest::default())
        .await
        .unwrap();
    assert_eq!(none.items, []);
    let foreign = PageRequest::default().after(Cursor::behind(made[0].id));
    let refused = checklists.due(user, until, foreign).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "cursor");
}

pub async fn an_outdated_patch_of_a_checklist_is_a_conflict(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 1).await;
    let checklists = store.checklists();
    let patch = ChecklistPatch {
        name: Some("Renamed".to_owned()),
        expected_updated_at: Some(checklist.updated_at),
    };
    let changed = checklists
        .update(user, checklist.id, patch.clone())
        .await
        .unwrap();
    assert_eq!(changed.name, "Renamed");
    assert!(changed.updated_at > checklist.updated_at);
    assert_eq!(changed.tasks, checklist.tasks);
    let refused = checklists.update(user, checklist.id, patch).await;
    assert_kind!(refused, ErrorKind::Conflict { .. });
    checklists.delete(user, checklist.id).await.unwrap();
    let again = checklists.delete(user, checklist.id).await;
    assert_kind!(again, ErrorKind::NotFound);
}

pub async fn deleting_a_book_removes_its_checklists(store: &AuthorStack) {
    let (user, checklist) = with_tasks(store, 1).await;
    let other = store
        .books()
        .create(user, NewBook::new("Other"))
        .await
        .unwrap();
    let kept = NewChecklist::empty(other.id, "kept");
    let kept = store.checklists().create(user, kept).await.unwrap();
    store.books().delete(user, checklist.book_id).await.unwrap();
    let checklists = store.checklists();
    assert_kind!(
        checklists.get(user, checklist.id).await,
        ErrorKind::NotFound
    );
    assert_eq!(checklists.get(user, kept.id).await.unwrap(), kept);
}
