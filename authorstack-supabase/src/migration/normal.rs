//! JSON as `jsonb` gives it back: the keys of an object by length and then by bytes, a blank after
//! commas and colons, numbers with all their digits.

use std::{borrow::Cow, ops::Range};

/// No record has JSON that is nested more deeply.
const DEEPEST: usize = 256;
/// A number with a larger exponent is not written out.
const LARGEST_EXPONENT: i64 = 400;

/// Writes compact JSON in the server's form. Returns `false` for what this does not know to do,
/// such as a zero with a sign.
pub(super) fn normal_json(compact: &[u8], into: &mut Vec<u8>) -> bool {
    let mut writer = Writer {
        from: compact,
        at: 0,
        into,
        spare: Vec::new(),
    };
    writer.value(DEEPEST).is_some() && writer.at == compact.len()
}

/// The key that a text stands for.
fn key_of(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if text.contains(&b'\\') {
        let key: String = serde_json::from_slice(text).ok()?;
        return Some(Cow::Owned(key.into_bytes()));
    }
    Some(Cow::Borrowed(text.get(1..text.len().checked_sub(1)?)?))
}

struct Writer<'j> {
    from: &'j [u8],
    at: usize,
    into: &'j mut Vec<u8>,
    /// Where the members of an object are put in order.
    spare: Vec<u8>,
}

