//! The repositories, bundled for an app.

use authorstack_core::{Analytics, AnalyticsStore};
use authorstack_sql::Dialect;

use crate::store::PostgresStore;

impl AnalyticsStore for PostgresStore {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn analytics(&self) -> Analytics {
        let dialect = Dialect {
            plain_timestamps: true,
            has_books: false,
            any_case: true,
            ids: self.ids(),
        };
        authorstack_sql::analytics(self.pool(), dialect)
    }
}
