use async_trait::async_trait;

use super::{
    store::{MemoryStore, Records},
    table::{Keyed, Table},
};
use crate::{Book, ErasedAnalytics, ErasureRepository, Id, Result, User};

#[derive(Debug)]
pub(super) struct MemoryErasure(pub(super) MemoryStore);

/// Removes the matching records. Returns how many.
fn remove<K: Ord + Clone, V: Keyed<K>>(
    table: &mut Table<K, V>,
    matches: impl Fn(&K, &V) -> bool,
) -> u64 {
    let before = table.len();
    table.retain(|place, record| !matches(place, record));
    (before - table.len()) as u64
}

impl Records {
    pub(super) fn remove_analytics(&mut self, id: Id<User>) -> ErasedAnalytics {
        ErasedAnalytics {
            sales: remove(&mut self.sales, |(user, _), _| *user == id),
            aggregates: remove(&mut self.aggregates, |(user, _), _| *user == id),
            sync_logs: remove(&mut self.sync_logs, |_, log| log.user_id == id),
            insights: remove(&mut self.insights, |_, insight| insight.user_id == id),
            forecasts: remove(&mut self.forecasts, |_, forecast| forecast.user_id == id),
        }
    }
}

#[async_trait]
impl ErasureRepository for MemoryErasure {
    async fn erase_user(&self, user_id: Id<User>) -> Result<ErasedAnalytics> {
        Ok(self.0.lock().remove_analytics(user_id))
    }

    async fn erase_book(&self, user_id: Id<User>, book_id: Id<Book>) -> Result<u64> {
        let mut records = self.0.lock();
        Ok(remove(&mut records.insights, |_, insight| {
            insight.user_id == user_id && insight.book_id == Some(book_id)
        }))
    }
}
