//! MongoDB's Extended JSON v2, written from BSON bytes and read back.
//!
//! Two forms are written. [`Form::Canonical`] keeps every type; rejects and keys use it.
//! [`Form::Relaxed`] is for [`Extra`](authorstack_core::Extra): plain numbers and legible dates,
//! but a double that PostgreSQL's `jsonb` would change (NaN, the infinities, -0.0, whole numbers
//! from 1e15 on) becomes `{"$numberDouble": "…"}`.

use std::fmt;

use authorstack_core::migrate::{Problem, Problems};
use base64::{Engine, prelude::BASE64_STANDARD};
use bson::{
    Binary, DateTime, DbPointer, Decimal128, RawArrayBuf, RawBson, RawDocumentBuf,
    RawJavaScriptCodeWithScope, Regex, Timestamp,
    oid::ObjectId,
    raw::{CStr, CString},
    spec::BinarySubtype,
};
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use crate::raw::{Elements, Raw};

/// How numbers and dates are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Relaxed,
    Canonical,
}

/// The path of a value in its document. It becomes text only for a problem.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            // An empty name would not be seen.
            Self::Field(Self::Root, "") => f.write_str("\"\""),
            Self::Field(parent, "") => write!(f, "{parent}.\"\""),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}.{index}"),
        }
    }
}

impl Path<'_> {
    fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Field(parent, _) | Self::Index(parent, _) => parent.depth() + 1,
        }
    }

    /// A problem of the value at this path.
    pub(crate) fn problem(&self, problem: impl Into<String>) -> Problem {
        Problem::new(self.to_string(), problem)
    }
}

/// Deeper documents are refused. This is MongoDB's own limit, and JSON readers accept it.
const MOST_LEVELS: usize = 100;

/// The keys that mark a type in Extended JSON. A stored document with such a key would look like a
/// value of the type.
const TYPE_KEYS: &[&str] = &[
    "$binary",
    "$code",
    "$date",
    "$dbPointer",
    "$maxKey",
    "$minKey",
    "$numberDecimal",
    "$numberDouble",
    "$numberInt",
    "$numberLong",
    "$oid",
    "$regularExpression",
    "$scope",
    "$symbol",
    "$timestamp",
    "$undefined",
    "$uuid",
];

