//! Writes a batch: finds the records that the table would refuse, and writes the others.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    ops::Range,
};

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{Applied, Key, Kind, Problem, Problems, Record, SinkBatch},
    resilience::with_deadline,
};
use authorstack_sql::{
    check_dates, get, is_data_error, is_same_record, name_deadline, refusal, taken_by,
};
use sqlx::{AssertSqlSafe, PgConnection, query, query_with, raw_sql};

use super::{
    conversion::Conversion,
    shared::{Shared, failed},
    writer::{Incoming, check_ids},
};

/// The largest number of rows in one statement.
const CHUNK: usize = 5_000;

/// The parts of a record that the tables cannot hold.
pub(super) fn screen(shared: &Shared, record: &Record) -> Problems {
    let mut problems = check_dates(record);
    problems.0.extend(check_ids(shared, record).0);
    problems
}

/// Writes a batch in one transaction.
pub(super) async fn apply(shared: &Shared, batch: &SinkBatch<'_>) -> Result<Applied> {
    Shared::known(batch.kind)?;
    let mut connection = shared.begin_writing().await?;
    let conversion = shared.conversion(&mut connection, batch.kind).await?;
    let mut work = Work {
        shared,
        kind: batch.kind,
        connection,
        conversion,
        seen: HashMap::new(),
        applied: Applied::default(),
    };
    work.remove(batch.removals).await?;
    let upserts = batch.upserts.iter().enumerate();
    let numbered = upserts.map(|(index, record)| match record.key() {
        Key::Row(number) if record.kind() == batch.kind => Ok(Row {
            index,
            number,
            record,
        }),
        key => Err(stray(batch.kind, &key)),
    });
    let rows: Vec<Row<'_>> = numbered.collect::<Result<_>>()?;
    for chunk in rows.chunks(CHUNK) {
        work.upsert(chunk).await?;
    }
    let mut applied = work.applied;
    shared.commit(work.connection).await?;
    applied.refused.sort_by_key(|(index, _)| *index);
    Ok(applied)
}

fn stray(kind: Kind, key: &Key) -> Error {
    Error::internal(format!("{key} was passed on as one of the {kind}"))
}

/// A record of the batch.
#[derive(Debug, Clone, Copy)]
struct Row<'b> {
    index: usize,
    number: i64,
    record: &'b Record,
}

/// The problem of a row that the server refused.
fn refused(row: Row<'_>, error: Error) -> Problems {
    let is_too_large = matches!(
        error.kind(),
        ErrorKind::Invalid { field, .. } if field == "value"
    );
    // All other numbers of a record fit into their columns.
    if is_too_large && i32::try_from(row.number).is_err() {
        let number = row.number;
        let problem = format!(
            "{number} is larger than the numbers of this table; give its column id the type \
             bigint, or give the record another number, then replay"
        );
        return Problem::new("id", problem).into();
    }
    refusal(row.record, error)
}

/// How a row is written.
#[derive(Debug, Clone, Copy)]
enum How {
    Insert,
    Update,
}

struct Work<'b> {
    shared: &'b Shared,
    kind: Kind,
    connection: PgConnection,
    conversion: Conversion,
    /// The records so far, by their numbers.
    seen: HashMap<i64, &'b Record>,
    applied: Applied,
}

