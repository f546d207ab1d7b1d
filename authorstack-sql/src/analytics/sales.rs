use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    Currency, Days, Error, Extra, Id, Listed, NewSale, Result, Sale, SaleKey, SalesFilter,
    SalesRepository, SalesTotal, Sums, TotalsBy, TotalsGroup, Unreadable, UpsertCounts, User,
    migrate::Stored,
    resilience::retry_on_conflict,
    sales::{currency_conflict, in_order, several_spellings},
    time,
};
use chrono::{DateTime, NaiveDate, Utc};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use sqlx::{
    Decode, Postgres, Row, Type,
    postgres::{PgArguments, PgRow},
};
use uuid::Uuid;

use super::{
    base::{Base, parsed, statement, statement_with},
    dialect::Dialect,
};
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
    totals: [Arc<str>; 7],
}

/// The filter; it has seven parameters.
fn filter(dialect: Dialect) -> String {
    format!(
        "user_id = $1 and date between $2 and $3 \
         and ($4::text is null or {platform} = $4) and ($5::text is null or {market} = $5) \
         and ($6::uuid is null or book_id = $6) and ($7::text is null or {currency} = $7)",
        platform = dialect.platform_of("platform"),
        market = dialect.market_of("platform"),
        currency = dialect.currency("currency"),
    )
}

