//! Supabase Auth over the `auth` tables of a project's database: signing in by password, who has
//! signed in, the admin API, settings and published keys. What it answers is that of version 2.196.
//!
//! It stands behind a gateway as a hosted project's does: [`Gateway`] looks at the keys. Each request
//! behind it and each answer is held to the vendor's `OpenAPI` document; [`SupabaseAuth::stop`] panics
//! if one was not in it.

mod admin;
mod answers;
mod document;
mod held;
mod passwords;
mod recover;
mod sessions;
mod sign_in;
mod tokens;
mod users;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::openapi::OpenApi;

pub use passwords::is_right;
pub use tokens::Signing;

use answers::Refusal;

/// The keys of a project, and how its gateway looks at them.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Keys that may do everything: a JWT of the role `service_role`, or `sb_secret_…`.
    pub service_keys: Vec<String>,
    /// Keys of visitors.
    pub public_keys: Vec<String>,
}

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct SupabaseAuth {
    address: String,
    server: JoinHandle<()>,
    auth: Auth,
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct Auth {
    pool: PgPool,
    issuer: Arc<str>,
    signing: Arc<RwLock<Keys>>,
    gateway: Arc<Gateway>,
    key_requests: Arc<AtomicU64>,
    document: Arc<OpenApi>,
    /// What was not in the document.
    problems: Arc<Mutex<Vec<String>>>,
}

/// The key that signs, and those that are published beside it.
#[derive(Debug)]
struct Keys {
    signing: Arc<Signing>,
    beside: Vec<Arc<Signing>>,
}

impl Auth {
    /// The key that signs.
    fn signing(&self) -> Arc<Signing> {
        let keys = self.signing.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys.signing)
    }

    /// The claims of a token that one of the keys has signed.
    fn read(&self, token: &str) -> Option<Value> {
        let keys = self.signing.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = [&keys.signing].into_iter().chain(&keys.beside);
        all.find_map(|key| key.read(token))
    }

    fn published(&self) -> Value {
        let keys = self.signing.read().unwrap_or_else(PoisonError::into_inner);
        let all = [&keys.signing].into_iter().chain(&keys.beside);
        let all: Vec<Value> = all.filter_map(|key| key.published()).collect();
        json!({ "keys": all })
    }

    fn problems(&self) -> MutexGuard<'_, Vec<String>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SupabaseAuth {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl SupabaseAuth {
    /// Starts on a free port, over this database.
    ///
    /// # Panics
    /// If the port or the address of the database cannot be had.
    #[allow(clippy::unwrap_used, reason = "a test without its server fails")]
    pub async fn start(db_url: &str, signing: Signing, gateway: Gateway) -> Self {
        let pool = PgPoolOptions::new().max_connections(4);
        let pool = pool.connect_lazy(db_url).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/auth/v1", listener.local_addr().unwrap());
        let auth = Auth {
            pool,
            issuer: address.as_str().into(),
            signing: Arc::new(RwLock::new(Keys {
                signing: Arc::new(signing),
                beside: Vec::new(),
            })),
            gateway: Arc::new(gateway),
            key_requests: Arc::default(),
            document: Arc::new(document::read()),
            problems: Arc::default(),
        };
        let router = Router::new().nest("/auth/v1", routes(&auth));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self {
            address,
            server,
            auth,
        }
    }

    /// The address, as a setting has it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Signs with another key from now on. What the ones before have signed stays good if they stay
    /// published.
    pub fn rotate(&self, next: Signing, keeps_old: bool) {
        let keys = &self.auth.signing;
        let mut keys = keys.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut keys.signing, Arc::new(next));
        if keeps_old {
            keys.beside.push(before);
        } else {
            keys.beside.clear();
        }
    }

    /// How often the published keys were asked for.
    #[must_use]
    pub fn key_requests(&self) -> u64 {
        self.auth.key_requests.load(Ordering::SeqCst)
    }

    /// Closes the connections to the database, so that it can be dropped.
    ///
    /// # Panics
    /// If a request or an answer was not in the vendor's document.
    pub async fn stop(self) {
        self.server.abort();
        self.auth.pool.close().await;
        let problems = std::mem::take(&mut *self.auth.problems());
        assert!(
            problems.is_empty(),
            "not in the OpenAPI document: {problems:?}"
        );
    }
}

