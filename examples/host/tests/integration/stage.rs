//! A host of a test's own, on one of the backends.

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::atomic::{AtomicU32, Ordering},
};

use authorstack_core::{
    Credential, NewAccount, Password,
    queue::WorkerHandle,
    testing::servers::{fresh_name, mongodb_url, setting, supabase_db_url},
};
use authorstack_examples::scratch::Scratch;
use authorstack_host::{app::App, backend, router, settings::Settings, work};
use authorstack_http::{HttpClient, HttpSettings, Method, Service};
use axum::Router;
use futures::FutureExt;
use serde_json::{Value, json};
use tests_standins::{
    appwrite::Appwrite,
    supabase_auth::{Gateway, Signing, SupabaseAuth},
};

use crate::client::Client;

/// A running host, and what it runs on.
pub(crate) struct Stage {
    pub(crate) app: App,
    router: Router,
    worker: WorkerHandle,
    place: Place,
    scratch: Option<Scratch>,
    signed_up: AtomicU32,
}

/// Where accounts sign in.
enum Place {
    Host,
    Appwrite(Appwrite),
    Supabase(SupabaseAuth),
}

const SERVICE_KEY: &str = "sb_secret_of_the_tests";
const PASSWORD: &str = "tide and time";
const WEBHOOK_KEY: &str = "a key of the tests";

static CLIENT: Service = Service {
    name: "accounts",
    setting: "accounts",
    example: "https://example.org/v1",
};

impl Stage {
    pub(crate) async fn memory() -> Self {
        Self::of(Vec::new(), Place::Host, None).await
    }

