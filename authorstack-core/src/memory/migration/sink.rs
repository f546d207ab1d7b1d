use async_trait::async_trait;

use crate::{
    Result,
    memory::{
        store::{MemoryStore, NAME, Records},
        users::check_unique,
    },
    migrate::{
        Applied, Checkpoint, Counts, Entry, Key, Kind, Load, Loaded, Problem, Problems, Record,
        Reject, Rejected, Sink, SinkBatch, SinkState, Step, TransactionalSink,
    },
};

impl Records {
    /// Why a record cannot be stored, if it cannot.
    fn refusal(&self, record: &Record) -> Option<Problem> {
        for (field, kind, id) in record.refers_to() {
            if !self.exists(kind, id) {
                let problem = format!("there is no {} {id} in the target", kind.one());
                return Some(Problem::new(field, problem));
            }
        }
        match record {
            Record::User(user) => check_unique(self, user).err().map(Into::into),
            Record::Follow(follow) => {
                let held = self.follow(follow.follower_id, follow.author_id);
                held.filter(|held| held.id != follow.id).map(|held| {
                    let problem = format!("follow {} has the same two users", held.id);
                    Problem::new("authorId", problem)
                })
            }
            Record::Boost(boost) => {
                let mut held = self.boosts.values();
                held.find(|held| held.collides_with(boost)).map(|held| {
                    let (position, id) = (boost.position, held.id);
                    let problem =
                        format!("{position} is held by boost {id} for a part of that time");
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
                    let problem = format!("sale {} has the same book, platform and day", held.id);
                    Problem::new("date", problem)
                })
            }
            Record::DailyAggregate(day) => {
                let held = self.aggregates.get(&(day.user_id, day.date));
                held.filter(|held| held.id != day.id).map(|held| {
                    let problem = format!("roll-up {} has the same day", held.id);
                    Problem::new("date", problem)
                })
            }
            Record::Book(_)
            | Record::Checklist(_)
            | Record::Post(_)
            | Record::Like(_)
            | Record::Comment(_)
            | Record::Price(_)
            | Record::SyncLog(_)
            | Record::Insight(_)
            | Record::Forecast(_) => None,
            Record::Account(moved) => self.accounts.refused_account(moved),
            Record::Identity(identity) => self.accounts.refused_identity(identity),
        }
    }

    /// Stores a record. Returns whether anything changed.
    fn put(&mut self, record: &Record) -> Result<bool, Problem> {
        if let Some(problem) = self.refusal(record) {
            return Err(problem);
        }
        if self.record(&record.key(), record.kind()).as_ref() == Some(record) {
            return Ok(false);
        }
        match record.clone() {
            Record::User(user) => drop(self.users.insert(user.id, *user)),
            Record::Book(book) => drop(self.books.insert(book.id, *book)),
            Record::Checklist(list) => drop(self.checklists.insert(list.id, *list)),
            Record::Follow(follow) => drop(self.follows.insert(follow.id, *follow)),
            Record::Post(post) => drop(self.posts.insert(post.id, *post)),
            Record::Like(like) => drop(self.likes.insert((like.post_id, like.user_id), *like)),
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
            Record::Account(moved) => self.accounts.put_account(*moved),
            Record::Identity(identity) => self.accounts.put_identity(*identity),
        }
        if let Key::Row(number) = record.key() {
            self.last_row = self.last_row.max(number);
        }
        Ok(true)
    }

    /// Whether another record refers to this one.
    fn is_referred_to(&self, kind: Kind, key: &Key) -> bool {
        let Key::Id(id) = key else {
            return false;
        };
        let mut referring = Kind::ALL
            .iter()
            .filter(|of| of.depends_on().contains(&kind));
        referring.any(|of| {
            let mut records = self.of_kind(*of).into_iter();
            records.any(|record| {
                let mut to = record.refers_to().into_iter();
                to.any(|(_, of, other)| of == kind && other == *id)
            })
        })
    }

    /// Removes a record and what depends on it. Returns whether it was there.
    fn take(&mut self, kind: Kind, key: &Key) -> bool {
        let Some(record) = self.record(key, kind) else {
            return false;
        };
        match record {
            Record::User(user) => drop(self.remove_user(user.id)),
            Record::Book(book) => drop(self.books.remove(&book.id)),
            Record::Checklist(list) => drop(self.checklists.remove(&list.id)),
            Record::Follow(follow) => drop(self.follows.remove(&follow.id)),
            Record::Post(post) => drop(self.posts.remove(&post.id)),
            Record::Like(like) => drop(self.likes.remove(&(like.post_id, like.user_id))),
            Record::Comment(comment) => {
                self.comments.remove(&(comment.post_id, comment.id.clone()));
            }
            Record::Boost(boost) => drop(self.boosts.remove(&boost.id)),
            Record::Competitor(rival) => drop(self.competitors.remove(&rival.id)),
            Record::Price(price) => {
                self.prices.remove(&(price.competitor_id, price.point.date));
            }
            Record::Sale(sale) => drop(self.sales.remove(&(sale.user_id, sale.key()))),
            Record::DailyAggregate(day) => {
                self.aggregates.remove(&(day.user_id, day.date));
            }
            Record::SyncLog(log) => drop(self.sync_logs.remove(&log.id)),
            Record::Insight(insight) => drop(self.insights.remove(&insight.id)),
            Record::Forecast(forecast) => drop(self.forecasts.remove(&forecast.id)),
            Record::Account(moved) => drop(self.accounts.remove(&moved.account.id)),
            Record::Identity(identity) => {
                self.accounts
                    .take_identity(identity.provider, identity.subject);
            }
        }
        self.remove_dependents();
        true
    }

