use async_trait::async_trait;
use authorstack_core::{
    Error, Id, Result,
    fields::Shape,
    migrate::{
        BatchLimits, Digests, Group, Kind, Original, Position, Problem, Problems, Record, Scanned,
        ScannedBatch, Snapshot, Stranger, without_digest,
    },
};
use authorstack_sql::{IDENTITY, OTHER_TABLES, get, spawned, sums_of};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, query};
use uuid::Uuid;

use super::{
    NAME, SupabaseMigration, accounts,
    copy::write_stored,
    deferred::table,
    place::{Place, key_indexes},
    scan::{Scan, scanned, send_rows},
    statements::statements,
    work::run,
};
use crate::{config::SERVER, schema::TABLES};

#[async_trait]
impl Snapshot for SupabaseMigration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &[Kind] {
        self.kinds
    }

    async fn check(&self, _: &[Kind]) -> Result<()> {
        // The ledger of the way back makes its own tables.
        let pending = self.work.store.pending().await?;
        let lacks = |version: &str| pending.iter().any(|file| file.starts_with(version));
        let mut versions = TABLES.iter().map(|(_, version)| *version);
        match versions.find(|version| lacks(version)) {
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

    async fn strangers(&self, _: &[Kind]) -> Result<Vec<Stranger>> {
        let known: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
        let store = &self.work.store;
        // The other schemas are Supabase's own.
        let look = store.fetch_all(query(OTHER_TABLES).bind(known).bind(true));
        let rows = run(store.timeouts().load, look).await?;
        let rows = rows.iter().map(|row| {
            Ok(Stranger {
                store: NAME,
                form: if get(row, 1)? { "view" } else { "table" },
                name: get(row, 0)?,
                records: get::<Option<i64>>(row, 2)?.map(i64::unsigned_abs),
                missing: false,
            })
        });
        rows.collect()
    }

    async fn databases(&self) -> Result<Vec<String>> {
        let store = &self.work.store;
        let row = run(store.timeouts().load, store.fetch_optional(query(IDENTITY)));
        row.await?.iter().map(|row| get(row, 0)).collect()
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        let count = format!(
            "select count(*) from {} {}",
            table(kind),
            accounts::which(kind)
        );
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
        if kind.is_of(Group::Accounts) {
            return accounts::scan(self.work.store.clone(), kind, after, limits);
        }
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
        let work = self.work.clone();
        spawned(move |sender| send_rows::<Vec<Scanned>>(work, scan, sender))
    }

    fn stored(&self, kind: Kind, limits: BatchLimits) -> Option<BoxStream<'_, Result<Digests>>> {
        if kind.is_of(Group::Accounts) {
            // Hashes are compared as records.
            return None;
        }
        let scan = Scan {
            kind,
            after: None,
            until: None,
            limits,
        };
        let work = self.work.clone();
        let stored = spawned(move |sender| send_rows::<Digests>(work, scan, sender));
        Some(stored)
    }

    fn write_stored(&self, record: &Record, form: &mut Vec<u8>) -> bool {
        !record.kind().is_of(Group::Accounts) && write_stored(record, form)
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        let store = &self.work.store;
        if kind.is_of(Group::Accounts) {
            return run(store.timeouts().load, accounts::fetch(store, kind, keys)).await;
        }
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

    fn encode(&self, kind: Kind, original: &Original) -> Value {
        if kind.is_of(Group::Accounts) {
            return without_digest(
                authorstack_core::json::parse(&original.bytes(None)).unwrap_or_default(),
            );
        }
        // Deeply nested values may contain unexpected secrets. The row is still in the source.
        authorstack_core::json::parse(&original.bytes(None))
            .unwrap_or_else(|_| json!({"$unreadable": "see the row in the source"}))
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        if kind.is_of(Group::Accounts) {
            return Record::from_json(kind, value.clone());
        }
        let Value::Object(found) = value else {
            return Err(Problem::new("record", "is not a JSON object; restore the line").into());
        };
        Record::from_json(kind, Value::Object(by_name(kind, found)))
    }
}

/// The JSON of a record, with the names of its fields. The input may be the JSON of a row, with the
/// The JSON of a record from that of a row: the names of its fields instead of its columns.
fn by_name(kind: Kind, found: &Map<String, Value>) -> Map<String, Value> {
    let mut named = Map::new();
    for (name, value) in found {
        let mut fields = kind.fields().iter();
        let field = fields.find(|field| field.name == name || field.column == Some(name.as_str()));
        match (field, value) {
            (Some(field), value) => {
                // A column that holds nothing is a field that is not there.
                if !value.is_null() || (field.required && field.shape == Shape::Json) {
                    let name = json_name(field.name).to_owned();
                    named.insert(name, as_field(field.shape, value));
                }
            }
            (None, value) => {
                named.insert(name.clone(), value.clone());
            }
        }
    }
    named
}

/// A field's name in a record's JSON, where documents call it otherwise.
fn json_name(field: &'static str) -> &'static str {
    match field {
        "_id" => "id",
        // The user of a like.
        "likes" => "userId",
        same => same,
    }
}

/// A column's JSON as the field has it.
fn as_field(shape: Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Id, Value::String(text)) => Value::String(id_or_text(text)),
        (Shape::Moment, Value::String(text)) => Value::String(moment(text)),
        // Texts are exact.
        (Shape::Decimal, Value::Number(number)) => Value::String(number.to_string()),
        // An old app may have written the numbers in other forms, and books as UUIDs.
        (Shape::Sums, Value::Object(_)) => match sums_of(value.to_string().as_bytes()) {
            Ok(sums) => {
                let sums = sums
                    .iter()
                    .map(|(key, sums)| (id_or_text(key), json!(sums)));
                Value::Object(sums.collect())
            }
            Err(_) => value.clone(),
        },
        _ => value.clone(),
    }
}

/// The digits of the id that a text is the UUID of, or else the text.
fn id_or_text(text: &str) -> String {
    let uuid = text.parse::<Uuid>().ok();
    let id = uuid.and_then(|uuid| Id::<()>::from_uuid(uuid).ok());
    id.map_or_else(|| text.to_owned(), |id| id.to_string())
}

/// A date as the server writes it, with the year that other readers expect: one before the first
/// has a sign instead of `BC`, and one of more than four digits has a sign, too.
fn moment(text: &str) -> String {
    let (date, is_before) = match text.strip_suffix(" BC") {
        Some(date) => (date, true),
        None => (text, false),
    };
    let Some((year, rest)) = date.split_once('-') else {
        return text.to_owned();
    };
    match year.parse::<i64>() {
        Ok(year) if is_before => format!("{:+05}-{rest}", 1 - year),
        Ok(year) if year > 9_999 => format!("+{year}-{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn dates_of_any_year_are_read() {
        for (text, expected) in [
            ("2024-05-06T07:08:09.123+00:00", "2024-05-06T07:08:09.123Z"),
            ("0769-02-04T00:00:00+00:00 BC", "-0768-02-04T00:00:00Z"),
            ("0001-02-04T00:00:00+00:00 BC", "0000-02-04T00:00:00Z"),
            ("12024-02-04T00:00:00+00:00", "+12024-02-04T00:00:00Z"),
        ] {
            let read: DateTime<Utc> = moment(text).parse().unwrap();
            assert_eq!(read, expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        assert_eq!(moment("infinity"), "infinity");
    }
}
