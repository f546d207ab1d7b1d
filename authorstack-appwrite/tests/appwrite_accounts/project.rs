//! A project without accounts, for one test.

use std::{env, fs::File, time::Duration};

use async_trait::async_trait;
use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    AuthorStack, BearerToken, Email, Error, ErrorKind, MemoryStore, Result,
    testing::{Abilities, FreshAccounts, SignIn, servers},
};
use authorstack_http::{HttpClient, HttpSettings, Method, Service};
use serde_json::{Value, json};
use tests_standins::appwrite::Appwrite;

static CLIENT: Service = Service {
    name: "Appwrite",
    setting: "appwrite_endpoint",
    example: "https://<region>.cloud.appwrite.io/v1",
};

pub(crate) const DATABASE: &str = "as_test";

pub(crate) struct Project {
    pub(crate) accounts: AppwriteAccounts,
    pub(crate) endpoint: String,
    pub(crate) id: String,
    pub(crate) key: String,
    client: HttpClient,
    /// Users, books and sales.
    memory: MemoryStore,
    place: Place,
}

enum Place {
    StandIn(Box<Appwrite>),
    /// The lock that keeps other tests away.
    Real(#[allow(dead_code, reason = "held, not read")] File),
}

fn real(name: &str) -> Option<String> {
    let value = env::var(format!("AUTHORSTACK_TEST_APPWRITE_{name}")).ok();
    value.filter(|value| !value.is_empty())
}

/// Settings for tests: nobody waits for long.
pub(crate) fn quick(config: AppwriteConfig) -> AppwriteConfig {
    config
        .database(DATABASE)
        .poll_interval(Duration::from_millis(20))
        .check_interval(Duration::from_millis(500))
}

impl Project {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    /// A project with other settings.
    pub(crate) async fn with(change: fn(AppwriteConfig) -> AppwriteConfig) -> Self {
        let named = (real("ENDPOINT"), real("PROJECT"), real("KEY"));
        let (place, endpoint, id, key) = if let (Some(endpoint), Some(id), Some(key)) = named {
            let lock = File::create(servers::workspace().join("target/appwrite.lock")).unwrap();
            lock.lock().unwrap();
            (Place::Real(lock), endpoint, id, key)
        } else {
            return Self::stand_in(change).await;
        };
        let project = Self::of(place, endpoint, id, key, change);
        project.empty().await;
        project.accounts.prepare().await.unwrap();
        project
    }

    /// A project of the stand-in, whatever the settings say.
    pub(crate) async fn stand_in(change: fn(AppwriteConfig) -> AppwriteConfig) -> Self {
        let server = Appwrite::start().await;
        let endpoint = server.address().to_owned();
        let (id, key) = (Appwrite::PROJECT.to_owned(), Appwrite::KEY.to_owned());
        let project = Self::of(Place::StandIn(Box::new(server)), endpoint, id, key, change);
        project.accounts.prepare().await.unwrap();
        project
    }

    fn of(
        place: Place,
        endpoint: String,
        id: String,
        key: String,
        change: fn(AppwriteConfig) -> AppwriteConfig,
    ) -> Self {
        let config = AppwriteConfig::new(&endpoint, &id, key.as_str().into());
        let settings = HttpSettings::new(&CLIENT, &endpoint).unwrap();
        Self {
            accounts: AppwriteAccounts::new(change(quick(config))).unwrap(),
            client: HttpClient::new(settings).unwrap(),
            memory: MemoryStore::new(),
            endpoint,
            id,
            key,
            place,
        }
    }

    /// The stand-in, if it is one.
    pub(crate) fn stand_in_server(&self) -> Option<&Appwrite> {
        match &self.place {
            Place::StandIn(server) => Some(server),
            Place::Real(_) => None,
        }
    }

    /// The stand-in, for what a real server cannot be told to do.
    pub(crate) fn server(&self) -> &Appwrite {
        match &self.place {
            Place::StandIn(server) => server,
            Place::Real(_) => panic!("a test of the stand-in runs on a real server"),
        }
    }

