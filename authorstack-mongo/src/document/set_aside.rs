//! Values that a migration set aside: their form, and their way back.

use authorstack_core::{Error, Extra, Result, SET_ASIDE, fields::Fields, migrate::Problems};
use base64::{Engine, prelude::BASE64_STANDARD};
use bson::{RawBson, RawDocumentBuf};
use serde_json::{Map, Value};

use super::{
    decode::{Aside, decode_with},
    encode::encode_as_it_is,
};
use crate::extended_json::{Path, from_json};

/// The key of a text that PostgreSQL cannot hold: its UTF-8 bytes as base64.
const BASE64: &str = "$base64";

/// The value in a form that every store holds; `None` if it already looks like such a form.
pub(super) fn armored(value: Value) -> Option<Value> {
    match value {
        Value::String(text) if text.contains('\0') => {
            let mut armor = Map::new();
            armor.insert(BASE64.to_owned(), BASE64_STANDARD.encode(text).into());
            Some(Value::Object(armor))
        }
        Value::Array(items) => {
            let items: Option<Vec<Value>> = items.into_iter().map(armored).collect();
            items.map(Value::Array)
        }
        Value::Object(fields) => {
            if fields.contains_key(BASE64) {
                return None;
            }
            let fields = fields.into_iter();
            let fields: Option<Map<String, Value>> = fields
                .map(|(name, value)| Some((name, armored(value)?)))
                .collect();
            fields.map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
    }
}

/// The value as it was.
fn bare(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        Value::Object(fields) => {
            let text = fields.get(BASE64).filter(|_| fields.len() == 1);
            let bytes = text.and_then(|text| BASE64_STANDARD.decode(text.as_str()?).ok());
            if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                return Value::String(text);
            }
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), bare(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// Puts the values that were set aside back into their fields, unless a field has another value
/// than a missing one has by now.
pub(super) fn put_back<T: Fields>(
    document: &RawDocumentBuf,
    aside: &Extra,
) -> Result<RawDocumentBuf> {
    let without = rebuilt(document, |name| !aside.contains_key(name))?;
    // Its parts have what was set aside in them back already.
    let empty = decode_with::<T>(without.as_bytes(), Some(&mut Aside::default())).ok();
    let empty = empty.map(|record| encode_as_it_is(&record)).transpose()?;
    let is_empty = |name: &str| {
        let Ok(Some(value)) = document.get(name) else {
            return true;
        };
        let by_default = empty
            .as_ref()
            .and_then(|empty| empty.get(name).ok().flatten());
        by_default == Some(value)
    };
    let is_open = |name: &str| match T::FIELDS.iter().find(|field| field.name == name) {
        Some(field) => !field.vital && is_empty(name),
        None => !T::knows(name) && matches!(document.get(name), Ok(None)),
    };
    let mut problems = Problems::default();
    let (mut back, mut left) = (Vec::new(), Map::new());
    for (name, value) in aside {
        if is_open(name) {
            let path = Path::Field(&Path::Root, name);
            let place = T::FIELDS.iter().position(|field| field.name == name);
            let value = from_json(&bare(value), &path, &mut problems);
            back.push((place.unwrap_or(usize::MAX), name.as_str(), value));
        } else {
            left.insert(name.clone(), value.clone());
        }
    }
    if let Some(problem) = problems.0.into_iter().next() {
        return Err(Error::invalid(problem.field, problem.problem));
    }
    back.sort_by_key(|(place, ..)| *place);
    let mut back = back.into_iter().peekable();
    let returned: Vec<String> = aside
        .keys()
        .filter(|it| !left.contains_key(*it))
        .cloned()
        .collect();
    let mut whole = RawDocumentBuf::new();
    for element in document {
        let (name, value) = element.map_err(|error| unreadable(&error))?;
        let known = T::FIELDS
            .iter()
            .position(|field| field.name == name.as_str());
        let is_array = T::RESERVED.contains(&name.as_str());
        let before = known.unwrap_or(if is_array { 0 } else { usize::MAX - 1 });
        while let Some((_, name, value)) = back.next_if(|(place, ..)| *place <= before) {
            append(&mut whole, name, value)?;
        }
        if returned.iter().any(|it| it == name.as_str()) {
            continue;
        }
        if name.as_str() == SET_ASIDE {
            if !left.is_empty() {
                let path = Path::Field(&Path::Root, SET_ASIDE);
                let mut problems = Problems::default();
                let left = from_json(&Value::Object(left.clone()), &path, &mut problems);
                append(&mut whole, SET_ASIDE, left)?;
            }
            continue;
        }
        whole.append(name, value);
    }
    for (_, name, value) in back {
        append(&mut whole, name, value)?;
    }
    Ok(whole)
}

/// A document with those of its fields that are kept.
fn rebuilt(document: &RawDocumentBuf, keep: impl Fn(&str) -> bool) -> Result<RawDocumentBuf> {
    let mut rest = RawDocumentBuf::new();
    for element in document {
        let (name, value) = element.map_err(|error| unreadable(&error))?;
        if keep(name.as_str()) {
            rest.append(name, value);
        }
    }
    Ok(rest)
}

fn append(document: &mut RawDocumentBuf, name: &str, value: RawBson) -> Result<()> {
    let name = bson::raw::CString::try_from(name.to_owned())
        .map_err(|error| Error::internal(format!("the name {name:?}: {error}")))?;
    document.append(name, value);
    Ok(())
}

/// Reading what was written here can fail only because of a bug.
fn unreadable(error: &bson::error::Error) -> Error {
    Error::internal(format!("an encoded document is not BSON: {error}"))
}