/// The rows of a batch, whose arrays are the parameters from the third on, and the rows of the table
/// that are in the way of one. A row that an old app wrote in capitals keeps its spelling; there
/// must be only one such row for a sale.
fn incoming(base: &Base, arrays: &ArrayWriter) -> (String, String) {
    const NUMBER: &str =
        "nextval((select pg_get_serial_sequence('public.sales_data', 'id')::regclass))";
    let list = arrays.names().join(", ");
    let given = format!("unnest({}) as t ({list})", arrays.parameters(3));
    if !base.dialect.any_case {
        let incoming =
            format!("incoming as materialized (select {NUMBER} as id, t.* from {given})");
        return (incoming, String::new());
    }
    let folded = base.dialect.folded("platform");
    let columns = arrays.names().into_iter().map(|name| match name {
        "platform" => "coalesce(odd.spelling, t.platform) as platform".to_owned(),
        name => format!("t.{name}"),
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let incoming = format!(
        "odd as materialized ( \
           select book_id, date, {folded} as platform, min(platform::text collate \"C\") as spelling, \
                  array_agg(platform::text order by platform::text collate \"C\") as spellings \
           from public.sales_data where user_id = $1 and platform <> {folded} group by 1, 2, 3), \
         incoming as materialized ( \
           select {NUMBER} as id, {columns} from {given} left join odd using (book_id, date, platform))"
    );
    let several = "union all \
           select odd.book_id, odd.platform, odd.date, null, \
                  array_to_string(odd.spellings || even.platform::text, ', ') \
           from odd join incoming on incoming.book_id = odd.book_id and incoming.date = odd.date \
               and incoming.platform = odd.spelling \
             left join public.sales_data as even on even.user_id = $1 \
               and even.book_id = odd.book_id and even.date = odd.date and even.platform = odd.platform \
           where even.platform is not null or cardinality(odd.spellings) > 1";
    (incoming, several.to_owned())
}

/// Columns that are not in a batch: the number is generated, the others are equal for all rows.
const NOT_IN_BATCH: &[&str] = &["id", "user_id", "synced_at"];

/// A column by its name.
fn named<'r, T>(row: &'r PgRow, column: &str) -> Result<T>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    let value = row.try_get(column);
    value.map_err(|error| Error::corrupt(format!("{column}: {error}")))
}

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
    let (incoming, several) = incoming(base, &arrays);
    let stored = |table: &str| base.dialect.currency(&format!("{table}.currency"));
    // Row numbers are generated first. They show which rows were inserted and which were updated.
    format!(
        "with {incoming}, \
         written as ( \
           insert into public.sales_data as held (id, user_id, synced_at, {list}) \
           select id, $1, {now}, {list} from incoming \
           on conflict ({conflict}) do update \
             set {set}, synced_at = excluded.synced_at \
             where ({held}, {held_currency}) is distinct from ({excluded}, excluded.currency) \
           returning id, {key}, {currency} as currency), \
         updated as (select * from written where not exists \
           (select from incoming where incoming.id = written.id)) \
         select (select count(*) from written), (select count(*) from updated), \
                refused.book_id, refused.platform, refused.date, refused.stored, refused.currency \
         from (select 1) as one left join ( \
           (select updated.book_id, updated.platform::text, updated.date, \
                  updated.currency as stored, incoming.currency \
           from updated join incoming using ({key}) \
           where updated.currency <> incoming.currency order by 1, 2, 3 limit 100) {several} \
         ) as refused on true",
        held_currency = stored("held"),
        currency = stored("held"),
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
        let dialect = base.dialect;
        let (folded, filter) = (dialect.folded("platform"), filter(dialect));
        let currency = dialect.currency("currency");
        let key = format!("user_id = $1 and book_id = $2 and {folded} = $3 and date = $4");
        let totals = |group: &str| {
            let sums = "sum(revenue), sum(units)::bigint, sum(coalesce(page_reads, 0))::bigint";
            let text = format!(
                "select {group}, {currency}, {sums} from public.sales_data \
                 where {filter} group by 1, 2"
            );
            text.into()
        };
        let get = format!("select {columns} from public.sales_data where {key}");
        let delete = format!("delete from public.sales_data where {key} returning 1");
        let page = format!(
            "select {columns}, {folded} as place, id::bigint as number \
             from public.sales_data where {filter} \
             and (date, book_id, {folded} collate \"C\", id) > ($2, $8, $9, $10) \
             order by date, book_id, {folded} collate \"C\", id limit $11"
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
                totals(&dialect.platform_of("platform::text")),
                totals(&dialect.folded("platform::text")),
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
            TotalsBy::Market => &self.totals[5],
            TotalsBy::Book => &self.totals[6],
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
            let (mut changed, mut several) = (Vec::new(), Vec::new());
            for row in &rows {
                let book: Option<Uuid> = get(row, 2)?;
                let Some(book) = book else { continue };
                let key = SaleKey {
                    book_id: self.base.id(book, "book_id")?,
                    channel: parsed(row, 3)?,
                    date: get(row, 4)?,
                };
                match get::<Option<&str>>(row, 5)? {
                    Some(_) => changed.push((key, parsed(row, 5)?, parsed(row, 6)?)),
                    None => several.push((key, get(row, 6)?)),
                }
            }
            // Dropping the transaction rolls it back.
            if !several.is_empty() {
                return Err(several_spellings(&several));
            }
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
            .bind(key.channel.as_str().to_owned())
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
            .bind(filter.market.as_ref().map(|m| m.as_str().to_owned()))
            .bind(filter.book_id.map(|id| self.base.uuid(id)))
            .bind(filter.currency.as_ref().map(|c| c.as_str().to_owned()))
    }
}

