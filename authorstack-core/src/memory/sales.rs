use std::collections::VecDeque;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

use super::store::MemoryStore;
use crate::{
    Error, Extra, Id, Listed, NewSale, Result, Sale, SaleKey, SalesFilter, SalesRepository,
    SalesTotal, TotalsBy, UpsertCounts, User,
    records::sales::{currency_conflict, in_order, total_sales},
    time,
};

#[derive(Debug)]
pub(super) struct MemorySales(pub(super) MemoryStore);

impl MemorySales {
    fn write(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts> {
        let batch = in_order(sales);
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        let stored = |sale: &NewSale| records.sales.get(&(user_id, sale.key.clone()));
        let changed: Vec<_> = batch
            .iter()
            .filter_map(|sale| Some((*sale, stored(sale)?)))
            .filter(|(sale, stored)| stored.currency != sale.currency)
            .map(|(sale, stored)| {
                let key = sale.key.clone();
                (key, stored.currency.clone(), sale.currency.clone())
            })
            .collect();
        if !changed.is_empty() {
            return Err(currency_conflict(&changed));
        }
        let (now, mut counts) = (time::now(), UpsertCounts::default());
        for sale in batch {
            let place = (user_id, sale.key.clone());
            let figures = (sale.revenue, sale.units, sale.page_reads);
            match records.sales.get_mut(&place) {
                Some(stored) if (stored.revenue, stored.units, stored.page_reads) == figures => {
                    counts.unchanged += 1;
                }
                Some(stored) => {
                    (stored.revenue, stored.units, stored.page_reads) = figures;
                    stored.synced_at = Some(now);
                    counts.updated += 1;
                }
                None => {
                    records.last_row += 1;
                    let row = Sale {
                        id: records.last_row,
                        user_id,
                        book_id: sale.key.book_id,
                        channel: sale.key.channel.clone(),
                        date: sale.key.date,
                        revenue: sale.revenue,
                        units: sale.units,
                        page_reads: sale.page_reads,
                        currency: sale.currency.clone(),
                        synced_at: Some(now),
                        extra: Extra::new(),
                    };
                    records.sales.insert(place, row);
                    counts.inserted += 1;
                }
            }
        }
        Ok(counts)
    }

    /// The matching sales, by date, then by book and channel.
    fn matching(&self, user_id: Id<User>, filter: &SalesFilter) -> Vec<Sale> {
        let records = self.0.lock();
        let sales = records.sales.values();
        let mut sales: Vec<Sale> = sales
            .filter(|sale| sale.user_id == user_id && filter.matches(sale))
            .cloned()
            .collect();
        sales.sort_by(|a, b| {
            let place = |sale: &Sale| (sale.date, sale.book_id);
            place(a)
                .cmp(&place(b))
                .then_with(|| a.channel.cmp(&b.channel))
        });
        sales
    }
}

#[async_trait]
impl SalesRepository for MemorySales {
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts> {
        self.write(user_id, sales)
    }

    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale> {
        let records = self.0.lock();
        let found = records.sales.get(&(user_id, key.clone())).cloned();
        found.ok_or_else(Error::not_found)
    }

    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()> {
        match self.0.lock().sales.remove(&(user_id, key.clone())) {
            Some(_) => Ok(()),
            None => Err(Error::not_found()),
        }
    }

    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>> {
        let sales: VecDeque<Sale> = self.matching(user_id, &filter).into();
        stream::iter(sales.into_iter().map(Ok)).boxed()
    }

    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Listed<SalesTotal>> {
        Ok(total_sales(&self.matching(user_id, filter), by).into())
    }
}
