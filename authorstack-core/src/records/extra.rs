//! Fields of a document that the schema does not know.

use serde_json::{Map, Value};

/// Unknown fields, kept unchanged through models, stores and migrations.
///
/// Values without a JSON type are written in MongoDB's Extended JSON v2: `{"$oid": "…"}`,
/// `{"$date": "…"}`, `{"$numberDecimal": "1.10"}`, `{"$binary": {…}}`, `{"$numberDouble": "NaN"}`.
pub type Extra = Map<String, Value>;

/// The path to the first text or key that contains a NUL character.
pub(crate) fn find_nul(extra: &Extra) -> Option<String> {
    extra.iter().find_map(|(key, value)| {
        if key.contains('\0') {
            return Some(key.replace('\0', "\\0"));
        }
        nul_in_value(value).map(|rest| format!("{key}{rest}"))
    })
}

/// The path to the first text within the value that contains a NUL character; empty for the value
/// itself.
pub(crate) fn nul_in_value(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| nul_in_value(item).map(|rest| format!(".{index}{rest}"))),
        Value::Object(object) => find_nul(object).map(|rest| format!(".{rest}")),
        _ => None,
    }
}
