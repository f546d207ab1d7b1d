use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{Authenticator, BearerToken, Error, Principal, Result, SessionId};
use authorstack_http::Answer;
use serde_json::Value;

use crate::{
    api::Api,
    config::is_id,
    error,
    fields::Fields,
    sessions::session,
    store::AppwriteAccounts,
    token::{Login, Token},
};

/// Asks the server whether a token is good: the secret of a session, or a JWT. One request.
///
/// It sees that the account is blocked or gone, that a session has ended, and that a JWT has expired
/// or its session has ended.
///
/// **A JWT that was made by an API key without a session outlives a change of the password and the
/// end of all sessions**, until it expires (at most an hour). This authenticator takes it;
/// [`SessionAuthenticator`] does not.
#[derive(Debug, Clone)]
pub struct TokenAuthenticator {
    api: Arc<Api>,
}

/// Asks the server for the session behind a token: the secret of a session, or a JWT of one. One
/// request.
///
/// It sees all that [`TokenAuthenticator`] sees, and refuses a JWT that names no session: nothing but
/// a block or the account's end would stop that before it expires.
#[derive(Debug, Clone)]
pub struct SessionAuthenticator {
    api: Arc<Api>,
}

impl AppwriteAccounts {
    /// The authenticator that demands the session behind a token.
    #[must_use]
    pub fn by_session(&self) -> SessionAuthenticator {
        SessionAuthenticator::new(self.shared_api())
    }

    /// The authenticator that asks whether a token is good.
    #[must_use]
    pub fn by_token(&self) -> TokenAuthenticator {
        TokenAuthenticator::new(self.shared_api())
    }
}

impl TokenAuthenticator {
    fn new(api: Arc<Api>) -> Self {
        Self { api }
    }
}

impl SessionAuthenticator {
    fn new(api: Arc<Api>) -> Self {
        Self { api }
    }
}

#[async_trait]
impl Authenticator for TokenAuthenticator {
    async fn authenticate(&self, token: &BearerToken) -> Result<Principal> {
        let token = Token::read(token)?;
        let Login::Jwt {
            session,
            expires_at,
        } = &token.login
        else {
            return by_session(&self.api, &token, "current").await;
        };
        let account = judged(&self.api.with_token(&token, &["account"]).await?)?;
        if Fields(&account).text("$id")? != Some(token.account.as_str()) {
            return Err(Error::unauthenticated());
        }
        Ok(Principal {
            account_id: token.account.clone(),
            session_id: session.clone(),
            expires_at: *expires_at,
        })
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    async fn authenticate(&self, token: &BearerToken) -> Result<Principal> {
        let token = Token::read(token)?;
        let (id, end) = match &token.login {
            Login::Secret => ("current", None),
            Login::Jwt {
                session,
                expires_at,
            } => {
                let id = session.as_ref().map(SessionId::as_str);
                let id = id.filter(|id| is_id(id));
                (id.ok_or_else(Error::unauthenticated)?, *expires_at)
            }
        };
        let mut principal = by_session(&self.api, &token, id).await?;
        principal.expires_at = end.or(principal.expires_at);
        Ok(principal)
    }
}

/// The owner of a token by its session.
async fn by_session(api: &Api, token: &Token, id: &str) -> Result<Principal> {
    let answer = api.with_token(token, &["account", "sessions", id]).await?;
    let found = session(&judged(&answer)?)?;
    if found.account_id != token.account {
        return Err(Error::unauthenticated());
    }
    Ok(Principal {
        account_id: found.account_id,
        session_id: Some(found.id),
        expires_at: found.expires_at,
    })
}

/// What the server says to a token.
fn judged(answer: &Answer) -> Result<Value> {
    if answer.status().is_success() {
        return answer.json();
    }
    Err(match error::type_of(answer).as_str() {
        "general_unauthorized_scope"
        | "user_unauthorized"
        | "user_jwt_invalid"
        | "user_session_not_found"
        | "user_not_found"
        | "user_more_factors_required" => Error::unauthenticated(),
        _ => error::of_answer(answer),
    })
}
