//! The analytics as a source of migrations: rows leave as the target's, converted by the server
//! that holds them.

mod conversion;
mod id_map;
mod mended;
mod reader;
mod rendered;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use authorstack_core::{
    Error, Id, Result,
    migrate::{
        Absent, BatchLimits, Digest, Kind, Original, Position, Problem, Problems, Record, RowRange,
        RowReader, RowSource, Scanned, ScannedBatch, Source,
    },
};
use authorstack_sql::{
    Dialect, IdForm, Pool, SqlAnalytics, from_sqlx, get, spawned, unique_columns, within,
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgRow, query, raw_sql};
use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

use self::conversion::{Conversion, ID_MAP, Trouble};
pub use self::id_map::IdMap;
use crate::{
    config::SERVER,
    schema::{has_key, missing_columns},
};

/// Connections kept for the next range.
const KEPT_CONNECTIONS: usize = 2;
/// The rows of a page of a scan.
const PAGE: usize = 2_000;
/// Ids that are handed on at once.
const IDS: usize = 10_000;
/// What tells a row as the target has it: the conversion's own form.
const CONVERTED: Dialect = Dialect {
    plain_timestamps: false,
    has_books: true,
    ids: IdForm::Embedded,
};

/// The five tables as a source of migrations. Made by
/// [`PostgresStore::source`](crate::PostgresStore::source).
#[derive(Debug, Clone)]
pub struct PostgresSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    ids: IdForm,
    map: IdMap,
    map_json: String,
    conversions: Vec<(Kind, Conversion)>,
    /// Reads rows that are converted.
    analytics: SqlAnalytics,
    idle: Mutex<Vec<PgConnection>>,
}

fn failed(error: sqlx::Error) -> Error {
    from_sqlx(error, &SERVER)
}

impl PostgresSource {
    pub(crate) fn new(pool: Pool, ids: IdForm, map: IdMap) -> Self {
        let conversions = Kind::ANALYTICS
            .iter()
            .map(|kind| (*kind, Conversion::new(*kind, ids, !map.is_empty())))
            .collect();
        let analytics = SqlAnalytics::new(pool.clone(), CONVERTED);
        Self {
            shared: Arc::new(Shared {
                pool,
                ids,
                map_json: map.to_json(),
                map,
                conversions,
                analytics,
                idle: Mutex::default(),
            }),
        }
    }
}

impl Shared {
    fn conversion(&self, kind: Kind) -> Result<&Conversion> {
        let found = self.conversions.iter().find(|(of, _)| *of == kind);
        found
            .map(|(_, conversion)| conversion)
            .ok_or_else(|| Error::internal(format!("{kind} are no analytics")))
    }

