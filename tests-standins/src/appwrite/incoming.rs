//! A request, read as far as all routes need it.

use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, Method, Uri},
};
use serde_json::{Map, Value};

use super::answers::Refusal;
use crate::openapi::Asked;

const MOST_BYTES: usize = 8 << 20;

/// A request.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    /// The path behind `/v1`.
    pub(super) path: Vec<String>,
    /// The pairs of the query, without the brackets of lists.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
    /// The body as an object; one that is no JSON counts as empty.
    pub(super) body: Map<String, Value>,
}

impl Incoming {
    pub(super) async fn read(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
        let body = match serde_json::from_slice(&bytes) {
            Ok(Value::Object(body)) => body,
            _ => Map::new(),
        };
        Self {
            method: parts.method,
            path: path_of(&parts.uri),
            query: query_of(&parts.uri),
            headers: parts.headers,
            bytes: bytes.to_vec(),
            body,
        }
    }

    /// What the vendor's document speaks of.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.method.as_str(),
            path: &self.path,
            query: &self.query,
            content_type: self.header("content-type").unwrap_or_default(),
            body: &self.bytes,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The texts of a list in the query.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let pairs = self.query.iter().filter(|(found, _)| found == name);
        pairs.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether the list is to be counted.
    pub(super) fn counts(&self) -> bool {
        self.all("total").last() != Some(&"false")
    }

    /// A text of the body; `None` if it is missing or null.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::argument(name, "Value must be a valid string")),
        }
    }

    /// A text of the body that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::missing(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.body.get(name) {
            Some(Value::Bool(flag)) => Ok(*flag),
            None => Err(Refusal::missing(name)),
            Some(_) => Err(Refusal::argument(name, "Value must be a valid boolean")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<i64, Refusal> {
        match self.body.get(name) {
            None => Err(Refusal::missing(name)),
            Some(value) => value
                .as_i64()
                .ok_or_else(|| Refusal::argument(name, "Value must be a valid integer")),
        }
    }
}

fn path_of(uri: &Uri) -> Vec<String> {
    let path = uri.path().trim_start_matches('/');
    let path = path.strip_prefix("v1").unwrap_or(path);
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(decoded).collect()
}

/// The pairs of an address's query; lists without their brackets.
pub(super) fn query_of(uri: &Uri) -> Vec<(String, String)> {
    let query = uri.query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(&name.replace('+', " "));
        // Some clients number the entries of a list.
        let name = name.split_once('[').map_or(name.as_str(), |(name, _)| name);
        (name.to_owned(), decoded(&value.replace('+', " ")))
    };
    pairs.map(read).collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut read = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3);
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if byte == b'%' => {
                read.push(code);
                at += 3;
            }
            _ => {
                read.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}
