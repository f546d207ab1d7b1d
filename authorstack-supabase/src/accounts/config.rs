use std::time::Duration;

use authorstack_core::secrecy::{ExposeSecret, SecretString};
use authorstack_http::{HttpSettings, Service};

pub(super) static SERVICE: Service = Service {
    name: "Supabase Auth",
    setting: "supabase_auth_url",
    example: "https://<ref>.supabase.co/auth/v1",
};

/// How a stack finds out who has shown a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthenticatorKind {
    /// [`CheckedAuthenticator`](super::CheckedAuthenticator): asks the server, so it sees bans and
    /// sessions that have ended. One request for each token.
    #[default]
    Checked,
    /// [`LocalAuthenticator`](super::LocalAuthenticator): checks the signature and the times alone. A
    /// token stays good until it expires.
    Local,
}

/// How to reach a project's Auth server, beside its database.
///
/// ```
/// use authorstack_supabase::SupabaseAuthConfig;
///
/// let config = SupabaseAuthConfig::new("https://abc.supabase.co/auth/v1", "sb_secret_x".into());
/// assert!(!format!("{config:?}").contains("sb_secret_x"));
/// ```
#[derive(Debug, Clone)]
pub struct SupabaseAuthConfig {
    pub(super) auth_url: String,
    pub(super) service_key: SecretString,
    pub(super) jwt_secret: Option<SecretString>,
    pub(super) issuer: Option<String>,
    pub(super) audience: String,
    pub(super) authenticator: AuthenticatorKind,
    pub(super) poll_interval: Duration,
    pub(super) http: fn(HttpSettings) -> HttpSettings,
}

impl SupabaseAuthConfig {
    /// The address of the Auth server, and a key that may do everything: a secret key
    /// (`sb_secret_…`) or the older `service_role` JWT. Each is sent as its gateway takes it.
    #[must_use]
    pub fn new(auth_url: impl Into<String>, service_key: SecretString) -> Self {
        Self {
            auth_url: auth_url.into(),
            service_key,
            jwt_secret: None,
            issuer: None,
            audience: "authenticated".to_owned(),
            authenticator: AuthenticatorKind::default(),
            poll_interval: Duration::from_secs(3),
            http: |settings| settings,
        }
    }

    /// The legacy secret that signs tokens (HS256). Projects with signing keys have none.
    #[must_use]
    pub fn jwt_secret(mut self, secret: SecretString) -> Self {
        self.jwt_secret = Some(secret);
        self
    }

    /// Who issues the tokens; the default is the server's address.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// For whom tokens are; the default is `authenticated`.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// How a stack finds out who has shown a token; the default is to ask the server.
    #[must_use]
    pub fn authenticator(mut self, kind: AuthenticatorKind) -> Self {
        self.authenticator = kind;
        self
    }

    /// How often a watch looks for changes; the default is every 3 seconds.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Changes deadlines, limits and certificates of the connection to the Auth server.
    #[must_use]
    pub fn http(mut self, change: fn(HttpSettings) -> HttpSettings) -> Self {
        self.http = change;
        self
    }

    /// Whether the key is a JWT, of the older family.
    pub(super) fn has_jwt_key(&self) -> bool {
        let key = self.service_key.expose_secret();
        key.starts_with("eyJ") && key.split('.').count() == 3
    }
}
