use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use authorstack_core::{
    AggregateRepository, Book, Conversion, DailyAggregate, Days, Error, ErrorKind, Gap, GapReason,
    Id, Listed, Overview, RefreshReport, Result, SalesChannel, Sums, User, migrate::Stored,
    resilience::retry_on_conflict,
};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{
    base::{Base, statement, unknown_user},
    dialect::Dialect,
};
use crate::get;

#[derive(Debug)]
pub(super) struct SqlAggregates {
    base: Base,
    texts: Texts,
}

#[derive(Debug)]
struct Texts {
    /// Takes the lock, and says whether the user exists, where the database holds the users too.
    lock: Arc<str>,
    refresh: Arc<str>,
    range: Arc<str>,
    gaps: Arc<str>,
    overview: Arc<str>,
    /// A slower form that can also read counts that an old app wrote as 1.0.
    lenient_overview: Arc<str>,
}

/// One entry of a breakdown, as JSON.
const ENTRY: &str =
    "jsonb_build_object('revenue', revenue, 'units', units, 'page_reads', page_reads)";
const SUMS: &str = "sum(revenue) as revenue, sum(units) as units, sum(page_reads) as page_reads";
/// Whether the sums of a day fit into their columns.
const FITS: &str = "coalesce(abs(revenue), 0) < 100000000 \
    and units between -2147483648 and 2147483647 \
    and page_reads between -2147483648 and 2147483647";
/// The sums of entries. Counts are read with this type.
fn entry_sums(counts: &str) -> String {
    format!(
        "sum((value ->> 'revenue')::numeric), sum((value ->> 'units')::{counts})::bigint, \
         coalesce(sum((value ->> 'page_reads')::{counts}), 0)::bigint"
    )
}

/// The days, the sum of the days before, and the sums by platform and by book. The first column
/// shows which of these a row is.
fn overview(counts: &str) -> String {
    let sums = entry_sums(counts);
    format!(
        "with held as materialized ( \
           select date, total_revenue, total_units, coalesce(total_page_reads, 0) as total_page_reads, \
                  platform_breakdown, book_breakdown \
           from public.daily_aggregates where user_id = $1 and date between $2 and $3), \
         platforms as (select key as name, {sums} from held, \
           lateral jsonb_each(coalesce(platform_breakdown, '{{}}')) group by key), \
         books as (select key as name, {sums} from held, \
           lateral jsonb_each(coalesce(book_breakdown, '{{}}')) group by key) \
         select 'day', date, null::text, total_revenue, total_units::bigint, total_page_reads::bigint from held \
         union all \
         select 'before', null, null, sum(total_revenue), sum(total_units)::bigint, \
                sum(coalesce(total_page_reads, 0))::bigint \
           from public.daily_aggregates where user_id = $1 and date between $4 and $5 \
           having count(*) > 0 \
         union all select 'platform', null, platforms.* from platforms \
         union all select 'book', null, books.* from books"
    )
}

