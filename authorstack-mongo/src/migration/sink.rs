//! Records written to MongoDB: whole documents are replaced, parts go into their documents.
//!
//! The server alone decides each statement. A statement that is sent again changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Id, Result,
    migrate::{Applied, Key, Kind, Problem, Problems, Record, Sink, SinkBatch, SinkState},
};
use bson::{
    Bson, Document, RawArrayBuf, RawDocument, RawDocumentBuf, doc, oid::ObjectId, raw::cstr,
};

use super::collection::{CollectionForm, no_such};
use crate::{
    document::{encode, encode_comment, encode_with_arrays, to_document},
    error::driver,
    pipeline::{array_of, date, forms_of, literal, moment},
    store::MongoStore,
};

/// The most statements of one command, and their bytes: the server accepts 48 MB.
const MOST_STATEMENTS: usize = 1_000;
const MOST_BYTES: usize = 12 << 20;

/// A statement of an update, and its record.
struct Statement {
    index: usize,
    update: RawDocumentBuf,
}

/// The result of statements.
#[derive(Default)]
struct Outcome {
    written: u64,
    unchanged: u64,
    failed: Vec<(usize, Problem)>,
}

#[async_trait]
impl Sink for MongoStore {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn kinds(&self) -> &[Kind] {
        Kind::DOCUMENTS
    }

    async fn inspect(&self) -> Result<SinkState> {
        let mut state = SinkState::default();
        for &kind in Kind::DOCUMENTS {
            let count = if kind.description().part_of.is_some() {
                0
            } else {
                let what = match self.form(kind).await? {
                    CollectionForm::Collection | CollectionForm::Clustered => None,
                    CollectionForm::View => Some("view"),
                    CollectionForm::TimeSeries => Some("time series"),
                };
                if let Some(what) = what {
                    state.blockers.push(format!(
                        "{kind} is a {what}, and records are written to collections; rename it, or \
                         name another database"
                    ));
                }
                let collection = self.collection(kind)?;
                driver(self.deadline, collection.estimated_document_count()).await?
            };
            if count > 0 {
                state.notes.push(format!(
                    "the collection {kind} holds {count} documents already; those with the same id \
                     are replaced, others stay"
                ));
            }
            state.records.push((kind, count));
        }
        Ok(state)
    }

    async fn prepare(&self) -> Result<()> {
        self.ensure_indexes().await
    }

    async fn begin(&self, _: Kind) -> Result<()> {
        Ok(())
    }

    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        let removed = self.remove(batch.kind, batch.removals).await?;
        let outcome = match batch.kind {
            Kind::Users
            | Kind::Books
            | Kind::Checklists
            | Kind::Follows
            | Kind::CommunityPosts
            | Kind::MarketplaceBoosts
            | Kind::Competitors => self.put_wholes(batch).await?,
            Kind::PostLikes | Kind::PostComments | Kind::CompetitorPrices => {
                self.put_parts(batch).await?
            }
            Kind::SalesData
            | Kind::DailyAggregates
            | Kind::SyncLogs
            | Kind::AiInsights
            | Kind::RevenueForecasts
            | Kind::Accounts
            | Kind::Identities => return Err(no_such(batch.kind)),
        };
        let refused = outcome.failed.into_iter();
        Ok(Applied {
            written: outcome.written,
            unchanged: outcome.unchanged,
            removed,
            refused: refused
                .map(|(index, problem)| (index, problem.into()))
                .collect(),
        })
    }

    async fn finish(&self, _: Kind) -> Result<()> {
        Ok(())
    }
}

/// The array of a kind whose records are inside documents.
fn array(kind: Kind) -> Result<&'static str> {
    match kind {
        Kind::PostLikes => Ok("likes"),
        Kind::PostComments => Ok("comments"),
        Kind::CompetitorPrices => Ok("priceHistory"),
        Kind::Users
        | Kind::Books
        | Kind::Checklists
        | Kind::Follows
        | Kind::CommunityPosts
        | Kind::MarketplaceBoosts
        | Kind::Competitors
        | Kind::SalesData
        | Kind::DailyAggregates
        | Kind::SyncLogs
        | Kind::AiInsights
        | Kind::RevenueForecasts
        | Kind::Accounts
        | Kind::Identities => Err(no_such(kind)),
    }
}

