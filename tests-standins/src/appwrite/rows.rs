//! Rows, and the same as documents of the older API.

use serde_json::{Map, Value, json};

use super::{
    answers::{Refusal, Reply},
    caller::Caller,
    create::id_of,
    data::tables::{Row, Table},
    events::Event,
    incoming::Incoming,
    queries::{Of, Queries},
    state::State,
    tables::{permissions, table},
    times::{now, read, unique_id},
};

const MOST_ROWS: usize = 100;

/// Which of the two APIs is spoken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    row: &'static str,
    rows: &'static str,
    pub(super) id: &'static str,
    table: &'static str,
    no_table: &'static str,
    no_row: &'static str,
    taken: &'static str,
    invalid: &'static str,
    no_data: &'static str,
    no_payload: &'static str,
    conflict: &'static str,
    name: &'static str,
}

pub(super) const ROWS: Words = Words {
    row: "row",
    rows: "rows",
    id: "rowId",
    table: "$tableId",
    no_table: "table_not_found",
    no_row: "row_not_found",
    taken: "row_already_exists",
    invalid: "row_invalid_structure",
    no_data: "row_missing_data",
    no_payload: "row_missing_payload",
    conflict: "row_update_conflict",
    name: "Row",
};

pub(super) const DOCUMENTS: Words = Words {
    row: "document",
    rows: "documents",
    id: "documentId",
    table: "$collectionId",
    no_table: "collection_not_found",
    no_row: "document_not_found",
    taken: "document_already_exists",
    invalid: "document_invalid_structure",
    no_data: "document_missing_data",
    no_payload: "document_missing_payload",
    conflict: "document_update_conflict",
    name: "Document",
};

/// A call about rows of one table.
pub(super) struct Call<'c> {
    pub(super) words: Words,
    pub(super) database: &'c str,
    pub(super) table: &'c str,
    pub(super) caller: &'c Caller,
    pub(super) request: &'c Incoming,
}

