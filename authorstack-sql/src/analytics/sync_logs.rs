use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Error, Id, NewSyncLog, Order, Page, PageRequest, Platform, Result, SyncLog, SyncLogRepository,
    User, migrate::Stored,
};

use super::{
    base::{Base, statement, statement_with},
    dialect::Dialect,
};

#[derive(Debug)]
pub(super) struct SqlSyncLogs {
    base: Base,
    texts: Texts,
}

#[derive(Debug)]
struct Texts {
    append: Arc<str>,
    oldest_first: Arc<str>,
    newest_first: Arc<str>,
}

impl Texts {
    fn new(dialect: Dialect) -> Self {
        let columns = dialect.select_list(SyncLog::KIND);
        let platform = dialect.folded("platform");
        let page = |beyond: &str, order: &str| {
            let text = format!(
                "select {columns} from public.sync_logs where user_id = $1 \
                 and ($2::text is null or {platform} = $2) and ($3::bigint is null or id {beyond} $3) \
                 order by id {order} limit $4"
            );
            text.into()
        };
        let (given, parameters) = dialect.insert(SyncLog::KIND);
        let append = format!(
            "insert into public.sync_logs ({given}) values ({parameters}) returning {columns}"
        );
        Self {
            append: append.into(),
            oldest_first: page(">", "asc"),
            newest_first: page("<", "desc"),
        }
    }
}

impl SqlSyncLogs {
    pub(super) fn new(base: Base) -> Self {
        let texts = Texts::new(base.dialect);
        Self { base, texts }
    }
}

#[async_trait]
impl SyncLogRepository for SqlSyncLogs {
    async fn create(&self, user_id: Id<User>, log: NewSyncLog) -> Result<SyncLog> {
        let log = log.into_sync_log(user_id);
        let insert = statement_with(&self.texts.append, self.base.arguments(&log)?);
        let row = self.base.pool.fetch_optional(insert).await?;
        self.base
            .read(&row.ok_or_else(|| Error::internal("an insert returned no row"))?)
    }

    async fn list(
        &self,
        user_id: Id<User>,
        platform: Option<Platform>,
        page: PageRequest,
    ) -> Result<Page<SyncLog>> {
        let text = match page.sort_order() {
            Order::OldestFirst => &self.texts.oldest_first,
            Order::NewestFirst => &self.texts.newest_first,
        };
        let select = statement(text)
            .bind(self.base.uuid(user_id))
            .bind(platform.map(Platform::into_string))
            .bind(page.after_row()?)
            .bind(i64::from(page.limit()) + 1);
        let rows = self.base.pool.fetch_all(select).await?;
        Ok(self.base.numbered(&rows, page.limit()))
    }
}