/// The document of a record, and the arrays that it has for other records.
fn whole(record: &Record) -> Result<(RawDocumentBuf, &'static [&'static str])> {
    use authorstack_core::{Competitor, Post, fields::Fields};
    Ok(match record {
        Record::User(user) => (encode(user.as_ref())?, &[]),
        Record::Book(book) => (encode(book.as_ref())?, &[]),
        Record::Checklist(checklist) => (encode(checklist.as_ref())?, &[]),
        Record::Follow(follow) => (encode(follow.as_ref())?, &[]),
        Record::Boost(boost) => (encode(boost.as_ref())?, &[]),
        Record::Post(post) => (
            encode_with_arrays(post.as_ref(), "visibility")?,
            Post::RESERVED,
        ),
        Record::Competitor(rival) => (
            encode_with_arrays(rival.as_ref(), "genre")?,
            Competitor::RESERVED,
        ),
        Record::Like(_)
        | Record::Comment(_)
        | Record::Price(_)
        | Record::Sale(_)
        | Record::DailyAggregate(_)
        | Record::SyncLog(_)
        | Record::Insight(_)
        | Record::Forecast(_)
        | Record::Account(_)
        | Record::Identity(_) => return Err(no_such(record.kind())),
    })
}

/// A part as an item of its array.
fn part(record: &Record) -> Result<Bson> {
    match record {
        Record::Like(like) => Ok(like.user_id.to_object_id().into()),
        Record::Comment(comment) => encode_comment(comment).map(Bson::from),
        Record::Price(price) => encode(&price.point).and_then(to_document).map(Bson::from),
        other => Err(no_such(other.kind())),
    }
}

/// The values that identify a part in its array.
fn marks(key: &Key) -> Option<Vec<Bson>> {
    match key {
        Key::Like(_, user) => Some(forms_of(*user)),
        Key::Comment(_, id) => Some(vec![id.as_str().into()]),
        Key::Price(_, at) => Some(vec![date(*at).into()]),
        Key::Id(_) | Key::Row(_) | Key::Account(_) | Key::Identity(..) => None,
    }
}

/// The same value of an item of the array, as an expression of a pipeline.
fn mark_of(kind: Kind, item: &str) -> Bson {
    match kind {
        Kind::PostComments => format!("{item}.id").into(),
        Kind::CompetitorPrices => moment(&format!("{item}.date")).into(),
        _ => item.into(),
    }
}

impl MongoStore {
    async fn put_wholes(&self, batch: &SinkBatch<'_>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut statements = Vec::with_capacity(batch.upserts.len());
        for (index, record) in batch.upserts.iter().enumerate() {
            match replacement(record) {
                Ok(update) => statements.push(Statement { index, update }),
                Err(error) => outcome.failed.push((index, refusal(error)?)),
            }
        }
        self.put(batch.kind, statements, &mut outcome).await?;
        Ok(outcome)
    }

    /// Sends statements. A statement that failed because of another document's value is sent again
    /// as long as others succeed: the other document may have changed.
    async fn put(
        &self,
        kind: Kind,
        mut statements: Vec<Statement>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        loop {
            let count = statements.len();
            let failed = self.send(kind, statements, outcome).await?;
            if failed.is_empty() || failed.len() == count {
                let failed = failed.into_iter();
                outcome
                    .failed
                    .extend(failed.map(|(it, problem)| (it.index, problem)));
                return Ok(());
            }
            statements = failed.into_iter().map(|(it, _)| it).collect();
        }
    }

    /// Sends statements once. Returns those that the server refused.
    async fn send(
        &self,
        kind: Kind,
        statements: Vec<Statement>,
        outcome: &mut Outcome,
    ) -> Result<Vec<(Statement, Problem)>> {
        let mut failed = Vec::new();
        let mut waiting = statements.into_iter().peekable();
        while waiting.peek().is_some() {
            let (mut sent, mut bytes) = (Vec::new(), 0);
            while let Some(next) = waiting.next_if(|next| {
                sent.is_empty()
                    || (sent.len() < MOST_STATEMENTS
                        && bytes + next.update.as_bytes().len() <= MOST_BYTES)
            }) {
                bytes += next.update.as_bytes().len();
                sent.push(next);
            }
            let answer = self.update(kind, &sent).await?;
            outcome.written += answer.written;
            outcome.unchanged += answer.unchanged;
            let mut refused: HashMap<usize, Problem> = answer.failed.into_iter().collect();
            let sent = sent.into_iter().enumerate();
            failed.extend(sent.filter_map(|(at, it)| Some((it, refused.remove(&at)?))));
        }
        Ok(failed)
    }

