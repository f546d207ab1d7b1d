//! The repositories, bundled for an app.

use std::sync::Arc;

use authorstack_core::{Analytics, AnalyticsStore, DocumentStore, Documents};
use authorstack_sql::{Dialect, IdForm};

use crate::{
    books::SupabaseBooks, boosts::SupabaseBoosts, checklists::SupabaseChecklists,
    community::SupabaseCommunity, competitors::SupabaseCompetitors, follows::SupabaseFollows,
    store::SupabaseStore, users::SupabaseUsers,
};

/// The form of the analytics in a project's database.
const DIALECT: Dialect = Dialect {
    plain_timestamps: false,
    has_books: true,
    any_case: false,
    ids: IdForm::Embedded,
};

const NAME: &str = "Supabase";

impl DocumentStore for SupabaseStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn documents(&self) -> Documents {
        Documents {
            users: Arc::new(SupabaseUsers(self.clone())),
            books: Arc::new(SupabaseBooks(self.clone())),
            checklists: Arc::new(SupabaseChecklists(self.clone())),
            follows: Arc::new(SupabaseFollows(self.clone())),
            community: Arc::new(SupabaseCommunity(self.clone())),
            boosts: Arc::new(SupabaseBoosts(self.clone())),
            competitors: Arc::new(SupabaseCompetitors(self.clone())),
        }
    }
}

impl AnalyticsStore for SupabaseStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn analytics(&self) -> Analytics {
        authorstack_sql::analytics(self.pool(), DIALECT)
    }
}
