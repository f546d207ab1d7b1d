//! The repositories of the store, bundled.

use std::sync::Arc;

use super::{
    accounts::{
        MemoryAccounts, MemoryAuthenticator, MemoryIdentities, MemoryPreferences, MemorySessions,
    },
    aggregates::MemoryAggregates,
    analytics::{MemoryForecasts, MemoryInsights, MemorySyncLogs},
    books::MemoryBooks,
    boosts::MemoryBoosts,
    checklists::MemoryChecklists,
    community::MemoryCommunity,
    competitors::MemoryCompetitors,
    erasure::MemoryErasure,
    follows::MemoryFollows,
    sales::MemorySales,
    store::{MemoryStore, NAME},
    users::MemoryUsers,
};
use crate::{AccountStore, Accounts, Analytics, AnalyticsStore, DocumentStore, Documents};

impl DocumentStore for MemoryStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn documents(&self) -> Documents {
        Documents {
            users: Arc::new(MemoryUsers(self.clone())),
            books: Arc::new(MemoryBooks(self.clone())),
            checklists: Arc::new(MemoryChecklists(self.clone())),
            follows: Arc::new(MemoryFollows(self.clone())),
            community: Arc::new(MemoryCommunity(self.clone())),
            boosts: Arc::new(MemoryBoosts(self.clone())),
            competitors: Arc::new(MemoryCompetitors(self.clone())),
        }
    }
}

impl AnalyticsStore for MemoryStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn analytics(&self) -> Analytics {
        Analytics {
            sales: Arc::new(MemorySales(self.clone())),
            aggregates: Arc::new(MemoryAggregates(self.clone())),
            sync_logs: Arc::new(MemorySyncLogs(self.clone())),
            insights: Arc::new(MemoryInsights(self.clone())),
            forecasts: Arc::new(MemoryForecasts(self.clone())),
            erasure: Arc::new(MemoryErasure(self.clone())),
        }
    }
}

impl AccountStore for MemoryStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn accounts(&self) -> Accounts {
        Accounts {
            accounts: Arc::new(MemoryAccounts(self.clone())),
            identities: Arc::new(MemoryIdentities(self.clone())),
            sessions: Arc::new(MemorySessions(self.clone())),
            preferences: Arc::new(MemoryPreferences(self.clone())),
            authenticator: Arc::new(MemoryAuthenticator(self.clone())),
        }
    }
}
