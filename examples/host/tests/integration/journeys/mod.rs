//! What users do, the same on every backend.

mod account;
mod books;
pub(crate) mod common;
mod community;
mod sales;

pub(crate) use account::{
    all_of_a_user_is_exported_and_erased, insights_and_forecasts_are_shown,
    nobody_gets_in_without_a_token, operators_see_what_is_going_on, preferences_are_followed_live,
};
pub(crate) use books::{
    books_are_added_changed_and_deleted, checklists_are_worked_through,
    competitors_prices_are_noted,
};
pub(crate) use community::{a_boost_is_bought_once_and_leads, posts_are_seen_liked_and_commented};
pub(crate) use sales::{
    a_job_runs_and_shows_its_progress, a_report_shows_on_the_dashboard,
    a_wrong_report_is_named_by_its_line,
};
