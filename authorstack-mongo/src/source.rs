//! MongoDB as a migration's source.

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{
        BatchLimits, Kind, Original, Position, Problem, Problems, Record, Scanned, ScannedBatch,
        Source,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::{StreamExt, stream::BoxStream};
use mongodb::{
    Collection,
    action::Find,
    error::ErrorKind as DriverKind,
    options::{FindOptions, Hint, ReadConcern},
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};
use serde_json::{Map, Value};

use crate::{
    document::{
        self,
        key::{WHOLE, id_from, key_of, place_of},
        raw::{Elements, Raw},
    },
    error::{SETTING, map, within},
    extended_json::{Form, Path, append_fields, document_to_json},
    schema::by_id,
    store::{MongoStore, documents},
};

const KINDS: &[Kind] = &[Kind::Users, Kind::Books];

/// Documents in an answer of the server: about 4 MB of books. The server ends an answer at
/// 16 MB, whatever it is asked for.
const DOCUMENTS_AT_ONCE: u32 = 5_000;

#[async_trait]
impl Source for MongoStore {
    fn name(&self) -> &'static str {
        "MongoDB"
    }

    fn kinds(&self) -> &[Kind] {
        KINDS
    }

    async fn check(&self) -> Result<()> {
        self.check_database()
            .await
            .map_err(|error| error.in_operation("mongodb.check"))
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        let collection = self.collection(kind)?;
        within(self.deadline, collection.estimated_document_count())
            .await
            .map_err(|error| error.in_operation(operation(kind)))
    }

    /// A cursor that the server has closed, because the consumer took longer than ten minutes
    /// for a batch, is opened again behind the last document. (`noCursorTimeout` would not help:
    /// the free tier of Atlas refuses it, and a session's end closes the cursor all the same.)
    ///
    /// A position is exact for every `_id` but a text that is not UTF-8: a scan resumed behind
    /// one starts behind the last other `_id`, and gives such documents once more.
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let scan = Scan {
            store: self,
            kind,
            limits,
            place: after.map(|position| position.0),
            cursor: None,
            batch: None,
            fresh: true,
            resumed: false,
        };
        futures::stream::unfold(Some(scan), Scan::step).boxed()
    }

    async fn fetch(&self, kind: Kind, key: &str) -> Result<Option<Scanned>> {
        let Some(id) = id_from(key) else {
            return Ok(None);
        };
        let fetch = async {
            let options = FindOptions::builder()
                .limit(-1)
                .read_concern(ReadConcern::majority())
                .build();
            let found = self.collection(kind)?.find(by_id(id)).with_options(options);
            let batch = within(self.deadline, async {
                found.batch().await?.next().await.transpose()
            });
            let Some(batch) = batch.await? else {
                return Ok(None);
            };
            let first = documents(&batch, self.deadline)?.next().transpose()?;
            Ok(first.map(|document| scanned(kind, document.as_bytes())))
        };
        fetch
            .await
            .map_err(|error: Error| error.in_operation(operation(kind)))
    }

    /// Canonical Extended JSON. A document that JSON would change (bytes that are not UTF-8, a
    /// field that appears twice, a reserved name) also carries its bytes, as base64 in `$bson`.
    fn render(&self, _: Kind, original: &Original) -> Value {
        let (mut fields, exact) = legible(&original.0);
        if !exact {
            fields.insert(WHOLE.to_owned(), BASE64_STANDARD.encode(&original.0).into());
        }
        Value::Object(fields)
    }

    /// Where `$bson` is there and the rest was not edited, the bytes count; else the rest does.
    fn parse(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        let Value::Object(fields) = value else {
            return Err(Problem::new("", "the record is no JSON object; write {…}").into());
        };
        let mut fields = fields.clone();
        if let Some(whole) = fields.remove(WHOLE) {
            let bytes = whole
                .as_str()
                .and_then(|text| BASE64_STANDARD.decode(text).ok());
            let Some(bytes) = bytes else {
                let problem = "is not base64; leave it as it came, or remove it";
                return Err(Problem::new(WHOLE, problem).into());
            };
            let (mut as_it_came, _) = legible(&bytes);
            as_it_came.remove(WHOLE);
            if as_it_came == fields {
                return document::record(kind, &bytes);
            }
        }
        let (mut document, mut problems) = (RawDocumentBuf::new(), Problems::default());
        append_fields(&mut document, &fields, &Path::Root, &mut problems);
        if problems.is_empty() {
            document::record(kind, document.as_bytes())
        } else {
            Err(problems)
        }
    }
}

