//! Values that a migration set aside: their form, and their way back.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

/// The key of a text that PostgreSQL cannot hold: its UTF-8 bytes as base64.
const BASE64: &str = "$base64";

/// The value in a form that every store holds; `None` if it already looks like such a form.
pub(super) fn armored(value: Value) -> Option<Value> {
    match value {
        Value::String(text) if text.contains('\0') => {
            let mut armor = Map::new();
            armor.insert(BASE64.to_owned(), BASE64_STANDARD.encode(text).into());
            Some(Value::Object(armor))
        }
        Value::Array(items) => {
            let items: Option<Vec<Value>> = items.into_iter().map(armored).collect();
            items.map(Value::Array)
        }
        Value::Object(fields) => {
            if fields.contains_key(BASE64) {
                return None;
            }
            let fields = fields.into_iter();
            let fields: Option<Map<String, Value>> = fields
                .map(|(name, value)| Some((name, armored(value)?)))
                .collect();
            fields.map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
    }
}

/// The value as it was.
pub(super) fn bare(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        Value::Object(fields) => {
            let text = fields.get(BASE64).filter(|_| fields.len() == 1);
            let bytes = text.and_then(|text| BASE64_STANDARD.decode(text.as_str()?).ok());
            if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                return Value::String(text);
            }
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), bare(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}
