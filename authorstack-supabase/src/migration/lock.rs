//! The lock that one run holds at a time.

use std::time::Duration;

use authorstack_core::{Error, ErrorKind, Result, migrate::RunLock, resilience::with_deadline};
use authorstack_sql::Aborting;
use sqlx::{Connection, PgConnection, Row, query, raw_sql};
use tokio::time::{Instant, sleep, timeout};

use crate::{error::from_sqlx, store::SupabaseStore};

/// The key of the transaction lock that a run holds.
const RUN_LOCK: i64 = 0x6175_7468_6f72_0002;
/// How long to try for the lock: the server may not have noticed yet that a run was killed.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// The interval of messages on the lock's connection: poolers and firewalls drop silent
/// connections.
const HEARTBEAT: Duration = Duration::from_secs(20);

async fn try_lock(store: &SupabaseStore) -> Result<Option<PgConnection>> {
    let mut connection = store.open().await?;
    let take = async {
        // The transaction must stay open for as long as the run takes.
        raw_sql(
            "begin; set local search_path = ''; \
             set local idle_in_transaction_session_timeout = 0; \
             select set_config('transaction_timeout', '0', true) \
             where current_setting('transaction_timeout', true) is not null",
        )
        .execute(&mut connection)
        .await?;
        let take = query("select pg_try_advisory_xact_lock($1)").bind(RUN_LOCK);
        let row = store.statement(take).fetch_one(&mut connection).await?;
        row.try_get::<bool, _>(0)
    };
    let taken = with_deadline(store.timeouts().operation, async {
        take.await.map_err(from_sqlx)
    })
    .await?;
    if taken {
        Ok(Some(connection))
    } else {
        store.close_connection(connection).await;
        Ok(None)
    }
}

pub(super) async fn take_lock(store: &SupabaseStore) -> Result<Box<dyn RunLock>> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        if let Some(mut connection) = try_lock(store).await? {
            let answer = store.timeouts().connect;
            let task = tokio::spawn(async move {
                loop {
                    sleep(HEARTBEAT).await;
                    if !matches!(timeout(answer, connection.ping()).await, Ok(Ok(()))) {
                        // The checkpoints still keep two runs from mixing.
                        tracing::warn!("the connection that holds the run's lock is gone");
                        return;
                    }
                }
            });
            return Ok(Box::new(Held(Aborting::of(task))));
        }
        if Instant::now() >= until {
            return Err(Error::new(ErrorKind::Locked));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The lock. A task keeps the connection whose transaction holds it.
#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "held for its drop")] Aborting<()>);

impl RunLock for Held {}
