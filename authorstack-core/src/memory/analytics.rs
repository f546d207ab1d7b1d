//! Sync logs, insights and forecasts.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::store::{MemoryStore, Records};
use crate::{
    Amount, Cursor, Days, Error, Forecast, ForecastAccuracy, ForecastRepository, Id, Insight,
    InsightKind, InsightRepository, InsightScope, Listed, NewForecast, NewInsight, NewSyncLog,
    Order, Page, PageRequest, Platform, Result, SyncLog, SyncLogRepository, User,
};

#[derive(Debug)]
pub(super) struct MemorySyncLogs(pub(super) MemoryStore);

#[derive(Debug)]
pub(super) struct MemoryInsights(pub(super) MemoryStore);

#[derive(Debug)]
pub(super) struct MemoryForecasts(pub(super) MemoryStore);

impl Records {
    pub(super) fn next_row(&mut self) -> i64 {
        self.last_row += 1;
        self.last_row
    }
}

/// The page of the matching rows, in the order of their numbers.
fn page_by_row<T: Clone>(
    rows: &BTreeMap<i64, T>,
    request: &PageRequest,
    row: impl Fn(&T) -> i64,
    matches: impl Fn(&T) -> bool,
) -> Result<Page<T>> {
    let after = request.after_row()?;
    let mut found: Vec<T> = rows.values().filter(|r| matches(r)).cloned().collect();
    if request.sort_order() == Order::NewestFirst {
        found.reverse();
    }
    if let Some(after) = after {
        found.retain(|record| match request.sort_order() {
            Order::OldestFirst => row(record) > after,
            Order::NewestFirst => row(record) < after,
        });
    }
    Ok(Page::from_one_more_by(found, request.limit(), |last| {
        Cursor::behind_row(row(last))
    }))
}

#[async_trait]
impl SyncLogRepository for MemorySyncLogs {
    async fn create(&self, user_id: Id<User>, log: NewSyncLog) -> Result<SyncLog> {
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        let mut log = log.into_sync_log(user_id);
        log.id = records.next_row();
        records.sync_logs.insert(log.id, log.clone());
        Ok(log)
    }

    async fn list(
        &self,
        user_id: Id<User>,
        platform: Option<Platform>,
        page: PageRequest,
    ) -> Result<Page<SyncLog>> {
        let records = self.0.lock();
        let matches = |log: &SyncLog| {
            log.user_id == user_id && platform.as_ref().is_none_or(|p| *p == log.platform)
        };
        page_by_row(&records.sync_logs, &page, |log| log.id, matches)
    }
}

#[async_trait]
impl InsightRepository for MemoryInsights {
    async fn create(&self, user_id: Id<User>, insight: NewInsight) -> Result<Insight> {
        let mut insight = insight.into_insight(user_id);
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        if let Some(book) = insight.book_id {
            records.own_book(user_id, book)?;
        }
        insight.id = records.next_row();
        records.insights.insert(insight.id, insight.clone());
        Ok(insight)
    }

    async fn latest(
        &self,
        user_id: Id<User>,
        scope: InsightScope,
        kind: &InsightKind,
        at: DateTime<Utc>,
    ) -> Result<Insight> {
        let records = self.0.lock();
        let newest = records.insights.values().rev().find(|insight| {
            insight.user_id == user_id
                && insight.book_id == scope.book_id()
                && insight.kind.as_ref() == Some(kind)
                && insight.is_valid_at(at)
        });
        let newest = newest.cloned();
        newest.ok_or_else(Error::not_found)
    }

    async fn list_valid(
        &self,
        user_id: Id<User>,
        at: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<Insight>> {
        let records = self.0.lock();
        let matches = |insight: &Insight| insight.user_id == user_id && insight.is_valid_at(at);
        page_by_row(&records.insights, &page, |insight| insight.id, matches)
    }

    async fn delete_expired(&self, at: DateTime<Utc>) -> Result<u64> {
        let mut records = self.0.lock();
        let before = records.insights.len();
        records
            .insights
            .retain(|_, insight| insight.is_valid_at(at));
        Ok((before - records.insights.len()) as u64)
    }
}

impl MemoryForecasts {
    /// The newest forecast of each day.
    fn newest(&self, user_id: Id<User>, days: Days) -> Vec<Forecast> {
        let records = self.0.lock();
        let mut newest: BTreeMap<NaiveDate, &Forecast> = BTreeMap::new();
        for forecast in records.forecasts.values() {
            if forecast.user_id == user_id && days.contains(forecast.date) {
                newest.insert(forecast.date, forecast);
            }
        }
        newest.into_values().cloned().collect()
    }
}

#[async_trait]
impl ForecastRepository for MemoryForecasts {
    async fn create(
        &self,
        user_id: Id<User>,
        forecasts: Vec<NewForecast>,
    ) -> Result<Vec<Forecast>> {
        let made = forecasts.into_iter();
        let mut made: Vec<Forecast> = made
            .map(|forecast| forecast.into_forecast(user_id))
            .collect();
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        for forecast in &mut made {
            forecast.id = records.next_row();
            records.forecasts.insert(forecast.id, forecast.clone());
        }
        Ok(made)
    }

    async fn list(&self, user_id: Id<User>, days: Days) -> Result<Listed<Forecast>> {
        Ok(self.newest(user_id, days).into())
    }

    async fn fill_actuals(&self, user_id: Id<User>, days: Days) -> Result<u64> {
        let mut records = self.0.lock();
        let sales = records.sales.values();
        let sales = sales.filter(|sale| sale.user_id == user_id && days.contains(sale.date));
        let sold: BTreeSet<NaiveDate> = sales.map(|sale| sale.date).collect();
        // All amounts are found first: either every forecast is filled or none is.
        let mut earned: BTreeMap<i64, Option<Amount>> = BTreeMap::new();
        for forecast in records.forecasts.values() {
            if forecast.user_id != user_id || !days.contains(forecast.date) {
                continue;
            }
            let actual = match records.aggregates.get(&(user_id, forecast.date)) {
                Some(day) => Some(Amount::new(day.totals.revenue)?),
                // What was earned is not known.
                None if sold.contains(&forecast.date) => None,
                None => Some(Amount::ZERO),
            };
            if forecast.actual != actual {
                earned.insert(forecast.id, actual);
            }
        }
        records.forecasts.change_all(.., |forecast| {
            let actual = earned.get(&forecast.id).copied();
            forecast.actual = actual.unwrap_or(forecast.actual);
            actual.is_some()
        });
        Ok(earned.len() as u64)
    }

    async fn accuracy(&self, user_id: Id<User>, days: Days) -> Result<ForecastAccuracy> {
        Ok(ForecastAccuracy::of(&self.newest(user_id, days)))
    }
}
