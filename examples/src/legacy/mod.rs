//! Databases as years of other people's code leave them, made from a seed, and an oracle that says
//! what must become of each record.
//!
//! The oracle does not look at the code that moves the records: each dirty value carries its meaning
//! by the documented rules.

mod analytics;
mod documents;
mod maker;
mod oracle;

use std::collections::BTreeMap;

use anyhow::Result;
use authorstack_core::migrate::Kind;
use bson::{Document, oid::ObjectId};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use self::{
    analytics::{Owners, Table},
    documents::Item,
    maker::Maker,
};
pub use self::oracle::{
    Candidate, Held, Means, Outcome, Outcomes, Rejected, Row, SET_ASIDE, differences, faults, judge,
};

/// What the generator may make.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a kind of dirt")]
pub struct Can {
    /// Columns of other types.
    pub altered: bool,
    /// Columns that the schema does not know.
    pub added: bool,
    /// Tables without a key.
    pub keyless: bool,
    /// NULL where a value is needed.
    pub nulls: bool,
    /// Amounts with more digits than the target holds.
    pub exact: bool,
    /// Spellings that are read leniently.
    pub lenient: bool,
}

impl Can {
    /// Everything.
    pub const ALL: Self = Self {
        altered: true,
        added: true,
        keyless: true,
        nulls: true,
        exact: true,
        lenient: true,
    };

    /// The schema's own tables.
    pub const PLAIN: Self = Self {
        altered: false,
        added: false,
        keyless: false,
        nulls: false,
        exact: false,
        lenient: false,
    };
}

/// The databases of an app.
#[derive(Debug)]
pub struct Legacy {
    items: Vec<Item>,
    tables: Vec<Table>,
    maker: Maker,
}

impl Legacy {
    /// The databases of this seed.
    #[must_use]
    pub fn generate(seed: u64, can: Can) -> Self {
        let mut maker = Maker::new(seed);
        let documents = maker.documents();
        let books: Vec<ObjectId> = documents.books.iter().map(|(book, _)| *book).collect();
        let books = if books.is_empty() {
            vec![maker::NOBODY]
        } else {
            books
        };
        let owners = Owners {
            users: &documents.users,
            books: &books,
        };
        let tables = maker.tables(can, &owners);
        Self {
            items: documents.items,
            tables,
            maker,
        }
    }

    /// Every record, and what it means.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let documents = self.items.iter().flat_map(Item::candidates);
        let rows = self.tables.iter().flat_map(Table::candidates);
        documents.chain(rows).collect()
    }

    /// The documents of each collection.
    fn documents(&self) -> BTreeMap<Kind, Vec<Document>> {
        let mut documents: BTreeMap<Kind, Vec<Document>> = BTreeMap::new();
        for item in &self.items {
            documents.entry(item.kind).or_default().push(item.document());
        }
        documents
    }

    /// Writes the documents into a database, in place of those that are there.
    ///
    /// # Errors
    /// What the driver fails with.
    pub async fn write_documents(&self, database: &mongodb::Database) -> Result<()> {
        for (kind, documents) in self.documents() {
            let collection = database.collection::<Document>(kind.as_str());
            collection.delete_many(Document::new()).await?;
            collection.insert_many(documents).await?;
        }
        Ok(())
    }

    /// Makes the tables of the analytics.
    ///
    /// # Errors
    /// What the driver fails with.
    pub async fn create_tables(&self, database: &mut PgConnection) -> Result<()> {
        for table in &self.tables {
            database.execute(AssertSqlSafe(table.create())).await?;
        }
        Ok(())
    }

    /// Writes the rows of the analytics, in place of those that are there.
    ///
    /// # Errors
    /// What the driver fails with.
    pub async fn write_rows(&self, database: &mut PgConnection) -> Result<()> {
        for table in &self.tables {
            database.execute(AssertSqlSafe(table.fill())).await?;
        }
        Ok(())
    }

    /// Changes the sources as people do after a first run. Returns the records that are gone.
    pub fn change(&mut self) -> Vec<(Kind, String)> {
        let Self {
            items,
            tables,
            maker,
        } = self;
        for table in tables.iter_mut() {
            let sound: Vec<usize> = (0..table.rows.len())
                .filter(|place| table.rows[*place].is_sound())
                .collect();
            let column = match table.kind {
                Kind::SalesData => "revenue",
                Kind::DailyAggregates => "total_revenue",
                Kind::SyncLogs => "records_synced",
                Kind::AiInsights => "content",
                _ => "predicted_revenue",
            };
            if let [first, .., last] = sound[..] {
                let (before, after) = table.rows.split_at_mut(last);
                before[first].exchange(&mut after[0], column);
            }
        }
        for item in items.iter_mut() {
            if item.is_sound()
                && maker.chance(30)
                && let Some(field) = item.field("updatedAt")
            {
                let millis = maker.millis();
                let at = bson::DateTime::from_millis(millis);
                field.stored = Some(at.into());
                field.means = Means::is(millis * 1_000);
            }
        }
        Vec::new()
    }
}
