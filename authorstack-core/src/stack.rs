//! [`AuthorStack`]: all repositories of an app, its builder, and what a backend implements.

use std::sync::Arc;

use crate::{
    AccountRepository, AggregateRepository, Authenticator, BookRepository, BoostRepository,
    ChecklistRepository, CommunityRepository, CompetitorRepository, ErasureRepository,
    FollowRepository, ForecastRepository, IdentityRepository, InsightRepository, MemoryStore,
    PreferencesRepository, SalesRepository, SessionRepository, SyncLogRepository, UserRepository,
    joined::join,
    layers::{Layer, Layered, Named},
    stores::{AccountStore, Accounts, Analytics, AnalyticsStore, DocumentStore, Documents, Stores},
};

macro_rules! stack {
    ($($(#[$doc:meta])* $group:ident.$repository:ident, $given:ident: $trait:ident;)+) => {
        /// Everything that a host app codes against. One line of the host chooses the backend.
        ///
        /// ```
        /// use authorstack_core::{AuthorStack, NewUser};
        ///
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() -> authorstack_core::Result<()> {
        /// let stack = AuthorStack::memory();
        /// let ada = stack
        ///     .users()
        ///     .create(NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada"))
        ///     .await?;
        /// assert_eq!(stack.users().get(ada.id).await?, ada);
        /// # Ok(())
        /// # }
        /// ```
        #[derive(Debug, Clone)]
        pub struct AuthorStack {
            $($repository: Arc<Layered<dyn $trait>>,)+
            has_documents: bool,
            has_analytics: bool,
            has_accounts: bool,
        }

        /// The repositories that a host gives one by one.
        #[derive(Debug, Clone, Default)]
        struct Parts {
            $($repository: Option<Arc<dyn $trait>>,)+
        }

        impl AuthorStack {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $repository(&self) -> &dyn $trait {
                    self.$repository.as_ref()
                }
            )+
        }

        impl AuthorStackBuilder {
            $(
                /// A repository of the host's own, such as a mock. It takes the place of the
                /// store's.
                pub fn $given(mut self, repository: impl $trait + 'static) -> Self {
                    self.parts.$repository = Some(Arc::new(repository));
                    self
                }
            )+

            /// Builds the stack. Calls to a part without a store return Unsupported.
            #[must_use]
            pub fn build(mut self) -> AuthorStack {
                self.join();
                let mut layers = self.layers;
                layers.push(Arc::new(Named));
                let layers: Arc<[Arc<dyn Layer>]> = layers.into();
                let given = [
                    $((stringify!($group), self.parts.$repository.is_some()),)+
                ];
                let has = |group| given.contains(&(group, true));
                AuthorStack {
                    has_documents: self.documents.is_some() || has("documents"),
                    has_analytics: self.analytics.is_some() || has("analytics"),
                    has_accounts: self.accounts.is_some() || has("accounts"),
                    $($repository: Arc::new(Layered::new(
                        match (&self.parts.$repository, &self.$group) {
                            (Some(_), _) => "host",
                            (None, Some((name, _))) => name,
                            (None, None) => "none",
                        },
                        self.parts.$repository.or_else(|| {
                            let (_, group) = self.$group.as_ref()?;
                            Some(Arc::clone(&group.$repository))
                        }),
                        |stores| Some(Arc::clone(&stores.$group.as_ref()?.$repository)),
                        Arc::clone(&layers),
                    )),)+
                }
            }
        }
    };
}

stack! {
    /// The users.
    documents.users, users: UserRepository;
    /// The books.
    documents.books, books: BookRepository;
    /// The launch checklists.
    documents.checklists, checklists: ChecklistRepository;
    /// Who follows whom.
    documents.follows, follows: FollowRepository;
    /// The community posts.
    documents.community, community: CommunityRepository;
    /// The marketplace boosts.
    documents.boosts, boosts: BoostRepository;
    /// The competitors.
    documents.competitors, competitors: CompetitorRepository;
    /// The sales.
    analytics.sales, sales: SalesRepository;
    /// The roll-ups of the sales.
    analytics.aggregates, aggregates: AggregateRepository;
    /// The sync logs.
    analytics.sync_logs, sync_logs: SyncLogRepository;
    /// The AI insights.
    analytics.insights, insights: InsightRepository;
    /// The revenue forecasts.
    analytics.forecasts, forecasts: ForecastRepository;
    /// What erases a user's analytics; see [`services::Erasure`](crate::services::Erasure).
    analytics.erasure, erasure: ErasureRepository;
    /// The accounts. The builder's `accounts` takes a store; a repository of the host's own is given
    /// by `account_repository`.
    accounts.accounts, account_repository: AccountRepository;
    /// The accounts of other services that accounts are linked with.
    accounts.identities, identities: IdentityRepository;
    /// The sessions.
    accounts.sessions, sessions: SessionRepository;
    /// The settings of accounts.
    accounts.preferences, preferences: PreferencesRepository;
    /// Who has shown a token.
    accounts.authenticator, authenticator: Authenticator;
}

/// The stores of a stack, for a layer that sends calls there.
impl From<AuthorStack> for Stores {
    fn from(stack: AuthorStack) -> Self {
        let documents = stack.has_documents.then(|| Documents {
            users: stack.users,
            books: stack.books,
            checklists: stack.checklists,
            follows: stack.follows,
            community: stack.community,
            boosts: stack.boosts,
            competitors: stack.competitors,
        });
        let analytics = stack.has_analytics.then(|| Analytics {
            sales: stack.sales,
            aggregates: stack.aggregates,
            sync_logs: stack.sync_logs,
            insights: stack.insights,
            forecasts: stack.forecasts,
            erasure: stack.erasure,
        });
        let accounts = stack.has_accounts.then(|| Accounts {
            accounts: stack.accounts,
            identities: stack.identities,
            sessions: stack.sessions,
            preferences: stack.preferences,
            authenticator: stack.authenticator,
        });
        Self {
            documents,
            analytics,
            accounts,
        }
    }
}

impl MemoryStore {
    /// A stack on this one store, without further layers.
    #[must_use]
    pub fn stack(&self) -> AuthorStack {
        AuthorStack::builder().store(self).accounts(self).build()
    }
}

impl AuthorStack {
    /// A builder, for a host that chooses the store of each part and adds layers.
    pub fn builder() -> AuthorStackBuilder {
        AuthorStackBuilder::default()
    }

    /// A stack on two stores: the documents in MongoDB, the analytics in Azure PostgreSQL.
    ///
    /// It answers as a stack on one store does. Analytics are written for users who exist, so such
    /// a write also asks the documents for the user, before it and after it. Deleting a user or a
    /// book erases their analytics first, and the user or the book last.
    #[must_use]
    pub fn distributed(documents: &dyn DocumentStore, analytics: &dyn AnalyticsStore) -> Self {
        let builder = Self::builder().documents(documents);
        builder.analytics(analytics).build()
    }

    /// A stack with everything on Supabase.
    #[must_use]
    pub fn supabase<S: DocumentStore + AnalyticsStore>(store: &S) -> Self {
        Self::builder().store(store).build()
    }

    /// A stack in memory, for tests and first steps. Its data is gone when the last clone is
    /// dropped.
    #[must_use]
    pub fn memory() -> Self {
        MemoryStore::new().stack()
    }
}

/// Builds an [`AuthorStack`]: a store for each part, and layers around all of them.
///
/// ```
/// use authorstack_core::{
///     AuthorStack, MemoryStore,
///     layers::{Limited, Traced},
/// };
///
/// let store = MemoryStore::new();
/// let stack = AuthorStack::builder()
///     .documents(&store)
///     .analytics(&store)
///     .accounts(&store)
///     .layer(Traced)
///     .layer(Limited::new(64))
///     .build();
/// # let _ = stack;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "`build` makes the stack"]
pub struct AuthorStackBuilder {
    documents: Option<(&'static str, Documents)>,
    analytics: Option<(&'static str, Analytics)>,
    accounts: Option<(&'static str, Accounts)>,
    parts: Parts,
    /// Whether one store holds documents and analytics.
    is_one_store: bool,
    layers: Vec<Arc<dyn Layer>>,
}

impl AuthorStackBuilder {
    /// The store of the documents.
    pub fn documents(mut self, store: &dyn DocumentStore) -> Self {
        self.documents = Some((store.name(), store.documents()));
        self.is_one_store = false;
        self
    }

    /// The store of the analytics.
    pub fn analytics(mut self, store: &dyn AnalyticsStore) -> Self {
        self.analytics = Some((store.name(), store.analytics()));
        self.is_one_store = false;
        self
    }

    /// The service of the accounts.
    pub fn accounts(mut self, store: &dyn AccountStore) -> Self {
        self.accounts = Some((store.name(), store.accounts()));
        self
    }

    /// One store for documents and analytics.
    pub fn store<S: DocumentStore + AnalyticsStore>(self, store: &S) -> Self {
        let mut builder = self.documents(store).analytics(store);
        builder.is_one_store = true;
        builder
    }

    /// Joins two stores. One store for everything keeps its records together by itself.
    fn join(&mut self) {
        if self.is_one_store {
            return;
        }
        if let (Some((_, documents)), Some((_, analytics))) =
            (&mut self.documents, &mut self.analytics)
        {
            (*documents, *analytics) = join(documents.clone(), analytics.clone());
        }
    }

    /// Adds a layer around every call. The layer that is added first sees a call first.
    pub fn layer(self, layer: impl Layer) -> Self {
        self.shared_layer(Arc::new(layer))
    }

    /// Adds a layer that the host also keeps a handle to.
    pub fn shared_layer(mut self, layer: Arc<dyn Layer>) -> Self {
        self.layers.push(layer);
        self
    }
}
