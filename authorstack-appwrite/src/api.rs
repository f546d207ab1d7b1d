use std::fmt;

use authorstack_core::{
    AuthId, Error, Result,
    secrecy::{ExposeSecret, SecretString},
};
use authorstack_http::{Answer, HttpClient, Method, Request};
use serde::Serialize;
use serde_json::Value;

use crate::{
    config::{AppwriteConfig, is_id},
    error,
    token::Token,
};

/// The form of answers: that of the oldest version with `TablesDB`. Newer servers keep to it.
const FORMAT: &str = "1.8.0";

/// The project's API.
pub(crate) struct Api {
    client: HttpClient,
    project: String,
    key: SecretString,
}

/// Shows neither key nor project.
impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(client: HttpClient, config: &AppwriteConfig) -> Self {
        Self {
            client,
            project: config.project.clone(),
            key: config.api_key.clone(),
        }
    }

    pub(crate) fn client(&self) -> &HttpClient {
        &self.client
    }

    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<Request> {
        self.client
            .request(method, path)?
            .header("x-appwrite-project", &self.project)?
            .header("x-appwrite-response-format", FORMAT)
    }

    /// A request with the key.
    pub(crate) fn with_key(&self, method: Method, path: &[&str]) -> Result<Request> {
        let request = self.request(method, path)?;
        request.header("x-appwrite-key", self.key.expose_secret())
    }

    /// A read as the owner of a token, without the key. The answer is not judged.
    pub(crate) async fn with_token(&self, token: &Token, path: &[&str]) -> Result<Answer> {
        let request = self.request(Method::GET, path)?;
        let (name, value) = token.header();
        request.header(name, value)?.send().await
    }

    /// Sends a request; an error of Appwrite's is one.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let answer = request.send().await?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(error::of_answer(&answer))
        }
    }

    pub(crate) async fn get(&self, path: &[&str]) -> Result<Value> {
        let request = self.with_key(Method::GET, path)?;
        self.send(request).await?.json()
    }

    /// A write that may be done twice: it sets what it says.
    pub(crate) async fn set(
        &self,
        method: Method,
        path: &[&str],
        body: &(impl Serialize + ?Sized),
    ) -> Result<Value> {
        let request = self.with_key(method, path)?.json(body)?;
        self.send(request.repeatable(true)).await?.json()
    }

    /// A write that must not be done twice.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        body: &(impl Serialize + ?Sized),
    ) -> Result<Value> {
        let request = self.with_key(Method::POST, path)?.json(body)?;
        self.send(request).await?.json()
    }

    /// A deletion. When an attempt before it may have done it, nothing to delete is no error.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<()> {
        let answer = self.with_key(Method::DELETE, path)?.send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let error = error::of_answer(&answer);
        if answer.was_repeated() && error.is_not_found() {
            return Ok(());
        }
        Err(error)
    }
}

/// The id as a path has it. Appwrite has nobody whose id has another form.
pub(crate) fn known_id(id: &AuthId) -> Result<&str> {
    let id = id.as_str();
    if is_id(id) {
        Ok(id)
    } else {
        Err(Error::not_found())
    }
}