    /// One command of updates. Failures are named by their index among the statements.
    async fn update(&self, kind: Kind, statements: &[Statement]) -> Result<Outcome> {
        let mut updates = RawArrayBuf::new();
        for statement in statements {
            updates.push(statement.update.clone());
        }
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("update"), self.collection(kind)?.name());
        command.append(cstr!("ordered"), false);
        command.append(cstr!("updates"), updates);
        let answer = driver(self.deadline, self.database.run_raw_command(command)).await?;
        let number = |name: &str| answer.get(name).and_then(whole_number).unwrap_or_default();
        let list = |name: &str| match answer.get(name) {
            Some(Bson::Array(items)) => items.as_slice(),
            _ => &[],
        };
        let inserted = list("upserted").len() as u64;
        let mut outcome = Outcome {
            written: number("nModified") + inserted,
            unchanged: number("n").saturating_sub(number("nModified") + inserted),
            failed: Vec::new(),
        };
        for error in list("writeErrors").iter().filter_map(Bson::as_document) {
            let index = error.get("index").and_then(whole_number);
            let index = index.and_then(|index| usize::try_from(index).ok());
            let index = index.ok_or_else(|| Error::internal("a write error names no statement"))?;
            outcome.failed.push((index, write_problem(kind, error)?));
        }
        if let Some(concern) = answer.get("writeConcernError") {
            let reason = format!("the write was not confirmed: {concern}");
            return Err(Error::unavailable(reason));
        }
        Ok(outcome)
    }

    /// Puts parts into the arrays of their documents. A part whose document does not exist is
    /// refused.
    async fn put_parts(&self, batch: &SinkBatch<'_>) -> Result<Outcome> {
        let kind = batch.kind;
        let mut outcome = Outcome::default();
        let mut groups: BTreeMap<ObjectId, Vec<(usize, Vec<Bson>, Bson)>> = BTreeMap::new();
        for (index, record) in batch.upserts.iter().enumerate() {
            let key = record.key();
            let (Some(whole), Some(marks)) = (key.id(), marks(&key)) else {
                return Err(no_such(record.kind()));
            };
            match part(record) {
                Ok(part) => {
                    let group = groups.entry(whole.to_object_id()).or_default();
                    group.push((index, marks, part));
                }
                Err(error) => outcome.failed.push((index, refusal(error)?)),
            }
        }
        let groups: Vec<_> = groups.into_iter().collect();
        for some in groups.chunks(MOST_STATEMENTS) {
            let wanted: Vec<(ObjectId, Vec<Bson>)> = some
                .iter()
                .map(|(id, parts)| (*id, parts.iter().flat_map(|part| part.1.clone()).collect()))
                .collect();
            let present = self.present(kind, &wanted).await?;
            let mut statements = Vec::new();
            let mut groups = Vec::new();
            for (id, parts) in some {
                let Some(held) = present.get(id) else {
                    let problem = orphan(kind, *id);
                    let lost = parts.iter().map(|part| (part.0, problem.clone()));
                    outcome.failed.extend(lost);
                    continue;
                };
                let (same, new): (Vec<_>, Vec<_>) =
                    parts.iter().partition(|(_, _, part)| held.contains(part));
                outcome.unchanged += same.len() as u64;
                if new.is_empty() {
                    continue;
                }
                let marks: Vec<Bson> = new.iter().flat_map(|part| part.1.clone()).collect();
                let items: Vec<Bson> = new.iter().map(|part| part.2.clone()).collect();
                let update = doc! {
                    "q": {"_id": *id},
                    "u": [{"$set": {array(kind)?: with_parts(kind, &marks, items)?}}],
                };
                statements.push(Statement {
                    index: groups.len(),
                    update: raw(&update)?,
                });
                groups.push(new);
            }
            // It counts documents; the parts are counted here.
            let failed = self.send(kind, statements, &mut Outcome::default()).await?;
            for (statement, problem) in failed {
                let parts = groups.get_mut(statement.index).map(std::mem::take);
                let parts = parts.unwrap_or_default().into_iter();
                let refused = parts.map(|part| (part.0, problem.clone()));
                outcome.failed.extend(refused);
            }
            outcome.written += groups.iter().map(|parts| parts.len() as u64).sum::<u64>();
        }
        Ok(outcome)
    }

    /// The existing documents with these ids, each with its parts that have one of the marks.
    async fn present(
        &self,
        kind: Kind,
        wanted: &[(ObjectId, Vec<Bson>)],
    ) -> Result<HashMap<ObjectId, Vec<Bson>>> {
        let ids: Vec<ObjectId> = wanted.iter().map(|(id, _)| *id).collect();
        let marks: Vec<Bson> = wanted.iter().flat_map(|(_, marks)| marks.clone()).collect();
        let of_these = doc! {"$in": [mark_of(kind, "$$item"), literal(marks)]};
        let items = doc! {"$filter": {
            "input": list_of(&format!("${}", array(kind)?)), "as": "item", "cond": of_these,
        }};
        let pipeline = vec![
            doc! {"$match": {"_id": {"$in": ids}}},
            doc! {"$project": {"items": items}},
        ];
        let read = |bytes: &[u8]| {
            let document = RawDocument::from_bytes(bytes).and_then(Document::try_from);
            document.map_err(|error| Problems::from(Problem::new("", error.to_string())))
        };
        let found = self
            .aggregate(self.collection(kind)?, pipeline, read)
            .await?;
        let mut present = HashMap::new();
        for mut document in found {
            if let (Ok(id), Some(Bson::Array(items))) =
                (document.get_object_id("_id"), document.remove("items"))
            {
                present.insert(id, items);
            }
        }
        Ok(present)
    }

    /// Removes records. Returns how many existed.
    async fn remove(&self, kind: Kind, keys: &[Key]) -> Result<u64> {
        let mut removed = 0;
        if kind.description().part_of.is_none() {
            for some in keys.chunks(MOST_STATEMENTS) {
                let ids = some.iter().filter_map(Key::id);
                let ids: Vec<ObjectId> = ids.map(Id::to_object_id).collect();
                let delete = self
                    .collection(kind)?
                    .delete_many(doc! {"_id": {"$in": ids}});
                removed += driver(self.deadline, delete).await?.deleted_count;
            }
            return Ok(removed);
        }
        let mut groups: BTreeMap<ObjectId, Vec<Bson>> = BTreeMap::new();
        for key in keys {
            if let (Some(whole), Some(marks)) = (key.id(), marks(key)) {
                let group = groups.entry(whole.to_object_id()).or_default();
                group.extend(marks);
            }
        }
        let groups: Vec<_> = groups.into_iter().collect();
        for some in groups.chunks(MOST_STATEMENTS) {
            let present = self.present(kind, some).await?;
            for (id, marks) in some {
                let Some(held) = present.get(id).filter(|held| !held.is_empty()) else {
                    continue;
                };
                let update = doc! {
                    "q": {"_id": *id},
                    "u": [{"$set": {array(kind)?: with_parts(kind, marks, Vec::new())?}}],
                };
                let statement = Statement {
                    index: 0,
                    update: raw(&update)?,
                };
                let answer = self.update(kind, &[statement]).await?;
                if let Some((_, problem)) = answer.failed.into_iter().next() {
                    return Err(Error::internal(problem.to_string()));
                }
                removed += held.len() as u64;
            }
        }
        Ok(removed)
    }
}

