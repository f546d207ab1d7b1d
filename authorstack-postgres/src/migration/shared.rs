//! The connections of a migration, and the reading of rows.

use std::time::Duration;

use authorstack_core::{
    Error, Id, Result,
    migrate::{Kind, Original, Problem, Problems, Record, References, RefusedRow, Scanned},
    resilience::with_deadline,
};
use authorstack_sql::{
    IdForm, KeptConnections, Pool, Statement, WHOLE_TABLES, from_sqlx, get, name_deadline,
    read_record, taken_by,
};
use futures::TryStreamExt;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow, query, raw_sql};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    columns::{self, Column},
    conversion::{Conversion, ID_MAP, Known, Trouble, absent_setting},
    encode,
    id_map::IdMap,
};
use crate::config::SERVER;

/// The number of rows in a page of a scan.
pub(super) const PAGE: usize = 2_000;
/// The number of ids that are passed on at once.
const IDS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) ids: IdForm,
    pub(super) map: IdMap,
    pub(super) map_json: String,
    /// Whether nothing is set aside.
    pub(super) strict: bool,
    idle: KeptConnections,
    /// The connections of transactions that write.
    writers: KeptConnections,
}

/// Values become texts, and texts values, in the same way whatever the settings of the database:
/// floats with all their digits, dates of ISO 8601, moments in UTC.
const EXACT_TEXTS: &str = "set local extra_float_digits = 1; set local datestyle = 'ISO, YMD'; \
     set local timezone = 'UTC'";

/// An array of UUIDs in PostgreSQL's text form.
fn array(ids: &[Id<Record>]) -> String {
    let uuids: Vec<String> = ids.iter().map(|id| id.to_uuid().to_string()).collect();
    format!("{{{}}}", uuids.join(","))
}

pub(super) fn failed(error: sqlx::Error) -> Error {
    from_sqlx(error, &SERVER)
}

impl Shared {
    pub(super) fn new(pool: Pool, ids: IdForm, map: IdMap, strict: bool) -> Self {
        Self {
            pool,
            strict,
            ids,
            map_json: map.to_json(),
            map,
            idle: KeptConnections::default(),
            writers: KeptConnections::default(),
        }
    }

    /// Whether there is a map of UUIDs to ids.
    pub(super) fn has_map(&self) -> bool {
        !self.map.is_empty()
    }

    /// Refuses a kind without a table here.
    pub(super) fn known(kind: Kind) -> Result<()> {
        if Kind::ANALYTICS.contains(&kind) {
            Ok(())
        } else {
            Err(Error::internal(format!("{kind} are not analytics")))
        }
    }

    /// How the rows of a kind are converted, as its table is now.
    pub(super) async fn conversion(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
    ) -> Result<Conversion> {
        Self::known(kind)?;
        let table = columns::of_table(&self.pool, connection, kind).await?;
        self.conversion_of(kind, table)
    }

    /// How rows of a table with these columns are converted.
    pub(super) fn conversion_of(&self, kind: Kind, table: Vec<Column>) -> Result<Conversion> {
        Conversion::new(kind, self.ids, self.has_map(), self.strict, table)
    }

