//! The tables of a ledger in the schema `authorstack`: checkpoints, rejects, and what was set aside.

use std::{collections::HashMap, time::Duration};

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{
        Checkpoint, Counts, Entry, Key, Kind, Position, Reject, Rejected, SetAside, Settled, Step,
    },
    resilience::with_deadline,
};
use authorstack_sql::{get, spawned};
use futures::{TryStreamExt, stream::BoxStream};
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgRow, query};
use tokio::sync::mpsc;

use super::{
    scan::{BATCH, begin_reading, size},
    work::{Durability, Work, digest, signed},
};
use crate::error::from_sqlx;

/// The tables of one ledger.
#[derive(Debug)]
pub(super) struct Tables {
    checkpoints: &'static str,
    rejects: &'static str,
    set_aside: &'static str,
    /// SQL for whether the table of a checkpoint was empty when the pass began.
    first_load: &'static str,
}

/// The ledger of migrations into this project.
pub(super) static INTO: Tables = Tables {
    checkpoints: "authorstack.checkpoints",
    rejects: "authorstack.rejects",
    set_aside: "authorstack.set_aside",
    first_load: "first_load",
};

/// The ledger of migrations out of this project.
pub(super) static RETURN: Tables = Tables {
    checkpoints: "authorstack.return_checkpoints",
    rejects: "authorstack.return_rejects",
    set_aside: "authorstack.return_set_aside",
    first_load: "false",
};

/// The tables of a ledger, and the connections to them.
#[derive(Clone)]
pub(super) struct Notes {
    pub(super) work: Work,
    pub(super) tables: &'static Tables,
}

impl Notes {
    /// Locks and returns the checkpoint of a kind. It is cleared if a new pass starts.
    pub(super) async fn start(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
    ) -> Result<Checkpoint> {
        let Tables {
            checkpoints,
            rejects,
            set_aside,
            ..
        } = self.tables;
        let insert = format!("insert into {checkpoints} (kind) values ($1) on conflict do nothing");
        let insert = query(AssertSqlSafe(insert)).bind(kind.as_str());
        self.work.execute(connection, insert).await?;
        let select = format!(
            "select position, complete, read, written, unchanged, rejected \
             from {checkpoints} where kind = $1 for update"
        );
        let select = query(AssertSqlSafe(select)).bind(kind.as_str());
        let row = self.work.fetch_optional(connection, select).await?;
        let row = row.ok_or_else(|| Error::internal("a checkpoint is gone"))?;
        let position = position(&row, 0)?;
        // A pass of the fast lane cannot be resumed here.
        if !get::<bool>(&row, 1)? && !is_rows_position(position.as_ref()) {
            return Ok(Checkpoint {
                position,
                counts: Counts {
                    read: unsigned(&row, 2)?,
                    written: unsigned(&row, 3)?,
                    unchanged: unsigned(&row, 4)?,
                    rejected: unsigned(&row, 5)?,
                },
            });
        }
        let clear = format!("delete from {rejects} where kind = $1 and replayed_as is null");
        let clear = query(AssertSqlSafe(clear)).bind(kind.as_str());
        self.work.execute(connection, clear).await?;
        let clear = format!("delete from {set_aside} where kind = $1");
        let clear = query(AssertSqlSafe(clear)).bind(kind.as_str());
        self.work.execute(connection, clear).await?;
        let reset = format!(
            "update {checkpoints} set position = null, complete = false, read = 0, written = 0, \
             unchanged = 0, rejected = 0, updated_at = now() where kind = $1"
        );
        let reset = query(AssertSqlSafe(reset)).bind(kind.as_str());
        self.work.execute(connection, reset).await?;
        Ok(Checkpoint::default())
    }

    pub(super) fn limit(&self) -> Duration {
        self.work.store.timeouts().load
    }

