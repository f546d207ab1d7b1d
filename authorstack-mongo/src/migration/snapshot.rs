//! The records of a MongoDB database as they are now.

use std::collections::HashSet;

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Id, Result,
    migrate::{
        BatchLimits, DigestOf, Digests, Kind, Original, Position, Problem, Problems, Record,
        Scanned, ScannedBatch, Snapshot, Stranger,
    },
    resilience::with_deadline,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use mongodb::options::{FindOptions, ReadConcern};
use serde_json::{Map, Value};

use super::{
    decoding::Decoding,
    parts::Within,
    scan::{Scan, WHOLES_AT_ONCE, projection, scanned},
};
use crate::{
    document::{
        self,
        key::{WHOLE, any_of, id_from, is_id, key_of},
    },
    error::{SETTING, driver, map},
    extended_json::{Form, Path, append_fields, document_to_json},
    store::{MongoStore, documents},
};

/// The kinds that the schema's collections hold.
const KINDS: &[Kind] = Kind::DOCUMENTS;

#[async_trait]
impl Snapshot for MongoStore {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn kinds(&self) -> &[Kind] {
        KINDS
    }

    async fn check(&self, _: &[Kind]) -> Result<()> {
        self.check_database().await
    }

    async fn strangers(&self, kinds: &[Kind]) -> Result<Vec<Stranger>> {
        self.strange_collections(kinds).await
    }

    async fn origin(&self, kind: Kind) -> Result<Option<String>> {
        self.origin_of(kind).await
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        let count = async {
            let collection = self.collection(kind)?;
            // Says first what cannot be read at all.
            self.order(kind).await?;
            let documents = driver(self.deadline, collection.estimated_document_count());
            let Some(within_wholes) = Within::of(kind) else {
                return documents.await;
            };
            // This reads the arrays. If that takes too long, an estimate is used.
            let read = |bytes: &[u8]| {
                let count = RawDocument::from_bytes(bytes).and_then(|it| it.get("count"));
                let count = count.ok().flatten().and_then(|count| match count {
                    RawBsonRef::Int32(count) => u64::try_from(count).ok(),
                    RawBsonRef::Int64(count) => u64::try_from(count).ok(),
                    _ => None,
                });
                Ok(count.unwrap_or_default())
            };
            match self
                .aggregate(collection, within_wholes.count(), read)
                .await
            {
                Err(error) if matches!(error.kind(), ErrorKind::Timeout { .. }) => documents.await,
                counted => counted.map(|counts| counts.into_iter().sum()),
            }
        };
        count.await
    }

    /// The server closes a cursor if the consumer takes longer than ten minutes for a batch. Then
    /// the scan opens another cursor, after the last document. (`noCursorTimeout` would not help:
    /// the free tier of Atlas refuses it, and the end of a session closes the cursor too.)
    ///
    /// A position is exact for every `_id` except a text that is not UTF-8. A scan that resumes
    /// after such a text starts after the last other `_id`, and returns these documents again.
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        match Scan::new(self, kind, after, limits, None) {
            Ok(scan) => {
                let batches = scan.batches().map_ok(|(filled, position)| ScannedBatch {
                    items: filled.others,
                    position,
                });
                batches.boxed()
            }
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    /// What fails the check is set aside, or its record is rejected.
    fn has_checked(&self, _: Kind) -> bool {
        true
    }

    fn digests(
        &self,
        kind: Kind,
        limits: BatchLimits,
        digest_of: DigestOf,
    ) -> BoxStream<'_, Result<Digests>> {
        match Scan::new(self, kind, None, limits, Some(digest_of)) {
            Ok(scan) if Within::of(kind).is_none() => Decoding::of(scan).digests().boxed(),
            Ok(scan) => scan.batches().map_ok(|(filled, _)| filled).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        let mut found = Vec::new();
        let Some(within_wholes) = Within::of(kind) else {
            let see = |bytes: &[u8]| found.push(scanned(kind, bytes));
            self.each_whole(kind, keys, see).await?;
            return Ok(found);
        };
        let wanted: HashSet<String> = keys
            .iter()
            .filter_map(|key| within_wholes.whole_of(key))
            .collect();
        let wanted: Vec<String> = wanted.into_iter().collect();
        let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let see = |whole: &[u8]| {
            let parts = within_wholes.parts(whole).map(|(_, part)| part);
            found.extend(parts.filter(|part| keys.contains(part.key.as_str())));
        };
        self.each_whole(kind, &wanted, see).await?;
        Ok(found)
    }

    async fn with_unkeyed_parts(
        &self,
        kind: Kind,
        wholes: &[Id<Record>],
    ) -> Result<Vec<Id<Record>>> {
        let Some(within_wholes) = Within::of(kind) else {
            return Ok(Vec::new());
        };
        let keys: Vec<String> = wholes.iter().map(ToString::to_string).collect();
        let mut found = Vec::new();
        let see = |whole: &[u8]| {
            if within_wholes.parts(whole).any_without_key() {
                // An id that is a text is in quotation marks here.
                let key = key_of(whole);
                found.extend(key.and_then(|key| key.trim_matches('"').parse::<Id<Record>>().ok()));
            }
        };
        self.each_whole(kind, &keys, see).await?;
        Ok(found)
    }

    /// Canonical Extended JSON. A document that JSON would change (bytes that are not UTF-8, a
    /// field that appears twice, a reserved name) also carries its bytes, as base64 in `$bson`.
    fn encode(&self, _: Kind, original: &Original) -> Value {
        let original = original.bytes(None);
        let (mut fields, exact) = legible(&original);
        if !exact {
            fields.insert(WHOLE.to_owned(), BASE64_STANDARD.encode(&original).into());
        }
        Value::Object(fields)
    }

    /// If there is a `$bson` and the rest was not edited, the bytes are used; otherwise the rest.
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        document::record(kind, &edited(value)?)
    }

