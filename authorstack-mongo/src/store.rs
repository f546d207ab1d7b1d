//! The connection, and the calls that the repositories share.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use authorstack_core::{
    Book, ConnectionSecurity, Error, Id, Result, User,
    fields::{Fields, Patch},
    health::HealthCheck,
    layers::Operation,
    migrate::{Kind, Problems},
    resilience::with_deadline,
};
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use mongodb::{
    Collection, Database,
    error::ErrorKind as DriverKind,
    options::{FindOptions, ReadPreference, ReturnDocument, SelectionCriteria},
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    config::{MongoConfig, Opened},
    document::{self, decode},
    error::{driver, map},
    pipeline::{Changes, as_stored, contended, expect_update, refers_to},
};

/// The documents of an app in a MongoDB database. Clones share the connections.
#[derive(Clone)]
pub struct MongoStore {
    pub(crate) database: Database,
    pub(crate) users: Collection<RawDocumentBuf>,
    pub(crate) books: Collection<RawDocumentBuf>,
    pub(crate) checklists: Collection<RawDocumentBuf>,
    pub(crate) follows: Collection<RawDocumentBuf>,
    pub(crate) posts: Collection<RawDocumentBuf>,
    pub(crate) boosts: Collection<RawDocumentBuf>,
    pub(crate) competitors: Collection<RawDocumentBuf>,
    /// How many prices a competitor keeps.
    pub(crate) price_history_limit: Option<u32>,
    /// Purchases of one process wait here, so they do not conflict on the server.
    pub(crate) purchases: Arc<Mutex<()>>,
    pub(crate) deadline: Duration,
    /// Set once the unique indexes were found.
    pub(crate) unique_indexes: Arc<OnceCell<()>>,
    security: ConnectionSecurity,
}

impl fmt::Debug for MongoStore {
    /// Shows only the database's name: the client contains the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("database", &self.database.name())
            .finish_non_exhaustive()
    }
}

impl MongoStore {
    pub(crate) const NAME: &'static str = "MongoDB";

    /// Connects, and waits until the server answers.
    ///
    /// This does not look at the indexes: calls that need a unique one which is missing answer
    /// Unsupported, and [`MongoStore::connect_and_prepare`] makes them.
    ///
    /// ```no_run
    /// # async fn example() -> authorstack_core::Result<()> {
    /// use authorstack_mongo::{MongoConfig, MongoStore};
    ///
    /// let config = MongoConfig::new("mongodb://localhost:27017/authorstack");
    /// let store = MongoStore::connect(config).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Configuration, naming `mongodb_url`, if the address is malformed, its host is unknown, or
    /// the server refuses the password; Unavailable if no server answers.
    pub async fn connect(config: MongoConfig) -> Result<Self> {
        Self::open(&config)
            .await
            .map_err(|error| error.in_operation(Operation::Connect))
    }

    /// Connects, and makes the indexes that are missing: what an app does at its start.
    ///
    /// # Errors
    /// As of [`MongoStore::connect`] and [`MongoStore::prepare`].
    pub async fn connect_and_prepare(config: MongoConfig) -> Result<Self> {
        let store = Self::connect(config).await?;
        store.prepare().await?;
        Ok(store)
    }

    /// Makes the indexes that are missing, as [`MongoStore::ensure_indexes`] does. Every store has
    /// this method.
    ///
    /// # Errors
    /// As of [`MongoStore::ensure_indexes`].
    pub async fn prepare(&self) -> Result<()> {
        self.ensure_indexes().await
    }

    /// How the connections are secured.
    #[must_use]
    pub const fn security(&self) -> ConnectionSecurity {
        self.security
    }

    async fn open(config: &MongoConfig) -> Result<Self> {
        let deadline = config.deadline();
        let opened = config.open().await?;
        let database = opened.client.database(&opened.database);
        greet(&opened, &database).await?;
        let collection = |kind: Kind| database.collection(kind.as_str());
        Ok(Self {
            users: collection(Kind::Users),
            books: collection(Kind::Books),
            checklists: collection(Kind::Checklists),
            follows: collection(Kind::Follows),
            posts: collection(Kind::CommunityPosts),
            boosts: collection(Kind::MarketplaceBoosts),
            competitors: collection(Kind::Competitors),
            price_history_limit: config.history_limit(),
            purchases: Arc::default(),
            database,
            deadline,
            unique_indexes: Arc::default(),
            security: opened.security,
        })
    }

    /// The driver's database, for tasks that AuthorStack does not cover.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Asks the server whether it answers.
    async fn ping(&self) -> Result<()> {
        let ping = self.database.run_command(doc! {"ping": 1});
        driver(self.deadline, ping).await.map(drop)
    }