    /// In memory, with settings.
    pub(crate) async fn memory_with(settings: Vec<(&'static str, String)>) -> Self {
        Self::of(settings, Place::Host, None).await
    }

    /// A setting of tests that send many requests.
    pub(crate) fn without_limit() -> (&'static str, String) {
        ("requests_per_minute", "1000000".to_owned())
    }

    pub(crate) async fn distributed() -> Self {
        Self::distributed_through(|_, url| url).await
    }

    /// With other addresses of the stores, by their settings.
    pub(crate) async fn distributed_through(
        place: impl FnMut(&'static str, String) -> String,
    ) -> Self {
        Self::distributed_with(Appwrite::start().await, Vec::new(), place).await
    }

    /// With a webhook of Appwrite that leads to this address.
    pub(crate) async fn distributed_with_webhook(address: SocketAddr) -> Self {
        let url = format!("http://{address}/api/webhooks/appwrite");
        let appwrite = Appwrite::start().await;
        appwrite.add_webhook(&url, WEBHOOK_KEY);
        let more = vec![
            ("appwrite_webhook_url", url),
            ("appwrite_webhook_key", WEBHOOK_KEY.to_owned()),
        ];
        Self::distributed_with(appwrite, more, |_, url| url).await
    }

    async fn distributed_with(
        appwrite: Appwrite,
        more: Vec<(&'static str, String)>,
        mut place: impl FnMut(&'static str, String) -> String,
    ) -> Self {
        let name = fresh_name();
        let scratch = Scratch::create(&name, &mongodb_url(), &supabase_db_url()).await;
        let postgres = setting("AUTHORSTACK_TEST_POSTGRES_URL");
        let scratch = scratch.unwrap().with_empty_postgres(&postgres).await;
        let scratch = scratch.unwrap();
        let stores = [
            ("mongodb_url", scratch.mongodb_url().to_owned()),
            ("postgres_url", scratch.postgres_url().unwrap()),
            ("appwrite_endpoint", appwrite.address().to_owned()),
            ("redis_url", setting("AUTHORSTACK_TEST_REDIS_URL")),
        ];
        let stores = stores.map(|(key, url)| (key, place(key, url)));
        let mut settings = vec![
            Self::without_limit(),
            ("backend", "distributed".to_owned()),
            ("appwrite_project", Appwrite::PROJECT.to_owned()),
            ("appwrite_key", Appwrite::KEY.to_owned()),
            ("redis_prefix", format!("{name}:")),
        ];
        settings.extend(stores.into_iter().chain(more));
        Self::of(settings, Place::Appwrite(appwrite), Some(scratch)).await
    }

    pub(crate) async fn supabase() -> Self {
        Self::supabase_through(|_, url| url).await
    }

    /// With other addresses of Supabase, by their settings.
    pub(crate) async fn supabase_through(
        mut place: impl FnMut(&'static str, String) -> String,
    ) -> Self {
        let scratch = Scratch::create(&fresh_name(), &mongodb_url(), &supabase_db_url()).await;
        let scratch = scratch.unwrap();
        let gateway = Gateway {
            service_keys: vec![SERVICE_KEY.to_owned()],
            public_keys: Vec::new(),
        };
        let signing = Signing::es256("key-1");
        let auth = SupabaseAuth::start(&scratch.supabase_db_url(), signing, gateway).await;
        let stores = [
            ("supabase_db_url", scratch.supabase_db_url()),
            ("supabase_auth_url", auth.address().to_owned()),
        ];
        let stores = stores.map(|(key, url)| (key, place(key, url)));
        let mut settings = vec![
            Self::without_limit(),
            ("backend", "supabase".to_owned()),
            ("supabase_service_key", SERVICE_KEY.to_owned()),
        ];
        settings.extend(stores);
        Self::of(settings, Place::Supabase(auth), Some(scratch)).await
    }

    async fn of(
        settings: Vec<(&'static str, String)>,
        place: Place,
        scratch: Option<Scratch>,
    ) -> Self {
        let mut settings = settings;
        settings.push(("rates", "EUR=2".to_owned()));
        let settings = Settings::of(settings);
        let stores = backend::open(&settings).await.unwrap();
        let app = App::new(stores, &settings).unwrap();
        Self {
            router: router(&app, &settings),
            worker: work::start(&app).await.unwrap(),
            app,
            place,
            scratch,
            signed_up: AtomicU32::new(0),
        }
    }

    /// Runs a test, and cleans up whatever comes of it.
    pub(crate) async fn run(self, test: impl AsyncFnOnce(&Self)) {
        let outcome = AssertUnwindSafe(test(&self)).catch_unwind().await;
        drop(self.worker);
        drop(self.router);
        drop(self.app);
        if let Place::Supabase(auth) = self.place {
            auth.stop().await;
        }
        if let Some(scratch) = &self.scratch {
            scratch.remove().await.unwrap();
        }
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }

    /// A client that nobody has signed in.
    pub(crate) fn nobody(&self) -> Client {
        Client {
            router: self.router.clone(),
            token: None,
        }
    }

    /// A client of a new user with this name.
    pub(crate) async fn user(&self, name: &str) -> Client {
        let number = self.signed_up.fetch_add(1, Ordering::Relaxed);
        let email = format!("{}{number}@example.org", name.to_lowercase());
        let mut account = NewAccount::new(email.parse().unwrap());
        account.name = name.to_owned();
        account.email_verified = true;
        account.credential = Credential::Password(Password::new(PASSWORD).unwrap());
        self.app.stack.accounts().create(account).await.unwrap();
        Client {
            token: Some(self.sign_in(&email).await),
            ..self.nobody()
        }
    }

    async fn sign_in(&self, email: &str) -> String {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let (answer, token) = match &self.place {
            Place::Host => {
                let answer = self.nobody().post("/api/session", &credentials).await;
                (answer.of(201), "token")
            }
            Place::Appwrite(server) => {
                let headers = [
                    ("x-appwrite-project", Appwrite::PROJECT),
                    ("x-appwrite-key", Appwrite::KEY),
                ];
                let path = ["account", "sessions", "email"];
                (
                    ask(server.address(), &path, &headers, &credentials).await,
                    "secret",
                )
            }
            Place::Supabase(server) => {
                let headers = [("apikey", SERVICE_KEY)];
                (
                    ask(server.address(), &["token"], &headers, &credentials).await,
                    "access_token",
                )
            }
        };
        answer[token]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }
}

/// Asks an accounts' service as its clients do.
async fn ask(
    address: &str,
    path: &[&str],
    headers: &[(&'static str, &str)],
    body: &Value,
) -> Value {
    let client = HttpClient::new(HttpSettings::new(&CLIENT, address).unwrap()).unwrap();
    let mut request = client.request(Method::POST, path).unwrap();
    if path == ["token"] {
        request = request.query("grant_type", "password");
    }
    for (name, value) in headers {
        request = request.header(name, value).unwrap();
    }
    request
        .json(body)
        .unwrap()
        .send()
        .await
        .unwrap()
        .json()
        .unwrap()
}