/// The statement that replaces a document by the record's. Its arrays of other records stay as they
/// are.
fn replacement(record: &Record) -> Result<RawDocumentBuf> {
    let (document, arrays) = whole(record)?;
    let id = record.key().id().map(Id::to_object_id);
    let id = id.ok_or_else(|| no_such(record.kind()))?;
    let mut query = RawDocumentBuf::new();
    query.append(cstr!("_id"), id);
    let mut update = RawDocumentBuf::new();
    update.append(cstr!("q"), query);
    if arrays.is_empty() {
        update.append(cstr!("u"), document);
    } else {
        let kept: Document = arrays
            .iter()
            .map(|name| {
                let held = doc! {"$ifNull": [format!("${name}"), []]};
                ((*name).to_owned(), Bson::from(held))
            })
            .collect();
        let merged = vec![literal(to_document(document)?), kept.into()];
        let stage = raw(&doc! {"$replaceWith": {"$mergeObjects": merged}})?;
        let mut stages = RawArrayBuf::new();
        stages.push(stage);
        update.append(cstr!("u"), stages);
    }
    update.append(cstr!("upsert"), true);
    Ok(update)
}

/// The array of parts, without the parts that have some marks, and with other parts at the end.
fn with_parts(kind: Kind, marks: &[Bson], parts: Vec<Bson>) -> Result<Document> {
    let of_these = doc! {"$in": [mark_of(kind, "$$item"), literal(marks.to_vec())]};
    let others = doc! {"$filter": {
        "input": list_of(&format!("${}", array(kind)?)),
        "as": "item",
        "cond": {"$not": [of_these]},
    }};
    Ok(doc! {"$concatArrays": [others, literal(parts)]})
}

