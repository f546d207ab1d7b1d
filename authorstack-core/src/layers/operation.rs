use std::fmt;

/// Whether a call changes what the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// The call only reads.
    Read,
    /// The call may write.
    Write,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $group:literal: $($operation:ident $name:literal $access:ident,)+)+) => {
        /// The name of a call: of a repository, a service, a store or a migration.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(
                #[doc = concat!("`", $group, ".", $name, "`")]
                $operation,
            )+)+
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$($(Self::$operation),+),+];

            /// The name, such as `books.get`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$operation => concat!($group, ".", $name),)+)+
                }
            }

            /// Whether the call may write.
            #[must_use]
            pub const fn access(self) -> Access {
                match self {
                    $($(Self::$operation => Access::$access,)+)+
                }
            }
        }
    };
}

operations! {
    "users":
        UsersCreate "create" Write,
        UsersGet "get" Read,
        UsersGetMany "get_many" Read,
        UsersGetByAuthId "get_by_auth_id" Read,
        UsersGetByEmail "get_by_email" Read,
        UsersList "list" Read,
        UsersUpdate "update" Write,
        UsersDelete "delete" Write,
        UsersAddCredits "add_credits" Write,
        UsersSpendCredits "spend_credits" Write,
        UsersConnectPlatform "connect_platform" Write,
        UsersDisconnectPlatform "disconnect_platform" Write,
        UsersMarkSynced "mark_synced" Write,
    "books":
        BooksCreate "create" Write,
        BooksGet "get" Read,
        BooksGetMany "get_many" Read,
        BooksListPublic "list_public" Read,
        BooksCount "count" Read,
        BooksListByAsin "list_by_asin" Read,
        BooksList "list" Read,
        BooksUpdate "update" Write,
        BooksDelete "delete" Write,
    "checklists":
        ChecklistsCreate "create" Write,
        ChecklistsGet "get" Read,
        ChecklistsList "list" Read,
        ChecklistsDue "due" Read,
        ChecklistsUpdate "update" Write,
        ChecklistsChangeTasks "change_tasks" Write,
        ChecklistsDelete "delete" Write,
    "follows":
        FollowsFollow "follow" Write,
        FollowsUnfollow "unfollow" Write,
        FollowsIsFollowing "is_following" Read,
        FollowsFollowers "followers" Read,
        FollowsFollowing "following" Read,
        FollowsCounts "counts" Read,
    "community":
        CommunityCreate "create" Write,
        CommunityGet "get" Read,
        CommunityFeed "feed" Read,
        CommunityUpdate "update" Write,
        CommunityDelete "delete" Write,
        CommunityLike "like" Write,
        CommunityUnlike "unlike" Write,
        CommunityLikers "likers" Read,
        CommunityComment "comment" Write,
        CommunityComments "comments" Read,
        CommunityDeleteComment "delete_comment" Write,
    "boosts":
        BoostsPurchase "purchase" Write,
        BoostsGet "get" Read,
        BoostsList "list" Read,
        BoostsLeaderboard "leaderboard" Read,
        BoostsExpireDue "expire_due" Write,
    "competitors":
        CompetitorsCreate "create" Write,
        CompetitorsGet "get" Read,
        CompetitorsGetByAsin "get_by_asin" Read,
        CompetitorsList "list" Read,
        CompetitorsUpdate "update" Write,
        CompetitorsDelete "delete" Write,
        CompetitorsRecordPrice "record_price" Write,
        CompetitorsMarkChecked "mark_checked" Write,
        CompetitorsHistory "history" Read,
        CompetitorsDueForCheck "due_for_check" Read,
    "sales":
        SalesUpsert "upsert" Write,
        SalesGet "get" Read,
        SalesDelete "delete" Write,
        SalesStream "stream" Read,
        SalesTotals "totals" Read,
        SalesIngest "ingest" Write,
    "aggregates":
        AggregatesRefresh "refresh" Write,
        AggregatesList "list" Read,
        AggregatesGaps "gaps" Read,
        AggregatesOverview "overview" Read,
    "sync_logs":
        SyncLogsCreate "create" Write,
        SyncLogsList "list" Read,
    "insights":
        InsightsCreate "create" Write,
        InsightsLatest "latest" Read,
        InsightsListValid "list_valid" Read,
        InsightsDeleteExpired "delete_expired" Write,
    "forecasts":
        ForecastsCreate "create" Write,
        ForecastsList "list" Read,
        ForecastsFillActuals "fill_actuals" Write,
        ForecastsAccuracy "accuracy" Read,
    "erasure":
        ErasureEraseUser "erase_user" Write,
        ErasureEraseBook "erase_book" Write,
        ErasureRun "run" Write,
    "accounts":
        AccountsCreate "create" Write,
        AccountsGet "get" Read,
        AccountsGetByEmail "get_by_email" Read,
        AccountsStream "stream" Read,
        AccountsExport "export" Read,
        AccountsUpdate "update" Write,
        AccountsSetCredential "set_credential" Write,
        AccountsBlock "block" Write,
        AccountsUnblock "unblock" Write,
        AccountsDelete "delete" Write,
        AccountsSyncProfile "sync_profile" Write,
    "identities":
        IdentitiesCreate "create" Write,
        IdentitiesGet "get" Read,
        IdentitiesList "list" Read,
        IdentitiesStream "stream" Read,
        IdentitiesDelete "delete" Write,
    "sessions":
        SessionsList "list" Read,
        SessionsRevoke "revoke" Write,
        SessionsRevokeAll "revoke_all" Write,
    "preferences":
        PreferencesGet "get" Read,
        PreferencesPut "put" Write,
        PreferencesUpdate "update" Write,
        PreferencesWatch "watch" Read,
        PreferencesSync "sync" Write,
    "authenticator":
        AuthenticatorAuthenticate "authenticate" Read,
    "dashboard":
        DashboardSummary "summary" Read,
    "store":
        Connect "connect" Read,
        Check "check" Read,
        EnsureIndexes "ensure_indexes" Write,
        PendingMigrations "pending_migrations" Read,
        Migrate "migrate" Write,
    "migration":
        Inspect "inspect" Read,
        Lock "lock" Write,
        Prepare "prepare" Write,
        Count "count" Read,
        Scan "scan" Read,
        Fetch "fetch" Read,
        Begin "begin" Write,
        Load "load" Write,
        Finish "finish" Write,
        Digest "digest" Read,
        References "references" Read,
        Rejects "rejects" Read,
        Follow "follow" Read,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_differ() {
        let names: HashSet<&str> = Operation::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
    }
}
