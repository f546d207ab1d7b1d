//! A project of a test's own: a database and its Auth server.

use std::{env, time::Duration};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, BearerToken, Email, Error, ErrorKind, Result,
    testing::{Abilities, FreshAccounts, SignIn},
};
use authorstack_http::{HttpClient, HttpSettings, Method, Service};
use authorstack_supabase::{SupabaseAccounts, SupabaseAuthConfig, SupabaseConfig, SupabaseStore};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tests_standins::supabase_auth::{Gateway, Signing, SupabaseAuth};

use crate::common::{Database, Via};

pub(crate) const SECRET: &str = "a-legacy-secret-of-thirty-two-bytes-and-more";
pub(crate) const SECRET_KEY: &str = "sb_secret_of_the_tests";
pub(crate) const PUBLIC_KEY: &str = "sb_publishable_of_the_tests";

pub(crate) static CLIENT: Service = Service {
    name: "Supabase Auth",
    setting: "supabase_auth_url",
    example: "https://<ref>.supabase.co/auth/v1",
};

/// What a project signs tokens with, and the form of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `sb_secret_…`, and tokens by a published key.
    New,
    /// A `service_role` JWT, and tokens by the secret.
    Legacy,
}

pub(crate) struct Project {
    pub(crate) accounts: SupabaseAccounts,
    pub(crate) store: SupabaseStore,
    pub(crate) client: HttpClient,
    pub(crate) key: String,
    place: Place,
}

enum Place {
    StandIn(Database, SupabaseAuth),
    /// The lock that keeps other tests away.
    Real(Box<PgConnection>),
}

/// The service role's key of the older family.
pub(crate) fn service_jwt() -> String {
    let claims = json!({ "iss": "supabase", "role": "service_role", "exp": 4_102_444_800_i64 });
    Signing::secret(SECRET).sign(&claims)
}

fn real(name: &str) -> Option<String> {
    let value = env::var(format!("AUTHORSTACK_TEST_SUPABASE_{name}")).ok();
    value.filter(|value| !value.is_empty())
}

impl Project {
    /// A project without accounts.
    pub(crate) async fn new(family: Family) -> Self {
        if let (Some(url), Some(key)) = (real("AUTH_URL"), real("SERVICE_KEY")) {
            return Self::real(&url, key).await;
        }
        let database = Database::with_schema().await;
        let (signing, key) = match family {
            Family::New => (Signing::es256("key-1"), SECRET_KEY.to_owned()),
            Family::Legacy => (Signing::secret(SECRET), service_jwt()),
        };
        let gateway = Gateway {
            service_keys: vec![key.clone()],
            public_keys: vec![PUBLIC_KEY.to_owned()],
        };
        let server = SupabaseAuth::start(&database.url(Via::Direct), signing, gateway).await;
        let url = server.address().to_owned();
        let mut config = SupabaseAuthConfig::new(&url, key.as_str().into());
        if family == Family::Legacy {
            config = config.jwt_secret(SECRET.into());
        }
        // The older projects' hosts are often behind the pooler in transaction mode.
        let via = match family {
            Family::New => Via::Direct,
            Family::Legacy => Via::Pooler,
        };
        let store = SupabaseStore::connect(database.config(via)).await;
        Self::of(
            store.unwrap(),
            config,
            &url,
            key,
            Place::StandIn(database, server),
        )
    }

    async fn real(url: &str, key: String) -> Self {
        let database = authorstack_core::testing::servers::supabase_db_url();
        let mut lock = PgConnection::connect(&database).await.unwrap();
        lock.execute("select pg_advisory_lock(7362814)")
            .await
            .unwrap();
        lock.execute("delete from auth.users").await.unwrap();
        let config = SupabaseConfig::new(database);
        let store = SupabaseStore::connect_and_prepare(config).await.unwrap();
        lock.execute("delete from public.users").await.unwrap();
        let mut config = SupabaseAuthConfig::new(url, key.as_str().into());
        if let Some(secret) = real("JWT_SECRET") {
            config = config.jwt_secret(secret.into());
        }
        Self::of(store, config, url, key, Place::Real(Box::new(lock)))
    }

    fn of(
        store: SupabaseStore,
        config: SupabaseAuthConfig,
        url: &str,
        key: String,
        place: Place,
    ) -> Self {
        let config = config.poll_interval(Duration::from_millis(20));
        let settings = HttpSettings::new(&CLIENT, url).unwrap();
        Self {
            accounts: SupabaseAccounts::new(&store, config).unwrap(),
            client: HttpClient::new(settings).unwrap(),
            store,
            key,
            place,
        }
    }

    /// The database of a stand-in, for what only its owner may look at.
    pub(crate) fn database(&self) -> Option<&Database> {
        match &self.place {
            Place::StandIn(database, _) => Some(database),
            Place::Real(_) => None,
        }
    }

    /// The stand-in, for what a real server cannot be told to do.
    pub(crate) fn stand_in(&self) -> Option<&SupabaseAuth> {
        match &self.place {
            Place::StandIn(_, server) => Some(server),
            Place::Real(_) => None,
        }
    }

    /// Signs in by password.
    pub(crate) async fn token(&self, body: &Value) -> Result<BearerToken> {
        let request = self.client.request(Method::POST, &["token"])?;
        let request = request.query("grant_type", "password");
        let request = request.header("apikey", &self.key)?.json(body)?;
        let answer = request.send().await?;
        let said: Value = answer.json()?;
        if answer.status().is_success() {
            return BearerToken::new(said["access_token"].as_str().unwrap());
        }
        Err(match said["error_code"].as_str().unwrap_or_default() {
            "invalid_credentials" | "validation_failed" => Error::unauthenticated(),
            code @ ("user_banned" | "email_not_confirmed" | "phone_not_confirmed") => {
                Error::new(ErrorKind::PermissionDenied {
                    reason: code.to_owned().into(),
                })
            }
            code => Error::internal(format!("{}: {code}", answer.status())),
        })
    }

    pub(crate) async fn end(self) {
        self.store.close().await;
        match self.place {
            Place::StandIn(database, server) => {
                server.stop().await;
                database.drop().await;
            }
            Place::Real(mut lock) => {
                lock.execute("delete from auth.users").await.unwrap();
                lock.execute("delete from public.users").await.unwrap();
                lock.close().await.unwrap();
            }
        }
    }
}

#[async_trait]
impl SignIn for Project {
    async fn sign_in(&self, email: &Email, password: &str) -> Result<BearerToken> {
        let body = json!({ "email": email.as_str(), "password": password });
        self.token(&body).await
    }
}

#[async_trait]
impl FreshAccounts for Project {
    fn stack(&self) -> AuthorStack {
        let builder = AuthorStack::builder().store(&self.store);
        builder.accounts(&self.accounts).build()
    }

    fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::default();
        abilities.makes_profiles = true;
        abilities
    }

    async fn clean_up(self) {
        self.end().await;
    }
}

/// Runs a test on a project, and cleans up whatever comes of it.
pub(crate) async fn on_project(family: Family, test: impl AsyncFnOnce(&Project)) {
    use std::panic::{AssertUnwindSafe, resume_unwind};

    use futures::FutureExt;

    let project = Project::new(family).await;
    let outcome = AssertUnwindSafe(test(&project)).catch_unwind().await;
    project.end().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}
