//! Answers of both sides in a comparable form: ids as names, dates made by the stores as relations.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{ErrorKind, Id, Result};

/// An answer as JSON, or the part of an error that must be equal on both sides.
pub(super) fn outcome<T: Serialize>(result: Result<T>) -> Result<Value, Value> {
    said(result).map(|answer| serde_json::to_value(answer).expect("answers are JSON"))
}

/// An answer, or the part of an error that must be equal on both sides.
pub(in crate::testing) fn said<T>(result: Result<T>) -> Result<T, Value> {
    result.map_err(|error| match error.kind() {
        ErrorKind::NotFound => json!("not found"),
        ErrorKind::Conflict { .. } if !error.is_retryable() => json!("conflict"),
        ErrorKind::AlreadyExists { field } => json!({ "exists": field }),
        ErrorKind::Invalid { field, .. } => json!({ "invalid": field }),
        ErrorKind::InsufficientCredits { balance, needed } => {
            json!({ "balance": balance, "needed": needed })
        }
        _ => json!({ "unexpected": format!("{error:?}") }),
    })
}

/// The names of one side's ids, by when they were first seen.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: HashMap<String, String>,
    /// The moments of records when they were last seen.
    moments: HashMap<(String, &'static str), DateTime<Utc>>,
}

/// Moments that a store makes.
const MADE: &[&str] = &["createdAt", "updatedAt"];

impl Names {
    pub(super) fn translate(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.name(text).unwrap_or_else(|| value.clone()),
            Value::Array(items) => items.iter().map(|item| self.translate(item)).collect(),
            Value::Object(object) => self.object(object),
            other => other.clone(),
        }
    }

    fn name(&mut self, text: &str) -> Option<Value> {
        text.parse::<Id<()>>().ok().filter(|_| text.len() == 24)?;
        let next = self.ids.len();
        let name = self.ids.entry(text.to_owned());
        Some(name.or_insert_with(|| format!("#{next}")).as_str().into())
    }

    fn object(&mut self, object: &Map<String, Value>) -> Value {
        let id = object.get("id").map(|id| self.translate(id));
        let mut translated = Map::new();
        for (field, value) in object {
            let made = MADE.iter().find(|made| *made == field);
            let value = match (made, &id, value) {
                (Some(made), Some(id), Value::String(moment)) => self.relation(id, made, moment),
                _ => self.translate(value),
            };
            translated.insert(field.clone(), value);
        }
        Value::Object(translated)
    }

    /// How a record's moment is related to the one seen before.
    fn relation(&mut self, id: &Value, field: &'static str, moment: &str) -> Value {
        let key = (id.to_string(), field);
        let moment: DateTime<Utc> = moment.parse().expect("a moment");
        match self.moments.insert(key, moment) {
            None => json!("new"),
            Some(before) if before == moment => json!("as before"),
            Some(before) if before < moment => json!("later"),
            Some(_) => json!("earlier"),
        }
    }
}
