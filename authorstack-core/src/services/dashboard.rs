use std::collections::HashMap;

use chrono::{DateTime, Datelike, Days as ChronoDays, NaiveDate, TimeDelta, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::{
    AuthorStack, Book, Days, Error, Forecast, ForecastAccuracy, Id, Insight, PageRequest, Platform,
    Result, Sums, Unreadable, User,
    cache::{Codec, Kept, decode, encode},
    layers::{Cached, Operation},
    records::ranking,
    time,
};

/// An author's dashboard, computed from the roll-ups. It makes one or two calls to each repository,
/// all at the same time.
#[derive(Debug, Clone)]
pub struct Dashboard {
    stack: AuthorStack,
    cached: Option<Cached>,
}

/// A period of a dashboard, up to the author's today.
///
/// ```
/// use authorstack_core::{day_at, services::Period};
///
/// let now = "2024-03-15T02:00:00Z".parse().unwrap();
/// let today = day_at("America/New_York", now)?;
/// assert_eq!(Period::LastDays(7).days(today).to_string(), "2024-03-08..=2024-03-14");
/// assert_eq!(Period::LastMonth.days(today).to_string(), "2024-02-01..=2024-02-29");
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Period {
    /// This number of days, including today.
    LastDays(u32),
    /// The month up to today.
    ThisMonth,
    /// The whole month before.
    LastMonth,
    /// The year up to today.
    ThisYear,
}

impl Period {
    /// The days of the period. `today` is the author's: [`day_at`](crate::day_at).
    #[must_use]
    pub fn days(self, today: NaiveDate) -> Days {
        match self {
            Self::LastDays(count) => Days::up_to(today, count),
            Self::ThisMonth => Days::up_to(today, today.day()),
            Self::LastMonth => {
                let back = ChronoDays::new(today.day().into());
                Days::month(today.checked_sub_days(back).unwrap_or(today))
            }
            Self::ThisYear => Days::up_to(today, today.ordinal()),
        }
    }
}

/// What to show on a dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DashboardQuery {
    /// The days; at most ten years of them.
    pub days: Days,
    /// How many books and platforms to rank; 10 by default.
    pub top: u32,
    /// How many insights to show; 5 by default.
    pub insights: u32,
    /// The time at which insights must be valid; now by default.
    pub at: DateTime<Utc>,
}

impl DashboardQuery {
    /// A query for these days.
    #[must_use]
    pub fn of(days: Days) -> Self {
        Self {
            days,
            top: 10,
            insights: 5,
            at: time::now(),
        }
    }
}

impl DashboardQuery {
    /// Whether a summary that was made for this query may answer another one.
    fn answers(&self, other: &Self) -> bool {
        let later = other.at - self.at;
        (self.days, self.top, self.insights) == (other.days, other.top, other.insights)
            && later >= TimeDelta::zero()
            && later <= TimeDelta::seconds(60)
    }
}

/// A summary in a cache, with the query that it answers.
#[derive(PartialEq, Serialize, Deserialize)]
struct KeptSummary {
    query: DashboardQuery,
    summary: DashboardSummary,
}

/// The content of a dashboard. All amounts are in the currency of the roll-ups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DashboardSummary {
    /// The days.
    pub days: Days,
    /// The sums of these days.
    pub totals: Sums,
    /// The sums of the same number of days right before.
    pub previous: Sums,
    /// The change of the revenue between the two, in percent with one decimal; `None` if nothing
    /// was earned before, or if one of the sums lacks sales (`gaps`).
    #[serde(default, with = "crate::json::decimal::option")]
    pub revenue_change: Option<Decimal>,
    /// Days of this period and of the one before that have sales and no roll-up: they were not
    /// refreshed yet, or could not be, as for want of a rate. The sums lack their sales.
    #[serde(default)]
    pub gaps: Vec<NaiveDate>,
    /// The sums of each day, also of days without sales.
    #[serde(with = "ranking::days")]
    pub series: Vec<(NaiveDate, Sums)>,
    /// The books with the highest revenue.
    #[serde(with = "ranking::books")]
    pub books: Vec<(Id<Book>, Sums)>,
    /// The platforms with the highest revenue, each in all its markets.
    #[serde(with = "ranking::platforms")]
    pub platforms: Vec<(Platform, Sums)>,
    /// The newest valid insights.
    pub insights: Vec<Insight>,
    /// The newest forecast of each day, with the actual revenue where it is known.
    pub forecasts: Vec<Forecast>,
    /// How accurate these forecasts were.
    pub accuracy: ForecastAccuracy,
    /// The records that could not be read, and are missing above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

impl Dashboard {
    /// The most days of a query: ten years.
    pub const MOST_DAYS: usize = 3_660;

    /// The service on this store.
    #[must_use]
    pub fn new(stack: &AuthorStack) -> Self {
        Self {
            stack: stack.clone(),
            cached: None,
        }
    }

    /// Keeps each user's last summary in the cache of this layer, for 60 seconds at most. The layer
    /// is one of the stack's: writes through the stack remove the summary.
    ///
    /// A kept summary answers the same query, and one whose `at` is up to 60 seconds later.
    #[must_use]
    pub fn cached(mut self, layer: &Cached) -> Self {
        self.cached = Some(layer.clone());
        self
    }

