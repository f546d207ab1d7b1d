//! Loads a batch: finds what the table would refuse, and writes the rest.

use std::{
    collections::{HashMap, HashSet},
    ops::{Range, RangeInclusive},
    sync::LazyLock,
};

use authorstack_core::{
    Boost, Error, ErrorKind, Extra, Id, Result,
    fields::{Field, FieldWriter, Fields, Value},
    migrate::{Key, Kind, Load, Problem, Problems, Record},
};
use authorstack_sql::{get, identity_columns, is_data_error, select};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, Row, query, raw_sql};
use uuid::Uuid;

use super::{
    copy::{CopyError, copy},
    dates::check_dates,
    deferred,
    scan::read_record,
    statements::{Statements, bind_keys, statements},
    target::{SupabaseTarget, Worker},
};
use crate::{error::from_sqlx, store::record};

/// How many records of a kind the target remembers to exist.
const KNOWN_IDS: usize = 500_000;

/// A batch that is being loaded: the records still to be written, and those that were refused.
pub(super) struct Batch<'l> {
    load: &'l Load<'l>,
    statements: &'static Statements,
    accepted: Vec<usize>,
    pub(super) refused: Vec<(usize, Problems)>,
    pub(super) written: u64,
    pub(super) unchanged: u64,
}

impl<'l> Batch<'l> {
    pub(super) fn new(load: &'l Load<'l>) -> Result<Self> {
        if let Some(stray) = load
            .records
            .iter()
            .find(|record| record.kind() != load.kind)
        {
            return Err(Error::internal(format!(
                "{} was handed on as one of the {}",
                stray.key(),
                load.kind,
            )));
        }
        Ok(Self {
            load,
            statements: statements(load.kind)?,
            accepted: (0..load.records.len()).collect(),
            refused: Vec::new(),
            written: 0,
            unchanged: 0,
        })
    }

