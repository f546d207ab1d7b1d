//! Loads a batch: finds the records that the table would refuse, and writes the others.

use std::{
    collections::{HashMap, HashSet},
    ops::{Range, RangeInclusive},
};

use authorstack_core::{
    Error, ErrorKind, Id, Result,
    migrate::{Key, Kind, Problem, Problems, Record},
};
use authorstack_sql::{get, is_data_error, refusal};
use futures::future::join;
use sqlx::{PgConnection, Row, ValueRef, postgres::PgRow, query, raw_sql};
use uuid::Uuid;

use super::{
    SupabaseMigration,
    copy::{CopyError, copy},
    held::Held,
    place::Place,
    statements::{Statements, statements},
    work::Worker,
};
use crate::error::from_sqlx;

/// A batch that is being loaded: the records still to be written, and those that were refused.
pub(super) struct Batch<'l> {
    pub(super) kind: Kind,
    pub(super) records: &'l [Record],
    pub(super) statements: &'static Statements,
    /// Where the records come from.
    pub(super) origin: Option<&'l str>,
    pub(super) accepted: Vec<usize>,
    /// The records outside of the batch that have the unique values of some in it.
    pub(super) holders: HashMap<Id<Record>, Held>,
    /// Records of the batch whose present unique values others in it will have.
    pub(super) leaving: Vec<Uuid>,
    /// Whether the records are compared with those of the target alone, not with each other.
    pub(super) alone: bool,
    /// Rows whose places change.
    pub(super) renewed: Vec<i64>,
    pub(super) refused: Vec<(usize, Problems)>,
    pub(super) written: u64,
    pub(super) unchanged: u64,
}

