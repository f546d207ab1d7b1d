//! The conformance suite, and what tests on real servers share.
//!
//! A backend writes one async function that gives a fresh, empty store, and
//! [`conformance!`](crate::conformance) makes one named test of each case:
//!
//! ```
//! use authorstack_core::{DocumentStore, MemoryStore, testing::FreshStore};
//!
//! struct Fresh(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl FreshStore for Fresh {
//!     fn store(&self) -> &dyn DocumentStore {
//!         &self.0
//!     }
//!     async fn clean_up(self) {}
//! }
//!
//! async fn fresh() -> Fresh {
//!     Fresh(MemoryStore::new())
//! }
//!
//! authorstack_core::conformance!(fresh);
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::assigning_clones,
    reason = "a failed check of a test panics"
)]

#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod books;
pub mod random;
pub mod servers;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod users;

use std::panic::{AssertUnwindSafe, resume_unwind};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};

use crate::{DocumentStore, NewUser, User};

/// A store of a test's own, empty at first.
#[async_trait]
pub trait FreshStore: Sized + Send + Sync {
    /// The store.
    fn store(&self) -> &dyn DocumentStore;

    /// Removes what the test made on the server; called also when the case has failed.
    async fn clean_up(self);
}

/// Runs a case on a fresh store and cleans up, whatever comes of the case.
pub async fn run_case<F, C>(fresh: F, case: C)
where
    F: FreshStore,
    C: for<'a> FnOnce(&'a dyn DocumentStore) -> BoxFuture<'a, ()>,
{
    let outcome = AssertUnwindSafe(case(fresh.store())).catch_unwind().await;
    fresh.clean_up().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// A user with this name, with an account and an address made from it.
pub async fn author(store: &dyn DocumentStore, name: &str) -> User {
    store.users().create(new_author(name)).await.unwrap()
}

/// What [`author`] creates.
#[must_use]
pub fn new_author(name: &str) -> NewUser {
    let auth_id = format!("auth-{name}").parse().unwrap();
    let email = format!("{name}@example.org").parse().unwrap();
    NewUser::new(auth_id, email, name)
}

/// Makes a named test of every case of the suite, each on a fresh store.
///
/// Takes the name of an async function without arguments that answers a
/// [`FreshStore`](crate::testing::FreshStore). The crate needs `tokio` with its macros.
#[macro_export]
macro_rules! conformance {
    ($fresh:ident) => {
        $crate::__conformance_cases! { $fresh, users:
            creates_and_gets,
            every_field_survives,
            unknown_users_are_not_found,
            found_by_account_and_by_email_whatever_its_case,
            a_taken_email_is_already_exists,
            a_taken_account_is_already_exists,
            nul_is_invalid_and_writes_nothing,
            credits_below_zero_are_invalid,
            extra_may_not_shadow_the_schema,
            pages_walk_all_users_in_both_orders,
            pages_stay_right_while_users_come_and_go,
            a_patch_changes_its_fields_only,
            a_patch_to_a_taken_value_changes_nothing,
            an_outdated_patch_is_a_conflict,
            of_patches_at_once_one_wins,
            updated_at_moves_with_every_change,
            credits_add_and_spend,
            credits_refuse_bad_amounts,
            credits_overflow_is_invalid,
            spending_at_once_never_goes_below_zero,
            adding_at_once_loses_nothing,
            platforms_connect_sync_and_disconnect,
            platforms_connected_at_once_are_all_kept,
            one_platform_connected_at_once_is_kept_once,
            deleting_removes_the_books_too,
        }
        $crate::__conformance_cases! { $fresh, books:
            creates_and_gets_books,
            every_field_of_a_book_survives,
            a_book_needs_its_user,
            unknown_books_are_not_found,
            a_book_of_another_user_is_not_found,
            asin_finds_the_users_books,
            filters_narrow_the_list,
            pages_walk_the_filtered_list_in_both_orders,
            pages_stay_right_while_books_come_and_go,
            a_patch_changes_its_fields_only_in_books,
            a_patch_clears_fields,
            an_outdated_patch_of_a_book_is_a_conflict,
            a_blank_title_is_invalid,
            nul_in_a_book_is_invalid,
            a_series_position_is_finite,
            a_long_description_survives,
            far_dates_survive,
            dates_are_in_milliseconds,
            deletes_once,
        }
        $crate::__conformance_cases! { $fresh, random:
            agrees_with_the_model,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($fresh:ident, $module:ident: $($case:ident,)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::run_case(super::$fresh().await, |store| {
                        ::std::boxed::Box::pin($crate::testing::$module::$case(store))
                    })
                    .await;
                }
            )+
        }
    };
}
