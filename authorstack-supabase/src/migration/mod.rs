//! Supabase in a migration: as a snapshot, as a sink, and as the ledger of both directions. Batches
//! are written with COPY, each with its checkpoint in one transaction.

mod accounts;
mod batch;
mod copy;
mod deferred;
mod held;
mod inspect;
mod ledger;
mod load;
mod lock;
mod moved;
mod normal;
mod notes;
mod passes;
mod place;
mod range;
mod rows;
mod scan;
mod screen;
mod sink;
mod snapshot;
mod statements;
mod work;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use authorstack_core::{
    Id,
    migrate::{Kind, Record},
};

pub use self::ledger::SupabaseLedger;
use self::{
    notes::{INTO, Notes},
    work::Work,
};
use crate::store::SupabaseStore;

const NAME: &str = "Supabase";

/// Records that are known to exist, so that each is looked up only once.
type Known = Mutex<HashMap<Kind, HashSet<Id<Record>>>>;

/// Moves records into Supabase and out of it. The ledger of migrations into it is in its schema
/// `authorstack`. [`SupabaseStore::migration`] returns it.
///
/// A first load into an empty table drops secondary indexes, foreign keys and checks by functions
/// until its end, and copies directly into the table. Any other load merges by id. It works with every pooler, because
/// a batch has no state in its session beyond its transaction.
#[derive(Clone)]
pub struct SupabaseMigration {
    work: Work,
    known: Arc<Known>,
    kinds: &'static [Kind],
}

impl fmt::Debug for SupabaseMigration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupabaseMigration")
            .field("store", &self.work)
            .finish_non_exhaustive()
    }
}

impl SupabaseStore {
    /// The store in a migration into it or out of it: documents and analytics.
    #[must_use]
    pub fn migration(&self) -> SupabaseMigration {
        SupabaseMigration {
            work: Work::new(self.clone()),
            known: Arc::default(),
            kinds: Kind::DATA,
        }
    }
}

impl SupabaseMigration {
    /// The accounts of the project, too: the tables of its Auth server, by SQL.
    ///
    /// An account gets the id of its profile, or, without one, an id that follows from its old one.
    /// Its profile follows in the same transaction.
    #[must_use]
    pub fn with_accounts(mut self) -> Self {
        self.kinds = Kind::ALL;
        self
    }

    /// The ledger of migrations into this project.
    fn notes(&self) -> Notes {
        Notes {
            work: self.work.clone(),
            tables: &INTO,
        }
    }

    /// The records that are known to exist. No call panics while it holds this lock, so the value
    /// in a poisoned lock is valid.
    fn known(&self) -> MutexGuard<'_, HashMap<Kind, HashSet<Id<Record>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the known records, because some were removed.
    fn forget(&self) {
        self.known().clear();
    }
}
