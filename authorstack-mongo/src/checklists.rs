//! Launch checklists.

use async_trait::async_trait;
use authorstack_core::{
    Checklist, ChecklistFilter, ChecklistPatch, ChecklistRepository, DueTask, Error, Id,
    NewChecklist, Page, PageRequest, Result, TaskChange, TaskId, TaskPatch, User, fields::Patch,
    limits, migrate::Kind,
};
use bson::{Bson, Document, RawBsonRef, RawDocument, doc, oid::ObjectId};
use chrono::{DateTime, Utc};

use crate::{
    document::{due_task, encode, encode_task, key::key_of},
    page::{behind_date, beyond, direction, id_or_edge, one_more, text_or_edge, unreadable},
    pipeline::{Changes, contended, date, is_true, list_of, literal, moment, refers_to},
    store::{MongoStore, own},
};

#[derive(Debug)]
pub(crate) struct MongoChecklists(pub(crate) MongoStore);

fn parse_key(key: &str) -> Result<(ObjectId, &str)> {
    let parts = key.split_once('.');
    let parts = parts.and_then(|(checklist, task)| {
        let checklist: Id<Checklist> = checklist.parse().ok()?;
        Some((checklist.to_object_id(), task))
    });
    parts.ok_or_else(|| {
        let reason = "is a cursor of another list; pass `next` of the previous page unchanged";
        Error::invalid("cursor", reason)
    })
}

/// Makes a filter match only checklists for which the change is possible.
fn demand(filter: &mut Document, change: &TaskChange) {
    match change {
        TaskChange::Add(task) => {
            filter.insert("tasks.id", doc! {"$ne": task.id.as_str()});
            let last = format!("tasks.{}", limits::ENTRIES - 1);
            filter.insert(last, doc! {"$exists": false});
        }
        TaskChange::Edit { id, .. }
        | TaskChange::Complete { id, .. }
        | TaskChange::Reopen { id }
        | TaskChange::Remove { id } => {
            filter.insert("tasks.id", id.as_str());
        }
        TaskChange::Reorder(order) => {
            let ids = doc! {"$map": {"input": list_of("$tasks"), "in": "$$this.id"}};
            let count = i64::try_from(order.len()).unwrap_or(i64::MAX);
            filter.insert(
                "$expr",
                doc! {"$and": [
                    {"$eq": [{"$size": list_of("$tasks")}, count]},
                    {"$setEquals": [ids, literal(texts(order))]},
                    // An order with one task twice leaves out another task.
                    {"$eq": [{"$size": {"$setUnion": [literal(texts(order)), []]}}, count]},
                ]},
            );
        }
    }
}

fn texts(order: &[TaskId]) -> Vec<Bson> {
    order.iter().map(|id| Bson::from(id.as_str())).collect()
}

/// The expression for the tasks after a change. Other tasks stay as they are.
fn tasks_after(change: &TaskChange) -> Result<Bson> {
    let tasks = list_of("$tasks");
    let is = |id: &TaskId| doc! {"$eq": ["$$task.id", literal(id.as_str())]};
    let each = |id: &TaskId, task: Document| {
        let changed = doc! {"$cond": [is(id), task, "$$task"]};
        doc! {"$map": {"input": &tasks, "as": "task", "in": changed}}
    };
    let expression = match change {
        TaskChange::Add(task) => {
            doc! {"$concatArrays": [tasks, [literal(encode_task(task)?)]]}
        }
        TaskChange::Edit { id, patch } => each(id, edited(patch)?),
        TaskChange::Complete { id, at } => {
            let done = doc! {"$mergeObjects": [
                "$$task",
                {"completed": true, "completedAt": date(*at)},
            ]};
            let was_done = is_true("$$task.completed");
            each(id, doc! {"$cond": [was_done, "$$task", done]})
        }
        TaskChange::Reopen { id } => {
            let open = doc! {"$mergeObjects": ["$$task", {"completed": false}]};
            each(id, without(open, vec!["completedAt".into()]))
        }
        TaskChange::Remove { id } => {
            let others = doc! {"$not": [is(id)]};
            doc! {"$filter": {"input": tasks, "as": "task", "cond": others}}
        }
        TaskChange::Reorder(order) => {
            let of_id = doc! {"$filter": {
                "input": tasks,
                "as": "task",
                "cond": {"$eq": ["$$task.id", "$$id"]},
            }};
            let first = doc! {"$arrayElemAt": [of_id, 0]};
            doc! {"$map": {"input": literal(texts(order)), "as": "id", "in": first}}
        }
    };
    Ok(Bson::Document(expression))
}

/// The task with the fields of a patch.
fn edited(patch: &TaskPatch) -> Result<Document> {
    let mut changes = Changes::without_date();
    patch.write(&mut changes)?;
    let merged = doc! {"$mergeObjects": ["$$task", changes.set]};
    Ok(if changes.unset.is_empty() {
        merged
    } else {
        without(merged, changes.unset)
    })
}

/// An object without some of its fields.
fn without(object: Document, names: Vec<Bson>) -> Document {
    doc! {"$arrayToObject": {"$filter": {
        "input": {"$objectToArray": object},
        "as": "field",
        "cond": {"$not": [{"$in": ["$$field.k", names]}]},
    }}}
}

