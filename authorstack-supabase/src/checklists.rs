//! Launch checklists.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    Checklist, ChecklistFilter, ChecklistPatch, ChecklistRepository, Cursor, DueTask, Error, Id,
    NewChecklist, Order, Page, PageRequest, Result, TaskChange, User,
    fields::{Fields as _, Patch as _},
    migrate::Stored as _,
    resilience::retry_on_conflict,
    time,
};
use authorstack_sql::{
    ArgumentWriter, Jsonb, Moment, arguments, get, parameter, placeholders, postgres_micros,
    select, update,
};
use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, query, query_with};
use uuid::Uuid;

use crate::store::{SupabaseStore, listed, push_page, record};

#[derive(Debug)]
pub(crate) struct SupabaseChecklists(pub(crate) SupabaseStore);

/// Inserts a checklist for a book of the same user.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "insert into public.checklists ({}) select {} from public.books as book \
         where book.id = {} and book.user_id = {} returning 1",
        Checklist::columns(),
        placeholders::<Checklist>(),
        parameter::<Checklist>("book_id"),
        parameter::<Checklist>("user_id"),
    )
});
static GET: LazyLock<String> =
    LazyLock::new(|| select::<Checklist>("where id = $1 and user_id = $2"));
static GET_TO_CHANGE: LazyLock<String> =
    LazyLock::new(|| select::<Checklist>("where id = $1 and user_id = $2 for no key update"));
static SELECT_OF_USER: LazyLock<String> = LazyLock::new(|| select::<Checklist>("where user_id = "));
static OPEN: LazyLock<String> =
    LazyLock::new(|| select::<Checklist>("where user_id = $1 and progress < 100"));
/// A checklist as one row for each task, with only this task.
static TASK_BY_TASK: LazyLock<String> = LazyLock::new(|| {
    let columns = Checklist::KIND.column_names().into_iter();
    let columns = columns.map(|column| match column {
        "tasks" => "jsonb_build_array(task) as tasks",
        other => other,
    });
    format!(
        "select {} from public.checklists cross join lateral jsonb_array_elements( \
           case jsonb_typeof(tasks) when 'array' then tasks else '[]' end) as task \
         where id = $1",
        columns.collect::<Vec<_>>().join(", ")
    )
});
static UPDATE: LazyLock<String> = LazyLock::new(|| {
    update::<ChecklistPatch>(
        "updated_at = greatest($3, updated_at + interval '1 millisecond'), ",
        "id = $1 and user_id = $2 and ($4::timestamptz is null or updated_at = $4)",
        4,
    )
});

/// Adds the open tasks of a checklist that are due.
fn push_due(due: &mut Vec<DueTask>, checklist: Checklist, until: DateTime<Utc>) {
    for task in checklist.tasks {
        let Some(due_date) = task.due_date.filter(|due| *due <= until) else {
            continue;
        };
        if !task.completed {
            due.push(DueTask {
                checklist_id: checklist.id,
                checklist_name: checklist.name.clone(),
                book_id: checklist.book_id,
                due_date,
                task,
            });
        }
    }
}

impl SupabaseChecklists {
    /// Locks the row, so that simultaneous changes run one after another.
    async fn change(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: &TaskChange,
    ) -> Result<Checklist> {
        let mut unit = self.0.unit().await?;
        let select = query(GET_TO_CHANGE.as_str())
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        let row = unit.fetch_optional(select).await?;
        let mut checklist: Checklist = record(&row.ok_or_else(Error::not_found)?)?;
        checklist.change(change.clone())?;
        let update =
            query("update public.checklists set tasks = $2, updated_at = $3 where id = $1")
                .bind(id.to_uuid())
                .bind(Jsonb(&checklist.tasks))
                .bind(Moment(checklist.updated_at));
        unit.fetch_optional(update).await?;
        unit.commit().await?;
        Ok(checklist)
    }
}

