//! The connections of a source, and how its rows are read.

use authorstack_core::{
    Error, Id, Result,
    migrate::{Kind, Original, Problem, Problems, Record, Scanned},
    resilience::with_deadline,
};
use authorstack_sql::{IdForm, KeptConnections, Pool, from_sqlx, get, read_record};
use futures::TryStreamExt;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow, query, raw_sql};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    conversion::{Conversion, ID_MAP, Trouble},
    encode,
    id_map::IdMap,
};
use crate::config::SERVER;

/// The rows of a page of a scan.
pub(super) const PAGE: usize = 2_000;
/// Ids that are handed on at once.
const IDS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) ids: IdForm,
    map: IdMap,
    pub(super) map_json: String,
    conversions: Vec<(Kind, Conversion)>,
    idle: KeptConnections,
}

pub(super) fn failed(error: sqlx::Error) -> Error {
    from_sqlx(error, &SERVER)
}

impl Shared {
    pub(super) fn new(pool: Pool, ids: IdForm, map: IdMap) -> Self {
        let conversions = Kind::ANALYTICS
            .iter()
            .map(|kind| (*kind, Conversion::new(*kind, ids, !map.is_empty())))
            .collect();
        Self {
            pool,
            ids,
            map_json: map.to_json(),
            map,
            conversions,
            idle: KeptConnections::default(),
        }
    }

    /// Whether a map gives some UUIDs ids of their own.
    pub(super) fn has_map(&self) -> bool {
        !self.map.is_empty()
    }

    pub(super) fn conversion(&self, kind: Kind) -> Result<&Conversion> {
        let found = self.conversions.iter().find(|(of, _)| *of == kind);
        found
            .map(|(_, conversion)| conversion)
            .ok_or_else(|| Error::internal(format!("{kind} are no analytics")))
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
            raw_sql(
                "begin isolation level repeatable read read only; \
                 set local statement_timeout = 0; \
                 set local idle_in_transaction_session_timeout = 0; \
                 set local jit = off",
            )
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

    /// Sets a setting of the transaction, by which a list reaches its statements.
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

    /// One statement in a transaction of its own.
    pub(super) async fn fetch_all(&self, sql: String, numbers: &[i64]) -> Result<Vec<PgRow>> {
        let limit = self.pool.timeouts().load;
        let mut connection = self.begin().await?;
        let rows = with_deadline(limit, async {
            let mut select = query(AssertSqlSafe(sql));
            for number in numbers {
                select = select.bind(*number);
            }
            let select = self.pool.statement(select);
            select.fetch_all(&mut connection).await.map_err(failed)
        })
        .await?;
        self.end(connection).await?;
        Ok(rows)
    }

    /// Sends the ids of a column, each once.
    pub(super) async fn send_ids(
        &self,
        kind: Kind,
        column: &str,
        sender: mpsc::Sender<Result<Vec<Id<Record>>>>,
    ) -> Result<()> {
        let limit = self.pool.timeouts().load;
        let sql = self.conversion(kind)?.references(column);
        let mut connection = self.begin().await?;
        let select = self.pool.statement(query(AssertSqlSafe(sql)));
        let mut rows = select.fetch(&mut connection);
        let mut ids = Vec::new();
        while let Some(row) =
            with_deadline(limit, async { rows.try_next().await.map_err(failed) }).await?
        {
            if let Some(uuid) = get::<Option<Uuid>>(&row, 0)? {
                ids.push(Id::from_uuid(uuid)?);
            }
            if ids.len() >= IDS && sender.send(Ok(std::mem::take(&mut ids))).await.is_err() {
                return Ok(());
            }
        }
        drop(rows);
        // This fails only when the receiver is gone.
        let _ = sender.send(Ok(ids)).await;
        self.end(connection).await
    }

    /// The id that a UUID of a row stands for.
    pub(super) fn id(&self, uuid: Uuid) -> Option<Id<Record>> {
        self.map.get(&uuid).or_else(|| self.ids.read(uuid).ok())
    }

    /// What is wrong with a UUID that stands for no id, and the way out.
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

    /// The problems of a row, from the rules that it breaks.
    pub(super) fn problems(
        &self,
        kind: Kind,
        flags: &[bool],
        original: &str,
        absent: impl Fn(Kind) -> Option<Id<Record>>,
    ) -> Result<Problems> {
        let rules = self.conversion(kind)?.rules.iter();
        let broken = rules.zip(flags).filter(|(_, broken)| **broken);
        let broken: Vec<_> = broken.map(|(rule, _)| rule).collect();
        let mut problems = Problems::default();
        if broken.is_empty() {
            return Ok(problems);
        }
        let row = encode::row(original);
        for rule in broken {
            let value = &row[rule.field];
            let problem = match rule.trouble {
                Trouble::Id => self.no_id(value.as_str().unwrap_or_default()),
                Trouble::Absent(kind) => {
                    let one = kind.one();
                    let id = absent(kind).map_or_else(String::new, |id| id.to_string());
                    format!(
                        "there is no {one} {id} in the target; move or fix the {one} first, then \
                         replay"
                    )
                }
                Trouble::Value(problem) => format!("{} {problem}", shown(value)),
            };
            problems.push(Problem::new(rule.field, problem));
        }
        Ok(problems)
    }

    /// Reads a row of `Conversion::records`.
    pub(super) fn scanned(&self, kind: Kind, row: &PgRow) -> Result<Scanned> {
        let (flags, original) = (row.len().saturating_sub(2), row.len().saturating_sub(1));
        let (flags, original): (Vec<bool>, &str) = (get(row, flags)?, get(row, original)?);
        let number: i64 = get(row, 0)?;
        let problems = self.problems(kind, &flags, original, |_| None)?;
        let outcome = if problems.is_empty() {
            let record = read_record(kind, row, IdForm::Embedded);
            record.map_err(|error| Problem::new("", error.kind().to_string()).into())
        } else {
            Err(problems)
        };
        Ok(Scanned {
            key: number.to_string(),
            outcome,
            original: Original(original.as_bytes().to_vec()),
        })
    }
}

/// A value in a message: short, and never a whole document.
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
