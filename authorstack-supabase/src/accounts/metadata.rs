//! What of an account is in its metadata: the host's (`raw_app_meta_data`) and the owner's
//! (`raw_user_meta_data`).

use authorstack_core::{AuthId, Error, Extra, NewAccount, Prefs, Result};
use serde_json::{Map, Value, json};

/// Names of the owner's metadata that the server itself, or the name, has.
const TAKEN: [&str; 5] = ["name", "sub", "email", "email_verified", "phone_verified"];

/// Names of the host's metadata that are fields here, or the server's own.
const KNOWN: [&str; 5] = ["labels", "has_mfa", "old_id", "provider", "providers"];

/// Refuses names that the server would overwrite.
pub(super) fn check_prefs(prefs: &Prefs) -> Result<()> {
    match TAKEN.iter().find(|name| prefs.get(name).is_some()) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(
            format!("prefs.{name}"),
            "is a name that Supabase Auth has for itself in the owner's metadata; rename it",
        )),
    }
}

/// The owner's metadata.
pub(super) fn of_user(name: &str, prefs: &Prefs) -> Result<Value> {
    check_prefs(prefs)?;
    let mut metadata = prefs.clone().into_map();
    if !name.is_empty() {
        metadata.insert("name".to_owned(), name.into());
    }
    Ok(metadata.into())
}

/// The host's metadata of a new account, without what the server adds.
pub(super) fn of_app(new: &NewAccount) -> Result<Value> {
    if let Some(name) = KNOWN.iter().find(|name| new.extra.contains_key(**name)) {
        return Err(Error::invalid(
            format!("extra.{name}"),
            "is the name of a known field; rename it",
        ));
    }
    let mut metadata = new.extra.clone();
    if !new.labels.is_empty() {
        metadata.insert("labels".to_owned(), json!(new.labels));
    }
    if new.has_mfa {
        metadata.insert("has_mfa".to_owned(), true.into());
    }
    if let Some(old) = &new.old_id {
        metadata.insert("old_id".to_owned(), old.as_str().into());
    }
    Ok(metadata.into())
}

/// The name and the prefs in the owner's metadata. The owner can write anything there.
pub(super) fn read_user(metadata: Option<Value>) -> (String, Prefs) {
    let mut metadata = object(metadata);
    let text = |name: &str| match metadata.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let name = text("name")
        .or_else(|| text("full_name"))
        .unwrap_or_default();
    metadata.retain(|name, _| !TAKEN.contains(&name.as_str()));
    (name, metadata.into())
}

/// What the host's metadata says.
pub(super) struct OfApp {
    pub(super) labels: Vec<String>,
    pub(super) has_mfa: bool,
    pub(super) old_id: Option<AuthId>,
    pub(super) extra: Extra,
}

pub(super) fn read_app(metadata: Option<Value>) -> Result<OfApp> {
    let mut metadata = object(metadata);
    let labels = match metadata.remove("labels") {
        None | Some(Value::Null) => Vec::new(),
        Some(labels) => serde_json::from_value(labels).map_err(|_| {
            Error::corrupt("labels in the account's app_metadata: no list of texts")
        })?,
    };
    let has_mfa = metadata.remove("has_mfa") == Some(Value::Bool(true));
    let old_id = match metadata.remove("old_id") {
        Some(Value::String(id)) => id.parse().ok(),
        _ => None,
    };
    metadata.retain(|name, _| !KNOWN.contains(&name.as_str()));
    Ok(OfApp {
        labels,
        has_mfa,
        old_id,
        extra: metadata,
    })
}

fn object(metadata: Option<Value>) -> Map<String, Value> {
    match metadata {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
