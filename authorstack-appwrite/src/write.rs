//! What changes an account. Each field is a request of its own.

use authorstack_core::{
    Account, AccountPatch, AuthId, Credential, Email, Error, ErrorKind, NewAccount, Phone, Prefs,
    Result,
};
use authorstack_http::Method;
use serde_json::{Map, Value, json};

use crate::{
    api::{Api, known_id},
    config::is_id,
    hash,
    user::account,
};

const MOST_NAME: usize = 128;
const MOST_LABELS: usize = 1_000;
const MOST_LABEL: usize = 36;
const MOST_PREFS: usize = 65_535;

/// What Appwrite takes of an account, beyond what every service takes.
fn check(name: &str, labels: &[String], prefs: &Prefs) -> Result<()> {
    if name.chars().count() > MOST_NAME {
        let reason = "has more than 128 characters, which Appwrite does not take; shorten it";
        return Err(Error::invalid("name", reason));
    }
    let is_label = |label: &&String| {
        label.len() <= MOST_LABEL && label.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if labels.len() > MOST_LABELS || !labels.iter().all(|label| is_label(&label)) {
        return Err(Error::invalid(
            "labels",
            "are more than 1,000, or one has other signs than 1 to 36 letters and digits, which \
             Appwrite does not take; change them",
        ));
    }
    // The server counts characters beyond ASCII as they are escaped.
    let escaped = |sign: char| {
        if sign.is_ascii() {
            1
        } else {
            6 * sign.len_utf16()
        }
    };
    let length: usize = prefs.as_value().to_string().chars().map(escaped).sum();
    if length > MOST_PREFS {
        let reason = "are more than 65,535 characters of JSON, where those beyond ASCII count six; \
                      shorten them";
        return Err(Error::invalid("prefs", reason));
    }
    Ok(())
}

/// Checks a new account before anything is sent.
pub(crate) fn check_new(new: &NewAccount) -> Result<()> {
    if let Some(id) = &new.id
        && !is_id(id.as_str())
    {
        let reason = "is no id of Appwrite: those have 1 to 36 letters, digits, dots, hyphens and \
                      underscores, and begin with a letter or a digit; leave it out";
        return Err(Error::invalid("id", reason));
    }
    check(&new.name, &new.labels, &new.prefs)?;
    for (is_given, field) in [
        (new.created_at.is_some(), "createdAt"),
        (new.last_seen_at.is_some(), "lastSeenAt"),
        (new.old_id.is_some(), "oldId"),
        (!new.extra.is_empty(), "extra"),
    ] {
        if is_given {
            return Err(Error::unsupported(format!(
                "Appwrite has no place for {field} of a new account; leave it out"
            )));
        }
    }
    match &new.credential {
        Credential::Hash(_) if new.email.is_none() => Err(Error::unsupported(
            "Appwrite takes a hash only with an e-mail address; create the account without a \
             password",
        )),
        Credential::Hash(hash) => hash::import(hash).map(drop),
        Credential::Password(_) if new.email.is_none() && new.phone.is_none() => {
            Err(Error::invalid(
                "credential",
                "is a password, and an anonymous account has none",
            ))
        }
        _ => Ok(()),
    }
}

/// Creates an account. If a later step is refused, the account is deleted again.
pub(crate) async fn create(api: &Api, new: &NewAccount) -> Result<Account> {
    let id = match &new.id {
        Some(id) => id.as_str().to_owned(),
        None => random_id(),
    };
    let mut body = Map::new();
    let mut path = vec!["users"];
    body.insert("userId".to_owned(), id.as_str().into());
    if let Some(email) = &new.email {
        body.insert("email".to_owned(), email.as_str().into());
    }
    if !new.name.is_empty() {
        body.insert("name".to_owned(), new.name.as_str().into());
    }
    let is_import = match &new.credential {
        Credential::Hash(hash) => {
            let (endpoint, fields) = hash::import(hash)?;
            path.push(endpoint);
            body.extend(fields);
            true
        }
        Credential::Password(password) => {
            body.insert("password".to_owned(), password.expose().into());
            false
        }
        Credential::None => false,
    };
    if let (Some(phone), false) = (&new.phone, is_import) {
        body.insert("phone".to_owned(), phone.as_str().into());
    }
    let made = match api.post(&path, &body).await {
        Ok(made) => made,
        Err(error) => return Err(which_is_taken(api, new, error).await),
    };
    match complete(api, &id, new, is_import, made).await {
        Ok(made) => Ok(made),
        Err(error) => {
            if let Err(left) = api.delete(&["users", &id]).await {
                tracing::warn!(account = id, error = %left, "a half-made account is left behind");
            }
            Err(error)
        }
    }
}

/// An id as Appwrite makes them.
fn random_id() -> String {
    use std::fmt::Write;

    let bytes: [u8; 10] = rand::random();
    bytes.iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The server does not say which of the unique values another account has.
async fn which_is_taken(api: &Api, new: &NewAccount, error: Error) -> Error {
    let is_id = matches!(error.kind(), ErrorKind::AlreadyExists { field } if field == "id");
    if !is_id {
        return error;
    }
    let Some(id) = &new.id else {
        return Error::already_exists("phone");
    };
    match api.get(&["users", id.as_str()]).await {
        Ok(_) => error,
        Err(missing) if missing.is_not_found() => Error::already_exists("phone"),
        Err(other) => other,
    }
}

/// Sets what an account cannot be created with.
async fn complete(
    api: &Api,
    id: &str,
    new: &NewAccount,
    is_import: bool,
    made: Value,
) -> Result<Account> {
    let mut made = made;
    if let (Some(phone), true) = (&new.phone, is_import) {
        made = set_phone(api, id, Some(phone)).await?;
    }
    if !new.prefs.as_value().as_object().is_none_or(Map::is_empty) {
        set_prefs(api, id, &new.prefs).await?;
        made = Value::Null;
    }
    if new.email.is_some() && new.email_verified {
        made = set_verified(api, id, Way::Email, true).await?;
    }
    if new.phone.is_some() && new.phone_verified {
        made = set_verified(api, id, Way::Phone, true).await?;
    }
    if !new.labels.is_empty() {
        made = set_labels(api, id, &new.labels).await?;
    }
    if new.has_mfa {
        let body = json!({ "mfa": true });
        made = api.set(Method::PATCH, &["users", id, "mfa"], &body).await?;
    }
    if made.is_null() {
        made = api.get(&["users", id]).await?;
    }
    account(&made)
}

enum Way {
    Email,
    Phone,
}

async fn set_verified(api: &Api, id: &str, way: Way, is_verified: bool) -> Result<Value> {
    match way {
        Way::Email => {
            let body = json!({ "emailVerification": is_verified });
            let path = ["users", id, "verification"];
            api.set(Method::PATCH, &path, &body).await
        }
        Way::Phone => {
            let body = json!({ "phoneVerification": is_verified });
            let path = ["users", id, "verification", "phone"];
            api.set(Method::PATCH, &path, &body).await
        }
    }
}

async fn set_email(api: &Api, id: &str, email: Option<&Email>) -> Result<Value> {
    let body = json!({ "email": email.map_or("", |email| email.as_str()) });
    let set = api.set(Method::PATCH, &["users", id, "email"], &body).await;
    set.map_err(|error| taken("email", error))
}

async fn set_phone(api: &Api, id: &str, phone: Option<&Phone>) -> Result<Value> {
    let body = json!({ "number": phone.map_or("", |phone| phone.as_str()) });
    let set = api.set(Method::PATCH, &["users", id, "phone"], &body).await;
    set.map_err(|error| taken("phone", error))
}

/// Some versions use one type for both.
fn taken(field: &'static str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists { .. } => Error::already_exists(field),
        _ => error,
    }
}

async fn set_labels(api: &Api, id: &str, labels: &[String]) -> Result<Value> {
    let body = json!({ "labels": labels });
    api.set(Method::PUT, &["users", id, "labels"], &body).await
}

async fn set_prefs(api: &Api, id: &str, prefs: &Prefs) -> Result<Value> {
    let body = json!({ "prefs": prefs.as_value() });
    api.set(Method::PATCH, &["users", id, "prefs"], &body).await
}

/// Changes an account. Address and number come first, since they alone may be taken: a refusal then
/// leaves everything as it was.
pub(crate) async fn update(api: &Api, id: &AuthId, patch: AccountPatch) -> Result<Account> {
    let id = known_id(id)?;
    let before = account(&api.get(&["users", id]).await?)?;
    let mut wanted = before.clone();
    patch.apply(&mut wanted);
    wanted.check()?;
    check(&wanted.name, &wanted.labels, &wanted.prefs)?;
    let has_new_email = wanted.email != before.email;
    if has_new_email {
        set_email(api, id, wanted.email.as_ref()).await?;
    }
    let has_new_phone = wanted.phone != before.phone;
    if has_new_phone && let Err(error) = set_phone(api, id, wanted.phone.as_ref()).await {
        if has_new_email {
            restore_email(api, id, &before).await;
        }
        return Err(error);
    }
    // A new address is not verified.
    let is_verified = !has_new_email && before.email_verified;
    if wanted.email.is_some() && wanted.email_verified != is_verified {
        set_verified(api, id, Way::Email, wanted.email_verified).await?;
    }
    let is_verified = !has_new_phone && before.phone_verified;
    if wanted.phone.is_some() && wanted.phone_verified != is_verified {
        set_verified(api, id, Way::Phone, wanted.phone_verified).await?;
    }
    if wanted.name != before.name {
        let body = json!({ "name": wanted.name });
        api.set(Method::PATCH, &["users", id, "name"], &body)
            .await?;
    }
    if wanted.labels != before.labels {
        set_labels(api, id, &wanted.labels).await?;
    }
    if wanted.prefs != before.prefs {
        set_prefs(api, id, &wanted.prefs).await?;
    }
    account(&api.get(&["users", id]).await?)
}

async fn restore_email(api: &Api, id: &str, before: &Account) {
    let restored = async {
        set_email(api, id, before.email.as_ref()).await?;
        if before.email_verified {
            set_verified(api, id, Way::Email, true).await?;
        }
        Ok::<(), Error>(())
    };
    if let Err(error) = restored.await {
        tracing::warn!(account = id, %error, "an address could not be set back");
    }
}
