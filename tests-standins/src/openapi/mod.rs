//! Whether a vendor's `OpenAPI` document allows a request, and an answer.

mod values;

use std::collections::BTreeMap;

use serde_json::Value;

use values::{check_text, check_value};

const JSON: &str = "application/json";

/// A document.
#[derive(Debug)]
pub(crate) struct OpenApi {
    document: Value,
    operations: Vec<Operation>,
}

/// One method of one path.
#[derive(Debug)]
pub(crate) struct Operation {
    method: String,
    path: Vec<Part>,
    query: BTreeMap<String, Parameter>,
    body: Option<Value>,
    answers: Value,
}

#[derive(Debug)]
enum Part {
    Fixed(String),
    /// The schema of a parameter.
    Parameter(Value),
}

#[derive(Debug)]
struct Parameter {
    is_required: bool,
    schema: Value,
}

/// A request, as far as a document speaks of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub(crate) method: &'r str,
    /// The path behind the server's own.
    pub(crate) path: &'r [String],
    pub(crate) query: &'r [(String, String)],
    pub(crate) content_type: &'r str,
    pub(crate) body: &'r [u8],
}

/// An answer, as far as a document speaks of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'r> {
    pub(crate) status: u16,
    pub(crate) content_type: &'r str,
    pub(crate) body: &'r [u8],
}

impl OpenApi {
    pub(crate) fn of(document: Value) -> Self {
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            let shared = methods["parameters"].as_array().into_iter().flatten();
            let shared: Vec<&Value> = shared.collect();
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if method != "parameters" {
                    operations.push(Operation::of(path, method, operation, &shared));
                }
            }
        }
        Self {
            document,
            operations,
        }
    }

    /// The operation that a request is, unless the document has something against it.
    pub(crate) fn check(&self, asked: &Asked<'_>) -> Result<&Operation, String> {
        let fits = |it: &&Operation| it.fits(asked);
        // `/users/identities` is no user of that name.
        let fixed = |it: &&Operation| {
            let parts = it.path.iter();
            parts.filter(|part| matches!(part, Part::Fixed(_))).count()
        };
        let found = self.operations.iter().filter(fits).max_by_key(fixed);
        let found = found
            .ok_or_else(|| format!("{} /{} is no operation", asked.method, asked.path.join("/")))?;
        let wrong =
            |problem: String| format!("{} /{}: {problem}", asked.method, asked.path.join("/"));
        self.check_place(found, asked).map_err(wrong)?;
        match &found.body {
            // Vendors' clients send an empty object for none.
            None if matches!(asked.body, b"" | b"{}") => {}
            None => {
                return Err(wrong(
                    "there is a body, and the operation has none".to_owned(),
                ));
            }
            Some(schema) => self.check_body(asked, schema).map_err(wrong)?,
        }
        Ok(found)
    }

    fn check_place(&self, operation: &Operation, asked: &Asked<'_>) -> Result<(), String> {
        for (part, given) in operation.path.iter().zip(asked.path) {
            if let Part::Parameter(schema) = part {
                check_text(&self.document, given, schema)
                    .map_err(|problem| format!("{given} in the path {problem}"))?;
            }
        }
        for (name, given) in asked.query {
            let Some(parameter) = operation.query.get(name) else {
                return Err(format!("there is no parameter {name} in the query"));
            };
            check_text(&self.document, given, &parameter.schema)
                .map_err(|problem| format!("{name} in the query {problem}"))?;
        }
        let needed = operation.query.iter().filter(|(_, it)| it.is_required);
        for (name, _) in needed {
            if !asked.query.iter().any(|(given, _)| given == name) {
                return Err(format!("{name} is missing in the query"));
            }
        }
        Ok(())
    }

    fn check_body(&self, asked: &Asked<'_>, schema: &Value) -> Result<(), String> {
        let needed = values::resolved(&self.document, schema)["required"].as_array();
        if asked.body.is_empty() && needed.is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let kind = asked.content_type;
        if !kind.starts_with(JSON) {
            return Err(format!("the body is {kind}, not {JSON}"));
        }
        let Ok(body) = serde_json::from_slice(asked.body) else {
            return Err("the body is no JSON".to_owned());
        };
        check_value(&self.document, &body, schema).map_err(|problem| format!("the body {problem}"))
    }

    /// What the document has against an answer of an operation.
    pub(crate) fn check_answer(
        &self,
        operation: &Operation,
        answered: &Answered<'_>,
    ) -> Result<(), String> {
        let listed = &operation.answers[answered.status.to_string()];
        let found = if listed.is_null() {
            &operation.answers["default"]
        } else {
            listed
        };
        if found.is_null() {
            return Err(format!("{} is no answer that there is", answered.status));
        }
        let found = values::resolved(&self.document, found);
        let schema = &found["content"][JSON]["schema"];
        if schema.is_null() {
            let is_empty = answered.body.is_empty();
            return if is_empty {
                Ok(())
            } else {
                Err("there is a body, and the answer has none".to_owned())
            };
        }
        if !answered.content_type.starts_with(JSON) {
            return Err(format!(
                "the answer is {}, not {}",
                answered.content_type, JSON
            ));
        }
        let Ok(body) = serde_json::from_slice(answered.body) else {
            return Err("the answer is no JSON".to_owned());
        };
        check_value(&self.document, &body, schema)
            .map_err(|problem| format!("the answer {} {problem}", answered.status))
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value, shared: &[&Value]) -> Self {
        let own = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<&Value> = own.chain(shared.iter().copied()).collect();
        let part = |part: &str| {
            let Some(name) = part.strip_prefix('{') else {
                return Part::Fixed(part.to_owned());
            };
            let name = name.trim_end_matches('}');
            let mut all = parameters.iter();
            let found = all.find(|it| it["in"] == "path" && it["name"] == name);
            Part::Parameter(found.map(|it| it["schema"].clone()).unwrap_or_default())
        };
        let in_query = parameters.iter().filter(|it| it["in"] == "query");
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        Self {
            method: method.to_ascii_uppercase(),
            path: path
                .split('/')
                .filter(|part| !part.is_empty())
                .map(part)
                .collect(),
            query: in_query
                .filter_map(|it| {
                    let parameter = Parameter {
                        is_required: it["required"] == true,
                        schema: it["schema"].clone(),
                    };
                    Some((it["name"].as_str()?.to_owned(), parameter))
                })
                .collect(),
            body: body.cloned(),
            answers: operation["responses"].clone(),
        }
    }

    fn fits(&self, asked: &Asked<'_>) -> bool {
        let is_part = |(part, given): (&Part, &String)| match part {
            Part::Fixed(part) => part == given,
            Part::Parameter(_) => true,
        };
        self.method == asked.method
            && self.path.len() == asked.path.len()
            && self.path.iter().zip(asked.path).all(is_part)
    }
}
