//! The conformance suite for backends, and helpers for tests on real servers.
//!
//! A backend writes one async function that returns a fresh, empty store.
//! [`conformance!`](crate::conformance) makes one named test of each case:
//!
//! ```
//! use authorstack_core::{AuthorStack, MemoryStore, testing::FreshStore};
//!
//! struct Fresh(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl FreshStore for Fresh {
//!     fn stack(&self) -> AuthorStack {
//!         self.0.stack()
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

pub mod accounts;
pub mod analytics;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod books;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod boosts;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod caching;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod checklists;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod community;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod competitors;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod follows;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod limits;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod queues;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod racing;
pub mod random;
pub mod servers;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod users;

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::{FutureExt, future::BoxFuture};

pub use accounts::{Abilities, AccountStage, FreshAccounts, SignIn, run_accounts_case};
pub use analytics::{FreshAnalytics, Stage, fill_analytics, run_analytics_case};
pub use caching::FreshCache;
pub use limits::FreshLimits;

use crate::{AuthorStack, NewUser, User, time};

/// A store for one test, empty at first.
#[async_trait]
pub trait FreshStore: Sized + Send + Sync {
    /// A stack on the store.
    fn stack(&self) -> AuthorStack;

    /// Removes what the test created on the server. It is also called if the case has failed.
    async fn clean_up(self);
}

/// Runs a case on a fresh store and cleans up afterwards, also if the case fails.
pub async fn run_case<F, C>(fresh: F, case: C)
where
    F: FreshStore,
    C: for<'a> FnOnce(&'a AuthorStack) -> BoxFuture<'a, ()>,
{
    let stack = fresh.stack();
    let outcome = AssertUnwindSafe(case(&stack)).catch_unwind().await;
    fresh.clean_up().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Creates a user with this name, and an account and an e-mail address made from it.
pub async fn author(store: &AuthorStack, name: &str) -> User {
    store.users().create(new_author(name)).await.unwrap()
}

/// What [`author`] creates.
#[must_use]
pub fn new_author(name: &str) -> NewUser {
    let auth_id = format!("auth-{name}").parse().unwrap();
    let email = format!("{name}@example.org").parse().unwrap();
    NewUser::new(auth_id, email, name)
}

/// Waits until the clock has moved by some milliseconds. What is made afterwards has a later date.
pub async fn clock_moved() {
    let before = time::now();
    while time::now() - before < TimeDelta::milliseconds(3) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Makes a named test of every case of the suite, each on a fresh store.
///
/// Takes the name of an async function without arguments that returns a
/// [`FreshStore`](crate::testing::FreshStore). The crate needs `tokio` with its macros.
#[macro_export]
macro_rules! conformance {
    ($fresh:ident) => {
        $crate::__conformance_cases! { $fresh, users:
            creates_and_gets,
            every_field_survives,
            unknown_users_are_not_found,
            found_by_account_and_by_email_whatever_its_case,
            many_users_come_in_one_call,
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
            deleting_removes_all_that_is_theirs,
        }
        $crate::__conformance_cases! { $fresh, books:
            creates_and_gets_books,
            every_field_of_a_book_survives,
            a_book_needs_its_user,
            unknown_books_are_not_found,
            a_book_of_another_user_is_not_found,
            asin_finds_the_users_books,
            many_books_come_in_one_call,
            only_published_books_are_public,
            books_are_counted_as_they_are_listed,
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
            what_is_beyond_a_limit_is_refused,
            a_cover_is_on_the_web,
            far_dates_survive,
            dates_are_in_milliseconds,
            deletes_once,
        }
        $crate::__conformance_cases! { $fresh, checklists:
            an_empty_checklist_has_no_progress,
            a_checklist_has_a_thousand_tasks_at_most,
            a_template_makes_tasks_with_due_dates,
            unknown_fields_of_a_checklist_survive_changes,
            a_checklist_needs_a_book_of_the_user,
            checklists_of_others_are_not_found,
            progress_is_what_the_tasks_say,
            completing_twice_keeps_the_moment,
            tasks_are_edited_and_cleared,
            unknown_tasks_are_not_found,
            tasks_take_the_order_that_names_each_once,
            tasks_completed_at_once_lose_nothing,
            tasks_added_at_once_are_all_kept,
            checklists_are_listed_by_user_and_by_book,
            due_tasks_come_by_date_across_checklists,
            an_outdated_patch_of_a_checklist_is_a_conflict,
            deleting_a_book_removes_its_checklists,
        }
        $crate::__conformance_cases! { $fresh, follows:
            following_twice_is_one_follow,
            unfollowing_twice_is_no_error,
            nobody_follows_themselves_or_nobody,
            follows_at_once_are_one,
            a_follow_repeated_later_is_the_first,
            pages_walk_followers_and_following,
        }
        $crate::__conformance_cases! { $fresh, community:
            every_field_of_a_post_survives,
            a_post_says_something_and_has_an_author,
            long_posts_and_comments_are_refused,
            followers_posts_are_for_followers_and_their_author,
            the_feed_stays_right_while_posts_arrive,
            likes_count_once,
            a_like_repeated_later_changes_nothing,
            likes_at_once_are_all_counted,
            likers_come_in_pages,
            comments_come_by_date,
            a_comment_goes_by_its_author_or_the_posts,
            comments_at_once_are_all_kept,
            a_post_is_edited_by_its_author,
            deleting_a_post_takes_likes_and_comments,
            far_cursors_are_no_error,
        }
        $crate::__conformance_cases! { $fresh, boosts:
            a_purchase_spends_and_creates,
            a_purchase_without_credits_changes_nothing,
            only_own_books_are_boosted,
            bad_purchases_are_invalid,
            a_repeated_purchase_spends_once,
            a_purchase_repeated_later_is_the_first,
            another_purchase_under_the_same_id_is_a_conflict,
            purchases_repeated_at_once_spend_once,
            a_taken_position_is_a_conflict,
            positions_without_a_wish_fill_the_gaps,
            the_leaderboard_is_of_a_moment,
            what_is_due_expires,
            boosts_come_in_pages,
            a_hundred_buyers_never_overdraw,
            of_many_buyers_one_gets_the_position,
            positions_found_at_once_differ,
        }
        $crate::__conformance_cases! { $fresh, competitors:
            every_field_of_a_competitor_survives,
            an_asin_is_tracked_once_by_a_user,
            an_asin_tracked_at_once_is_tracked_once,
            a_patch_of_a_competitor_changes_its_fields,
            prices_out_of_order_keep_the_newest,
            a_price_of_the_same_moment_is_replaced,
            a_price_repeated_later_is_the_same_point,
            prices_are_exact,
            history_comes_in_ranges_and_pages,
            the_longest_unchecked_come_first,
            prices_at_once_are_all_kept,
            competitors_come_in_pages_and_go,
        }
        $crate::__conformance_cases! { $fresh, racing:
            a_competitor_is_deleted_once,
            a_book_is_deleted_once,
            a_checklist_is_deleted_once,
            a_post_is_deleted_once,
            a_comment_is_removed_once,
            a_user_is_deleted_once,
            likes_follows_and_platforms_are_kept_once,
            boosts_expire_once,
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