    /// A connection in a transaction that sees one moment and changes nothing.
    async fn begin(&self) -> Result<PgConnection> {
        let mut connection = match self.kept().await {
            Some(connection) => connection,
            None => self.pool.open().await?,
        };
        // It may wait for the reader of its rows.
        within(self.pool.timeouts().operation, async {
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

    /// A connection that an earlier range has left, if it still lives.
    async fn kept(&self) -> Option<PgConnection> {
        let limit = self.pool.timeouts().connect;
        let kept = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut connection = kept?;
        let alive = timeout(limit, connection.ping()).await;
        matches!(alive, Ok(Ok(()))).then_some(connection)
    }

    /// Hands a list to the statements of the transaction.
    async fn set(&self, connection: &mut PgConnection, name: &str, value: &str) -> Result<()> {
        let set = query("select set_config($1, $2, true)")
            .bind(name)
            .bind(value);
        let set = self.pool.statement(set).execute(connection).await;
        set.map(drop).map_err(failed)
    }

    /// Ends a transaction, and keeps the connection.
    async fn end(&self, mut connection: PgConnection) -> Result<()> {
        within(self.pool.timeouts().operation, async {
            raw_sql("commit")
                .execute(&mut connection)
                .await
                .map_err(failed)
        })
        .await?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT_CONNECTIONS {
            idle.push(connection);
        }
        Ok(())
    }

    /// One statement in a transaction of its own.
    async fn fetch_all(&self, sql: String, numbers: &[i64]) -> Result<Vec<PgRow>> {
        let limit = self.pool.timeouts().load;
        let mut connection = self.begin().await?;
        let rows = within(limit, async {
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
    async fn send_ids(
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
        while let Some(row) = within(limit, async { rows.try_next().await.map_err(failed) }).await?
        {
            if let Some(uuid) = get::<Option<Uuid>>(&row, 0)? {
                ids.push(Id::from_uuid(uuid)?);
            }
            if ids.len() >= IDS && sender.send(Ok(std::mem::take(&mut ids))).await.is_err() {
                return Ok(());
            }
        }
        drop(rows);
        // Nobody listens any more when this fails.
        let _ = sender.send(Ok(ids)).await;
        self.end(connection).await
    }

    /// The id that a UUID of a row stands for.
    fn id(&self, uuid: Uuid) -> Option<Id<Record>> {
        self.map.get(&uuid).or_else(|| self.ids.read(uuid).ok())
    }

    /// What is wrong with a UUID that stands for no id, and the way out.
    fn no_id(&self, uuid: &str) -> String {
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

    /// The rules that a row breaks, in words.
    fn problems(
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
        let row = rendered::row(original);
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
    fn scanned(&self, kind: Kind, row: &PgRow) -> Result<Scanned> {
        let (flags, original) = (row.len().saturating_sub(2), row.len().saturating_sub(1));
        let (flags, original): (Vec<bool>, &str) = (get(row, flags)?, get(row, original)?);
        let number: i64 = get(row, 0)?;
        let problems = self.problems(kind, &flags, original, |_| None)?;
        let outcome = if problems.is_empty() {
            let record = self.analytics.record(kind, row);
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

    fn listed(kind: Kind) -> String {
        let listed = CONVERTED.select_list(kind);
        listed.as_deref().unwrap_or("c.id").to_owned()
    }
}

/// Says what is wrong with a database as a source, if anything is.
async fn look(connection: &mut PgConnection) -> Result<()> {
    let wrong = |reason: String| Err(Error::configuration(SERVER.setting, reason));
    for &kind in Kind::ANALYTICS {
        let look = query(
            "select to_regclass('public.' || $1) is not null, \
                    coalesce(has_table_privilege(to_regclass('public.' || $1), 'select'), true), \
                    current_setting('server_encoding') = 'UTF8'",
        );
        let row = look
            .persistent(false)
            .bind(kind.as_str())
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if !get::<bool>(&row, 0)? {
            return wrong(format!(
                "the database lacks the table {kind}: name the database of the analytics in the \
                 URL's path, or make the tables with PostgresStore::migrate"
            ));
        }
        if !get::<bool>(&row, 1)? {
            let hint = SERVER.role_hint;
            return wrong(format!("the role may not read {kind}; {hint}"));
        }
        if !get::<bool>(&row, 2)? {
            return wrong(
                "the database's encoding is not UTF8; restore a dump of it into one that is"
                    .to_owned(),
            );
        }
        let missing = missing_columns(connection, kind).await?;
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return wrong(format!("the table {kind} lacks {missing}; add the columns"));
        }
    }
    Ok(())
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

#[async_trait]
impl Source for PostgresSource {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ANALYTICS
    }

    async fn check(&self) -> Result<()> {
        let check = async {
            let mut connection = self.shared.begin().await?;
            let limit = self.shared.pool.timeouts().operation;
            within(limit, look(&mut connection)).await?;
            self.shared.end(connection).await
        };
        check
            .await
            .map_err(|error: Error| error.in_operation("check"))
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        self.shared.conversion(kind)?;
        // Of a large table the server's estimate will do.
        let sql = format!(
            "select case when reltuples > 1000000 then reltuples::bigint \
               else (select count(*) from public.{kind}) end \
             from pg_catalog.pg_class where oid = 'public.{kind}'::regclass"
        );
        let rows = self.shared.fetch_all(sql, &[]).await?;
        let count = rows.first().map_or(Ok(0), |row| get::<i64>(row, 0))?;
        Ok(count.unsigned_abs())
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let shared = &self.shared;
        let after = after.map_or(Ok(i64::MIN), |Position(text)| text.parse());
        let Ok(after) = after else {
            let error = Error::invalid("position", "is no row's number");
            return stream::iter([Err(error)]).boxed();
        };
        let most = limits.records.clamp(1, PAGE);
        stream::try_unfold(after, move |after| async move {
            let conversion = shared.conversion(kind)?;
            let sql = conversion.records(&Shared::listed(kind), "t.id > $1", "limit $2");
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = shared.fetch_all(sql, &[after, limit]).await?;
            let items: Vec<Scanned> = rows
                .iter()
                .map(|row| shared.scanned(kind, row))
                .collect::<Result<_>>()?;
            let Some(last) = rows.last() else {
                return Ok(None);
            };
            let last: i64 = get(last, 0)?;
            let position = Position(last.to_string());
            Ok::<_, Error>(Some((ScannedBatch { items, position }, last)))
        })
        .map_err(|error| error.in_operation("scan"))
        .boxed()
    }

    async fn fetch(&self, kind: Kind, key: &str) -> Result<Option<Scanned>> {
        let Ok(number) = key.parse::<i64>() else {
            return Ok(None);
        };
        let conversion = self.shared.conversion(kind)?;
        let sql = conversion.records(&Shared::listed(kind), "t.id = $1", "");
        let rows = self.shared.fetch_all(sql, &[number]).await?;
        rows.first()
            .map(|row| self.shared.scanned(kind, row))
            .transpose()
    }

    fn render(&self, _: Kind, original: &Original) -> Value {
        rendered::row(&String::from_utf8_lossy(&original.0))
    }

    fn parse(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        mended::read(&self.shared, kind, value)
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        Kind::ANALYTICS.contains(&kind).then_some(self)
    }
}

#[async_trait]
impl RowSource for PostgresSource {
    fn conversion(&self) -> String {
        let map = Digest::of_bytes(self.shared.map_json.as_bytes());
        format!("{:?} {map:?}", self.shared.ids)
    }

    async fn may_collide(&self, kind: Kind) -> Result<bool> {
        let limit = self.shared.pool.timeouts().operation;
        let mut connection = self.shared.begin().await?;
        let keys = [&["id"], unique_columns(kind)];
        let mut may_collide = !self.shared.map.is_empty();
        for key in keys.into_iter().filter(|key| !key.is_empty()) {
            may_collide |= !within(limit, has_key(&mut connection, kind, key)).await?;
        }
        self.shared.end(connection).await?;
        Ok(may_collide)
    }

    async fn last(&self, kind: Kind) -> Result<Option<i64>> {
        self.shared.conversion(kind)?;
        let sql = format!("select max(id)::bigint from public.{kind}");
        let rows = self.shared.fetch_all(sql, &[]).await?;
        rows.first().map_or(Ok(None), |row| get(row, 0))
    }

    fn references(&self, kind: Kind, to: Kind) -> BoxStream<'_, Result<Vec<Id<Record>>>> {
        let shared = Arc::clone(&self.shared);
        let column = match to {
            Kind::Users => "user_id",
            _ => "book_id",
        };
        spawned(move |sender| async move { shared.send_ids(kind, column, sender).await })
    }

    async fn open(
        &self,
        kind: Kind,
        within: RowRange,
        most: u64,
        absent: &Absent,
    ) -> Result<Option<Box<dyn RowReader>>> {
        let opened = reader::open(&self.shared, kind, within, most, absent).await;
        let reader = opened.map_err(|error| error.in_operation("open"))?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn RowReader>))
    }
}
