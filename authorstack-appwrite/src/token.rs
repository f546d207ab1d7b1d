//! What a client shows: the secret of a session, or a JWT.

use authorstack_core::{
    AuthId, BearerToken, Error, Result, SessionId,
    chrono::{DateTime, Utc},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::Value;

/// A token, with what it says of itself. Nothing of that is proven.
pub(crate) struct Token {
    text: BearerToken,
    pub(crate) account: AuthId,
    pub(crate) login: Login,
}

/// The sort of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// The secret of a session.
    Secret,
    /// A JWT; one that was made by a key may name no session.
    Jwt {
        session: Option<SessionId>,
        expires_at: Option<DateTime<Utc>>,
    },
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// Unauthenticated for what is neither. The server would take a secret with something behind its
    /// padding; this does not.
    pub(crate) fn read(token: &BearerToken) -> Result<Self> {
        let text = token.expose();
        let read = if text.contains('.') {
            jwt(text)
        } else {
            secret(text)
        };
        let (account, login) = read.ok_or_else(Error::unauthenticated)?;
        Ok(Self {
            text: token.clone(),
            account,
            login,
        })
    }

    /// The header that carries it.
    pub(crate) fn header(&self) -> (&'static str, &str) {
        let name = match self.login {
            Login::Secret => "x-appwrite-session",
            Login::Jwt { .. } => "x-appwrite-jwt",
        };
        (name, self.text.expose())
    }
}

fn secret(text: &str) -> Option<(AuthId, Login)> {
    let said: Value = serde_json::from_slice(&BASE64_STANDARD.decode(text).ok()?).ok()?;
    let filled = |name: &str| said.get(name)?.as_str().filter(|text| !text.is_empty());
    filled("secret")?;
    Some((filled("id")?.parse().ok()?, Login::Secret))
}

fn jwt(text: &str) -> Option<(AuthId, Login)> {
    let mut parts = text.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let account = claims.get("userId")?.as_str()?.parse().ok()?;
    let session = claims.get("sessionId").and_then(Value::as_str);
    let session = session.filter(|id| !id.is_empty());
    let end = claims.get("exp").and_then(Value::as_i64);
    let login = Login::Jwt {
        session: session.map(str::parse).transpose().ok()?,
        expires_at: end.and_then(|end| DateTime::from_timestamp(end, 0)),
    };
    Some((account, login))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "eyJpZCI6InUtMSIsInNlY3JldCI6ImFiYyJ9";

    fn read(text: &str) -> Option<Token> {
        Token::read(&BearerToken::new(text).unwrap()).ok()
    }

    #[test]
    fn both_forms_are_read_and_nothing_else_is() {
        let token = read(SECRET).unwrap();
        assert_eq!(
            (token.account.as_str(), &token.login),
            ("u-1", &Login::Secret)
        );
        assert_eq!(token.header().0, "x-appwrite-session");
        let claims = r#"{"userId":"u-1","sessionId":"","exp":1795651078}"#;
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
        let token = read(&format!("e30.{claims}.x")).unwrap();
        assert_eq!(token.header().0, "x-appwrite-jwt");
        let Login::Jwt {
            session,
            expires_at,
        } = token.login
        else {
            panic!("a JWT is none");
        };
        assert_eq!(
            (session, expires_at.unwrap().timestamp()),
            (None, 1_795_651_078)
        );
        for other in [
            "nonsense",
            "a.b.c",
            "e30.e30.",
            "..",
            &format!("{SECRET}="),
            &format!("{SECRET}x"),
            &format!("e30.{claims}"),
            &format!("e30.{claims}.x.y"),
            &BASE64_STANDARD.encode(r#"{"id":"u-1","secret":""}"#),
            &BASE64_STANDARD.encode(r#"{"id":"","secret":"x"}"#),
        ] {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