    /// The first record that matches.
    pub(crate) async fn first<T: Fields>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
    ) -> Result<Option<T>> {
        let options = FindOptions::builder()
            .limit(-1)
            .projection(own_fields::<T>())
            .build();
        let mut found = self.find(collection, filter, options, decode::<T>).await?;
        Ok(found.pop())
    }

    /// The record that matches, or NotFound.
    pub(crate) async fn get<T: Fields>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
    ) -> Result<T> {
        let found = self.first(collection, filter).await?;
        found.ok_or_else(Error::not_found)
    }

    /// The record from the primary, or NotFound. Explains why a change matched nothing.
    pub(crate) async fn get_from_primary<T: Fields>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
    ) -> Result<T> {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let options = FindOptions::builder()
            .limit(-1)
            .selection_criteria(primary)
            .projection(own_fields::<T>())
            .build();
        let mut found = self.find(collection, filter, options, decode::<T>).await?;
        found.pop().ok_or_else(Error::not_found)
    }

    /// All documents that match. The options limit their number.
    pub(crate) async fn find<T>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        options: FindOptions,
        read: Read<T>,
    ) -> Result<Vec<T>> {
        let cursor = collection.find(filter).with_options(options).batch();
        Box::pin(self.read_all(cursor, read)).await
    }

    /// The result of a pipeline. Its last stages limit the number of documents.
    pub(crate) async fn aggregate<T>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        pipeline: Vec<Document>,
        read: Read<T>,
    ) -> Result<Vec<T>> {
        let cursor = collection.aggregate(pipeline).batch();
        Box::pin(self.read_all(cursor, read)).await
    }

    /// All documents that match, unread. The options limit their number.
    pub(crate) async fn find_rows(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        options: FindOptions,
    ) -> Result<Rows> {
        let cursor = collection.find(filter).with_options(options).batch();
        Box::pin(self.batches(cursor)).await
    }

    /// The result of a pipeline, unread. Its last stages limit the number of documents.
    pub(crate) async fn aggregate_rows(
        &self,
        collection: &Collection<RawDocumentBuf>,
        pipeline: Vec<Document>,
    ) -> Result<Rows> {
        let cursor = collection.aggregate(pipeline).batch();
        Box::pin(self.batches(cursor)).await
    }

    async fn read_all<T>(
        &self,
        cursor: impl Future<Output = mongodb::error::Result<RawBatchCursor>>,
        read: Read<T>,
    ) -> Result<Vec<T>> {
        let found = self.batches(cursor).await?;
        let rows = found.rows()?.into_iter();
        rows.map(|row| read_document(row, read)).collect()
    }

    async fn batches(
        &self,
        cursor: impl Future<Output = mongodb::error::Result<RawBatchCursor>>,
    ) -> Result<Rows> {
        let batches = async {
            let mut cursor = cursor.await?;
            let mut batches = Vec::with_capacity(1);
            while let Some(batch) = cursor.next().await {
                batches.push(batch?);
            }
            Ok(batches)
        };
        Ok(Rows {
            batches: driver(self.deadline, batches).await?,
            deadline: self.deadline,
        })
    }

    /// Whether a document matches.
    pub(crate) async fn exists(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
    ) -> Result<bool> {
        let options = FindOptions::builder()
            .projection(doc! {"_id": 1})
            .limit(-1)
            .build();
        let found = self.find(collection, filter, options, |_| Ok(()));
        Ok(!found.await?.is_empty())
    }

    /// NotFound if there is no such user.
    pub(crate) async fn known_user(&self, id: Id<User>) -> Result<()> {
        if self.exists(&self.users, by_id(id.to_object_id())).await? {
            return Ok(());
        }
        Err(Error::not_found().for_record(format_args!("user {id}")))
    }

    /// NotFound if the book is not the user's.
    pub(crate) async fn own_book(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        if self.exists(&self.books, own(user_id, id)).await? {
            return Ok(());
        }
        Err(Error::not_found().for_record(format_args!("book {id}")))
    }

    /// Adds a document.
    pub(crate) async fn insert(
        &self,
        collection: &Collection<RawDocumentBuf>,
        document: RawDocumentBuf,
    ) -> Result<()> {
        let insert = collection.insert_one(document);
        driver(self.deadline, insert).await.map(drop)
    }

    /// Changes the document that matches in one step, and returns the new one.
    pub(crate) async fn change<T: Fields>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        pipeline: Vec<Document>,
    ) -> Result<Option<T>> {
        let change = collection
            .find_one_and_update(filter, pipeline)
            .return_document(ReturnDocument::After);
        let change = match own_fields::<T>() {
            None => change,
            Some(fields) => change.projection(fields),
        };
        let changed = driver(self.deadline, change).await?;
        let record = changed.map(|document| read_document(&document, decode::<T>));
        record.transpose()
    }

    /// Applies a patch to the record that `own` matches. If a moment is expected, the record must
    /// have been last changed then.
    pub(crate) async fn patch<T: Fields>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        own: Document,
        id: Id<T>,
        patch: &impl Patch<Record = T>,
        expected: Option<DateTime<Utc>>,
    ) -> Result<T> {
        let mut filter = own.clone();
        let possible = expected.is_none_or(|at| expect_update(&mut filter, id, at).is_some());
        let mut changes = Changes::new();
        patch.write(&mut changes)?;
        let pipeline = changes.into_pipeline();
        if possible && let Some(record) = self.change(collection, filter, pipeline.clone()).await? {
            return Ok(record);
        }
        self.get_from_primary::<T>(collection, own.clone()).await?;
        let Some(expected) = expected else {
            return Err(contended());
        };
        // An old app may have stored the moment as a text or a number.
        let Some(same) = self.as_stored(collection, &own, id, expected).await? else {
            return Err(Error::stale());
        };
        let mut filter = own;
        filter.extend(same);
        let record = self.change(collection, filter, pipeline).await?;
        record.ok_or_else(Error::stale)
    }

    async fn as_stored<T>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        own: &Document,
        id: Id<T>,
        expected: DateTime<Utc>,
    ) -> Result<Option<Document>> {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let options = FindOptions::builder()
            .limit(-1)
            .selection_criteria(primary)
            .projection(doc! {"updatedAt": 1, "createdAt": 1})
            .build();
        let rows = self.find_rows(collection, own.clone(), options).await?;
        let found = rows.rows()?.into_iter().next();
        Ok(found.and_then(|document| as_stored(document, id, expected)))
    }

    /// Deletes the document that matches.
    pub(crate) async fn delete(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
    ) -> Result<()> {
        let deleted = driver(self.deadline, collection.delete_one(filter)).await?;
        match deleted.deleted_count {
            0 => Err(Error::not_found()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl HealthCheck for MongoStore {
    async fn check_health(&self) -> Result<()> {
        self.ping().await
    }
}

/// The filter for one document of a collection.
pub(crate) fn by_id(id: impl Into<Bson>) -> Document {
    doc! {"_id": id.into()}
}

/// The filter for a record of a user.
pub(crate) fn own<T>(user_id: Id<User>, id: Id<T>) -> Document {
    doc! {"_id": id.to_object_id(), "userId": refers_to(user_id)}
}

/// A projection without the arrays that a document keeps for other records: they may be large.
pub(crate) fn own_fields<T: Fields>() -> Option<Document> {
    let arrays = T::RESERVED.iter();
    let fields: Document = arrays.map(|name| ((*name).to_owned(), 0.into())).collect();
    (!fields.is_empty()).then_some(fields)
}

/// Waits for an answer, which names the members of the replica set.
async fn greet(opened: &Opened, database: &Database) -> Result<()> {
    let deadline = opened.deadline;
    let hello = database.run_command(doc! {"hello": 1});
    // The driver gives up at the deadline and says why, such as a certificate that it does not
    // trust. Without some time more, the reason would be lost.
    let hello = with_deadline(deadline + deadline / 4, async { Ok(hello.await) });
    let answer = tokio::select! {
        answer = hello => answer,
        why = opened.refusal() => return Err(opened.unreachable(&why).await),
    };
    let why = match &answer {
        Ok(Ok(hello)) => {
            let hosts = hello.get_array("hosts").into_iter().flatten();
            let members: Vec<String> = hosts
                .filter_map(|host| host.as_str().map(str::to_owned))
                .collect();
            return opened.check_members(&members);
        }
        Ok(Err(error)) => match error.kind.as_ref() {
            DriverKind::ServerSelection { message, .. }
            | DriverKind::ConnectionPoolCleared { message, .. } => message.clone(),
            DriverKind::Io(cause) => cause.to_string(),
            _ => return Err(map(error, deadline)),
        },
        Err(_) => format!("no answer within {deadline:?}"),
    };
    Err(opened.unreachable(&why).await)
}

/// Reads a document's bytes.
pub(crate) type Read<T> = fn(&[u8]) -> Result<T, Problems>;

/// Reads a document. If it has problems, the error names it.
pub(crate) fn read_document<T>(document: &RawDocument, read: Read<T>) -> Result<T> {
    let bytes = document.as_bytes();
    read(bytes).map_err(|problems| {
        let error = Error::corrupt(problems.to_string());
        match document::key::key_of(bytes) {
            Some(key) => error.for_record(key),
            None => error,
        }
    })
}

/// The server's answers to a call, unread.
pub(crate) struct Rows {
    batches: Vec<RawBatch>,
    deadline: Duration,
}

impl Rows {
    /// Their documents.
    pub(crate) fn rows(&self) -> Result<Vec<&RawDocument>> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            for document in documents(batch, self.deadline)? {
                rows.push(document?);
            }
        }
        Ok(rows)
    }
}

/// The documents in the server's answer.
pub(crate) fn documents(
    batch: &RawBatch,
    deadline: Duration,
) -> Result<impl Iterator<Item = Result<&RawDocument>>> {
    let array = batch.doc_slices().map_err(|error| map(&error, deadline))?;
    Ok(array.into_iter().map(|item| {
        item.ok()
            .and_then(bson::RawBsonRef::as_document)
            .ok_or_else(|| {
                Error::internal("an answer of the server contains something other than documents")
            })
    }))
}