    pub(super) async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        let limit = self.limit();
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let checkpoint = self.start(&mut worker.connection, kind).await?;
        self.work.commit(worker).await?;
        Ok(checkpoint)
    }

    pub(super) async fn note(&self, entry: &Entry<'_>) -> Result<u64> {
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let connection = &mut worker.connection;
        match entry.step {
            Step::Advance { from, .. } => {
                self.fence(connection, entry.kind, from).await?;
            }
            Step::Replay { rejects } => self.claim(connection, entry.kind, rejects).await?,
            Step::Aside => {}
        }
        let rejects: Vec<&Reject> = entry.rejects.iter().collect();
        let open = self.store_rejects(connection, entry.kind, &rejects).await?;
        self.store_set_aside(connection, entry.kind, entry.set_aside)
            .await?;
        match entry.step {
            Step::Advance { to, .. } => {
                let counts = entry.counts(open);
                self.advance(connection, entry.kind, to, counts).await?;
            }
            Step::Aside => {}
            Step::Replay { .. } => {
                let settled = entry.settled.iter();
                let settled: Vec<_> = settled.map(|(it, to)| (&it.key, to.clone())).collect();
                self.settle(connection, entry.kind, &settled).await?;
            }
        }
        self.work.commit(worker).await?;
        Ok(open)
    }

    pub(super) async fn finish(&self, kind: Kind) -> Result<()> {
        let update = format!(
            "update {} set complete = true, updated_at = now() where kind = $1",
            self.tables.checkpoints
        );
        let update = query(AssertSqlSafe(update)).bind(kind.as_str());
        self.work.store.fetch_optional(update).await?;
        Ok(())
    }

    /// Whether the tables exist: before the first run they may not.
    async fn exist(&self) -> Result<bool> {
        let look = query("select to_regclass($1) is not null").bind(self.tables.rejects);
        let row = self.work.store.fetch_optional(look).await?;
        row.map_or(Ok(false), |row| get(&row, 0))
    }

    pub(super) async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        if !self.exist().await? {
            return Ok(Vec::new());
        }
        let select = format!(
            "select key, source_digest, replayed_as from {} \
             where kind = $1 and replayed_as is not null order by key",
            self.tables.rejects
        );
        let select = query(AssertSqlSafe(select)).bind(kind.as_str());
        let rows = self.work.store.fetch_all(select).await?;
        rows.iter().map(|row| read_settled(kind, row)).collect()
    }

    pub(super) async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        if !self.exist().await? {
            return Ok(Vec::new());
        }
        let digests: Vec<Vec<u8>> = keys.iter().map(|key| digest(key).to_vec()).collect();
        let select = format!(
            "select key, source_digest, replayed_as from {} \
             where kind = $1 and key_digest = any ($2) order by key",
            self.tables.rejects
        );
        let select = query(AssertSqlSafe(select))
            .bind(kind.as_str())
            .bind(digests);
        let rows = self.work.store.fetch_all(select).await?;
        rows.iter().map(|row| read_settled(kind, row)).collect()
    }

    pub(super) fn rejects(&self) -> BoxStream<'static, Result<Vec<Reject>>> {
        let notes = self.clone();
        spawned(move |sender| async move {
            if notes.exist().await? {
                let select = format!(
                    "select kind, key, problems, record, source_digest from {} \
                     where replayed_as is null order by array_position($1::text[], kind), key",
                    notes.tables.rejects
                );
                send_notes(notes, select, read_reject, sender).await?;
            }
            Ok(())
        })
    }

    /// Locks the checkpoint and compares its position. Returns whether the pass is a first load.
    pub(super) async fn fence(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        from: Option<&Position>,
    ) -> Result<bool> {
        let Tables {
            checkpoints,
            first_load,
            ..
        } = self.tables;
        let select = format!(
            "select position, {first_load} from {checkpoints} \
             where kind = $1 and not complete for update"
        );
        let select = query(AssertSqlSafe(select)).bind(kind.as_str());
        let row = self.work.fetch_optional(connection, select).await?;
        let here = match &row {
            Some(row) => position(row, 0)?.as_ref() == from,
            None => false,
        };
        match row {
            Some(row) if here => get(&row, 1),
            _ => Err(Error::new(ErrorKind::Conflict {
                reason: format!(
                    "another run has moved the checkpoint of {kind}; let that run end, or stop it \
                     and run again"
                )
                .into(),
            })),
        }
    }

    pub(super) async fn advance(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        to: &Position,
        counts: Counts,
    ) -> Result<()> {
        let update = format!(
            "update {} set position = $2, read = read + $3, \
             written = written + $4, unchanged = unchanged + $5, rejected = rejected + $6, \
             updated_at = now() where kind = $1",
            self.tables.checkpoints
        );
        let update = query(AssertSqlSafe(update))
            .bind(kind.as_str())
            .bind(to.0.as_bytes())
            .bind(signed(counts.read))
            .bind(signed(counts.written))
            .bind(signed(counts.unchanged))
            .bind(signed(counts.rejected));
        self.work.execute(connection, update).await
    }

    /// Stores rejects. Returns how many of them are open. A reject that a replay has settled stays
    /// settled until its source changes.
    pub(super) async fn store_rejects(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        rejects: &[&Reject],
    ) -> Result<u64> {
        const MOST_BYTES: usize = 16 << 20;
        let mut by_key: HashMap<[u8; 32], (&Reject, u64)> = HashMap::new();
        for &reject in rejects {
            let kept = by_key.entry(digest(&reject.key)).or_insert((reject, 0));
            *kept = (reject, kept.1 + 1);
        }
        let mut left: Vec<_> = by_key
            .iter()
            .map(|(key, (reject, _))| (key, *reject))
            .collect();
        let mut open = 0;
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = |(_, reject): &&(&[u8; 32], &Reject)| {
                bytes += reject.record.len() + reject.key.len();
                bytes <= MOST_BYTES
            };
            let chunk = left.iter().take_while(fits).count().max(1);
            let rest = left.split_off(chunk);
            let chunk = std::mem::replace(&mut left, rest);
            let problems: Vec<String> = chunk
                .iter()
                .map(|(_, reject)| serde_json::to_string(&reject.problems))
                .collect::<Result<_, _>>()
                .map_err(|error| Error::internal(format!("problems have no JSON: {error}")))?;
            let upsert = format!(
                "insert into {} as held \
                   (kind, key_digest, key, problems, record, source_digest) \
                 select $1, * from unnest($2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bytea[]) \
                 on conflict (kind, key_digest) do update set problems = excluded.problems, \
                   record = excluded.record, source_digest = excluded.source_digest, \
                   replayed_as = null, updated_at = now() \
                 where held.replayed_as is null or held.source_digest <> excluded.source_digest \
                 returning key_digest",
                self.tables.rejects
            );
            let upsert = query(AssertSqlSafe(upsert))
                .bind(kind.as_str())
                .bind(
                    chunk
                        .iter()
                        .map(|(key, _)| key.as_slice())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    chunk
                        .iter()
                        .map(|(_, r)| r.key.as_bytes())
                        .collect::<Vec<_>>(),
                )
                .bind(problems)
                .bind(
                    chunk
                        .iter()
                        .map(|(_, r)| r.record.as_str())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    chunk
                        .iter()
                        .map(|(_, r)| r.source_digest.as_slice())
                        .collect::<Vec<_>>(),
                );
            for row in self.work.fetch_all(connection, upsert).await? {
                let key: Vec<u8> = get(&row, 0)?;
                let kept = <[u8; 32]>::try_from(key)
                    .ok()
                    .and_then(|key| by_key.get(&key));
                open += kept.map_or(0, |(_, times)| *times);
            }
        }
        Ok(open)
    }

    /// Notes what was set aside in records that moved.
    pub(super) async fn store_set_aside(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        set_aside: &[SetAside],
    ) -> Result<()> {
        /// How many are sent at a time. Each has a few sentences for each of its fields.
        const AT_ONCE: usize = 1_000;
        // A statement cannot change a row twice; the last one counts.
        let by_key: HashMap<[u8; 32], &SetAside> =
            set_aside.iter().map(|it| (digest(&it.key), it)).collect();
        let all: Vec<_> = by_key.iter().collect();
        for chunk in all.chunks(AT_ONCE) {
            let problems: Vec<String> = chunk
                .iter()
                .map(|(_, it)| serde_json::to_string(&it.fields))
                .collect::<Result<_, _>>()
                .map_err(|error| Error::internal(format!("problems have no JSON: {error}")))?;
            let keys: Vec<&[u8]> = chunk.iter().map(|(key, _)| key.as_slice()).collect();
            let texts: Vec<&[u8]> = chunk.iter().map(|(_, it)| it.key.as_bytes()).collect();
            let counts = chunk.iter().map(|(_, it)| signed(it.fields.0.len() as u64));
            let counts: Vec<i64> = counts.collect();
            let upsert = format!(
                "insert into {} (kind, key_digest, key, problems, fields) \
                 select $1, * from unnest($2::bytea[], $3::bytea[], $4::text[], $5::bigint[]) \
                 on conflict (kind, key_digest) do update set problems = excluded.problems, \
                   fields = excluded.fields",
                self.tables.set_aside
            );
            let upsert = query(AssertSqlSafe(upsert))
                .bind(kind.as_str())
                .bind(keys)
                .bind(texts)
                .bind(problems)
                .bind(counts);
            self.work.execute(connection, upsert).await?;
        }
        Ok(())
    }

    /// Whether there is a table for what is set aside: before the first run there may be none.
    async fn notes_set_aside(&self) -> Result<bool> {
        let look = query("select to_regclass($1) is not null").bind(self.tables.set_aside);
        let row = self.work.store.fetch_optional(look).await?;
        row.map_or(Ok(false), |row| get(&row, 0))
    }

    pub(super) async fn set_aside_fields(&self, kind: Kind) -> Result<u64> {
        if !self.notes_set_aside().await? {
            return Ok(0);
        }
        let select = format!(
            "select coalesce(sum(fields), 0)::bigint from {} where kind = $1",
            self.tables.set_aside
        );
        let select = query(AssertSqlSafe(select)).bind(kind.as_str());
        let row = self.work.store.fetch_optional(select).await?;
        row.map_or(Ok(0), |row| unsigned(&row, 0))
    }

    pub(super) fn set_aside(&self) -> BoxStream<'static, Result<Vec<SetAside>>> {
        let notes = self.clone();
        spawned(move |sender| async move {
            if notes.notes_set_aside().await? {
                let select = format!(
                    "select kind, key, problems from {} \
                     order by array_position($1::text[], kind), key",
                    notes.tables.set_aside
                );
                send_notes(notes, select, read_set_aside, sender).await?;
            }
            Ok(())
        })
    }

    /// Locks the rejects of a replay, all of which must be open.
    pub(super) async fn claim(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        rejects: &[Rejected],
    ) -> Result<()> {
        let keys: Vec<Vec<u8>> = rejects.iter().map(|it| digest(&it.key).to_vec()).collect();
        let digests: Vec<&[u8]> = rejects
            .iter()
            .map(|it| it.source_digest.as_slice())
            .collect();
        let select = format!(
            "select held.key_digest from {} as held \
               join unnest($2::bytea[], $3::bytea[]) as wanted (key_digest, source_digest) \
                 on held.key_digest = wanted.key_digest \
                and held.source_digest = wanted.source_digest \
             where held.kind = $1 and held.replayed_as is null \
             order by held.key_digest for update of held",
            self.tables.rejects
        );
        let select = query(AssertSqlSafe(select))
            .bind(kind.as_str())
            .bind(keys)
            .bind(digests);
        let open = self.work.fetch_all(connection, select).await?;
        if open.len() == rejects.len() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict {
            reason: "a reject was settled meanwhile; repeat the replay".into(),
        }))
    }

    pub(super) async fn settle(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        settled: &[(&String, Key)],
    ) -> Result<()> {
        let keys: Vec<Vec<u8>> = settled
            .iter()
            .map(|(key, _)| digest(key).to_vec())
            .collect();
        let ids: Vec<String> = settled.iter().map(|(_, key)| key.to_string()).collect();
        let update = format!(
            "update {} as held set replayed_as = settled.record, updated_at = now() \
             from unnest($2::bytea[], $3::text[]) as settled (key_digest, record) \
             where held.kind = $1 and held.key_digest = settled.key_digest",
            self.tables.rejects
        );
        let update = query(AssertSqlSafe(update))
            .bind(kind.as_str())
            .bind(keys)
            .bind(ids);
        self.work.execute(connection, update).await
    }
}

