//! JSON without loss: numbers are read exactly, whatever features of `serde_json` a build has.
//!
//! The form of the records is described in `docs/json.md`.

use std::{cell::Cell, fmt, sync::OnceLock};

use rust_decimal::Decimal;
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Reads JSON. A double is the nearest one to the number as written; `serde_json` alone may be off
/// by the last bit, unless its feature `float_roundtrip` is on.
///
/// ```
/// let read = authorstack_core::json::parse(b"[31.245270191439438]")?;
/// assert_eq!(read.to_string(), "[31.245270191439438]");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// The text is not JSON, is nested in more than 127 levels, or has a number beyond a double.
pub fn parse(json: &[u8]) -> serde_json::Result<Value> {
    read(json, Numbers::AsNumbers)
}

/// Reads JSON, and makes each number a text: as it was written, with all its digits.
///
/// # Errors
/// As [`parse`].
pub fn parse_numbers_as_texts(json: &[u8]) -> serde_json::Result<Value> {
    read(json, Numbers::AsTexts)
}

fn read(json: &[u8], numbers: Numbers) -> serde_json::Result<Value> {
    match read_as(json, json, numbers) {
        // `serde_json` takes a double near the largest one for a larger one.
        Err(error) if error.is_syntax() => read_as(json, &without_fractions(json), numbers),
        read => read,
    }
}

/// The text with each number that becomes a double replaced by another one, of the same form for
/// `serde_json`. What is no number stays.
fn without_fractions(json: &[u8]) -> Vec<u8> {
    let written = Written {
        json,
        at: Cell::new(0),
        skipped: Cell::new(0),
    };
    let (mut text, mut copied) = (Vec::with_capacity(json.len()), 0);
    while let Some(number) = written.next() {
        let end = written.at.get();
        if is_double(number) {
            text.extend_from_slice(&json[copied..end - number.len()]);
            text.extend_from_slice(b"0.5");
            copied = end;
        }
    }
    text.extend_from_slice(&json[copied..]);
    text
}

/// Whether JSON has such a number, and a reader makes a double of it.
fn is_double(number: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|it| digits(it.strip_prefix(['+', '-']).unwrap_or(it)));
    let is_whole = fraction.is_none() && exponent.is_none();
    is_number && (!is_whole || (number.parse::<i64>().is_err() && number.parse::<u64>().is_err()))
}

/// Reads a text whose numbers are those of `json`.
fn read_as(json: &[u8], text: &[u8], numbers: Numbers) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let written = Written {
        json,
        at: Cell::new(0),
        skipped: Cell::new(0),
    };
    let seed = Values {
        written: Some(&written),
        numbers,
    };
    let value = seed.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value of any format that describes itself. Unlike `serde_json::Value` it gives no name
/// of a field a meaning of its own.
pub(crate) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let seed = Values {
        written: None,
        numbers: Numbers::AsNumbers,
    };
    seed.deserialize(deserializer)
}

#[derive(Clone, Copy)]
enum Numbers {
    AsNumbers,
    AsTexts,
}

/// The numbers of a JSON text, in their order.
struct Written<'j> {
    json: &'j [u8],
    at: Cell<usize>,
    /// How many numbers were read by other means since the last one was asked for.
    skipped: Cell<usize>,
}

impl Written<'_> {
    fn skip(&self) {
        self.skipped.set(self.skipped.get() + 1);
    }

    /// The number that the reader has just passed.
    fn number(&self) -> Option<&str> {
        for _ in 0..self.skipped.take() {
            self.next()?;
        }
        self.next()
    }

    fn next(&self) -> Option<&str> {
        let mut at = self.at.get();
        loop {
            match self.json.get(at)? {
                b'"' => {
                    at += 1;
                    while *self.json.get(at)? != b'"' {
                        at += 1 + usize::from(self.json[at] == b'\\');
                    }
                    at += 1;
                }
                b'-' | b'0'..=b'9' => break,
                _ => at += 1,
            }
        }
        let rest = &self.json[at..];
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        self.at.set(at + length);
        std::str::from_utf8(&rest[..length]).ok()
    }
}

/// Reads values.
#[derive(Clone, Copy)]
struct Values<'w> {
    written: Option<&'w Written<'w>>,
    numbers: Numbers,
}