/// A field of the only task of a document.
fn of_task<'d>(row: &'d RawDocument, field: &str) -> Option<RawBsonRef<'d>> {
    let tasks = row.get_array("tasks").ok()?;
    let task = tasks.get_document(0).ok()?;
    task.get(field).ok()?
}

/// The same as core's `progress`: whole percent, rounded down.
fn progress() -> Document {
    let is_done = is_true("$$task.completed");
    let done = doc! {"$size": {"$filter": {"input": "$tasks", "as": "task", "cond": is_done}}};
    let all = doc! {"$size": "$tasks"};
    let percent = doc! {"$divide": [{"$multiply": [100, done]}, &all]};
    let percent = doc! {"$toInt": {"$floor": percent}};
    doc! {"$cond": [{"$eq": [all, 0]}, 0, percent]}
}

#[async_trait]
impl ChecklistRepository for MongoChecklists {
    async fn create(&self, user_id: Id<User>, new: NewChecklist) -> Result<Checklist> {
        let store = &self.0;
        let checklist = new.into_checklist(user_id);
        let document = encode(&checklist)?;
        store.known_user(user_id).await?;
        store.own_book(user_id, checklist.book_id).await?;
        store.insert(&store.checklists, document).await?;
        Ok(checklist)
    }

    async fn get(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<Checklist> {
        let store = &self.0;
        store.get(&store.checklists, own(user_id, id)).await
    }

    async fn list(
        &self,
        user_id: Id<User>,
        filter: ChecklistFilter,
        request: PageRequest,
    ) -> Result<Page<Checklist>> {
        let store = &self.0;
        let mut wanted = doc! {"userId": refers_to(user_id)};
        if let Some(book_id) = filter.book_id {
            wanted.insert("bookId", refers_to(book_id));
        }
        store.page(&store.checklists, wanted, &request).await
    }

    async fn due(
        &self,
        user_id: Id<User>,
        until: DateTime<Utc>,
        request: PageRequest,
    ) -> Result<Page<DueTask>> {
        let open = doc! {"completed": {"$ne": true}, "$or": [
            {"dueDate": {"$lte": date(until)}},
            // Reading accepts other types, too.
            {"dueDate": {"$type": ["string", "number"]}},
        ]};
        let mut pipeline = vec![
            doc! {"$match": {"userId": refers_to(user_id), "$or": [
                {"tasks": {"$elemMatch": open}},
                {"tasks": {"$not": {"$type": "array"}}},
            ]}},
            doc! {"$set": {"tasks": list_of("$tasks")}},
            doc! {"$unwind": "$tasks"},
            doc! {"$set": {"due": moment("$tasks.dueDate")}},
            doc! {"$match": {
                "due": {"$lte": date(until)},
                "$expr": {"$not": [is_true("$tasks.completed")]},
            }},
        ];
        if let Some((at, key)) = request.after_moment()? {
            let (checklist, task) = parse_key(key)?;
            let (at, beyond) = (date(at), beyond(&request));
            pipeline.push(doc! {"$match": {"$or": [
                {"due": {beyond: at}},
                {"due": at, "_id": {beyond: checklist}},
                {"due": at, "_id": checklist, "tasks.id": {beyond: task}},
            ]}});
        }
        let order = direction(&request);
        pipeline.extend([
            doc! {"$sort": {"due": order, "_id": order, "tasks.id": order}},
            doc! {"$limit": i64::from(one_more(&request))},
            doc! {"$set": {"tasks": ["$tasks"]}},
        ]);
        let store = &self.0;
        let found = store.aggregate_rows(&store.checklists, pipeline).await?;
        let read = |row: &&RawDocument| {
            due_task(row.as_bytes()).map_err(|problems| {
                let checklist = key_of(row.as_bytes()).unwrap_or_default();
                let key = format!("{checklist}.{}", text_or_edge(of_task(row, "id")));
                unreadable(Kind::Checklists, key, problems)
            })
        };
        let behind = |row: &&RawDocument| {
            let (checklist, _) = id_or_edge::<Checklist>(row, "_id");
            let key = format!("{checklist}.{}", text_or_edge(of_task(row, "id")));
            behind_date(row.get("due").ok().flatten(), key, request.sort_order())
        };
        Ok(Page::from_rows(
            &found.rows()?,
            request.limit(),
            read,
            behind,
        ))
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        patch: ChecklistPatch,
    ) -> Result<Checklist> {
        let store = &self.0;
        let (own, expected) = (own(user_id, id), patch.expected_updated_at);
        let updated = store.patch(&store.checklists, own, id, &patch, expected);
        updated.await
    }

    /// One update: the tasks, then their progress.
    async fn change_tasks(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: TaskChange,
    ) -> Result<Checklist> {
        let store = &self.0;
        let mut filter = own(user_id, id);
        demand(&mut filter, &change);
        let mut changes = Changes::new();
        changes.compute("tasks", tasks_after(&change)?);
        let mut pipeline = changes.into_pipeline();
        pipeline.push(doc! {"$set": {"progress": progress()}});
        let call = store.change(&store.checklists, filter, pipeline);
        if let Some(checklist) = call.await? {
            return Ok(checklist);
        }
        // Finds why nothing matched: the error that the change gives on the present checklist.
        let found = store.get_from_primary(&store.checklists, own(user_id, id));
        let mut checklist: Checklist = found.await?;
        checklist.change(change)?;
        Err(contended())
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<()> {
        let store = &self.0;
        store.delete(&store.checklists, own(user_id, id)).await
    }
}
