use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    Currency, Days, Error, Id, NewSale, Result, Sale, SaleKey, SalesFilter, SalesRepository,
    SalesTotal, Sums, TotalsBy, TotalsGroup, UpsertCounts, User,
    migrate::Stored,
    resilience::retry_on_conflict,
    sales::{currency_conflict, in_order},
    time,
};
use chrono::{DateTime, Utc};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use super::base::{Base, parsed, statement, statement_with};
use crate::{ArgumentWriter, Moment, Statement, fields::ArrayWriter, get};

/// The largest number of rows in one statement of an upsert.
const CHUNK: usize = 20_000;
/// The number of rows in a page of a stream.
const PAGE: i64 = 2_000;

#[derive(Debug, Clone)]
pub(super) struct SqlSales {
    base: Base,
    texts: Arc<Texts>,
}

#[derive(Debug)]
struct Texts {
    upsert: Arc<str>,
    get: Arc<str>,
    delete: Arc<str>,
    page: Arc<str>,
    totals: [Arc<str>; 6],
}

/// The filter, from the second parameter on. A row of an old app may lack its currency.
const FILTER: &str = "user_id = $1 and date between $2 and $3 \
     and ($4::text is null or platform = $4) and ($5::uuid is null or book_id = $5) \
     and ($6::text is null or coalesce(currency, 'USD') = $6)";

/// Columns that are not in a batch: the number is generated, the others are equal for all rows.
const NOT_IN_BATCH: &[&str] = &["id", "user_id", "synced_at"];

/// The columns of a batch, one array for each.
fn arrays(base: &Base) -> ArrayWriter {
    ArrayWriter::new::<Sale>(base.dialect.ids, NOT_IN_BATCH)
}

/// The statement that writes a batch. Its parameters are the user, the moment and the arrays.
fn upsert(base: &Base) -> String {
    let arrays = arrays(base);
    let names = arrays.names();
    let list = names.join(", ");
    let unique = Sale::KIND.description().unique.first();
    let unique = unique.map_or(&[][..], |unique| unique.columns);
    // The columns that may change. A changed currency is refused, see below.
    let figures: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !unique.contains(name) && *name != "currency")
        .collect();
    let set: Vec<String> = figures
        .iter()
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let of = |table: &str| {
        let figures = figures.iter().map(|name| format!("{table}.{name}"));
        figures.collect::<Vec<_>>().join(", ")
    };
    let key: Vec<&str> = unique
        .iter()
        .copied()
        .filter(|name| *name != "user_id")
        .collect();
    let key = key.join(", ");
    // Row numbers are generated first. They show which rows were inserted and which were updated.
    format!(
        "with incoming as materialized ( \
           select nextval((select pg_get_serial_sequence('public.sales_data', 'id')::regclass)) as id, t.* \
           from unnest({arrays}) as t ({list})), \
         written as ( \
           insert into public.sales_data as held (id, user_id, synced_at, {list}) \
           select id, $1, {now}, {list} from incoming \
           on conflict ({conflict}) do update \
             set {set}, synced_at = excluded.synced_at \
             where ({held}, coalesce(held.currency, 'USD')) \
               is distinct from ({excluded}, excluded.currency) \
           returning id, {key}, coalesce(currency, 'USD') as currency), \
         updated as (select * from written where not exists \
           (select from incoming where incoming.id = written.id)) \
         select (select count(*) from written), (select count(*) from updated), \
                changed.book_id, changed.platform, changed.date, changed.stored, changed.currency \
         from (select 1) as one left join ( \
           select updated.book_id, updated.platform::text, updated.date, \
                  updated.currency as stored, incoming.currency \
           from updated join incoming using ({key}) \
           where updated.currency <> incoming.currency order by 1, 2, 3 limit 100 \
         ) as changed on true",
        arrays = arrays.parameters(3),
        now = base.dialect.utc("$2::timestamptz"),
        conflict = unique.join(", "),
        set = set.join(", "),
        held = of("held"),
        excluded = of("excluded"),
    )
}

