//! Reads a collection in the order of `_id`.

use std::time::Duration;

use authorstack_core::{
    Competitor, Error, Post, Result,
    migrate::{
        BatchLimits, DigestOf, Digests, Kind, Original, Position, Problems, Record, Scanned,
    },
    values::excerpt,
};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::{Stream, StreamExt};
use mongodb::{
    action::Find,
    error::ErrorKind as DriverKind,
    options::{FindOptions, Hint, ReadConcern},
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};
use tokio::task::JoinSet;

use super::{
    collection::CollectionForm,
    parts::{Parts, Place, Within},
};
use crate::{
    document::{
        self,
        key::{id_from, key_of, sendable_place_of},
    },
    error::{SETTING, driver, map},
    pipeline::literal,
    raw::{Elements, Raw},
    store::{MongoStore, by_id, own_fields},
};

/// The number of documents in an answer of the server: about 1 MB of books, which stays in a
/// processor's cache while it is read. The server ends every answer at 16 MB.
const DOCUMENTS_AT_ONCE: u32 = 1_500;
/// The number of documents in an answer if they may contain large arrays.
pub(super) const WHOLES_AT_ONCE: u32 = 1_000;
/// After an answer of more bytes than this, the next one is not asked for ahead of time, so that
/// two of them are never in memory.
pub(super) const AHEAD_AFTER: usize = 6 * 1_024 * 1_024;

impl MongoStore {
    /// How a kind's collection is read in the order of `_id`.
    pub(super) async fn order(&self, kind: Kind) -> Result<Order> {
        match self.form(kind).await? {
            CollectionForm::Collection => Ok(Order::Indexed),
            CollectionForm::Clustered | CollectionForm::View => Ok(Order::Sorted),
            CollectionForm::TimeSeries => Err(Error::configuration(
                SETTING,
                format!(
                    "{} is a time series, whose documents have no keys; copy them to a collection \
                     of this name, in this database or another one",
                    self.collection(kind)?.name()
                ),
            )),
        }
    }
}

/// A document as a record, or why it is none.
pub(super) fn scanned(kind: Kind, bytes: &[u8]) -> Scanned {
    let (outcome, set_aside) = document::record_setting_aside(kind, bytes);
    whole(bytes, outcome, set_aside)
}

pub(super) fn whole(
    bytes: &[u8],
    outcome: Result<Record, Problems>,
    set_aside: Problems,
) -> Scanned {
    Scanned {
        key: key_of(bytes).unwrap_or_default(),
        outcome,
        set_aside,
        original: Original::Bytes(bytes.to_vec()),
    }
}

/// The fields of a collection's documents that a kind needs.
pub(super) fn projection(kind: Kind) -> Option<Document> {
    match kind {
        Kind::CommunityPosts => own_fields::<Post>(),
        Kind::Competitors => own_fields::<Competitor>(),
        _ => Within::of(kind).map(Within::projection),
    }
}

/// The text of a position: a document's place and, in a scan of parts, the last part's.
fn position(place: Option<&str>, part: Option<&Place>) -> Position {
    let place = place.unwrap_or_default();
    Position(match part {
        None => place.to_owned(),
        Some(part) => format!("{place}\n{}", part.to_text()),
    })
}

fn resumed_at(kind: Kind, position: Position) -> Result<(String, Option<Place>)> {
    match position.0.split_once('\n') {
        None => Ok((position.0, None)),
        Some((place, part)) => Ok((place.to_owned(), Some(Place::from_text(kind, part)?))),
    }
}

/// The place after which nothing comes.
const LAST: &str = r#"{"$maxKey":1}"#;

/// A batch that is being filled. Without a function that makes digests, it holds all records.
struct Filling {
    limits: BatchLimits,
    filled: Digests,
    bytes: usize,
    /// For the forms that are hashed.
    form: Vec<u8>,
}

impl Filling {
    fn count(&self) -> usize {
        self.filled.entries.len() + self.filled.others.len()
    }

    fn has_room(&self) -> bool {
        self.count() < self.limits.records.max(1)
    }

    /// Whether the batch ends before an item of this many bytes.
    fn is_full_before(&self, bytes: usize) -> bool {
        !self.has_room() || (self.count() > 0 && self.bytes + bytes > self.limits.bytes)
    }

