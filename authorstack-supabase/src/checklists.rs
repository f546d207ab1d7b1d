//! Launch checklists.

use async_trait::async_trait;
use authorstack_core::{
    Checklist, ChecklistFilter, ChecklistPatch, ChecklistRepository, Cursor, DueTask, Error, Id,
    NewChecklist, Order, Page, PageRequest, Result, TaskChange, User, time,
};
use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, query};

use crate::{
    row::{self, Jsonb, Moment, checklist_columns},
    store::{SupabaseStore, again, push_page},
};

#[derive(Debug)]
pub(crate) struct SupabaseChecklists(pub(crate) SupabaseStore);

impl SupabaseChecklists {
    async fn insert(&self, checklist: &Checklist) -> Result<()> {
        let insert = query(concat!(
            "insert into public.checklists (",
            checklist_columns!(),
            ") select $1, book.id, book.user_id, $4, $5, $6, $7, $8, $9 from public.books as book \
             where book.id = $2 and book.user_id = $3 returning 1"
        ))
        .bind(checklist.id.to_uuid())
        .bind(checklist.book_id.to_uuid())
        .bind(checklist.user_id.to_uuid())
        .bind(checklist.template_id.as_deref())
        .bind(&checklist.name)
        .bind(Jsonb(&checklist.tasks))
        .bind(Moment(checklist.created_at))
        .bind(Moment(checklist.updated_at))
        .bind(Jsonb(&checklist.extra));
        let row = self.0.fetch_optional(insert).await?;
        row.map(drop).ok_or_else(|| {
            let book = checklist.book_id;
            Error::not_found().for_record(format_args!("book {book}"))
        })
    }

    async fn find(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<Checklist> {
        let select = query(concat!(
            "select ",
            checklist_columns!(),
            " from public.checklists where id = $1 and user_id = $2"
        ))
        .bind(id.to_uuid())
        .bind(user_id.to_uuid());
        let row = self.0.fetch_optional(select).await?;
        row::checklist(&row.ok_or_else(Error::not_found)?)
    }

    async fn page(
        &self,
        user_id: Id<User>,
        filter: &ChecklistFilter,
        page: &PageRequest,
    ) -> Result<Page<Checklist>> {
        let mut select = QueryBuilder::new(concat!(
            "select ",
            checklist_columns!(),
            " from public.checklists where user_id = "
        ));
        select.push_bind(user_id.to_uuid());
        if let Some(book_id) = filter.book_id {
            select.push(" and book_id = ").push_bind(book_id.to_uuid());
        }
        push_page::<Checklist>(&mut select, page)?;
        let rows = self.0.fetch_all(select.build()).await?;
        let found: Result<Vec<_>> = rows.iter().map(row::checklist).collect();
        Ok(Page::from_one_more(found?, page.limit(), |list| list.id))
    }

    /// The user's open checklists are few: their tasks are looked through here.
    async fn due_page(
        &self,
        user_id: Id<User>,
        until: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<DueTask>> {
        let after = page.after_moment()?;
        let select = query(concat!(
            "select ",
            checklist_columns!(),
            " from public.checklists where user_id = $1 and progress < 100"
        ))
        .bind(user_id.to_uuid());
        let mut due = Vec::new();
        for row in self.0.fetch_all(select).await? {
            let checklist = row::checklist(&row)?;
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
        Ok(Page::from_one_more_by(due, page.limit(), |last| {
            Cursor::behind_moment(last.due_date, last.key())
        }))
    }

    async fn patch(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        patch: &ChecklistPatch,
    ) -> Result<Checklist> {
        patch.check()?;
        let expected = patch.expected_updated_at;
        let possible = expected.is_none_or(|at| row::postgres_micros(at).is_some());
        if possible {
            let update = query(concat!(
                "update public.checklists set \
                 updated_at = greatest($3, updated_at + interval '1 millisecond'), \
                 name = coalesce($5, name) \
                 where id = $1 and user_id = $2 and ($4::timestamptz is null or updated_at = $4) \
                 returning ",
                checklist_columns!()
            ))
            .bind(id.to_uuid())
            .bind(user_id.to_uuid())
            .bind(Moment(time::now()))
            .bind(expected.map(Moment))
            .bind(patch.name.as_deref());
            if let Some(row) = self.0.fetch_optional(update).await? {
                return row::checklist(&row);
            }
        }
        self.find(user_id, id).await?;
        Err(Error::stale())
    }

    /// Under the row's lock: changes of two people follow each other.
    async fn change(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: &TaskChange,
    ) -> Result<Checklist> {
        change.check()?;
        let mut unit = self.0.unit().await?;
        let select = query(concat!(
            "select ",
            checklist_columns!(),
            " from public.checklists where id = $1 and user_id = $2 for no key update"
        ))
        .bind(id.to_uuid())
        .bind(user_id.to_uuid());
        let row = unit.fetch_optional(select).await?;
        let mut checklist = row::checklist(&row.ok_or_else(Error::not_found)?)?;
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

    async fn remove(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<()> {
        let delete =
            query("delete from public.checklists where id = $1 and user_id = $2 returning 1")
                .bind(id.to_uuid())
                .bind(user_id.to_uuid());
        match self.0.fetch_optional(delete).await? {
            Some(_) => Ok(()),
            None => Err(Error::not_found()),
        }
    }
}

fn about<T>(result: Result<T>, operation: &'static str, id: Id<Checklist>) -> Result<T> {
    result.map_err(|error| error.in_operation(operation).for_record(id))
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

#[async_trait]
impl ChecklistRepository for SupabaseChecklists {
    async fn create(&self, user_id: Id<User>, checklist: NewChecklist) -> Result<Checklist> {
        let create = async {
            let checklist = checklist.into_checklist(user_id)?;
            self.insert(&checklist).await?;
            Ok(checklist)
        };
        named(create.await, "checklists.create")
    }

    async fn get(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<Checklist> {
        about(self.find(user_id, id).await, "checklists.get", id)
    }

    async fn list(
        &self,
        user_id: Id<User>,
        filter: ChecklistFilter,
        page: PageRequest,
    ) -> Result<Page<Checklist>> {
        named(self.page(user_id, &filter, &page).await, "checklists.list")
    }

    async fn due(
        &self,
        user_id: Id<User>,
        until: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<DueTask>> {
        named(self.due_page(user_id, until, &page).await, "checklists.due")
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        patch: ChecklistPatch,
    ) -> Result<Checklist> {
        let updated = self.patch(user_id, id, &patch).await;
        about(updated, "checklists.update", id)
    }

    async fn change_tasks(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: TaskChange,
    ) -> Result<Checklist> {
        let changed = again(|| self.change(user_id, id, &change)).await;
        about(changed, "checklists.change_tasks", id)
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<()> {
        about(self.remove(user_id, id).await, "checklists.delete", id)
    }
}
