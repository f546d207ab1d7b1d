//! Finds the records of a batch that the table would refuse.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use authorstack_core::{
    Boost, Id, Result,
    migrate::{Key, Kind, Problem, Problems, Record, Unique},
    values::excerpt,
};
use authorstack_sql::{check_dates, get, is_same_record, select, taken_by};
use sqlx::{AssertSqlSafe, PgConnection, query};
use uuid::Uuid;

use super::{
    SupabaseMigration,
    batch::Batch,
    deferred,
    held::{Held, texts},
    place::Place,
    scan::read_record,
};
use crate::store::record;

/// How many existing records of a kind the target remembers.
const KNOWN_IDS: usize = 500_000;

/// Whether the dates of a batch are checked before it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    Checked,
    /// Most batches have no date that the server cannot store, and the encoding refuses it.
    Unchecked,
}

impl Batch<'_> {
    /// Refuses the records that the table would refuse, as far as this can be checked in advance.
    pub(super) async fn screen(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
        dates: Dates,
    ) -> Result<()> {
        if dates == Dates::Checked {
            self.keep(check_dates);
        }
        self.screen_ids();
        self.screen_references(migration, connection).await?;
        self.screen_places(migration, connection).await
    }

    /// Refuses the records whose unique values others of the target have.
    pub(super) async fn screen_alone(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
    ) -> Result<()> {
        self.alone = true;
        self.screen_places(migration, connection).await
    }

    async fn screen_places(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let description = self.kind.description();
        if self.kind.is_numbered() {
            return self.screen_numbers(migration, connection).await;
        }
        for (unique, holders) in description.unique.iter().zip(&self.statements.holders) {
            self.screen_unique(migration, connection, unique, holders)
                .await?;
        }
        if description.exclusive.is_some() {
            self.screen_positions(migration, connection).await?;
        }
        Ok(())
    }

    /// Refuses rows if another record has their number.
    async fn screen_numbers(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let records = self.accepted.iter().map(|&index| &self.records[index]);
        let places: Vec<Place> = records.filter_map(|it| Place::of(&it.key())).collect();
        let select = Place::bind_all(query(self.statements.some.as_str()), self.kind, &places);
        let mut held: HashMap<Key, Record> = HashMap::new();
        for row in migration.work.fetch_all(connection, select).await? {
            let record = read_record(self.kind, &row)?;
            held.insert(record.key(), record);
        }
        let other = |record: &Record| {
            let other = held.get(&record.key())?;
            match record.key() {
                Key::Row(number) if !is_same_record(record, other) => Some(number),
                _ => None,
            }
        };
        let asked = self
            .accepted
            .iter()
            .filter_map(|&at| other(&self.records[at]));
        let asked: Vec<i64> = asked.collect();
        let mut moved = HashSet::new();
        if let Some(origin) = self.origin {
            let work = &migration.work;
            moved = work
                .moved_numbers(connection, self.kind, origin, &asked)
                .await?;
        }
        self.keep(|record| match other(record) {
            Some(number) if !moved.contains(&number) => taken_by(record.kind(), number, number),
            _ => Problems::default(),
        });
        self.renewed.extend(moved);
        Ok(())
    }

    /// Of two records with the same id, the first counts. Records arrive in the order of their ids.
    fn screen_ids(&mut self) {
        let records = self.records;
        if records.is_sorted_by(|a, b| a.key() < b.key()) {
            return;
        }
        let mut first: HashMap<Key, &Record> = HashMap::new();
        let mut same = 0;
        self.accepted
            .retain(|&index| match first.get(&records[index].key()) {
                Some(&earlier) if *earlier == records[index] => {
                    same += 1;
                    false
                }
                Some(_) => true,
                None => {
                    first.insert(records[index].key(), &records[index]);
                    true
                }
            });
        self.unchanged += same;
        self.keep(|record| match first.get(&record.key()) {
            Some(&earlier) if !std::ptr::eq(earlier, record) => Problem::new(
                "_id",
                format!(
                    "{} is the id of another record, too; map one of them",
                    record.key()
                ),
            )
            .into(),
            _ => Problems::default(),
        });
    }

    /// Refuses records that refer to missing records.
    async fn screen_references(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
    ) -> Result<()> {
        for kind in self.kind.depends_on() {
            let (mut known, mut unknown) = (HashSet::new(), HashSet::new());
            {
                let cached = migration.known();
                let cached = cached.get(&kind);
                for &index in &self.accepted {
                    for (_, of, id) in self.records[index].refers_to() {
                        if of != kind {
                            continue;
                        }
                        if cached.is_some_and(|cached| cached.contains(&id)) {
                            known.insert(id);
                        } else {
                            unknown.insert(id);
                        }
                    }
                }
            }
            if !unknown.is_empty() {
                let asked: Vec<Uuid> = unknown.iter().map(|id| id.to_uuid()).collect();
                let sql = format!(
                    "select id from {} where id = any ($1)",
                    deferred::table(kind)
                );
                let select = query(AssertSqlSafe(sql)).bind(asked);
                for row in migration.work.fetch_all(connection, select).await? {
                    let id: Uuid = get(&row, 0)?;
                    known.extend(Id::<Record>::from_uuid(id));
                }
                let mut cached = migration.known();
                let cached = cached.entry(kind).or_default();
                if cached.len() + known.len() > KNOWN_IDS {
                    cached.clear();
                }
                cached.extend(&known);
            }
            if unknown.is_subset(&known) {
                continue;
            }
            self.keep(|record| {
                let references = record.refers_to().into_iter();
                let lost = references.filter(|(_, of, id)| *of == kind && !known.contains(id));
                Problems(lost.map(|(field, of, id)| orphan(field, of, id)).collect())
            });
        }
        Ok(())
    }

    /// Refuses records with unique values that another record holds.
    async fn screen_unique(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
        unique: &'static Unique,
        holders: &'static str,
    ) -> Result<()> {
        let mut asked: Vec<Vec<String>> = vec![Vec::new(); unique.columns.len()];
        let mut ids: HashSet<Id<Record>> = HashSet::new();
        for &index in &self.accepted {
            let record = &self.records[index];
            ids.extend(record.key().id());
            let values = texts(record, unique.columns);
            for (list, value) in asked.iter_mut().zip(values) {
                list.push(value);
            }
        }
        let mut select = query(holders);
        for list in asked {
            select = select.bind(list);
        }
        let mut taken: HashMap<Vec<String>, String> = HashMap::new();
        let mut outside: HashMap<Vec<String>, Id<Record>> = HashMap::new();
        let mut inside: HashMap<Id<Record>, (Uuid, Vec<String>)> = HashMap::new();
        for row in migration.work.fetch_all(connection, select).await? {
            let uuid: Uuid = get(&row, 0)?;
            let id = Id::<Record>::from_uuid(uuid);
            let values = 1..=unique.columns.len();
            let values: Vec<String> = values.map(|at| get(&row, at)).collect::<Result<_>>()?;
            // A record of the batch will have the values from the batch, not those in the table.
            match id {
                Ok(id) if ids.contains(&id) => {
                    inside.insert(id, (uuid, values));
                    continue;
                }
                Ok(id) => drop(outside.insert(values.clone(), id)),
                Err(_) => {}
            }
            let holder = id.map_or_else(|_| "another".to_owned(), |id| id.to_string());
            taken.insert(values, holder);
        }
        let mut holders = Vec::new();
        let alone = self.alone;
        self.keep(|record| {
            let values = texts(record, unique.columns);
            if let Some(holder) = taken.get(&values) {
                holders.extend(outside.get(&values).map(|id| (*id, values.clone())));
                return held(record, unique, holder).into();
            }
            if !alone {
                taken.insert(values, record.key().to_string());
            }
            Problems::default()
        });
        let holders = holders.into_iter();
        self.holders
            .extend(holders.map(|(id, values)| (id, Held { unique, values })));
        for &index in &self.accepted {
            let record = &self.records[index];
            let held = record.key().id().and_then(|id| inside.get(&id));
            if let Some((uuid, values)) = held
                && *values != texts(record, unique.columns)
            {
                self.leaving.push(*uuid);
            }
        }
        Ok(())
    }

    /// Refuses active boosts whose position another one holds for a part of their time.
    async fn screen_positions(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let (mut positions, mut ids) = (HashSet::new(), HashSet::new());
        for &index in &self.accepted {
            if let Record::Boost(boost) = &self.records[index] {
                ids.insert(boost.id);
                if boost.active {
                    positions.insert(i64::from(boost.position));
                }
            }
        }
        let select = query(SELECT_BOOSTS.as_str()).bind(positions.into_iter().collect::<Vec<_>>());
        let mut held: HashMap<u32, Vec<Boost>> = HashMap::new();
        for row in migration.work.fetch_all(connection, select).await? {
            let boost: Boost = record(&row)?;
            if !ids.contains(&boost.id) {
                held.entry(boost.position).or_default().push(boost);
            }
        }
        let alone = self.alone;
        self.keep(|record| {
            let Record::Boost(boost) = record else {
                return Problems::default();
            };
            let held = held.entry(boost.position).or_default();
            if let Some(other) = held.iter().find(|held| held.collides_with(boost)) {
                let (position, other) = (boost.position, other.id);
                let problem = format!(
                    "{position} is boost {other}'s for a part of that time; change one of the \
                     two, then replay"
                );
                return Problem::new("position", problem).into();
            }
            if boost.active && !alone {
                held.push((**boost).clone());
            }
            Problems::default()
        });
        Ok(())
    }
}

static SELECT_BOOSTS: LazyLock<String> =
    LazyLock::new(|| select::<Boost>("where active and position = any ($1)"));

/// The problem of a record if another record has its unique values.
fn held(record: &Record, unique: &Unique, holder: &str) -> Problem {
    let one = record.kind().one();
    let values = record.unique_values();
    let text = values
        .iter()
        .find(|(of, _)| *of == unique)
        .and_then(|(_, value)| value.rsplit(", ").next());
    let is_id = |column: &&str| column.ends_with("_id");
    let what = match text {
        Some(text) if unique.columns.len() == 1 || !unique.columns.iter().all(is_id) => {
            excerpt(text)
        }
        _ => "the pair".to_owned(),
    };
    Problem::new(
        unique.field,
        format!("{what} belongs to {one} {holder} already; change one of the two, then replay"),
    )
}

fn orphan(field: &str, kind: Kind, id: Id<Record>) -> Problem {
    let one = kind.one();
    Problem::new(
        field,
        format!("there is no {one} {id} in the target; move or fix the {one} first, then replay"),
    )
}