    fn decode_setting_aside(
        &self,
        kind: Kind,
        value: &Value,
    ) -> Result<(Record, Problems), Problems> {
        let (record, set_aside) = document::record_setting_aside(kind, &edited(value)?);
        Ok((record?, set_aside))
    }
}

/// The document of the JSON that was encoded, and may have been edited.
fn edited(value: &Value) -> Result<Vec<u8>, Problems> {
    let Value::Object(fields) = value else {
        return Err(Problem::new("", "the record is not a JSON object; write {…}").into());
    };
    let mut fields = fields.clone();
    if let Some(whole) = fields.remove(WHOLE) {
        let bytes = whole
            .as_str()
            .and_then(|text| BASE64_STANDARD.decode(text).ok());
        let Some(bytes) = bytes else {
            let problem = "is not base64; leave it unchanged, or remove it";
            return Err(Problem::new(WHOLE, problem).into());
        };
        let (mut as_it_came, _) = legible(&bytes);
        as_it_came.remove(WHOLE);
        if as_it_came == fields {
            return Ok(bytes);
        }
    }
    let (mut document, mut problems) = (RawDocumentBuf::new(), Problems::default());
    append_fields(&mut document, &fields, &Path::Root, &mut problems);
    if problems.is_empty() {
        Ok(document.into_bytes())
    } else {
        Err(problems)
    }
}

/// A document as canonical Extended JSON, and whether that is complete.
fn legible(bytes: &[u8]) -> (Map<String, Value>, bool) {
    let mut problems = Problems::default();
    let fields = document_to_json(Form::Canonical, bytes, &Path::Root, &mut problems);
    let exact = problems.is_empty() && !fields.contains_key(WHOLE);
    (fields, exact)
}

impl MongoStore {
    /// Shows the existing documents with these keys, with the fields that the kind needs. One answer
    /// of the server is held at a time.
    async fn each_whole(
        &self,
        kind: Kind,
        keys: &[String],
        mut see: impl FnMut(&[u8]) + Send,
    ) -> Result<()> {
        let deadline = self.deadline;
        for some in keys.chunks(WHOLES_AT_ONCE as usize) {
            let ids = some.iter().filter_map(|key| id_from(key)).filter(is_id);
            let options = FindOptions::builder()
                .projection(projection(kind))
                .read_concern(ReadConcern::majority())
                .build();
            let find = self.collection(kind)?.find(any_of(ids));
            let mut cursor = driver(deadline, find.with_options(options).batch()).await?;
            loop {
                let next = with_deadline(deadline, async { Ok(cursor.next().await) });
                let Some(answer) = next.await? else { break };
                let answer = answer.map_err(|error| map(&error, deadline))?;
                for document in documents(&answer, deadline)? {
                    see(document?.as_bytes());
                }
            }
        }
        Ok(())
    }

    async fn check_database(&self) -> Result<()> {
        let names = driver(self.deadline, self.database.list_collection_names()).await?;
        let mut is_ours = false;
        for kind in KINDS {
            if names.iter().any(|name| name == kind.as_str()) {
                is_ours = true;
                // Refused here, nothing has moved yet.
                self.order(*kind).await?;
            }
        }
        if is_ours {
            return Ok(());
        }
        let database = self.database.name();
        let problem = if names.is_empty() {
            let there = self.other_databases().await;
            format!("the server has no database {database:?}{there}")
        } else {
            format!("the database {database:?} has none of the schema's collections")
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
        let mut names = driver(self.deadline, list).await.unwrap_or_default();
        names.retain(|name| !matches!(name.as_str(), "admin" | "config" | "local"));
        names.sort_unstable();
        if names.is_empty() {
            String::new()
        } else {
            format!("; it has: {}", names.join(", "))
        }
    }
}
