//! Keeps secrets out of the rejects: a mark with the secret's path takes its place, and a replay
//! restores it from the source's record at that path.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{
    Problem, Problems,
    secrets::{holds_secret, is_named_secret, is_secret, veiled},
};

/// The only member of a mark. Its value is the path in the source's record, as a JSON Pointer.
const MARK: &str = "$leftOut";

/// What a mark holds for a secret that came from the file itself: the source does not have it.
const BY_HAND: &str = "a secret that was written here by hand; write it again";

/// The member with the raw bytes of a record that JSON cannot represent.
const RAW: &str = "$bson";

/// Whose record it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The source's: what looks like a mark is data.
    Source,
    /// A line's, which has marks already.
    Line,
}

/// Removes the secrets from a record of the source. A record that JSON cannot represent also has
/// its raw bytes, which contain every field: they are removed too if there is a secret.
pub(super) fn redact(record: &mut Value) {
    if leave_out(record, &mut String::new(), Of::Source)
        && let Some(raw) = record.get_mut(RAW)
    {
        *raw = json!({ MARK: format!("/{RAW}") });
    }
}

/// Removes the secrets that were written into a line by hand; its marks stay.
pub(super) fn redact_line(record: &mut Value) {
    leave_out(record, &mut String::new(), Of::Line);
}

/// Removes the secrets from the reasons: they quote values.
pub(super) fn redact_problems(problems: &mut Problems) {
    for problem in &mut problems.0 {
        for text in [&mut problem.field, &mut problem.problem] {
            if let Cow::Owned(without) = veiled(text) {
                *text = without;
            }
        }
    }
}

fn mark(path: &str, of: Of) -> Value {
    match of {
        Of::Source => json!({ MARK: path }),
        Of::Line => json!({ MARK: BY_HAND }),
    }
}

/// Removes the secrets at any depth. Returns whether there was one.
fn leave_out(value: &mut Value, path: &mut String, of: Of) -> bool {
    if of == Of::Line && is_mark(value) {
        return true;
    }
    let is_one = match value {
        Value::Object(object) if object.contains_key(MARK) => true,
        // Keys cannot be replaced one by one.
        Value::Object(object) => object.keys().any(|name| holds_secret(name)),
        Value::String(text) => holds_secret(text) || is_json_with_secret(text),
        _ => false,
    };
    if is_one {
        *value = mark(path, of);
        return true;
    }
    let mut found = false;
    let length = path.len();
    match value {
        Value::Object(object) => {
            let secret: Vec<String> = object
                .iter()
                .filter(|(name, value)| is_secret(name, value) || is_named_secret(object, name))
                .map(|(name, _)| name.clone())
                .collect();
            for (name, value) in object.iter_mut() {
                push(path, name);
                if secret.contains(name) && !(of == Of::Line && is_mark(value)) {
                    *value = mark(path, of);
                    found = true;
                } else {
                    found |= leave_out(value, path, of);
                }
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                push(path, &index.to_string());
                found |= leave_out(item, path, of);
                path.truncate(length);
            }
        }
        _ => {}
    }
    found
}

/// Whether a text is JSON with a secret in it, as old apps store settings.
fn is_json_with_secret(text: &str) -> bool {
    const MOST: usize = 1 << 20;
    let text = text.trim();
    text.starts_with(['{', '['])
        && text.len() <= MOST
        && serde_json::from_str(text)
            .is_ok_and(|mut value| leave_out(&mut value, &mut String::new(), Of::Source))
}

fn is_mark(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|object| object.contains_key(MARK))
}

/// Adds a step to a JSON Pointer.
fn push(path: &mut String, step: &str) {
    path.push('/');
    path.push_str(&step.replace('~', "~0").replace('/', "~1"));
}

