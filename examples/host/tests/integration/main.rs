//! The host on every backend, held to its own `OpenAPI` document with every answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed check of a test panics"
)]

mod browser;
mod client;
mod document;
mod fuzz;
mod journeys;
mod limits;
mod outage;
mod stage;
mod webhooks;
mod wires;

/// Makes a test of each journey on each backend.
macro_rules! on_every_backend {
    ($($journey:ident,)+) => {
        on_every_backend! { @ memory: $($journey,)+ }
        on_every_backend! { @ distributed: $($journey,)+ }
        on_every_backend! { @ supabase: $($journey,)+ }
    };
    (@ $backend:ident: $($journey:ident,)+) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $journey() {
                    let stage = crate::stage::Stage::$backend().await;
                    stage.run(crate::journeys::$journey).await;
                }
            )+
        }
    };
}

on_every_backend! {
    nobody_gets_in_without_a_token,
    books_are_added_changed_and_deleted,
    a_report_shows_on_the_dashboard,
    a_wrong_report_is_named_by_its_line,
    posts_are_seen_liked_and_commented,
    a_boost_is_bought_once_and_leads,
    checklists_are_worked_through,
    competitors_prices_are_noted,
    insights_and_forecasts_are_shown,
    preferences_are_followed_live,
    a_job_runs_and_shows_its_progress,
    all_of_a_user_is_exported_and_erased,
    operators_see_what_is_going_on,
}
