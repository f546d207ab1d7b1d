use std::{collections::BTreeSet, fmt};

use authorstack_core::{
    AuthId, Email, Error, NewAccount, Password, Result,
    secrecy::{ExposeSecret, SecretString},
};
use authorstack_http::{Answer, HttpClient, Method, Request};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{config::SupabaseAuthConfig, error};
use crate::account_metadata as metadata;

/// The admin API.
pub(super) struct Admin {
    client: HttpClient,
    key: SecretString,
    has_jwt_key: bool,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Admin {
    pub(super) fn new(client: HttpClient, config: &SupabaseAuthConfig) -> Self {
        Self {
            client,
            has_jwt_key: config.has_jwt_key(),
            key: config.service_key.clone(),
        }
    }

    /// A request with the key. A JWT is sent twice: the gateway looks at `apikey`, a server without a
    /// gateway at `Authorization`. A key of the new family is no JWT, and would be refused there.
    fn request(&self, method: Method, path: &[&str]) -> Result<Request> {
        let key = self.key.expose_secret();
        let request = self.client.request(method, path)?.header("apikey", key)?;
        if !self.has_jwt_key {
            return Ok(request);
        }
        request.header("authorization", &format!("Bearer {key}"))
    }

    pub(super) async fn check(&self) -> Result<()> {
        let request = self.request(Method::GET, &["admin", "users"])?;
        let answer = request.query("page", "1").query("per_page", "1").send();
        done(&answer.await?)
    }

    /// Creates an account with a password, and returns its id.
    pub(super) async fn create(&self, new: &NewAccount, password: &Password) -> Result<AuthId> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        if let Some(id) = &new.id {
            put("id", id.as_str().into());
        }
        if let Some(email) = &new.email {
            put("email", email.as_str().into());
            put("email_confirm", new.email_verified.into());
        }
        if let Some(phone) = &new.phone {
            put("phone", phone.digits().into());
            put("phone_confirm", new.phone_verified.into());
        }
        put("password", password.expose().into());
        put("user_metadata", metadata::of_user(&new.name, &new.prefs));
        put(
            "app_metadata",
            metadata::of_app(&metadata::Marks::of_new(new))?.into(),
        );
        let request = self.request(Method::POST, &["admin", "users"])?;
        let answer = request.json(&body)?.send().await?;
        done(&answer)?;
        let made: Value = answer.json()?;
        let id = made.get("id").and_then(Value::as_str);
        let id = id.ok_or_else(|| Error::corrupt("a new account of Supabase Auth has no id"))?;
        id.parse()
    }

    /// The providers that are switched on.
    pub(super) async fn enabled_providers(&self) -> Result<BTreeSet<String>> {
        let answer = self.request(Method::GET, &["settings"])?.send().await?;
        done(&answer)?;
        let external = answer.json::<Settings>()?.external.into_iter();
        let enabled = external.filter(|(_, is_on)| *is_on == Value::Bool(true));
        Ok(enabled.map(|(name, _)| name).collect())
    }

    /// Sends a link to set a new password.
    pub(super) async fn send_reset(&self, email: &Email) -> Result<()> {
        let request = self.request(Method::POST, &["recover"])?;
        let body = json!({ "email": email.as_str() });
        done(&request.json(&body)?.send().await?)
    }

    /// Sets a password, which ends all sessions.
    pub(super) async fn set_password(&self, id: Uuid, password: &Password) -> Result<()> {
        let id = id.to_string();
        let request = self.request(Method::PUT, &["admin", "users", &id])?;
        let body = json!({ "password": password.expose() });
        let answer = request.json(&body)?.send().await?;
        done(&answer)
    }
}

/// `GET /settings`.
#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    external: Map<String, Value>,
}

fn done(answer: &Answer) -> Result<()> {
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(error::of_answer(answer))
    }
}
