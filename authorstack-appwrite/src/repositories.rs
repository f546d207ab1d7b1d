//! The repositories of the accounts, bundled for an app.

use std::sync::Arc;

use authorstack_core::{AccountStore, Accounts};

use crate::{
    accounts::AppwriteAccountList, config::AuthenticatorKind, identities::AppwriteIdentities,
    preferences::AppwritePreferences, sessions::AppwriteSessions, store::AppwriteAccounts,
};

impl AccountStore for AppwriteAccounts {
    fn name(&self) -> &'static str {
        "Appwrite"
    }

    fn accounts(&self) -> Accounts {
        Accounts {
            accounts: Arc::new(AppwriteAccountList(self.clone())),
            identities: Arc::new(AppwriteIdentities(self.clone())),
            sessions: Arc::new(AppwriteSessions(self.clone())),
            preferences: Arc::new(AppwritePreferences(self.clone())),
            authenticator: match self.config().authenticator {
                AuthenticatorKind::Session => Arc::new(self.by_session()),
                AuthenticatorKind::Token => Arc::new(self.by_token()),
            },
        }
    }
}
