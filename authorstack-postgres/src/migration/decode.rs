//! Reads rows of a rejects file as records. They may have been fixed by hand.

use authorstack_core::{
    fields::Shape,
    migrate::{Kind, Problem, Problems, Record},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::shared::Shared;

pub(super) fn read(shared: &Shared, kind: Kind, value: &Value) -> Result<Record, Problems> {
    let Value::Object(row) = value else {
        return Err(Problem::new("record", "is not a JSON object; restore the line").into());
    };
    let mut problems = Problems::default();
    let mut fields = Map::new();
    for (name, value) in row {
        // `content` is required JSON, for which null is a value.
        if value.is_null() && name != "content" {
            continue;
        }
        match field(shared, kind, name, value) {
            Ok(value) => {
                fields.insert(name.clone(), value);
            }
            Err(problem) => problems.push(Problem::new(name.clone(), problem)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // "Always valid" means no date.
    if fields
        .get("valid_until")
        .is_some_and(|until| until == "infinity")
    {
        fields.remove("valid_until");
    }
    for field in kind.fields() {
        if let Some(default) = default_of(field.name) {
            fields.entry(field.name).or_insert(default);
        }
    }
    Record::from_json(kind, Value::Object(fields))
}

/// The default for a missing value of a row, if it has one.
fn default_of(name: &str) -> Option<Value> {
    match name {
        "page_reads" | "total_page_reads" | "records_synced" => Some(0.into()),
        "currency" => Some("USD".into()),
        _ => None,
    }
}

/// A value in the form of the records' JSON.
fn field(shared: &Shared, kind: Kind, name: &str, value: &Value) -> Result<Value, String> {
    let mut fields = kind.fields().iter();
    match fields
        .find(|field| field.name == name)
        .map(|field| field.shape)
    {
        // Numbers become texts, which are exact.
        Some(Shape::Decimal) => Ok(as_text(value)),
        Some(Shape::Moment) => Ok(moment(value)),
        Some(Shape::Sums) => breakdown(shared, name, value),
        Some(Shape::Id) => match value {
            Value::String(text) => id(shared, text).map(Value::String),
            other => Ok(other.clone()),
        },
        _ => Ok(value.clone()),
    }
}

/// The digits of an id. The row has it as a UUID; a fix may write it as digits.
fn id(shared: &Shared, text: &str) -> Result<String, String> {
    let Ok(uuid) = Uuid::try_parse(text) else {
        return Ok(text.to_owned());
    };
    // An id has no hyphens, and fewer digits than a UUID.
    match shared.id(uuid) {
        Some(id) => Ok(id.to_string()),
        None => Err(shared.no_id(text)),
    }
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        other => other.clone(),
    }
}

/// A moment in a column without a zone is in UTC.
fn moment(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains('T') && !has_zone(text) => {
            Value::String(format!("{text}Z"))
        }
        other => other.clone(),
    }
}

fn has_zone(text: &str) -> bool {
    let time = text.split_once('T').map_or("", |(_, time)| time);
    time.contains(['Z', 'z', '+', '-'])
}

fn breakdown(shared: &Shared, name: &str, value: &Value) -> Result<Value, String> {
    let Value::Object(sums) = value else {
        return Err("is not an object; correct it, or leave it out".to_owned());
    };
    let mut read = Map::new();
    for (key, sum) in sums {
        let key = match name {
            "book_breakdown" => id(shared, key)?,
            _ => key.clone(),
        };
        let Value::Object(sum) = sum else {
            return Err(format!("{key:?} has no sums"));
        };
        let mut sum = sum.clone();
        for (name, default) in [("units", 0), ("page_reads", 0)] {
            let number = sum.entry(name).or_insert_with(|| default.into());
            if let Value::String(text) = number
                && let Ok(whole) = text.parse::<i64>()
            {
                *number = whole.into();
            }
        }
        if let Some(revenue) = sum.get_mut("revenue") {
            *revenue = as_text(revenue);
        }
        if read.insert(key.clone(), Value::Object(sum)).is_some() {
            return Err(format!("names {key:?} twice"));
        }
    }
    Ok(Value::Object(read))
}
