use async_trait::async_trait;
use authorstack_core::{
    Error, Id, Result,
    fields::Shape,
    migrate::{
        BatchLimits, Kind, Original, Position, Problem, Problems, Record, Scanned, ScannedBatch,
        Snapshot,
    },
};
use authorstack_sql::{get, spawned};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, query};
use uuid::Uuid;

use super::{
    NAME, SupabaseMigration,
    deferred::table,
    place::{Place, key_indexes},
    scan::{Scan, scanned, send_rows},
    statements::statements,
    work::run,
};
use crate::config::SERVER;

#[async_trait]
impl Snapshot for SupabaseMigration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }

    async fn check(&self) -> Result<()> {
        let pending = self.work.store.pending().await?;
        match pending.first() {
            None => Ok(()),
            Some(first) => Err(Error::configuration(
                SERVER.setting,
                format!(
                    "the database lacks the schema's migrations from {first} on: name AuthorStack's \
                     database, or apply them with SupabaseStore::migrate"
                ),
            )),
        }
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        let count = format!("select count(*) from {}", table(kind));
        let count = query(AssertSqlSafe(count));
        let row = run(
            self.work.store.timeouts().load,
            self.work.store.fetch_optional(count),
        );
        let count: i64 = row.await?.map_or(Ok(0), |row| get(&row, 0))?;
        Ok(count.unsigned_abs())
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let after = match after.map(|Position(text)| Place::parse(kind, &text)) {
            None => None,
            Some(Some(place)) => Some(place),
            Some(None) => {
                let error = Error::invalid("position", "is not a position of this store");
                return stream::iter([Err(error)]).boxed();
            }
        };
        let scan = Scan {
            kind,
            after,
            until: None,
            limits,
        };
        let store = self.work.store.clone();
        spawned(move |sender| send_rows(store, scan, sender))
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        let store = &self.work.store;
        let places = keys.iter().filter_map(|key| Place::parse(kind, key));
        let places: Vec<Place> = places.collect();
        let indexes = key_indexes(kind);
        let find = async {
            let select = Place::bind_all(query(statements(kind)?.some.as_str()), kind, &places);
            let mut found = Vec::new();
            for row in store.fetch_all(select).await? {
                let place = Place::read(kind, &row, indexes)?;
                found.extend(scanned(store, kind, &row, &place).await?);
            }
            Ok(found)
        };
        run(store.timeouts().load, find).await
    }

    fn encode(&self, _: Kind, original: &Original) -> Value {
        // Deeply nested values may contain unexpected secrets. The row is still in the source.
        serde_json::from_slice(&original.bytes(None))
            .unwrap_or_else(|_| json!({"$unreadable": "see the row in the source"}))
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        let Value::Object(found) = value else {
            return Err(Problem::new("record", "is not a JSON object; restore the line").into());
        };
        let record = Record::from_json(kind, Value::Object(by_name(kind, found)));
        record.map_err(|error| Problem::new("record", error.to_string()).into())
    }
}

/// The JSON of a record, with the names of its fields. The input may be the JSON of a row, with the
/// names of its columns.
fn by_name(kind: Kind, found: &Map<String, Value>) -> Map<String, Value> {
    let mut named = Map::new();
    for (name, value) in found {
        let mut fields = kind.fields().iter();
        let field = fields.find(|field| field.name == name || field.column == Some(name.as_str()));
        let Some(field) = field else {
            named.insert(name.clone(), value.clone());
            continue;
        };
        // A null column is a missing field, except for JSON that may be null.
        if value.is_null() && !(field.required && field.shape == Shape::Json) {
            continue;
        }
        // Only documents call it `_id`.
        let name = if field.name == "_id" {
            "id"
        } else {
            field.name
        };
        named.insert(name.to_owned(), as_field(field.shape, value));
    }
    named
}

/// A column's JSON in the form of the field.
fn as_field(shape: Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Id, Value::String(text)) => {
            let uuid = text.parse::<Uuid>().ok();
            let id = uuid.and_then(|uuid| Id::<()>::from_uuid(uuid).ok());
            id.map_or_else(|| value.clone(), |id| Value::String(id.to_string()))
        }
        // Texts are exact.
        (Shape::Decimal, Value::Number(number)) => Value::String(number.to_string()),
        _ => value.clone(),
    }
}