/// Sends what a statement reads. Its parameter is the kinds, in their order.
async fn send_notes<T>(
    notes: Notes,
    select: String,
    read: fn(&PgRow) -> Result<T>,
    sender: mpsc::Sender<Result<Vec<T>>>,
) -> Result<()> {
    let store = &notes.work.store;
    let limit = store.timeouts().load;
    let mut connection = store.open().await?;
    begin_reading(store, &mut connection).await?;
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let select = query(AssertSqlSafe(select)).bind(kinds);
    let mut rows = store.statement(select).fetch(&mut connection);
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(row) =
        with_deadline(limit, async { rows.try_next().await.map_err(from_sqlx) }).await?
    {
        bytes += size(&row);
        batch.push(read(&row)?);
        if batch.len() >= BATCH.records || bytes >= BATCH.bytes {
            bytes = 0;
            if sender.send(Ok(std::mem::take(&mut batch))).await.is_err() {
                return Ok(());
            }
        }
    }
    if !batch.is_empty() {
        let _ = sender.send(Ok(batch)).await;
    }
    Ok(())
}

fn read_settled(kind: Kind, row: &PgRow) -> Result<Settled> {
    let replayed_as: Option<&str> = get(row, 2)?;
    Ok(Settled {
        key: read_text(row, 0)?,
        source_digest: read_digest(row, 1)?,
        replayed_as: replayed_as
            .map(|key| Key::parse(kind, key))
            .transpose()
            .map_err(|error| Error::corrupt(format!("a reject: {error}")))?,
    })
}

