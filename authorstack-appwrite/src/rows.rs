use std::{fmt, sync::Arc};

use authorstack_core::{AuthId, Result};
use authorstack_http::Method;
use serde_json::{Map, Value, json};

use crate::{
    api::Api,
    config::{AppwriteConfig, RowsApi},
    fields::Fields,
    page, query,
};

/// The rows of `user_preferences`, by one of two APIs.
pub(crate) struct Rows {
    api: Arc<Api>,
    kind: RowsApi,
    pub(crate) database: String,
    pub(crate) table: String,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("kind", &self.kind)
            .field("database", &self.database)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Rows {
    pub(crate) fn new(api: Arc<Api>, config: &AppwriteConfig) -> Self {
        Self {
            api,
            kind: config.rows_api,
            database: config.database.clone(),
            table: config.table.clone(),
        }
    }

    /// The words of the API: its first part, tables, rows, and the id of a new row.
    fn words(&self) -> [&'static str; 4] {
        match self.kind {
            RowsApi::TablesDb => ["tablesdb", "tables", "rows", "rowId"],
            RowsApi::Documents => ["databases", "collections", "documents", "documentId"],
        }
    }

    fn path<'p>(&'p self, row: Option<&'p str>) -> Vec<&'p str> {
        let [first, tables, rows, _] = self.words();
        let mut path = vec![first, &self.database, tables, &self.table, rows];
        path.extend(row);
        path
    }

    /// The channel of Realtime that tells of changes.
    pub(crate) fn channel(&self) -> String {
        self.path(None).join(".")
    }

    /// The rows of an account, the last changed first.
    async fn found(&self, account: &AuthId, most: usize) -> Result<Vec<Value>> {
        let request = self.api.with_key(Method::GET, &self.path(None))?;
        let request = query::uncounted(query::limit(request, most));
        let request = query::equal(request, "userId", account.as_str());
        let answer = self.api.send(query::newest_change_first(request)).await?;
        let [_, _, rows, _] = self.words();
        page::items(answer.json()?, rows)
    }

    /// Whether the table can be read.
    pub(crate) async fn check(&self) -> Result<()> {
        let request = self.api.with_key(Method::GET, &self.path(None))?;
        let request = query::uncounted(query::limit(request, 1));
        self.api.send(request).await.map(drop)
    }

    /// The row of an account. An app may have written several: the last one counts.
    pub(crate) async fn of(&self, account: &AuthId) -> Result<Option<Value>> {
        Ok(self.found(account, 1).await?.into_iter().next())
    }

    /// Adds the row of an account. Its id is that of the account, so that there is one. The owner may
    /// read and change it.
    pub(crate) async fn create(
        &self,
        account: &AuthId,
        data: &Map<String, Value>,
    ) -> Result<Value> {
        let [_, _, _, id] = self.words();
        let owner = |action: &str| format!("{action}(\"user:{account}\")");
        let body = json!({
            (id): account, "data": data, "permissions": [owner("read"), owner("update")],
        });
        self.api.post(&self.path(None), &body).await
    }

    /// Changes columns of a row, if it was not changed since.
    pub(crate) async fn update(
        &self,
        row: &str,
        data: &Map<String, Value>,
        unchanged_since: Option<&str>,
    ) -> Result<Value> {
        let mut request = self.api.with_key(Method::PATCH, &self.path(Some(row)))?;
        if let Some(moment) = unchanged_since {
            request = request.header("x-appwrite-timestamp", moment)?;
        }
        let request = request.json(&json!({ "data": data }))?.repeatable(true);
        self.api.send(request).await?.json()
    }

    /// Deletes all rows of an account.
    pub(crate) async fn delete(&self, account: &AuthId) -> Result<()> {
        loop {
            let rows = self.found(account, 100).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                let id = Fields(row).needed("$id")?;
                match self.api.delete(&self.path(Some(id))).await {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
        }
    }
}
