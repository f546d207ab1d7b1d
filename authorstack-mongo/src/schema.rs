//! The schema's indexes.

use std::time::Duration;

use authorstack_core::{Error, ErrorKind, Result};
use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::{
    Collection, IndexModel,
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::IndexOptions,
};

use crate::error::{map, within};

pub(crate) const USERS: &str = "users";
pub(crate) const BOOKS: &str = "books";

/// Building an index on a large collection takes longer than a call does; the server goes on
/// when nobody waits any more.
const BUILD_DEADLINE: Duration = Duration::from_mins(10);

struct Index {
    fields: &'static [&'static str],
    unique: bool,
}

const USER_INDEXES: &[Index] = &[
    Index {
        fields: &["authId"],
        unique: true,
    },
    Index {
        fields: &["email"],
        unique: true,
    },
];

const BOOK_INDEXES: &[Index] = &[
    Index {
        fields: &["userId"],
        unique: false,
    },
    Index {
        fields: &["userId", "status"],
        unique: false,
    },
    Index {
        fields: &["asin"],
        unique: false,
    },
];

/// Creates the indexes that are not there yet.
pub(crate) async fn ensure(
    users: &Collection<RawDocumentBuf>,
    books: &Collection<RawDocumentBuf>,
    deadline: Duration,
) -> Result<()> {
    for (collection, wanted) in [(users, USER_INDEXES), (books, BOOK_INDEXES)] {
        let present = present(collection, deadline).await?;
        for index in wanted {
            if !index.is_among(&present, collection.name())? {
                index.create(collection).await?;
            }
        }
    }
    Ok(())
}

async fn present(
    collection: &Collection<RawDocumentBuf>,
    deadline: Duration,
) -> Result<Vec<IndexModel>> {
    /// `NamespaceNotFound`: no collection, so no indexes.
    const NO_COLLECTION: i32 = 26;
    let list = async { collection.list_indexes().await?.try_collect().await };
    let listed = tokio::time::timeout(deadline, list)
        .await
        .map_err(|_| Error::timeout(deadline))?;
    listed.or_else(|error: DriverError| match error.kind.as_ref() {
        DriverKind::Command(command) if command.code == NO_COLLECTION => Ok(Vec::new()),
        _ => Err(map(&error, deadline)),
    })
}

impl Index {
    fn keys(&self) -> Document {
        self.fields
            .iter()
            .map(|field| ((*field).to_owned(), 1.into()))
            .collect()
    }

    /// Whether an index with these keys exists, by whatever name.
    fn is_among(&self, present: &[IndexModel], collection: &str) -> Result<bool> {
        let same_keys = |model: &&IndexModel| {
            let ascending = |value: &bson::Bson| {
                value.as_i32() == Some(1)
                    || value.as_i64() == Some(1)
                    || value.as_f64() == Some(1.0)
            };
            model.keys.len() == self.fields.len()
                && model
                    .keys
                    .iter()
                    .zip(self.fields)
                    .all(|((key, value), field)| key == field && ascending(value))
        };
        let mut same = present.iter().filter(same_keys).peekable();
        if same.peek().is_none() {
            return Ok(false);
        }
        let enough = |model: &IndexModel| {
            let options = model.options.as_ref();
            !self.unique
                || options.is_some_and(|options| {
                    options.unique == Some(true) && options.partial_filter_expression.is_none()
                })
        };
        if same.any(enough) {
            return Ok(true);
        }
        let fields = self.fields.join(", ");
        Err(ErrorKind::Conflict {
            reason: format!(
                "the index on {collection}.{fields} does not make it unique for every document; \
                 drop that index and call again"
            )
            .into(),
        }
        .into())
    }

    async fn create(&self, collection: &Collection<RawDocumentBuf>) -> Result<()> {
        let options = IndexOptions::builder()
            .unique(self.unique.then_some(true))
            .build();
        let model = IndexModel::builder()
            .keys(self.keys())
            .options(options)
            .build();
        let created = within(BUILD_DEADLINE, collection.create_index(model)).await;
        created.map(drop).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists { .. } => {
                let fields = self.fields.join(", ");
                let name = collection.name();
                ErrorKind::Conflict {
                    reason: format!(
                        "{name}.{fields} cannot be made unique: some documents share a value; \
                         find them with db.{name}.aggregate([{{$group: {{_id: \"${fields}\", n: \
                         {{$sum: 1}}}}}}, {{$match: {{n: {{$gt: 1}}}}}}]), keep one of each, and \
                         call again"
                    )
                    .into(),
                }
                .into()
            }
            _ => error,
        })
    }
}

/// The filter for one document of a collection.
pub(crate) fn by_id(id: impl Into<bson::Bson>) -> Document {
    doc! {"_id": id.into()}
}
