use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Cursor, Error, Id, NewSyncLog, Order, Page, PageRequest, Platform, Result, SyncLog,
    SyncLogRepository, User, time,
};
use sqlx::postgres::PgRow;

use super::{Dialect, SqlAnalytics, in_dialect, named, parsed, statement};
use crate::{Moment, get};

#[derive(Debug)]
pub(super) struct SqlSyncLogs(pub(super) SqlAnalytics);

#[derive(Debug)]
pub(super) struct Texts {
    append: Arc<str>,
    oldest_first: Arc<str>,
    newest_first: Arc<str>,
}

pub(super) const COLUMNS: &str = "id::bigint, user_id, platform, status, \
     coalesce(records_synced, 0), error_message, utc(synced_at)";

impl Texts {
    pub(super) fn new(dialect: Dialect) -> Self {
        let page = |beyond: &str, order: &str| {
            let text = format!(
                "select {COLUMNS} from public.sync_logs where user_id = $1 \
                 and ($2::text is null or platform = $2) and ($3::bigint is null or id {beyond} $3) \
                 order by id {order} limit $4"
            );
            in_dialect(dialect, &text)
        };
        let append = format!(
            "insert into public.sync_logs \
               (user_id, platform, status, records_synced, error_message, synced_at) \
             values ($1, $2, $3, $4, $5, utc($6::timestamptz)) returning {COLUMNS}"
        );
        Self {
            append: in_dialect(dialect, &append),
            oldest_first: page(">", "asc"),
            newest_first: page("<", "desc"),
        }
    }
}

impl SqlSyncLogs {
    pub(super) fn log(&self, row: &PgRow) -> Result<SyncLog> {
        let id: i64 = get(row, 0)?;
        let read = || {
            Ok(SyncLog {
                id,
                user_id: self.0.id(get(row, 1)?, "user_id")?,
                platform: parsed(row, 2)?,
                status: parsed(row, 3)?,
                records_synced: get(row, 4)?,
                error_message: get(row, 5)?,
                synced_at: get::<Option<Moment>>(row, 6)?.map(|at| at.0),
            })
        };
        read().map_err(|error: Error| error.for_record(format_args!("sync log {id}")))
    }

    async fn page(
        &self,
        user_id: Id<User>,
        platform: Option<Platform>,
        page: &PageRequest,
    ) -> Result<Page<SyncLog>> {
        let texts = &self.0.texts.sync_logs;
        let text = match page.sort_order() {
            Order::OldestFirst => &texts.oldest_first,
            Order::NewestFirst => &texts.newest_first,
        };
        let select = statement(text)
            .bind(self.0.uuid(user_id))
            .bind(platform.map(Platform::into_string))
            .bind(page.after_row()?)
            .bind(i64::from(page.limit()) + 1);
        let rows = self.0.pool.fetch_all(select).await?;
        let logs: Result<Vec<SyncLog>> = rows.iter().map(|row| self.log(row)).collect();
        Ok(Page::from_one_more_by(logs?, page.limit(), |last| {
            Cursor::behind_row(last.id)
        }))
    }
}

#[async_trait]
impl SyncLogRepository for SqlSyncLogs {
    async fn append(&self, user_id: Id<User>, log: NewSyncLog) -> Result<SyncLog> {
        let append = async {
            log.check()?;
            let insert = statement(&self.0.texts.sync_logs.append)
                .bind(self.0.uuid(user_id))
                .bind(log.platform.into_string())
                .bind(log.status.as_str())
                .bind(log.records_synced)
                .bind(log.error_message)
                .bind(Moment(time::now()));
            let row = self.0.pool.fetch_optional(insert).await?;
            self.log(&row.ok_or_else(|| Error::internal("an insert answered no row"))?)
        };
        named(append.await, "sync_logs.append")
    }

    async fn recent(
        &self,
        user_id: Id<User>,
        platform: Option<Platform>,
        page: PageRequest,
    ) -> Result<Page<SyncLog>> {
        named(
            self.page(user_id, platform, &page).await,
            "sync_logs.recent",
        )
    }
}
