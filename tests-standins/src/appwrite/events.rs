//! Events: their names, and who is told of them.

use serde_json::{Value, json};

use super::times::now;

/// What happened.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) names: Vec<String>,
    pub(super) channels: Vec<String>,
    pub(super) payload: Value,
    pub(super) timestamp: String,
    /// Who may see it; webhooks see everything.
    pub(super) readers: Vec<String>,
    /// Whose account it is, where it is one's.
    pub(super) user: String,
}

impl Event {
    /// A change of an account: `create`, `delete`, `update.name` and the like.
    pub(super) fn of_user(id: &str, action: &str, payload: Value) -> Self {
        let (first, rest) = action.split_once('.').unwrap_or((action, ""));
        let mut names = Vec::new();
        for who in [id, "*"] {
            names.push(format!("users.{who}.{first}"));
        }
        if !rest.is_empty() {
            for who in [id, "*"] {
                names.push(format!("users.{who}.{first}.{rest}"));
            }
        }
        names.extend([format!("users.{id}"), "users.*".to_owned()]);
        Self::of_account(id, names, in_events(payload))
    }

    /// The beginning or the end of a session.
    pub(super) fn of_session(user: &str, session: &str, action: &str, payload: Value) -> Self {
        let places = [(user, session), ("*", "*"), (user, "*"), ("*", session)];
        let exact =
            places.map(|(user, session)| format!("users.{user}.sessions.{session}.{action}"));
        let whole = places.map(|(user, session)| format!("users.{user}.sessions.{session}"));
        let mut names: Vec<String> = exact.into_iter().chain(whole).collect();
        names.extend([format!("users.{user}"), "users.*".to_owned()]);
        Self::of_account(user, names, payload)
    }

    fn of_account(id: &str, names: Vec<String>, payload: Value) -> Self {
        Self {
            names,
            channels: vec!["account".to_owned(), format!("account.{id}")],
            payload,
            timestamp: now(),
            readers: vec![format!("user:{id}")],
            user: id.to_owned(),
        }
    }

    /// A change of a row: `create`, `update`, `upsert` or `delete`.
    pub(super) fn of_row(place: (&str, &str, &str), action: &str, payload: Value) -> Self {
        let (database, table, row) = place;
        Self {
            names: row_names(database, table, row, action),
            channels: vec![
                "documents".to_owned(),
                format!("databases.{database}.collections.{table}.documents"),
                format!("databases.{database}.collections.{table}.documents.{row}"),
                "rows".to_owned(),
                format!("databases.{database}.tables.{table}.rows"),
                format!("databases.{database}.tables.{table}.rows.{row}"),
                format!("tablesdb.{database}.tables.{table}.rows"),
                format!("tablesdb.{database}.tables.{table}.rows.{row}"),
            ],
            payload,
            timestamp: now(),
            readers: Vec::new(),
            user: String::new(),
        }
    }

    /// The message on a connection.
    pub(super) fn message(&self, subscription: &str) -> Value {
        json!({ "type": "event", "data": {
            "events": self.names, "channels": self.channels, "timestamp": self.timestamp,
            "payload": self.payload, "subscriptions": [subscription],
        }})
    }
}

/// PHP's empty object is an empty list.
fn in_events(mut payload: Value) -> Value {
    if payload["prefs"]
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
    {
        payload["prefs"] = json!([]);
    }
    payload
}

fn row_names(database: &str, table: &str, row: &str, action: &str) -> Vec<String> {
    let forms = |database: &str, table: &str, row: Option<&str>| {
        let (rows, documents) = match row {
            Some(row) => (format!(".rows.{row}"), format!(".documents.{row}")),
            None => (String::new(), String::new()),
        };
        [
            format!("tablesdb.{database}.tables.{table}{rows}"),
            format!("databases.{database}.collections.{table}{documents}"),
            format!("databases.{database}.tables.{table}{rows}"),
        ]
    };
    let places = [
        (database, table, row),
        ("*", "*", "*"),
        (database, "*", row),
        ("*", "*", row),
        ("*", table, row),
        (database, table, "*"),
        ("*", table, "*"),
        (database, "*", "*"),
    ];
    let whole = places.map(|(database, table, row)| forms(database, table, Some(row)));
    let whole = whole.concat();
    let exact = whole.iter().map(|name| format!("{name}.{action}"));
    let mut names: Vec<String> = exact.collect();
    names.extend(whole.iter().cloned());
    for (database, table) in [(database, table), ("*", "*"), (database, "*"), ("*", table)] {
        names.extend(forms(database, table, None));
    }
    for database in [database, "*"] {
        names.extend([
            format!("tablesdb.{database}"),
            format!("databases.{database}"),
        ]);
    }
    names
}
