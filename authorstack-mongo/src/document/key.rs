//! The `_id` of a document as text: a record's key, or a position in a scan.

use authorstack_core::migrate::Problems;
use base64::{Engine, prelude::BASE64_STANDARD};
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc, oid::ObjectId, raw::cstr};
use serde_json::{Value, json};

use crate::{
    extended_json::{Form, Path, from_json, to_json},
    raw::{Elements, Raw, one_element},
};

const ID: &[u8] = b"_id";

/// The member that contains a whole BSON document as base64, if JSON alone would change it.
pub(crate) const WHOLE: &str = "$bson";

/// A document's key: the digits of an ObjectId, else Extended JSON.
pub(crate) fn key_of(document: &[u8]) -> Option<String> {
    match id_of(document)? {
        Raw::ObjectId(bytes) => Some(ObjectId::from_bytes(bytes).to_hex()),
        _ => place_of(document),
    }
}

/// A document's `_id` as canonical Extended JSON. Reading it back gives exactly the same value.
pub(crate) fn place_of(document: &[u8]) -> Option<String> {
    let only_id = one_element(document, ID)?;
    let mut problems = Problems::default();
    let path = Path::Field(&Path::Root, "_id");
    let json = to_json(Form::Canonical, id_of(document)?, &path, &mut problems);
    let mut again = RawDocumentBuf::new();
    again.append(cstr!("_id"), from_json(&json, &path, &mut problems));
    let exact = problems.is_empty() && again.as_bytes() == only_id;
    let json = if exact {
        json
    } else {
        json!({WHOLE: BASE64_STANDARD.encode(only_id)})
    };
    Some(json.to_string())
}

/// The place of a document in a scan, if the driver can send it: its `_id` as [`place_of`] writes
/// it.
pub(crate) fn sendable_place_of(document: &[u8]) -> Option<String> {
    match id_of(document)? {
        Raw::ObjectId(bytes) => {
            let digits = ObjectId::from_bytes(bytes).to_hex();
            Some([r#"{"$oid":""#, &digits, r#""}"#].concat())
        }
        _ => place_of(document).filter(|text| id_from(text).is_some()),
    }
}

/// The id that a text holds the digits of: old apps store references so.
pub(crate) fn id_in_text(text: &[u8]) -> Option<[u8; 12]> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let id = (text.len() == 24).then(|| ObjectId::parse_str(text).ok());
    id.flatten().map(|id| id.bytes())
}

/// The filter for the documents with these ids. An id may be any value, so each is compared as it
/// is: a document must not become an operator, nor a regular expression a search.
pub(crate) fn any_of(ids: impl IntoIterator<Item = Bson>) -> Document {
    let (mut scalars, mut others) = (Vec::new(), Vec::new());
    for id in ids {
        match id {
            Bson::ObjectId(_)
            | Bson::String(_)
            | Bson::Int32(_)
            | Bson::Int64(_)
            | Bson::Double(_)
            | Bson::Decimal128(_)
            | Bson::Boolean(_)
            | Bson::DateTime(_)
            | Bson::Binary(_) => scalars.push(id),
            other => others.push(doc! {"_id": {"$eq": other}}),
        }
    }
    if others.is_empty() {
        return doc! {"_id": {"$in": scalars}};
    }
    others.push(doc! {"_id": {"$in": scalars}});
    doc! {"$or": others}
}

/// Whether the server accepts this as an `_id`.
pub(crate) const fn is_id(id: &Bson) -> bool {
    !matches!(
        id,
        Bson::Array(_) | Bson::RegularExpression(_) | Bson::Undefined
    )
}

/// The `_id` from its text, if the driver can send it.
pub(crate) fn id_from(text: &str) -> Option<Bson> {
    if text.len() == 24
        && let Ok(id) = ObjectId::parse_str(text)
    {
        return Some(id.into());
    }
    let json: Value = authorstack_core::json::parse(text.as_bytes()).ok()?;
    if let Some(whole) = json.get(WHOLE) {
        let bytes = BASE64_STANDARD.decode(whole.as_str()?).ok()?;
        let mut document = Document::try_from(RawDocument::from_bytes(&bytes).ok()?).ok()?;
        return document.remove("_id");
    }
    let mut problems = Problems::default();
    let id = from_json(&json, &Path::Root, &mut problems);
    if problems.is_empty() {
        Bson::try_from(id).ok()
    } else {
        None
    }
}

fn id_of(document: &[u8]) -> Option<Raw<'_>> {
    Elements::new(document)
        .map_while(Result::ok)
        .find_map(|(key, value)| (key == ID).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    #[test]
    fn every_id_comes_back_from_its_text() {
        let oid = ObjectId::parse_str("6b0379ca3f6979be1a457c2c").unwrap();
        let ids: Vec<Bson> = vec![
            oid.into(),
            Bson::String("6b0379ca3f6979be1a457c2c".into()),
            Bson::Int32(5),
            Bson::Int64(5),
            Bson::Double(5.0),
            Bson::Double(-0.0),
            Bson::Null,
            Bson::MaxKey,
            Bson::Boolean(true),
            bson::DateTime::from_millis(-1).into(),
            doc! {"b": 1, "a": 2}.into(),
            doc! {"b": {"d": 1, "c": [1]}, "a": 2_i64}.into(),
            doc! {"$oid": 1}.into(),
        ];
        for id in ids {
            let document = bson::serialize_to_vec(&doc! {"x": 1, "_id": &id}).unwrap();
            for text in [key_of(&document).unwrap(), place_of(&document).unwrap()] {
                let back = id_from(&text).unwrap();
                assert_eq!(format!("{back:?}"), format!("{id:?}"), "{text}");
            }
            assert_eq!(sendable_place_of(&document), place_of(&document));
        }
        let document = rawdoc! {"_id": oid};
        assert_eq!(key_of(document.as_bytes()).unwrap(), oid.to_hex());
    }

    #[test]
    fn an_id_is_compared_as_it_is() {
        let hostile = doc! {"$ne": null};
        let filter = any_of([Bson::Int32(1), hostile.clone().into(), Bson::Null]);
        let expected = doc! {"$or": [
            {"_id": {"$eq": hostile}}, {"_id": {"$eq": null}}, {"_id": {"$in": [1]}},
        ]};
        assert_eq!(filter, expected);
        let oid = ObjectId::new();
        assert_eq!(any_of([oid.into()]), doc! {"_id": {"$in": [oid]}});
        let search = r#"{"$regularExpression":{"pattern":"","options":""}}"#;
        for text in [search, "[1]", r#"{"$undefined":true}"#] {
            assert!(!id_from(text).is_some_and(|id| is_id(&id)), "{text}");
        }
    }

    #[test]
    fn no_text_panics() {
        for text in [
            "",
            "{",
            "zz",
            "{\"$bson\": 1}",
            "{\"$bson\": \"AAAA\"}",
            "{\"$oid\": 1}",
        ] {
            assert!(id_from(text).is_none(), "{text}");
        }
    }
}