impl Call<'_> {
    fn of<'s>(&self, state: &'s mut State) -> Result<&'s mut Table, Refusal> {
        table(state, self.database, self.table, self.words.no_table)
    }

    fn json(&self, row: &Row) -> Value {
        row.json(self.database, self.table, self.words.table)
    }

    fn may(&self, action: &str, roles: &[String], table: &Table, row: Option<&Row>) -> bool {
        *self.caller == Caller::Key || table.may(action, roles, row)
    }

    /// Writing by a key needs a key with scopes.
    fn check_key(&self) -> Result<(), Refusal> {
        if *self.caller == Caller::LimitedKey {
            return self.caller.with_key("rows.write");
        }
        Ok(())
    }

    fn missing(&self, id: &str) -> Refusal {
        let name = self.words.name;
        let message = format!("{name} with the requested ID '{id}' could not be found.");
        Refusal::new(404, self.words.no_row, message)
    }

    pub(super) fn list(&self, state: &mut State) -> Result<Reply, Refusal> {
        self.check_key()?;
        let roles = self.caller.roles(state);
        let found = self.of(state)?;
        let mut known = vec!["$id", "$createdAt", "$updatedAt", "$sequence"];
        known.extend(found.columns.iter().map(|column| column.key.as_str()));
        let queries = Queries::read(&self.request.all("queries"), Of::Rows, &known)?;
        let may = |row: &&Row| self.may("read", &roles, found, Some(row));
        let rows = found.rows.iter().filter(may).map(|row| self.json(row));
        let mut rows: Vec<Value> = rows.filter(|row| queries.takes(row)).collect();
        queries.sort(&mut rows);
        let total = if self.request.counts() {
            rows.len().min(5_000)
        } else {
            0
        };
        if let Some(id) = &queries.after {
            let place = rows.iter().position(|row| row["$id"] == id.as_str());
            let Some(place) = place else {
                let name = self.words.name;
                let message = format!("{name} '{id}' for the 'cursor' value not found.");
                return Err(Refusal::new(400, "general_cursor_not_found", message));
            };
            rows.drain(..=place);
        }
        let rows = rows.into_iter().skip(queries.offset).take(queries.limit);
        let rows: Vec<Value> = rows
            .map(|row| selected(row, queries.select.as_deref()))
            .collect();
        Ok(Reply::ok(
            json!({ "total": total, (self.words.rows): rows }),
        ))
    }

    pub(super) fn get(&self, state: &mut State, id: &str) -> Result<Reply, Refusal> {
        self.check_key()?;
        let roles = self.caller.roles(state);
        let found = self.of(state)?;
        let row = found.rows.iter().find(|row| row.id == id);
        let row = row.filter(|row| self.may("read", &roles, found, Some(row)));
        let row = row.ok_or_else(|| self.missing(id))?;
        Ok(Reply::ok(self.json(row)))
    }

    pub(super) fn create(&self, state: &mut State) -> Result<Reply, Refusal> {
        self.check_key()?;
        if let Some(rows) = self.request.body.get(self.words.rows) {
            return self.create_all(state, rows);
        }
        let data = self.request.body.get("data").and_then(Value::as_object);
        let data = data.filter(|data| !data.is_empty());
        let Some(data) = data else {
            let (row, kind) = (self.words.row, self.words.no_data);
            let message =
                format!("The {row} data is missing. Try again with {row} data populated.");
            return Err(Refusal::new(400, kind, message));
        };
        let id = id_of(self.request, self.words.id)?;
        let roles = self.caller.roles(state);
        if !self.may("create", &roles, self.of(state)?, None) {
            return Err(Self::denied());
        }
        let given = self
            .request
            .body
            .get("permissions")
            .filter(|it| !it.is_null());
        let permissions = match (given, self.caller) {
            (None, Caller::User { id, .. }) => ["read", "update", "delete"]
                .map(|action| format!("{action}(\"user:{id}\")"))
                .to_vec(),
            (given, _) => permissions(given),
        };
        let row = self.insert(state, &id, data, permissions)?;
        Ok(Reply::created(row))
    }

    /// All rows of a batch, or none.
    fn create_all(&self, state: &mut State, rows: &Value) -> Result<Reply, Refusal> {
        self.caller.with_key("rows.write")?;
        let many = rows.as_array().filter(|rows| rows.len() <= MOST_ROWS);
        let Some(many) = many else {
            let problem = "Value must a valid array no longer than 100 items and Value must be a \
                           valid JSON string";
            return Err(Refusal::argument(self.words.rows, problem));
        };
        let events = state.events.len();
        let before = self.of(state)?.rows.len();
        let mut made = Vec::new();
        for row in many {
            let data = row.as_object().cloned().unwrap_or_default();
            let id = data.get("$id").and_then(Value::as_str).map(str::to_owned);
            let id = id.unwrap_or_else(unique_id);
            let permissions = permissions(data.get("$permissions"));
            match self.insert(state, &id, &data, permissions) {
                Ok(row) => made.push(row),
                Err(refusal) => {
                    self.of(state)?.rows.truncate(before);
                    state.events.truncate(events);
                    return Err(refusal);
                }
            }
        }
        let body = json!({ "total": made.len(), (self.words.rows): made });
        Ok(Reply::created(body))
    }

    fn insert(
        &self,
        state: &mut State,
        id: &str,
        data: &Map<String, Value>,
        permissions: Vec<String>,
    ) -> Result<Value, Refusal> {
        state.sequence += 1;
        let sequence = state.sequence;
        let found = self.of(state)?;
        if found.rows.iter().any(|row| row.id == id) {
            let message = format!(
                "{} with the requested ID '{id}' already exists. Try again with a different ID or \
                 use ID.unique() to generate a unique ID.",
                self.words.name
            );
            return Err(Refusal::new(409, self.words.taken, message));
        }
        let at = now();
        let row = Row {
            id: id.to_owned(),
            sequence,
            created: self
                .moment(data, "$createdAt")
                .unwrap_or_else(|| at.clone()),
            updated: self.moment(data, "$updatedAt").unwrap_or(at),
            permissions,
            values: found.values(None, data, self.words.invalid)?,
        };
        let json = self.json(&row);
        found.rows.push(row);
        self.tell(state, id, "create", &json);
        Ok(json)
    }

    /// A moment that a key has given.
    fn moment(&self, data: &Map<String, Value>, name: &str) -> Option<String> {
        let moment = read(data.get(name)?.as_str()?)?;
        (*self.caller == Caller::Key).then(|| super::times::stamp(moment))
    }

    /// `PATCH` and `PUT` of one row.
    pub(super) fn write(
        &self,
        state: &mut State,
        id: &str,
        is_upsert: bool,
    ) -> Result<Reply, Refusal> {
        self.check_key()?;
        let body = &self.request.body;
        let data = body
            .get("data")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let given = body.get("permissions").filter(|it| !it.is_null());
        if data.is_empty() && given.is_none() {
            let row = self.words.row;
            let message = format!(
                "The {row} data and permissions are missing. You must provide either {row} data \
                 or permissions to be updated."
            );
            return Err(Refusal::new(400, self.words.no_payload, message));
        }
        let roles = self.caller.roles(state);
        let found = self.of(state)?;
        let Some(place) = found.rows.iter().position(|row| row.id == id) else {
            if !is_upsert {
                return Err(self.missing(id));
            }
            let permissions = permissions(given);
            let row = self.insert(state, id, &data, permissions)?;
            if let Some(event) = state.events.last_mut() {
                *event = Event::of_row((self.database, self.table, id), "upsert", row.clone());
                self.readers(state, id);
            }
            return Ok(Reply::ok(row));
        };
        let old = &found.rows[place];
        if !self.may("update", &roles, found, Some(old)) {
            let is_seen = self.may("read", &roles, found, Some(old));
            return Err(if is_seen {
                Self::denied()
            } else {
                self.missing(id)
            });
        }
        let expected = self.request.header("x-appwrite-timestamp").and_then(read);
        if expected.is_some() && read(&old.updated) > expected {
            let message = format!("Remote {} is newer than local.", self.words.row);
            return Err(Refusal::new(409, self.words.conflict, message));
        }
        let values = found.values(Some(&old.values), &data, self.words.invalid)?;
        let updated = self.moment(&data, "$updatedAt").unwrap_or_else(now);
        let row = &mut found.rows[place];
        row.values = values;
        row.updated = updated;
        if given.is_some() {
            row.permissions = permissions(given);
        }
        let json = self.json(row);
        let action = if is_upsert { "upsert" } else { "update" };
        self.tell(state, id, action, &json);
        Ok(Reply::ok(json))
    }

    pub(super) fn delete(&self, state: &mut State, id: &str) -> Result<Reply, Refusal> {
        self.check_key()?;
        let roles = self.caller.roles(state);
        let found = self.of(state)?;
        let place = found.rows.iter().position(|row| row.id == id);
        let place = place.ok_or_else(|| self.missing(id))?;
        if !self.may("delete", &roles, found, Some(&found.rows[place])) {
            return Err(Self::denied());
        }
        let json = self.json(&found.rows[place]);
        self.tell(state, id, "delete", &json);
        self.of(state)?.rows.remove(place);
        Ok(Reply::empty())
    }

    fn denied() -> Refusal {
        let message = "The current user is not authorized to perform the requested action.";
        Refusal::new(401, "user_unauthorized", message)
    }

    fn tell(&self, state: &mut State, id: &str, action: &str, row: &Value) {
        let mut payload = row.clone();
        if let Some(payload) = payload.as_object_mut() {
            payload.remove("$collectionId");
            payload.insert("$tableId".to_owned(), self.table.into());
        }
        let place = (self.database, self.table, id);
        state.events.push(Event::of_row(place, action, payload));
        self.readers(state, id);
    }

    /// Whoever may read the row may see its event.
    fn readers(&self, state: &mut State, id: &str) {
        let Ok(found) = self.of(state) else {
            return;
        };
        let row = found.rows.iter().find(|row| row.id == id);
        let of_row = row.filter(|_| found.has_row_security);
        let of_row = of_row.map_or(&[][..], |row| &row.permissions[..]);
        let all = found.permissions.iter().chain(of_row);
        let readers = all.filter_map(|it| {
            let role = it.strip_prefix("read(\"")?.trim_end_matches("\")");
            Some(role.to_owned())
        });
        let readers = readers.collect();
        if let Some(event) = state.events.last_mut() {
            event.readers = readers;
        }
    }
}

fn selected(row: Value, select: Option<&[String]>) -> Value {
    let (Some(select), Value::Object(row)) = (select, &row) else {
        return row;
    };
    let is_shown = |name: &String| name.starts_with('$') || select.contains(name);
    let shown = row.iter().filter(|(name, _)| is_shown(name));
    shown
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map<_, _>>()
        .into()
}