/// The text of bytes that should be UTF-8. Other bytes are replaced, and are a problem.
pub(crate) fn text(bytes: &[u8], path: &Path<'_>, problems: &mut Problems) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            problems.push(not_utf8(&error, path));
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

/// The problem of a text that is not UTF-8.
pub(crate) fn not_utf8(error: &std::str::Utf8Error, path: &Path<'_>) -> Problem {
    path.problem(format!(
        "holds bytes that are not UTF-8, from byte {} on; store the text as UTF-8",
        error.valid_up_to()
    ))
}

/// The problem of a document that cannot be read completely.
pub(crate) fn malformed(path: &Path<'_>) -> Problem {
    let problem = "is damaged: its bytes are not a BSON document; restore it from a backup";
    match path {
        Path::Root => Problem::new("", format!("the document {problem}")),
        Path::Field(..) | Path::Index(..) => path.problem(problem),
    }
}

/// The problem of a field that appears twice.
pub(crate) fn repeated(path: &Path<'_>) -> Problem {
    path.problem("appears more than once in one document; keep one of them")
}

/// A value as JSON. A value that JSON cannot hold is a problem, and is left out or replaced.
pub(crate) fn to_json(
    form: Form,
    value: Raw<'_>,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Value {
    let hex = |id: [u8; 12]| ObjectId::from_bytes(id).to_hex();
    match value {
        Raw::Double(number) => double_to_json(form, number),
        Raw::Text(bytes) => text(bytes, path, problems).into(),
        Raw::Document(bytes) => Value::Object(document_to_json(form, bytes, path, problems)),
        Raw::Array(bytes) => array_to_json(form, bytes, path, problems),
        Raw::Binary { subtype, bytes } => json!({"$binary": {
            "base64": BASE64_STANDARD.encode(bytes),
            "subType": format!("{subtype:02x}"),
        }}),
        Raw::Undefined => json!({"$undefined": true}),
        Raw::ObjectId(id) => json!({"$oid": hex(id)}),
        Raw::Bool(yes) => yes.into(),
        Raw::Date(millis) => json!({"$date": date_to_json(form, millis)}),
        Raw::Null => Value::Null,
        Raw::Regex { pattern, options } => json!({"$regularExpression": {
            "pattern": text(pattern, path, problems),
            "options": text(options, path, problems),
        }}),
        Raw::DbPointer { namespace, id } => json!({"$dbPointer": {
            "$ref": text(namespace, path, problems),
            "$id": {"$oid": hex(id)},
        }}),
        Raw::Code(code) => json!({"$code": text(code, path, problems)}),
        Raw::Symbol(symbol) => json!({"$symbol": text(symbol, path, problems)}),
        Raw::CodeWithScope { code, scope } => json!({
            "$code": text(code, path, problems),
            "$scope": document_to_json(form, scope, &Path::Field(path, "$scope"), problems),
        }),
        Raw::Int32(number) if form == Form::Canonical => {
            json!({"$numberInt": number.to_string()})
        }
        Raw::Int32(number) => number.into(),
        Raw::Timestamp { time, increment } => json!({"$timestamp": {"t": time, "i": increment}}),
        Raw::Int64(number) if form == Form::Canonical => {
            json!({"$numberLong": number.to_string()})
        }
        Raw::Int64(number) => number.into(),
        Raw::Decimal(bytes) => {
            json!({"$numberDecimal": Decimal128::from_bytes(bytes).to_string()})
        }
        Raw::MinKey => json!({"$minKey": 1}),
        Raw::MaxKey => json!({"$maxKey": 1}),
    }
}

fn double_to_json(form: Form, number: f64) -> Value {
    /// From this size on, `jsonb` writes a whole number without a decimal point.
    const LARGE: f64 = 1e15;
    let whole = number.fract() == 0.0;
    let survives = number.is_finite()
        && !(whole && number.abs() >= LARGE)
        && !(number == 0.0 && number.is_sign_negative());
    if form == Form::Relaxed && survives {
        return number.into();
    }
    let text = if number.is_infinite() {
        if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned()
    } else {
        format!("{number:?}")
    };
    json!({"$numberDouble": text})
}

fn date_to_json(form: Form, millis: i64) -> Value {
    /// The first moment of the year 10000, which RFC 3339 cannot write.
    const END: i64 = 253_402_300_800_000;
    let legible = form == Form::Relaxed && (0..END).contains(&millis);
    match chrono::DateTime::from_timestamp_millis(millis) {
        Some(date) if legible => date.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(),
        _ => json!({"$numberLong": millis.to_string()}),
    }
}

fn array_to_json(form: Form, bytes: &[u8], path: &Path<'_>, problems: &mut Problems) -> Value {
    if path.depth() > MOST_LEVELS {
        problems.push(too_deep(path));
        return Value::Null;
    }
    let mut items = Vec::new();
    for element in Elements::new(bytes) {
        match element {
            Ok((_, value)) => {
                let path = Path::Index(path, items.len());
                items.push(to_json(form, value, &path, problems));
            }
            Err(_) => problems.push(malformed(path)),
        }
    }
    Value::Array(items)
}

fn too_deep(path: &Path<'_>) -> Problem {
    path.problem(format!(
        "is nested more than {MOST_LEVELS} levels deep; flatten it"
    ))
}

/// A document's fields as JSON.
pub(crate) fn document_to_json(
    form: Form,
    bytes: &[u8],
    path: &Path<'_>,
    problems: &mut Problems,
) -> Map<String, Value> {
    let mut fields = Map::new();
    if path.depth() > MOST_LEVELS {
        problems.push(too_deep(path));
        return fields;
    }
    for element in Elements::new(bytes) {
        let Ok((key, value)) = element else {
            problems.push(malformed(path));
            continue;
        };
        let key = text(key, path, problems);
        let here = Path::Field(path, &key);
        if !matches!(path, Path::Root) && TYPE_KEYS.contains(&key.as_str()) {
            problems.push(here.problem(
                "is a name that Extended JSON reserves, so the value would look like a type; \
                 rename the field",
            ));
        }
        let value = to_json(form, value, &here, problems);
        if fields.contains_key(&key) {
            problems.push(repeated(&here));
        } else {
            fields.insert(key, value);
        }
    }
    fields
}

/// Adds JSON fields to a document.
pub(crate) fn append_fields(
    document: &mut RawDocumentBuf,
    fields: &Map<String, Value>,
    path: &Path<'_>,
    problems: &mut Problems,
) {
    if path.depth() > MOST_LEVELS {
        problems.push(too_deep(path));
        return;
    }
    for (key, value) in fields {
        let here = Path::Field(path, key);
        match <&CStr>::try_from(key.as_str()) {
            Ok(name) => document.append(name, from_json(value, &here, problems)),
            Err(_) => {
                problems
                    .push(here.problem("a field's name cannot hold a NUL character; rename it"));
            }
        }
    }
}

/// A JSON value, Extended or plain, as BSON. Malformed Extended JSON is a problem.
pub(crate) fn from_json(value: &Value, path: &Path<'_>, problems: &mut Problems) -> RawBson {
    match value {
        Value::Null => RawBson::Null,
        Value::Bool(yes) => RawBson::Boolean(*yes),
        Value::String(text) => RawBson::String(text.clone()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => i32::try_from(whole).map_or(RawBson::Int64(whole), RawBson::Int32),
            (None, Some(double)) if number.is_f64() => RawBson::Double(double),
            _ => {
                problems.push(path.problem(
                    "is a whole number beyond 64 bits; write {\"$numberDecimal\": \"…\"}",
                ));
                RawBson::Null
            }
        },
        Value::Array(items) => {
            if path.depth() > MOST_LEVELS {
                problems.push(too_deep(path));
                return RawBson::Null;
            }
            let items = items.iter().enumerate();
            let array: RawArrayBuf = items
                .map(|(index, item)| from_json(item, &Path::Index(path, index), problems))
                .collect();
            RawBson::Array(array)
        }
        Value::Object(fields) => {
            if let Some(key) = TYPE_KEYS.iter().find(|key| fields.contains_key(**key)) {
                return typed(fields, path, problems).unwrap_or_else(|| {
                    problems.push(path.problem(format!(
                        "is not Extended JSON: the object with {key:?} does not have that type's \
                         form; write it in that form, or rename the field"
                    )));
                    RawBson::Null
                });
            }
            let mut document = RawDocumentBuf::new();
            append_fields(&mut document, fields, path, problems);
            RawBson::Document(document)
        }
    }
}

/// The value of an object with a type key, if it has exactly the form of the type.
fn typed(fields: &Map<String, Value>, path: &Path<'_>, problems: &mut Problems) -> Option<RawBson> {
    let exactly = |object: &Map<String, Value>, count: usize| (object.len() == count).then_some(());
    if let Some(code) = fields.get("$code") {
        let code = code.as_str()?.to_owned();
        let Some(scope) = fields.get("$scope") else {
            exactly(fields, 1)?;
            return Some(RawBson::JavaScriptCode(code));
        };
        exactly(fields, 2)?;
        let mut document = RawDocumentBuf::new();
        let inner = Path::Field(path, "$scope");
        append_fields(&mut document, scope.as_object()?, &inner, problems);
        return Some(RawBson::JavaScriptCodeWithScope(
            RawJavaScriptCodeWithScope {
                code,
                scope: document,
            },
        ));
    }
    exactly(fields, 1)?;
    let (key, value) = fields.iter().next()?;
    let members = |count: usize| {
        let object = value.as_object()?;
        exactly(object, count).map(|()| object)
    };
    Some(match key.as_str() {
        "$oid" => RawBson::ObjectId(ObjectId::parse_str(value.as_str()?).ok()?),
        "$date" => RawBson::DateTime(DateTime::from_millis(date_of(value)?)),
        "$numberInt" => RawBson::Int32(value.as_str()?.parse().ok()?),
        "$numberLong" => RawBson::Int64(value.as_str()?.parse().ok()?),
        "$numberDouble" => RawBson::Double(value.as_str()?.parse().ok()?),
        "$numberDecimal" => RawBson::Decimal128(value.as_str()?.parse().ok()?),
        "$binary" => {
            let object = members(2)?;
            let subtype = object.get("subType")?.as_str()?;
            RawBson::Binary(Binary {
                subtype: BinarySubtype::from(u8::from_str_radix(subtype, 16).ok()?),
                bytes: BASE64_STANDARD
                    .decode(object.get("base64")?.as_str()?)
                    .ok()?,
            })
        }
        "$uuid" => RawBson::Binary(bson::Uuid::parse_str(value.as_str()?).ok()?.into()),
        "$timestamp" => {
            let object = members(2)?;
            let part = |name| u32::try_from(object.get(name)?.as_u64()?).ok();
            RawBson::Timestamp(Timestamp {
                time: part("t")?,
                increment: part("i")?,
            })
        }
        "$regularExpression" => {
            let object = members(2)?;
            let part = |name| CString::try_from(object.get(name)?.as_str()?).ok();
            RawBson::RegularExpression(Regex {
                pattern: part("pattern")?,
                options: part("options")?,
            })
        }
        "$symbol" => RawBson::Symbol(value.as_str()?.to_owned()),
        "$undefined" if *value == Value::Bool(true) => RawBson::Undefined,
        "$minKey" if value.as_u64() == Some(1) => RawBson::MinKey,
        "$maxKey" if value.as_u64() == Some(1) => RawBson::MaxKey,
        "$dbPointer" => {
            let object = members(2)?;
            let id = object.get("$id")?.as_object()?.get("$oid")?.as_str()?;
            RawBson::DbPointer(db_pointer(
                object.get("$ref")?.as_str()?,
                ObjectId::parse_str(id).ok()?,
            )?)
        }
        _ => return None,
    })
}

/// The `bson` crate creates one only from its own Extended JSON.
fn db_pointer(namespace: &str, id: ObjectId) -> Option<DbPointer> {
    let value = json!({"$dbPointer": {"$ref": namespace, "$id": {"$oid": id.to_hex()}}});
    match bson::Bson::try_from(value).ok()? {
        bson::Bson::DbPointer(pointer) => Some(pointer),
        _ => None,
    }
}

fn date_of(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|date| date.timestamp_millis()),
        Value::Number(number) => number.as_i64(),
        Value::Object(object) if object.len() == 1 => {
            object.get("$numberLong")?.as_str()?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Bson, Document, doc};
    use proptest::{collection::vec, prelude::*};

    fn relaxed(document: &Document) -> (Map<String, Value>, Problems) {
        let bytes = RawDocumentBuf::try_from(document).unwrap().into_bytes();
        let mut problems = Problems::default();
        let json = document_to_json(Form::Relaxed, &bytes, &Path::Root, &mut problems);
        (json, problems)
    }

    fn back(json: &Map<String, Value>) -> Document {
        let (mut document, mut problems) = (RawDocumentBuf::new(), Problems::default());
        append_fields(&mut document, json, &Path::Root, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        Document::try_from(document).unwrap()
    }

    /// Whole numbers in their narrowest type: Extra does not keep the width.
    fn narrow(value: &Bson) -> Bson {
        match value {
            Bson::Int64(n) => i32::try_from(*n).map_or(Bson::Int64(*n), Bson::Int32),
            Bson::Double(n) if n.is_nan() => Bson::String("NaN".into()),
            Bson::Double(n) => Bson::String(format!("{n:?} double")),
            Bson::Array(items) => Bson::Array(items.iter().map(narrow).collect()),
            Bson::Document(d) => Bson::Document(narrow_all(d)),
            Bson::JavaScriptCodeWithScope(c) => Bson::Array(vec![
                Bson::String(c.code.clone()),
                Bson::Document(narrow_all(&c.scope)),
            ]),
            other => other.clone(),
        }
    }

    fn narrow_all(document: &Document) -> Document {
        let fields = document.iter();
        fields.map(|(k, v)| (k.clone(), narrow(v))).collect()
    }

    fn scalar() -> impl Strategy<Value = Bson> {
        prop_oneof![
            any::<f64>().prop_map(Bson::Double),
            any::<i32>().prop_map(|n| Bson::Double(f64::from(n))),
            prop_oneof![
                Just(-0.0),
                Just(1e15),
                Just(1e300),
                Just(f64::NAN),
                Just(f64::INFINITY)
            ]
            .prop_map(Bson::Double),
            any::<String>().prop_map(Bson::String),
            any::<bool>().prop_map(Bson::Boolean),
            Just(Bson::Null),
            Just(Bson::Undefined),
            Just(Bson::MinKey),
            Just(Bson::MaxKey),
            any::<i32>().prop_map(Bson::Int32),
            any::<i64>().prop_map(Bson::Int64),
            any::<i64>().prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
            (0..4_000_000_000_000i64).prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
            any::<[u8; 12]>().prop_map(|id| Bson::ObjectId(ObjectId::from_bytes(id))),
            (any::<u8>(), any::<Vec<u8>>()).prop_map(|(subtype, bytes)| Bson::Binary(Binary {
                subtype: subtype.into(),
                bytes
            })),
            (any::<u32>(), any::<u32>())
                .prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
            ("[^\0]*", "i?m?s?x?").prop_map(|(pattern, options)| Bson::RegularExpression(Regex {
                pattern: pattern.try_into().unwrap(),
                options: options.try_into().unwrap()
            })),
            any::<String>().prop_map(Bson::JavaScriptCode),
            any::<String>().prop_map(Bson::Symbol),
            (any::<String>(), any::<[u8; 12]>()).prop_map(|(namespace, id)| Bson::DbPointer(
                db_pointer(&namespace, ObjectId::from_bytes(id)).unwrap()
            )),
            "-?[0-9]{1,30}(\\.[0-9]{1,4})?(E[+-][0-9]{1,3})?"
                .prop_map(|text| Bson::Decimal128(text.parse().unwrap())),
        ]
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[a-zé]{1,5}", 1 => Just("$ref".to_owned()), 1 => Just("$id".to_owned()), 1 => Just(String::new())]
    }

    fn any_document() -> impl Strategy<Value = Document> {
        let value = scalar().prop_recursive(4, 40, 6, |inner| {
            let document = vec((key(), inner.clone()), 0..6)
                .prop_map(|fields| fields.into_iter().collect::<Document>())
                .boxed();
            prop_oneof![
                vec(inner, 0..6).prop_map(Bson::Array),
                document.clone().prop_map(Bson::Document),
                (any::<String>(), document).prop_map(|(code, scope)| {
                    Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code, scope })
                }),
            ]
        });
        vec((key(), value), 0..8).prop_map(|fields| fields.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_document_comes_back(document in any_document()) {
            let (json, problems) = relaxed(&document);
            prop_assert!(problems.is_empty(), "{}", problems);
            let text = serde_json::to_string(&json).unwrap();
            let json = authorstack_core::json::parse(text.as_bytes()).unwrap();
            let json = serde_json::from_value(json).unwrap();
            prop_assert_eq!(narrow_all(&back(&json)), narrow_all(&document));
        }

        #[test]
        fn the_canonical_form_keeps_the_types(document in any_document()) {
            let bytes = RawDocumentBuf::try_from(&document).unwrap().into_bytes();
            let mut problems = Problems::default();
            let json = document_to_json(Form::Canonical, &bytes, &Path::Root, &mut problems);
            let document = format!("{document:?}");
            prop_assert!(problems.is_empty());
            let sorted = format!("{:?}", relaxed(&back(&json)).0);
            let original = Document::try_from(bson::RawDocument::from_bytes(&bytes).unwrap()).unwrap();
            prop_assert_eq!(sorted, format!("{:?}", relaxed(&original).0), "{}", document);
            prop_assert!(!json.values().any(Value::is_number));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, document in any_document(), at: prop::sample::Index, byte: u8) {
            let mut damaged = RawDocumentBuf::try_from(&document).unwrap().into_bytes();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            for bytes in [bytes, damaged] {
                document_to_json(Form::Canonical, &bytes, &Path::Root, &mut Problems::default());
            }
        }
    }

    #[test]
    fn a_reserved_name_inside_is_a_problem() {
        let (_, problems) = relaxed(&doc! {"a": {"b": {"$oid": "x", "$ref": 1}}, "$date": 1});
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert_eq!(problems.0[0].field, "a.b.$oid");
    }

    #[test]
    fn depth_is_limited() {
        let mut bytes = vec![5, 0, 0, 0, 0];
        for _ in 0..2_000 {
            let length = u32::try_from(bytes.len() + 8).unwrap();
            bytes = [&length.to_le_bytes(), &b"\x03a\0"[..], &bytes, &[0]].concat();
        }
        let mut problems = Problems::default();
        document_to_json(Form::Relaxed, &bytes, &Path::Root, &mut problems);
        assert_eq!(problems.0.len(), 1);
        assert!(problems.0[0].problem.contains("levels"));
    }

    #[test]
    fn wrong_forms_are_problems() {
        for json in [
            json!({"$oid": "zz"}),
            json!({"$oid": "6b0379ca3f6979be1a457c2c", "more": 1}),
            json!({"$date": true}),
            json!({"$numberLong": 5}),
            json!({"$binary": {"base64": "?", "subType": "00"}}),
            json!({"$minKey": 2}),
            json!({"$scope": {}}),
            json!(u64::MAX),
        ] {
            let mut problems = Problems::default();
            from_json(&json, &Path::Field(&Path::Root, "x"), &mut problems);
            assert_eq!(problems.0.len(), 1, "{json}");
            assert_eq!(problems.0[0].field, "x");
        }
    }
}
