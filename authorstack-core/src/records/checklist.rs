//! Launch checklists and their tasks.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    check::{check_fields, check_part, check_patch, check_patch_of_part},
    fields::{Patch, fields, part_lists, patch},
    json::{input_json, json, patch_json},
};
use crate::{
    Book, Change, Error, ErrorKind, Extra, Id, Result, TaskId, User, limits, time, values::excerpt,
};

/// A list of tasks for a book.
#[derive(Debug, Clone, PartialEq)]
pub struct Checklist {
    /// The id.
    pub id: Id<Checklist>,
    /// The book that it is about.
    pub book_id: Id<Book>,
    /// The user who owns it.
    pub user_id: Id<User>,
    /// The template that it was made from.
    pub template_id: Option<String>,
    /// The name.
    pub name: String,
    /// The tasks, in the user's order; their ids differ.
    pub tasks: Vec<Task>,
    /// How much is done, in percent: always [`progress`] of the tasks.
    pub progress: u8,
    /// When the record was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed; later with every change.
    pub updated_at: DateTime<Utc>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

/// One task of a checklist.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The id, unique within the checklist.
    pub id: TaskId,
    /// The title.
    pub title: String,
    /// A description.
    pub description: Option<String>,
    /// Whether it is done.
    pub completed: bool,
    /// When it is due.
    pub due_date: Option<DateTime<Utc>>,
    /// When it was done; an old app may not have stored it.
    pub completed_at: Option<DateTime<Utc>>,
    /// A heading to group tasks under.
    pub category: Option<String>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

/// The share of the tasks that is done, in whole percent, rounded down: 100 only if all are done.
/// It is 0 without tasks.
#[must_use]
pub fn progress(tasks: &[Task]) -> u8 {
    let done = tasks.iter().filter(|task| task.completed).count();
    let percent = (done * 100).checked_div(tasks.len()).unwrap_or_default();
    u8::try_from(percent).unwrap_or(100)
}

/// A task to be added.
///
/// ```
/// use authorstack_core::NewTask;
///
/// let mut task = NewTask::new("Send advance copies");
/// task.category = Some("Reviews".to_owned());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTask {
    /// The title.
    pub title: String,
    /// A description.
    pub description: Option<String>,
    /// When it is due.
    pub due_date: Option<DateTime<Utc>>,
    /// A heading to group tasks under.
    pub category: Option<String>,
}

impl NewTask {
    /// A task with this title.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.clone().into_task().check_new()
    }

    /// The task to store in a checklist: open, with a new id.
    #[must_use]
    pub fn into_task(self) -> Task {
        let Self {
            title,
            description,
            due_date,
            category,
        } = self;
        Task {
            id: TaskId::new(),
            title,
            description,
            completed: false,
            due_date: due_date.map(time::to_millis),
            completed_at: None,
            category,
            extra: Extra::new(),
        }
    }
}

fn check_title(title: &str) -> Result<()> {
    if title.trim().is_empty() {
        Err(Error::invalid(
            "tasks.title",
            "is empty; a task needs a title",
        ))
    } else {
        Ok(())
    }
}

/// A template for checklists.
///
/// ```
/// use authorstack_core::{ChecklistTemplate, Id, NewChecklist, TemplateTask};
/// use chrono::{TimeDelta, Utc};
///
/// let template = ChecklistTemplate {
///     id: "ebook-launch".to_owned(),
///     name: "E-book launch".to_owned(),
///     tasks: vec![TemplateTask {
///         title: "Send advance copies".to_owned(),
///         days_before_launch: Some(30),
///         ..TemplateTask::default()
///     }],
/// };
/// let launch = Utc::now() + TimeDelta::days(60);
/// let checklist = NewChecklist::from_template(&template, Id::new(), Some(launch));
/// assert_eq!(checklist.tasks[0].due_date, Some(launch - TimeDelta::days(30)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChecklistTemplate {
    /// The id; checklists made from the template keep it.
    pub id: String,
    /// The name of the checklists made from it.
    pub name: String,
    /// The tasks, in their order.
    pub tasks: Vec<TemplateTask>,
}

/// One task of a template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateTask {
    /// The title.
    pub title: String,
    /// A description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A heading to group tasks under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How many days before the launch it is due; after the launch if negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_before_launch: Option<i32>,
}

/// A checklist to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChecklist {
    /// The book that it is about.
    pub book_id: Id<Book>,
    /// The template that it was made from.
    pub template_id: Option<String>,
    /// The name.
    pub name: String,
    /// The tasks, in their order.
    pub tasks: Vec<NewTask>,
    /// Fields that the schema does not know.
    pub extra: Extra,
}

impl NewChecklist {
    /// A checklist without tasks.
    #[must_use]
    pub fn empty(book_id: Id<Book>, name: impl Into<String>) -> Self {
        Self {
            book_id,
            template_id: None,
            name: name.into(),
            tasks: Vec::new(),
            extra: Extra::new(),
        }
    }

