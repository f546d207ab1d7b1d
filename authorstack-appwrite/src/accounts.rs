use async_trait::async_trait;
use authorstack_core::{
    Account, AccountPatch, AccountRepository, AuthId, Credential, Email, Error, ExportedAccount,
    NewAccount, Result,
};
use authorstack_http::Method;
use futures::stream::BoxStream;
use serde_json::json;

use crate::{
    api::known_id,
    page, query, settings,
    store::AppwriteAccounts,
    task::to_the_end,
    user::{account, exported},
    write,
};

#[derive(Debug)]
pub(crate) struct AppwriteAccountList(pub(crate) AppwriteAccounts);

impl AppwriteAccountList {
    async fn set_status(&self, id: &AuthId, is_active: bool) -> Result<Account> {
        let path = ["users", known_id(id)?, "status"];
        let body = json!({ "status": is_active });
        account(&self.0.api().set(Method::PATCH, &path, &body).await?)
    }
}

#[async_trait]
impl AccountRepository for AppwriteAccountList {
    async fn create(&self, new: NewAccount) -> Result<Account> {
        write::check_new(&new)?;
        let api = self.0.shared_api();
        to_the_end(async move { write::create(&api, &new).await }).await
    }

    async fn get(&self, id: &AuthId) -> Result<Account> {
        account(&self.0.api().get(&["users", known_id(id)?]).await?)
    }

    async fn get_by_email(&self, email: &Email) -> Result<Account> {
        let request = self.0.api().with_key(Method::GET, &["users"])?;
        let request = query::uncounted(query::limit(request, 1));
        let request = query::equal(request, "email", email.as_str());
        let answer = self.0.api().send(request).await?;
        let found = page::items(answer.json()?, "users")?;
        account(found.first().ok_or_else(Error::not_found)?)
    }

    fn stream(&self) -> BoxStream<'static, Result<Account>> {
        page::walk(self.0.shared_api(), page::USERS, account)
    }

    fn export(&self) -> BoxStream<'static, Result<ExportedAccount>> {
        page::walk(self.0.shared_api(), page::USERS, exported)
    }

    async fn update(&self, id: &AuthId, patch: AccountPatch) -> Result<Account> {
        let (api, id) = (self.0.shared_api(), id.clone());
        to_the_end(async move { write::update(&api, &id, patch).await }).await
    }

    async fn set_credential(&self, id: &AuthId, credential: Credential) -> Result<()> {
        let known = known_id(id)?;
        let password = match &credential {
            Credential::None => "",
            Credential::Password(password) => password.expose(),
            Credential::Hash(_) => {
                self.get(id).await?;
                return Err(Error::unsupported(
                    "Appwrite takes a hash only with a new account; set a password, or send a link \
                     to set one",
                ));
            }
        };
        let body = json!({ "password": password });
        let (api, id) = (self.0.shared_api(), known.to_owned());
        to_the_end(async move {
            let path = ["users", &id, "password"];
            api.set(Method::PATCH, &path, &body).await?;
            // Whether the server does it itself is a setting of the project.
            api.delete(&["users", &id, "sessions"]).await
        })
        .await
    }

    async fn block(&self, id: &AuthId) -> Result<Account> {
        self.set_status(id, false).await
    }

    async fn unblock(&self, id: &AuthId) -> Result<Account> {
        self.set_status(id, true).await
    }

    async fn delete(&self, id: &AuthId) -> Result<()> {
        known_id(id)?;
        let (accounts, id) = (self.0.clone(), id.clone());
        to_the_end(async move {
            let deleted = accounts.api().delete(&["users", id.as_str()]).await;
            if deleted.as_ref().is_err_and(|error| !error.is_not_found()) {
                return deleted;
            }
            // Also what a call that broke off has left.
            settings::delete(&accounts, &id).await?;
            deleted
        })
        .await
    }
}
