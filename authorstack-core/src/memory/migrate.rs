//! The in-memory store as either side of a migration.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::Value;

use super::{MemoryStore, Records};
use crate::{
    Competitor, Error, ErrorKind, Id, Like, PricePoint, Result,
    migrate::{
        BatchLimits, Checkpoint, CompetitorPrice, Counts, Key, Kind, Load, Loaded, Original,
        Position, Problem, Problems, Record, Reject, RunLock, Scanned, ScannedBatch, Settled,
        Source, Step, Target, TargetState,
    },
};

/// What a migration notes in the store that it loads into.
#[derive(Debug, Default)]
pub(super) struct Books {
    checkpoints: BTreeMap<Kind, Pass>,
    rejects: BTreeMap<(Kind, String), Noted>,
}

/// A reject, and the record that a replay made of it.
type Noted = (Reject, Option<Key>);

#[derive(Debug, Default)]
struct Pass {
    checkpoint: Checkpoint,
    finished: bool,
}

impl Records {
    fn of_kind(&self, kind: Kind) -> Vec<Record> {
        fn all<'r, R: Clone + Into<Record> + 'r>(
            records: impl Iterator<Item = &'r R>,
        ) -> Vec<Record> {
            records.cloned().map(Into::into).collect()
        }
        /// In the order of their numbers.
        fn by_row(mut records: Vec<Record>) -> Vec<Record> {
            records.sort_by_key(Record::key);
            records
        }
        match kind {
            Kind::Users => all(self.users.values()),
            Kind::Books => all(self.books.values()),
            Kind::Checklists => all(self.checklists.values()),
            Kind::Follows => all(self.follows.values()),
            Kind::CommunityPosts => all(self.posts.values()),
            Kind::PostLikes => {
                let likes = self.likes.iter();
                likes
                    .map(|&(post_id, user_id)| Like { post_id, user_id }.into())
                    .collect()
            }
            Kind::PostComments => all(self.comments.values()),
            Kind::MarketplaceBoosts => all(self.boosts.values()),
            Kind::Competitors => all(self.competitors.values()),
            Kind::CompetitorPrices => {
                let prices = self.prices.iter();
                let price = |(&(competitor_id, _), point): (&(Id<Competitor>, _), &PricePoint)| {
                    let point = point.clone();
                    CompetitorPrice {
                        competitor_id,
                        point,
                    }
                    .into()
                };
                prices.map(price).collect()
            }
            Kind::SalesData => by_row(all(self.sales.values())),
            Kind::DailyAggregates => by_row(all(self.aggregates.values())),
            Kind::SyncLogs => all(self.sync_logs.values()),
            Kind::AiInsights => all(self.insights.values()),
            Kind::RevenueForecasts => all(self.forecasts.values()),
        }
    }

    fn record(&self, key: &Key, kind: Kind) -> Option<Record> {
        match (kind, key) {
            (Kind::Users, Key::Id(id)) => self.users.get(&id.cast()).cloned().map(Record::from),
            (Kind::Books, Key::Id(id)) => self.books.get(&id.cast()).cloned().map(Record::from),
            _ => self
                .of_kind(kind)
                .into_iter()
                .find(|record| record.key() == *key),
        }
    }

    fn exists(&self, kind: Kind, id: Id<Record>) -> bool {
        match kind {
            Kind::Users => self.users.contains_key(&id.cast()),
            Kind::Books => self.books.contains_key(&id.cast()),
            Kind::CommunityPosts => self.posts.contains_key(&id.cast()),
            Kind::Competitors => self.competitors.contains_key(&id.cast()),
            _ => self.record(&Key::Id(id), kind).is_some(),
        }
    }

