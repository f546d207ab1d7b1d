use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    Amount, Currency, Error, Id, NewSale, Result, Sale, SaleKey, SalesFilter, SalesRepository,
    SalesTotal, Sums, TotalsBy, TotalsGroup, UpsertCounts, User,
    sales::{checked_batch, currency_conflict},
    time,
};
use chrono::NaiveDate;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Dialect, SqlAnalytics, in_dialect, named, parsed, statement};
use crate::{Moment, Statement, again, get};

/// Rows of one statement of an upsert.
const CHUNK: usize = 20_000;
/// Rows of one page of a stream.
const PAGE: i64 = 2_000;

#[derive(Debug)]
pub(super) struct SqlSales(pub(super) SqlAnalytics);

#[derive(Debug)]
pub(super) struct Texts {
    upsert: Arc<str>,
    get: Arc<str>,
    delete: Arc<str>,
    page: Arc<str>,
    totals: [Arc<str>; 6],
}

/// A legacy row may lack what the schema gives a default.
pub(super) const COLUMNS: &str = "id::bigint, user_id, book_id, platform, date, revenue, units, \
     coalesce(page_reads, 0), coalesce(currency, 'USD'), utc(synced_at)";

/// The filter, from the second parameter on.
const FILTER: &str = "user_id = $1 and date between $2 and $3 \
     and ($4::text is null or platform = $4) and ($5::uuid is null or book_id = $5) \
     and ($6::text is null or coalesce(currency, 'USD') = $6)";

impl Texts {
    pub(super) fn new(dialect: Dialect) -> Self {
        let key = "user_id = $1 and book_id = $2 and platform = $3 and date = $4";
        let totals = |group: &str| {
            let sums = "sum(revenue), sum(units)::bigint, sum(coalesce(page_reads, 0))::bigint";
            let text = format!(
                "select {group}, coalesce(currency, 'USD'), {sums} from public.sales_data \
                 where {FILTER} group by 1, 2"
            );
            in_dialect(dialect, &text)
        };
        Self {
            // Row numbers are drawn first, so that an inserted row is known by its own.
            upsert: in_dialect(
                dialect,
                "with incoming as materialized ( \
                   select nextval((select pg_get_serial_sequence('public.sales_data', 'id')::regclass)) as id, t.* \
                   from unnest($2::uuid[], $3::text[], $4::date[], $5::numeric[], $6::int[], $7::int[], $8::text[]) \
                     as t (book_id, platform, date, revenue, units, page_reads, currency)), \
                 written as ( \
                   insert into public.sales_data as held \
                     (id, user_id, book_id, platform, date, revenue, units, page_reads, currency, synced_at) \
                   select id, $1, book_id, platform, date, revenue, units, page_reads, currency, utc($9::timestamptz) \
                   from incoming \
                   on conflict (user_id, book_id, platform, date) do update \
                     set revenue = excluded.revenue, units = excluded.units, \
                         page_reads = excluded.page_reads, synced_at = excluded.synced_at \
                     where (held.revenue, held.units, held.page_reads, coalesce(held.currency, 'USD')) \
                       is distinct from (excluded.revenue, excluded.units, excluded.page_reads, excluded.currency) \
                   returning id, book_id, platform, date, coalesce(currency, 'USD') as currency), \
                 updated as (select * from written where not exists \
                   (select from incoming where incoming.id = written.id)) \
                 select (select count(*) from written), (select count(*) from updated), \
                        changed.book_id, changed.platform, changed.date, changed.stored, changed.currency \
                 from (select 1) as one left join ( \
                   select updated.book_id, updated.platform::text, updated.date, \
                          updated.currency as stored, incoming.currency \
                   from updated join incoming using (book_id, platform, date) \
                   where updated.currency <> incoming.currency order by 1, 2, 3 limit 100 \
                 ) as changed on true",
            ),
            get: in_dialect(
                dialect,
                &format!("select {COLUMNS} from public.sales_data where {key}"),
            ),
            delete: format!("delete from public.sales_data where {key} returning 1").into(),
            page: in_dialect(
                dialect,
                &format!(
                    "select {COLUMNS} from public.sales_data where {FILTER} \
                     and (date, book_id, platform collate \"C\") > ($2, $7, $8) \
                     order by date, book_id, platform collate \"C\" limit $9"
                ),
            ),
            totals: [
                totals("null::text"),
                totals("date"),
                totals("date_trunc('week', date::timestamp)::date"),
                totals("date_trunc('month', date::timestamp)::date"),
                totals("platform::text"),
                totals("book_id"),
            ],
        }
    }

