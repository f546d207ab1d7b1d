//! What a migration notes in the schema `authorstack`: checkpoints and rejects.

use std::collections::HashMap;

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{Counts, Key, Kind, Position, Reject, Settled},
    resilience::with_deadline,
};
use authorstack_sql::{Statement, get};
use futures::TryStreamExt;
use sqlx::{PgConnection, postgres::PgRow, query};
use tokio::sync::mpsc;

use super::{
    scan::{BATCH_BYTES, BATCH_RECORDS, begin_reading, size},
    target::{SupabaseTarget, digest, signed},
};
use crate::{error::from_sqlx, store::SupabaseStore};

impl SupabaseTarget {
    /// Locks the checkpoint and compares its position; says whether the pass is a first load.
    pub(super) async fn fence(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        from: Option<&Position>,
    ) -> Result<bool> {
        let select = query(
            "select position, first_load from authorstack.checkpoints \
             where kind = $1 and not complete for update",
        )
        .bind(kind.as_str());
        let row = self.fetch_optional(connection, select).await?;
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
        let update = query(
            "update authorstack.checkpoints set position = $2, read = read + $3, \
             written = written + $4, unchanged = unchanged + $5, rejected = rejected + $6, \
             updated_at = now() where kind = $1",
        )
        .bind(kind.as_str())
        .bind(to.0.as_bytes())
        .bind(signed(counts.read))
        .bind(signed(counts.written))
        .bind(signed(counts.unchanged))
        .bind(signed(counts.rejected));
        self.execute(connection, update).await
    }

    /// Stores rejects, and says how many of them are open. A reject that a replay has settled stays
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
            let upsert = query(
                "insert into authorstack.rejects as held \
                   (kind, key_digest, key, problems, record, source_digest) \
                 select $1, * from unnest($2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bytea[]) \
                 on conflict (kind, key_digest) do update set problems = excluded.problems, \
                   record = excluded.record, source_digest = excluded.source_digest, \
                   replayed_as = null, updated_at = now() \
                 where held.replayed_as is null or held.source_digest <> excluded.source_digest \
                 returning key_digest",
            )
            .bind(kind.as_str())
            .bind(chunk.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>())
            .bind(chunk.iter().map(|(_, r)| r.key.as_bytes()).collect::<Vec<_>>())
            .bind(problems)
            .bind(chunk.iter().map(|(_, r)| r.record.as_str()).collect::<Vec<_>>())
            .bind(chunk.iter().map(|(_, r)| r.source_digest.as_slice()).collect::<Vec<_>>());
            for row in self.fetch_all(connection, upsert).await? {
                let key: Vec<u8> = get(&row, 0)?;
                let kept = <[u8; 32]>::try_from(key)
                    .ok()
                    .and_then(|key| by_key.get(&key));
                open += kept.map_or(0, |(_, times)| *times);
            }
        }
        Ok(open)
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
        let update = query(
            "update authorstack.rejects as held set replayed_as = settled.record, updated_at = now() \
             from unnest($2::bytea[], $3::text[]) as settled (key_digest, record) \
             where held.kind = $1 and held.key_digest = settled.key_digest",
        )
        .bind(kind.as_str())
        .bind(keys)
        .bind(ids);
        self.execute(connection, update).await
    }

    /// What became of rejects, as a statement finds them.
    pub(super) async fn find_settled(
        &self,
        kind: Kind,
        select: Statement<'_>,
    ) -> Result<Vec<Settled>> {
        let rows = self.store.fetch_all(select).await?;
        rows.iter().map(|row| read_settled(kind, row)).collect()
    }
}

/// Sends the open rejects by kind and key.
pub(super) async fn send_rejects(
    store: SupabaseStore,
    sender: mpsc::Sender<Result<Vec<Reject>>>,
) -> Result<()> {
    let limit = store.timeouts().load;
    let mut connection = store.open().await?;
    with_deadline(limit, async { begin_reading(&mut connection).await }).await?;
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let select = query(
        "select kind, key, problems, record, source_digest from authorstack.rejects \
         where replayed_as is null order by array_position($1::text[], kind), key",
    )
    .bind(kinds);
    let mut rows = store.statement(select).fetch(&mut connection);
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(row) =
        with_deadline(limit, async { rows.try_next().await.map_err(from_sqlx) }).await?
    {
        bytes += size(&row);
        batch.push(read_reject(&row)?);
        if batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
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

/// Text that is stored as bytes: PostgreSQL's own cannot hold a NUL.
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

/// What the checkpoint of a pass of the fast lane begins with.
pub(super) const ROWS_MARK: &str = "rows: ";

/// Whether a pass is of the fast lane.
pub(super) fn is_rows_position(position: Option<&Position>) -> bool {
    position.is_some_and(|position| position.0.starts_with(ROWS_MARK))
}