    /// What keeps a record out.
    fn refusal(&self, record: &Record) -> Option<Problem> {
        for (field, kind, id) in record.refers_to() {
            if !self.exists(kind, id) {
                let problem = format!("there is no {} {id} in the target", kind.one());
                return Some(Problem::new(field, problem));
            }
        }
        match record {
            Record::User(user) => super::users::check_unique(self, user).err().map(Into::into),
            Record::Follow(follow) => {
                let held = self.follow(follow.follower_id, follow.author_id);
                held.filter(|held| held.id != follow.id).map(|held| {
                    let problem = format!("follow {} is of the same two already", held.id);
                    Problem::new("authorId", problem)
                })
            }
            Record::Boost(boost) => {
                let mut held = self.boosts.values();
                held.find(|held| held.collides_with(boost)).map(|held| {
                    let (position, id) = (boost.position, held.id);
                    let problem = format!("{position} is boost {id}'s for a part of that time");
                    Problem::new("position", problem)
                })
            }
            Record::Competitor(rival) => {
                let held = self.competitor_of(rival.user_id, &rival.asin);
                held.filter(|held| held.id != rival.id).map(|held| {
                    let problem = format!("the user watches it already, as {}", held.id);
                    Problem::new("asin", problem)
                })
            }
            Record::Sale(sale) => {
                let held = self.sales.get(&(sale.user_id, sale.key()));
                held.filter(|held| held.id != sale.id).map(|held| {
                    let problem = format!("sale {} is of the same book, platform and day", held.id);
                    Problem::new("date", problem)
                })
            }
            Record::DailyAggregate(day) => {
                let held = self.aggregates.get(&(day.user_id, day.date));
                held.filter(|held| held.id != day.id).map(|held| {
                    let problem = format!("roll-up {} is of the same day", held.id);
                    Problem::new("date", problem)
                })
            }
            _ => None,
        }
    }

    /// Stores a record; answers whether anything changed.
    fn put(&mut self, record: &Record) -> Result<bool, Problem> {
        if let Some(problem) = self.refusal(record) {
            return Err(problem);
        }
        let before = self.record(&record.key(), record.kind());
        match record.clone() {
            Record::User(user) => drop(self.users.insert(user.id, *user)),
            Record::Book(book) => drop(self.books.insert(book.id, *book)),
            Record::Checklist(list) => drop(self.checklists.insert(list.id, *list)),
            Record::Follow(follow) => drop(self.follows.insert(follow.id, *follow)),
            Record::Post(post) => drop(self.posts.insert(post.id, *post)),
            Record::Like(like) => drop(self.likes.insert((like.post_id, like.user_id))),
            Record::Comment(comment) => {
                let key = (comment.post_id, comment.id.clone());
                self.comments.insert(key, *comment);
            }
            Record::Boost(boost) => drop(self.boosts.insert(boost.id, *boost)),
            Record::Competitor(rival) => drop(self.competitors.insert(rival.id, *rival)),
            Record::Price(price) => {
                let key = (price.competitor_id, price.point.date);
                self.prices.insert(key, price.point);
            }
            Record::Sale(sale) => {
                self.sales.retain(|_, held| held.id != sale.id);
                self.sales.insert((sale.user_id, sale.key()), *sale);
            }
            Record::DailyAggregate(day) => {
                self.aggregates.retain(|_, held| held.id != day.id);
                self.aggregates.insert((day.user_id, day.date), *day);
            }
            Record::SyncLog(log) => drop(self.sync_logs.insert(log.id, *log)),
            Record::Insight(insight) => drop(self.insights.insert(insight.id, *insight)),
            Record::Forecast(forecast) => drop(self.forecasts.insert(forecast.id, *forecast)),
        }
        if let Key::Row(number) = record.key() {
            self.last_row = self.last_row.max(number);
        }
        Ok(before.as_ref() != Some(record))
    }
}

fn scanned(record: Record) -> Scanned {
    Scanned {
        key: record.key().to_string(),
        original: Original(record.to_json().to_string().into_bytes()),
        outcome: Ok(record),
    }
}

#[async_trait]
impl Source for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }

    async fn check(&self) -> Result<()> {
        Ok(())
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
                let items = chunk.iter().cloned().map(scanned).collect();
                Some(Ok(ScannedBatch { items, position }))
            })
            .collect();
        stream::iter(batches).boxed()
    }

    async fn fetch(&self, kind: Kind, key: &str) -> Result<Option<Scanned>> {
        let key = Key::parse(kind, key)?;
        Ok(self.lock().record(&key, kind).map(scanned))
    }

    fn render(&self, _: Kind, original: &Original) -> Value {
        serde_json::from_slice(&original.0).unwrap_or_default()
    }

    fn parse(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        let record = Record::from_json(kind, value.clone());
        record.map_err(|error| Problem::new("record", error.to_string()).into())
    }
}

/// The lock of a run: gone when the run drops it.
#[derive(Debug)]
struct Lock {
    _held: Arc<()>,
}

impl RunLock for Lock {}

