//! The schema's indexes.

use std::time::Duration;

use authorstack_core::{Error, ErrorKind, Result, layers::Operation, resilience::with_deadline};
use bson::{Document, RawDocumentBuf};
use futures::TryStreamExt;
use mongodb::{Collection, IndexModel, error::ErrorKind as DriverKind, options::IndexOptions};

use crate::{
    error::{driver, map},
    store::MongoStore,
};

/// Building an index on a large collection takes longer than a call. The server continues even if
/// nobody waits.
const BUILD_DEADLINE: Duration = Duration::from_mins(10);

struct Index {
    /// The fields, each ascending (1) or descending (-1).
    fields: &'static [(&'static str, i32)],
    unique: bool,
}

const fn plain(fields: &'static [(&'static str, i32)]) -> Index {
    Index {
        fields,
        unique: false,
    }
}

const fn unique(fields: &'static [(&'static str, i32)]) -> Index {
    Index {
        fields,
        unique: true,
    }
}

const USER_INDEXES: &[Index] = &[unique(&[("authId", 1)]), unique(&[("email", 1)])];

const BOOK_INDEXES: &[Index] = &[
    plain(&[("userId", 1)]),
    plain(&[("userId", 1), ("status", 1)]),
    plain(&[("asin", 1)]),
];

const CHECKLIST_INDEXES: &[Index] = &[plain(&[("userId", 1)]), plain(&[("bookId", 1)])];

const FOLLOW_INDEXES: &[Index] = &[
    unique(&[("followerId", 1), ("authorId", 1)]),
    // For the pages of both directions.
    plain(&[("followerId", 1), ("_id", 1)]),
    plain(&[("authorId", 1), ("_id", 1)]),
];

const POST_INDEXES: &[Index] = &[
    plain(&[("authorId", 1)]),
    plain(&[("createdAt", -1)]),
    // For the feed: the posts of each author, newest first.
    plain(&[("authorId", 1), ("_id", -1)]),
];

const BOOST_INDEXES: &[Index] = &[
    plain(&[("active", 1), ("expiresAt", 1)]),
    plain(&[("userId", 1)]),
    plain(&[("bookId", 1)]),
];

const COMPETITOR_INDEXES: &[Index] = &[
    plain(&[("userId", 1)]),
    plain(&[("asin", 1)]),
    unique(&[("userId", 1), ("asin", 1)]),
    plain(&[("lastChecked", 1), ("_id", 1)]),
];

impl MongoStore {
    /// Creates the indexes of all collections where they are missing. An index with the same keys,
    /// such as one made by Mongoose, stays as it is.
    ///
    /// These are unique: a user's account and e-mail address, a user's competitors by their ASIN,
    /// and who follows whom.
    ///
    /// # Errors
    /// Conflict if documents share a value that must be unique, or if there is an index with the
    /// same keys that is not unique.
    pub async fn ensure_indexes(&self) -> Result<()> {
        self.create_missing()
            .await
            .map_err(|error| error.in_operation(Operation::EnsureIndexes))
    }

    /// All collections with their indexes.
    fn wanted(&self) -> [(&Collection<RawDocumentBuf>, &'static [Index]); 7] {
        [
            (&self.users, USER_INDEXES),
            (&self.books, BOOK_INDEXES),
            (&self.checklists, CHECKLIST_INDEXES),
            (&self.follows, FOLLOW_INDEXES),
            (&self.posts, POST_INDEXES),
            (&self.boosts, BOOST_INDEXES),
            (&self.competitors, COMPETITOR_INDEXES),
        ]
    }

    /// For calls that rely on unique indexes: without them, two calls at the same time could both
    /// succeed. They are looked for until they were found once.
    ///
    /// # Errors
    /// Unsupported, naming the missing index.
    pub(crate) async fn needs_unique_indexes(&self) -> Result<()> {
        let look = || self.look_for_unique_indexes();
        self.unique_indexes.get_or_try_init(look).await.map(drop)
    }

    async fn look_for_unique_indexes(&self) -> Result<()> {
        for (collection, wanted) in self.wanted() {
            if !wanted.iter().any(|index| index.unique) {
                continue;
            }
            let present = present(collection, self.deadline).await?;
            for index in wanted {
                let is_there = matches!(index.is_among(&present, collection.name()), Ok(true));
                if index.unique && !is_there {
                    return Err(index.is_missing(collection.name()));
                }
            }
        }
        Ok(())
    }

    async fn create_missing(&self) -> Result<()> {
        for (collection, wanted) in self.wanted() {
            let present = present(collection, self.deadline).await?;
            for index in wanted {
                if !index.is_among(&present, collection.name())? {
                    index.create(collection).await?;
                }
            }
        }
        Ok(())
    }
}

async fn present(
    collection: &Collection<RawDocumentBuf>,
    deadline: Duration,
) -> Result<Vec<IndexModel>> {
    /// `NamespaceNotFound`: no collection, so no indexes.
    const NO_COLLECTION: i32 = 26;
    let list = async { collection.list_indexes().await?.try_collect().await };
    let listed = with_deadline(deadline, async { Ok(list.await) }).await?;
    listed.or_else(|error| match error.kind.as_ref() {
        DriverKind::Command(command) if command.code == NO_COLLECTION => Ok(Vec::new()),
        _ => Err(map(&error, deadline)),
    })
}

impl Index {
    fn is_missing(&self, collection: &str) -> Error {
        ErrorKind::Unsupported {
            what: format!(
                "there is no unique index on {collection}.{}, so that two calls at the same time \
                 could store one value twice; make it with MongoStore::prepare",
                self.names().join(", ")
            )
            .into(),
        }
        .into()
    }

    fn keys(&self) -> Document {
        self.fields
            .iter()
            .map(|(field, direction)| ((*field).to_owned(), (*direction).into()))
            .collect()
    }

    fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|(field, _)| *field).collect()
    }

    /// Whether an index with these keys exists, under any name.
    fn is_among(&self, present: &[IndexModel], collection: &str) -> Result<bool> {
        let same_keys =
            |model: &&IndexModel| {
                let leads = |value: &bson::Bson, direction: i32| {
                    value.as_i32() == Some(direction)
                        || value.as_i64() == Some(direction.into())
                        || value.as_f64() == Some(direction.into())
                };
                model.keys.len() == self.fields.len()
                    && model.keys.iter().zip(self.fields).all(
                        |((key, value), (field, direction))| {
                            key == field && leads(value, *direction)
                        },
                    )
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
        let fields = self.names().join(", ");
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
        let created = driver(BUILD_DEADLINE, collection.create_index(model)).await;
        created.map(drop).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists { .. } => {
                let fields = self.names().join(", ");
                let group = match self.names().as_slice() {
                    [field] => format!("\"${field}\""),
                    several => {
                        let parts = several.iter().map(|field| format!("{field}: \"${field}\""));
                        format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
                    }
                };
                let name = collection.name();
                ErrorKind::Conflict {
                    reason: format!(
                        "{name}.{fields} cannot be made unique: some documents share a value; \
                         find them with db.{name}.aggregate([{{$group: {{_id: {group}, n: {{$sum: \
                         1}}}}}}, {{$match: {{n: {{$gt: 1}}}}}}]), keep one of each, and call again"
                    )
                    .into(),
                }
                .into()
            }
            _ => error,
        })
    }
}