fn read_set_aside(row: &PgRow) -> Result<SetAside> {
    let kind: &str = get(row, 0)?;
    let problems: &str = get(row, 2)?;
    Ok(SetAside {
        kind: kind
            .parse()
            .map_err(|error| Error::corrupt(format!("a note of what was set aside: {error}")))?,
        key: read_text(row, 1)?,
        fields: serde_json::from_str(problems)
            .map_err(|error| Error::corrupt(format!("a note of what was set aside: {error}")))?,
    })
}

fn read_reject(row: &PgRow) -> Result<Reject> {
    let kind: &str = get(row, 0)?;
    let problems: &str = get(row, 2)?;
    Ok(Reject {
        kind: kind
            .parse()
            .map_err(|error| Error::corrupt(format!("a reject: {error}")))?,
        key: read_text(row, 1)?,
        problems: serde_json::from_str(problems)
            .map_err(|error| Error::corrupt(format!("a reject's problems: {error}")))?,
        record: get(row, 3)?,
        source_digest: read_digest(row, 4)?,
    })
}

/// A text that is stored as bytes: PostgreSQL's texts cannot contain a NUL.
fn read_text(row: &PgRow, index: usize) -> Result<String> {
    String::from_utf8(get(row, index)?)
        .map_err(|error| Error::corrupt(format!("the ledger: {error}")))
}

pub(super) fn position(row: &PgRow, index: usize) -> Result<Option<Position>> {
    let bytes: Option<Vec<u8>> = get(row, index)?;
    bytes
        .map(|bytes| String::from_utf8(bytes).map(Position))
        .transpose()
        .map_err(|error| Error::corrupt(format!("a checkpoint: {error}")))
}

fn read_digest(row: &PgRow, index: usize) -> Result<[u8; 32]> {
    let bytes: &[u8] = get(row, index)?;
    bytes
        .try_into()
        .map_err(|_| Error::corrupt("a reject's digest has not 32 bytes"))
}

pub(super) fn unsigned(row: &PgRow, index: usize) -> Result<u64> {
    let count: i64 = get(row, index)?;
    u64::try_from(count).map_err(|_| Error::corrupt(format!("a count is {count}")))
}

/// The beginning of the position of a pass through the fast lane.
pub(super) const ROWS_MARK: &str = "rows: ";

/// Whether a pass uses the fast lane.
pub(super) fn is_rows_position(position: Option<&Position>) -> bool {
    position.is_some_and(|position| position.0.starts_with(ROWS_MARK))
}
