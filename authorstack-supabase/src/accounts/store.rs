use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use authorstack_core::{Error, Result, health::HealthCheck, secrecy::ExposeSecret};
use authorstack_http::{HttpClient, HttpSettings};
use authorstack_sql::{Statement, Unit};
use sqlx::postgres::PgRow;

use super::{
    admin::Admin,
    authenticators::{CheckedAuthenticator, LocalAuthenticator},
    config::{AuthenticatorKind, SERVICE, SupabaseAuthConfig},
    error,
};
use crate::SupabaseStore;

/// The accounts of a project: its Auth server, and the tables of that in the project's database.
/// Clones share their connections.
///
/// ```no_run
/// use authorstack_core::AuthorStack;
/// use authorstack_supabase::{SupabaseAccounts, SupabaseAuthConfig, SupabaseConfig, SupabaseStore};
///
/// # async fn run(url: String, key: String) -> authorstack_core::Result<()> {
/// let store = SupabaseStore::connect_and_prepare(SupabaseConfig::new(url)).await?;
/// let auth = SupabaseAuthConfig::new("https://abc.supabase.co/auth/v1", key.into());
/// let accounts = SupabaseAccounts::new(&store, auth)?;
/// let stack = AuthorStack::builder().store(&store).accounts(&accounts).build();
/// # let _ = stack;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SupabaseAccounts {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    store: SupabaseStore,
    pub(super) admin: Admin,
    pub(super) kind: AuthenticatorKind,
    pub(super) poll_interval: Duration,
    checked: CheckedAuthenticator,
    local: LocalAuthenticator,
}

impl fmt::Debug for SupabaseAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupabaseAccounts")
            .field("store", &self.inner.store)
            .field("admin", &self.inner.admin)
            .finish_non_exhaustive()
    }
}

impl SupabaseAccounts {
    /// The accounts. Nothing is sent yet: [`SupabaseAccounts::check`] asks whether address and key
    /// are right.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the setting:
    /// an address that is none, clear text to another machine, a key that is empty.
    #[allow(clippy::needless_pass_by_value, reason = "as for every store")]
    pub fn new(store: &SupabaseStore, config: SupabaseAuthConfig) -> Result<Self> {
        if config.service_key.expose_secret().trim().is_empty() {
            return Err(Error::configuration(
                error::KEY,
                "is empty; set a secret key (sb_secret_…) or the service_role key of the project",
            ));
        }
        let settings = (config.http)(HttpSettings::new(&SERVICE, &config.auth_url)?);
        let client = HttpClient::new(settings)?;
        Ok(Self {
            inner: Arc::new(Inner {
                store: store.clone(),
                checked: CheckedAuthenticator::new(client.clone(), &config),
                local: LocalAuthenticator::new(client.clone(), &config),
                kind: config.authenticator,
                poll_interval: config.poll_interval,
                admin: Admin::new(client, &config),
            }),
        })
    }

    /// Asks the Auth server for a page of accounts, to find out whether address and key are right.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the setting;
    /// Unavailable if the server does not answer.
    pub async fn check(&self) -> Result<()> {
        self.inner.admin.check().await
    }

    /// The authenticator that asks the server.
    #[must_use]
    pub fn checked(&self) -> CheckedAuthenticator {
        self.inner.checked.clone()
    }

    /// The authenticator that checks signatures and times.
    #[must_use]
    pub fn local(&self) -> LocalAuthenticator {
        self.inner.local.clone()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(super) async fn row(&self, statement: Statement<'_>) -> Result<Option<PgRow>> {
        let row = self.inner.store.fetch_optional(statement).await;
        row.map_err(error::of_rows)
    }

    pub(super) async fn rows(&self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let rows = self.inner.store.fetch_all(statement).await;
        rows.map_err(error::of_rows)
    }

    pub(super) async fn unit(&self) -> Result<Unit<'_>> {
        self.inner.store.unit().await
    }
}

#[async_trait]
impl HealthCheck for SupabaseAccounts {
    async fn check_health(&self) -> Result<()> {
        self.check().await
    }
}