    /// Refuses the accepted records that have problems.
    fn keep(&mut self, mut find: impl FnMut(&'l Record) -> Problems) {
        let load = self.load;
        let refused = &mut self.refused;
        self.accepted.retain(|&index| {
            let problems = find(&load.records[index]);
            let sound = problems.is_empty();
            if !sound {
                refused.push((index, problems));
            }
            sound
        });
    }

    /// Refuses what the table would refuse, as far as this can be known before.
    pub(super) async fn screen(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        self.keep(check_dates);
        self.screen_ids();
        self.screen_references(target, connection).await?;
        match self.load.kind {
            Kind::Users | Kind::Follows | Kind::Competitors => {
                self.screen_unique(target, connection).await
            }
            Kind::MarketplaceBoosts => self.screen_positions(target, connection).await,
            kind if Kind::ANALYTICS.contains(&kind) => {
                self.screen_numbers(target, connection).await
            }
            _ => Ok(()),
        }
    }

    /// Refuses rows whose number another record has.
    async fn screen_numbers(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let records = self.accepted.iter().map(|&index| &self.load.records[index]);
        let keys: Vec<Key> = records.map(Record::key).collect();
        let select = bind_keys(query(self.statements.some.as_str()), self.load.kind, &keys);
        let mut held: HashMap<Key, Record> = HashMap::new();
        for row in target.fetch_all(connection, select).await? {
            let record = read_record(self.load.kind, &row)?;
            held.insert(record.key(), record);
        }
        self.keep(|record| match (held.get(&record.key()), record.key()) {
            (Some(other), Key::Row(number)) if !is_same(record, other) => {
                taken_by(record.kind(), number, number)
            }
            _ => Problems::default(),
        });
        Ok(())
    }

    /// Two records of one id: the first counts. Sources come in the order of their ids.
    fn screen_ids(&mut self) {
        let records = self.load.records;
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

    /// Refuses records that refer to records which do not exist.
    async fn screen_references(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        for &kind in self.load.kind.depends_on() {
            let (mut known, mut unknown) = (HashSet::new(), HashSet::new());
            {
                let cached = target.known();
                let cached = cached.get(&kind);
                for &index in &self.accepted {
                    for (_, of, id) in self.load.records[index].refers_to() {
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
                for row in target.fetch_all(connection, select).await? {
                    let id: Uuid = get(&row, 0)?;
                    known.extend(Id::<Record>::from_uuid(id));
                }
                let mut cached = target.known();
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

    /// Refuses records with a value that another record holds.
    async fn screen_unique(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let records: Vec<&Record> = self
            .accepted
            .iter()
            .map(|&index| &self.load.records[index])
            .collect();
        let select = match self.load.kind {
            Kind::Users => SELECT_USERS,
            Kind::Follows => SELECT_FOLLOWS,
            _ => SELECT_COMPETITORS,
        };
        let mut values: [Vec<String>; 2] = Default::default();
        for record in &records {
            for (list, value) in values.iter_mut().zip(asked_for(record)) {
                list.push(value);
            }
        }
        let [first, second] = values;
        let rows = target
            .fetch_all(connection, query(select).bind(first).bind(second))
            .await?;
        let ids: HashSet<Id<Record>> = records.iter().filter_map(|r| r.key().id()).collect();
        let mut taken = Taken::default();
        for row in &rows {
            let id: Uuid = get(row, 0)?;
            let id = Id::<Record>::from_uuid(id);
            // A record of the batch will hold what the batch says, not what the table says.
            if id.as_ref().is_ok_and(|id| ids.contains(id)) {
                continue;
            }
            let holder = id.map_or_else(|_| "another".to_owned(), |id| id.to_string());
            let (first, second): (String, String) = (get(row, 1)?, get(row, 2)?);
            for value in claims(self.load.kind, first, second) {
                taken.0.insert(value, holder.clone());
            }
        }
        self.keep(|record| taken.claim(record));
        Ok(())
    }

    /// Refuses active boosts whose position another one holds for a part of their time.
    async fn screen_positions(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let (mut positions, mut ids) = (HashSet::new(), HashSet::new());
        for &index in &self.accepted {
            if let Record::Boost(boost) = &self.load.records[index] {
                ids.insert(boost.id);
                if boost.active {
                    positions.insert(i64::from(boost.position));
                }
            }
        }
        let select = query(SELECT_BOOSTS.as_str()).bind(positions.into_iter().collect::<Vec<_>>());
        let mut held: HashMap<u32, Vec<Boost>> = HashMap::new();
        for row in target.fetch_all(connection, select).await? {
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

    /// Writes the accepted records; those that the server refuses are found one by one.
    pub(super) async fn write(
        &mut self,
        target: &SupabaseTarget,
        worker: &mut Worker,
        first_load: bool,
    ) -> Result<()> {
        if self.accepted.is_empty() {
            return Ok(());
        }
        if first_load && self.copy_straight(worker).await? {
            return Ok(());
        }
        self.merge(target, worker).await
    }

    /// Copies straight into the table; `false` when the server refused a record.
    async fn copy_straight(&mut self, worker: &mut Worker) -> Result<bool> {
        savepoint(&mut worker.connection).await?;
        let records = self.accepted.iter().map(|&index| &self.load.records[index]);
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

    /// Merges by id. Where the server refuses a range, its halves are tried, down to single
    /// records.
    async fn merge(&mut self, target: &SupabaseTarget, worker: &mut Worker) -> Result<()> {
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
                .merge_range(target, worker, &order[range.clone()])
                .await?
            {
                None => {}
                Some(problems) if range.len() == 1 => failed.push((order[range.start], problems)),
                Some(_) => ranges.extend(halves(range)),
            }
        }
        // A record may have blocked one before it, and may have changed since.
        let mut progress = true;
        while progress && !failed.is_empty() {
            progress = false;
            for (index, problems) in std::mem::take(&mut failed) {
                match self.merge_range(target, worker, &[index]).await? {
                    None => progress = true,
                    Some(_) => failed.push((index, problems)),
                }
            }
        }
        self.refused.append(&mut failed);
        Ok(())
    }

    /// Merges some records, or says why the server refused one of them.
    async fn merge_range(
        &mut self,
        target: &SupabaseTarget,
        worker: &mut Worker,
        indexes: &[usize],
    ) -> Result<Option<Problems>> {
        savepoint(&mut worker.connection).await?;
        let Worker { connection, buffer } = worker;
        let records = indexes.iter().map(|&index| &self.load.records[index]);
        let numbers = numbers(records.clone());
        let attempt = async {
            copy(connection, &self.statements.stage, records, buffer).await?;
            let mut merge = query(self.statements.merge.as_str());
            if let Some(numbers) = numbers {
                merge = merge.bind(*numbers.start()).bind(*numbers.end());
            }
            let merge = target.store.statement(merge);
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
                Ok(Some(problems(&self.load.records[indexes[0]], error)))
            }
            Err(error) => Err(other_error(error)),
        }
    }
}

/// Whether two rows with the same number are the same record.
fn is_same(a: &Record, b: &Record) -> bool {
    identity(a) == identity(b)
}

/// The values of a record's `identity_columns`.
fn identity(record: &Record) -> Vec<String> {
    let mut identity = Identity {
        columns: identity_columns(record.kind()),
        values: Vec::new(),
    };
    // This writer never fails.
    let _ = record.write(&mut identity);
    identity.values
}

struct Identity {
    columns: &'static [&'static str],
    values: Vec<String>,
}

impl FieldWriter for Identity {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        if field
            .column
            .is_some_and(|name| self.columns.contains(&name))
        {
            self.values.push(format!("{value:?}"));
        }
        Ok(())
    }

    /// No part is among these columns.
    fn part<T: Fields + Serialize>(&mut self, _: &'static Field, _: &T) -> Result<()> {
        Ok(())
    }

    fn parts<T: Fields + Serialize>(&mut self, _: &'static Field, _: &[T]) -> Result<()> {
        Ok(())
    }

    fn extra(&mut self, _: &Extra) -> Result<()> {
        Ok(())
    }
}

/// The first number and the last of rows that have numbers.
fn numbers<'r>(records: impl Iterator<Item = &'r Record>) -> Option<RangeInclusive<i64>> {
    records.fold(None, |range, record| match (record.key(), range) {
        (Key::Row(number), None) => Some(number..=number),
        (Key::Row(number), Some(range)) => {
            Some(number.min(*range.start())..=number.max(*range.end()))
        }
        _ => None,
    })
}

/// What the server's refusal says of a record.
fn problems(record: &Record, error: CopyError) -> Problems {
    let error = other_error(error);
    match (error.kind(), record) {
        (ErrorKind::NotFound, _) => {
            let references = record.refers_to().into_iter();
            let problems = references.map(|(field, _, _)| {
                let problem = "one of the records that it refers to is gone from the target; move \
                               or fix it first, then replay";
                Problem::new(field, problem)
            });
            Problems(problems.collect())
        }
        (ErrorKind::Conflict { .. }, Record::Boost(_)) => {
            let problem = "is taken for a part of that time; choose another, then replay";
            Problem::new("position", problem).into()
        }
        (ErrorKind::AlreadyExists { field }, _) => Problem::new(
            field.clone(),
            "another record of the target has this value; change one of the two, then replay",
        )
        .into(),
        _ => error.into(),
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

/// Whether a COPY or a merge failed because of what a record holds.
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

/// The halves of a range, so that the lower one is taken first from a stack.
fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [middle..range.end, range.start..middle]
}

static SELECT_BOOSTS: LazyLock<String> =
    LazyLock::new(|| select::<Boost>("where active and position = any ($1)"));

const SELECT_USERS: &str = "\
    select id, auth_id, email from public.users where auth_id = any ($1) or email = any ($2)";

const SELECT_FOLLOWS: &str = "\
    select id, follower_id::text, author_id::text from public.follows \
    where (follower_id, author_id) in (select * from unnest($1::uuid[], $2::uuid[]))";

const SELECT_COMPETITORS: &str = "\
    select id, user_id::text, asin from public.competitors \
    where (user_id, asin) in (select * from unnest($1::uuid[], $2::text[]))";

/// The two values by which records with the same unique values are found.
fn asked_for(record: &Record) -> [String; 2] {
    let uuid = |uuid: Uuid| uuid.to_string();
    match record {
        Record::User(user) => [user.auth_id.to_string(), user.email.to_string()],
        Record::Follow(follow) => [
            uuid(follow.follower_id.to_uuid()),
            uuid(follow.author_id.to_uuid()),
        ],
        Record::Competitor(rival) => [uuid(rival.user_id.to_uuid()), rival.asin.to_string()],
        _ => [String::new(), String::new()],
    }
}

/// What must be unique of two such values, with the field that a problem names.
fn claims(kind: Kind, first: String, second: String) -> Vec<(&'static str, String)> {
    match kind {
        Kind::Users => vec![("authId", first), ("email", second)],
        Kind::Follows => vec![("authorId", format!("{first} {second}"))],
        _ => vec![("asin", format!("{first} {second}"))],
    }
}

/// Which records hold the unique values.
#[derive(Default)]
struct Taken(HashMap<(&'static str, String), String>);

impl Taken {
    /// Notes a record's values if all are free, or says which record holds them.
    fn claim(&mut self, record: &Record) -> Problems {
        let [first, second] = asked_for(record);
        let values = claims(record.kind(), first, second);
        let mut problems = Problems::default();
        for value in &values {
            if let Some(other) = self.0.get(value) {
                let one = record.kind().one();
                let what = match record {
                    Record::Follow(_) => "the pair".to_owned(),
                    Record::Competitor(rival) => format!("{:?}", rival.asin.as_str()),
                    _ => format!("{:?}", value.1),
                };
                problems.push(Problem::new(
                    value.0,
                    format!("{what} belongs to {one} {other} already; change one of the two, then replay"),
                ));
            }
        }
        if problems.is_empty() {
            let holder = record.key().to_string();
            let values = values.into_iter().map(|value| (value, holder.clone()));
            self.0.extend(values);
        }
        problems
    }
}

fn orphan(field: &str, kind: Kind, id: Id<Record>) -> Problem {
    let one = kind.one();
    Problem::new(
        field,
        format!("there is no {one} {id} in the target; move or fix the {one} first, then replay"),
    )
}

/// The problem of a row whose number or unique values another record of the target has.
pub(super) fn taken_by(kind: Kind, number: i64, holder: i64) -> Problems {
    let one = kind.one();
    let (field, problem) = if number == holder {
        let problem = format!(
            "{number} is the number of another {one} in the target, which was written there; give \
             one of the two another number, then run again"
        );
        ("id", problem)
    } else {
        let of_one = match kind {
            Kind::SalesData => "book, platform and day",
            _ => "day",
        };
        let problem = format!(
            "{one} {holder} is of the same user, {of_one}; delete or change one of the two, then \
             replay"
        );
        ("date", problem)
    };
    Problem::new(field, problem).into()
}