/// A step to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// Restores what was left out, from the source's record that the line was made from. A mark may
/// move with its list entry, but not to another field: that would show a secret where it does not
/// belong.
///
/// # Errors
/// The marks that cannot be restored.
pub(super) fn restore(value: &mut Value, original: &Value) -> Result<(), Problems> {
    let mut problems = Problems::default();
    put_back(value, &mut Vec::new(), original, &mut problems);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn put_back(value: &mut Value, place: &mut Vec<Step>, original: &Value, problems: &mut Problems) {
    match value {
        Value::Object(object) if object.contains_key(MARK) => {
            match left_out(object, place, original) {
                // What is restored is the source's own: a mark in it is data.
                Ok(secret) => *value = secret.clone(),
                Err(problem) => problems.push(Problem::new(dotted(place), problem)),
            }
        }
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                place.push(Step::Name(name.clone()));
                put_back(value, place, original, problems);
                place.pop();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                place.push(Step::Index(index));
                put_back(item, place, original, problems);
                place.pop();
            }
        }
        _ => {}
    }
}

/// The secret of a mark at a place.
fn left_out<'o>(
    mark: &Map<String, Value>,
    place: &[Step],
    original: &'o Value,
) -> Result<&'o Value, String> {
    let path = match mark.get(MARK).and_then(Value::as_str) {
        Some(BY_HAND) => {
            return Err(
                "held a secret that was written into the line by hand, and is not kept; \
                        write it again, or remove the field"
                    .to_owned(),
            );
        }
        Some(path) if mark.len() == 1 => path,
        _ => return Err(format!("has a {MARK} that was changed; {REMEDY}")),
    };
    let Some((from, secret)) = walk(original, path) else {
        return Err(format!(
            "has the {MARK} of {path:?}, which the source's record does not have; {REMEDY}"
        ));
    };
    if names(&from).eq(names(place)) {
        Ok(secret)
    } else {
        Err(format!(
            "has the {MARK} of {}, another field; {REMEDY}",
            dotted(&from)
        ))
    }
}

const REMEDY: &str = "put it back to where it was, write the value itself, or remove the field";

/// The value at a JSON Pointer, and the steps to it.
fn walk<'o>(original: &'o Value, path: &str) -> Option<(Vec<Step>, &'o Value)> {
    let (mut steps, mut value) = (Vec::new(), original);
    if path.is_empty() {
        return Some((steps, value));
    }
    for step in path.strip_prefix('/')?.split('/') {
        let name = step.replace("~1", "/").replace("~0", "~");
        value = match value {
            Value::Array(items) => {
                let index = name.parse().ok()?;
                steps.push(Step::Index(index));
                items.get(index)?
            }
            Value::Object(object) => {
                let value = object.get(&name)?;
                steps.push(Step::Name(name));
                value
            }
            _ => return None,
        };
    }
    Some((steps, value))
}

/// The names on the way to a value, without positions in lists.
fn names(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().filter_map(|step| match step {
        Step::Name(name) => Some(name.as_str()),
        Step::Index(_) => None,
    })
}

