//! Whether the `OpenAPI` document allows an answer.

use std::sync::LazyLock;

use authorstack_host::openapi::Document;
use http::Method;
use serde_json::Value;
use utoipa::OpenApi;

use crate::client::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(Document::openapi()).unwrap());

/// Holds an answer of the API to the document.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap();
    if !path.starts_with("/api/") {
        return;
    }
    let operation = operation(method, path);
    let responses = &operation["responses"];
    let described = match &responses[answer.status.as_str()] {
        Value::Null => &responses["default"],
        described => described,
    };
    assert!(
        described.is_object(),
        "{method} {path}: {} is not described",
        answer.status
    );
    let Some(content) = described["content"].as_object() else {
        assert!(answer.text.is_empty(), "{method} {path}: {}", answer.text);
        return;
    };
    let kind = answer.header("content-type").split(';').next().unwrap();
    let schema = content.get(kind);
    let schema = schema.unwrap_or_else(|| panic!("{method} {path}: {kind} is not described"));
    let is_json = kind.ends_with("/json") || kind.ends_with("+json");
    if is_json && let Err(problem) = fits(&answer.json(), &schema["schema"]) {
        let (status, text) = (answer.status, &answer.text);
        panic!("{method} {path} {status}: {problem}\n{text}");
    }
}

/// The operation of a path. Parts that are written out win over parameters.
fn operation(method: &Method, path: &str) -> &'static Value {
    let given: Vec<&str> = path.split('/').collect();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let fitting = paths.iter().filter(|(known, methods)| {
        let known: Vec<&str> = known.split('/').collect();
        known.len() == given.len()
            && known
                .iter()
                .zip(&given)
                .all(|(known, given)| known.starts_with('{') || known == given)
            && methods[method.as_str().to_lowercase()].is_object()
    });
    let found = fitting.min_by_key(|(known, _)| known.matches('{').count());
    let (_, methods) = found.unwrap_or_else(|| panic!("{method} {path} is not in the document"));
    &methods[method.as_str().to_lowercase()]
}

/// Whether a value is one of a schema: the parts of JSON Schema that the document uses.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = DOCUMENT.pointer(name.trim_start_matches('#'));
        return fits(
            value,
            target.unwrap_or_else(|| panic!("{name} is not there")),
        );
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(value, part)?;
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let mut fitting = choices.iter().map(|choice| fits(value, choice));
        if !fitting.any(|outcome| outcome.is_ok()) {
            return Err(format!("{value} is none of {schema}"));
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let is_type = |name: &&str| match *name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is not known here"),
    };
    if !types.iter().any(is_type) {
        return Err(format!("{value} is not of {types:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"])?;
    }
    let Some(members) = value.as_object() else {
        return Ok(());
    };
    for needed in schema["required"].as_array().into_iter().flatten() {
        let needed = needed.as_str().unwrap();
        if !members.contains_key(needed) {
            return Err(format!("{needed} is missing"));
        }
    }
    for (name, member) in members {
        match &schema["properties"][name] {
            Value::Null if schema["additionalProperties"] == false => {
                return Err(format!("{name} is not described"));
            }
            known => fits(member, known).map_err(|problem| format!("{name}: {problem}"))?,
        }
    }
    Ok(())
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let text = DOCUMENT.to_string();
    let references = text.split("\"$ref\":\"#").skip(1);
    let references: Vec<&str> = references
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(references.len() > 50);
    for reference in references {
        assert!(DOCUMENT.pointer(reference).is_some(), "{reference}");
    }
}

#[test]
fn answers_that_do_not_fit_are_found() {
    let book = &DOCUMENT["components"]["schemas"]["Book"];
    let mut value = serde_json::json!({
        "id": "6b0379ca3f6979be1a457c2c", "userId": "6b0379ca3f6979be1a457c2d", "title": "Tide",
        "genres": ["fantasy"], "platforms": [], "metadata": {}, "status": "draft",
        "createdAt": "2024-05-31T12:00:00Z", "updatedAt": "2024-05-31T12:00:00Z",
    });
    fits(&value, book).unwrap();
    value["genres"] = "fantasy".into();
    assert!(fits(&value, book).is_err());
    value["genres"] = serde_json::json!([1]);
    assert!(fits(&value, book).is_err());
    value.as_object_mut().unwrap().remove("genres");
    value.as_object_mut().unwrap().remove("title");
    assert!(fits(&value, book).is_err());
}