    /// A checklist with the template's tasks. Their due dates follow from the launch; without a
    /// launch they have none.
    #[must_use]
    pub fn from_template(
        template: &ChecklistTemplate,
        book_id: Id<Book>,
        launch: Option<DateTime<Utc>>,
    ) -> Self {
        let due = |days: i32| launch?.checked_sub_signed(TimeDelta::days(days.into()));
        let task = |task: &TemplateTask| NewTask {
            title: task.title.clone(),
            description: task.description.clone(),
            due_date: task.days_before_launch.and_then(due),
            category: task.category.clone(),
        };
        Self {
            template_id: Some(template.id.clone()),
            tasks: template.tasks.iter().map(task).collect(),
            ..Self::empty(book_id, template.name.clone())
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        self.tasks.iter().try_for_each(NewTask::check)?;
        self.clone().into_checklist(Id::new()).check()
    }

    /// The record to store, with a new id and the current time.
    #[must_use]
    pub fn into_checklist(self, user_id: Id<User>) -> Checklist {
        let Self {
            book_id,
            template_id,
            name,
            tasks,
            extra,
        } = self;
        let now = time::now();
        Checklist {
            id: Id::new(),
            book_id,
            user_id,
            template_id,
            name,
            tasks: tasks.into_iter().map(NewTask::into_task).collect(),
            progress: 0,
            created_at: now,
            updated_at: now,
            extra,
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        Err(Error::invalid("name", "is empty; a checklist needs a name"))
    } else {
        Ok(())
    }
}

impl Checklist {
    /// Checks what the field types cannot: every backend can store the record, the ids of the tasks
    /// differ, and the progress agrees with the tasks.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)?;
        let mut ids = HashSet::new();
        for (index, task) in self.tasks.iter().enumerate() {
            if !ids.insert(&task.id) {
                let id = excerpt(task.id.as_str());
                return Err(Error::invalid(
                    format!("tasks.{index}.id"),
                    format!("{id} is also the id of an earlier task; give it another"),
                ));
            }
        }
        let progress = progress(&self.tasks);
        if self.progress != progress {
            return Err(Error::invalid(
                "progress",
                format!(
                    "{} is not what the tasks say, {progress}; correct it",
                    self.progress
                ),
            ));
        }
        Ok(())
    }

    /// Applies a change of the tasks to a checklist in memory, and updates `progress` and
    /// `updated_at`.
    ///
    /// # Errors
    /// NotFound if the checklist has no such task; Conflict if a new order does not name each task
    /// once; Invalid. After an error the checklist is unchanged.
    pub fn change(&mut self, change: TaskChange) -> Result<()> {
        match change {
            TaskChange::Add(task) => {
                if self.tasks.iter().any(|present| present.id == task.id) {
                    return Err(Error::already_exists("tasks.id"));
                }
                if self.tasks.len() >= limits::ENTRIES {
                    let reason = format!(
                        "has {} tasks already, the most that there may be; remove one, or begin \
                         another checklist",
                        self.tasks.len()
                    );
                    return Err(Error::invalid("tasks", reason));
                }
                self.tasks.push(task);
            }
            TaskChange::Edit { id, patch } => patch.apply(self.task(&id)?),
            TaskChange::Complete { id, at } => {
                let task = self.task(&id)?;
                if !task.completed {
                    task.completed = true;
                    task.completed_at = Some(time::to_millis(at));
                }
            }
            TaskChange::Reopen { id } => {
                let task = self.task(&id)?;
                task.completed = false;
                task.completed_at = None;
            }
            TaskChange::Remove { id } => {
                self.task(&id)?;
                self.tasks.retain(|task| task.id != id);
            }
            TaskChange::Reorder(order) => self.reorder(&order)?,
        }
        self.progress = progress(&self.tasks);
        self.updated_at = time::next_update(self.updated_at);
        Ok(())
    }

    fn task(&mut self, id: &TaskId) -> Result<&mut Task> {
        let task = self.tasks.iter_mut().find(|task| task.id == *id);
        task.ok_or_else(Error::not_found)
    }

    fn reorder(&mut self, order: &[TaskId]) -> Result<()> {
        let places: HashMap<&TaskId, usize> = order.iter().zip(0..).collect();
        let complete = order.len() == self.tasks.len()
            && places.len() == order.len()
            && self.tasks.iter().all(|task| places.contains_key(&task.id));
        if !complete {
            return Err(TaskChange::other_tasks());
        }
        self.tasks.sort_by_key(|task| places.get(&task.id).copied());
        Ok(())
    }
}

part_lists!(Task);

json!(Checklist, Task);

input_json! {
    NewTask;
    title: "title" required("name the task"),
    description: "description",
    due_date: "dueDate",
    category: "category",
}

input_json! {
    NewChecklist, extra: extra, inputs: [tasks: "tasks" of NewTask];
    book_id: "bookId" required("say which book it is about"),
    template_id: "templateId",
    name: "name" required("a checklist needs a name"),
}

fields! {
    Checklist, extra: extra;
    id: "_id" required("a checklist needs an id"),
    book_id: "bookId" required("say which book it is about"),
    user_id: "userId" required("say whose checklist it is"),
    template_id: "templateId",
    name: "name" required("a checklist needs a name"),
    tasks: "tasks",
    progress: "progress" computed(self::progress(&tasks)),
    created_at: "createdAt" or(id.created_at()),
    updated_at: "updatedAt" or(created_at),
}

fields! {
    Task, extra: extra;
    id: "id" required("give the task an id"),
    title: "title" required("name the task"),
    description: "description" most(limits::LONG_TEXT),
    completed: "completed" or(false),
    due_date: "dueDate",
    completed_at: "completedAt",
    category: "category",
}

impl Task {
    /// Checks a task to be added. A stored task may have an empty title.
    fn check_new(&self) -> Result<()> {
        check_title(&self.title)?;
        check_part("tasks", self)
    }
}

/// A change of the tasks of a checklist.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskChange {
    /// Adds a task as the last one; make it with [`NewTask::into_task`].
    Add(Task),
    /// Changes fields of a task.
    Edit {
        /// The task.
        id: TaskId,
        /// The changes.
        patch: TaskPatch,
    },
    /// Marks a task as done. A task that is done already keeps its date.
    Complete {
        /// The task.
        id: TaskId,
        /// When it was done.
        at: DateTime<Utc>,
    },
    /// Marks a task as not done.
    Reopen {
        /// The task.
        id: TaskId,
    },
    /// Removes a task.
    Remove {
        /// The task.
        id: TaskId,
    },
    /// Reorders the tasks; the list names each of them once.
    Reorder(Vec<TaskId>),
}

