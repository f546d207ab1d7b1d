//! The conformance suite of the accounts.
//!
//! A backend provides a fresh service, and [`accounts_conformance!`](crate::accounts_conformance)
//! makes one named test of each case.

#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod identities;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod list;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod preferences;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod services;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod sessions;

use std::{
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
};

use argon2::{Argon2, Params, PasswordHasher, password_hash::SaltString};
use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};

use crate::{
    Account, AuthId, AuthorStack, BearerToken, Credential, Email, NewAccount, Password,
    PasswordHash, Result,
};

/// What a client of the service does, not a host.
#[async_trait]
pub trait SignIn: Send + Sync {
    /// Signs in by e-mail address and password, and returns the token of the new session.
    async fn sign_in(&self, email: &Email, password: &str) -> Result<BearerToken>;
}

/// A service for one test, without accounts at first.
#[async_trait]
pub trait FreshAccounts: SignIn + Sized {
    /// A stack on the service. Its authenticator asks the service.
    fn stack(&self) -> AuthorStack;

    /// What the service can do.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Removes what the test created. It is also called if the case has failed.
    async fn clean_up(self);
}

/// What only some services can do. A case checks that the others say so.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Abilities {
    /// Whether a host can link identities.
    pub links_identities: bool,
    /// Whether a new account may have dates of the past.
    pub keeps_dates: bool,
    /// Whether a hash can take the place of a password later.
    pub replaces_hashes: bool,
    /// Whether a host can create anonymous accounts.
    pub has_anonymous: bool,
    /// Whether the store makes the profile of an account with a verified address by itself.
    pub makes_profiles: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            links_identities: true,
            keeps_dates: true,
            replaces_hashes: true,
            has_anonymous: true,
            makes_profiles: false,
        }
    }
}

/// What a case is given.
#[derive(Clone, Copy)]
pub struct AccountStage<'a> {
    /// The service.
    pub store: &'a AuthorStack,
    /// Its clients.
    pub client: &'a dyn SignIn,
    /// What it can do.
    pub abilities: Abilities,
}

impl fmt::Debug for AccountStage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountStage").finish_non_exhaustive()
    }
}

/// Runs a case on a fresh service and cleans up afterwards, also if the case fails.
pub async fn run_accounts_case<F, C>(fresh: F, case: C)
where
    F: FreshAccounts,
    C: for<'a> FnOnce(AccountStage<'a>) -> BoxFuture<'a, ()>,
{
    let stack = fresh.stack();
    let stage = AccountStage {
        store: &stack,
        client: &fresh,
        abilities: fresh.abilities(),
    };
    let outcome = AssertUnwindSafe(case(stage)).catch_unwind().await;
    fresh.clean_up().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// The password of the accounts that [`new_account`] makes.
pub const PASSWORD: &str = "tide and time";

/// An address of this name.
#[must_use]
pub fn address(name: &str) -> Email {
    format!("{name}@example.org").parse().unwrap()
}

/// An account that can sign in: a verified address of this name, and [`PASSWORD`].
#[must_use]
pub fn new_account(name: &str) -> NewAccount {
    let mut new = NewAccount::new(address(name));
    new.email_verified = true;
    new.name = name.to_owned();
    new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
    new
}

/// An argon2 hash of [`PASSWORD`], as another service has made it.
#[must_use]
pub fn argon2_hash() -> PasswordHash {
    let params = Params::new(512, 2, 1, None).unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::from_b64("c2FsdHNhbHRzYWx0").unwrap();
    let hash = argon2.hash_password(PASSWORD.as_bytes(), &salt).unwrap();
    hash.to_string().parse().unwrap()
}

impl AccountStage<'_> {
    async fn account(&self, name: &str) -> Account {
        let new = new_account(name);
        self.store.accounts().create(new).await.unwrap()
    }

    async fn signed_in(&self, account: &Account) -> BearerToken {
        let email = account.email.as_ref().unwrap();
        self.client.sign_in(email, PASSWORD).await.unwrap()
    }
}

/// An id that no account has.
fn nobody() -> AuthId {
    let id = crate::Id::<()>::new().to_uuid();
    id.to_string().parse().unwrap()
}

/// Makes a named test of every case of the suite of the accounts, each on a fresh service.
///
/// Takes the name of an async function without arguments that returns a
/// [`FreshAccounts`](crate::testing::FreshAccounts). The crate needs `tokio` with its macros.
#[macro_export]
macro_rules! accounts_conformance {
    ($fresh:ident) => {
        $crate::__accounts_cases! { $fresh, list:
            every_field_of_an_account_survives,
            dates_of_the_past_are_kept_or_refused,
            an_account_needs_an_address,
            an_anonymous_account_needs_none,
            unknown_accounts_are_not_found,
            an_address_is_found_in_any_case,
            what_is_taken_is_refused,
            of_accounts_created_at_once_with_one_address_one_is_there,
            a_patch_changes_its_fields_only_in_accounts,
            a_new_address_is_not_verified_unless_said,
            the_last_address_stays,
            a_stream_has_each_account_once,
            a_password_signs_in_and_a_wrong_one_does_not,
            a_hash_keeps_its_password,
            an_export_has_the_hashes,
            without_a_password_nobody_signs_in,
            a_new_password_ends_the_old_one_and_the_sessions,
            a_hash_takes_the_place_of_a_password,
            a_blocked_account_is_refused_until_it_is_unblocked,
            deleting_takes_all_that_belongs_to_the_account,
            an_account_is_deleted_once,
            no_secret_is_shown,
        }
        $crate::__accounts_cases! { $fresh, identities:
            an_identity_is_linked_once,
            an_identity_of_another_account_is_taken,
            identities_need_their_account,
            identities_are_listed_found_and_unlinked,
            identities_linked_at_once_are_one,
        }
        $crate::__accounts_cases! { $fresh, sessions:
            a_token_says_who_it_is,
            a_token_of_nobody_is_refused,
            sessions_are_listed_the_newest_first,
            a_session_that_was_revoked_is_over,
            sessions_of_others_are_not_found,
            all_sessions_end_at_once,
        }
        $crate::__accounts_cases! { $fresh, preferences:
            nobody_has_chosen_anything_at_first,
            every_field_of_the_settings_survives,
            settings_are_replaced_as_a_whole,
            a_patch_changes_its_settings_only,
            settings_need_their_account,
            settings_stored_at_once_move_forward,
            a_watch_begins_with_what_is_there_and_sees_changes,
            a_watch_sees_no_changes_of_others,
            a_watch_ends_with_the_account,
        }
        $crate::__accounts_cases! { $fresh, services:
            a_profile_follows_its_account,
            a_profile_needs_an_address,
            a_profile_is_made_once,
            a_profile_never_takes_another_ones_address,
            all_profiles_are_synced_and_refusals_named,
            settings_go_both_ways,
            the_newest_setting_wins,
            other_changes_of_the_profile_are_no_newer_setting,
            what_one_side_knows_is_kept,
            a_user_is_erased_everywhere,
            an_erasure_of_an_account_without_a_profile,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __accounts_cases {
    ($fresh:ident, $module:ident: $($case:ident,)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::run_accounts_case(super::$fresh().await, |stage| {
                        ::std::boxed::Box::pin(
                            $crate::testing::accounts::$module::$case(stage),
                        )
                    })
                    .await;
                }
            )+
        }
    };
}