/// A place as problems name it.
fn dotted(steps: &[Step]) -> String {
    let steps = steps.iter().map(|step| match step {
        Step::Name(name) => name.clone(),
        Step::Index(index) => index.to_string(),
    });
    steps.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(original: &Value) -> Value {
        let mut redacted = original.clone();
        redact(&mut redacted);
        redacted
    }

    #[test]
    fn secrets_are_left_out_and_come_back() {
        let original = json!({
            "name": "Ada",
            "passwordHash": "$argon2id$…",
            "platforms": [{"name": "kdp", "refresh_token": {"v": "tok"}}],
            "API-Key": "k",
            "a/b~c": {"pin": 1234},
            "settings": [{"name": "password", "value": "hunter2"}, {"name": "theme", "value": "dark"}],
            "note": "mongodb://u:hunter3@h/d",
            "legacy": "{\"pwd\": \"hunter4\"}",
            "sessions": {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N": 1},
            "tokens": 12,
        });
        let mut line = redacted(&original);
        let text = line.to_string();
        for secret in ["argon2", "tok\"", "\"k\"", "1234", "hunter", "eyJ"] {
            assert!(!text.contains(secret), "{text}");
        }
        for kept in ["Ada", "kdp", "dark", "12"] {
            assert!(text.contains(kept), "{text}");
        }
        assert_eq!(line["a/b~c"]["pin"][MARK], "/a~1b~0c/pin");
        line["name"] = json!("Ada L.");
        restore(&mut line, &original).unwrap();
        assert_eq!(line["name"], "Ada L.");
        line["name"] = json!("Ada");
        assert_eq!(line, original);
    }

    #[test]
    fn a_mark_moves_with_its_list_entry() {
        let original = json!({"platforms": [
            {"name": "kdp", "token": "one"}, {"name": "apple", "token": "two"},
        ]});
        let mut line = redacted(&original);
        line["platforms"].as_array_mut().unwrap().remove(0);
        restore(&mut line, &original).unwrap();
        assert_eq!(
            line,
            json!({"platforms": [{"name": "apple", "token": "two"}]})
        );
    }

    #[test]
    fn a_mark_that_cannot_be_restored_is_refused() {
        let original = json!({"passwordHash": "h", "platforms": [{"token": "t"}], "bio": "b"});
        let mark = |path: &str| json!({ MARK: path });
        for (line, field) in [
            (json!({"password": mark("/passwordHash")}), "password"),
            (json!({"bio": mark("/passwordHash")}), "bio"),
            (
                json!({"platforms": [{"key": mark("/platforms/0/token")}]}),
                "platforms.0.key",
            ),
            (
                json!({"platforms": [{"token": mark("/platforms/1/token")}]}),
                "platforms.0.token",
            ),
            (
                json!({"passwordHash": mark("passwordHash")}),
                "passwordHash",
            ),
            (json!({"passwordHash": mark(BY_HAND)}), "passwordHash"),
            (json!({"passwordHash": {MARK: 1}}), "passwordHash"),
            (
                json!({"passwordHash": {MARK: "/passwordHash", "x": 1}}),
                "passwordHash",
            ),
        ] {
            let mut restored = line.clone();
            let problems = restore(&mut restored, &original).unwrap_err();
            assert_eq!(problems.0[0].field, field);
            assert_eq!(restored, line);
        }
    }

    #[test]
    fn what_the_source_holds_is_no_mark() {
        // An author's own field asks for the password.
        let original = json!({"bio": {MARK: "/passwordHash"}, "passwordHash": "h"});
        let mut line = redacted(&original);
        assert_eq!(line["bio"][MARK], "/bio");
        restore(&mut line, &original).unwrap();
        assert_eq!(line, original);
    }

    #[test]
    fn what_was_written_by_hand_is_not_kept_and_not_replaced() {
        let original = json!({"passwordHash": "old", "apiToken": "t"});
        let mut line = redacted(&original);
        line["passwordHash"] = json!("new");
        redact_line(&mut line);
        assert!(!line.to_string().contains("new"), "{line}");
        assert_eq!(line["apiToken"][MARK], "/apiToken");
        let problems = restore(&mut line, &original).unwrap_err();
        assert_eq!(problems.0.len(), 1);
        assert_eq!(problems.0[0].field, "passwordHash");
    }

    #[test]
    fn raw_bytes_are_left_out_with_a_secret_at_any_depth() {
        let original = json!({"a": [{"b": {"accessToken": "hush"}}], "$bson": "aHVzaA=="});
        let mut line = redacted(&original);
        assert!(!line.to_string().contains("aHVzaA"), "{line}");
        restore(&mut line, &original).unwrap();
        assert_eq!(line, original);
        let mut harmless = json!({"a": 1, "$bson": "AA=="});
        redact(&mut harmless);
        assert_eq!(harmless["$bson"], "AA==");
    }
}
