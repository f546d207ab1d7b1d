//! Databases, tables and columns, as far as an app sets them up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    answers::{Refusal, Reply},
    create::id_of,
    data::tables::{Column, Database, Table},
    incoming::Incoming,
    state::State,
    times::now,
};

pub(super) fn create_database(state: &mut State, request: &Incoming) -> Result<Reply, Refusal> {
    let id = id_of(request, "databaseId")?;
    let name = request.needed("name")?.to_owned();
    if state.databases.contains_key(&id) {
        let message = "Database already exists";
        return Err(Refusal::new(409, "database_already_exists", message));
    }
    let database = Database {
        name,
        created: now(),
        tables: BTreeMap::new(),
    };
    let json = database_json(&id, &database);
    state.databases.insert(id, database);
    Ok(Reply::created(json))
}

fn database_json(id: &str, database: &Database) -> Value {
    json!({
        "$id": id, "name": database.name, "$createdAt": database.created,
        "$updatedAt": database.created, "enabled": true, "type": "tablesdb",
    })
}

fn database<'s>(state: &'s mut State, id: &str) -> Result<&'s mut Database, Refusal> {
    let message = format!("Database with the requested ID '{id}' could not be found.");
    let found = state.databases.get_mut(id);
    found.ok_or_else(|| Refusal::new(404, "database_not_found", message))
}

pub(super) fn get_database(state: &mut State, id: &str) -> Result<Reply, Refusal> {
    let found = database(state, id)?;
    Ok(Reply::ok(database_json(id, found)))
}

pub(super) fn delete_database(state: &mut State, id: &str) -> Result<Reply, Refusal> {
    database(state, id)?;
    state.databases.remove(id);
    Ok(Reply::empty())
}

/// A table; `kind` is how errors name it.
pub(super) fn table<'s>(
    state: &'s mut State,
    in_database: &str,
    id: &str,
    kind: &'static str,
) -> Result<&'s mut Table, Refusal> {
    let name = if kind == "table_not_found" {
        "Table"
    } else {
        "Collection"
    };
    let message = format!("{name} with the requested ID '{id}' could not be found.");
    let found = database(state, in_database)?.tables.get_mut(id);
    found.ok_or_else(|| Refusal::new(404, kind, message))
}

pub(super) fn create_table(
    state: &mut State,
    in_database: &str,
    request: &Incoming,
) -> Result<Reply, Refusal> {
    let id = id_of(request, "tableId")?;
    let name = request.needed("name")?.to_owned();
    let found = database(state, in_database)?;
    if found.tables.contains_key(&id) {
        let message = "Table already exists";
        return Err(Refusal::new(409, "table_already_exists", message));
    }
    let columns = request.body.get("columns").and_then(Value::as_array);
    let columns = columns.into_iter().flatten().filter_map(Value::as_object);
    let columns = columns.map(|it| Column::of(it["type"].as_str().unwrap_or_default(), it));
    let mut table = Table {
        name,
        created: now(),
        permissions: permissions(request.body.get("permissions")),
        has_row_security: request.body.get("rowSecurity") == Some(&Value::Bool(true)),
        columns: Vec::new(),
        indexes: Vec::new(),
        rows: Vec::new(),
    };
    // Columns that come with the table are not in its answer yet.
    let json = table_json(&id, in_database, &table, columns.clone().count());
    table.columns = columns.collect();
    found.tables.insert(id, table);
    Ok(Reply::created(json))
}

pub(super) fn permissions(given: Option<&Value>) -> Vec<String> {
    let given = given.and_then(Value::as_array).into_iter().flatten();
    given
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect()
}

fn table_json(id: &str, database: &str, table: &Table, columns: usize) -> Value {
    let shown: Vec<Value> = table
        .columns
        .iter()
        .map(|it| it.json("available"))
        .collect();
    json!({
        "$id": id, "$createdAt": table.created, "$updatedAt": table.created,
        "$permissions": table.permissions, "databaseId": database, "name": table.name,
        "enabled": true, "rowSecurity": table.has_row_security, "columns": shown,
        "indexes": table.indexes, "bytesMax": 65_535, "bytesUsed": 1_000 + columns,
    })
}

pub(super) fn get_table(state: &mut State, database: &str, id: &str) -> Result<Reply, Refusal> {
    let found = table(state, database, id, "table_not_found")?;
    Ok(Reply::ok(table_json(
        id,
        database,
        found,
        found.columns.len(),
    )))
}

pub(super) fn columns(state: &mut State, database: &str, id: &str) -> Result<Reply, Refusal> {
    let found = table(state, database, id, "table_not_found")?;
    let shown: Vec<Value> = found
        .columns
        .iter()
        .map(|it| it.json("available"))
        .collect();
    Ok(Reply::ok(json!({ "total": shown.len(), "columns": shown })))
}

pub(super) fn create_column(
    state: &mut State,
    (database, id): (&str, &str),
    kind: &str,
    request: &Incoming,
) -> Result<Reply, Refusal> {
    let key = request.needed("key")?.to_owned();
    let found = table(state, database, id, "table_not_found")?;
    if found.columns.iter().any(|column| column.key == key) {
        let message = "Column with the requested key already exists.";
        return Err(Refusal::new(409, "column_already_exists", message));
    }
    let column = Column::of(kind, &request.body);
    let json = column.json("processing");
    found.columns.push(column);
    Ok(Reply::of(202, json))
}

pub(super) fn create_index(
    state: &mut State,
    (database, id): (&str, &str),
    request: &Incoming,
) -> Result<Reply, Refusal> {
    let key = request.needed("key")?.to_owned();
    let kind = request.needed("type")?.to_owned();
    let found = table(state, database, id, "table_not_found")?;
    if found
        .indexes
        .iter()
        .any(|index| index["key"] == key.as_str())
    {
        let message = "Index with the requested key already exists.";
        return Err(Refusal::new(409, "index_already_exists", message));
    }
    let index = json!({
        "$id": key, "$createdAt": now(), "$updatedAt": now(), "key": key, "type": kind,
        "status": "processing", "error": "", "columns": request.body.get("columns"),
        "lengths": [], "orders": [],
    });
    found.indexes.push(index.clone());
    Ok(Reply::of(202, index))
}