    fn apply(&mut self, batch: &SinkBatch<'_>) -> Applied {
        let mut applied = Applied::default();
        for key in batch.removals {
            applied.removed += u64::from(self.take(batch.kind, key));
        }
        for (index, record) in batch.upserts.iter().enumerate() {
            match self.put(record) {
                Ok(true) => applied.written += 1,
                Ok(false) => applied.unchanged += 1,
                Err(problem) => applied.refused.push((index, problem.into())),
            }
        }
        applied
    }
}

#[async_trait]
impl Sink for MemoryStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }

    async fn inspect(&self) -> Result<SinkState> {
        let records = MemoryStore::lock(self);
        let count = |kind: &Kind| (*kind, records.of_kind(*kind).len() as u64);
        Ok(SinkState {
            records: Kind::ALL.iter().map(count).collect(),
            ..SinkState::default()
        })
    }

    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    async fn begin(&self, _: Kind) -> Result<()> {
        Ok(())
    }

    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        Ok(MemoryStore::lock(self).apply(batch))
    }

    async fn finish(&self, _: Kind) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl TransactionalSink for MemoryStore {
    async fn begin_pass(&self, kind: Kind, _: u64) -> Result<Checkpoint> {
        Ok(MemoryStore::lock(self).ledger.begin(kind))
    }

    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        let mut records = MemoryStore::lock(self);
        records.ledger.check(load.kind, &load.step)?;
        let added: Vec<usize> = load
            .records
            .iter()
            .enumerate()
            .filter(|(_, record)| records.record(&record.key(), load.kind).is_none())
            .map(|(index, _)| index)
            .collect();
        let applied = records.apply(&SinkBatch {
            kind: load.kind,
            upserts: load.records,
            removals: &[],
        });
        let is_refused = |index: usize| applied.refused.iter().any(|(at, _)| *at == index);
        if let Some(from) = &load.from {
            for index in added.into_iter().filter(|index| !is_refused(*index)) {
                let of = (load.kind, from.name.to_owned(), load.records[index].key());
                records.ledger.moved.insert(of);
            }
        }
        let set_aside = load.moved_aside(is_refused);
        let settled: Vec<(Rejected, Key)> = match load.step {
            Step::Replay { rejects } => {
                let replayed = load.records.iter().zip(rejects).enumerate();
                let moved = replayed.filter(|(index, _)| !is_refused(*index));
                moved
                    .map(|(_, (record, reject))| (reject.clone(), record.key()))
                    .collect()
            }
            Step::Advance { .. } | Step::Aside => Vec::new(),
        };
        let refused = applied.refused.iter();
        let refused = refused
            .map(|(index, problems): &(usize, Problems)| (load.reject)(*index, problems.clone()));
        let rejects: Vec<Reject> = load.rejects.iter().cloned().chain(refused).collect();
        let entry = Entry {
            kind: load.kind,
            step: load.step.clone(),
            applied: Counts {
                written: applied.written,
                unchanged: applied.unchanged,
                ..Counts::default()
            },
            rejects: &rejects,
            set_aside: &set_aside,
            settled: &settled,
        };
        let open = records.ledger.note(&entry)?;
        Ok(Loaded {
            counts: entry.counts(open),
        })
    }

    async fn finish_pass(&self, kind: Kind) -> Result<()> {
        MemoryStore::lock(self).ledger.finish(kind);
        Ok(())
    }

    async fn moved(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        let records = MemoryStore::lock(self);
        let moved = keys.iter().filter(|key| {
            let of = (kind, origin.to_owned(), (*key).clone());
            records.ledger.moved.contains(&of)
        });
        Ok(moved.cloned().collect())
    }

    async fn prune(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        let mut records = MemoryStore::lock(self);
        let mut removed = Vec::new();
        for key in keys {
            let of = (kind, origin.to_owned(), key.clone());
            if records.ledger.moved.contains(&of)
                && !records.is_referred_to(kind, key)
                && records.take(kind, key)
            {
                records.ledger.moved.remove(&of);
                removed.push(key.clone());
            }
        }
        Ok(removed)
    }
}
