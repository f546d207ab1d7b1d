//! The repositories of the accounts, bundled for an app.

use std::sync::Arc;

use authorstack_core::{AccountStore, Accounts};

use super::{
    config::AuthenticatorKind, identities::SupabaseIdentities, list::SupabaseAccountList,
    preferences::SupabasePreferences, sessions::SupabaseSessions, store::SupabaseAccounts,
};

impl AccountStore for SupabaseAccounts {
    fn name(&self) -> &'static str {
        "Supabase Auth"
    }

    fn accounts(&self) -> Accounts {
        Accounts {
            accounts: Arc::new(SupabaseAccountList(self.clone())),
            identities: Arc::new(SupabaseIdentities(self.clone())),
            sessions: Arc::new(SupabaseSessions(self.clone())),
            preferences: Arc::new(SupabasePreferences(self.clone())),
            authenticator: match self.inner().kind {
                AuthenticatorKind::Checked => Arc::new(self.checked()),
                AuthenticatorKind::Local => Arc::new(self.local()),
            },
        }
    }
}