    /// Sends a request with the key.
    pub(crate) async fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> Value {
        let request = self.client.request(method, path).unwrap();
        let request = request.header("x-appwrite-project", &self.id).unwrap();
        let mut request = request.header("x-appwrite-key", &self.key).unwrap();
        if let Some(body) = body {
            request = request.json(body).unwrap();
        }
        let answer = request.send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{path:?}: {}",
            answer.status()
        );
        answer.json().unwrap_or_default()
    }

    /// Reads as the owner of a session.
    pub(crate) async fn read_as(&self, header: &'static str, token: &str, path: &[&str]) -> Value {
        let request = self.client.request(Method::GET, path).unwrap();
        let request = request.header("x-appwrite-project", &self.id).unwrap();
        let answer = request.header(header, token).unwrap().send().await;
        answer.unwrap().json().unwrap()
    }

    /// Deletes all accounts and the database.
    async fn empty(&self) {
        loop {
            let users = self.send(Method::GET, &["users"], None).await;
            let users = users["users"].as_array().unwrap().clone();
            if users.is_empty() {
                break;
            }
            for user in users {
                let id = user["$id"].as_str().unwrap();
                self.send(Method::DELETE, &["users", id], None).await;
            }
        }
        let request = self
            .client
            .request(Method::DELETE, &["tablesdb", DATABASE])
            .unwrap();
        let request = request.header("x-appwrite-project", &self.id).unwrap();
        let deleted = request
            .header("x-appwrite-key", &self.key)
            .unwrap()
            .send()
            .await;
        // There may be none.
        deleted.unwrap();
    }

    /// Signs in as a client does, and looks at the account.
    pub(crate) async fn signed_in(&self, email: &str, password: &str) -> Result<String> {
        let path = ["account", "sessions", "email"];
        let request = self.client.request(Method::POST, &path)?;
        let request = request.header("x-appwrite-project", &self.id)?;
        // With the key, the answer has the session's secret.
        let request = request.header("x-appwrite-key", &self.key)?;
        let body = json!({ "email": email, "password": password });
        let answer = request.json(&body)?.send().await?;
        let said: Value = answer.json()?;
        if answer.status().is_success() {
            let secret = said["secret"].as_str().unwrap().to_owned();
            self.read_as("x-appwrite-session", &secret, &["account"])
                .await;
            return Ok(secret);
        }
        Err(match said["type"].as_str().unwrap_or_default() {
            "user_invalid_credentials" | "general_argument_invalid" => Error::unauthenticated(),
            "user_blocked" => Error::new(ErrorKind::PermissionDenied {
                reason: "blocked".into(),
            }),
            kind => Error::internal(format!("{}: {kind}", answer.status())),
        })
    }

    pub(crate) async fn end(self) {
        if matches!(self.place, Place::Real(_)) {
            self.empty().await;
        }
    }
}

#[async_trait]
impl SignIn for Project {
    async fn sign_in(&self, email: &Email, password: &str) -> Result<BearerToken> {
        BearerToken::new(self.signed_in(email.as_str(), password).await?)
    }
}

#[async_trait]
impl FreshAccounts for Project {
    fn stack(&self) -> AuthorStack {
        let builder = AuthorStack::builder().store(&self.memory);
        builder.accounts(&self.accounts).build()
    }

    fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::default();
        abilities.links_identities = false;
        abilities.keeps_dates = false;
        abilities.replaces_hashes = false;
        abilities
    }

    async fn clean_up(self) {
        self.end().await;
    }
}

/// Runs a test on a project, and cleans up whatever comes of it.
pub(crate) async fn on_project(project: Project, test: impl AsyncFnOnce(&Project)) {
    use std::panic::{AssertUnwindSafe, resume_unwind};

    use futures::FutureExt;

    let outcome = AssertUnwindSafe(test(&project)).catch_unwind().await;
    project.end().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}
