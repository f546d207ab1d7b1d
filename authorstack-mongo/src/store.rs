//! The connection, and the calls that the repositories share.

use std::{fmt, sync::Arc, time::Duration};

use authorstack_core::{
    Book, BookRepository, BoostRepository, ChecklistRepository, CommunityRepository,
    CompetitorRepository, DocumentStore, Error, ErrorKind, FollowRepository, Id, Result, User,
    UserRepository, migrate::Problems, time,
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
use tokio::sync::Mutex;

use crate::{
    books::MongoBooks,
    boosts::MongoBoosts,
    checklists::MongoChecklists,
    community::MongoCommunity,
    competitors::MongoCompetitors,
    config::{MongoConfig, Opened},
    document,
    error::{map, within},
    follows::MongoFollows,
    schema::{self, by_id},
    users::MongoUsers,
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
    /// Purchases of one process queue here rather than collide on the server.
    pub(crate) purchases: Arc<Mutex<()>>,
    pub(crate) deadline: Duration,
}

impl fmt::Debug for MongoStore {
    /// The database's name alone: the client knows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("database", &self.database.name())
            .finish_non_exhaustive()
    }
}

impl MongoStore {
    /// Connects, and waits for the server's answer.
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
    /// Configuration of `mongodb_url` when the address is malformed, its host is unknown, or the
    /// server refuses the password; Unavailable when no server answers.
    pub async fn connect(config: MongoConfig) -> Result<Self> {
        Self::open(&config)
            .await
            .map_err(|error| error.in_operation("mongodb.connect"))
    }

    async fn open(config: &MongoConfig) -> Result<Self> {
        let deadline = config.deadline();
        let opened = config.open().await?;
        let database = opened.client.database(&opened.database);
        ping(&opened, &database, deadline).await?;
        Ok(Self {
            users: database.collection(schema::USERS),
            books: database.collection(schema::BOOKS),
            checklists: database.collection(schema::CHECKLISTS),
            follows: database.collection(schema::FOLLOWS),
            posts: database.collection(schema::POSTS),
            boosts: database.collection(schema::BOOSTS),
            competitors: database.collection(schema::COMPETITORS),
            price_history_limit: config.history_limit(),
            purchases: Arc::default(),
            database,
            deadline,
        })
    }

    /// The driver's database, for what AuthorStack does not cover.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Creates the indexes of all collections where they are missing. An index with the same keys,
    /// such as one made by Mongoose, stays as it is.
    ///
    /// Unique are a user's account and e-mail address, a user's competitors by their ASIN, and who
    /// follows whom.
    ///
    /// # Errors
    /// Conflict when documents share a value that is to be unique, or when an index that is not
    /// unique stands in the way.
    pub async fn ensure_indexes(&self) -> Result<()> {
        schema::ensure(self)
            .await
            .map_err(|error| error.in_operation("mongodb.ensure_indexes"))
    }