impl Texts {
    fn new(base: &Base) -> Self {
        let columns = base.dialect.select_list(Sale::KIND);
        let key = "user_id = $1 and book_id = $2 and platform = $3 and date = $4";
        let totals = |group: &str| {
            let sums = "sum(revenue), sum(units)::bigint, sum(coalesce(page_reads, 0))::bigint";
            let text = format!(
                "select {group}, coalesce(currency, 'USD'), {sums} from public.sales_data \
                 where {FILTER} group by 1, 2"
            );
            text.into()
        };
        let get = format!("select {columns} from public.sales_data where {key}");
        let delete = format!("delete from public.sales_data where {key} returning 1");
        let page = format!(
            "select {columns} from public.sales_data where {FILTER} \
             and (date, book_id, platform collate \"C\") > ($2, $7, $8) \
             order by date, book_id, platform collate \"C\" limit $9"
        );
        Self {
            upsert: upsert(base).into(),
            get: get.into(),
            delete: delete.into(),
            page: page.into(),
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
    pub(super) fn new(base: Base) -> Self {
        let texts = Arc::new(Texts::new(&base));
        Self { base, texts }
    }

    async fn write(&self, user_id: Id<User>, batch: &[&NewSale]) -> Result<UpsertCounts> {
        let mut counts = UpsertCounts::default();
        let now = time::now();
        let mut unit = self.base.pool.unit().await?;
        for chunk in batch.chunks(CHUNK) {
            let upsert = statement_with(&self.texts.upsert, self.batch(user_id, now, chunk)?);
            let rows = unit.fetch_all(upsert).await?;
            let mut changed = Vec::new();
            for row in &rows {
                let book: Option<Uuid> = get(row, 2)?;
                let Some(book) = book else { continue };
                let key = SaleKey {
                    book_id: self.base.id(book, "book_id")?,
                    platform: parsed(row, 3)?,
                    date: get(row, 4)?,
                };
                changed.push((key, parsed(row, 5)?, parsed(row, 6)?));
            }
            // Dropping the transaction rolls it back.
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

    fn batch(
        &self,
        user_id: Id<User>,
        now: DateTime<Utc>,
        chunk: &[&NewSale],
    ) -> Result<PgArguments> {
        let mut arrays = arrays(&self.base);
        for new in chunk {
            arrays.push(&sale(user_id, new))?;
        }
        let mut writer = ArgumentWriter::default();
        writer.push(self.base.uuid(user_id))?;
        writer.push(Moment(now))?;
        let mut arguments = writer.into_arguments();
        arrays.add_to(&mut arguments)?;
        Ok(arguments)
    }

    fn bind_key(&self, text: &Arc<str>, user_id: Id<User>, key: &SaleKey) -> Statement<'static> {
        statement(text)
            .bind(self.base.uuid(user_id))
            .bind(self.base.uuid(key.book_id))
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
            .bind(self.base.uuid(user_id))
            .bind(filter.days.first())
            .bind(filter.days.last())
            .bind(filter.platform.as_ref().map(|p| p.as_str().to_owned()))
            .bind(filter.book_id.map(|id| self.base.uuid(id)))
            .bind(filter.currency.as_ref().map(|c| c.as_str().to_owned()))
    }
}

/// A new sale as a record; the columns of [`NOT_IN_BATCH`] have no meaning yet.
fn sale(user_id: Id<User>, new: &NewSale) -> Sale {
    let NewSale {
        key: SaleKey {
            book_id,
            platform,
            date,
        },
        revenue,
        units,
        page_reads,
        currency,
    } = new;
    Sale {
        id: 0,
        user_id,
        book_id: *book_id,
        platform: platform.clone(),
        date: *date,
        revenue: *revenue,
        units: *units,
        page_reads: *page_reads,
        currency: currency.clone(),
        synced_at: None,
    }
}

#[async_trait]
impl SalesRepository for SqlSales {
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts> {
        if sales.is_empty() {
            self.base.known_user(user_id).await?;
            return Ok(UpsertCounts::default());
        }
        let batch = in_order(sales);
        retry_on_conflict(|| self.write(user_id, &batch)).await
    }

    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale> {
        let select = self.bind_key(&self.texts.get, user_id, key);
        let row = self.base.pool.fetch_optional(select).await?;
        self.base.read(&row.ok_or_else(Error::not_found)?)
    }

    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()> {
        let delete = self.bind_key(&self.texts.delete, user_id, key);
        let row = self.base.pool.fetch_optional(delete).await?;
        row.map(drop).ok_or_else(Error::not_found)
    }

    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>> {
        let sales = self.clone();
        // Page by page; each page begins after the last row of the previous one.
        let start = (filter, (Uuid::nil(), String::new()), false);
        let pages = stream::try_unfold(
            (sales, start),
            move |(sales, (mut filter, after, end))| async move {
                if end {
                    return Ok(None);
                }
                let select = sales
                    .bind_filter(&sales.texts.page, user_id, &filter)
                    .bind(after.0)
                    .bind(after.1.clone())
                    .bind(PAGE);
                let rows = sales.base.pool.fetch_all(select).await?;
                let page: VecDeque<Sale> = rows
                    .iter()
                    .map(|row| sales.base.read(row))
                    .collect::<Result<_>>()?;
                let end = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
                let Some(last) = page.back() else {
                    return Ok(None);
                };
                let place = (sales.base.uuid(last.book_id), last.platform.to_string());
                filter.days = Days::new(last.date, filter.days.last())?;
                let next = (sales, (filter, place, end));
                Ok::<_, Error>(Some((stream::iter(page.into_iter().map(Ok)), next)))
            },
        );
        pages.try_flatten().boxed()
    }

    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Vec<SalesTotal>> {
        let select = self.bind_filter(self.texts.totals(by), user_id, filter);
        let rows = self.base.pool.fetch_all(select).await?;
        let mut totals = Vec::with_capacity(rows.len());
        for row in &rows {
            let group = match by {
                TotalsBy::Currency => TotalsGroup::All,
                TotalsBy::Day | TotalsBy::Week | TotalsBy::Month => TotalsGroup::From(get(row, 0)?),
                TotalsBy::Platform => TotalsGroup::Platform(parsed(row, 0)?),
                TotalsBy::Book => TotalsGroup::Book(self.base.id(get(row, 0)?, "book_id")?),
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
        // The server may sort texts in another order.
        totals.sort_by(|a, b| (&a.group, &a.currency).cmp(&(&b.group, &b.currency)));
        Ok(totals)
    }
}
