//! The analytics in migrations, as a source and as a target. The server converts rows that leave
//! into the form of AuthorStack's own tables. Rows that come back get the form of this database.

mod aside;
mod batch;
mod check;
mod columns;
mod conversion;
mod decode;
mod encode;
mod id_forms;
mod id_map;
mod inspect;
mod reader;
mod rows;
mod shared;
mod sink;
mod snapshot;
mod strangers;
mod sums;
mod writer;

use std::sync::Arc;

use self::shared::Shared;
pub use self::{
    id_forms::{FormIds, IdForms, KindIds},
    id_map::IdMap,
};
use crate::store::PostgresStore;

/// The name in messages.
const NAME: &str = "PostgreSQL";

/// The five tables in migrations. [`PostgresStore::migration`](crate::PostgresStore::migration)
/// returns it.
///
/// It is a [`Snapshot`](authorstack_core::migrate::Snapshot) with the fast lane for rows, and a
/// [`Sink`](authorstack_core::migrate::Sink) for the opposite direction.
#[derive(Debug, Clone)]
pub struct PostgresMigration {
    shared: Arc<Shared>,
    /// The same rows, of which nothing is set aside.
    strict: Option<Arc<Self>>,
}

impl PostgresStore {
    /// The five tables, for a migration that reads or writes them. Ids in this map are converted by
    /// it; the others have the form from the settings.
    #[must_use]
    pub fn migration(&self, map: IdMap) -> PostgresMigration {
        let migration = |map, strict| {
            let shared = Shared::new(self.pool().clone(), self.ids(), map, strict);
            PostgresMigration {
                shared: Arc::new(shared),
                strict: None,
            }
        };
        PostgresMigration {
            strict: Some(Arc::new(migration(map.clone(), true))),
            ..migration(map, false)
        }
    }
}