    /// The first document that matches.
    pub(crate) async fn first<T>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        read: Read<T>,
    ) -> Result<Option<T>> {
        let options = FindOptions::builder().limit(-1).build();
        let mut found = self.find(collection, filter, options, read).await?;
        Ok(found.pop())
    }

    /// The same from the primary, to explain why a change found nothing.
    pub(crate) async fn first_on_primary<T>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        read: Read<T>,
    ) -> Result<Option<T>> {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let options = FindOptions::builder()
            .limit(-1)
            .selection_criteria(primary)
            .build();
        let mut found = self.find(collection, filter, options, read).await?;
        Ok(found.pop())
    }

    /// All documents that match. The options bound their number.
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

    /// What a pipeline makes. Its last stages bound the number.
    pub(crate) async fn aggregate<T>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        pipeline: Vec<Document>,
        read: Read<T>,
    ) -> Result<Vec<T>> {
        let cursor = collection.aggregate(pipeline).batch();
        Box::pin(self.read_all(cursor, read)).await
    }

    async fn read_all<T>(
        &self,
        cursor: impl Future<Output = mongodb::error::Result<RawBatchCursor>>,
        read: Read<T>,
    ) -> Result<Vec<T>> {
        let batches = async {
            let mut cursor = cursor.await?;
            let mut batches = Vec::with_capacity(1);
            while let Some(batch) = cursor.next().await {
                batches.push(batch?);
            }
            Ok(batches)
        };
        let mut records = Vec::new();
        for batch in within(self.deadline, batches).await? {
            for document in documents(&batch, self.deadline)? {
                records.push(decode(document?, read)?);
            }
        }
        Ok(records)
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

    /// NotFound, unless there is such a user.
    pub(crate) async fn known_user(&self, id: Id<User>) -> Result<()> {
        if self.exists(&self.users, by_id(id.to_object_id())).await? {
            return Ok(());
        }
        Err(Error::not_found().for_record(format_args!("user {id}")))
    }

    /// NotFound, unless the book is the user's.
    pub(crate) async fn own_book(&self, user_id: Id<User>, id: Id<Book>) -> Result<()> {
        let mut own = by_id(id.to_object_id());
        own.insert("userId", user_id.to_object_id());
        if self.exists(&self.books, own).await? {
            return Ok(());
        }
        Err(Error::not_found().for_record(format_args!("book {id}")))
    }

    /// Changes the document that matches in one step, and answers with what it is then.
    pub(crate) async fn change<T>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        pipeline: Vec<Document>,
        read: Read<T>,
    ) -> Result<Option<T>> {
        let call = collection
            .find_one_and_update(filter, pipeline)
            .return_document(ReturnDocument::After);
        match within(self.deadline, call).await? {
            None => Ok(None),
            Some(document) => decode(&document, read).map(Some),
        }
    }
}

async fn ping(opened: &Opened, database: &Database, deadline: Duration) -> Result<()> {
    let ping = database.run_command(doc! {"ping": 1});
    match tokio::time::timeout(deadline, ping).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(match error.kind.as_ref() {
            DriverKind::ServerSelection { message, .. }
            | DriverKind::ConnectionPoolCleared { message, .. } => {
                opened.unreachable(message, deadline).await
            }
            DriverKind::Io(cause) => opened.unreachable(&cause.to_string(), deadline).await,
            _ => map(&error, deadline),
        }),
        Err(_) => {
            let why = format!("no answer within {deadline:?}");
            Err(opened.unreachable(&why, deadline).await)
        }
    }
}

/// Reads a document's bytes.
pub(crate) type Read<T> = fn(&[u8]) -> Result<T, Problems>;

pub(crate) fn decode<T>(document: &RawDocument, read: Read<T>) -> Result<T> {
    let bytes = document.as_bytes();
    read(bytes).map_err(|problems| {
        let error = Error::corrupt(problems.to_string());
        match document::key_of(bytes) {
            Some(key) => error.for_record(key),
            None => error,
        }
    })
}

/// The documents of a server's answer.
pub(crate) fn documents(
    batch: &RawBatch,
    deadline: Duration,
) -> Result<impl Iterator<Item = Result<&RawDocument>>> {
    let array = batch.doc_slices().map_err(|error| map(&error, deadline))?;
    Ok(array.into_iter().map(|item| {
        item.ok()
            .and_then(bson::RawBsonRef::as_document)
            .ok_or_else(|| {
                Error::internal("an answer of the server holds something else than documents")
            })
    }))
}

impl DocumentStore for MongoStore {
    fn users(&self) -> Arc<dyn UserRepository> {
        Arc::new(MongoUsers(self.clone()))
    }

    fn books(&self) -> Arc<dyn BookRepository> {
        Arc::new(MongoBooks(self.clone()))
    }

    fn checklists(&self) -> Arc<dyn ChecklistRepository> {
        Arc::new(MongoChecklists(self.clone()))
    }

    fn follows(&self) -> Arc<dyn FollowRepository> {
        Arc::new(MongoFollows(self.clone()))
    }

    fn community(&self) -> Arc<dyn CommunityRepository> {
        Arc::new(MongoCommunity(self.clone()))
    }

