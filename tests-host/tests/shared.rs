//! How crates behave that a host shares with AuthorStack. The same is expected with AuthorStack's
//! crates and without them.

use bson::{Bson, Document, doc};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    price: Decimal,
    discount: Option<Decimal>,
    at: DateTime<Utc>,
}

fn line() -> Line {
    Line {
        price: "9.90".parse().unwrap(),
        discount: Some("0.5".parse().unwrap()),
        at: "2024-05-31T12:00:00.5Z".parse().unwrap(),
    }
}

#[test]
fn a_decimal_is_read_from_numbers_and_texts() {
    for text in [
        r#"{"price": 9.90, "discount": 0.5, "at": "2024-05-31T12:00:00.5Z"}"#,
        r#"{"price": "9.90", "discount": "0.5", "at": "2024-05-31T12:00:00.500Z"}"#,
    ] {
        assert_eq!(serde_json::from_str::<Line>(text).unwrap(), line());
    }
    assert_eq!(serde_json::from_str::<Decimal>("7").unwrap(), Decimal::from(7));
    assert_eq!(
        serde_json::to_string(&line()).unwrap(),
        r#"{"price":"9.90","discount":"0.5","at":"2024-05-31T12:00:00.500Z"}"#
    );
}

#[test]
fn json_is_read_as_serde_json_does_by_default() {
    // `preserve_order` would keep b first, `arbitrary_precision` the last zero.
    let value: Value = serde_json::from_str(r#"{"b": 1.10, "a": 1}"#).unwrap();
    assert_eq!(value.to_string(), r#"{"a":1,"b":1.1}"#);
    assert_eq!(value, json!({"a": 1, "b": 1.1}));
    // `float_roundtrip` would read each of these exactly, and take twice the time.
    let doubles = (1..1_000_u32).map(|number| f64::from(number).sqrt() * 1e17_f64.sqrt());
    let inexact = doubles.filter(|double| {
        let text = format!("{double:e}");
        serde_json::from_str::<f64>(&text).unwrap().to_bits() != double.to_bits()
    });
    assert!(inexact.count() > 0);
    assert!(serde_json::from_str::<Value>("1e400").is_err());
}

#[test]
fn bson_is_written_and_read_as_ever() {
    let written = bson::serialize_to_document(&line()).unwrap();
    let expected = doc! {"price": "9.90", "discount": "0.5", "at": "2024-05-31T12:00:00.500Z"};
    assert_eq!(written, expected);
    assert_eq!(bson::deserialize_from_document::<Line>(written).unwrap(), line());
    let numbers = doc! {"price": 9.5, "discount": 1, "at": "2024-05-31T12:00:00.5Z"};
    let read: Line = bson::deserialize_from_document(numbers).unwrap();
    assert_eq!(read.price.to_string(), "9.5");

    let id = bson::oid::ObjectId::parse_str("6b0379ca3f6979be1a457c2c").unwrap();
    let document = doc! {"_id": id, "n": 5_i64, "d": 0.1, "at": bson::DateTime::from_millis(7)};
    let relaxed = Bson::Document(document.clone()).into_relaxed_extjson();
    assert_eq!(
        relaxed.to_string(),
        r#"{"_id":{"$oid":"6b0379ca3f6979be1a457c2c"},"at":{"$date":"1970-01-01T00:00:00.007Z"},"d":0.1,"n":5}"#
    );
    let bytes = document.to_vec().unwrap();
    assert_eq!(Document::from_reader(bytes.as_slice()).unwrap(), document);
}

/// AuthorStack's own types in a host's JSON.
#[cfg(feature = "authorstack")]
#[test]
fn records_have_exact_decimals_without_those_features() {
    use authorstack_core::{Amount, Price, Sums, json};

    for text in ["0.1", r#""0.1""#] {
        assert_eq!(serde_json::from_str::<Amount>(text).unwrap().cents(), 10);
        assert_eq!(serde_json::from_str::<Price>(text).unwrap().to_string(), "0.1");
    }
    let sums: Sums = serde_json::from_str(r#"{"revenue": 1234567890123.45, "units": 1}"#).unwrap();
    assert_eq!(sums.revenue.to_string(), "1234567890123.45");
    let double = "31.245270191439438";
    assert_eq!(json::parse(double.as_bytes()).unwrap().to_string(), double);
}
