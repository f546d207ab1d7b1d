//! The table of the settings.

use std::time::Duration;

use authorstack_core::{Error, ErrorKind, Result, resilience::with_deadline};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{fields::Fields, page, store::AppwriteAccounts};

/// How long the server may take to make the columns.
const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(250);

/// The columns: name, type, size, whether it must be filled.
const COLUMNS: [(&str, &str, Option<u32>, bool); 4] = [
    ("userId", "string", Some(36), true),
    ("theme", "string", Some(32), false),
    ("notifications", "boolean", None, false),
    ("extra", "string", Some(60_000), false),
];

impl AppwriteAccounts {
    /// Makes the database and the table of the settings, with what of their columns is missing, and
    /// waits until they can be used. What is there stays. The key needs the scopes
    /// `databases.read`, `databases.write`, `tables.read`, `tables.write`, `columns.read`,
    /// `columns.write` and `indexes.write` for this.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], naming the setting: also for a server before 1.8, where the
    /// collection is made by hand. Timeout if the columns do not become ready.
    pub async fn prepare(&self) -> Result<()> {
        with_deadline(LIMIT, self.prepared()).await
    }

    async fn prepared(&self) -> Result<()> {
        let (database, table) = (&self.rows().database, &self.rows().table);
        let in_database = ["tablesdb", database.as_str()];
        let in_table = ["tablesdb", database.as_str(), "tables", table.as_str()];
        if self.is_missing(&in_database).await? {
            let body = json!({ "databaseId": database, "name": "AuthorStack" });
            self.make(&["tablesdb"], &body).await?;
        }
        if self.is_missing(&in_table).await? {
            let body = json!({
                "tableId": table, "name": "User preferences", "permissions": [],
                "rowSecurity": true,
            });
            self.make(&in_table[..3], &body).await?;
        }
        for (key, kind, size, is_required) in COLUMNS {
            if self
                .columns(&in_table)
                .await?
                .iter()
                .any(|(found, _)| found == key)
            {
                continue;
            }
            let mut body = json!({ "key": key, "required": is_required });
            if let Some(size) = size {
                body["size"] = size.into();
            }
            let path = [&in_table[..], &["columns", kind]].concat();
            self.make(&path, &body).await?;
        }
        while !self.has_columns(&in_table).await? {
            sleep(PAUSE).await;
        }
        let body = json!({ "key": "userId", "type": "key", "columns": ["userId"] });
        let path = [&in_table[..], &["indexes"]].concat();
        self.make(&path, &body).await
    }

    async fn is_missing(&self, path: &[&str]) -> Result<bool> {
        match self.api().get(path).await {
            Ok(_) => Ok(false),
            Err(error) => match error.kind() {
                ErrorKind::Configuration { setting, .. }
                    if *setting == crate::config::DATABASE || *setting == crate::config::TABLE =>
                {
                    Ok(true)
                }
                _ => Err(error),
            },
        }
    }

    /// Makes something, unless it is there.
    async fn make(&self, path: &[&str], body: &Value) -> Result<()> {
        let request = self.api().with_key(authorstack_http::Method::POST, path)?;
        let answer = request.json(body)?.send().await?;
        // Another process may have made it meanwhile.
        if answer.status().is_success() || answer.status() == authorstack_http::StatusCode::CONFLICT
        {
            return Ok(());
        }
        Err(crate::error::of_answer(&answer))
    }

    /// The columns, with their states.
    async fn columns(&self, in_table: &[&str]) -> Result<Vec<(String, String)>> {
        let path = [in_table, &["columns"]].concat();
        let found = page::items(self.api().get(&path).await?, "columns")?;
        let read = |column: &Value| {
            let fields = Fields(column);
            let state = fields.text("status")?.unwrap_or_default();
            Ok((fields.needed("key")?.to_owned(), state.to_owned()))
        };
        found.iter().map(read).collect()
    }

    async fn has_columns(&self, in_table: &[&str]) -> Result<bool> {
        let found = self.columns(in_table).await?;
        for (key, ..) in COLUMNS {
            let state = found.iter().find(|(found, _)| found == key);
            match state.map(|(_, state)| state.as_str()) {
                Some("available") => {}
                Some("failed" | "stuck") => {
                    return Err(Error::configuration(
                        crate::config::TABLE,
                        format!("has a column {key} that could not be made; delete it, and repeat"),
                    ));
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}