    /// What was read as a record can move: that was checked.
    fn push(&mut self, item: Scanned, digest_of: Option<&DigestOf>) {
        self.bytes += item.original.len();
        match (digest_of, &item.outcome) {
            (Some(digest_of), Ok(record)) => {
                let digest = digest_of(record, &mut self.form);
                self.filled.entries.push((record.key(), digest));
            }
            _ => self.filled.others.push(item),
        }
    }
}

/// The error for a view that joins or unwinds: its documents cannot be told apart.
fn twice(kind: Kind, document: &[u8]) -> Error {
    let name = Within::of(kind).map_or(kind, |_| kind.description().part_of.unwrap_or(kind));
    let key = key_of(document).unwrap_or_default();
    Error::configuration(
        SETTING,
        format!(
            "the view {name} has several documents with the _id {}; give each its own",
            excerpt(&key)
        ),
    )
}

/// How the documents of a collection come in the order of `_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The index of `_id`: every collection has it.
    Indexed,
    /// By a sort, of a view or a clustered collection: they have no such index of their own.
    Sorted,
}

/// The answers to a cursor. The next one is on its way while a small one is read.
struct Answers {
    deadline: Duration,
    next: JoinSet<(RawBatchCursor, Result<Answer>)>,
    /// The cursor, while it is not asked.
    idle: Option<RawBatchCursor>,
}

/// What the driver says; `None` at the end.
type Answer = Option<mongodb::error::Result<RawBatch>>;

impl Answers {
    fn of(cursor: RawBatchCursor, deadline: Duration) -> Self {
        let mut answers = Self {
            deadline,
            next: JoinSet::new(),
            idle: None,
        };
        answers.ask(cursor);
        answers
    }

    fn ask(&mut self, mut cursor: RawBatchCursor) {
        let deadline = self.deadline;
        self.next.spawn(async move {
            let answer = tokio::time::timeout(deadline, cursor.next()).await;
            (cursor, answer.map_err(|_| Error::timeout(deadline)))
        });
    }

    async fn next(&mut self) -> Result<Answer> {
        if let Some(cursor) = self.idle.take() {
            self.ask(cursor);
        }
        let (cursor, answer) = match self.next.join_next().await {
            Some(joined) => joined.map_err(|error| {
                Error::internal("the task that reads a cursor failed").with_source(error)
            })?,
            None => return Ok(None),
        };
        let Ok(Some(Ok(batch))) = &answer else {
            return answer;
        };
        if batch.as_raw_document().as_bytes().len() > AHEAD_AFTER {
            self.idle = Some(cursor);
        } else {
            self.ask(cursor);
            // Reading an answer keeps this thread busy, so the question goes out before.
            tokio::task::yield_now().await;
        }
        answer
    }
}

/// A scan of a collection in the order of `_id`.
pub(super) struct Scan<'s> {
    pub(super) store: &'s MongoStore,
    pub(super) kind: Kind,
    limits: BatchLimits,
    /// The `_id` after which the scan continues, as text.
    place: Option<String>,
    /// In a scan of parts: the parts of the document that are still to be returned.
    parts: Option<Parts>,
    /// Their document, until the first of them is returned.
    whole: Option<String>,
    /// Whether `place` is the place of their document.
    is_placed: bool,
    /// The last part that was returned.
    part: Option<Place>,
    /// If set, the scan starts with that document again, for the parts after this one.
    again: Option<Place>,
    /// Makes the digests, if only these are kept.
    pub(super) digest_of: Option<DigestOf>,
    cursor: Option<Answers>,
    /// The server's answer that is being read, and how far it was read.
    batch: Option<(RawBatch, usize)>,
    /// Whether the cursor has not returned anything yet.
    fresh: bool,
    /// Whether the cursor started within the index.
    resumed: bool,
    /// Found by the first question.
    order: Option<Order>,
}

