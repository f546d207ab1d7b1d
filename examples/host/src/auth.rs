//! Who has sent a request.

use authorstack_core::{BearerToken, Principal, User};
use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};

use crate::{app::App, problem::Problem};

/// The signed-in user. A handler that takes it answers 401 without a token that is good, and 403 for a
/// blocked account.
#[derive(Debug)]
pub struct Authenticated {
    /// The account, and the session of the token.
    pub principal: Principal,
    /// The account's profile. The first request of an account makes it.
    pub user: User,
}

/// The token of a request.
///
/// # Errors
/// Unauthenticated.
pub fn token(headers: &HeaderMap) -> authorstack_core::Result<BearerToken> {
    let header = headers.get(header::AUTHORIZATION);
    let header = header.and_then(|header| header.to_str().ok());
    BearerToken::from_header(header.unwrap_or_default())
}

impl FromRequestParts<App> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = token(&parts.headers)?;
        let principal = app.stack.authenticator().authenticate(&token).await?;
        let found = app
            .stack
            .users()
            .get_by_auth_id(&principal.account_id)
            .await;
        let user = match found {
            Err(error) if error.is_not_found() => app.profiles.run(&principal.account_id).await?.0,
            found => found?,
        };
        Ok(Self { principal, user })
    }
}