impl Texts {
    fn new(dialect: Dialect) -> Self {
        let columns = dialect.select_list(DailyAggregate::KIND);
        let digits = dialect.ids.digits("book_id");
        let (platform, currency) = (
            dialect.platform_of("platform"),
            dialect.currency("s.currency"),
        );
        // A day that cannot be rolled up loses its roll-up: an old one may be wrong.
        let refresh = format!(
            "with sale as materialized ( \
               select date, {platform} as platform, book_id, round(s.revenue * r.rate, 2) as revenue, \
                      s.units::bigint as units, coalesce(s.page_reads, 0)::bigint as page_reads, \
                      case when r.rate is null then {currency} end as unknown \
               from public.sales_data as s \
                 left join unnest($4::text[], $5::numeric[]) as r (currency, rate) \
                   on r.currency = {currency} \
               where user_id = $1 and date between $2 and $3), \
             by_platform as (select date, platform, {SUMS} from sale group by date, platform), \
             by_book as (select date, book_id, {SUMS} from sale group by date, book_id), \
             platforms as (select date, {SUMS}, jsonb_object_agg(platform, {ENTRY}) as breakdown \
               from by_platform group by date), \
             books as (select date, jsonb_object_agg({digits}, {ENTRY}) as breakdown \
               from by_book group by date), \
             gap as materialized ( \
               select date, array_agg(distinct unknown::text) as names \
               from sale where unknown is not null group by date \
               union all \
               select date, null from platforms \
               where not ({FITS}) \
                 and not exists (select from sale where sale.date = platforms.date \
                                 and unknown is not null)), \
             day as (select date, revenue, units, page_reads, platforms.breakdown as platforms, \
                            books.breakdown as books \
               from platforms join books using (date) \
               where not exists (select from gap where gap.date = platforms.date)), \
             removed as ( \
               delete from public.daily_aggregates as held \
               where user_id = $1 and date between $2 and $3 \
                 and (not exists (select from sale where sale.date = held.date) \
                      or exists (select from gap where gap.date = held.date)) \
               returning 1), \
             written as ( \
               insert into public.daily_aggregates as held \
                 (user_id, date, total_revenue, total_units, total_page_reads, platform_breakdown, book_breakdown) \
               select $1, date, revenue, units, page_reads, platforms, books from day order by date \
               on conflict (user_id, date) do update \
                 set total_revenue = excluded.total_revenue, total_units = excluded.total_units, \
                     total_page_reads = excluded.total_page_reads, \
                     platform_breakdown = excluded.platform_breakdown, \
                     book_breakdown = excluded.book_breakdown \
                 where (held.total_revenue, held.total_units, held.total_page_reads, \
                        held.platform_breakdown, held.book_breakdown) \
                   is distinct from (excluded.total_revenue, excluded.total_units, \
                        excluded.total_page_reads, excluded.platform_breakdown, excluded.book_breakdown) \
               returning 1) \
             select (select count(*) from written), (select count(*) from removed), gap.date, gap.names \
             from (select 1) as one left join gap on true order by gap.date"
        );
        let gaps = "select distinct s.date from public.sales_data as s \
                    where s.user_id = $1 and s.date between $2 and $3 \
                      and not exists (select from public.daily_aggregates as a \
                        where a.user_id = s.user_id and a.date = s.date) \
                    order by 1";
        let range = format!(
            "select {columns} from public.daily_aggregates \
             where user_id = $1 and date between $2 and $3 order by date"
        );
        // Where there are books, there are users.
        let known = if dialect.has_books {
            "exists (select from public.users where id = $2)"
        } else {
            "$2::uuid is not null"
        };
        let lock = format!("select pg_advisory_xact_lock($1), {known}");
        Self {
            lock: lock.into(),
            refresh: refresh.into(),
            range: range.into(),
            gaps: gaps.into(),
            overview: overview("bigint").into(),
            lenient_overview: overview("numeric").into(),
        }
    }
}

impl SqlAggregates {
    pub(super) fn new(base: Base) -> Self {
        let texts = Texts::new(base.dialect);
        Self { base, texts }
    }

    async fn recompute(
        &self,
        user_id: Id<User>,
        days: Days,
        conversion: &Conversion,
    ) -> Result<RefreshReport> {
        let (names, rates): (Vec<String>, Vec<Decimal>) = conversion
            .rates()
            .map(|(currency, rate)| (currency.to_string(), rate))
            .unzip();
        let user = self.base.uuid(user_id);
        let mut unit = self.base.pool.unit().await?;
        // Refreshes for one user run one after another: a statement after the lock sees everything
        // that was committed before.
        let lock = statement(&self.texts.lock).bind(lock_of(user)).bind(user);
        let locked = unit.fetch_optional(lock).await?;
        if !locked.map_or(Ok(false), |row| get(&row, 1))? {
            return Err(unknown_user(user_id));
        }
        let refresh = statement(&self.texts.refresh)
            .bind(user)
            .bind(days.first())
            .bind(days.last())
            .bind(names)
            .bind(rates);
        let rows = unit.fetch_all(refresh).await.map_err(too_large)?;
        let first = rows.first();
        let first = first.ok_or_else(|| Error::internal("a refresh has no counts"))?;
        let (written, removed): (i64, i64) = (get(first, 0)?, get(first, 1)?);
        let gaps = rows.iter().map(gap).filter_map(Result::transpose);
        let gaps = gaps.collect::<Result<_>>()?;
        unit.commit().await?;
        Ok(RefreshReport {
            written: written.unsigned_abs(),
            removed: removed.unsigned_abs(),
            gaps,
        })
    }

    /// The book of an entry of a breakdown, from its digits, or from its UUID if an old app wrote
    /// that.
    fn book(&self, name: &str) -> Result<Id<Book>> {
        match Uuid::try_parse(name) {
            Ok(uuid) => self.base.dialect.ids.read(uuid),
            Err(_) => name.parse(),
        }
    }
}

/// The day of a row that could not be rolled up, if the row has one.
fn gap(row: &PgRow) -> Result<Option<Gap>> {
    let date: Option<NaiveDate> = get(row, 2)?;
    let Some(date) = date else { return Ok(None) };
    let names: Option<Vec<String>> = get(row, 3)?;
    let reason = match names {
        None => GapReason::TooLarge,
        Some(names) => {
            let currencies = names.iter().map(|name| corrupt(name.parse()));
            GapReason::WithoutRate(currencies.collect::<Result<_>>()?)
        }
    };
    Ok(Some(Gap { date, reason }))
}

