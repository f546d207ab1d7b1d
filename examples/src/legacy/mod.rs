//! Databases as years of other people's code leave them, made from a seed, and an oracle that says
//! what must become of each record.
//!
//! The oracle does not look at the code that moves the records: each dirty value carries its meaning
//! by the documented rules.

mod analytics;
mod can;
mod documents;
mod maker;
mod oracle;

use std::collections::BTreeMap;

use anyhow::Result;
use authorstack_core::migrate::Kind;
use bson::{Document, oid::ObjectId};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

pub use self::analytics::Form;
pub use self::can::Can;
pub use self::oracle::{
    Candidate, Held, Means, Outcome, Outcomes, Rejected, Row, SET_ASIDE, differences, faults, judge,
};
use self::{
    analytics::{Ids, Owners, Table},
    documents::Item,
    maker::Maker,
};

impl Maker {
    /// How the analytics write these ids.
    fn ids(&mut self, users: &[ObjectId], books: &[ObjectId]) -> Ids {
        let form = match self.below(6) {
            0 => Form::PaddedLeft,
            1 => Form::PaddedRight,
            _ => Form::Embedded,
        };
        let mut map = Vec::new();
        if self.chance(30) {
            for (place, id) in users.iter().take(2).chain(books.iter().take(1)).enumerate() {
                map.push((format!("c0ffee00-6d5c-4d6f-9c3c-5d8a1c1b7d0{place}"), *id));
            }
        }
        Ids { form, map }
    }
}

/// The databases of an app.
#[derive(Debug)]
pub struct Legacy {
    items: Vec<Item>,
    tables: Vec<Table>,
    ids: Ids,
    /// The collection that is a view.
    view: Option<Kind>,
    settings: Vec<&'static str>,
    maker: Maker,
}

/// What people set for a whole database.
const SETTINGS: &[&str] = &[
    "standard_conforming_strings = off",
    "datestyle = 'SQL, DMY'",
    "timezone = 'Asia/Tokyo'",
    "bytea_output = 'escape'",
    "intervalstyle = 'sql_standard'",
    "extra_float_digits = -5",
    "xmloption = 'document'",
    "default_transaction_isolation = 'serializable'",
];

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
        let ids = maker.ids(&documents.users, &books);
        let owners = Owners {
            users: &documents.users,
            books: &books,
            ids: &ids,
        };
        let tables = maker.tables(can, &owners);
        let view = maker
            .chance(30)
            .then(|| maker.pick(&[Kind::Books, Kind::CommunityPosts]));
        let count = maker.below(4);
        let settings = (0..count).map(|_| maker.pick(SETTINGS)).collect();
        Self {
            items: documents.items,
            tables,
            ids,
            view,
            settings,
            maker,
        }
    }

    /// The form of the ids in the analytics.
    #[must_use]
    pub fn form(&self) -> Form {
        self.ids.form
    }

    /// The text of the file that maps UUIDs to ids.
    #[must_use]
    pub fn id_map(&self) -> String {
        let lines = self.ids.map.iter().map(|(own, id)| format!("{own},{id}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What is set for the databases of PostgreSQL.
    #[must_use]
    pub fn settings(&self) -> &[&'static str] {
        &self.settings
    }

    /// The tables in which rows have no number of their own: a move is refused.
    #[must_use]
    pub fn unnumbered(&self) -> Vec<Kind> {
        let tables = self.tables.iter().filter(|table| !table.has_numbers());
        tables.map(|table| table.kind).collect()
    }

    /// Removes the rows without a number of their own.
    pub fn number(&mut self) {
        self.tables.iter_mut().for_each(Table::number);
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
            documents
                .entry(item.kind)
                .or_default()
                .push(item.document());
        }
        documents
    }

    /// Writes the documents into a database, in place of those that are there.
    ///
    /// # Errors
    /// What the driver fails with.
    pub async fn write_documents(&self, database: &mongodb::Database) -> Result<()> {
        let documents = self.documents();
        let written = documents.into_iter().map(async |(kind, documents)| {
            let mut name = kind.as_str().to_owned();
            if self.view == Some(kind) {
                name.push_str("_stored");
                let views = database.list_collection_names().await?;
                if !views.iter().any(|view| view == kind.as_str()) {
                    let create = database.create_collection(kind.as_str());
                    create.view_on(name.clone()).await?;
                }
            }
            let collection = database.collection::<Document>(&name);
            collection.delete_many(Document::new()).await?;
            collection.insert_many(documents).await?;
            Ok(())
        });
        futures::future::try_join_all(written).await.map(|_| ())
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
        let plain = "set standard_conforming_strings = on; set datestyle = 'ISO, MDY'";
        database.execute(plain).await?;
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
            ..
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