impl SqlSales {
    /// Reads a group of sales.
    fn total(&self, by: TotalsBy, row: &PgRow) -> Result<SalesTotal, Unreadable> {
        let group = || -> Result<TotalsGroup> {
            Ok(match by {
                TotalsBy::Currency => TotalsGroup::All,
                TotalsBy::Day | TotalsBy::Week | TotalsBy::Month => TotalsGroup::From(get(row, 0)?),
                TotalsBy::Platform => TotalsGroup::Platform(parsed(row, 0)?),
                TotalsBy::Market => TotalsGroup::Market(parsed(row, 0)?),
                TotalsBy::Book => TotalsGroup::Book(self.base.id(get(row, 0)?, "book_id")?),
            })
        };
        let sums = || -> Result<Sums> {
            Ok(Sums {
                revenue: get(row, 2)?,
                units: get(row, 3)?,
                page_reads: get(row, 4)?,
            })
        };
        let (group, currency, sums) = (group(), parsed::<Currency>(row, 1), sums());
        match (group, currency, sums) {
            (Ok(group), Ok(currency), Ok(sums)) => Ok(SalesTotal {
                group,
                currency,
                sums,
            }),
            (group, currency, sums) => {
                let of_group = match by {
                    TotalsBy::Currency | TotalsBy::Day | TotalsBy::Week | TotalsBy::Month => "date",
                    TotalsBy::Platform | TotalsBy::Market => "platform",
                    TotalsBy::Book => "book_id",
                };
                let at_fault = [
                    group.err().map(|_| of_group),
                    currency.err().map(|_| "currency"),
                    sums.err().map(|_| "revenue"),
                ];
                let fields = at_fault.into_iter().flatten().map(str::to_owned).collect();
                let uuid = || get::<Uuid>(row, 0).map(|uuid| uuid.to_string());
                let day = || get::<NaiveDate>(row, 0).map(|day| day.to_string());
                let name = get::<String>(row, 0).or_else(|_| uuid()).or_else(|_| day());
                let currency = get::<String>(row, 1).unwrap_or_default();
                let key = format!("{} {currency}", name.unwrap_or_default());
                Err(Unreadable::new(Sale::KIND.as_str(), key.trim(), fields))
            }
        }
    }
}

/// A new sale as a record; the columns of [`NOT_IN_BATCH`] have no meaning yet.
fn sale(user_id: Id<User>, new: &NewSale) -> Sale {
    let NewSale {
        key: SaleKey {
            book_id,
            channel,
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
        channel: channel.clone(),
        date: *date,
        revenue: *revenue,
        units: *units,
        page_reads: *page_reads,
        currency: currency.clone(),
        synced_at: None,
        extra: Extra::new(),
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
        match self.base.pool.fetch_all(select).await?.as_slice() {
            [] => Err(Error::not_found()),
            [row] => self.base.read(row),
            rows => {
                let held = rows.iter().map(|row| self.base.read(row));
                let held = held.collect::<Result<Vec<Sale>>>()?;
                let numbers = held.iter().map(|sale| sale.id.to_string());
                let numbers = numbers.collect::<Vec<_>>().join(", ");
                Err(several_spellings(&[(
                    key.clone(),
                    format!("sales {numbers}"),
                )]))
            }
        }
    }

    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()> {
        let delete = self.bind_key(&self.texts.delete, user_id, key);
        // Several rows, if an old app spelled the platform in several ways.
        let rows = self.base.pool.fetch_all(delete).await?;
        rows.first().map(drop).ok_or_else(Error::not_found)
    }

    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>> {
        let sales = self.clone();
        // Page by page; each page begins after the last row of the previous one.
        let start = (filter, (Uuid::nil(), String::new(), 0_i64), false);
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
                    .bind(after.2)
                    .bind(PAGE);
                let rows = sales.base.pool.fetch_all(select).await?;
                let end = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
                let Some(last) = rows.last() else {
                    return Ok(None);
                };
                // Read on their own: the last row may be one that cannot be read.
                let place: (Uuid, String, i64) = (
                    named(last, "book_id")?,
                    named(last, "place")?,
                    named(last, "number")?,
                );
                filter.days = Days::new(named(last, "date")?, filter.days.last())?;
                let page: VecDeque<Result<Sale>> = rows
                    .iter()
                    .map(|row| sales.base.listed(row).map_err(Error::from))
                    .collect();
                let next = (sales, (filter, place, end));
                Ok::<_, Error>(Some((stream::iter(page), next)))
            },
        );
        pages.try_flatten().boxed()
    }

    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Listed<SalesTotal>> {
        let select = self.bind_filter(self.texts.totals(by), user_id, filter);
        let rows = self.base.pool.fetch_all(select).await?;
        let mut totals: Listed<SalesTotal> = rows.iter().map(|row| self.total(by, row)).collect();
        // The server may sort texts in another order.
        totals
            .items
            .sort_by(|a, b| (&a.group, &a.currency).cmp(&(&b.group, &b.currency)));
        Ok(totals)
    }
}
