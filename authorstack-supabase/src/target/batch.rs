//! A batch: what the table would refuse is found first, the rest is written.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use authorstack_core::{
    Error, ErrorKind, Id, Result, User,
    migrate::{Kind, Load, Problem, Problems, Record},
};
use sqlx::{PgConnection, Row, query, raw_sql};
use uuid::Uuid;

use super::{
    SupabaseTarget, Worker, lock,
    statements::{Statements, statements},
};
use crate::{
    copy::{CopyError, copy},
    error::{from_sqlx, is_data_error},
    row::{get, postgres_micros},
};

/// How many users the target remembers to exist.
const KNOWN_USERS: usize = 500_000;

/// A batch on its way: which records are still to be written, which were refused.
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
                stray.id(),
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

    /// Keeps the accepted records that this finds no problem with.
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

    /// Refuses what the table would refuse, as far as that can be known beforehand.
    pub(super) async fn screen(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        self.keep(check_dates);
        self.screen_ids();
        match self.load.kind {
            Kind::Users => self.screen_users(target, connection).await,
            Kind::Books => self.screen_books(target, connection).await,
            _ => Ok(()),
        }
    }

    /// Two records of one id: the first counts. Sources come in the order of their ids.
    fn screen_ids(&mut self) {
        let records = self.load.records;
        if records.is_sorted_by(|a, b| a.id() < b.id()) {
            return;
        }
        let mut first: HashMap<Id<Record>, &Record> = HashMap::new();
        let mut same = 0;
        self.accepted
            .retain(|&index| match first.get(&records[index].id()) {
                Some(&earlier) if *earlier == records[index] => {
                    same += 1;
                    false
                }
                Some(_) => true,
                None => {
                    first.insert(records[index].id(), &records[index]);
                    true
                }
            });
        self.unchanged += same;
        self.keep(|record| match first.get(&record.id()) {
            Some(&earlier) if !std::ptr::eq(earlier, record) => Problem::new(
                "_id",
                format!(
                    "{} is the id of another record, too; map one of them",
                    record.id()
                ),
            )
            .into(),
            _ => Problems::default(),
        });
    }

    async fn screen_users(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let users: Vec<&User> = self
            .accepted
            .iter()
            .filter_map(|&index| user(&self.load.records[index]))
            .collect();
        let select = query(
            "select id, auth_id, email from public.users \
             where email = any ($1) or auth_id = any ($2)",
        )
        .bind(
            users
                .iter()
                .map(|user| user.email.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            users
                .iter()
                .map(|user| user.auth_id.as_str())
                .collect::<Vec<_>>(),
        );
        let rows = target.fetch_all(connection, select).await?;
        let ids: HashSet<Uuid> = users.iter().map(|user| user.id.to_uuid()).collect();
        let mut taken = Taken::default();
        for row in &rows {
            let id: Uuid = get(row, 0)?;
            // A user of the batch will hold what the batch says, not what the table says.
            if !ids.contains(&id) {
                let id =
                    Id::<User>::from_uuid(id).map_or_else(|_| id.to_string(), |id| id.to_string());
                taken.auth_ids.insert(get(row, 1)?, id.clone());
                taken.emails.insert(get(row, 2)?, id);
            }
        }
        self.keep(|record| user(record).map_or_else(Problems::default, |user| taken.claim(user)));
        Ok(())
    }

    async fn screen_books(
        &mut self,
        target: &SupabaseTarget,
        connection: &mut PgConnection,
    ) -> Result<()> {
        let mut known: HashSet<Id<User>> = HashSet::new();
        let mut unknown: HashSet<Id<User>> = HashSet::new();
        {
            let cached = lock(&target.shared.known_users);
            for &index in &self.accepted {
                if let Record::Book(book) = &self.load.records[index] {
                    if cached.contains(&book.user_id) {
                        known.insert(book.user_id);
                    } else {
                        unknown.insert(book.user_id);
                    }
                }
            }
        }
        if !unknown.is_empty() {
            let asked: Vec<Uuid> = unknown.iter().map(|id| id.to_uuid()).collect();
            let select = query("select id from public.users where id = any ($1)").bind(asked);
            for row in target.fetch_all(connection, select).await? {
                let id: Uuid = get(&row, 0)?;
                known.extend(Id::<User>::from_uuid(id));
            }
            let mut cached = lock(&target.shared.known_users);
            if cached.len() + known.len() > KNOWN_USERS {
                cached.clear();
            }
            cached.extend(&known);
        }
        self.keep(|record| match record {
            Record::Book(book) if !known.contains(&book.user_id) => orphan(book.user_id).into(),
            _ => Problems::default(),
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
        match copy(connection, self.statements.direct, records, buffer).await {
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
        raw_sql(self.statements.staging)
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
        // A record may have stood in the way of one before it, and have moved since.
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
        let attempt = async {
            copy(connection, self.statements.stage, records, buffer).await?;
            let merge = target.store.statement(query(self.statements.merge));
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

/// What the server's refusal says of a record.
fn problems(record: &Record, error: CopyError) -> Problems {
    let error = other_error(error);
    match (error.kind(), record) {
        (ErrorKind::NotFound, Record::Book(book)) => orphan(book.user_id).into(),
        (ErrorKind::AlreadyExists { field }, _) => Problem::new(
            field.clone(),
            "another record of the target has this value; change one of the two, then replay",
        )
        .into(),
        _ => error.into(),
    }
}

async fn savepoint(connection: &mut PgConnection) -> Result<()> {
    raw_sql("savepoint batch")
        .execute(connection)
        .await
        .map_err(from_sqlx)?;
    Ok(())
}

async fn roll_back(connection: &mut PgConnection) -> Result<()> {
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

fn user(record: &Record) -> Option<&User> {
    match record {
        Record::User(user) => Some(user),
        _ => None,
    }
}

/// Which users hold the unique values.
#[derive(Default)]
struct Taken {
    auth_ids: HashMap<String, String>,
    emails: HashMap<String, String>,
}

impl Taken {
    /// Takes a user's values where all are free, or says who holds them.
    fn claim(&mut self, user: &User) -> Problems {
        let mut problems = Problems::default();
        let values = [
            ("authId", user.auth_id.as_str(), &self.auth_ids),
            ("email", user.email.as_str(), &self.emails),
        ];
        for (field, value, taken) in values {
            if let Some(other) = taken.get(value) {
                problems.push(Problem::new(
                    field,
                    format!("{value:?} belongs to user {other} already; change one of the two, then replay"),
                ));
            }
        }
        if problems.is_empty() {
            self.auth_ids
                .insert(user.auth_id.as_str().to_owned(), user.id.to_string());
            self.emails
                .insert(user.email.as_str().to_owned(), user.id.to_string());
        }
        problems
    }
}

fn orphan(user: Id<User>) -> Problem {
    Problem::new(
        "userId",
        format!("there is no user {user} in the target; move or fix the user first, then replay"),
    )
}

/// Dates that PostgreSQL cannot hold.
pub(super) fn check_dates(record: &Record) -> Problems {
    let mut problems = Problems::default();
    let mut check = |field: &str, date: chrono::DateTime<chrono::Utc>| {
        if postgres_micros(date).is_none() {
            problems.push(Problem::new(
                field,
                format!("{date} is outside PostgreSQL's range of dates, which begins in 4713 BC; correct it"),
            ));
        }
    };
    match record {
        Record::User(user) => {
            check("createdAt", user.created_at);
            check("updatedAt", user.updated_at);
        }
        Record::Book(book) => {
            if let Some(date) = book.published_date {
                check("publishedDate", date);
            }
            check("createdAt", book.created_at);
            check("updatedAt", book.updated_at);
        }
        _ => {}
    }
    problems
}
