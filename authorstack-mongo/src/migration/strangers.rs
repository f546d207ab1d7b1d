//! What stays behind: collections that the schema does not know, and those that are missing.

use authorstack_core::{
    ErrorKind, Result,
    migrate::{Kind, Stranger},
};
use bson::Document;
use futures::TryStreamExt;

use crate::{error::driver, store::MongoStore};

/// The most collections that are named.
const MOST: usize = 1_000;

impl MongoStore {
    /// The collections that the schema does not know, and those of these kinds that are missing.
    pub(super) async fn strange_collections(&self, kinds: &[Kind]) -> Result<Vec<Stranger>> {
        let has_own = |kind: &&Kind| kind.description().part_of.is_none();
        let own = Kind::DOCUMENTS.iter().filter(has_own);
        let listed = driver(self.deadline, async {
            let cursor = self.database.list_collections().await?;
            cursor.try_collect::<Vec<_>>().await
        });
        let listed = match listed.await {
            // Who may not list collections may still read one.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                return Ok(Vec::new());
            }
            listed => listed?,
        };
        let mut found = Vec::new();
        for collection in &listed {
            let name = &collection.name;
            if own.clone().any(|kind| kind.as_str() == name) || name.starts_with("system.") {
                continue;
            }
            let form = match &collection.collection_type {
                mongodb::results::CollectionType::View => "view",
                mongodb::results::CollectionType::Timeseries => "time series",
                _ => "collection",
            };
            let documents = self.database.collection::<Document>(name);
            let records = match form {
                // Counting a view runs it.
                "view" => None,
                _ => driver(self.deadline, documents.estimated_document_count())
                    .await
                    .ok(),
            };
            found.push(Stranger {
                store: Self::NAME,
                form,
                name: name.clone(),
                records,
                missing: false,
            });
            if found.len() >= MOST {
                break;
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        for kind in own.filter(|kind| kinds.contains(kind)) {
            if !listed.iter().any(|it| it.name == kind.as_str()) {
                found.push(Stranger {
                    store: Self::NAME,
                    form: "collection",
                    name: kind.as_str().to_owned(),
                    records: None,
                    missing: true,
                });
            }
        }
        Ok(found)
    }
}