    fn totals(&self, by: TotalsBy) -> &Arc<str> {
        match by {
            TotalsBy::Currency => &self.totals[0],
            TotalsBy::Day => &self.totals[1],
            TotalsBy::Week => &self.totals[2],
            TotalsBy::Month => &self.totals[3],
            TotalsBy::Platform => &self.totals[4],
            TotalsBy::Book => &self.totals[5],
        }
    }
}

impl SqlSales {
    pub(super) fn sale(&self, row: &PgRow) -> Result<Sale> {
        let id: i64 = get(row, 0)?;
        let read = || {
            Ok(Sale {
                id,
                user_id: self.0.id(get(row, 1)?, "user_id")?,
                book_id: self.0.id(get(row, 2)?, "book_id")?,
                platform: parsed(row, 3)?,
                date: get(row, 4)?,
                revenue: Amount::new(get::<Decimal>(row, 5)?)
                    .map_err(|error| Error::corrupt(format!("revenue: {}", error.kind())))?,
                units: get(row, 6)?,
                page_reads: get(row, 7)?,
                currency: parsed(row, 8)?,
                synced_at: get::<Option<Moment>>(row, 9)?.map(|at| at.0),
            })
        };
        read().map_err(|error: Error| error.for_record(format_args!("sale {id}")))
    }

    async fn write(&self, user_id: Id<User>, batch: &[&NewSale]) -> Result<UpsertCounts> {
        let mut counts = UpsertCounts::default();
        let now = time::now();
        let mut unit = self.0.pool.unit().await?;
        for chunk in batch.chunks(CHUNK) {
            let upsert = self.bind_batch(user_id, chunk).bind(Moment(now));
            let rows = unit.fetch_all(upsert).await?;
            let mut changed = Vec::new();
            for row in &rows {
                let book: Option<Uuid> = get(row, 2)?;
                let Some(book) = book else { continue };
                let key = SaleKey {
                    book_id: self.0.id(book, "book_id")?,
                    platform: parsed(row, 3)?,
                    date: get(row, 4)?,
                };
                changed.push((key, parsed(row, 5)?, parsed(row, 6)?));
            }
            // The transaction ends without effect.
            if !changed.is_empty() {
                return Err(currency_conflict(&changed));
            }
            let first = rows.first().ok_or_else(|| Error::internal("no counts"))?;
            let (written, updated): (i64, i64) = (get(first, 0)?, get(first, 1)?);
            let (written, updated) = (written.unsigned_abs(), updated.unsigned_abs());
            counts += UpsertCounts {
                inserted: written - updated,
                updated,
                unchanged: chunk.len() as u64 - written,
            };
        }
        unit.commit().await?;
        Ok(counts)
    }

