use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    pages::{page, page_by_moment},
    store::MemoryStore,
};
use crate::{
    Checklist, ChecklistFilter, ChecklistPatch, ChecklistRepository, DueTask, Error, Id,
    NewChecklist, Page, PageRequest, Result, TaskChange, User,
};

#[derive(Debug)]
pub(super) struct MemoryChecklists(pub(super) MemoryStore);

impl MemoryChecklists {
    /// Changes a checklist of the user, completely or not at all.
    fn change(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: impl FnOnce(&mut Checklist) -> Result<()>,
    ) -> Result<Checklist> {
        let mut records = self.0.lock();
        let own = records.checklists.get_mut(&id);
        let own = own.filter(|checklist| checklist.user_id == user_id);
        let checklist = own.ok_or_else(Error::not_found)?;
        let mut changed = checklist.clone();
        change(&mut changed)?;
        *checklist = changed.clone();
        Ok(changed)
    }
}

#[async_trait]
impl ChecklistRepository for MemoryChecklists {
    async fn create(&self, user_id: Id<User>, checklist: NewChecklist) -> Result<Checklist> {
        let checklist = checklist.into_checklist(user_id);
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        records.own_book(user_id, checklist.book_id)?;
        records.checklists.insert(checklist.id, checklist.clone());
        Ok(checklist)
    }

    async fn get(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<Checklist> {
        let records = self.0.lock();
        let own = records.checklists.get(&id);
        let own = own.filter(|checklist| checklist.user_id == user_id);
        own.cloned().ok_or_else(Error::not_found)
    }

    async fn list(
        &self,
        user_id: Id<User>,
        filter: ChecklistFilter,
        request: PageRequest,
    ) -> Result<Page<Checklist>> {
        let records = self.0.lock();
        let matches = |checklist: &Checklist| {
            checklist.user_id == user_id
                && filter
                    .book_id
                    .is_none_or(|book_id| checklist.book_id == book_id)
        };
        page(&records.checklists, &request, |list| list.id, matches)
    }

    async fn due(
        &self,
        user_id: Id<User>,
        until: DateTime<Utc>,
        request: PageRequest,
    ) -> Result<Page<DueTask>> {
        let records = self.0.lock();
        let own = records.checklists.values();
        let own = own.filter(|checklist| checklist.user_id == user_id);
        let due = own.flat_map(|checklist| {
            checklist.tasks.iter().filter_map(move |task| {
                let due_date = task.due_date?;
                (!task.completed && due_date <= until).then(|| DueTask {
                    checklist_id: checklist.id,
                    checklist_name: checklist.name.clone(),
                    book_id: checklist.book_id,
                    due_date,
                    task: task.clone(),
                })
            })
        });
        page_by_moment(due.collect(), &request, |due| (due.due_date, due.key()))
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        patch: ChecklistPatch,
    ) -> Result<Checklist> {
        self.change(user_id, id, |checklist| {
            let expected = patch.expected_updated_at;
            if expected.is_some_and(|expected| expected != checklist.updated_at) {
                return Err(Error::stale());
            }
            patch.apply(checklist);
            Ok(())
        })
    }

    async fn change_tasks(
        &self,
        user_id: Id<User>,
        id: Id<Checklist>,
        change: TaskChange,
    ) -> Result<Checklist> {
        self.change(user_id, id, |checklist| checklist.change(change))
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Checklist>) -> Result<()> {
        let mut records = self.0.lock();
        match records.checklists.get(&id) {
            Some(checklist) if checklist.user_id == user_id => {
                records.checklists.remove(&id);
                Ok(())
            }
            _ => Err(Error::not_found()),
        }
    }
}