    /// Rows as records, in a transaction of their own.
    pub(super) async fn read_rows(
        &self,
        kind: Kind,
        condition: &str,
        limit: &str,
        bind: impl FnOnce(Statement<'_>) -> Statement<'_>,
    ) -> Result<Vec<(i64, Scanned)>> {
        let mut connection = self.begin().await?;
        let conversion = self.conversion(&mut connection, kind).await?;
        let select = bind(query(AssertSqlSafe(conversion.records(condition, limit))));
        let rows = self.fetch_in(&mut connection, select).await?;
        self.end(connection).await?;
        let rows = rows.iter().map(|row| {
            let scanned = self.scanned(&conversion, kind, row)?;
            Ok((get(row, 0)?, scanned))
        });
        rows.collect()
    }

    /// A connection in a read-only transaction that sees the data of one moment.
    pub(super) async fn begin(&self) -> Result<PgConnection> {
        let kept = self.idle.take(self.pool.timeouts().connect).await;
        let mut connection = match kept {
            Some((connection, ())) => connection,
            None => self.pool.open().await?,
        };
        // No timeouts: it may wait for the reader of its rows.
        with_deadline(self.pool.timeouts().operation, async {
            raw_sql(AssertSqlSafe(format!(
                "begin isolation level repeatable read read only; {WHOLE_TABLES}; \
                 {EXACT_TEXTS}; set local statement_timeout = 0; \
                 set local idle_in_transaction_session_timeout = 0; \
                 set local jit = off"
            )))
            .execute(&mut connection)
            .await
            .map_err(failed)?;
            if !self.map.is_empty() {
                self.set(&mut connection, ID_MAP, &self.map_json).await?;
            }
            Ok(())
        })
        .await?;
        Ok(connection)
    }

    /// Sets a setting of the transaction, which passes a list to its statements.
    pub(super) async fn set(
        &self,
        connection: &mut PgConnection,
        name: &str,
        value: &str,
    ) -> Result<()> {
        let set = query("select set_config($1, $2, true)")
            .bind(name)
            .bind(value);
        let set = self.pool.statement(set).execute(connection).await;
        set.map(drop).map_err(failed)
    }

    /// Ends a transaction, and keeps the connection.
    pub(super) async fn end(&self, mut connection: PgConnection) -> Result<()> {
        with_deadline(self.pool.timeouts().operation, async {
            raw_sql("commit")
                .execute(&mut connection)
                .await
                .map_err(failed)
        })
        .await?;
        self.idle.keep(connection, ());
        Ok(())
    }

    /// A connection in a transaction that writes. Dropping it rolls the transaction back.
    pub(super) async fn begin_writing(&self) -> Result<PgConnection> {
        let timeouts = self.pool.timeouts();
        let mut connection = match self.writers.take(timeouts.connect).await {
            Some((connection, ())) => connection,
            None => self.pool.open().await?,
        };
        // The server gives up a little later than the client.
        let limit = (timeouts.load + Duration::from_secs(5)).as_millis();
        let begin = format!(
            "begin isolation level read committed; {WHOLE_TABLES}; {EXACT_TEXTS}; \
             set local statement_timeout = {limit}; set local jit = off"
        );
        with_deadline(timeouts.operation, async {
            let begin = raw_sql(AssertSqlSafe(begin)).execute(&mut connection);
            begin.await.map_err(failed)?;
            if !self.map.is_empty() {
                self.set(&mut connection, ID_MAP, &self.map_json).await?;
            }
            Ok(())
        })
        .await?;
        Ok(connection)
    }

    /// Commits such a transaction, and keeps the connection.
    pub(super) async fn commit(&self, mut connection: PgConnection) -> Result<()> {
        with_deadline(self.pool.timeouts().load, async {
            let commit = raw_sql("commit").execute(&mut connection);
            commit.await.map_err(failed)
        })
        .await?;
        self.writers.keep(connection, ());
        Ok(())
    }

    /// Runs a statement in a transaction.
    pub(super) async fn fetch_in(
        &self,
        connection: &mut PgConnection,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>> {
        let limit = self.pool.timeouts().load;
        let statement = self.pool.statement(statement);
        with_deadline(limit, async {
            let rows = statement.fetch_all(connection).await.map_err(failed);
            rows.map_err(|error| name_deadline(error, limit))
        })
        .await
    }

    /// Whether the database has a kind's table. Without it, there are no rows of that kind.
    pub(super) async fn has_table(&self, kind: Kind) -> Result<bool> {
        let look = query("select to_regclass('public.' || $1) is not null").bind(kind.as_str());
        let rows = self.fetch_all(look).await?;
        rows.first().map_or(Ok(false), |row| get(row, 0))
    }

    /// Runs a reading statement in its own transaction.
    pub(super) async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let mut connection = self.begin().await?;
        let rows = self.fetch_in(&mut connection, statement).await?;
        self.end(connection).await?;
        Ok(rows)
    }

    /// Tells a transaction the absent records. Returns what its statements need not find out.
    pub(super) async fn set_absent(
        &self,
        connection: &mut PgConnection,
        references: &References,
    ) -> Result<Known> {
        let limit = self.pool.timeouts().load;
        let mut known = Known {
            absent: Vec::new(),
            with_ids: references.with_ids.clone(),
        };
        for (kind, ids) in &references.absent {
            if ids.is_empty() || known.absent.contains(kind) {
                continue;
            }
            known.absent.push(*kind);
            let (setting, ids) = (absent_setting(*kind), array(ids));
            with_deadline(limit, self.set(connection, &setting, &ids)).await?;
        }
        Ok(known)
    }

    /// Sends the rows that have the unique values of an earlier one.
    pub(super) async fn send_collisions(
        &self,
        kind: Kind,
        references: &References,
        sender: mpsc::Sender<Result<Vec<RefusedRow>>>,
    ) -> Result<()> {
        if !self.has_table(kind).await? {
            return Ok(());
        }
        let mut connection = self.begin().await?;
        let conversion = self.conversion(&mut connection, kind).await?;
        let known = self.set_absent(&mut connection, references).await?;
        let Some(sql) = conversion.collisions(&known) else {
            return self.end(connection).await;
        };
        let read = |row: &PgRow| {
            let (number, first): (i64, i64) = (get(row, 0)?, get(row, 1)?);
            Ok(Some(RefusedRow {
                number,
                holder: None,
                problems: taken_by(kind, number, first),
            }))
        };
        self.send_rows(connection, sql, PAGE, read, sender).await
    }

    /// Sends what is read of the rows of a statement, in parts, and ends the transaction.
    async fn send_rows<T>(
        &self,
        mut connection: PgConnection,
        sql: String,
        most: usize,
        read: impl Fn(&PgRow) -> Result<Option<T>>,
        sender: mpsc::Sender<Result<Vec<T>>>,
    ) -> Result<()> {
        let limit = self.pool.timeouts().load;
        let select = self.pool.statement(query(AssertSqlSafe(sql)));
        let mut rows = select.fetch(&mut connection);
        let mut part = Vec::new();
        while let Some(row) =
            with_deadline(limit, async { rows.try_next().await.map_err(failed) }).await?
        {
            part.extend(read(&row)?);
            if part.len() >= most && sender.send(Ok(std::mem::take(&mut part))).await.is_err() {
                return Ok(());
            }
        }
        drop(rows);
        // This fails only if the receiver is gone.
        let _ = sender.send(Ok(part)).await;
        self.end(connection).await
    }

    /// Sends the ids of the records of another kind that rows refer to, each once, and `None` for
    /// values without an id.
    pub(super) async fn send_ids(
        &self,
        kind: Kind,
        to: Kind,
        sender: mpsc::Sender<Result<Vec<Option<Id<Record>>>>>,
    ) -> Result<()> {
        if !self.has_table(kind).await? {
            return Ok(());
        }
        let mut connection = self.begin().await?;
        let conversion = self.conversion(&mut connection, kind).await?;
        let sql = conversion.references(to)?;
        let read = |row: &PgRow| {
            let uuid: Option<Uuid> = get(row, 0)?;
            Ok(Some(uuid.map(Id::from_uuid).transpose()?))
        };
        self.send_rows(connection, sql, IDS, read, sender).await
    }

    /// The id for a UUID of a row.
    pub(super) fn id(&self, uuid: Uuid) -> Option<Id<Record>> {
        self.map.get(&uuid).or_else(|| self.ids.read(uuid).ok())
    }

    /// The problem of a UUID without an id, and how to fix it.
    pub(super) fn no_id(&self, uuid: &str) -> String {
        let forms = [
            (IdForm::Embedded, "AuthorStack's own form", "embedded"),
            (
                IdForm::PaddedLeft,
                "an id padded with zeros on the left",
                "padded-left",
            ),
            (
                IdForm::PaddedRight,
                "an id padded with zeros on the right",
                "padded-right",
            ),
        ];
        let read: Option<Uuid> = uuid.parse().ok();
        if read.is_none() {
            return format!("{uuid:?} is neither an id of 24 digits nor a UUID; correct it");
        }
        let looks = |form: &IdForm| read.is_some_and(|uuid| form.read::<Record>(uuid).is_ok());
        let own = forms.iter().find(|(form, _, _)| *form == self.ids);
        let own = own.map_or("", |(_, name, _)| *name);
        let hint = match forms.iter().find(|(form, _, _)| looks(form)) {
            Some((_, name, option)) => {
                format!("it looks like {name}: run with postgres_ids set to {option}, or map it")
            }
            None => "map it to an id in a file that id_map_file names".to_owned(),
        };
        format!("the UUID {uuid} is not {own}; {hint}")
    }

    /// The problems of a row, from the rules that it breaks. `references` are the ids that it
    /// refers to, in the order of the kind's references.
    pub(super) fn problems(
        &self,
        conversion: &Conversion,
        kind: Kind,
        flags: &[bool],
        original: &str,
        references: &[Option<Uuid>],
    ) -> Problems {
        let rules = conversion.rules.iter();
        let broken = rules.zip(flags).filter(|(_, broken)| **broken);
        let broken: Vec<_> = broken.map(|(rule, _)| rule).collect();
        let mut problems = Problems::default();
        if broken.is_empty() {
            return problems;
        }
        let row = encode::row(original);
        for rule in broken {
            let value = &row[rule.field];
            let problem = match rule.trouble {
                Trouble::Id => self.no_id(value.as_str().unwrap_or_default()),
                Trouble::Absent(of) => {
                    let one = of.one();
                    let mut places = kind.description().refers_to.iter();
                    let place = places.position(|reference| reference.column == rule.field);
                    let uuid = place.and_then(|place| *references.get(place)?);
                    let id = uuid.and_then(|uuid| Id::<Record>::from_uuid(uuid).ok());
                    let id = id.map_or_else(String::new, |id| id.to_string());
                    format!(
                        "there is no {one} {id} in the target; move or fix the {one} first, then \
                         replay"
                    )
                }
                Trouble::Missing => "is missing; set it in the source or here".to_owned(),
                Trouble::Value(problem) => format!("{} {problem}", shown(value)),
            };
            problems.push(Problem::new(rule.field, problem));
        }
        problems
    }

    /// Reads a row of `Conversion::records`.
    pub(super) fn scanned(
        &self,
        conversion: &Conversion,
        kind: Kind,
        row: &PgRow,
    ) -> Result<Scanned> {
        let (flags, original) = (row.len().saturating_sub(2), row.len().saturating_sub(1));
        let (flags, original): (Vec<bool>, &str) = (get(row, flags)?, get(row, original)?);
        let number: i64 = get(row, 0)?;
        let problems = self.problems(conversion, kind, &flags, original, &[]);
        let (outcome, set_aside) = if conversion.can_move(&flags) {
            let record = read_record(kind, row, IdForm::Embedded);
            let outcome = record.map_err(|error| unreadable(kind, &error).into());
            (outcome, problems)
        } else {
            (Err(problems), Problems::default())
        };
        Ok(Scanned {
            key: number.to_string(),
            set_aside,
            outcome,
            original: Original::Bytes(original.as_bytes().to_vec()),
        })
    }
}

/// The problem of a row that core refuses, with the name of its field.
fn unreadable(kind: Kind, error: &Error) -> Problem {
    let said = error.kind().to_string();
    for field in kind.fields() {
        if let Some((_, problem)) = said.split_once(&format!("{}: ", field.name)) {
            return Problem::new(field.name, problem);
        }
    }
    Problem::new("record", said)
}

/// A value for a message: short, and never a whole document.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    match value {
        Value::Object(_) | Value::Array(_) => "it".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() > MOST {
                text.chars().take(MOST).chain(['…']).collect()
            } else {
                text
            }
        }
    }
}
