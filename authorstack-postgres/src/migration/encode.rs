//! The JSON of a row, as the server writes it, for the rejects.

use authorstack_core::json;
use serde_json::{Value, json};

/// The row as JSON. Numbers that are too large for a double become texts, because JSON readers
/// refuse them.
pub(super) fn row(text: &str) -> Value {
    let read = json::parse(text.as_bytes());
    let read = read.or_else(|_| json::parse(without_large_numbers(text).as_bytes()));
    // Deeply nested values may contain unexpected secrets. The row is still in the source.
    read.unwrap_or_else(|_| json!({"$unreadable": "nested too deep; see the row in the source"}))
}

fn without_large_numbers(text: &str) -> String {
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
        let is_large = !is_text && token.parse::<f64>().is_ok_and(f64::is_infinite);
        if is_large {
            written.push('"');
            written.push_str(token);
            written.push('"');
        } else {
            written.push_str(token);
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
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(row(&deep).get("$unreadable").is_some());
    }
}
