use std::{fmt, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    Authenticator, BearerToken, Error, ErrorKind, Principal, Result,
    chrono::Utc,
    secrecy::{ExposeSecret, SecretString},
};
use authorstack_http::{HttpClient, Method};
use chrono::DateTime;
use serde::Deserialize;

use super::{
    claims::{self, Expected, Parts},
    config::SupabaseAuthConfig,
    error,
    keys::Keys,
};

/// Checks a token's signature and its claims here, without a request: by the keys that the server
/// publishes (ES256, RS256), and by the older secret where the host gives it (HS256).
///
/// It does not see that an account was blocked or a session ended: the token stays good until it
/// expires, by default for an hour. [`CheckedAuthenticator`] sees both. Clones share the keys.
#[derive(Debug, Clone)]
pub struct LocalAuthenticator {
    keys: Arc<Keys>,
    expected: Expected,
}

impl LocalAuthenticator {
    pub(super) fn new(client: HttpClient, config: &SupabaseAuthConfig) -> Self {
        let address = client.settings().base().as_str().trim_end_matches('/');
        let expected = Expected {
            issuer: config.issuer.clone().unwrap_or_else(|| address.to_owned()),
            audience: config.audience.clone(),
        };
        Self {
            keys: Arc::new(Keys::new(client, config.jwt_secret.as_ref())),
            expected,
        }
    }
}

#[async_trait]
impl Authenticator for LocalAuthenticator {
    async fn authenticate(&self, token: &BearerToken) -> Result<Principal> {
        let parts = Parts::of(token.expose())?;
        self.keys.check(&parts).await?;
        claims::check(&parts.claims()?, &self.expected, Utc::now())
    }
}

/// Asks the server who has shown a token. It sees bans, and sessions that have ended. Each call is
/// a request. Clones share their connections.
#[derive(Clone)]
pub struct CheckedAuthenticator {
    client: HttpClient,
    key: SecretString,
}

impl fmt::Debug for CheckedAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedAuthenticator")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// What of an account matters here.
#[derive(Deserialize)]
struct Owner {
    id: String,
    banned_until: Option<DateTime<Utc>>,
}

impl CheckedAuthenticator {
    pub(super) fn new(client: HttpClient, config: &SupabaseAuthConfig) -> Self {
        Self {
            client,
            key: config.service_key.clone(),
        }
    }
}

#[async_trait]
impl Authenticator for CheckedAuthenticator {
    async fn authenticate(&self, token: &BearerToken) -> Result<Principal> {
        // What is no token is not worth a request.
        let parts = Parts::of(token.expose())?;
        let request = self.client.request(Method::GET, &["user"])?;
        let request = request.header("apikey", self.key.expose_secret())?;
        let bearer = format!("Bearer {}", token.expose());
        let answer = request.header("authorization", &bearer)?.send().await?;
        if !answer.status().is_success() {
            let blocked = || {
                Error::new(ErrorKind::PermissionDenied {
                    reason: "the account is blocked".into(),
                })
            };
            return Err(match error::code_of(&answer).as_str() {
                "user_banned" => blocked(),
                "bad_jwt" | "session_not_found" | "session_expired" | "user_not_found"
                | "no_authorization" => Error::unauthenticated(),
                _ => error::of_answer(&answer),
            });
        }
        let owner: Owner = answer.json()?;
        if owner.banned_until.is_some_and(|end| end > Utc::now()) {
            return Err(Error::new(ErrorKind::PermissionDenied {
                reason: "the account is blocked".into(),
            }));
        }
        // The server has checked the token, so its claims can be believed.
        let principal = claims::principal(&parts.claims()?)?;
        if principal.account_id.as_str() != owner.id {
            return Err(Error::unauthenticated());
        }
        Ok(principal)
    }
}
