//! What was erased of a user.

use std::ops::AddAssign;

/// How many analytics records of a user were erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErasedAnalytics {
    /// Sales.
    pub sales: u64,
    /// Roll-ups.
    pub aggregates: u64,
    /// Sync logs.
    pub sync_logs: u64,
    /// Insights.
    pub insights: u64,
    /// Forecasts.
    pub forecasts: u64,
}

impl ErasedAnalytics {
    /// All of them together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let Self {
            sales,
            aggregates,
            sync_logs,
            insights,
            forecasts,
        } = *self;
        sales + aggregates + sync_logs + insights + forecasts
    }
}

impl AddAssign for ErasedAnalytics {
    fn add_assign(&mut self, other: Self) {
        let Self {
            sales,
            aggregates,
            sync_logs,
            insights,
            forecasts,
        } = other;
        self.sales += sales;
        self.aggregates += aggregates;
        self.sync_logs += sync_logs;
        self.insights += insights;
        self.forecasts += forecasts;
    }
}
