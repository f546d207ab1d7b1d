//! Keeps secrets out of the rejects: their values are replaced by a mark, and restored from the
//! source when a record is replayed.

use serde_json::{Value, json};

/// Parts of the names of fields that hold secrets, in lower case without punctuation.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
    "otp",
    "pwhash",
    "salt",
];

const MARK: &str = "$leftOut";

/// Whether a field with this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET.iter().any(|part| plain.contains(part))
}

/// Removes the secrets from a record. A record that JSON cannot represent also has its raw bytes,
/// which contain every field: they are removed too if there is a secret.
pub(super) fn redact(record: &mut Value) {
    if leave_out(record)
        && let Some(raw) = record.get_mut("$bson")
    {
        *raw = mark();
    }
}

fn mark() -> Value {
    json!({ MARK: "a secret; a replay reads it from the source" })
}

/// Removes the secrets at any depth. Returns whether there was one.
fn leave_out(value: &mut Value) -> bool {
    let mut found = false;
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                if is_secret(name) {
                    *value = mark();
                    found = true;
                } else {
                    found |= leave_out(value);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                found |= leave_out(item);
            }
        }
        _ => {}
    }
    found
}

/// Whether something was removed.
pub(super) fn is_redacted(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.contains_key(MARK) || object.values().any(is_redacted),
        Value::Array(items) => items.iter().any(is_redacted),
        _ => false,
    }
}

/// Restores what was removed, from the source's record.
pub(super) fn restore(value: &mut Value, original: &Value) {
    match value {
        Value::Object(object) if object.contains_key(MARK) => *value = original.clone(),
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                if let Some(original) = original.get(name) {
                    restore(value, original);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(original) = original.get(index) {
                    restore(item, original);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_and_come_back() {
        let original = json!({
            "name": "Ada",
            "passwordHash": "$argon2id$…",
            "platforms": [{"name": "kdp", "refresh_token": {"v": "tok"}}],
            "API-Key": "k",
        });
        let mut redacted = original.clone();
        redact(&mut redacted);
        let text = redacted.to_string();
        for secret in ["argon2", "tok\"", "\"k\""] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(is_redacted(&redacted) && !is_redacted(&original));
        redacted["name"] = json!("Ada L.");
        restore(&mut redacted, &original);
        assert_eq!(redacted["name"], "Ada L.");
        redacted["name"] = json!("Ada");
        assert_eq!(redacted, original);
    }

    #[test]
    fn raw_bytes_are_left_out_with_a_secret_at_any_depth() {
        let original = json!({"a": [{"b": {"accessToken": "hush"}}], "$bson": "aHVzaA=="});
        let mut redacted = original.clone();
        redact(&mut redacted);
        assert!(!redacted.to_string().contains("aHVzaA"), "{redacted}");
        restore(&mut redacted, &original);
        assert_eq!(redacted, original);
        let mut harmless = json!({"a": 1, "$bson": "AA=="});
        redact(&mut harmless);
        assert_eq!(harmless["$bson"], "AA==");
    }

    #[test]
    fn ordinary_names_are_no_secrets() {
        for name in [
            "title", "authId", "credits", "passage", "keywords", "series",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