impl TaskChange {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Add(task) => task.check_new(),
            Self::Edit { patch, .. } => patch.check(),
            Self::Complete { at, .. } => time::check_moment("tasks.completedAt", *at),
            Self::Reopen { .. } | Self::Remove { .. } | Self::Reorder(_) => Ok(()),
        }
    }

    /// The error for an order that does not name each task once.
    #[must_use]
    pub fn other_tasks() -> Error {
        Error::new(ErrorKind::Conflict {
            reason: "the order does not name each task of the checklist once: tasks were added or \
                     removed since it was read; read it again and repeat the change"
                .into(),
        })
    }
}

/// Changes of a task. Whether it is done changes through its own calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskPatch {
    /// A new title.
    pub title: Option<String>,
    /// A description.
    pub description: Change<String>,
    /// When it is due.
    pub due_date: Change<DateTime<Utc>>,
    /// A heading to group tasks under.
    pub category: Change<String>,
}

impl TaskPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.title.as_deref().map_or(Ok(()), check_title)?;
        check_patch_of_part("tasks", self)
    }

    /// Applies the patch to a task in memory.
    pub fn apply(self, task: &mut Task) {
        self.apply_to(task);
        task.due_date = task.due_date.map(time::to_millis);
    }
}

patch! {
    TaskPatch, Task;
    title,
    description,
    due_date,
    category,
}

/// Changes of a checklist. Its tasks change through their own calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChecklistPatch {
    /// A new name.
    pub name: Option<String>,
    /// If set, the call returns Conflict unless the checklist was last changed at this time.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl ChecklistPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.name.as_deref().map_or(Ok(()), check_name)?;
        check_patch(self)
    }

    /// Applies the patch to a checklist in memory, and moves `updated_at` forward.
    pub fn apply(self, checklist: &mut Checklist) {
        self.apply_to(checklist);
        checklist.updated_at = time::next_update(checklist.updated_at);
    }
}

patch! {
    ChecklistPatch, Checklist, beside: [expected_updated_at];
    name,
}

patch_json!(TaskPatch, ChecklistPatch);

/// Which checklists of a user: those that match every part of the filter that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChecklistFilter {
    /// Checklists about this book.
    pub book_id: Option<Id<Book>>,
}

/// An open task with a due date, and the checklist that it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DueTask {
    /// The checklist.
    pub checklist_id: Id<Checklist>,
    /// The checklist's name.
    pub checklist_name: String,
    /// The book that it is about.
    pub book_id: Id<Book>,
    /// When the task is due: its own `due_date`.
    pub due_date: DateTime<Utc>,
    /// The task.
    pub task: Task,
}

impl DueTask {
    /// The key among tasks that are due at the same moment: the checklist's id, then the task's,
    /// with a full stop between them; keys are ordered byte by byte.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}.{}", self.checklist_id, self.task.id)
    }
}
