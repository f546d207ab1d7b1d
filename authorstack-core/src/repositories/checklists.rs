use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Checklist, ChecklistFilter, ChecklistPatch, DueTask, Id, NewChecklist, NewTask, Page,
    PageRequest, Result, TaskChange, TaskId, TaskPatch, User,
};

/// The operations on launch checklists. Each call takes the user whose checklists they are, and
/// another user's checklist is NotFound.
///
/// Every call that changes a checklist is one atomic update: two people who change different tasks
/// at once lose nothing. It returns the checklist as changed, and moves `updated_at` forward.
///
/// ```
/// use authorstack_core::{AuthorStack, ChecklistRepositoryExt as _, NewBook, NewChecklist, NewTask, NewUser, time};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// # let book = stack.books().create(ada.id, NewBook::new("The Tide House")).await?;
/// let launch = NewChecklist::empty(book.id, "Launch");
/// let launch = stack.checklists().create(ada.id, launch).await?;
/// let cover = NewTask::new("Order the cover");
/// let launch = stack.checklists().add_task(ada.id, launch.id, cover).await?;
/// let cover = launch.tasks[0].id.clone();
/// let launch = stack.checklists().complete_task(ada.id, launch.id, cover, time::now()).await?;
/// assert_eq!(launch.progress, 100);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ChecklistRepository: std::fmt::Debug + Send + Sync {
    /// Creates a checklist about a book of the user.
    ///
    /// # Errors
    /// NotFound when there is no such user, or the book is not theirs; Invalid; Timeout or
    /// Unavailable of a store, as for every call.
    async fn create(&self, user_id: Id<User>, checklist: NewChecklist) -> Result<Checklist>;

    /// A checklist of the user.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<Checklist>;

    /// A page of the user's checklists that match the filter.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn list(
        &self,
        user_id: Id<User>,
        filter: ChecklistFilter,
        page: PageRequest,
    ) -> Result<Page<Checklist>>;

    /// A page of the open tasks that are due at this time or before, across all checklists of the
    /// user: by due date ([`Order::OldestFirst`](crate::Order::OldestFirst) for the most urgent
    /// first), then by [`DueTask::key`].
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn due(
        &self,
        user_id: Id<User>,
        until: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<DueTask>>;

    /// Changes the fields that the patch sets.
    ///
    /// # Errors
    /// NotFound; Conflict when `expected_updated_at` no longer holds; Invalid.
    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        patch: ChecklistPatch,
    ) -> Result<Checklist>;

    /// Changes the tasks and updates the progress. [`ChecklistRepositoryExt`] has a method for each
    /// change.
    ///
    /// # Errors
    /// NotFound, also when the checklist has no such task; Conflict when a new order does not name
    /// each task once; AlreadyExists for `tasks.id`; Invalid.
    async fn change_tasks(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: TaskChange,
    ) -> Result<Checklist>;

    /// Deletes a checklist.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<()>;
}

/// A method for each change of tasks. Each is one call of [`ChecklistRepository::change_tasks`].
#[async_trait]
pub trait ChecklistRepositoryExt: ChecklistRepository {
    /// Adds a task, as the last one.
    ///
    /// # Errors
    /// NotFound; Invalid.
    async fn add_task(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        task: NewTask,
    ) -> Result<Checklist> {
        let change = TaskChange::Add(task.into_task());
        self.change_tasks(user_id, id, change).await
    }

    /// Changes the fields of a task that the patch sets.
    ///
    /// # Errors
    /// NotFound, also when the checklist has no such task; Invalid.
    async fn edit_task(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        task: TaskId,
        patch: TaskPatch,
    ) -> Result<Checklist> {
        let change = TaskChange::Edit { id: task, patch };
        self.change_tasks(user_id, id, change).await
    }

    /// Marks a task as done, with the date. A task that is done already keeps its date.
    ///
    /// # Errors
    /// NotFound, also when the checklist has no such task.
    async fn complete_task(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        task: TaskId,
        at: DateTime<Utc>,
    ) -> Result<Checklist> {
        let change = TaskChange::Complete { id: task, at };
        self.change_tasks(user_id, id, change).await
    }

    /// Marks a task as not done.
    ///
    /// # Errors
    /// NotFound, also when the checklist has no such task.
    async fn reopen_task(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        task: TaskId,
    ) -> Result<Checklist> {
        let change = TaskChange::Reopen { id: task };
        self.change_tasks(user_id, id, change).await
    }

    /// Removes a task.
    ///
    /// # Errors
    /// NotFound, also when the checklist has no such task.
    async fn remove_task(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        task: TaskId,
    ) -> Result<Checklist> {
        let change = TaskChange::Remove { id: task };
        self.change_tasks(user_id, id, change).await
    }

    /// Puts the tasks into this order.
    ///
    /// # Errors
    /// NotFound; Conflict if the order does not name each task once, because tasks were added or
    /// removed meanwhile.
    async fn reorder_tasks(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        order: Vec<TaskId>,
    ) -> Result<Checklist> {
        let change = TaskChange::Reorder(order);
        self.change_tasks(user_id, id, change).await
    }
}

impl<R: ChecklistRepository + ?Sized> ChecklistRepositoryExt for R {}
