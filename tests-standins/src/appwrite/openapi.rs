//! Whether the vendor's `OpenAPI` document allows a request.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::incoming::Incoming;

/// The document, cut to what the tests use. Its origin and licence are in it.
const DOCUMENT: &str = include_str!("../../appwrite/openapi-1.8.1.json");

#[derive(Debug)]
pub(super) struct OpenApi {
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    method: String,
    /// `None` for a part that is a parameter.
    path: Vec<Option<String>>,
    query: BTreeSet<String>,
    body: Option<Value>,
}

impl OpenApi {
    pub(super) fn read() -> Self {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
        let paths = document["paths"].as_object().cloned().unwrap_or_default();
        let mut operations = Vec::new();
        for (path, methods) in &paths {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                operations.push(Operation::of(path, method, operation));
            }
        }
        Self { operations }
    }

    /// What the document has against a request.
    pub(super) fn check(&self, request: &Incoming) -> Result<(), String> {
        let fits = |it: &&Operation| it.fits(request);
        // `/users/identities` is no user of that name.
        let found = self.operations.iter().filter(fits);
        let found = found.max_by_key(|it| it.path.iter().flatten().count());
        let found = found.ok_or_else(|| {
            format!(
                "{} /{} is no operation",
                request.method,
                request.path.join("/")
            )
        })?;
        let unknown = request
            .query
            .iter()
            .find(|(name, _)| !found.query.contains(name));
        if let Some((name, _)) = unknown {
            return Err(format!("there is no parameter {name} in the query"));
        }
        match &found.body {
            None if request.bytes.is_empty() => Ok(()),
            None => Err("there is a body, and the operation has none".to_owned()),
            Some(schema) => check_body(request, schema),
        }
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let part = |part: &str| (!part.starts_with('{')).then(|| part.to_owned());
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_query = parameters.filter(|it| it["in"] == "query");
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        Self {
            method: method.to_ascii_uppercase(),
            path: parts.map(part).collect(),
            query: in_query
                .filter_map(|it| it["name"].as_str().map(str::to_owned))
                .collect(),
            body: body.cloned(),
        }
    }

    fn fits(&self, request: &Incoming) -> bool {
        let is_part = |(part, given): (&Option<String>, &String)| {
            part.as_ref().is_none_or(|part| part == given)
        };
        self.method == request.method.as_str()
            && self.path.len() == request.path.len()
            && self.path.iter().zip(&request.path).all(is_part)
    }
}

fn check_body(request: &Incoming, schema: &Value) -> Result<(), String> {
    let needed = schema["required"].as_array();
    if request.bytes.is_empty() && needed.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let kind = request.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(format!("the body is {kind}, not application/json"));
    }
    match serde_json::from_slice(&request.bytes) {
        Ok(Value::Object(body)) => check_object(&body, schema),
        _ => Err("the body is no JSON object".to_owned()),
    }
}

fn check_object(body: &Map<String, Value>, schema: &Value) -> Result<(), String> {
    for needed in schema["required"].as_array().into_iter().flatten() {
        let name = needed.as_str().unwrap_or_default();
        if !body.contains_key(name) {
            return Err(format!("{name} is missing in the body"));
        }
    }
    for (name, value) in body {
        let Some(property) = schema["properties"].get(name) else {
            return Err(format!("there is no {name} in the body"));
        };
        check_value(value, property).map_err(|problem| format!("{name} {problem}"))?;
    }
    Ok(())
}

fn check_value(value: &Value, schema: &Value) -> Result<(), String> {
    if value.is_null() && schema["x-nullable"] == true {
        return Ok(());
    }
    let is_fit = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        _ => true,
    };
    if !is_fit {
        return Err(format!("is no {}", schema["type"]));
    }
    if let Some(members) = schema["enum"].as_array()
        && !members.contains(value)
    {
        return Err("is none of the values that there are".to_owned());
    }
    for item in value.as_array().into_iter().flatten() {
        check_value(item, &schema["items"]).map_err(|problem| format!("has one that {problem}"))?;
    }
    Ok(())
}
