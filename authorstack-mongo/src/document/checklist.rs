//! Launch checklists.

use authorstack_core::{
    Book, Checklist, DueTask, Extra, Id, Task, TaskId, User, migrate::Problems, progress,
};
use chrono::{DateTime, Utc};

use super::{Parts, Reader, raw::Raw, require};
use crate::extended_json::Path;

/// Reads a checklist's document. The progress is what the tasks say, whatever is stored.
pub(crate) fn checklist(bytes: &[u8]) -> Result<Checklist, Problems> {
    let mut reader = Reader::default();
    let mut checklist = ChecklistParts::default();
    reader.fields(bytes, &Path::Root, Checklist::FIELDS, &mut checklist);
    checklist.finish(reader.problems)
}

/// Reads a checklist of which one task is left: a due one.
pub(crate) fn due_task(bytes: &[u8]) -> Result<DueTask, Problems> {
    let mut checklist = checklist(bytes)?;
    let task = checklist.tasks.pop();
    let due = task.and_then(|task| Some((task.due_date?, task)));
    let mut problems = Problems::default();
    require(
        &mut problems,
        "tasks.dueDate",
        due.is_some(),
        "a due task has a date",
    );
    let (due_date, task) = due.ok_or(problems)?;
    Ok(DueTask {
        checklist_id: checklist.id,
        checklist_name: checklist.name,
        book_id: checklist.book_id,
        due_date,
        task,
    })
}

#[derive(Debug, Default)]
struct ChecklistParts {
    id: Option<Id<Checklist>>,
    book_id: Option<Id<Book>>,
    user_id: Option<Id<User>>,
    template_id: Option<String>,
    name: Option<String>,
    tasks: Vec<Task>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for ChecklistParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "bookId" => self.book_id = reader.id(path, value),
            "userId" => self.user_id = reader.id(path, value),
            "templateId" => self.template_id = reader.string(path, value),
            "name" => self.name = reader.string(path, value),
            "tasks" => reader.objects(path, value, |reader, path, bytes| {
                let mut task = TaskParts::default();
                reader.fields(bytes, path, Task::FIELDS, &mut task);
                self.tasks.extend(task.finish(path, &mut reader.problems));
            }),
            "createdAt" => self.created_at = reader.date(path, value),
            "updatedAt" => self.updated_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl ChecklistParts {
    fn finish(self, mut problems: Problems) -> Result<Checklist, Problems> {
        for (field, present, way_out) in [
            ("_id", self.id.is_some(), "a checklist needs an id"),
            (
                "bookId",
                self.book_id.is_some(),
                "say which book it is about",
            ),
            (
                "userId",
                self.user_id.is_some(),
                "say whose checklist it is",
            ),
            ("name", self.name.is_some(), "a checklist needs a name"),
        ] {
            require(&mut problems, field, present, way_out);
        }
        let (Some(id), Some(book_id), Some(user_id), Some(name), true) = (
            self.id,
            self.book_id,
            self.user_id,
            self.name,
            problems.is_empty(),
        ) else {
            return Err(problems);
        };
        let created_at = self.created_at.unwrap_or_else(|| id.created_at());
        Ok(Checklist {
            id,
            book_id,
            user_id,
            template_id: self.template_id,
            name,
            progress: progress(&self.tasks),
            tasks: self.tasks,
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            extra: self.extra,
        })
    }
}

#[derive(Debug, Default)]
struct TaskParts {
    id: Option<TaskId>,
    title: Option<String>,
    description: Option<String>,
    completed: Option<bool>,
    due_date: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    category: Option<String>,
    extra: Extra,
}

impl Parts for TaskParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "id" => self.id = reader.value(path, value),
            "title" => self.title = reader.string(path, value),
            "description" => self.description = reader.string(path, value),
            "completed" => self.completed = reader.bool(path, value),
            "dueDate" => self.due_date = reader.date(path, value),
            "completedAt" => self.completed_at = reader.date(path, value),
            "category" => self.category = reader.string(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl TaskParts {
    fn finish(self, path: &Path<'_>, problems: &mut Problems) -> Option<Task> {
        let (id, title) = (format!("{path}.id"), format!("{path}.title"));
        require(problems, &id, self.id.is_some(), "give the task an id");
        require(problems, &title, self.title.is_some(), "name the task");
        Some(Task {
            id: self.id?,
            title: self.title?,
            description: self.description,
            completed: self.completed.unwrap_or_default(),
            due_date: self.due_date,
            completed_at: self.completed_at,
            category: self.category,
            extra: self.extra,
        })
    }
}