impl Writer<'_> {
    fn value(&mut self, deeper: usize) -> Option<()> {
        match self.from.get(self.at)? {
            b'{' => self.object(deeper.checked_sub(1)?),
            b'[' => self.array(deeper.checked_sub(1)?),
            b'"' => {
                let text = self.text()?;
                self.into.extend_from_slice(&self.from[text]);
                Some(())
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Skips a byte, if it comes next.
    fn skip(&mut self, byte: u8) -> bool {
        let comes = self.from.get(self.at) == Some(&byte);
        self.at += usize::from(comes);
        comes
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.from.get(self.at..)?.strip_prefix(word)?;
        self.at += word.len();
        self.into.extend_from_slice(word);
        Some(())
    }

    /// Where a text is, with its quotes. The server escapes the same characters in the same way.
    fn text(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if !self.skip(b'"') {
            return None;
        }
        loop {
            let byte = *self.from.get(self.at)?;
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return Some(start..self.at);
            }
        }
    }

    fn array(&mut self, deeper: usize) -> Option<()> {
        self.at += 1;
        self.into.push(b'[');
        if !self.skip(b']') {
            loop {
                self.value(deeper)?;
                if self.skip(b']') {
                    break;
                }
                if !self.skip(b',') {
                    return None;
                }
                self.into.extend_from_slice(b", ");
            }
        }
        self.into.push(b']');
        Some(())
    }

    fn object(&mut self, deeper: usize) -> Option<()> {
        self.at += 1;
        self.into.push(b'{');
        let start = self.into.len();
        // The keys as they are, and where their members are written.
        let mut members: Vec<(Cow<'_, [u8]>, Range<usize>)> = Vec::new();
        if !self.skip(b'}') {
            loop {
                let key = self.text()?;
                let member = self.into.len();
                self.into.extend_from_slice(&self.from[key.clone()]);
                if !self.skip(b':') {
                    return None;
                }
                self.into.extend_from_slice(b": ");
                self.value(deeper)?;
                members.push((key_of(&self.from[key])?, member..self.into.len()));
                if self.skip(b'}') {
                    break;
                }
                if !self.skip(b',') {
                    return None;
                }
            }
        }
        members.sort_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
        // Of two members with one key, the server keeps one.
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return None;
        }
        self.spare.clear();
        for (index, (_, member)) in members.into_iter().enumerate() {
            if index > 0 {
                self.spare.extend_from_slice(b", ");
            }
            self.spare.extend_from_slice(&self.into[member]);
        }
        self.into.truncate(start);
        self.into.extend_from_slice(&self.spare);
        self.into.push(b'}');
        Some(())
    }

    /// A number. The server writes exponents out and keeps zeros at the end of a fraction.
    fn number(&mut self) -> Option<()> {
        let rest = self.from.get(self.at..)?;
        let is_of_number =
            |byte: &&u8| matches!(**byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(is_of_number).count();
        let number = std::str::from_utf8(&rest[..length]).ok()?;
        self.at += length;
        let (sign, unsigned) = match number.strip_prefix('-') {
            Some(unsigned) => ("-", unsigned),
            None => ("", number),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || !digits().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // The server has one zero only.
        if !sign.is_empty() && digits().all(|digit| digit == b'0') {
            return None;
        }
        self.into.extend_from_slice(sign.as_bytes());
        if exponent == 0 {
            self.into.extend_from_slice(mantissa.as_bytes());
            return Some(());
        }
        if exponent.abs() > LARGEST_EXPONENT {
            return None;
        }
        // Where the point comes to stand among the digits.
        let point = i64::try_from(whole.len()).ok()? + exponent;
        let digits: Vec<u8> = digits().collect();
        let before = usize::try_from(point.max(0)).ok()?;
        let zeros = before.saturating_sub(digits.len());
        let mut whole: Vec<u8> = digits[..before.min(digits.len())].to_vec();
        whole.extend(std::iter::repeat_n(b'0', zeros));
        let first = whole.iter().position(|digit| *digit != b'0');
        match first {
            Some(first) => self.into.extend_from_slice(&whole[first..]),
            None => self.into.push(b'0'),
        }
        let fraction = &digits[before.min(digits.len())..];
        let zeros = usize::try_from((-point).max(0)).ok()?;
        if !fraction.is_empty() {
            self.into.push(b'.');
            self.into.extend(std::iter::repeat_n(b'0', zeros));
            self.into.extend_from_slice(fraction);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(json: &str) -> Option<String> {
        let mut into = b"before".to_vec();
        normal_json(json.as_bytes(), &mut into).then(|| {
            let text = String::from_utf8(into).unwrap();
            text.strip_prefix("before").unwrap().to_owned()
        })
    }

    #[test]
    fn json_has_the_form_of_the_server() {
        for (json, expected) in [
            ("{}", "{}"),
            ("[]", "[]"),
            (
                r#"[1,"a",null,true,false]"#,
                r#"[1, "a", null, true, false]"#,
            ),
            (
                r#"{"bb":1,"a":{"zz":[],"y":{}},"ab":"x,:\"}"}"#,
                r#"{"a": {"y": {}, "zz": []}, "ab": "x,:\"}", "bb": 1}"#,
            ),
            // The length counts in bytes of the text, not of its escapes.
            (
                r#"{"\n\n":1,"abc":2,"ä":3}"#,
                r#"{"\n\n": 1, "ä": 3, "abc": 2}"#,
            ),
            (
                r#"{"\"":1,"a":2,"b\\":3}"#,
                r#"{"\"": 1, "a": 2, "b\\": 3}"#,
            ),
            ("[1.0,1.50,-2,0,0.0]", "[1.0, 1.50, -2, 0, 0.0]"),
            (
                "[1e-7,1.5e-7,-2.5e3,1.25e1,1e20]",
                "[0.0000001, 0.00000015, -2500, 12.5, 100000000000000000000]",
            ),
        ] {
            assert_eq!(normal(json).as_deref(), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_is_not_known_is_said() {
        for json in [
            "-0",
            "-0.0",
            "1e999",
            r#"{"a":1,"a":2}"#,
            "",
            "{",
            "[1",
            "1 2",
            r#""a"#,
            "x",
        ] {
            assert_eq!(normal(json), None, "{json}");
        }
        let deep = "[".repeat(1_000) + &"]".repeat(1_000);
        assert_eq!(normal(&deep), None);
    }
}
