//! Sessions' secrets, and JWTs.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chrono::Utc;
use ring::{digest, hmac};
use serde_json::{Value, json};
use uuid::Uuid;

/// What a JWT says.
#[derive(Debug)]
pub(super) struct Jwt {
    pub(super) user: String,
    /// Empty for one without a session.
    pub(super) session: String,
    pub(super) exp: i64,
}

impl Jwt {
    pub(super) fn sign(&self, key: &hmac::Key) -> String {
        let header = json!({ "typ": "JWT", "alg": "HS256" });
        let claims = json!({ "userId": self.user, "sessionId": self.session, "exp": self.exp });
        let [header, claims] =
            [header, claims].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it.to_string()));
        let message = format!("{header}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(key, message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// Reads a JWT, or says what is wrong with it, in the server's words.
    pub(super) fn read(token: &str, key: &hmac::Key) -> Result<Self, String> {
        let refuse = |problem: &str| Err(format!("Failed to verify JWT. {problem}"));
        let Some((message, signature)) = token.rsplit_once('.') else {
            return refuse("Invalid token: Incomplete segments");
        };
        let Some((_, claims)) = message.split_once('.') else {
            return refuse("Invalid token: Incomplete segments");
        };
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
        let Ok(claims) = serde_json::from_slice::<Value>(&claims) else {
            return refuse("JSON failed: Syntax error");
        };
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
        let signature = signature.unwrap_or_default();
        if hmac::verify(key, message.as_bytes(), &signature).is_err() {
            return refuse("Invalid token: Signature failed");
        }
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        let exp = claims["exp"].as_i64().unwrap_or_default();
        if exp <= Utc::now().timestamp() {
            return refuse("Invalid token: Expired");
        }
        Ok(Self {
            user: text("userId"),
            session: text("sessionId"),
            exp,
        })
    }
}

/// The inner secret of a new session.
pub(super) fn new_secret() -> String {
    let part = || Uuid::new_v4().simple().to_string();
    [part(), part(), part(), part()].concat()
}

/// The secret as a client shows it.
pub(super) fn shown(user: &str, inner: &str) -> String {
    BASE64_STANDARD.encode(json!({ "id": user, "secret": inner }).to_string())
}

/// User and inner secret of what a client shows. The server does not mind what follows the padding.
pub(super) fn read_shown(text: &str) -> Option<(String, String)> {
    let text = text.replace("%3D", "=");
    let text = text.split('=').next().unwrap_or_default();
    let bytes = base64::prelude::BASE64_STANDARD_NO_PAD.decode(text).ok()?;
    let said: Value = serde_json::from_slice(&bytes).ok()?;
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    Some((text("id")?, text("secret")?))
}

/// What of an inner secret is stored.
pub(super) fn digest(inner: &str) -> String {
    hex(digest::digest(&digest::SHA256, inner.as_bytes()).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}
