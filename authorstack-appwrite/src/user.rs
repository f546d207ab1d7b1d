//! Appwrite's users as accounts.

use authorstack_core::{Account, AuthId, AuthProvider, Error, ExportedAccount, Prefs, Result};
use serde_json::Value;

use crate::{fields::Fields, hash};

/// Reads a user.
pub(crate) fn account(user: &Value) -> Result<Account> {
    let fields = Fields(user);
    read(fields).map_err(|error| match fields.text("$id") {
        Ok(Some(id)) => error.for_record(id),
        _ => error,
    })
}

/// Reads a user with the password.
pub(crate) fn exported(user: &Value) -> Result<ExportedAccount> {
    Ok(ExportedAccount {
        account: account(user)?,
        password: hash::stored(Fields(user)),
    })
}

fn read(fields: Fields<'_>) -> Result<Account> {
    let id: AuthId = fields
        .parsed("$id")?
        .ok_or_else(|| Error::corrupt("$id: is missing"))?;
    let (email, phone) = (fields.parsed("email")?, fields.parsed("phone")?);
    let created_at = match fields.moment("$createdAt")? {
        Some(moment) => moment,
        None => fields
            .moment("registration")?
            .ok_or_else(|| Error::corrupt("$createdAt: is missing"))?,
    };
    let flag = |name: &str| fields.flag(name).map(Option::unwrap_or_default);
    // Who may sign in is never guessed.
    let is_active = fields
        .flag("status")?
        .ok_or_else(|| Error::corrupt("status: is missing"))?;
    Ok(Account {
        id,
        provider: AuthProvider::APPWRITE,
        email_verified: email.is_some() && flag("emailVerification")?,
        phone_verified: phone.is_some() && flag("phoneVerification")?,
        // One that signs in by an identity without an address looks the same.
        is_anonymous: email.is_none() && phone.is_none(),
        email,
        phone,
        name: fields.text("name")?.unwrap_or_default().to_owned(),
        labels: fields.texts("labels")?,
        prefs: prefs(fields.0.get("prefs"))?,
        has_mfa: flag("mfa")?,
        is_blocked: !is_active,
        old_id: None,
        created_at,
        updated_at: fields.moment("$updatedAt")?.unwrap_or(created_at),
        last_seen_at: fields.moment("accessedAt")?,
        extra: authorstack_core::Extra::new(),
    })
}

/// The server writes no prefs as an empty list, at times.
fn prefs(value: Option<&Value>) -> Result<Prefs> {
    match value {
        None | Some(Value::Null) => Ok(Prefs::default()),
        Some(Value::Array(items)) if items.is_empty() => Ok(Prefs::default()),
        Some(value) => Prefs::try_from(value.clone())
            .map_err(|_| Error::corrupt("prefs: are no JSON object; correct them")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user() -> Value {
        json!({
            "$id": "a".repeat(36), "$createdAt": "2026-11-25T23:40:41.886+00:00",
            "$updatedAt": "2026-11-25T23:40:41.886+00:00", "status": true,
            "email": "Ada@example.org",
        })
    }

    #[test]
    fn missing_null_and_empty_fields_are_alike() {
        let bare = account(&user()).unwrap();
        assert_eq!(bare.id.as_str().len(), 36);
        assert_eq!(bare.email.as_ref().unwrap().as_str(), "ada@example.org");
        let mut null = user();
        let mut empty = user();
        for name in ["name", "phone", "accessedAt"] {
            null[name] = Value::Null;
            empty[name] = "".into();
        }
        for name in ["labels", "prefs", "mfa", "emailVerification"] {
            null[name] = Value::Null;
        }
        empty["prefs"] = json!([]);
        assert_eq!(account(&null).unwrap(), bare);
        assert_eq!(account(&empty).unwrap(), bare);
        assert!(!bare.is_anonymous && bare.last_seen_at.is_none());
        let mut none = user();
        none["email"] = Value::Null;
        let none = account(&none).unwrap();
        assert!(none.is_anonymous);
        none.check().unwrap();
    }

    #[test]
    fn a_moment_without_a_zone_is_in_utc() {
        let mut user = user();
        user["accessedAt"] = "2026-11-25 23:42:55.820".into();
        let seen = account(&user).unwrap().last_seen_at.unwrap();
        assert_eq!(
            seen,
            "2026-11-25T23:42:55.820Z"
                .parse::<authorstack_core::chrono::DateTime<authorstack_core::chrono::Utc>>()
                .unwrap()
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (name, value, expected) in [
            ("phone", json!("0151 12345678"), "phone: "),
            ("email", json!("ada"), "email: "),
            ("prefs", json!("dark"), "prefs: "),
            ("prefs", json!(["dark"]), "prefs: "),
            ("status", Value::Null, "status: "),
            ("labels", json!([1]), "labels: "),
            ("mfa", json!("yes"), "mfa: "),
            ("accessedAt", json!("soon"), "accessedAt: "),
        ] {
            let mut user = user();
            user[name] = value;
            let error = account(&user).unwrap_err();
            assert_eq!(error.kind().code(), "corrupt");
            assert_eq!(error.record(), user["$id"].as_str());
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
