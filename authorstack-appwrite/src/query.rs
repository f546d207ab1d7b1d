//! The queries of lists: one JSON text each.

use authorstack_http::Request;
use serde_json::{Value, json};

/// Adds a query.
fn with(request: Request, query: &Value) -> Request {
    request.query("queries[]", &query.to_string())
}

pub(crate) fn limit(request: Request, limit: usize) -> Request {
    with(request, &json!({ "method": "limit", "values": [limit] }))
}

pub(crate) fn after(request: Request, id: &str) -> Request {
    with(request, &json!({ "method": "cursorAfter", "values": [id] }))
}

pub(crate) fn equal(request: Request, attribute: &str, value: &str) -> Request {
    let query = json!({ "method": "equal", "attribute": attribute, "values": [value] });
    with(request, &query)
}

pub(crate) fn newest_change_first(request: Request) -> Request {
    let query = json!({ "method": "orderDesc", "attribute": "$updatedAt" });
    with(request, &query)
}

/// Leaves out the count, which costs the server time.
pub(crate) fn uncounted(request: Request) -> Request {
    request.query("total", "false")
}
