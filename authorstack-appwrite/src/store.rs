use std::{fmt, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{Result, health::HealthCheck};
use authorstack_http::{HttpClient, Method};

use crate::{api::Api, config::AppwriteConfig, query, rows::Rows};

/// The accounts of an Appwrite project. Clones share their connections.
///
/// ```no_run
/// use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
/// use authorstack_core::AuthorStack;
///
/// # async fn run(key: String) -> authorstack_core::Result<()> {
/// let config = AppwriteConfig::new("https://fra.cloud.appwrite.io/v1", "books", key.into());
/// let accounts = AppwriteAccounts::new(config)?;
/// accounts.prepare().await?;
/// let stack = AuthorStack::builder().accounts(&accounts).build();
/// let ada = stack.accounts().get_by_email(&"ada@example.org".parse()?).await?;
/// # let _ = ada;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AppwriteAccounts {
    inner: Arc<Inner>,
}

struct Inner {
    api: Arc<Api>,
    rows: Rows,
    config: AppwriteConfig,
}

impl fmt::Debug for AppwriteAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppwriteAccounts")
            .field("api", &self.inner.api)
            .field("rows", &self.inner.rows)
            .finish_non_exhaustive()
    }
}

impl AppwriteAccounts {
    /// The accounts. Nothing is sent yet: [`AppwriteAccounts::check`] asks whether endpoint, project
    /// and key are right.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the setting:
    /// an endpoint that is no address or lacks its `/v1`, clear text to another machine, an id in
    /// another form, a key that is empty or one of Supabase.
    pub fn new(config: AppwriteConfig) -> Result<Self> {
        let client = HttpClient::new(config.checked()?)?;
        let api = Arc::new(Api::new(client, &config));
        let rows = Rows::new(Arc::clone(&api), &config);
        Ok(Self {
            inner: Arc::new(Inner { api, rows, config }),
        })
    }

    /// Asks the server for an account and a row, to find out whether endpoint, project, key and
    /// table are right.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming the setting;
    /// Unavailable if the server does not answer.
    pub async fn check(&self) -> Result<()> {
        let request = self.api().with_key(Method::GET, &["users"])?;
        let request = query::uncounted(query::limit(request, 1));
        self.api().send(request).await?;
        self.rows().check().await
    }

    pub(crate) fn api(&self) -> &Api {
        &self.inner.api
    }

    pub(crate) fn shared_api(&self) -> Arc<Api> {
        Arc::clone(&self.inner.api)
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.inner.rows
    }

    pub(crate) fn config(&self) -> &AppwriteConfig {
        &self.inner.config
    }
}

/// Appwrite has no request that reads nothing and proves the key.
#[async_trait]
impl HealthCheck for AppwriteAccounts {
    async fn check_health(&self) -> Result<()> {
        self.check().await
    }
}