impl<'b> Work<'b> {
    async fn remove(&mut self, keys: &[Key]) -> Result<()> {
        let numbers = keys.iter().map(|key| match key {
            Key::Row(number) => Ok(*number),
            Key::Id(_)
            | Key::Like(..)
            | Key::Comment(..)
            | Key::Price(..)
            | Key::Account(_)
            | Key::Identity(..) => Err(stray(self.kind, key)),
        });
        let numbers: Vec<i64> = numbers.collect::<Result<_>>()?;
        if numbers.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "with removed as (delete from public.{} where id = any ($1) returning 1) \
             select count(*) from removed",
            self.kind
        );
        let delete = query(AssertSqlSafe(sql)).bind(numbers);
        let rows = self.shared.fetch_in(&mut self.connection, delete).await?;
        let removed = rows.first().map_or(Ok(0), |row| get::<i64>(row, 0))?;
        self.applied.removed += removed.unsigned_abs();
        Ok(())
    }

    async fn upsert(&mut self, rows: &[Row<'b>]) -> Result<()> {
        let rows = self.once_each(rows);
        let (updates, inserts) = self.by_numbers(rows).await?;
        let inserts = self.with_free_values(inserts).await?;
        self.write(How::Update, &updates).await?;
        self.write(How::Insert, &inserts).await
    }

    fn refuse(&mut self, row: Row<'_>, problems: Problems) {
        self.applied.refused.push((row.index, problems));
    }

    /// Leaves out records that the tables cannot hold. Of several records with the same number it
    /// keeps the first.
    fn once_each(&mut self, rows: &[Row<'b>]) -> Vec<Row<'b>> {
        let mut left = Vec::with_capacity(rows.len());
        for &row in rows {
            let problems = screen(self.shared, row.record);
            if !problems.is_empty() {
                self.refuse(row, problems);
                continue;
            }
            match self.seen.entry(row.number) {
                Entry::Vacant(place) => {
                    place.insert(row.record);
                    left.push(row);
                }
                Entry::Occupied(first) if *first.get() == row.record => {
                    self.applied.unchanged += 1;
                }
                Entry::Occupied(_) => {
                    let problem = format!(
                        "{} is the number of another {}, too; give one of the two another number, \
                         then run again",
                        row.number,
                        self.kind.one()
                    );
                    self.refuse(row, Problem::new("id", problem).into());
                }
            }
        }
        left
    }

    /// Locks the rows with these numbers, and separates rows to update from rows to insert. A row
    /// is refused if another record has its number.
    async fn by_numbers(&mut self, rows: Vec<Row<'b>>) -> Result<(Vec<Row<'b>>, Vec<Row<'b>>)> {
        let numbers: Vec<i64> = rows.iter().map(|row| row.number).collect();
        let sql = format!(
            "select id from public.{} where id = any ($1) order by id for update",
            self.kind
        );
        let lock = query(AssertSqlSafe(sql)).bind(&numbers);
        self.shared.fetch_in(&mut self.connection, lock).await?;
        let sql = self.conversion.records("t.id = any ($1)", "");
        let select = query(AssertSqlSafe(sql)).bind(&numbers);
        let mut held = HashMap::new();
        for row in self.shared.fetch_in(&mut self.connection, select).await? {
            let number: i64 = get(&row, 0)?;
            held.insert(number, {
                let scanned = self.shared.scanned(&self.conversion, self.kind, &row)?;
                scanned.outcome
            });
        }
        let (mut updates, mut inserts, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            match held.get(&row.number) {
                None => inserts.push(row),
                Some(Ok(other)) if other == row.record => self.applied.unchanged += 1,
                Some(Ok(other)) if is_same_record(other, row.record) => updates.push(row),
                Some(Ok(_)) => self.refuse(row, taken_by(self.kind, row.number, row.number)),
                // An invalid row may still be this record.
                Some(Err(_)) => unclear.push(row),
            }
        }
        if !unclear.is_empty() {
            let incoming = self.incoming(&unclear)?;
            let same = query_with(AssertSqlSafe(incoming.same_records()), incoming.arguments);
            let same = self.shared.fetch_in(&mut self.connection, same).await?;
            let same: HashSet<i64> = same.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
            for row in unclear {
                if same.contains(&row.number) {
                    updates.push(row);
                } else {
                    self.refuse(row, taken_by(self.kind, row.number, row.number));
                }
            }
        }
        Ok((updates, inserts))
    }

    /// Refuses rows whose unique values another row has, in the table or earlier in the batch.
    async fn with_free_values(&mut self, rows: Vec<Row<'b>>) -> Result<Vec<Row<'b>>> {
        let unique = self.kind.description().unique;
        if unique.is_empty() || rows.is_empty() {
            return Ok(rows);
        }
        let mut holders: HashMap<i64, i64> = HashMap::new();
        for unique in unique {
            let incoming = self.incoming(&rows)?;
            let sql = incoming.taken(unique.columns);
            let taken = query_with(AssertSqlSafe(sql), incoming.arguments);
            for row in self.shared.fetch_in(&mut self.connection, taken).await? {
                holders.insert(get(&row, 0)?, get(&row, 1)?);
            }
        }
        let mut claims = HashMap::new();
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            let values = row.record.unique_values().into_iter();
            let values: Vec<(&str, String)> = values
                .map(|(unique, value)| (unique.field, value))
                .collect();
            let claimed = values.iter().find_map(|value| claims.get(value)).copied();
            if let Some(holder) = holders.get(&row.number).copied().or(claimed) {
                self.refuse(row, taken_by(self.kind, row.number, holder));
            } else {
                claims.extend(values.into_iter().map(|value| (value, row.number)));
                left.push(row);
            }
        }
        Ok(left)
    }

    fn incoming(&self, rows: &[Row<'_>]) -> Result<Incoming> {
        let records = rows.iter().map(|row| row.record);
        Incoming::new(self.shared, &self.conversion, self.kind, records)
    }

    /// Writes rows. If the server refuses some, this tries their halves, down to single rows.
    async fn write(&mut self, how: How, rows: &[Row<'b>]) -> Result<()> {
        let mut ranges = Vec::from([Range {
            start: 0,
            end: rows.len(),
        }]);
        while let Some(range) = ranges.pop() {
            let Some(first) = rows.get(range.start).filter(|_| !range.is_empty()) else {
                continue;
            };
            let Some(error) = self.attempt(how, &rows[range.clone()]).await? else {
                continue;
            };
            if range.len() == 1 {
                self.settle(*first, error).await?;
            } else {
                let middle = range.start + range.len() / 2;
                ranges.extend([middle..range.end, range.start..middle]);
            }
        }
        Ok(())
    }

    /// Refuses a row that the server refused. If another transaction has taken its place meanwhile,
    /// this checks the row again.
    async fn settle(&mut self, row: Row<'b>, error: Error) -> Result<()> {
        if !matches!(error.kind(), ErrorKind::AlreadyExists { .. }) {
            self.refuse(row, refused(row, error));
            return Ok(());
        }
        let problems = refusal(row.record, error);
        let (updates, inserts) = self.by_numbers(vec![row]).await?;
        for row in self.with_free_values(inserts).await? {
            self.refuse(row, problems.clone());
        }
        for row in updates {
            if let Some(error) = self.attempt(How::Update, &[row]).await? {
                self.refuse(row, refused(row, error));
            }
        }
        Ok(())
    }

    /// Writes rows, or returns why the server refused one of them.
    async fn attempt(&mut self, how: How, rows: &[Row<'b>]) -> Result<Option<Error>> {
        let incoming = match self.incoming(rows) {
            Ok(incoming) => incoming,
            Err(error) if matches!(error.kind(), ErrorKind::Invalid { .. }) => {
                return Ok(Some(error));
            }
            Err(error) => return Err(error),
        };
        let sql = match how {
            How::Insert => incoming.insert(),
            How::Update => incoming.update(),
        };
        self.command("savepoint batch").await?;
        let statement = query_with(AssertSqlSafe(sql), incoming.arguments);
        let statement = self.shared.pool.statement(statement);
        let limit = self.shared.pool.timeouts().load;
        let connection = &mut self.connection;
        let written = with_deadline(limit, async { Ok(statement.execute(connection).await) });
        match written.await? {
            Ok(done) => {
                self.command("release savepoint batch").await?;
                let written = done.rows_affected();
                self.applied.written += written;
                // A trigger of the table may leave rows unchanged.
                self.applied.unchanged += (rows.len() as u64).saturating_sub(written);
                Ok(None)
            }
            Err(error) if is_data_error(&error) => {
                let back = "rollback to savepoint batch; release savepoint batch";
                self.command(back).await?;
                Ok(Some(failed(error)))
            }
            Err(error) => Err(name_deadline(failed(error), limit)),
        }
    }

    async fn command(&mut self, sql: &'static str) -> Result<()> {
        let limit = self.shared.pool.timeouts().load;
        with_deadline(limit, async {
            let done = raw_sql(sql).execute(&mut self.connection).await;
            done.map(drop).map_err(failed)
        })
        .await
    }
}
