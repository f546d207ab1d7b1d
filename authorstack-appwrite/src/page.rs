//! Lists of any length, page by page.

use std::{collections::VecDeque, sync::Arc};

use authorstack_core::{Error, ErrorKind, Result};
use authorstack_http::Method;
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::Value;

use crate::{api::Api, error, query};

/// Larger ones break some servers.
const PAGE: usize = 100;

/// How many ids are kept to go back to, when the last ones were deleted meanwhile.
const TRAIL: usize = 3 * PAGE;

/// A list: its path, and the name of its items.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    pub(crate) path: &'static [&'static str],
    pub(crate) items: &'static str,
}

pub(crate) const USERS: List = List {
    path: &["users"],
    items: "users",
};

pub(crate) const IDENTITIES: List = List {
    path: &["users", "identities"],
    items: "identities",
};

/// The items of an answer.
pub(crate) fn items(mut answer: Value, name: &str) -> Result<Vec<Value>> {
    match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Error::internal(format!("a list of Appwrite has no {name}"))),
    }
}

/// Each item of a list once. The count that the server gives ends at 5,000, so it is not looked at.
pub(crate) fn walk<T: Send + 'static>(
    api: Arc<Api>,
    list: List,
    read: fn(&Value) -> Result<T>,
) -> BoxStream<'static, Result<T>> {
    let start = Walk {
        api,
        list,
        trail: VecDeque::new(),
        is_whole: true,
        cursor: None,
    };
    let pages = stream::unfold(Some(start), move |walk| async move {
        let mut walk = walk?;
        match walk.next().await {
            Ok(None) => None,
            Ok(Some(page)) => Some((page.iter().map(read).collect(), Some(walk))),
            Err(error) => Some((vec![Err(error)], None)),
        }
    });
    pages.flat_map(stream::iter).boxed()
}

struct Walk {
    api: Arc<Api>,
    list: List,
    /// The ids that came last, the oldest first.
    trail: VecDeque<String>,
    /// Whether the trail holds all that came.
    is_whole: bool,
    cursor: Option<String>,
}

impl Walk {
    /// The items of the next page that were not seen yet; `None` behind the last page.
    async fn next(&mut self) -> Result<Option<Vec<Value>>> {
        let page = self.page().await?;
        let id_of = |item: &Value| item.get("$id").and_then(Value::as_str).map(str::to_owned);
        let Some(last) = page.iter().rev().find_map(id_of) else {
            if page.is_empty() {
                return Ok(None);
            }
            return Err(Error::internal("a page of Appwrite has items without ids"));
        };
        let mut new = Vec::with_capacity(page.len());
        for item in page {
            let id = id_of(&item);
            if id.as_ref().is_some_and(|id| self.trail.contains(id)) {
                continue;
            }
            self.trail.extend(id);
            new.push(item);
        }
        while self.trail.len() > TRAIL {
            self.trail.pop_front();
            self.is_whole = false;
        }
        self.cursor = Some(last);
        Ok(Some(new))
    }

    /// The page behind the cursor, or behind an earlier item where that one is gone.
    async fn page(&mut self) -> Result<Vec<Value>> {
        let earlier: Vec<String> = self.trail.iter().rev().cloned().collect();
        let cursors = self.cursor.iter().chain(&earlier);
        for cursor in cursors {
            if let Some(page) = self.page_behind(Some(cursor)).await? {
                return Ok(page);
            }
        }
        if self.is_whole
            && let Some(page) = self.page_behind(None).await?
        {
            return Ok(page);
        }
        Err(Error::unavailable(
            "too many items were deleted while a list of Appwrite was read; read it again",
        ))
    }

    /// `None` if the item is gone.
    async fn page_behind(&self, cursor: Option<&String>) -> Result<Option<Vec<Value>>> {
        let request = self.api.with_key(Method::GET, self.list.path)?;
        let mut request = query::uncounted(query::limit(request, PAGE));
        if let Some(cursor) = cursor {
            request = query::after(request, cursor);
        }
        let answer = request.send().await?;
        if !answer.status().is_success() {
            if error::type_of(&answer) == "general_cursor_not_found" {
                return Ok(None);
            }
            return Err(error::of_answer(&answer));
        }
        let page = answer.json().and_then(|page| items(page, self.list.items));
        page.map(Some).map_err(|error| match error.kind() {
            // Of a stream, that would mean one record.
            ErrorKind::Corrupt { what } => {
                Error::unavailable(format!("a page of Appwrite cannot be read: {what}"))
            }
            _ => error,
        })
    }
}