#[async_trait]
impl ChecklistRepository for SupabaseChecklists {
    async fn create(&self, user_id: Id<User>, checklist: NewChecklist) -> Result<Checklist> {
        let checklist = checklist.into_checklist(user_id);
        let insert = query_with(INSERT.as_str(), arguments(&checklist)?);
        if self.0.fetch_optional(insert).await?.is_none() {
            let book = format_args!("book {}", checklist.book_id);
            return Err(Error::not_found().for_record(book));
        }
        Ok(checklist)
    }

    async fn get(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<Checklist> {
        let select = query(GET.as_str())
            .bind(id.to_uuid())
            .bind(user_id.to_uuid());
        self.0.one(select).await
    }

    async fn list(
        &self,
        user_id: Id<User>,
        filter: ChecklistFilter,
        page: PageRequest,
    ) -> Result<Page<Checklist>> {
        let mut select = QueryBuilder::new(SELECT_OF_USER.as_str());
        select.push_bind(user_id.to_uuid());
        if let Some(book_id) = filter.book_id {
            select.push(" and book_id = ").push_bind(book_id.to_uuid());
        }
        push_page(&mut select, &page)?;
        self.0.page(select.build(), &page).await
    }

    /// A user has few open checklists, so their tasks are searched here.
    async fn due(
        &self,
        user_id: Id<User>,
        until: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<DueTask>> {
        let after = page.after_moment()?;
        let select = query(OPEN.as_str()).bind(user_id.to_uuid());
        let mut due = Vec::new();
        let mut unreadable = Vec::new();
        for row in self.0.fetch_all(select).await? {
            match listed::<Checklist>(&row) {
                Ok(checklist) => push_due(&mut due, checklist, until),
                // Its other tasks are due all the same.
                Err(found) => {
                    let select = query(TASK_BY_TASK.as_str()).bind(get::<Uuid>(&row, 0)?);
                    for row in self.0.fetch_all(select).await? {
                        if let Ok(checklist) = listed(&row) {
                            push_due(&mut due, checklist, until);
                        }
                    }
                    unreadable.push(found);
                }
            }
        }
        // Named once, on the first page.
        if after.is_some() {
            unreadable.clear();
        }
        due.sort_by_cached_key(|due| (due.due_date, due.key()));
        if page.sort_order() == Order::NewestFirst {
            due.reverse();
        }
        if let Some((at, key)) = after {
            let after = (at, key.to_owned());
            let place = |due: &DueTask| (due.due_date, due.key());
            due.retain(|due| match page.sort_order() {
                Order::OldestFirst => place(due) > after,
                Order::NewestFirst => place(due) < after,
            });
        }
        let found = Page::from_one_more_by(due, page.limit(), |last| {
            Cursor::behind_moment(last.due_date, last.key())
        });
        Ok(Page {
            unreadable,
            ..found
        })
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        patch: ChecklistPatch,
    ) -> Result<Checklist> {
        let expected = patch.expected_updated_at;
        // No record has a moment that PostgreSQL cannot hold.
        if expected.is_none_or(|at| postgres_micros(at).is_some()) {
            let mut arguments = ArgumentWriter::default();
            arguments.push(id.to_uuid())?;
            arguments.push(user_id.to_uuid())?;
            arguments.push(Moment(time::now()))?;
            arguments.push(expected.map(Moment))?;
            patch.write(&mut arguments)?;
            let update = query_with(UPDATE.as_str(), arguments.into_arguments());
            if let Some(row) = self.0.fetch_optional(update).await? {
                return record(&row);
            }
        }
        self.get(user_id, id).await?;
        Err(Error::stale())
    }

    async fn change_tasks(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: TaskChange,
    ) -> Result<Checklist> {
        retry_on_conflict(|| self.change(user_id, id, &change)).await
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<()> {
        let delete =
            query("delete from public.checklists where id = $1 and user_id = $2 returning 1")
                .bind(id.to_uuid())
                .bind(user_id.to_uuid());
        self.0.delete(delete).await
    }
}
