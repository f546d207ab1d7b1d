//! Access tokens: their parts, and what their claims say.

use authorstack_core::{Error, Principal, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// A clock of ours may differ from the server's by so many seconds.
const LEEWAY: i64 = 5;

/// A token, taken apart. Nothing of it is believed yet.
pub(super) struct Parts<'t> {
    /// What is signed.
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
    pub(super) header: Header,
    claims: &'t str,
}

#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    /// Extensions that a reader must understand; there are none.
    crit: Option<Value>,
}

/// What a token must be issued for.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) issuer: String,
    pub(super) audience: String,
}

impl<'t> Parts<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// Unauthenticated if it is none.
    pub(super) fn of(token: &'t str) -> Result<Self> {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(Error::unauthenticated());
        };
        let signed = &token[..header.len() + 1 + claims.len()];
        let header: Header = decoded(header)?;
        if header.crit.is_some() {
            return Err(Error::unauthenticated());
        }
        Ok(Self {
            signed,
            signature: bytes(signature)?,
            header,
            claims,
        })
    }

    /// The claims as JSON.
    pub(super) fn claims(&self) -> Result<Value> {
        decoded(self.claims)
    }
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    BASE64.decode(text).map_err(|_| Error::unauthenticated())
}

fn decoded<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T> {
    serde_json::from_slice(&bytes(text)?).map_err(|_| Error::unauthenticated())
}

/// A moment in seconds since 1970. A claim of another type is an error, never a missing claim.
fn moment(claims: &Value, name: &str) -> Result<Option<i64>> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "it is within the years of dates"
            )]
            let whole = number.as_i64().or_else(|| {
                let seconds = number.as_f64()?;
                (seconds.abs() < 1e12).then_some(seconds as i64)
            });
            whole.map(Some).ok_or_else(Error::unauthenticated)
        }
        Some(_) => Err(Error::unauthenticated()),
    }
}

/// Who the claims name.
pub(super) fn principal(claims: &Value) -> Result<Principal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let account = text("sub").ok_or_else(Error::unauthenticated)?;
    let session = text("session_id").filter(|id| !id.is_empty());
    let refuse = |_| Error::unauthenticated();
    Ok(Principal {
        account_id: account.parse().map_err(refuse)?,
        session_id: session.map(str::parse).transpose().map_err(refuse)?,
        expires_at: moment(claims, "exp")?.and_then(|at| DateTime::from_timestamp(at, 0)),
    })
}

/// Checks the claims of a token whose signature is right.
pub(super) fn check(claims: &Value, expected: &Expected, now: DateTime<Utc>) -> Result<Principal> {
    let now = now.timestamp();
    // Without an end it would be good for ever.
    let expires = moment(claims, "exp")?.ok_or_else(Error::unauthenticated)?;
    let is_over = expires.saturating_add(LEEWAY) <= now;
    let is_early = moment(claims, "nbf")?.is_some_and(|begins| begins > now + LEEWAY);
    let is_for_us = match claims.get("aud") {
        Some(Value::String(audience)) => *audience == expected.audience,
        Some(Value::Array(all)) => all.iter().any(|it| it.as_str() == Some(&expected.audience)),
        _ => false,
    };
    let is_from_there = claims.get("iss").and_then(Value::as_str) == Some(&expected.issuer);
    if is_over || is_early || !is_for_us || !is_from_there {
        return Err(Error::unauthenticated());
    }
    principal(claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn checked(change: &Value) -> Result<Principal> {
        let mut claims = json!({
            "iss": "https://a/auth/v1", "aud": "authenticated", "exp": NOW + 60,
            "sub": "0b9f6c1e-7c86-4b64-a1ae-3f3b0e4f9d11", "session_id": "s1",
        });
        let claims = claims.as_object_mut().unwrap();
        for (name, value) in change.as_object().unwrap() {
            if value == "none" {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        let expected = Expected {
            issuer: "https://a/auth/v1".to_owned(),
            audience: "authenticated".to_owned(),
        };
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        check(&claims.clone().into(), &expected, now)
    }

    #[test]
    fn claims_are_checked_one_by_one() {
        let who = checked(&json!({})).unwrap();
        assert_eq!(who.session_id.unwrap().as_str(), "s1");
        assert_eq!(who.expires_at.unwrap().timestamp(), NOW + 60);
        for fine in [
            json!({ "exp": 1_790_000_000.5 }),
            json!({ "exp": NOW - LEEWAY + 1 }),
            json!({ "nbf": NOW }),
            json!({ "aud": ["other", "authenticated"] }),
            json!({ "session_id": "none" }),
        ] {
            assert!(checked(&fine).is_ok(), "{fine}");
        }
        for bad in [
            json!({ "exp": NOW - LEEWAY }),
            json!({ "exp": "none" }),
            // A number in a text is no missing claim.
            json!({ "exp": (NOW + 60).to_string() }),
            json!({ "exp": null }),
            json!({ "exp": 1e300 }),
            json!({ "nbf": NOW + 60 }),
            json!({ "nbf": (NOW - 60).to_string() }),
            json!({ "aud": "anon" }),
            json!({ "aud": "none" }),
            json!({ "aud": [] }),
            json!({ "iss": "https://b/auth/v1" }),
            json!({ "iss": "none" }),
            json!({ "sub": "none" }),
            json!({ "sub": "" }),
        ] {
            assert!(checked(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [
            "",
            "a.b",
            "a.b.c",
            "e30.e30.e30.e30",
            "bnVsbA.e30.",
            "e30.e30.",
        ] {
            assert!(Parts::of(text).is_err(), "{text}");
        }
    }
}