/// The array of a field; any other value stays in it as its only item.
fn list_of(field: &str) -> Document {
    let missing = doc! {"$in": [{"$type": field}, ["missing", "null", "undefined"]]};
    doc! {"$switch": {
        "branches": [
            {"case": {"$isArray": field}, "then": array_of(field)},
            {"case": missing, "then": []},
        ],
        "default": [field],
    }}
}

fn raw(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document)
        .map_err(|error| Error::internal(format!("a command is not BSON: {error}")))
}

fn whole_number(number: &Bson) -> Option<u64> {
    match number {
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::Int64(number) => u64::try_from(*number).ok(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts are whole and small"
        )]
        Bson::Double(number) if *number >= 0.0 => Some(*number as u64),
        _ => None,
    }
}

/// The problem of a refused record; any other error ends the batch.
fn refusal(error: Error) -> Result<Problem> {
    match error.kind() {
        ErrorKind::Invalid { .. } => Ok(error.into()),
        _ => Err(error),
    }
}

fn orphan(kind: Kind, id: ObjectId) -> Problem {
    let whole = kind.description().refers_to.first();
    let (field, one) = whole.map_or(("_id", "document"), |it| (it.field, it.kind.one()));
    let problem =
        format!("there is no {one} {id} in the target; move the {one} first, then replay");
    Problem::new(field, problem)
}

/// The server's error for one statement.
fn write_problem(kind: Kind, error: &Document) -> Result<Problem> {
    let code = error.get("code").and_then(whole_number).unwrap_or_default();
    let said = error.get_str("errmsg").unwrap_or_default();
    match code {
        // DuplicateKey.
        11000 => {
            let keys: HashSet<&str> = match error.get_document("keyPattern") {
                Ok(pattern) => pattern.keys().map(String::as_str).collect(),
                Err(_) => HashSet::new(),
            };
            let description = kind.description();
            let name = |column: &&str| {
                let mut fields = description.fields.iter();
                let field = fields.find(|field| field.column == Some(column));
                field.map_or("", |field| field.name)
            };
            let mut unique = description.unique.iter();
            let unique = unique.find(|unique| {
                let names: HashSet<&str> = unique.columns.iter().map(name).collect();
                names == keys
            });
            let field = match unique {
                Some(unique) => unique.field.to_owned(),
                None => keys.into_iter().next().unwrap_or("_id").to_owned(),
            };
            let problem = "another document of the target has this value; change one of the two, \
                           then replay";
            Ok(Problem::new(field, problem))
        }
        // DocumentValidationFailure.
        121 => Ok(Problem::new(
            "",
            "the collection's validator refuses the document; correct the record or the validator",
        )),
        // BSONObjectTooLarge; an update beyond the limit.
        10334 | 17419 | 17420 => Ok(Problem::new(
            "",
            "the document would be larger than MongoDB's 16 MB; shorten it",
        )),
        _ => Err(Error::unavailable(format!(
            "the server refused a write: {said} ({code})"
        ))),
    }
}