impl<'s> Scan<'s> {
    /// A scan that begins after a position.
    pub(super) fn new(
        store: &'s MongoStore,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
        digest_of: Option<DigestOf>,
    ) -> Result<Self> {
        let after = after.map(|position| resumed_at(kind, position));
        let after = after.transpose()?;
        let (place, part) = after.map_or((None, None), |(place, part)| (Some(place), part));
        Ok(Self {
            store,
            kind,
            limits,
            place,
            parts: None,
            whole: None,
            is_placed: false,
            again: part.clone(),
            part,
            digest_of,
            cursor: None,
            batch: None,
            fresh: true,
            resumed: false,
            order: None,
        })
    }

    /// Its batches. Without a function that makes digests, they hold all records whole.
    pub(super) fn batches(self) -> impl Stream<Item = Result<(Digests, Position)>> + Send + 's {
        futures::stream::unfold(Some(self), Self::step)
    }

    /// A batch, and the scan after it. Nothing comes after an error.
    async fn step(scan: Option<Self>) -> Option<(Result<(Digests, Position)>, Option<Self>)> {
        let mut scan = scan?;
        match scan.next().await {
            Ok(None) => None,
            Ok(Some(batch)) => Some((Ok(batch), Some(scan))),
            Err(error) => Some((Err(error.for_record(scan.kind)), None)),
        }
    }

    async fn next(&mut self) -> Result<Option<(Digests, Position)>> {
        let mut filling = Filling {
            limits: self.limits,
            filled: Digests::default(),
            bytes: 0,
            form: Vec::new(),
        };
        loop {
            while let Some(parts) = &mut self.parts {
                if !parts.is_empty() && filling.is_full_before(parts.next_len()) {
                    return Ok(self.filled(filling));
                }
                let Some((place, scanned)) = parts.next() else {
                    self.parts = None;
                    break;
                };
                if let Some(whole) = self.whole.take() {
                    self.place = Some(whole);
                    self.is_placed = true;
                }
                if self.is_placed {
                    self.part = Some(place);
                }
                filling.push(scanned, self.digest_of.as_ref());
            }
            if self.batch.is_none() {
                self.batch = self.answer().await?.map(|answer| (answer, 0));
            }
            if self.batch.is_none() || self.take_documents(&mut filling)? {
                return Ok(self.filled(filling));
            }
        }
    }

    /// Takes documents from the answer: records until the batch is full, or the parts of one
    /// document. Returns whether the batch is full.
    fn take_documents(&mut self, filling: &mut Filling) -> Result<bool> {
        let Some((answer, offset)) = self.batch.as_mut() else {
            return Ok(false);
        };
        let array = documents(answer, self.store.deadline)?;
        let mut elements = Elements::resumed(array, *offset);
        loop {
            if !filling.has_room() {
                return Ok(true);
            }
            let Some(element) = elements.next() else {
                self.batch = None;
                return Ok(false);
            };
            let Ok((_, Raw::Document(document))) = element else {
                return Err(damaged());
            };
            let place = sendable_place_of(document);
            let is_second = place.is_some() && self.again.is_none() && self.place == place;
            if is_second && self.order == Some(Order::Sorted) {
                return Err(twice(self.kind, document));
            }
            let Some(within_wholes) = Within::of(self.kind) else {
                if filling.is_full_before(document.len()) {
                    return Ok(true);
                }
                filling.push(scanned(self.kind, document), None);
                self.place = place.or(self.place.take());
                *offset = elements.offset(array);
                continue;
            };
            *offset = elements.offset(array);
            let mut parts = within_wholes.parts(document);
            if let Some(after) = self.again.take()
                && self.place == place
            {
                parts.skip_to(&after);
            }
            if parts.is_empty() {
                continue;
            }
            (self.whole, self.is_placed) = (place, false);
            self.parts = Some(parts);
            return Ok(false);
        }
    }

    /// The server's next answer, all of which is taken; `None` at the end.
    pub(super) async fn whole_answer(&mut self) -> Result<Option<RawBatch>> {
        let Some(answer) = self.answer().await? else {
            return Ok(None);
        };
        let array = documents(&answer, self.store.deadline)?;
        let is_sorted = self.order == Some(Order::Sorted);
        let mut last = None;
        for element in Elements::new(array) {
            let Ok((_, Raw::Document(document))) = element else {
                return Err(damaged());
            };
            if is_sorted {
                let place = sendable_place_of(document);
                if place.is_some() && self.place == place {
                    return Err(twice(self.kind, document));
                }
                self.place = place.or(self.place.take());
            }
            last = Some(document);
        }
        if let (false, Some(last)) = (is_sorted, last) {
            let place = sendable_place_of(last).or_else(|| {
                let places = Elements::new(array).filter_map(|element| match element {
                    Ok((_, Raw::Document(document))) => sendable_place_of(document),
                    _ => None,
                });
                places.last()
            });
            self.place = place.or(self.place.take());
        }
        Ok(Some(answer))
    }

    fn filled(&self, filling: Filling) -> Option<(Digests, Position)> {
        let position = position(self.place.as_deref(), self.part.as_ref());
        (filling.count() > 0).then_some((filling.filled, position))
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
                let order = match self.order {
                    Some(order) => order,
                    None => *self.order.insert(self.store.order(self.kind).await?),
                };
                let cursor = driver(deadline, self.find(order)?.batch()).await?;
                self.fresh = true;
                self.resumed = order == Order::Indexed
                    && self.place.as_deref().is_some_and(|place| place != LAST);
                self.cursor.insert(Answers::of(cursor, deadline))
            };
            match cursor.next().await? {
                None if self.resumed => {
                    // Index bounds with a start end before MaxKey.
                    self.resumed = false;
                    let last = self.walk(doc! {"_id": Bson::MaxKey}, None)?;
                    let cursor = driver(deadline, last.batch()).await?;
                    self.cursor = Some(Answers::of(cursor, deadline));
                }
                None => return Ok(None),
                Some(Ok(answer)) => {
                    self.fresh = false;
                    return Ok(Some(answer));
                }
                Some(Err(error)) => {
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

    fn find(&self, order: Order) -> Result<Find<'_, RawDocumentBuf>> {
        let after = self.place.as_deref().map(|place| {
            id_from(place).ok_or_else(|| {
                Error::invalid("position", "is not a place in a scan of this source")
            })
        });
        let after: Option<Bson> = after.transpose()?;
        if after == Some(Bson::MaxKey) {
            // No index bounds can start there.
            return self.walk(doc! {"_id": {"$in": []}}, None);
        }
        if order == Order::Sorted {
            // Unlike the query's, this comparison continues from one BSON type to the next.
            let beyond = if self.again.is_none() { "$gt" } else { "$gte" };
            let filter = after.map(|id| doc! {"$expr": {beyond: ["$_id", literal(id)]}});
            return self.sorted(filter.unwrap_or_default());
        }
        let filter = match &after {
            Some(id) if self.again.is_none() => doc! {"_id": {"$ne": id}},
            _ => Document::new(),
        };
        self.walk(filter, after.map(by_id))
    }

    fn options(&self) -> FindOptions {
        FindOptions::builder()
            .sort(doc! {"_id": 1})
            .batch_size(match Within::of(self.kind) {
                None => u32::try_from(self.limits.records)
                    .map_or(DOCUMENTS_AT_ONCE, |most| most.clamp(1, DOCUMENTS_AT_ONCE)),
                Some(_) => WHOLES_AT_ONCE,
            })
            .projection(projection(self.kind))
            .read_concern(ReadConcern::majority())
            .build()
    }

    fn sorted(&self, filter: Document) -> Result<Find<'_, RawDocumentBuf>> {
        let collection = self.store.collection(self.kind)?;
        let mut options = self.options();
        options.allow_disk_use = Some(true);
        Ok(collection.find(filter).with_options(options))
    }

    /// Unlike `$gt`, index bounds continue from one BSON type to the next. They include their
    /// start.
    fn walk(&self, filter: Document, from: Option<Document>) -> Result<Find<'_, RawDocumentBuf>> {
        let mut options = self.options();
        options.hint = Some(Hint::Keys(doc! {"_id": 1}));
        options.min = from;
        let collection = self.store.collection(self.kind)?;
        Ok(collection.find(filter).with_options(options))
    }
}

/// The array of documents in an answer.
pub(super) fn documents(answer: &RawBatch, deadline: Duration) -> Result<&[u8]> {
    let slices = answer.doc_slices().map_err(|error| map(&error, deadline))?;
    Ok(slices.as_bytes())
}

pub(super) fn damaged() -> Error {
    Error::internal("an answer of the server is damaged")
}
