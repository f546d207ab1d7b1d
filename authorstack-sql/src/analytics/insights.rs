use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Error, Id, Insight, InsightKind, InsightRepository, InsightScope, NewInsight, Order, Page,
    PageRequest, Result, User, migrate::Stored,
};
use chrono::{DateTime, Utc};

use super::{
    base::{Base, statement, statement_with},
    dialect::Dialect,
};
use crate::{Moment, check_moment, get};

#[derive(Debug)]
pub(super) struct SqlInsights {
    base: Base,
    texts: Texts,
}

#[derive(Debug)]
struct Texts {
    put: Arc<str>,
    latest: Arc<str>,
    oldest_first: Arc<str>,
    newest_first: Arc<str>,
    purge: Arc<str>,
}

impl Texts {
    fn new(dialect: Dialect) -> Self {
        let columns = dialect.select_list(Insight::KIND);
        let valid = format!(
            "(valid_until is null or valid_until > {})",
            dialect.utc("$2::timestamptz")
        );
        let page = |beyond: &str, order: &str| {
            let text = format!(
                "select {columns} from public.ai_insights where user_id = $1 and {valid} \
                 and ($3::bigint is null or id {beyond} $3) order by id {order} limit $4"
            );
            text.into()
        };
        let (given, parameters) = dialect.insert(Insight::KIND);
        let about_own = if dialect.has_books {
            let user = dialect.parameter(Insight::KIND, "user_id");
            let book = dialect.parameter(Insight::KIND, "book_id");
            format!(
                "where {book}::uuid is null or exists \
                   (select from public.books where books.id = {book} and books.user_id = {user})"
            )
        } else {
            String::new()
        };
        let put = format!(
            "insert into public.ai_insights ({given}) select {parameters} {about_own} \
             returning {columns}"
        );
        let latest = format!(
            "select {columns} from public.ai_insights where user_id = $1 and {valid} \
             and book_id is not distinct from $3 and insight_type = $4 order by id desc limit 1"
        );
        let purge = format!(
            "with purged as (delete from public.ai_insights where valid_until <= {} returning 1) \
             select count(*) from purged",
            dialect.utc("$1::timestamptz")
        );
        Self {
            put: put.into(),
            latest: latest.into(),
            oldest_first: page(">", "asc"),
            newest_first: page("<", "desc"),
            purge: purge.into(),
        }
    }
}

impl SqlInsights {
    pub(super) fn new(base: Base) -> Self {
        let texts = Texts::new(base.dialect);
        Self { base, texts }
    }
}

#[async_trait]
impl InsightRepository for SqlInsights {
    async fn create(&self, user_id: Id<User>, insight: NewInsight) -> Result<Insight> {
        let insight = insight.into_insight(user_id);
        let insert = statement_with(&self.texts.put, self.base.arguments(&insight)?);
        let row = self.base.pool.fetch_optional(insert).await?;
        self.base.read(&row.ok_or_else(Error::not_found)?)
    }

    async fn latest(
        &self,
        user_id: Id<User>,
        scope: InsightScope,
        kind: &InsightKind,
        at: DateTime<Utc>,
    ) -> Result<Insight> {
        check_moment("at", at)?;
        let select = statement(&self.texts.latest)
            .bind(self.base.uuid(user_id))
            .bind(Moment(at))
            .bind(scope.book_id().map(|id| self.base.uuid(id)))
            .bind(kind.as_str());
        let row = self.base.pool.fetch_optional(select).await?;
        self.base.read(&row.ok_or_else(Error::not_found)?)
    }

    async fn list_valid(
        &self,
        user_id: Id<User>,
        at: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<Insight>> {
        check_moment("at", at)?;
        let text = match page.sort_order() {
            Order::OldestFirst => &self.texts.oldest_first,
            Order::NewestFirst => &self.texts.newest_first,
        };
        let select = statement(text)
            .bind(self.base.uuid(user_id))
            .bind(Moment(at))
            .bind(page.after_row()?)
            .bind(i64::from(page.limit()) + 1);
        let rows = self.base.pool.fetch_all(select).await?;
        Ok(self.base.numbered(&rows, page.limit()))
    }

    async fn delete_expired(&self, at: DateTime<Utc>) -> Result<u64> {
        check_moment("at", at)?;
        let delete = statement(&self.texts.purge).bind(Moment(at));
        let row = self.base.pool.fetch_optional(delete).await?;
        let row = row.ok_or_else(|| Error::internal("a count returned no row"))?;
        Ok(get::<i64>(&row, 0)?.unsigned_abs())
    }
}
