//! What of an account is in its metadata: the host's (`raw_app_meta_data`) and the owner's
//! (`raw_user_meta_data`).

use authorstack_core::{AuthId, Error, Extra, NewAccount, Prefs, Result};
use serde_json::{Map, Value, json};

/// Names of the owner's metadata that are claims there: the server writes them at a sign-in with
/// another service, and clients read them as what that service says of the owner.
pub(crate) const CLAIMS: &[&str] = &[
    "name",
    "full_name",
    "sub",
    "iss",
    "email",
    "email_verified",
    "phone",
    "phone_verified",
    "picture",
    "avatar_url",
    "user_name",
    "preferred_username",
    "nickname",
    "given_name",
    "family_name",
    "middle_name",
    "provider_id",
    "slug",
    "custom_claims",
    "profile",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
];

/// The object for prefs that have the name of a claim, or this one.
pub(crate) const PREFS: &str = "prefs";

/// Names of the host's metadata that are fields here, or the server's own.
pub(crate) const KNOWN: &[&str] = &[
    "labels",
    "has_mfa",
    "old_id",
    "password_lost",
    "provider",
    "providers",
];

/// The owner's metadata. Prefs that have the name of a claim are in an object of their own.
pub(crate) fn of_user(name: &str, prefs: &Prefs) -> Value {
    let mut metadata = Map::new();
    put_prefs(&mut metadata, prefs);
    if !name.is_empty() {
        metadata.insert("name".to_owned(), name.into());
    }
    metadata.into()
}

/// Replaces the prefs in the owner's metadata; the claims stay.
#[cfg_attr(
    not(feature = "auth"),
    allow(dead_code, reason = "repositories use it")
)]
pub(crate) fn with_prefs(metadata: &mut Map<String, Value>, prefs: &Prefs) {
    metadata.retain(|name, _| CLAIMS.contains(&name.as_str()));
    put_prefs(metadata, prefs);
}

fn put_prefs(metadata: &mut Map<String, Value>, prefs: &Prefs) {
    let mut apart = Map::new();
    for (name, value) in prefs.clone().into_map() {
        if name == PREFS || CLAIMS.contains(&name.as_str()) {
            apart.insert(name, value);
        } else {
            metadata.insert(name, value);
        }
    }
    if !apart.is_empty() {
        metadata.insert(PREFS.to_owned(), apart.into());
    }
}

/// What of the host's metadata is AuthorStack's.
pub(crate) struct Marks<'a> {
    pub(crate) labels: &'a [String],
    pub(crate) has_mfa: bool,
    pub(crate) old_id: Option<&'a AuthId>,
    /// The algorithm of a hash that could not move here.
    pub(crate) password_lost: Option<&'a str>,
    pub(crate) extra: &'a Extra,
}

impl<'a> Marks<'a> {
    /// Those of a new account.
    #[cfg_attr(
        not(feature = "auth"),
        allow(dead_code, reason = "repositories use it")
    )]
    pub(crate) fn of_new(new: &'a NewAccount) -> Self {
        Self {
            labels: &new.labels,
            has_mfa: new.has_mfa,
            old_id: new.old_id.as_ref(),
            password_lost: None,
            extra: &new.extra,
        }
    }
}

/// The host's metadata of an account, without what the server adds.
pub(crate) fn of_app(marks: &Marks<'_>) -> Result<Map<String, Value>> {
    if let Some(name) = KNOWN.iter().find(|name| marks.extra.contains_key(**name)) {
        return Err(Error::invalid(
            format!("extra.{name}"),
            "is the name of a known field; rename it",
        ));
    }
    let mut metadata = marks.extra.clone();
    let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    if !marks.labels.is_empty() {
        put("labels", json!(marks.labels));
    }
    if marks.has_mfa {
        put("has_mfa", true.into());
    }
    if let Some(old) = marks.old_id {
        put("old_id", old.as_str().into());
    }
    if let Some(algorithm) = marks.password_lost {
        put("password_lost", algorithm.into());
    }
    Ok(metadata)
}

/// The name and the prefs in the owner's metadata. The owner can write anything there.
pub(crate) fn read_user(metadata: Option<Value>) -> (String, Prefs) {
    let mut metadata = object(metadata);
    let text = |name: &str| match metadata.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let name = text("name")
        .or_else(|| text("full_name"))
        .unwrap_or_default();
    metadata.retain(|name, _| !CLAIMS.contains(&name.as_str()));
    match metadata.remove(PREFS) {
        Some(Value::Object(apart)) => metadata.extend(apart),
        Some(other) => drop(metadata.insert(PREFS.to_owned(), other)),
        None => {}
    }
    (name, metadata.into())
}

/// What the host's metadata says.
pub(crate) struct OfApp {
    pub(crate) labels: Vec<String>,
    pub(crate) has_mfa: bool,
    pub(crate) old_id: Option<AuthId>,
    pub(crate) password_lost: Option<String>,
    pub(crate) extra: Extra,
}

pub(crate) fn read_app(metadata: Option<Value>) -> Result<OfApp> {
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
    let password_lost = match metadata.remove("password_lost") {
        Some(Value::String(algorithm)) => Some(algorithm),
        _ => None,
    };
    metadata.retain(|name, _| !KNOWN.contains(&name.as_str()));
    Ok(OfApp {
        labels,
        has_mfa,
        old_id,
        password_lost,
        extra: metadata,
    })
}

fn object(metadata: Option<Value>) -> Map<String, Value> {
    match metadata {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pref_is_never_taken_for_a_claim() {
        let given = json!({
            "font": "serif", "name": "Mallory", "sub": "1", "email": "x@example.org",
            "phone": "+1", "full_name": 7, "prefs": {"a": 1},
        });
        let prefs = Prefs::try_from(given).unwrap_or_default();
        let metadata = of_user("Ada", &prefs);
        assert_eq!(metadata["name"], "Ada");
        assert_eq!(metadata["font"], "serif");
        for claim in ["sub", "email", "phone", "full_name"] {
            assert_eq!(metadata.get(claim), None, "{claim}");
        }
        assert_eq!(read_user(Some(metadata)), ("Ada".to_owned(), prefs.clone()));
        let unnamed = of_user("", &prefs);
        assert_eq!(read_user(Some(unnamed)), (String::new(), prefs));
    }

    #[test]
    fn what_another_service_says_is_no_pref() {
        let metadata =
            json!({"iss": "https://accounts.google.com", "full_name": "Ada", "font": "a"});
        let (name, prefs) = read_user(Some(metadata));
        assert_eq!(name, "Ada");
        assert_eq!(prefs.as_value(), &json!({"font": "a"}));
    }
}
