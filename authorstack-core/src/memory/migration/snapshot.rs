use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::Value;

use crate::{
    Id, Result, json,
    memory::store::{MemoryStore, NAME, Records},
    migrate::{
        BatchLimits, CompetitorPrice, Key, KeyForm, Kind, Original, Position, Problems, Record,
        Scanned, ScannedBatch, Snapshot, without_digest,
    },
};

impl Records {
    /// All records of a kind in the order of their keys.
    pub(super) fn of_kind(&self, kind: Kind) -> Vec<Record> {
        fn all<'r, R: Clone + Into<Record> + 'r>(
            records: impl Iterator<Item = &'r R>,
        ) -> Vec<Record> {
            records.cloned().map(Into::into).collect()
        }
        let mut records = match kind {
            Kind::Users => all(self.users.values()),
            Kind::Books => all(self.books.values()),
            Kind::Checklists => all(self.checklists.values()),
            Kind::Follows => all(self.follows.values()),
            Kind::CommunityPosts => all(self.posts.values()),
            Kind::PostLikes => all(self.likes.values()),
            Kind::PostComments => all(self.comments.values()),
            Kind::MarketplaceBoosts => all(self.boosts.values()),
            Kind::Competitors => all(self.competitors.values()),
            Kind::CompetitorPrices => {
                let prices = self.prices.iter().map(|((competitor_id, _), point)| {
                    let (competitor_id, point) = (*competitor_id, point.clone());
                    CompetitorPrice {
                        competitor_id,
                        point,
                    }
                    .into()
                });
                prices.collect()
            }
            Kind::SalesData => all(self.sales.values()),
            Kind::DailyAggregates => all(self.aggregates.values()),
            Kind::SyncLogs => all(self.sync_logs.values()),
            Kind::AiInsights => all(self.insights.values()),
            Kind::RevenueForecasts => all(self.forecasts.values()),
            Kind::Accounts => self.accounts.moved_accounts().collect(),
            Kind::Identities => self.accounts.moved_identities().collect(),
        };
        // Sales and roll-ups are stored by their unique fields, not by their numbers.
        if kind.is_numbered() {
            records.sort_by_key(Record::key);
        }
        records
    }

    pub(super) fn record(&self, key: &Key, kind: Kind) -> Option<Record> {
        match (kind, key) {
            (Kind::Users, Key::Id(id)) => self.users.get(&id.cast()).cloned().map(Record::from),
            (Kind::Books, Key::Id(id)) => self.books.get(&id.cast()).cloned().map(Record::from),
            (Kind::Accounts, Key::Account(id)) => self.accounts.moved_account(id),
            _ => self
                .of_kind(kind)
                .into_iter()
                .find(|record| record.key() == *key),
        }
    }

    pub(super) fn exists(&self, kind: Kind, id: Id<Record>) -> bool {
        match (kind, kind.description().key) {
            (Kind::Users, _) => self.users.contains_key(&id.cast()),
            (Kind::Books, _) => self.books.contains_key(&id.cast()),
            (Kind::CommunityPosts, _) => self.posts.contains_key(&id.cast()),
            (Kind::Competitors, _) => self.competitors.contains_key(&id.cast()),
            (_, KeyForm::Id) => self.record(&Key::Id(id), kind).is_some(),
            (
                _,
                KeyForm::Like
                | KeyForm::Comment
                | KeyForm::Price
                | KeyForm::Row
                | KeyForm::Account
                | KeyForm::Identity,
            ) => false,
        }
    }
}

#[async_trait]
impl Snapshot for MemoryStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }

    async fn check(&self, _: &[Kind]) -> Result<()> {
        Ok(())
    }

    async fn origin(&self, _: Kind) -> Result<Option<String>> {
        // Clones share their records.
        Ok(Some(format!("memory:{:p}", Arc::as_ptr(&self.shared))))
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        Ok(self.lock().of_kind(kind).len() as u64)
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let records = self.lock().of_kind(kind);
        let after = after.map(|Position(last)| Key::parse(kind, &last));
        let after = match after.transpose() {
            Ok(after) => after,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let behind = |record: &Record| after.as_ref().is_none_or(|after| record.key() > *after);
        let left: Vec<Record> = records.into_iter().filter(behind).collect();
        let batches: Vec<Result<ScannedBatch>> = left
            .chunks(limits.records.max(1))
            .filter_map(|chunk| {
                let position = Position(chunk.last()?.key().to_string());
                let items = chunk.iter().cloned().map(Scanned::of).collect();
                Some(Ok(ScannedBatch { items, position }))
            })
            .collect();
        stream::iter(batches).boxed()
    }

    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        let keys: Result<Vec<Key>> = keys.iter().map(|key| Key::parse(kind, key)).collect();
        let keys = keys?;
        let records = self.lock();
        let found = keys.iter().filter_map(|key| records.record(key, kind));
        Ok(found.map(Scanned::of).collect())
    }

    fn encode(&self, _: Kind, original: &Original) -> Value {
        without_digest(json::parse(&original.bytes(None)).unwrap_or_default())
    }

    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        Record::from_json(kind, value.clone())
    }
}
