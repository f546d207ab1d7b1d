//! The analytics in migrations, as what is read and as what is written. Rows leave in the form of
//! AuthorStack's own tables, converted by the server that holds them, and come back in the form of
//! this database.

mod batch;
mod check;
mod conversion;
mod decode;
mod encode;
mod id_map;
mod inspect;
mod reader;
mod rows;
mod shared;
mod sink;
mod snapshot;
mod writer;

use std::sync::Arc;

pub use self::id_map::IdMap;
use self::shared::Shared;
use crate::store::PostgresStore;

/// The name in messages.
const NAME: &str = "PostgreSQL";

/// The five tables in migrations. Made by
/// [`PostgresStore::migration`](crate::PostgresStore::migration).
///
/// It is a [`Snapshot`](authorstack_core::migrate::Snapshot) with the fast lane for rows, and a
/// [`Sink`](authorstack_core::migrate::Sink) for the way back.
#[derive(Debug, Clone)]
pub struct PostgresMigration {
    shared: Arc<Shared>,
}

impl PostgresStore {
    /// The five tables as a migration reads and writes them, with the ids that this map knows; the
    /// others have the form that the settings name.
    #[must_use]
    pub fn migration(&self, map: IdMap) -> PostgresMigration {
        let shared = Shared::new(self.pool().clone(), self.ids(), map);
        PostgresMigration {
            shared: Arc::new(shared),
        }
    }
}
