use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::NaiveDate;

use super::store::{MemoryStore, Records};
use crate::{
    AggregateRepository, Conversion, DailyAggregate, Days, Id, Listed, Overview, RefreshReport,
    Result, User, records::rollup::roll_up,
};

#[derive(Debug)]
pub(super) struct MemoryAggregates(pub(super) MemoryStore);

impl MemoryAggregates {
    fn recompute(
        &self,
        user_id: Id<User>,
        days: Days,
        conversion: &Conversion,
    ) -> Result<RefreshReport> {
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        let sales = records.sales.values();
        let sales = sales.filter(|sale| sale.user_id == user_id && days.contains(sale.date));
        let (fresh, gaps) = roll_up(user_id, sales, conversion);
        let mut report = RefreshReport {
            gaps,
            ..RefreshReport::default()
        };
        records.aggregates.retain(|(user, date), _| {
            let stale = *user == user_id && days.contains(*date) && !fresh.contains_key(date);
            report.removed += u64::from(stale);
            !stale
        });
        for (date, mut day) in fresh {
            match records.aggregates.get(&(user_id, date)) {
                Some(held) => {
                    day.id = held.id;
                    day.extra.clone_from(&held.extra);
                }
                None => day.id = records.next_row(),
            }
            let before = records.aggregates.insert((user_id, date), day.clone());
            report.written += u64::from(before != Some(day));
        }
        Ok(report)
    }

    fn days_without(&self, user_id: Id<User>, days: Days) -> Vec<NaiveDate> {
        let records = self.0.lock();
        let sales = records.sales.values();
        let sold = sales.filter(|sale| sale.user_id == user_id && days.contains(sale.date));
        let sold: BTreeSet<NaiveDate> = sold.map(|sale| sale.date).collect();
        let rolled_up = |date: &NaiveDate| records.aggregates.contains_key(&(user_id, *date));
        sold.into_iter().filter(|date| !rolled_up(date)).collect()
    }
}

impl Records {
    fn roll_ups(&self, user_id: Id<User>, days: Days) -> Vec<DailyAggregate> {
        let range = (user_id, days.first())..=(user_id, days.last());
        let found = self.aggregates.range(range);
        found.map(|(_, day)| day.clone()).collect()
    }
}

#[async_trait]
impl AggregateRepository for MemoryAggregates {
    async fn refresh(
        &self,
        user_id: Id<User>,
        days: Days,
        conversion: &Conversion,
    ) -> Result<RefreshReport> {
        self.recompute(user_id, days, conversion)
    }

    async fn list(&self, user_id: Id<User>, days: Days) -> Result<Listed<DailyAggregate>> {
        Ok(self.0.lock().roll_ups(user_id, days).into())
    }

    async fn gaps(&self, user_id: Id<User>, days: Days) -> Result<Vec<NaiveDate>> {
        Ok(self.days_without(user_id, days))
    }

    async fn overview(&self, user_id: Id<User>, days: Days, top: u32) -> Result<Overview> {
        let records = self.0.lock();
        let range = records.roll_ups(user_id, days);
        // The first possible day has no day before it.
        let before = match days.before() {
            before if before.last() < days.first() => records.roll_ups(user_id, before),
            _ => Vec::new(),
        };
        Ok(Overview::of(&range, &before, top as usize))
    }
}
