//! Loads a batch: finds the records that the table would refuse, and writes the others.

use std::{
    collections::{HashMap, HashSet},
    ops::{Range, RangeInclusive},
    sync::LazyLock,
};

use authorstack_core::{
    Boost, Error, ErrorKind, Id, Result,
    fields::Value,
    migrate::{Key, Kind, Problem, Problems, Record, Unique},
    values::excerpt,
};
use authorstack_sql::{
    check_dates, each_value, get, is_data_error, is_same_record, refusal, select, taken_by,
};
use sqlx::{AssertSqlSafe, PgConnection, Row, query, raw_sql};
use uuid::Uuid;

use super::{
    SupabaseMigration,
    copy::{CopyError, copy},
    deferred,
    place::Place,
    scan::read_record,
    statements::{Statements, statements},
    work::Worker,
};
use crate::{error::from_sqlx, store::record};

/// How many existing records of a kind the target remembers.
const KNOWN_IDS: usize = 500_000;

/// A batch that is being loaded: the records still to be written, and those that were refused.
pub(super) struct Batch<'l> {
    kind: Kind,
    records: &'l [Record],
    statements: &'static Statements,
    accepted: Vec<usize>,
    pub(super) refused: Vec<(usize, Problems)>,
    pub(super) written: u64,
    pub(super) unchanged: u64,
}

impl<'l> Batch<'l> {
    pub(super) fn new(kind: Kind, records: &'l [Record]) -> Result<Self> {
        if let Some(stray) = records.iter().find(|record| record.kind() != kind) {
            return Err(Error::internal(format!(
                "{} was passed on as one of the {}",
                stray.key(),
                kind,
            )));
        }
        Ok(Self {
            kind,
            records,
            statements: statements(kind)?,
            accepted: (0..records.len()).collect(),
            refused: Vec::new(),
            written: 0,
            unchanged: 0,
        })
    }

    /// Refuses the accepted records that have problems.
    fn keep(&mut self, mut find: impl FnMut(&'l Record) -> Problems) {
        let records = self.records;
        let refused = &mut self.refused;
        self.accepted.retain(|&index| {
            let problems = find(&records[index]);
            let sound = problems.is_empty();
            if !sound {
                refused.push((index, problems));
            }
            sound
        });
    }

    /// Refuses the records that the table would refuse, as far as this can be checked in advance.
    pub(super) async fn screen(
        &mut self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
    ) -> Result<()> {
        self.keep(check_dates);
        self.screen_ids();
        self.screen_references(migration, connection).await?;
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
        self.keep(|record| match (held.get(&record.key()), record.key()) {
            (Some(other), Key::Row(number)) if !is_same_record(record, other) => {
                taken_by(record.kind(), number, number)
            }
            _ => Problems::default(),
        });
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
        for row in migration.work.fetch_all(connection, select).await? {
            let id: Uuid = get(&row, 0)?;
            let id = Id::<Record>::from_uuid(id);
            // A record of the batch will have the values from the batch, not those in the table.
            if id.as_ref().is_ok_and(|id| ids.contains(id)) {
                continue;
            }
            let holder = id.map_or_else(|_| "another".to_owned(), |id| id.to_string());
            let values = 1..=unique.columns.len();
            let values: Vec<String> = values.map(|at| get(&row, at)).collect::<Result<_>>()?;
            taken.insert(values, holder);
        }
        self.keep(|record| {
            let values = texts(record, unique.columns);
            if let Some(holder) = taken.get(&values) {
                return held(record, unique, holder).into();
            }
            taken.insert(values, record.key().to_string());
            Problems::default()
        });
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
            if boost.active {
                held.push((**boost).clone());
            }
            Problems::default()
        });
        Ok(())
    }

    /// Writes the accepted records. Those that the server refuses are found one by one.
    pub(super) async fn write(
        &mut self,
        migration: &SupabaseMigration,
        worker: &mut Worker,
        first_load: bool,
    ) -> Result<()> {
        if self.accepted.is_empty() {
            return Ok(());
        }
        if first_load && self.copy_straight(worker).await? {
            return Ok(());
        }
        self.merge(migration, worker).await
    }

    /// Copies directly into the table. Returns `false` if the server refused a record.
    async fn copy_straight(&mut self, worker: &mut Worker) -> Result<bool> {
        savepoint(&mut worker.connection).await?;
        let records = self.accepted.iter().map(|&index| &self.records[index]);
        let Worker { connection, buffer } = worker;
        match copy(connection, &self.statements.direct, records, buffer).await {
            Ok(rows) => {
                self.written += rows;
                Ok(true)
            }
            Err(error) if is_refusal(&error) => {
                roll_back(connection).await?;
                Ok(false)
            }
            Err(error) => Err(other_error(error)),
        }
    }

    /// Merges by id. If the server refuses a range, this tries its halves, down to single records.
    async fn merge(&mut self, migration: &SupabaseMigration, worker: &mut Worker) -> Result<()> {
        raw_sql(self.statements.staging.as_str())
            .execute(&mut worker.connection)
            .await
            .map_err(from_sqlx)?;
        let order = self.accepted.clone();
        let mut ranges = Vec::from([Range {
            start: 0,
            end: order.len(),
        }]);
        let mut failed: Vec<(usize, Problems)> = Vec::new();
        while let Some(range) = ranges.pop() {
            match self
                .merge_range(migration, worker, &order[range.clone()])
                .await?
            {
                None => {}
                Some(problems) if range.len() == 1 => failed.push((order[range.start], problems)),
                Some(_) => ranges.extend(halves(range)),
            }
        }
        // A refused record may succeed now: the record that blocked it may have changed since.
        let mut progress = true;
        while progress && !failed.is_empty() {
            progress = false;
            for (index, problems) in std::mem::take(&mut failed) {
                match self.merge_range(migration, worker, &[index]).await? {
                    None => progress = true,
                    Some(_) => failed.push((index, problems)),
                }
            }
        }
        self.refused.append(&mut failed);
        Ok(())
    }

    /// Merges some records, or returns why the server refused one of them.
    async fn merge_range(
        &mut self,
        migration: &SupabaseMigration,
        worker: &mut Worker,
        indexes: &[usize],
    ) -> Result<Option<Problems>> {
        savepoint(&mut worker.connection).await?;
        let Worker { connection, buffer } = worker;
        let records = indexes.iter().map(|&index| &self.records[index]);
        let numbers = numbers(records.clone());
        let attempt = async {
            copy(connection, &self.statements.stage, records, buffer).await?;
            let mut merge = query(self.statements.merge.as_str());
            if let Some(numbers) = numbers {
                merge = merge.bind(*numbers.start()).bind(*numbers.end());
            }
            let merge = migration.work.store.statement(merge);
            let row = merge.fetch_one(&mut *connection).await?;
            let written: i64 = row.try_get(0)?;
            raw_sql("truncate pg_temp.authorstack_batch; release savepoint batch")
                .execute(&mut *connection)
                .await?;
            Ok(written.unsigned_abs())
        };
        match attempt.await {
            Ok(written) => {
                self.written += written;
                self.unchanged += indexes.len() as u64 - written;
                Ok(None)
            }
            Err(error) if is_refusal(&error) => {
                roll_back(connection).await?;
                Ok(Some(problems(&self.records[indexes[0]], error)))
            }
            Err(error) => Err(other_error(error)),
        }
    }
}