fn ranked<K: Ord>(sums: BTreeMap<K, Sums>, top: u32) -> Vec<(K, Sums)> {
    let mut sums: Vec<(K, Sums)> = sums.into_iter().collect();
    sums.sort_unstable_by(|(a, left), (b, right)| {
        right.revenue.cmp(&left.revenue).then_with(|| a.cmp(b))
    });
    sums.truncate(top as usize);
    sums
}

/// Three columns of sums.
fn sums(row: &PgRow, first: usize) -> Result<Sums> {
    Ok(Sums {
        revenue: get(row, first)?,
        units: get(row, first + 1)?,
        page_reads: get(row, first + 2)?,
    })
}

fn corrupt<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| Error::corrupt(error.kind().to_string()))
}

/// Whether an error is about stored values.
fn is_of_data(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Invalid { .. } | ErrorKind::Corrupt { .. }
    )
}

/// The error for a total that is too large for its column.
fn too_large(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Invalid { field, .. } if field == "value" => Error::invalid(
            "total_revenue",
            "a day's total is larger than the table can hold, 99999999.99 or 2147483647 units",
        ),
        _ => error,
    }
}

/// The key of the transaction lock of a user's refreshes and erasures.
pub(super) fn lock_of(user: Uuid) -> i64 {
    const REFRESH: u64 = 0x6175_7468_6f72_0003;
    let (high, low) = user.as_u64_pair();
    (high ^ low.rotate_left(17) ^ REFRESH).cast_signed()
}

#[async_trait]
impl AggregateRepository for SqlAggregates {
    async fn refresh(
        &self,
        user_id: Id<User>,
        days: Days,
        conversion: &Conversion,
    ) -> Result<RefreshReport> {
        retry_on_conflict(|| self.recompute(user_id, days, conversion)).await
    }

    async fn list(&self, user_id: Id<User>, days: Days) -> Result<Listed<DailyAggregate>> {
        let select = statement(&self.texts.range)
            .bind(self.base.uuid(user_id))
            .bind(days.first())
            .bind(days.last());
        let rows = self.base.pool.fetch_all(select).await?;
        Ok(self.base.read_all(&rows))
    }

    async fn gaps(&self, user_id: Id<User>, days: Days) -> Result<Vec<NaiveDate>> {
        let select = statement(&self.texts.gaps)
            .bind(self.base.uuid(user_id))
            .bind(days.first())
            .bind(days.last());
        let rows = self.base.pool.fetch_all(select).await?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    async fn overview(&self, user_id: Id<User>, days: Days, top: u32) -> Result<Overview> {
        // There are no days before the first possible one.
        let before = Some(days.before()).filter(|before| before.last() < days.first());
        let select = |text| {
            let select = statement(text)
                .bind(self.base.uuid(user_id))
                .bind(days.first())
                .bind(days.last())
                .bind(before.map(Days::first))
                .bind(before.map(Days::last));
            self.base.pool.fetch_all(select)
        };
        let texts = &self.texts;
        let rows = match select(&texts.overview).await {
            Err(error) if is_of_data(&error) => select(&texts.lenient_overview).await,
            rows => rows,
        };
        let summed = rows.and_then(|rows| self.summed(&rows, top));
        match summed {
            // Some roll-up cannot be read: the others are summed here.
            Err(error) if is_of_data(&error) => {
                let found = self.list(user_id, days).await?;
                let earlier = match before {
                    Some(before) => self.list(user_id, before).await?,
                    None => Listed::default(),
                };
                let mut overview = Overview::of(&found, &earlier, top as usize);
                overview.unreadable = [found.unreadable, earlier.unreadable].concat();
                Ok(overview)
            }
            summed => summed,
        }
    }
}

impl SqlAggregates {
    fn summed(&self, rows: &[PgRow], top: u32) -> Result<Overview> {
        let mut overview = Overview::default();
        // An old app may have named one thing in several ways: those sums are added up.
        let (mut platforms, mut books) = (BTreeMap::new(), BTreeMap::new());
        for row in rows {
            let (part, found): (&str, Sums) = (get(row, 0)?, sums(row, 3)?);
            match part {
                "day" => {
                    overview.totals += found;
                    overview.days.push((get(row, 1)?, found));
                }
                "before" => overview.previous = found,
                "platform" => {
                    let channel: SalesChannel = corrupt(get::<&str>(row, 2)?.parse())?;
                    *platforms.entry(channel.platform()).or_default() += found;
                }
                _ => *books.entry(corrupt(self.book(get(row, 2)?))?).or_default() += found,
            }
        }
        overview.days.sort_unstable_by_key(|(date, _)| *date);
        overview.platforms = ranked(platforms, top);
        overview.books = ranked(books, top);
        Ok(overview)
    }
}