impl<'l> Batch<'l> {
    pub(super) fn new(kind: Kind, records: &'l [Record], origin: Option<&'l str>) -> Result<Self> {
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
            origin,
            accepted: (0..records.len()).collect(),
            holders: HashMap::new(),
            leaving: Vec::new(),
            alone: false,
            renewed: Vec::new(),
            refused: Vec::new(),
            written: 0,
            unchanged: 0,
        })
    }

    /// Refuses the accepted records that have problems.
    pub(super) fn keep(&mut self, mut find: impl FnMut(&'l Record) -> Problems) {
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

    /// Writes the accepted records. Those that the server refuses are found one by one.
    pub(super) async fn write(
        &mut self,
        migration: &SupabaseMigration,
        worker: &mut Worker,
        straight: bool,
    ) -> Result<()> {
        if self.accepted.is_empty() {
            return Ok(());
        }
        if straight && self.copy_whole(migration, worker).await? {
            return Ok(());
        }
        self.merge(migration, worker).await
    }

    /// Copies the accepted records directly into the table. Returns `false`, and has written nothing,
    /// if the server or the encoding refuses one of them, or if some may not go there as they are.
    pub(super) async fn copy_whole(
        &mut self,
        migration: &SupabaseMigration,
        worker: &mut Worker,
    ) -> Result<bool> {
        Ok(self.accepted.is_empty()
            || (!self.must_follow(migration, worker).await?
                && self.copy_straight(migration, worker).await?))
    }

    /// Whether some records may not go into the table as they are.
    async fn must_follow(
        &self,
        migration: &SupabaseMigration,
        worker: &mut Worker,
    ) -> Result<bool> {
        if self.statements.follow.is_none() {
            return Ok(false);
        }
        let look = query("select exists (select from authorstack.moved_accounts)");
        let row = migration.work.fetch_optional(&mut worker.connection, look);
        row.await?.map_or(Ok(false), |row| get(&row, 0))
    }

    /// Copies directly into the table. Returns `false` if the server refused a record.
    async fn copy_straight(
        &mut self,
        migration: &SupabaseMigration,
        worker: &mut Worker,
    ) -> Result<bool> {
        savepoint(&mut worker.connection).await?;
        let records = self.accepted.iter().map(|&index| &self.records[index]);
        let Worker { connection, buffer } = worker;
        let copy = copy(connection, &self.statements.direct, records.clone(), buffer);
        // They are found while the server reads the first rows.
        let places = async { records.filter_map(|it| Place::of(&it.key())).collect() };
        let (copied, places): (_, Vec<Place>) = join(copy, places).await;
        match copied {
            Ok(rows) => {
                self.written += rows;
                self.note(migration, connection, &places).await?;
                Ok(true)
            }
            Err(error) if is_refusal(&error) => {
                roll_back(connection).await?;
                Ok(false)
            }
            Err(error) => Err(other_error(error)),
        }
    }

    /// Notes that these records came from the origin.
    async fn note(
        &self,
        migration: &SupabaseMigration,
        connection: &mut PgConnection,
        places: &[Place],
    ) -> Result<()> {
        let (Some(origin), work) = (self.origin, &migration.work) else {
            return Ok(());
        };
        let mut numbers: Vec<i64> = places
            .iter()
            .filter_map(|place| match place {
                Place::Row(number) => Some(*number),
                _ => None,
            })
            .collect();
        if numbers.is_empty() {
            return work
                .note_places(connection, self.kind, origin, places)
                .await;
        }
        numbers.sort_unstable();
        work.note_numbers(connection, self.kind, origin, &numbers)
            .await
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

    /// The places of the records that a merge added. Rows with numbers are noted by the merge itself.
    fn added_of(&self, rows: &[PgRow]) -> Result<Vec<Place>> {
        let mut added = Vec::new();
        if self.kind.is_numbered() {
            return Ok(added);
        }
        for row in rows {
            let is_null = row.try_get_raw(1).is_ok_and(|value| value.is_null());
            if !is_null {
                added.push(Place::read(self.kind, row, [1, 2])?);
            }
        }
        Ok(added)
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
        let store = &migration.work.store;
        let attempt = async {
            copy(connection, &self.statements.stage, records.clone(), buffer).await?;
            if let Some(follow) = self.statements.follow {
                let follow = store.statement(query(follow));
                follow.execute(&mut *connection).await?;
            }
            let mut merge = query(self.statements.merge.as_str());
            if let Some(numbers) = numbers {
                let (first, last) = (*numbers.start(), *numbers.end());
                let renew = self.statements.rows.as_ref();
                let renew = renew.and_then(|rows| rows.renew.as_deref());
                if let (Some(renew), false) = (renew, self.renewed.is_empty()) {
                    let renew = query(renew)
                        .bind(self.renewed.clone())
                        .bind(first)
                        .bind(last);
                    store.statement(renew).execute(&mut *connection).await?;
                }
                merge = merge.bind(first).bind(last);
                merge = merge.bind(self.origin.map(str::to_owned));
            }
            // Only records of this part: they get their new values at once, or nothing happens.
            let ids = records.filter_map(|record| record.key().id());
            let ids: HashSet<Uuid> = ids.map(Id::to_uuid).collect();
            let leaving = self.leaving.iter().filter(|id| ids.contains(id));
            let leaving: Vec<Uuid> = leaving.copied().collect();
            if let (Some(leave), false) = (&self.statements.leave, leaving.is_empty()) {
                let leave = query(leave.as_str()).bind(leaving);
                store.statement(leave).execute(&mut *connection).await?;
            }
            let rows = store.statement(merge).fetch_all(&mut *connection).await?;
            raw_sql("truncate pg_temp.authorstack_batch; release savepoint batch")
                .execute(&mut *connection)
                .await?;
            Ok(rows)
        };
        let merged = match attempt.await {
            Ok(rows) => Ok((written_of(&rows)?, self.added_of(&rows)?)),
            Err(error) => Err(error),
        };
        match merged {
            Ok((written, added)) => {
                self.note(migration, connection, &added).await?;
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

/// How many records a merge wrote.
fn written_of(rows: &[PgRow]) -> Result<u64> {
    let written: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
    Ok(written.unsigned_abs())
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
