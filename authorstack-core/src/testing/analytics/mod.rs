//! The conformance suite of the analytics.
//!
//! A backend provides a fresh store, and [`analytics_conformance!`](crate::analytics_conformance)
//! makes one named test of each case.

#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod aggregates;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod erasure;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod forecasts;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod insights;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod racing;
/// Random operations on a store and on the in-memory model.
pub mod random;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod sales;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod services;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod sync_logs;
#[allow(missing_docs, reason = "a case is named for what it checks")]
pub mod unknown;

use std::panic::{AssertUnwindSafe, resume_unwind};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use futures::{FutureExt, TryStreamExt, future::BoxFuture};

use crate::{
    AuthorStack, Book, Conversion, Currency, Days, ErasedAnalytics, Id, InsightKind, NewForecast,
    NewInsight, NewSale, PageRequest, Platform, Sale, SaleKey, SalesChannel, SalesFilter, Sums,
    SyncStatus, User, services::SalesIngest,
};

/// An analytics store for one test, empty at first.
#[async_trait]
pub trait FreshAnalytics: Sized + Send + Sync {
    /// A stack on the store.
    fn stack(&self) -> AuthorStack;

    /// A user whose records the store accepts, and a book of theirs; different ones at each call.
    async fn author(&self) -> (Id<User>, Id<Book>);

    /// Removes what the test created on the server. It is also called if the case has failed.
    async fn clean_up(self);
}

/// The data of a case: a user with a book, and another user.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// The store.
    pub store: &'a AuthorStack,
    /// The user whom the case is about.
    pub user: Id<User>,
    /// Their book.
    pub book: Id<Book>,
    /// Another user.
    pub stranger: Id<User>,
}