/// Some columns of a record, in the server's text form.
fn texts(record: &Record, columns: &'static [&'static str]) -> Vec<String> {
    let mut found = vec![String::new(); columns.len()];
    each_value(record, |field, value| {
        let mut columns = columns.iter();
        if let Some(at) = columns.position(|column| field.column == Some(*column)) {
            found[at] = match value {
                Some(Value::Id(id)) => id.to_uuid().to_string(),
                Some(Value::Text(text)) => text.to_owned(),
                other => format!("{other:?}"),
            };
        }
    });
    found
}

/// The first and the last number of rows with numbers.
fn numbers<'r>(records: impl Iterator<Item = &'r Record>) -> Option<RangeInclusive<i64>> {
    records.fold(None, |range, record| match (record.key(), range) {
        (Key::Row(number), None) => Some(number..=number),
        (Key::Row(number), Some(range)) => {
            Some(number.min(*range.start())..=number.max(*range.end()))
        }
        _ => None,
    })
}

/// The problems of a record that the server refused.
fn problems(record: &Record, error: CopyError) -> Problems {
    let error = other_error(error);
    match (error.kind(), record) {
        (ErrorKind::Conflict { .. }, Record::Boost(_)) => {
            let problem = "is taken for a part of that time; choose another, then replay";
            Problem::new("position", problem).into()
        }
        _ => refusal(record, error),
    }
}

pub(super) async fn savepoint(connection: &mut PgConnection) -> Result<()> {
    raw_sql("savepoint batch")
        .execute(connection)
        .await
        .map_err(from_sqlx)?;
    Ok(())
}

pub(super) async fn roll_back(connection: &mut PgConnection) -> Result<()> {
    raw_sql("rollback to savepoint batch")
        .execute(connection)
        .await
        .map_err(from_sqlx)?;
    Ok(())
}

/// Whether a COPY or a merge failed because of the content of a record.
fn is_refusal(error: &CopyError) -> bool {
    match error {
        CopyError::Encoding(error) => matches!(error.kind(), ErrorKind::Invalid { .. }),
        CopyError::Database(error) => is_data_error(error),
    }
}

fn other_error(error: CopyError) -> Error {
    match error {
        CopyError::Encoding(error) => error,
        CopyError::Database(error) => from_sqlx(error),
    }
}

/// The halves of a range, in an order in which a stack returns the lower one first.
fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [middle..range.end, range.start..middle]
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