#[async_trait]
impl Target for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn inspect(&self) -> Result<TargetState> {
        let records = self.lock();
        let count = |kind: &Kind| (*kind, records.of_kind(*kind).len() as u64);
        Ok(TargetState {
            records: Kind::ALL.iter().map(count).collect(),
            ..TargetState::default()
        })
    }

    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        let mut records = MemoryStore::lock(self);
        if records.run.upgrade().is_some() {
            return Err(Error::new(ErrorKind::Locked));
        }
        let held = Arc::new(());
        records.run = Arc::downgrade(&held);
        Ok(Box::new(Lock { _held: held }))
    }

    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        let mut records = MemoryStore::lock(self);
        let pass = records.migration.checkpoints.entry(kind).or_default();
        if pass.finished {
            *pass = Pass::default();
            let rejects = &mut records.migration.rejects;
            rejects.retain(|(of, _), (_, replayed_as)| *of != kind || replayed_as.is_some());
            return Ok(Checkpoint::default());
        }
        Ok(pass.checkpoint.clone())
    }

    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        let mut guard = MemoryStore::lock(self);
        let records = &mut *guard;
        let position = records.migration.checkpoints.get(&load.kind);
        let position = position.and_then(|pass| pass.checkpoint.position.as_ref());
        if let Step::Advance { from, .. } = load.step
            && from != position
        {
            return Err(Error::new(ErrorKind::Conflict {
                reason: "another writer has moved the checkpoint; run again to resume".into(),
            }));
        }

        let mut counts = Counts::default();
        let mut rejects: Vec<Reject> = load.rejects.to_vec();
        for (index, record) in load.records.iter().enumerate() {
            match records.put(record) {
                Ok(changed) => {
                    counts.written += u64::from(changed);
                    counts.unchanged += u64::from(!changed);
                    if let Step::Replay { keys } = load.step
                        && let Some(entry) = records
                            .migration
                            .rejects
                            .get_mut(&(load.kind, keys[index].clone()))
                    {
                        entry.1 = Some(record.key());
                    }
                }
                Err(problem) => rejects.push((load.reject)(index, problem.into())),
            }
        }
        for reject in rejects {
            let key = (reject.kind, reject.key.clone());
            match records.migration.rejects.get(&key) {
                Some((known, Some(_))) if known.source_digest == reject.source_digest => {
                    counts.unchanged += 1;
                }
                _ => {
                    counts.rejected += 1;
                    records.migration.rejects.insert(key, (reject, None));
                }
            }
        }
        counts.read = (load.records.len() + load.rejects.len()) as u64;
        if let Step::Advance { to, .. } = load.step {
            let pass = records.migration.checkpoints.entry(load.kind).or_default();
            pass.checkpoint.position = Some(to.clone());
            pass.checkpoint.counts += counts;
        }
        Ok(Loaded { counts })
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        let mut records = MemoryStore::lock(self);
        records
            .migration
            .checkpoints
            .entry(kind)
            .or_default()
            .finished = true;
        Ok(())
    }

    fn scan(&self, kind: Kind) -> BoxStream<'_, Result<Vec<Record>>> {
        let records = self.lock().of_kind(kind);
        stream::iter([Ok(records)]).boxed()
    }

    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        let records = self.lock();
        let rejects = records.migration.rejects.values();
        let open = rejects.filter(|(_, replayed_as)| replayed_as.is_none());
        let open = open.map(|(reject, _)| reject.clone()).collect();
        stream::iter([Ok(open)]).boxed()
    }

    async fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Record>> {
        let records = MemoryStore::lock(self);
        Ok(keys
            .iter()
            .filter_map(|key| records.record(key, kind))
            .collect())
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        let mut settled = self.settled_where(|of, _| of == kind);
        settled.retain(|settled| settled.replayed_as.is_some());
        Ok(settled)
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
        Ok(self.settled_where(|of, key| of == kind && keys.contains(key)))
    }
}

impl MemoryStore {
    fn settled_where(&self, matches: impl Fn(Kind, &str) -> bool) -> Vec<Settled> {
        let records = self.lock();
        let found = records.migration.rejects.iter();
        let found = found.filter(|((kind, key), _)| matches(*kind, key));
        let settled = found.map(|((_, key), (reject, replayed_as))| Settled {
            key: key.clone(),
            source_digest: reject.source_digest,
            replayed_as: replayed_as.clone(),
        });
        settled.collect()
    }
}
