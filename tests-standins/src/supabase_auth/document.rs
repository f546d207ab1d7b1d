//! The vendor's `OpenAPI` document, and where the server of version 2.196 differs from it.

use serde_json::{Value, json};

use crate::openapi::OpenApi;

/// The document, cut to what the tests use. Its origin and licence are in it.
const DOCUMENT: &str = include_str!("../../supabase_auth/openapi.json");

/// Where the server differs from its document.
#[cfg_attr(not(test), allow(dead_code, reason = "the words are for readers"))]
struct Deviation {
    what: &'static str,
    why: &'static str,
    /// A place in the document, and what is there instead.
    place: &'static str,
    is: Value,
}

fn deviations() -> Vec<Deviation> {
    let answer = |schema: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        json!({ "content": { "application/json": { "schema": schema } } })
    };
    let body = |properties: Value| {
        let schema = json!({ "type": "object", "properties": properties });
        json!({ "content": { "application/json": { "schema": schema } } })
    };
    // What both ways of writing an account take (`AdminUserParams` in the server's source).
    let written = json!({
        "id": { "type": "string", "format": "uuid" }, "aud": { "type": "string" },
        "role": { "type": "string" }, "email": { "type": "string" }, "phone": { "type": "string" },
        "password": { "type": "string" }, "password_hash": { "type": "string" },
        "email_confirm": { "type": "boolean" }, "phone_confirm": { "type": "boolean" },
        "user_metadata": { "type": "object" }, "app_metadata": { "type": "object" },
        "ban_duration": { "type": "string" },
    });
    vec![
        Deviation {
            what: "accounts are created by POST /admin/users",
            why: "the document has no such operation; every client and the server have it",
            place: "/paths/~1admin~1users/post",
            is: json!({
                "requestBody": body(written.clone()),
                "responses": { "200": answer("UserSchema") },
            }),
        },
        Deviation {
            what: "an update takes a password, a ban and confirmations",
            why: "the document gives the form of answers for it, which has none of them",
            place: "/paths/~1admin~1users~1{userId}/put/requestBody",
            is: body(written),
        },
        Deviation {
            what: "a deletion takes `should_soft_delete`",
            why: "the document has no body there; the server reads one, the vendor's client sends one",
            place: "/paths/~1admin~1users~1{userId}/delete/requestBody",
            is: body(json!({ "should_soft_delete": { "type": "boolean" } })),
        },
        Deviation {
            what: "the `id` of an identity is the provider's subject",
            why: "the document calls it a UUID, which it is for e-mail and phone alone",
            place: "/components/schemas/IdentitySchema/properties/id",
            is: json!({ "type": "string" }),
        },
        Deviation {
            what: "an error may have the form of 2024-01-01",
            why: "asked for by the header X-Supabase-Api-Version, as the vendor's client does: the \
                  code is a name, the text is in `message`",
            place: "/components/schemas/ErrorSchema/properties/code",
            is: json!({ "oneOf": [{ "type": "integer" }, { "type": "string" }] }),
        },
        Deviation {
            what: "the text of an error of 2024-01-01",
            why: "see the form of 2024-01-01",
            place: "/components/schemas/ErrorSchema/properties/message",
            is: json!({ "type": "string" }),
        },
        Deviation {
            what: "too many requests have an error's form",
            why: "the document leaves out the error's code, which the server sends with all errors",
            place: "/components/responses/RateLimitResponse",
            is: answer("ErrorSchema"),
        },
        Deviation {
            what: "keys are published",
            why: "the document does not have /.well-known/jwks.json, which is part of the API",
            place: "/paths/~1.well-known~1jwks.json/get",
            is: json!({ "responses": { "200": { "content": { "application/json": { "schema": {
                "type": "object", "required": ["keys"],
                "properties": { "keys": { "type": "array", "items": { "type": "object" } } },
            } } } } } }),
        },
    ]
}

/// Errors that the document does not list for an operation: it says of itself that 5xx are not
/// listed, and that 400, 404 and 422 change places.
fn any_error(document: &mut Value) {
    let schema = json!({ "$ref": "#/components/schemas/ErrorSchema" });
    let any = json!({ "content": { "application/json": { "schema": schema } } });
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.flat_map(|(_, methods)| methods.as_object_mut().into_iter().flatten());
    for (_, operation) in operations.filter(|(method, _)| *method != "parameters") {
        for status in [400, 401, 403, 404, 422, 429, 500] {
            let listed = &mut operation["responses"][status.to_string()];
            if listed.is_null() {
                *listed = any.clone();
            }
        }
    }
}

/// The document as the server keeps it.
pub(super) fn read() -> OpenApi {
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    for Deviation { place, is, .. } in deviations() {
        put(&mut document, place, is);
    }
    any_error(&mut document);
    OpenApi::of(document)
}

/// Puts a value to a place, with the objects above it.
fn put(document: &mut Value, place: &str, value: Value) {
    let names = place.split('/').skip(1);
    let names = names.map(|name| name.replace("~1", "/").replace("~0", "~"));
    let found = names.fold(document, |at, name| &mut at[name]);
    *found = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the document has by now is no deviation any more.
    #[test]
    fn the_document_lacks_what_is_listed() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
        assert_eq!(document["info"]["title"], "Supabase Auth REST API");
        for Deviation {
            what,
            why,
            place,
            is,
        } in deviations()
        {
            assert!(!what.is_empty() && !why.is_empty(), "{place}");
            assert_ne!(document.pointer(place), Some(&is), "{what}");
        }
    }
}