    fn boosts(&self) -> Arc<dyn BoostRepository> {
        Arc::new(MongoBoosts(self.clone()))
    }

    fn competitors(&self) -> Arc<dyn CompetitorRepository> {
        Arc::new(MongoCompetitors(self.clone()))
    }
}

/// The stages of an update: fields to set, fields to remove, `updatedAt` moved forward.
#[derive(Debug)]
pub(crate) struct Changes {
    set: Document,
    unset: Vec<Bson>,
}

impl Changes {
    /// Of a document that has no `updatedAt`.
    pub(crate) fn without_date() -> Self {
        Self {
            set: Document::new(),
            unset: Vec::new(),
        }
    }

    pub(crate) fn new() -> Self {
        Self {
            set: doc! {"updatedAt": next_update(time::now())},
            unset: Vec::new(),
        }
    }

    /// Sets a field to a value, as it is.
    pub(crate) fn set(&mut self, field: &str, value: impl Into<Bson>) {
        self.compute(field, literal(value));
    }

    /// Sets a field to what an expression gives.
    pub(crate) fn compute(&mut self, field: &str, expression: impl Into<Bson>) {
        self.set.insert(field, expression);
    }

    /// Sets a field, if there is a value.
    pub(crate) fn set_some(&mut self, field: &str, value: Option<impl Into<Bson>>) {
        if let Some(value) = value {
            self.set(field, value);
        }
    }

    pub(crate) fn unset(&mut self, field: &str) {
        self.unset.push(field.into());
    }

    pub(crate) fn into_pipeline(self) -> Vec<Document> {
        let mut stages = Vec::new();
        if !self.set.is_empty() {
            stages.push(doc! {"$set": self.set});
        }
        if !self.unset.is_empty() {
            stages.push(doc! {"$unset": self.unset});
        }
        stages
    }
}

/// A value that a pipeline does not read as an expression, whatever it holds.
pub(crate) fn literal(value: impl Into<Bson>) -> Bson {
    Bson::Document(doc! {"$literal": value.into()})
}

pub(crate) fn date(moment: DateTime<Utc>) -> bson::DateTime {
    bson::DateTime::from_millis(moment.timestamp_millis())
}

/// The next `updatedAt`: now, but later than the present one, which old documents may lack.
fn next_update(now: DateTime<Utc>) -> Document {
    let is_date = |field: &str| doc! {"$eq": [{"$type": field}, "date"]};
    let present = doc! {"$switch": {
        "branches": [
            {"case": is_date("$updatedAt"), "then": "$updatedAt"},
            {"case": is_date("$createdAt"), "then": "$createdAt"},
        ],
        "default": {"$toDate": "$_id"},
    }};
    doc! {"$max": [date(now), {"$add": [present, 1_i64]}]}
}

/// Adds the condition that a record was last changed at a moment, also where the document lacks
/// the field and reading fills it in. `None` when no document can fulfil it.
pub(crate) fn expect_update<T>(
    filter: &mut Document,
    id: Id<T>,
    expected: DateTime<Utc>,
) -> Option<()> {
    if time::to_millis(expected) != expected {
        return None;
    }
    let at = date(expected);
    let mut forms = vec![
        doc! {"updatedAt": at},
        doc! {"updatedAt": null, "createdAt": at},
    ];
    if id.created_at() == expected {
        forms.push(doc! {"updatedAt": null, "createdAt": null});
    }
    filter.insert("$or", forms);
    Some(())
}

/// A call that met other writers at every attempt.
pub(crate) fn contended() -> Error {
    Error::new(ErrorKind::Conflict {
        reason: "other writes came between again and again; repeat the call".into(),
    })
    .retryable(true)
}

/// An array of the document; empty where the field is none.
pub(crate) fn array_of(field: &str) -> Document {
    doc! {"$cond": [{"$isArray": field}, field, []]}
}

/// What was encoded before cannot be read back: a bug.
pub(crate) fn not_bson(error: impl fmt::Display) -> Error {
    Error::internal(format!("an encoded value is no BSON: {error}"))
}