fn routes(auth: &Auth) -> Router {
    let admin = Router::new()
        .route("/users", get(admin::list).post(admin::create))
        .route(
            "/users/{id}",
            get(admin::get).put(admin::update).delete(admin::delete),
        )
        .layer(middleware::from_fn_with_state(auth.clone(), admin_only));
    let held = || middleware::from_fn_with_state(auth.clone(), held::to_the_document);
    // Not behind the gateway's keys.
    let open = Router::new()
        .route("/health", get(health))
        .route("/.well-known/jwks.json", get(keys))
        .layer(held());
    Router::new()
        .route("/token", post(sign_in::token))
        .route("/logout", post(sessions::logout))
        .route("/user", get(sessions::user))
        .route("/settings", get(settings))
        .route("/recover", post(recover::recover))
        .nest("/admin", admin)
        .layer(held())
        .layer(middleware::from_fn_with_state(auth.clone(), gateway))
        .merge(open)
        .fallback(|| async { Refusal::new(404, "not_found", "Not Found") })
        .with_state(auth.clone())
}

async fn health() -> Response {
    let said = json!({ "version": "v2.196.0", "name": "GoTrue", "description": "a stand-in" });
    Json(said).into_response()
}

async fn settings() -> Response {
    Json(json!({
        "external": { "email": true, "phone": true, "github": true, "google": false, "azure": false,
            "anonymous_users": true },
        "disable_signup": false,
        "mailer_autoconfirm": false,
        "phone_autoconfirm": false,
        "sms_provider": "twilio",
        "saml_enabled": false,
    }))
    .into_response()
}

async fn keys(State(auth): State<Auth>) -> Response {
    auth.key_requests.fetch_add(1, Ordering::SeqCst);
    let control = [(header::CACHE_CONTROL, "public, max-age=600")];
    (control, Json(auth.published())).into_response()
}

fn of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    of(headers, "authorization")?.strip_prefix("Bearer ")
}

/// The gateway: there must be a key; a secret key is for servers; one of the new family is no token.
async fn gateway(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let no_key = |message: &str| {
        let said = json!({ "message": message, "hint": "Double check your Supabase API key." });
        (StatusCode::UNAUTHORIZED, Json(said)).into_response()
    };
    let Some(key) = of(headers, "apikey") else {
        return no_key("No API key found in request");
    };
    let gateway = &auth.gateway;
    let is_service = gateway.service_keys.iter().any(|known| known == key);
    if !is_service && !gateway.public_keys.iter().any(|known| known == key) {
        return no_key("Invalid API key");
    }
    let agent = of(headers, "user-agent").unwrap_or_default();
    if key.starts_with("sb_secret_") && agent.contains("Mozilla") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Some(token) = bearer(headers)
        && token.starts_with("sb_")
        && token != key
    {
        return Refusal::new(
            403,
            "bad_jwt",
            "invalid JWT: unable to parse or verify signature",
        )
        .into_response();
    }
    next.run(request).await
}

/// The admin API: the role of the key, or of the token.
async fn admin_only(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let key = of(headers, "apikey").unwrap_or_default();
    // The gateway changes a secret key into a token of its role.
    let shown = match bearer(headers) {
        Some(token) => token,
        None if key.starts_with("sb_secret_") => key,
        None => {
            return Refusal::new(
                401,
                "no_authorization",
                "This endpoint requires a Bearer token",
            )
            .into_response();
        }
    };
    if auth.gateway.service_keys.iter().any(|known| known == shown) {
        return next.run(request).await;
    }
    match auth.read(shown) {
        Some(_) => Refusal::new(403, "not_admin", "User not allowed").into_response(),
        None => Refusal::new(403, "bad_jwt", "invalid JWT").into_response(),
    }
}
