use async_trait::async_trait;
use authorstack_core::{
    AuthId, Email, Error, Extra, Identity, IdentityProvider, IdentityRepository, Result,
};
use authorstack_http::Method;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::{api::known_id, config::is_id, fields::Fields, page, query, store::AppwriteAccounts};

/// The most identities of one account that are read: there are not that many providers.
const MOST: usize = 100;

#[derive(Debug)]
pub(crate) struct AppwriteIdentities(pub(crate) AppwriteAccounts);

/// Reads an identity. Its tokens are left where they are.
fn identity(found: &Value) -> Result<Identity> {
    let fields = Fields(found);
    let read = || {
        let needed = |name: &str| Error::corrupt(format!("{name}: is missing"));
        let moment = fields.moment("$createdAt")?;
        Ok(Identity {
            account_id: fields.parsed("userId")?.ok_or_else(|| needed("userId"))?,
            provider: fields
                .parsed("provider")?
                .ok_or_else(|| needed("provider"))?,
            subject: fields.needed("providerUid")?.to_owned(),
            email: fields.parsed::<Email>("providerEmail")?,
            created_at: moment.ok_or_else(|| needed("$createdAt"))?,
            last_used_at: None,
            extra: Extra::new(),
        })
    };
    read().map_err(|error: Error| match fields.text("$id") {
        Ok(Some(id)) => error.for_record(id),
        _ => error,
    })
}

impl AppwriteIdentities {
    async fn found(&self, pairs: &[(&str, &str)], most: usize) -> Result<Vec<Value>> {
        let api = self.0.api();
        let request = api.with_key(Method::GET, &["users", "identities"])?;
        let mut request = query::uncounted(query::limit(request, most));
        for (attribute, value) in pairs {
            request = query::equal(request, attribute, value);
        }
        page::items(api.send(request).await?.json()?, "identities")
    }

    async fn find(&self, provider: &IdentityProvider, subject: &str) -> Result<Value> {
        let pairs = [("provider", provider.as_str()), ("providerUid", subject)];
        let found = self.found(&pairs, 1).await?;
        found.into_iter().next().ok_or_else(Error::not_found)
    }
}

#[async_trait]
impl IdentityRepository for AppwriteIdentities {
    async fn create(&self, new: Identity) -> Result<Identity> {
        match self.get(&new.provider, &new.subject).await {
            Ok(there) if there.account_id == new.account_id => Ok(there),
            Ok(_) => Err(Error::already_exists("subject")),
            Err(error) if error.is_not_found() => Err(Error::unsupported(
                "Appwrite links an account only when its owner signs in by the other service",
            )),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, provider: &IdentityProvider, subject: &str) -> Result<Identity> {
        identity(&self.find(provider, subject).await?)
    }

    async fn list(&self, account_id: &AuthId) -> Result<Vec<Identity>> {
        let Ok(id) = known_id(account_id) else {
            return Ok(Vec::new());
        };
        let found = self.found(&[("userId", id)], MOST).await?;
        let mut identities: Vec<Identity> = found.iter().map(identity).collect::<Result<_>>()?;
        identities.sort_by_key(|identity| identity.created_at);
        Ok(identities)
    }

    fn stream(&self) -> BoxStream<'static, Result<Identity>> {
        page::walk(self.0.shared_api(), page::IDENTITIES, identity)
    }

    async fn delete(&self, provider: &IdentityProvider, subject: &str) -> Result<()> {
        let found = self.find(provider, subject).await?;
        let id = Fields(&found).needed("$id")?;
        if !is_id(id) {
            return Err(Error::corrupt("$id: is no id"));
        }
        self.0.api().delete(&["users", "identities", id]).await
    }
}