/// A document as canonical Extended JSON, and whether that is all of it.
fn legible(bytes: &[u8]) -> (Map<String, Value>, bool) {
    let mut problems = Problems::default();
    let fields = document_to_json(Form::Canonical, bytes, &Path::Root, &mut problems);
    let exact = problems.is_empty() && !fields.contains_key(WHOLE);
    (fields, exact)
}

fn scanned(kind: Kind, bytes: &[u8]) -> Scanned {
    Scanned {
        key: key_of(bytes).unwrap_or_default(),
        outcome: document::record(kind, bytes),
        original: Original(bytes.to_vec()),
    }
}

const fn operation(kind: Kind) -> &'static str {
    match kind {
        Kind::Users => "users.scan",
        Kind::Books => "books.scan",
        _ => "mongodb.scan",
    }
}

impl MongoStore {
    fn collection(&self, kind: Kind) -> Result<&Collection<RawDocumentBuf>> {
        match kind {
            Kind::Users => Ok(&self.users),
            Kind::Books => Ok(&self.books),
            other => Err(Error::new(ErrorKind::Unsupported {
                what: format!("MongoDB holds no {other}").into(),
            })),
        }
    }

    async fn check_database(&self) -> Result<()> {
        let names = within(self.deadline, self.database.list_collection_names()).await?;
        if KINDS
            .iter()
            .any(|kind| names.iter().any(|name| name == kind.as_str()))
        {
            return Ok(());
        }
        let database = self.database.name();
        let problem = if names.is_empty() {
            let there = self.other_databases().await;
            format!("the server has no database {database:?}{there}")
        } else {
            format!("the database {database:?} has neither a users nor a books collection")
        };
        Err(Error::configuration(
            SETTING,
            format!("{problem}; name the right database in the address's path"),
        ))
    }

    /// The databases that the user may see, for a message.
    async fn other_databases(&self) -> String {
        let list = self
            .database
            .client()
            .list_database_names()
            .authorized_databases(true);
        let mut names = within(self.deadline, list).await.unwrap_or_default();
        names.retain(|name| !matches!(name.as_str(), "admin" | "config" | "local"));
        names.sort_unstable();
        if names.is_empty() {
            String::new()
        } else {
            format!("; it has: {}", names.join(", "))
        }
    }
}

/// The place behind which nothing comes.
const LAST: &str = r#"{"$maxKey":1}"#;

/// A walk over a collection in the order of `_id`.
struct Scan<'s> {
    store: &'s MongoStore,
    kind: Kind,
    limits: BatchLimits,
    /// The `_id` behind which the walk goes on, as text.
    place: Option<String>,
    cursor: Option<RawBatchCursor>,
    /// The server's answer that is being read, and how far.
    batch: Option<(RawBatch, usize)>,
    /// Whether the cursor has not given anything yet.
    fresh: bool,
    /// Whether the cursor started within the collection.
    resumed: bool,
}

