//! Values against schemas.

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

/// What a schema or an answer refers to.
pub(super) fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let place = value["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    place.map_or(value, |place| {
        document.pointer(place).unwrap_or(&Value::Null)
    })
}

/// A text of a path or a query.
pub(super) fn check_text(document: &Value, text: &str, schema: &Value) -> Result<(), String> {
    let schema = resolved(document, schema);
    let value = match schema["type"].as_str() {
        Some("integer" | "number" | "boolean") => serde_json::from_str(text).unwrap_or_default(),
        // How a list is written in a query differs; its members are texts of the caller's.
        Some("array") => return Ok(()),
        _ => Value::from(text),
    };
    check_value(document, &value, schema)
}

pub(super) fn check_value(document: &Value, value: &Value, schema: &Value) -> Result<(), String> {
    let schema = resolved(document, schema);
    let is_nullable = schema["x-nullable"] == true || schema["nullable"] == true;
    if value.is_null() && is_nullable {
        return Ok(());
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |it: &Value| check_value(document, value, it).is_ok();
        return if choices.iter().any(fits) {
            Ok(())
        } else {
            Err("fits none of the forms".to_owned())
        };
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
    if let Some(least) = schema["minimum"].as_i64()
        && value.as_i64().is_some_and(|number| number < least)
    {
        return Err(format!("is below {least}"));
    }
    if let (Some(text), Some(format)) = (value.as_str(), schema["format"].as_str()) {
        check_format(text, format)?;
    }
    for item in value.as_array().into_iter().flatten() {
        check_value(document, item, &schema["items"])
            .map_err(|problem| format!("has one that {problem}"))?;
    }
    check_members(document, value, schema)
}

fn check_members(document: &Value, value: &Value, schema: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    for needed in schema["required"].as_array().into_iter().flatten() {
        let name = needed.as_str().unwrap_or_default();
        if !object.contains_key(name) {
            return Err(format!("lacks {name}"));
        }
    }
    // Without a list of them, any members.
    let Some(properties) = schema["properties"].as_object() else {
        return Ok(());
    };
    for (name, value) in object {
        let Some(property) = properties.get(name) else {
            return Err(format!("has {name}, which is not there"));
        };
        check_value(document, value, property)
            .map_err(|problem| format!("has {name}, which {problem}"))?;
    }
    Ok(())
}

fn check_format(text: &str, format: &str) -> Result<(), String> {
    let is_fit = match format {
        "uuid" => text.parse::<Uuid>().is_ok(),
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        _ => true,
    };
    if is_fit {
        Ok(())
    } else {
        Err(format!("is no {format}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use serde_json::json;

    use super::super::{Answered, Asked, OpenApi};

    fn document() -> OpenApi {
        let user = json!({ "type": "object", "properties": {
            "id": { "type": "string", "format": "uuid" },
            "at": { "type": "string", "format": "date-time", "nullable": true },
            "tags": { "type": "array", "items": { "type": "string" } },
            "code": { "oneOf": [{ "type": "integer" }, { "type": "string" }] },
        }, "required": ["id"] });
        let shown = json!({ "$ref": "#/components/schemas/User" });
        let shown = json!({ "content": { "application/json": { "schema": shown } } });
        OpenApi::of(json!({
            "paths": {
                "/users/{id}": {
                    "parameters": [
                        { "name": "id", "in": "path", "schema": { "type": "string", "format": "uuid" } },
                        { "name": "page", "in": "query", "schema": { "type": "integer", "minimum": 1 } },
                        { "name": "kind", "in": "query", "required": true,
                          "schema": { "type": "string", "enum": ["a", "b"] } },
                    ],
                    "put": {
                        "requestBody": shown.clone(),
                        "responses": { "200": shown, "204": { "description": "nothing" } },
                    },
                },
            },
            "components": { "schemas": { "User": user } },
        }))
    }

    const ID: &str = "0b9f6c1e-7c86-4b64-a1ae-3f3b0e4f9d11";

    fn asked(id: &str, query: &[(&str, &str)], body: &str) -> Result<(), String> {
        let path = ["users".to_owned(), id.to_owned()];
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let query: Vec<_> = query.iter().map(pair).collect();
        let asked = Asked {
            method: "PUT",
            path: &path,
            query: &query,
            content_type: "application/json;charset=UTF-8",
            body: body.as_bytes(),
        };
        document().check(&asked).map(drop)
    }

    #[test]
    fn requests_are_held_to_the_document() {
        let body = format!(r#"{{"id":"{ID}","at":null,"tags":["x"],"code":7}}"#);
        asked(ID, &[("kind", "a"), ("page", "1")], &body).unwrap();
        for (id, query, body, expected) in [
            (
                "7",
                &[("kind", "a")][..],
                body.as_str(),
                "7 in the path is no uuid",
            ),
            (ID, &[], &body, "kind is missing"),
            (ID, &[("kind", "c")], &body, "kind in the query is none"),
            (
                ID,
                &[("kind", "a"), ("page", "0")],
                &body,
                "page in the query is below 1",
            ),
            (
                ID,
                &[("kind", "a"), ("page", "x")],
                &body,
                "page in the query is no",
            ),
            (
                ID,
                &[("kind", "a"), ("more", "x")],
                &body,
                "no parameter more",
            ),
            (ID, &[("kind", "a")], "", "the body is no JSON"),
            (ID, &[("kind", "a")], "[]", "the body is no"),
            (ID, &[("kind", "a")], "{}", "the body lacks id"),
            (
                ID,
                &[("kind", "a")],
                r#"{"id":"7"}"#,
                "has id, which is no uuid",
            ),
            (
                ID,
                &[("kind", "a")],
                &body.replace("null", "\"soon\""),
                "has at, which is no date-time",
            ),
            (
                ID,
                &[("kind", "a")],
                &body.replace("\"x\"", "1"),
                "has tags, which has one that is no",
            ),
            (
                ID,
                &[("kind", "a")],
                &body.replace("code", "kode"),
                "has kode, which is not there",
            ),
            (
                ID,
                &[("kind", "a")],
                &body.replace(":7", ":true"),
                "has code, which fits none",
            ),
        ] {
            let found = asked(id, query, body).unwrap_err();
            assert!(found.contains(expected), "{found}, not {expected}");
        }
        let path = ["users".to_owned()];
        let gone = Asked {
            method: "PUT",
            path: &path,
            query: &[],
            content_type: "",
            body: b"",
        };
        assert!(
            document()
                .check(&gone)
                .unwrap_err()
                .contains("is no operation")
        );
    }

    #[test]
    fn answers_are_held_to_the_document() {
        let (document, path) = (document(), ["users".to_owned(), ID.to_owned()]);
        let query = [("kind".to_owned(), "a".to_owned())];
        let body = format!(r#"{{"id":"{ID}"}}"#);
        let content_type = "application/json";
        let asked = Asked {
            method: "PUT",
            path: &path,
            query: &query,
            content_type,
            body: body.as_bytes(),
        };
        let operation = document.check(&asked).unwrap();
        let check = |status, content_type, body: &str| {
            let body = body.as_bytes();
            document.check_answer(
                operation,
                &Answered {
                    status,
                    content_type,
                    body,
                },
            )
        };
        check(200, content_type, &body).unwrap();
        check(204, "", "").unwrap();
        for (status, content_type, body, expected) in [
            (500, content_type, body.as_str(), "500 is no answer"),
            (204, content_type, &body, "there is a body"),
            (200, "text/html", &body, "text/html, not"),
            (200, content_type, "{", "no JSON"),
            (
                200,
                content_type,
                r#"{"id":"7"}"#,
                "has id, which is no uuid",
            ),
        ] {
            let found = check(status, content_type, body).unwrap_err();
            assert!(found.contains(expected), "{found}, not {expected}");
        }
    }
}