    /// Collects the dashboard of a user. Sales count once their days were refreshed, as
    /// [`SalesIngest`](super::SalesIngest) does.
    ///
    /// # Errors
    /// Invalid for more than [`Dashboard::MOST_DAYS`]; Timeout or Unavailable of a store.
    pub async fn summary(
        &self,
        user_id: Id<User>,
        query: &DashboardQuery,
    ) -> Result<DashboardSummary> {
        let summary = match &self.cached {
            Some(cached) => self.kept(cached, user_id, query).await,
            None => self.gather(user_id, query).await,
        };
        summary.map_err(|error| error.in_operation(Operation::DashboardSummary))
    }

    async fn kept(
        &self,
        cached: &Cached,
        user_id: Id<User>,
        query: &DashboardQuery,
    ) -> Result<DashboardSummary> {
        let codec = Codec {
            encode: &|answer: &Result<DashboardSummary>| {
                let summary = answer.as_ref().ok()?;
                // What could not be read may be repaired without a write that we see.
                if !summary.unreadable.is_empty() {
                    return None;
                }
                let (query, summary) = (query.clone(), summary.clone());
                let bytes = encode(&KeptSummary { query, summary })?;
                Some(Kept {
                    bytes,
                    is_absent: false,
                })
            },
            decode: &|bytes| {
                let kept: KeptSummary = decode(bytes)??;
                kept.query.answers(query).then_some(Ok(kept.summary))
            },
        };
        let variant = format!("{}:{}:{}", query.days, query.top, query.insights);
        let slot = Cached::dashboard(user_id);
        let load = || self.gather(user_id, query);
        cached.engine().read(&slot, &variant, codec, load).await
    }

    async fn gather(&self, user_id: Id<User>, query: &DashboardQuery) -> Result<DashboardSummary> {
        let days = query.days;
        if days.len() > Self::MOST_DAYS {
            let reason = format!("{days} are more than {} days", Self::MOST_DAYS);
            return Err(Error::invalid("days", reason));
        }
        let newest = PageRequest::first(query.insights);
        let both = Days::new(days.before().first().min(days.first()), days.last())?;
        let (overview, gaps, insights, forecasts) = tokio::try_join!(
            self.stack.aggregates().overview(user_id, days, query.top),
            self.stack.aggregates().gaps(user_id, both),
            self.stack.insights().list_valid(user_id, query.at, newest),
            self.stack.forecasts().list(user_id, days),
        )?;
        let unreadable = [
            overview.unreadable,
            insights.unreadable,
            forecasts.unreadable,
        ]
        .concat();
        let forecasts = forecasts.items;
        let sold: HashMap<NaiveDate, Sums> = overview.days.into_iter().collect();
        let each = |day: NaiveDate| (day, sold.get(&day).copied().unwrap_or_default());
        Ok(DashboardSummary {
            days,
            totals: overview.totals,
            previous: overview.previous,
            revenue_change: if gaps.is_empty() {
                percent_change(overview.previous.revenue, overview.totals.revenue)
            } else {
                None
            },
            gaps,
            series: days.iter().map(each).collect(),
            books: overview.books,
            platforms: overview.platforms,
            insights: insights.items,
            accuracy: ForecastAccuracy::of(&forecasts),
            forecasts,
            unreadable,
        })
    }
}

/// The change from one amount to another, in percent of the first with one decimal; `None` if the
/// first is not above zero.
#[must_use]
pub fn percent_change(from: Decimal, to: Decimal) -> Option<Decimal> {
    if from <= Decimal::ZERO {
        return None;
    }
    let percent = (to - from)
        .checked_mul(Decimal::ONE_HUNDRED)?
        .checked_div(from)?;
    let mut percent = percent.round_dp_with_strategy(1, RoundingStrategy::MidpointAwayFromZero);
    percent.rescale(1);
    Some(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(period: Period, today: &str) -> String {
        period.days(today.parse().unwrap()).to_string()
    }

    #[test]
    fn periods_end_today_or_with_their_month() {
        assert_eq!(
            days(Period::ThisMonth, "2024-03-01"),
            "2024-03-01..=2024-03-01"
        );
        assert_eq!(
            days(Period::ThisMonth, "2024-02-29"),
            "2024-02-01..=2024-02-29"
        );
        assert_eq!(
            days(Period::LastMonth, "2024-01-31"),
            "2023-12-01..=2023-12-31"
        );
        assert_eq!(
            days(Period::ThisYear, "2024-12-31"),
            "2024-01-01..=2024-12-31"
        );
        assert_eq!(
            days(Period::LastDays(0), "2024-03-01"),
            "2024-03-01..=2024-03-01"
        );
    }

    #[test]
    fn changes_are_of_what_was_earned_before() {
        let change = |from: i64, to: i64| {
            percent_change(Decimal::new(from, 2), Decimal::new(to, 2)).map(|p| p.to_string())
        };
        assert_eq!(change(30_000, 20_000).as_deref(), Some("-33.3"));
        assert_eq!(change(20_000, 30_000).as_deref(), Some("50.0"));
        assert_eq!(change(1, -1).as_deref(), Some("-200.0"));
        assert_eq!(change(0, 5), None);
        assert_eq!(change(-5, 5), None);
    }
}