    fn bind_batch(&self, user_id: Id<User>, chunk: &[&NewSale]) -> Statement<'static> {
        let texts = |text: fn(&NewSale) -> &str| -> Vec<String> {
            chunk.iter().map(|sale| text(sale).to_owned()).collect()
        };
        let books: Vec<Uuid> = chunk.iter().map(|s| self.0.uuid(s.key.book_id)).collect();
        let dates: Vec<NaiveDate> = chunk.iter().map(|sale| sale.key.date).collect();
        let revenue: Vec<Decimal> = chunk.iter().map(|s| s.revenue.to_decimal()).collect();
        let units: Vec<i32> = chunk.iter().map(|sale| sale.units).collect();
        let page_reads: Vec<i32> = chunk.iter().map(|sale| sale.page_reads).collect();
        statement(&self.0.texts.sales.upsert)
            .bind(self.0.uuid(user_id))
            .bind(books)
            .bind(texts(|sale| sale.key.platform.as_str()))
            .bind(dates)
            .bind(revenue)
            .bind(units)
            .bind(page_reads)
            .bind(texts(|sale| sale.currency.as_str()))
    }

    fn bind_key(&self, text: &Arc<str>, user_id: Id<User>, key: &SaleKey) -> Statement<'static> {
        statement(text)
            .bind(self.0.uuid(user_id))
            .bind(self.0.uuid(key.book_id))
            .bind(key.platform.as_str().to_owned())
            .bind(key.date)
    }

    fn bind_filter(
        &self,
        text: &Arc<str>,
        user_id: Id<User>,
        filter: &SalesFilter,
    ) -> Statement<'static> {
        statement(text)
            .bind(self.0.uuid(user_id))
            .bind(filter.days.first())
            .bind(filter.days.last())
            .bind(filter.platform.as_ref().map(|p| p.as_str().to_owned()))
            .bind(filter.book_id.map(|id| self.0.uuid(id)))
            .bind(filter.currency.as_ref().map(|c| c.as_str().to_owned()))
    }

    async fn sums(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Vec<SalesTotal>> {
        let select = self.bind_filter(self.0.texts.sales.totals(by), user_id, filter);
        let rows = self.0.pool.fetch_all(select).await?;
        let mut totals = Vec::with_capacity(rows.len());
        for row in &rows {
            let group = match by {
                TotalsBy::Currency => TotalsGroup::All,
                TotalsBy::Day | TotalsBy::Week | TotalsBy::Month => TotalsGroup::From(get(row, 0)?),
                TotalsBy::Platform => TotalsGroup::Platform(parsed(row, 0)?),
                TotalsBy::Book => TotalsGroup::Book(self.0.id(get(row, 0)?, "book_id")?),
            };
            totals.push(SalesTotal {
                group,
                currency: parsed::<Currency>(row, 1)?,
                sums: Sums {
                    revenue: get(row, 2)?,
                    units: get(row, 3)?,
                    page_reads: get(row, 4)?,
                },
            });
        }
        // The server's collation may be another.
        totals.sort_by(|a, b| (&a.group, &a.currency).cmp(&(&b.group, &b.currency)));
        Ok(totals)
    }
}

#[async_trait]
impl SalesRepository for SqlSales {
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts> {
        let upsert = async {
            let batch = checked_batch(sales)?;
            if batch.is_empty() {
                return Ok(UpsertCounts::default());
            }
            again(|| self.write(user_id, &batch)).await
        };
        named(upsert.await, "sales.upsert")
    }

    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale> {
        let select = self.bind_key(&self.0.texts.sales.get, user_id, key);
        let found = async {
            let row = self.0.pool.fetch_optional(select).await?;
            self.sale(&row.ok_or_else(Error::not_found)?)
        };
        named(found.await, "sales.get").map_err(|error| error.for_record(key))
    }

    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()> {
        let delete = self.bind_key(&self.0.texts.sales.delete, user_id, key);
        let deleted = async {
            let row = self.0.pool.fetch_optional(delete).await?;
            row.map(drop).ok_or_else(Error::not_found)
        };
        named(deleted.await, "sales.delete").map_err(|error| error.for_record(key))
    }

    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>> {
        let sales = Self(self.0.clone());
        // Page by page, each behind the last row of the one before.
        let start = (filter, (Uuid::nil(), String::new()), false);
        let pages = stream::try_unfold(
            (sales, start),
            move |(sales, (mut filter, after, end))| async move {
                if end {
                    return Ok(None);
                }
                let select = sales
                    .bind_filter(&sales.0.texts.sales.page, user_id, &filter)
                    .bind(after.0)
                    .bind(after.1.clone())
                    .bind(PAGE);
                let rows = sales.0.pool.fetch_all(select).await?;
                let page: VecDeque<Sale> = rows
                    .iter()
                    .map(|row| sales.sale(row))
                    .collect::<Result<_>>()?;
                let end = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
                let Some(last) = page.back() else {
                    return Ok(None);
                };
                let place = (sales.0.uuid(last.book_id), last.platform.to_string());
                filter.days = authorstack_core::Days::new(last.date, filter.days.last())?;
                let next = (sales, (filter, place, end));
                Ok::<_, Error>(Some((stream::iter(page.into_iter().map(Ok)), next)))
            },
        );
        pages
            .try_flatten()
            .map_err(|error: Error| error.in_operation("sales.stream"))
            .boxed()
    }

    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Vec<SalesTotal>> {
        named(self.sums(user_id, filter, by).await, "sales.totals")
    }
}