impl Scan<'_> {
    /// A batch and the walk behind it. Nothing comes after an error.
    async fn step(scan: Option<Self>) -> Option<(Result<ScannedBatch>, Option<Self>)> {
        let mut scan = scan?;
        match scan.next().await {
            Ok(None) => None,
            Ok(Some(batch)) => Some((Ok(batch), Some(scan))),
            Err(error) => Some((Err(error.in_operation(operation(scan.kind))), None)),
        }
    }

    async fn next(&mut self) -> Result<Option<ScannedBatch>> {
        let mut items = Vec::new();
        let mut bytes = 0;
        loop {
            if self.batch.is_none() {
                self.batch = self.answer().await?.map(|answer| (answer, 0));
            }
            let Some((answer, offset)) = self.batch.as_mut() else {
                break;
            };
            let array = answer
                .doc_slices()
                .map_err(|error| map(&error, self.store.deadline))?
                .as_bytes();
            let mut elements = Elements::resumed(array, *offset);
            let full = loop {
                if items.len() >= self.limits.records.max(1) {
                    break true;
                }
                let Some(element) = elements.next() else {
                    break false;
                };
                let Ok((_, Raw::Document(document))) = element else {
                    return Err(Error::internal("an answer of the server is damaged"));
                };
                if !items.is_empty() && bytes + document.len() > self.limits.bytes {
                    break true;
                }
                bytes += document.len();
                items.push(scanned(self.kind, document));
                if let Some(place) = place_of(document).filter(|text| id_from(text).is_some()) {
                    self.place = Some(place);
                }
                *offset = elements.offset(array);
            };
            if full {
                break;
            }
            self.batch = None;
        }
        Ok((!items.is_empty()).then(|| ScannedBatch {
            items,
            position: Position(self.place.clone().unwrap_or_default()),
        }))
    }

    /// The server's next answer; `None` at the end.
    async fn answer(&mut self) -> Result<Option<RawBatch>> {
        /// `CursorNotFound` and `CursorKilled`.
        const CLOSED: &[i32] = &[43, 237];
        let deadline = self.store.deadline;
        loop {
            let cursor = if let Some(cursor) = &mut self.cursor {
                cursor
            } else {
                let cursor = within(deadline, self.find()?.batch()).await?;
                self.fresh = true;
                self.resumed = self.place.as_deref().is_some_and(|place| place != LAST);
                self.cursor.insert(cursor)
            };
            match tokio::time::timeout(deadline, cursor.next()).await {
                Err(_) => return Err(Error::timeout(deadline)),
                Ok(None) if self.resumed => {
                    // Index bounds with a start end before MaxKey.
                    self.resumed = false;
                    let last = self.walk(doc! {"_id": Bson::MaxKey}, None)?;
                    let cursor = within(deadline, last.batch()).await?;
                    self.cursor = Some(cursor);
                }
                Ok(None) => return Ok(None),
                Ok(Some(Ok(answer))) => {
                    self.fresh = false;
                    return Ok(Some(answer));
                }
                Ok(Some(Err(error))) => {
                    let closed = matches!(
                        error.kind.as_ref(),
                        DriverKind::Command(command) if CLOSED.contains(&command.code)
                    );
                    if !closed || self.fresh {
                        return Err(map(&error, deadline));
                    }
                    tracing::debug!(kind = %self.kind, "the cursor was closed; opening another");
                    self.cursor = None;
                }
            }
        }
    }

    fn find(&self) -> Result<Find<'_, RawDocumentBuf>> {
        let after = self.place.as_deref().map(|place| {
            id_from(place).ok_or_else(|| {
                Error::invalid("position", "is not a place in a scan of this source")
            })
        });
        let after: Option<Bson> = after.transpose()?;
        if after == Some(Bson::MaxKey) {
            // No bounds start there.
            return self.walk(doc! {"_id": {"$in": []}}, None);
        }
        let filter = after
            .as_ref()
            .map_or_else(Document::new, |id| doc! {"_id": {"$ne": id}});
        self.walk(filter, after.map(by_id))
    }

    /// Index bounds, unlike `$gt`, lead from one BSON type to the next. They include their start.
    fn walk(&self, filter: Document, from: Option<Document>) -> Result<Find<'_, RawDocumentBuf>> {
        let options = FindOptions::builder()
            .sort(doc! {"_id": 1})
            .hint(Hint::Keys(doc! {"_id": 1}))
            .min(from)
            .batch_size(DOCUMENTS_AT_ONCE)
            .read_concern(ReadConcern::majority())
            .build();
        let collection = self.store.collection(self.kind)?;
        Ok(collection.find(filter).with_options(options))
    }
}
