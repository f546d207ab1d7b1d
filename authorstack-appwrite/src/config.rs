use std::time::Duration;

use authorstack_core::{
    Error, Result,
    secrecy::{ExposeSecret, SecretString},
};
use authorstack_http::{HttpSettings, Service};

/// The settings, as messages name them.
pub(crate) const ENDPOINT: &str = "appwrite_endpoint";
pub(crate) const PROJECT: &str = "appwrite_project_id";
pub(crate) const KEY: &str = "appwrite_api_key";
pub(crate) const DATABASE: &str = "appwrite_database_id";
pub(crate) const TABLE: &str = "appwrite_preferences_table";

pub(crate) static SERVICE: Service = Service {
    name: "Appwrite",
    setting: ENDPOINT,
    example: "https://<region>.cloud.appwrite.io/v1",
};

/// How a stack finds out who has shown a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthenticatorKind {
    /// [`SessionAuthenticator`](crate::SessionAuthenticator): the session must be there.
    #[default]
    Session,
    /// [`TokenAuthenticator`](crate::TokenAuthenticator): the token must be good. A JWT that was made
    /// without a session is, until it expires.
    Token,
}

/// The API by which the rows of `user_preferences` are read and written. Both have the same data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowsApi {
    /// `TablesDB`, since Appwrite 1.8.
    #[default]
    TablesDb,
    /// The documents of the older databases API, which newer servers still have.
    Documents,
}

/// How to reach a project.
///
/// ```
/// use authorstack_appwrite::AppwriteConfig;
///
/// let config = AppwriteConfig::new("https://fra.cloud.appwrite.io/v1", "books", "standard_x".into());
/// assert!(!format!("{config:?}").contains("standard_x"));
/// ```
#[derive(Debug, Clone)]
pub struct AppwriteConfig {
    pub(crate) endpoint: String,
    pub(crate) project: String,
    pub(crate) api_key: SecretString,
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) rows_api: RowsApi,
    pub(crate) authenticator: AuthenticatorKind,
    pub(crate) uses_realtime: bool,
    pub(crate) poll_interval: Duration,
    pub(crate) check_interval: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) http: fn(HttpSettings) -> HttpSettings,
}

impl AppwriteConfig {
    /// The endpoint with its `/v1`, the project's id, and an API key with the scopes `users.read`,
    /// `users.write`, `sessions.write`, `rows.read` and `rows.write` (before Appwrite 1.8
    /// `documents.read` and `documents.write`).
    #[must_use]
    pub fn new(
        endpoint: impl Into<String>,
        project: impl Into<String>,
        api_key: SecretString,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            project: project.into(),
            api_key,
            database: "authorstack".to_owned(),
            table: "user_preferences".to_owned(),
            rows_api: RowsApi::default(),
            authenticator: AuthenticatorKind::default(),
            uses_realtime: true,
            poll_interval: Duration::from_secs(3),
            check_interval: Duration::from_secs(30),
            heartbeat: Duration::from_secs(20),
            http: |settings| settings,
        }
    }

    /// The database of the settings; the default is `authorstack`.
    #[must_use]
    pub fn database(mut self, id: impl Into<String>) -> Self {
        self.database = id.into();
        self
    }

    /// The table of the settings; the default is `user_preferences`.
    #[must_use]
    pub fn preferences_table(mut self, id: impl Into<String>) -> Self {
        self.table = id.into();
        self
    }

    /// The API of the rows; the default is `TablesDB`.
    #[must_use]
    pub fn rows_api(mut self, api: RowsApi) -> Self {
        self.rows_api = api;
        self
    }

    /// How a stack finds out who has shown a token; the default demands the session.
    #[must_use]
    pub fn authenticator(mut self, kind: AuthenticatorKind) -> Self {
        self.authenticator = kind;
        self
    }

    /// Whether a watch listens to Realtime; it does by default. Without it, it asks from time to
    /// time.
    #[must_use]
    pub fn realtime(mut self, uses_realtime: bool) -> Self {
        self.uses_realtime = uses_realtime;
        self
    }

    /// How often a watch asks while Realtime is not connected; the default is every 3 seconds.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How often a watch that Realtime tells of changes asks all the same: whether the account is
    /// still there and not blocked, and what was missed. The default is every 30 seconds.
    #[must_use]
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// How often a connection of Realtime is tried; the default is every 20 seconds. One that is
    /// silent for twice as long is opened anew.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// Changes deadlines, limits and certificates of the connection.
    #[must_use]
    pub fn http(mut self, change: fn(HttpSettings) -> HttpSettings) -> Self {
        self.http = change;
        self
    }

    /// The settings of the connection, once all others make sense.
    pub(crate) fn checked(&self) -> Result<HttpSettings> {
        let settings = (self.http)(HttpSettings::new(&SERVICE, &self.endpoint)?);
        if !settings.base().path().ends_with("/v1") {
            return Err(Error::configuration(
                ENDPOINT,
                format!("does not end with /v1; write it like {}", SERVICE.example),
            ));
        }
        let key = self.api_key.expose_secret();
        if key.trim().is_empty() {
            return Err(Error::configuration(
                KEY,
                "is empty; make a key in the project's settings",
            ));
        }
        if key.starts_with("sb_") {
            return Err(Error::configuration(
                KEY,
                "is a key of Supabase; set an API key of the Appwrite project",
            ));
        }
        for (setting, id) in [
            (PROJECT, &self.project),
            (DATABASE, &self.database),
            (TABLE, &self.table),
        ] {
            if !is_id(id) {
                return Err(Error::configuration(
                    setting,
                    "is no id: those have 1 to 36 letters, digits, dots, hyphens and underscores, \
                     and begin with a letter or a digit",
                ));
            }
        }
        Ok(settings)
    }
}

/// Whether Appwrite could have an id like this.
pub(crate) fn is_id(id: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let begins_well = id
        .bytes()
        .next()
        .is_some_and(|it| it.is_ascii_alphanumeric());
    begins_well && id.len() <= 36 && id.bytes().all(is_sign)
}
