//! The JSON of a row, as the server writes it, for the rejects.

use authorstack_core::json;
use serde_json::{Map, Value, json};

/// The row as JSON. Numbers with more digits than a double has become texts, because JSON readers
/// round or refuse them. A column that is nested too deep does not hide the others.
pub(super) fn row(text: &str) -> Value {
    let exact = with_exact_numbers(text);
    json::parse(exact.as_bytes()).unwrap_or_else(|_| by_columns(&exact))
}

/// What stands for a value that is nested too deep. It may contain unexpected secrets, and is still
/// in the source.
pub(super) const UNREADABLE: &str = "$unreadable";

/// The row, each of its columns read alone.
fn by_columns(text: &str) -> Value {
    let mut row = Map::new();
    let mut rest = text.trim_start().strip_prefix('{').unwrap_or_default();
    while let Some(at) = rest.find('"') {
        let (name, behind) = rest[at..].split_at(text_length(&rest[at..]));
        let value = behind.trim_start().strip_prefix(':').unwrap_or_default();
        let (value, behind) = value.split_at(value_length(value));
        if let Ok(Value::String(name)) = json::parse(name.as_bytes()) {
            let read = json::parse(value.as_bytes());
            let deep = || json!({UNREADABLE: "nested too deep; see the row in the source"});
            row.insert(name, read.unwrap_or_else(|_| deep()));
        }
        rest = behind;
    }
    Value::Object(row)
}

/// The length of a value, which ends at a comma or a bracket of the object around it.
fn value_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => {
                at += text_length(&text[at..]);
                continue;
            }
            '[' | '{' => depth += 1,
            ',' | ']' | '}' if depth == 0 => return at,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        at += c.len_utf8();
    }
    at
}

/// Whether a double, or a whole number of 64 bits, has all digits of a number.
fn is_exact(token: &str) -> bool {
    if token.parse::<i64>().is_ok() {
        return true;
    }
    let Ok(double) = token.parse::<f64>() else {
        return false;
    };
    double.is_finite() && canonical(&format!("{double:e}")) == canonical(token)
}

/// The digits of a number without zeros around them, and its exponent.
fn canonical(token: &str) -> Option<(bool, String, i64)> {
    let (digits, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let negative = whole.starts_with('-');
    let all = format!("{}{fraction}", whole.trim_start_matches('-'));
    let kept = all.trim_end_matches('0');
    let dropped = i64::try_from(all.len() - kept.len()).ok()?;
    let scale = i64::try_from(fraction.len()).ok()?;
    let significant = kept.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return Some((false, significant, 0));
    }
    let exponent = exponent.parse::<i64>().ok()? + dropped - scale;
    Some((negative, significant, exponent))
}

fn with_exact_numbers(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        written.push_str(before);
        let is_text = from.starts_with('"');
        let length = if is_text {
            text_length(from)
        } else {
            let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
            from.find(|c: char| !is_number(c)).unwrap_or(from.len())
        };
        let (token, behind) = from.split_at(length);
        if is_text || is_exact(token) {
            written.push_str(token);
        } else {
            written.push('"');
            written.push_str(token);
            written.push('"');
        }
        rest = behind;
    }
    written.push_str(rest);
    written
}

/// The length of the quoted text at the start.
fn text_length(from: &str) -> usize {
    let mut escaped = false;
    let end = from.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(from.len(), |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_become_texts() {
        let large = format!("1{}", "0".repeat(400));
        let text = format!(
            r#"{{"id": 7, "a": [1, -{large}, 2.50, {large}.5], "b\"\\": "{large} \" -1", "c": -1e5}}"#
        );
        let value = row(&text);
        assert_eq!(value["id"], 7);
        assert_eq!(
            value["a"],
            json!([1, format!("-{large}"), 2.5, format!("{large}.5")])
        );
        assert_eq!(value["b\"\\"], format!("{large} \" -1"));
        assert_eq!(value["c"], -1e5);
    }

    #[test]
    fn ordinary_rows_are_read_as_they_are() {
        assert_eq!(row(r#"{"a": 1.10}"#), json!({"a": 1.1}));
        let exact =
            r#"{"a": 19.989999999999998, "b": 12345678901234567890123, "c": 0.10, "d": -0.0}"#;
        let value = row(exact);
        assert_eq!(value["a"], "19.989999999999998");
        assert_eq!(value["b"], "12345678901234567890123");
        assert_eq!(value["c"], json!(0.1));
        let value = row(r#"{"a": 19.98999999999999812}"#);
        assert_eq!(value["a"], "19.98999999999999812");
    }

    #[test]
    fn a_deep_value_hides_no_other() {
        let deep = format!("{}1{}", "[{\"x\":".repeat(200), "}]".repeat(200));
        let value = row(&format!(
            r#"{{"id": 7, "content": {deep}, "user\"_id": "a}},{{"}}"#
        ));
        assert_eq!(value["id"], 7);
        assert!(value["content"].get(UNREADABLE).is_some());
        assert_eq!(value["user\"_id"], "a},{");
    }
}
