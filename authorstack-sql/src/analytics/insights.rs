use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Confidence, Cursor, Error, Id, Insight, InsightKind, InsightRepository, InsightScope,
    NewInsight, Order, Page, PageRequest, Result, User,
};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Dialect, SqlAnalytics, in_dialect, json, named, parsed, statement};
use crate::{Jsonb, Moment, check_moment, get};

#[derive(Debug)]
pub(super) struct SqlInsights(pub(super) SqlAnalytics);

#[derive(Debug)]
pub(super) struct Texts {
    put: Arc<str>,
    latest: Arc<str>,
    oldest_first: Arc<str>,
    newest_first: Arc<str>,
    purge: Arc<str>,
}

/// An insight that is valid for ever may say so with infinity.
pub(super) const COLUMNS: &str = "id::bigint, user_id, book_id, insight_type, content, \
     confidence, utc(nullif(valid_until, 'infinity')), utc(created_at)";

impl Texts {
    pub(super) fn new(dialect: Dialect) -> Self {
        let valid = "(valid_until is null or valid_until > utc($2::timestamptz))";
        let page = |beyond: &str, order: &str| {
            let text = format!(
                "select {COLUMNS} from public.ai_insights where user_id = $1 and {valid} \
                 and ($3::bigint is null or id {beyond} $3) order by id {order} limit $4"
            );
            in_dialect(dialect, &text)
        };
        let about_own = if dialect.has_books {
            "where $2::uuid is null or exists \
               (select from public.books where books.id = $2 and books.user_id = $1)"
        } else {
            ""
        };
        let put = format!(
            "insert into public.ai_insights \
               (user_id, book_id, insight_type, content, confidence, valid_until, created_at) \
             select $1, $2, $3, $4, $5, utc($6::timestamptz), utc($7::timestamptz) {about_own} \
             returning {COLUMNS}"
        );
        let latest = format!(
            "select {COLUMNS} from public.ai_insights where user_id = $1 and {valid} \
             and book_id is not distinct from $3 and insight_type = $4 order by id desc limit 1"
        );
        let purge = "with purged as (delete from public.ai_insights \
             where valid_until <= utc($1::timestamptz) returning 1) select count(*) from purged";
        Self {
            put: in_dialect(dialect, &put),
            latest: in_dialect(dialect, &latest),
            oldest_first: page(">", "asc"),
            newest_first: page("<", "desc"),
            purge: in_dialect(dialect, purge),
        }
    }
}

impl SqlInsights {
    pub(super) fn insight(&self, row: &PgRow) -> Result<Insight> {
        let id: i64 = get(row, 0)?;
        let read = || {
            let book: Option<Uuid> = get(row, 2)?;
            let kind: Option<&str> = get(row, 3)?;
            let moment = |index| Ok::<_, Error>(get::<Option<Moment>>(row, index)?.map(|at| at.0));
            Ok(Insight {
                id,
                user_id: self.0.id(get(row, 1)?, "user_id")?,
                book_id: book.map(|id| self.0.id(id, "book_id")).transpose()?,
                kind: kind.map(|_| parsed(row, 3)).transpose()?,
                content: json(row, 4)?.unwrap_or_default(),
                confidence: super::confidence(row, 5)?,
                valid_until: moment(6)?,
                created_at: moment(7)?,
            })
        };
        read().map_err(|error: Error| error.for_record(format_args!("insight {id}")))
    }

    async fn insert(&self, user_id: Id<User>, new: NewInsight) -> Result<Insight> {
        let new = new.into_insight(user_id)?;
        if let Some(until) = new.valid_until {
            check_moment("valid_until", until)?;
        }
        let insert = statement(&self.0.texts.insights.put)
            .bind(self.0.uuid(user_id))
            .bind(new.book_id.map(|id| self.0.uuid(id)))
            .bind(new.kind.map(InsightKind::into_string))
            .bind(Jsonb(&new.content))
            .bind(new.confidence.map(Confidence::to_decimal))
            .bind(new.valid_until.map(Moment))
            .bind(new.created_at.map(Moment));
        let row = self.0.pool.fetch_optional(insert).await?;
        self.insight(&row.ok_or_else(Error::not_found)?)
    }

    async fn page(
        &self,
        user_id: Id<User>,
        at: DateTime<Utc>,
        page: &PageRequest,
    ) -> Result<Page<Insight>> {
        check_moment("at", at)?;
        let texts = &self.0.texts.insights;
        let text = match page.sort_order() {
            Order::OldestFirst => &texts.oldest_first,
            Order::NewestFirst => &texts.newest_first,
        };
        let select = statement(text)
            .bind(self.0.uuid(user_id))
            .bind(Moment(at))
            .bind(page.after_row()?)
            .bind(i64::from(page.limit()) + 1);
        let rows = self.0.pool.fetch_all(select).await?;
        let insights: Result<Vec<Insight>> = rows.iter().map(|row| self.insight(row)).collect();
        Ok(Page::from_one_more_by(insights?, page.limit(), |last| {
            Cursor::behind_row(last.id)
        }))
    }
}

#[async_trait]
impl InsightRepository for SqlInsights {
    async fn put(&self, user_id: Id<User>, insight: NewInsight) -> Result<Insight> {
        named(self.insert(user_id, insight).await, "insights.put")
    }

    async fn latest(
        &self,
        user_id: Id<User>,
        scope: InsightScope,
        kind: &InsightKind,
        at: DateTime<Utc>,
    ) -> Result<Insight> {
        let latest = async {
            check_moment("at", at)?;
            let select = statement(&self.0.texts.insights.latest)
                .bind(self.0.uuid(user_id))
                .bind(Moment(at))
                .bind(scope.book_id().map(|id| self.0.uuid(id)))
                .bind(kind.as_str());
            let row = self.0.pool.fetch_optional(select).await?;
            self.insight(&row.ok_or_else(Error::not_found)?)
        };
        named(latest.await, "insights.latest")
    }

    async fn valid(
        &self,
        user_id: Id<User>,
        at: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<Insight>> {
        named(self.page(user_id, at, &page).await, "insights.valid")
    }

    async fn purge_expired(&self, at: DateTime<Utc>) -> Result<u64> {
        let purge = async {
            check_moment("at", at)?;
            let delete = statement(&self.0.texts.insights.purge).bind(Moment(at));
            let row = self.0.pool.fetch_optional(delete).await?;
            let row = row.ok_or_else(|| Error::internal("a count answered no row"))?;
            Ok(get::<i64>(&row, 0)?.unsigned_abs())
        };
        named(purge.await, "insights.purge_expired")
    }
}