/// Runs a case on a fresh store and cleans up afterwards, also if the case fails.
pub async fn run_analytics_case<F, C>(fresh: F, case: C)
where
    F: FreshAnalytics,
    C: for<'a> FnOnce(Stage<'a>) -> BoxFuture<'a, ()>,
{
    let (user, book) = fresh.author().await;
    let (stranger, _) = fresh.author().await;
    let stack = fresh.stack();
    let stage = Stage {
        store: &stack,
        user,
        book,
        stranger,
    };
    let outcome = AssertUnwindSafe(case(stage)).catch_unwind().await;
    fresh.clean_up().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Fills a user's analytics: two sales on two days with their roll-ups and the log of their sync,
/// two insights, one of them about the book, and a forecast.
pub async fn fill_analytics(store: &AuthorStack, user: Id<User>, book: Id<Book>) {
    let ingest = SalesIngest::new(store);
    let mut sales = vec![
        sale(book, "kdp", "2024-03-01", "27.93"),
        sale(book, "kdp", "2024-03-02", "-4.07"),
    ];
    sales[0].page_reads = 1_250;
    let dollars = Conversion::into(currency("USD"));
    let report = ingest.run(user, &Platform::KDP, sales, &dollars).await;
    assert_eq!(report.unwrap().log.status, SyncStatus::Success);
    let content = serde_json::json!({ "text": "up \u{201c}", "by": [1, 2.5, null] });
    let mut insight = NewInsight::new(InsightKind::TREND, content);
    insight.confidence = Some("0.07".parse().unwrap());
    store
        .insights()
        .create(user, insight.clone())
        .await
        .unwrap();
    insight.book_id = Some(book);
    insight.valid_until = Some("2030-01-01T00:00:00.125Z".parse().unwrap());
    store.insights().create(user, insight).await.unwrap();
    let mut forecast = NewForecast::new(day("2024-03-01"), "30.10".parse().unwrap());
    forecast.factors = Some(serde_json::json!({ "season": 1.0 }));
    let forecasts = store.forecasts();
    forecasts.create(user, vec![forecast]).await.unwrap();
    let filled = forecasts.fill_actuals(user, Days::month(day("2024-03-01")));
    assert_eq!(filled.await.unwrap(), 1);
}

/// Whether the stack holds users, too.
async fn holds_users(store: &AuthorStack) -> bool {
    let nobody = store.users().get(Id::new()).await.unwrap_err();
    nobody.is_not_found()
}

/// How many analytics records of a user the store has.
async fn held(store: &AuthorStack, user: Id<User>) -> ErasedAnalytics {
    let page = || PageRequest::first(100);
    let sales = store.sales().stream(user, SalesFilter::of(Days::ALL));
    let sales: Vec<Sale> = sales.try_collect().await.unwrap();
    let aggregates = store.aggregates().list(user, Days::ALL).await.unwrap();
    let logs = store.sync_logs().list(user, None, page()).await.unwrap();
    let insights = store
        .insights()
        .list_valid(user, moment("2024-03-01"), page());
    let forecasts = store.forecasts().list(user, Days::ALL).await.unwrap();
    ErasedAnalytics {
        sales: sales.len() as u64,
        aggregates: aggregates.len() as u64,
        sync_logs: logs.items.len() as u64,
        insights: insights.await.unwrap().items.len() as u64,
        forecasts: forecasts.len() as u64,
    }
}

/// What [`fill_analytics`] writes.
const FILLED: ErasedAnalytics = ErasedAnalytics {
    sales: 2,
    aggregates: 2,
    sync_logs: 1,
    insights: 2,
    forecasts: 1,
};

fn moment(date: &str) -> DateTime<Utc> {
    day(date).and_hms_opt(0, 0, 0).unwrap().and_utc()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn days(first: &str, last: &str) -> Days {
    Days::new(day(first), day(last)).unwrap()
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

/// A sale in dollars.
fn sale(book_id: Id<Book>, channel: &str, date: &str, revenue: &str) -> NewSale {
    let channel: SalesChannel = channel.parse().unwrap();
    let key = SaleKey::new(book_id, channel, day(date));
    let mut sale = NewSale::new(key, revenue.parse().unwrap(), currency("USD"));
    sale.units = 1;
    sale
}

fn sums(revenue: &str, units: i64, page_reads: i64) -> Sums {
    Sums {
        revenue: revenue.parse().unwrap(),
        units,
        page_reads,
    }
}

/// Makes a named test of every case of the analytics suite, each on a fresh store.
///
/// Takes the name of an async function without arguments that returns a
/// [`FreshAnalytics`](crate::testing::FreshAnalytics). The crate needs `tokio` with its macros.
#[macro_export]
macro_rules! analytics_conformance {
    ($fresh:ident) => {
        $crate::__analytics_cases! { $fresh, sales:
            an_upsert_counts_what_it_did,
            every_figure_of_a_sale_survives,
            a_changed_currency_is_a_conflict_and_writes_nothing,
            a_sale_twice_in_a_batch_is_named,
            a_far_date_is_invalid_and_writes_nothing,
            an_empty_batch_does_nothing,
            sales_of_others_are_not_found,
            a_large_batch_is_written_whole,
            upserts_at_once_lose_nothing,
            a_stream_is_ordered_and_filtered,
            totals_are_exact_and_never_mix_currencies,
            weeks_and_months_begin_where_they_should,
            deletes_once,
            markets_of_a_platform_are_sales_of_their_own,
            totals_by_platform_are_those_of_its_markets,
            a_platform_is_the_same_in_capitals,
            sales_in_two_currencies_are_told_to_take_markets,
            a_colon_without_a_market_is_invalid,
        }
        $crate::__analytics_cases! { $fresh, aggregates:
            a_refresh_sums_every_day,
            refunds_and_breakdowns_add_up,
            a_day_without_sales_loses_its_roll_up,
            a_refresh_stays_within_its_days_and_user,
            other_currencies_are_converted,
            a_day_without_a_rate_is_named_and_the_others_are_rolled_up,
            a_total_beyond_the_table_is_named_and_the_others_are_rolled_up,
            markets_are_folded_into_their_platform,
            days_without_a_roll_up_are_found,
            a_repeated_refresh_writes_nothing,
            refreshes_beside_upserts_end_right,
            an_overview_compares_and_ranks,
        }
        $crate::__analytics_cases! { $fresh, sync_logs:
            logs_come_back_newest_first,
            logs_are_paged_and_filtered,
            nul_in_a_message_is_invalid,
        }
        $crate::__analytics_cases! { $fresh, insights:
            the_newest_valid_insight_of_a_kind_is_found,
            insights_of_the_user_and_of_books_are_apart,
            what_is_outdated_is_purged,
            valid_insights_come_in_pages,
            nul_in_an_insight_is_invalid,
        }
        $crate::__analytics_cases! { $fresh, forecasts:
            every_field_of_a_forecast_survives,
            the_newest_forecast_of_a_day_counts,
            actuals_come_from_the_roll_ups,
            what_was_earned_on_a_day_without_a_roll_up_is_unknown,
            accuracy_leaves_empty_days_out_of_percentages,
            a_bad_forecast_writes_nothing,
        }
        $crate::__analytics_cases! { $fresh, erasure:
            erasing_a_user_leaves_nothing_of_them,
            an_erasure_that_broke_off_continues,
            erasures_at_once_end_alike,
            deleting_a_user_erases_their_analytics,
            deleting_a_book_erases_its_insights_only,
        }
        $crate::__analytics_cases! { $fresh, unknown:
            an_ingest_for_nobody_is_not_found,
            nothing_is_written_for_nobody,
            an_insight_is_about_a_book_of_the_user,
        }
        $crate::__analytics_cases! { $fresh, racing:
            a_sale_is_deleted_once,
            insights_are_purged_once,
            actuals_are_filled_once,
            a_sale_written_at_once_is_inserted_once,
        }
        $crate::__analytics_cases! { $fresh, random:
            agrees_with_the_model,
        }
        $crate::__analytics_cases! { $fresh, services:
            an_ingest_writes_refreshes_and_logs,
            what_is_refused_is_refused_alone,
            an_ingest_of_nothing_sound_has_failed,
            a_missing_rate_leaves_the_sales_and_says_so,
            a_report_of_several_markets_is_one_ingest,
            an_ingest_leaves_other_days_alone,
            an_ingest_completes_what_an_interrupted_one_left,
            an_ingest_repeated_later_changes_nothing,
            far_days_are_refreshed_apart,
            a_dashboard_shows_every_part,
            a_dashboard_names_days_without_a_roll_up,
            a_dashboard_of_too_many_days_is_invalid,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __analytics_cases {
    ($fresh:ident, $module:ident: $($case:ident,)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::run_analytics_case(super::$fresh().await, |stage| {
                        ::std::boxed::Box::pin(
                            $crate::testing::analytics::$module::$case(stage),
                        )
                    })
                    .await;
                }
            )+
        }
    };
}