impl Values<'_> {
    fn number<E: de::Error>(self, read: impl FnOnce() -> Option<Number>) -> Result<Value, E> {
        let out_of_range = || E::custom("a number is out of range");
        match (self.written, self.numbers) {
            (Some(written), Numbers::AsTexts) => {
                let text = written.number().ok_or_else(out_of_range)?;
                Ok(Value::String(text.to_owned()))
            }
            (written, _) => {
                if let Some(written) = written {
                    written.skip();
                }
                read().map(Value::Number).ok_or_else(out_of_range)
            }
        }
    }

    fn float<E: de::Error>(self, float: f64) -> Result<Value, E> {
        match (self.written, self.numbers) {
            (Some(written), Numbers::AsNumbers) => {
                let exact = written.number().and_then(|text| text.parse().ok());
                let number = exact.and_then(Number::from_f64);
                number
                    .map(Value::Number)
                    .ok_or_else(|| E::custom("a number is out of range"))
            }
            _ => self.number(|| Number::from_f64(float)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        self.number(|| Some(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        self.number(|| Some(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        self.float(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if object.is_empty() && name == NUMBER && has_arbitrary_precision() {
                let text: String = entries.next_value()?;
                return self.written_number(&text);
            }
            object.insert(name, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

/// How `serde_json` passes a number on if a host has its feature `arbitrary_precision` on.
const NUMBER: &str = "$serde_json::private::Number";

fn has_arbitrary_precision() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let number = serde_json::from_str::<Number>("1.00");
        number.is_ok_and(|number| number.to_string() == "1.00")
    })
}

impl Values<'_> {
    /// The number that is made without that feature.
    fn written_number<E: de::Error>(self, text: &str) -> Result<Value, E> {
        let whole = text.parse::<i64>().map(Number::from);
        let whole = whole.or_else(|_| text.parse::<u64>().map(Number::from));
        match whole {
            Ok(whole) if text != "-0" => self.number(|| Some(whole)),
            _ => self.number(|| Number::from_f64(text.parse().ok()?)),
        }
    }
}

/// Reads a decimal number, also in scientific notation, with all its digits: a text that would be
/// rounded is refused.
///
/// ```
/// use authorstack_core::json::parse_decimal;
///
/// assert_eq!(parse_decimal("3e-1"), parse_decimal("0.3"));
/// assert_eq!(parse_decimal("1.5E3").map(|number| number.to_string()), Some("1500".to_owned()));
/// assert_eq!(parse_decimal("1e-29"), None);
/// assert_eq!(parse_decimal("1e-9223372036854775808"), None);
/// ```
#[must_use]
pub fn parse_decimal(text: &str) -> Option<Decimal> {
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else {
        return Decimal::from_str_exact(text).ok();
    };
    let mut number = Decimal::from_str_exact(digits).ok()?;
    let scale = i64::from(number.scale()).checked_sub(exponent.parse().ok()?)?;
    if scale < 0 {
        number.set_scale(0).ok()?;
        for _ in 0..scale.unsigned_abs().min(100) {
            number = number.checked_mul(Decimal::TEN)?;
        }
        // Zero with any exponent is zero.
        (scale >= -100 || number.is_zero()).then_some(number)
    } else {
        number.set_scale(scale.try_into().ok()?).ok()?;
        Some(number)
    }
}

/// The decimal number that JSON holds: a text, or a number of at most fifteen significant digits.
/// The reader of a longer number with a fraction has only the double nearest to it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decimal_of(json: &Value) -> Result<Decimal, String> {
    const MOST: usize = 15;
    match json {
        Value::String(text) => parse_decimal(text.trim())
            .ok_or_else(|| format!("{} is not a decimal number", excerpt(text))),
        Value::Number(number) => {
            let text = number.to_string();
            let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
            let is_whole = number.is_i64() || number.is_u64();
            let significant = digits.trim_start_matches(['-', '0', '.']);
            let count = significant.bytes().filter(u8::is_ascii_digit).count();
            // The last zero of 5.0 is only how a double is written.
            let count = count - usize::from(digits.ends_with(".0") && count > 0);
            if !is_whole && count > MOST {
                return Err(format!(
                    "{text} has more than {MOST} digits, which a JSON number with a fraction does \
                     not keep; write it as a text: \"{text}\""
                ));
            }
            let read = if exponent == "0" {
                Decimal::from_str_exact(&text)
            } else {
                Decimal::from_scientific(&text)
            };
            read.map_err(|_| format!("{text} is too large or too small for a decimal number"))
        }
        Value::Null => Err("is empty".to_owned()),
        Value::Bool(_) => Err("is true or false, not a decimal number".to_owned()),
        Value::Array(_) => Err("is a list, not a decimal number".to_owned()),
        Value::Object(_) => Err("is an object, not a decimal number".to_owned()),
    }
}

/// The start of a text for a message: quoted and escaped.
fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

/// A decimal number: a text in JSON, which keeps all digits. A number is read as well.
///
/// ```
/// # use rust_decimal::Decimal;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Rate {
///     #[serde(with = "authorstack_core::json::decimal")]
///     rate: Decimal,
/// }
/// let rate: Rate = serde_json::from_str(r#"{"rate":0.1}"#)?;
/// assert_eq!(serde_json::to_string(&rate)?, r#"{"rate":"0.1"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub mod decimal {
    use super::{Decimal, Deserializer, de};
    use serde::Serializer;

    /// Writes the number as a text.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(number: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    /// Reads a text, or a number of at most fifteen digits.
    ///
    /// # Errors
    /// It is neither, or too large.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        super::decimal_of(&super::value(deserializer)?).map_err(de::Error::custom)
    }

    /// A decimal number that may be missing. With `#[serde(default)]` the field may be left out.
    pub mod option {
        use super::{Decimal, Deserializer, Serializer, de};

        /// Writes the number as a text, or null.
        ///
        /// # Errors
        /// The serializer's.
        pub fn serialize<S: Serializer>(
            number: &Option<Decimal>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match number {
                Some(number) => serializer.collect_str(number),
                None => serializer.serialize_none(),
            }
        }

        /// Reads a text, a number of at most fifteen digits, or null.
        ///
        /// # Errors
        /// It is none of these, or too large.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Decimal>, D::Error> {
            match crate::json::value(deserializer)? {
                serde_json::Value::Null => Ok(None),
                found => crate::json::decimal_of(&found)
                    .map(Some)
                    .map_err(de::Error::custom),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text_of(json: &str) -> String {
        parse(json.as_bytes()).unwrap().to_string()
    }

    proptest! {
        #[test]
        fn every_double_comes_back(bits: [u64; 4], whole: i64, text: String) {
            let floats: Vec<f64> = bits.map(f64::from_bits).into_iter().filter(|it| it.is_finite()).collect();
            let value = json!({"a": [whole, text, floats], "b\"1.5": whole, "c": {"\\": floats, "d": text}});
            let read = parse(value.to_string().as_bytes()).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(read.to_string(), value.to_string());
        }

        /// A number of up to fifteen digits is exact, with the parser of any host.
        #[test]
        fn short_numbers_are_exact(mantissa in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0..=22_u32) {
            let number = Decimal::new(mantissa, scale);
            let json: Value = serde_json::from_str(&number.to_string()).unwrap();
            prop_assert_eq!(decimal_of(&json).unwrap(), number);
            prop_assert_eq!(decimal_of(&json!(number.to_string())).unwrap(), number);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(text.as_bytes());
            let _ = parse_numbers_as_texts(text.as_bytes());
        }
    }

    #[test]
    fn numbers_keep_their_digits_as_texts() {
        let read =
            parse_numbers_as_texts(br#"{"a":[1, -2.50,1e3, "7"],"b":12345678901234567890.12}"#);
        assert_eq!(
            read.unwrap(),
            json!({"a": ["1", "-2.50", "1e3", "7"], "b": "12345678901234567890.12"})
        );
    }

    #[test]
    fn the_largest_doubles_are_read() {
        for float in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324] {
            for text in [format!("[{float:?}]"), format!("[{float:e}]")] {
                let read = parse(text.as_bytes()).map(|read| read[0].as_f64());
                assert_eq!(read.unwrap(), Some(float), "{text}");
            }
        }
        for wrong in [
            "[1.2.3]", "[01.5]", "[1.]", "[-]", "[1e]", "[1e400]", "[.5]", "[+1.0]",
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ordinary_json_is_read_as_ever() {
        for json in [
            "-0.0",
            "[0,-1,18446744073709551615,true,null,\"a\\\"1\"]",
            "{}",
        ] {
            assert_eq!(text_of(json), json);
        }
        for wrong in ["", "1 2", "{", "1e400", "[1,]", &"[".repeat(200)] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    /// `serde_json` itself, as sqlx configures it, refuses such an object or takes it for a number.
    #[test]
    fn no_name_has_a_meaning_of_its_own() {
        for name in [
            "$serde_json::private::Number",
            "$serde_json::private::RawValue",
        ] {
            let json = format!(r#"{{"{name}":[5]}}"#);
            assert_eq!(text_of(&json), json);
        }
    }

    #[test]
    fn long_numbers_are_refused_rather_than_rounded() {
        for (json, decimal) in [
            (json!("0.10"), "0.10"),
            (json!(0.1), "0.1"),
            (json!(5.0), "5.0"),
            (json!(-3), "-3"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(1e-7), "0.0000001"),
            (json!(1e20), "100000000000000000000"),
            (json!("0.1234567890123456789"), "0.1234567890123456789"),
            (json!("1e3"), "1000"),
            (json!("3E-1"), "0.3"),
            (json!("0e99"), "0"),
            (json!("-1.50e1"), "-15.0"),
        ] {
            assert_eq!(decimal_of(&json).unwrap().to_string(), decimal, "{json}");
        }
        let refused = decimal_of(&json!(0.1 + 0.2)).unwrap_err();
        assert!(refused.contains("write it as a text"), "{refused}");
        for json in [
            json!("1e-29"),
            json!("1e29"),
            json!("1e"),
            json!("1e1e1"),
            json!("x"),
            json!(""),
            json!(1e300),
            json!(null),
            json!([1]),
        ] {
            assert!(decimal_of(&json).is_err(), "{json}");
        }
    }
}
