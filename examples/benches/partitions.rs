//! Sales partitioned by month against the plain table, in two databases of one server. The figures
//! have no limits: `docs/partitioning.md` draws the conclusions.

mod common;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use authorstack_core::{
    AuthorStack, Book, Conversion, Days, Id, NewSale, Platform, SaleKey, SalesFilter, TotalsBy,
    User,
};
use authorstack_examples::scratch::Scratch;
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use chrono::{Months, NaiveDate, Utc};
use clap::Parser;
use common::{Comparison, Pair, setting};
use sqlx::{
    AssertSqlSafe, Executor, PgPool,
    postgres::PgPoolOptions,
    query, query_scalar,
    types::{Decimal, Uuid},
};

const SCRIPT: &str =
    include_str!("../../authorstack-supabase/supabase/optional/partition_sales_data.sql");
/// Sales of a user, on average.
const SALES_OF_A_USER: u64 = 5_000;
/// Books of a user, each on three platforms.
const BOOKS: u64 = 10;
/// Rounds of long statements: each inserts, changes or removes a month of all users.
const LONG_ROUNDS: u32 = 3;

#[derive(Debug, Parser)]
struct Options {
    /// Sales, of all users
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// How many months they are spread over; the last one is the current month
    #[arg(long, default_value_t = 60)]
    months: u32,
    /// Pairs of rounds, after one that does not count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls in a round, where a call takes milliseconds
    #[arg(long, default_value_t = 20)]
    calls: usize,
    /// Sales in an upsert
    #[arg(long, default_value_t = 10_000)]
    sales: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// What `cargo bench` passes on
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(
        options.months > 2 * LONG_ROUNDS && options.rows >= 10_000,
        "too few months or rows"
    );
    let name = format!("as_bench_{:08x}", rand::random::<u32>());
    let (mongodb, supabase) = (
        setting("AUTHORSTACK_TEST_MONGODB_URL")?,
        setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?,
    );
    let plain = Scratch::create(&name, &mongodb, &supabase).await?;
    let outcome = Box::pin(filled(&plain, &options)).await;
    plain.remove().await?;
    outcome
}

async fn filled(plain: &Scratch, options: &Options) -> Result<()> {
    let started = Instant::now();
    let filled = Box::pin(fill(&plain.supabase_db_url(), options)).await;
    let (fill_seconds, users) = filled.context("filling the plain table")?;
    progress(started, "the plain table is full");
    let name = format!("as_bench_{:08x}", rand::random::<u32>());
    let partitioned = plain.copy(&name).await?;
    let measured = async {
        let stage = Stage {
            plain: Side::open(plain.supabase_db_url()).await?,
            partitioned: Side::open(partitioned.supabase_db_url()).await?,
            users,
            options,
            started,
        };
        let measured = Box::pin(stage.measure(fill_seconds)).await;
        stage.plain.close().await;
        stage.partitioned.close().await;
        measured
    };
    let outcome = measured.await;
    partitioned.remove().await?;
    outcome
}

fn progress(started: Instant, what: &str) {
    eprintln!("{:>5.0} s: {what}", started.elapsed().as_secs_f64());
}

/// The first day of the month so many months before this one.
fn month(behind: i32) -> Result<NaiveDate> {
    let today = Days::month(Utc::now().date_naive()).first();
    let months = Months::new(behind.unsigned_abs());
    let day = if behind < 0 {
        today.checked_sub_months(months)
    } else {
        today.checked_add_months(months)
    };
    day.context("no such month")
}

/// Makes users and their sales, without indexes first; answers how long the table took, with its
/// indexes, and the users.
async fn fill(url: &str, options: &Options) -> Result<(f64, Vec<Id<User>>)> {
    let store = SupabaseStore::connect(SupabaseConfig::new(url)).await?;
    store.migrate().await?;
    store.close().await;
    let pool = PgPool::connect(url).await?;
    let users = i64::try_from((options.rows / SALES_OF_A_USER).max(10))?;
    let id = |seconds: &str, rest: &str| {
        format!(
            "(lpad(to_hex({seconds}), 8, '0') || '00008000' || '8000' || lpad(to_hex({rest}), 6, '0') \
             || '000000')::uuid"
        )
    };
    let (user, book) = (
        id("1600000000 + u", "u"),
        id("1600000000 + 40 * u + b", "u"),
    );
    // An offer is a book of a user on a platform; neighbours are of different users.
    let make = format!(
        "insert into public.users (id, auth_id, auth_provider, email, name) \
         select {user}, 'bench' || u, 'appwrite', u || '@example.org', 'Bench' \
         from generate_series(0, {users} - 1) as u; \
         create schema bench; \
         create table bench.offers as \
         select row_number() over (order by b, p, u) - 1 as n, {user} as user_id, \
                {book} as book_id, p as platform \
         from generate_series(0, {users} - 1) as u, generate_series(1, {BOOKS}) as b, \
              unnest(array['kdp', 'gumroad', 'apple_books']) as p; \
         alter table bench.offers add primary key (n); \
         analyze bench.offers; \
         alter table public.sales_data set (autovacuum_enabled = off)"
    );
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&pool).await?;
    let started = Instant::now();
    let again = drop_indexes(&pool).await?;
    for back in 1 - i32::try_from(options.months)?..=0 {
        insert_month(&pool, month(back)?, options).await?;
    }
    for statement in again {
        pool.execute(AssertSqlSafe(statement)).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    pool.execute("vacuum (analyze) public.sales_data").await?;
    let uuids: Vec<Uuid> = query_scalar("select id from public.users order by id")
        .fetch_all(&pool)
        .await?;
    pool.close().await;
    let users: authorstack_core::Result<_> = uuids.into_iter().map(Id::from_uuid).collect();
    Ok((seconds, users?))
}

/// Drops the table's indexes and keys; answers what makes them again.
async fn drop_indexes(pool: &PgPool) -> Result<Vec<String>> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "select format('alter table public.sales_data drop constraint %I', conname), \
                format('alter table public.sales_data add constraint %I %s', conname, pg_get_constraintdef(oid)) \
         from pg_constraint where conrelid = 'public.sales_data'::regclass and contype in ('p', 'u', 'f') \
         union all \
         select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid) \
         from pg_index where indrelid = 'public.sales_data'::regclass and not indisunique \
         order by 2",
    )
    .fetch_all(pool)
    .await?;
    let mut again = Vec::new();
    for (drop, make) in found {
        pool.execute(AssertSqlSafe(drop)).await?;
        again.push(make);
    }
    Ok(again)
}

/// A month of sales of all users, day by day.
async fn insert_month(pool: &PgPool, first: NaiveDate, options: &Options) -> Result<()> {
    let days = f64::from(options.months) * 365.25 / 12.0;
    let insert = query(
        "insert into public.sales_data (user_id, book_id, platform, date, revenue, units, page_reads) \
         select user_id, book_id, platform, day::date, (random() * 90)::numeric(10,2), \
                (random() * 9)::int, (random() * 900)::int \
         from (select round($3 / $4)::bigint as per_day, (select count(*) from bench.offers) as offers) as c, \
              generate_series($1::date::timestamp, $2::date::timestamp, '1 day') as day, \
              generate_series(0, per_day - 1) as nth, bench.offers \
         where n = \
           ((day::date - '2000-01-01'::date) * per_day + nth) % offers",
    );
    insert
        .bind(first)
        .bind(Days::month(first).last())
        .bind(f64::from(u32::try_from(options.rows)?))
        .bind(days)
        .execute(pool)
        .await?;
    Ok(())
}

/// One of the two databases.
struct Side {
    url: String,
    store: SupabaseStore,
    stack: AuthorStack,
    pool: PgPool,
}

impl Side {
    async fn open(url: String) -> Result<Self> {
        let pool = PgPoolOptions::new().test_before_acquire(false);
        let store = SupabaseStore::connect(SupabaseConfig::new(&url)).await?;
        Ok(Self {
            stack: AuthorStack::builder().store(&store).build(),
            store,
            pool: pool.connect(&url).await?,
            url,
        })
    }

    async fn close(&self) {
        self.store.close().await;
        self.pool.close().await;
    }

    /// Milliseconds of statements, each in a transaction of its own.
    async fn run(&self, statements: &[String]) -> Result<f64> {
        let started = Instant::now();
        for statement in statements {
            self.pool.execute(AssertSqlSafe(statement.as_str())).await?;
        }
        Ok(started.elapsed().as_secs_f64() * 1_000.0)
    }

    async fn number(&self, sql: &str) -> Result<f64> {
        let sql = format!("select ({sql})::float8");
        Ok(query_scalar(AssertSqlSafe(sql))
            .fetch_one(&self.pool)
            .await?)
    }

    /// Pages that the server fetched from outside its shared buffers, without new ones,
    /// which it counts as well: a number to subtract from a later one.
    async fn pages_read(&self) -> Result<f64> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let read = "select blks_read - pg_database_size(datname) / 8192 \
                    from pg_stat_database where datname = current_database()";
        self.number(read).await
    }

    async fn upsert(&self, user: Id<User>, sales: &[NewSale]) -> Result<()> {
        let counts = self.stack.sales().upsert(user, sales).await?;
        ensure!(counts.inserted == sales.len() as u64, "{counts:?}");
        Ok(())
    }
}

/// Both, with the same rows.
struct Stage<'o> {
    plain: Side,
    partitioned: Side,
    users: Vec<Id<User>>,
    options: &'o Options,
    started: Instant,
}

impl Stage<'_> {
    async fn measure(&self, fill_seconds: f64) -> Result<()> {
        let mut script = self.partitioned.pool.begin().await?;
        let started = Instant::now();
        sqlx::raw_sql(SCRIPT).execute(&mut *script).await?;
        script.commit().await?;
        let pair = (started.elapsed().as_secs_f64(), fill_seconds);
        let peer = "filling and indexing the plain table";
        self.print("the script", peer, "s", vec![pair]);
        // Vacuumed when the benchmark says so, not when autovacuum starts.
        let quiet = "do $$ declare part regclass; begin \
             for part in select relid from pg_partition_tree('public.sales_data') where isleaf loop \
               execute format('alter table %s set (autovacuum_enabled = off)', part); \
             end loop; end $$";
        let vacuum = "vacuum (analyze) public.sales_data";
        self.partitioned
            .run(&[quiet.to_owned(), vacuum.to_owned()])
            .await?;
        self.sizes().await?;
        progress(self.started, "both tables are filled");

        let this_month = Days::month(month(0)?);
        let months = i32::try_from(self.options.months)?;
        let year = Days::new(month(-11)?, this_month.last())?;
        let all = Days::new(month(1 - months)?, this_month.last())?;
        self.totals("totals of a month", this_month).await?;
        self.totals("totals of a year", year).await?;
        self.totals("totals of all months", all).await?;
        self.by_number().await?;
        self.refreshes(this_month).await?;
        progress(self.started, "the queries are measured");
        self.upserts(this_month).await?;
        self.bulk().await?;
        progress(self.started, "the writes are measured");
        self.vacuums().await?;
        self.analyzes().await?;
        self.retention().await?;
        self.deletions().await?;
        progress(self.started, "done");
        Ok(())
    }

    async fn sizes(&self) -> Result<()> {
        let sum = |function: &str, which: &str| {
            format!(
                "select sum({function}(relid)) / 1048576.0 \
                 from (select 'public.sales_data'::regclass as relid \
                       union select relid from pg_partition_tree('public.sales_data') where isleaf) as t \
                 where relid::text ~ '{which}'"
            )
        };
        let (heap, indexes) = ("pg_relation_size", "pg_indexes_size");
        for (name, function) in [("rows", heap), ("indexes", indexes)] {
            let pair = (
                self.partitioned.number(&sum(function, "_")).await?,
                self.plain.number(&sum(function, "_")).await?,
            );
            self.print(&format!("size of the {name}"), "plain", "MB", vec![pair]);
        }
        // Of a plain table the rows of a month lie together, and the primary key grows at its end;
        // the other indexes are hit everywhere.
        let this = month(0)?.format("%Y_%m").to_string();
        let rows = self.partitioned.number(&sum(heap, &this)).await?;
        let hit = "select sum(pg_relation_size(indexrelid)) / 1048576.0 from pg_index \
             where indrelid = 'public.sales_data'::regclass and not indisprimary";
        let pair = (
            rows + self.partitioned.number(&sum(indexes, &this)).await?,
            rows + self.plain.number(hit).await?,
        );
        self.print("size of what a month hits", "plain", "MB", vec![pair]);
        Ok(())
    }

    fn somebody(&self) -> Id<User> {
        self.users[rand::random_range(..self.users.len())]
    }

    async fn totals(&self, name: &str, days: Days) -> Result<()> {
        let filter = SalesFilter::of(days);
        let read = async |side: &Side, user| {
            let sales = side.stack.sales();
            let totals = sales.totals(user, &filter, TotalsBy::Currency).await?;
            ensure!(!totals.is_empty(), "no sales");
            Ok(())
        };
        self.calls(name, read).await
    }

    /// Reads as a migration does, which knows only the number.
    async fn by_number(&self) -> Result<()> {
        let newest = self
            .plain
            .number("select max(id) from public.sales_data")
            .await?;
        let read = async |side: &Side, user: Id<User>| {
            // The same number on both sides.
            let part = f64::from(user.to_uuid().as_fields().0 % 1_000) / 1_000.0;
            let found: Option<Decimal> = query_scalar(
                "select revenue from public.sales_data where id = ceil($1::float8)::bigint",
            )
            .bind(1.0 + newest * part)
            .fetch_optional(&side.pool)
            .await?;
            std::hint::black_box(found);
            Ok(())
        };
        self.calls("a sale by its number alone", read).await
    }

    async fn refreshes(&self, days: Days) -> Result<()> {
        let dollars = Conversion::into("USD".parse()?);
        let refresh = async |side: &Side, user| {
            let aggregates = side.stack.aggregates();
            let done = aggregates.refresh(user, days, &dollars).await?;
            ensure!(done.removed == 0, "{done:?}");
            Ok(())
        };
        self.calls("refresh of a user's month", refresh).await
    }

    /// Calls about random users, both sides in turn.
    async fn calls(
        &self,
        name: &str,
        call: impl AsyncFn(&Side, Id<User>) -> Result<()>,
    ) -> Result<()> {
        let mut pairs = Vec::new();
        for round in 0..=self.options.rounds {
            let mut pair = Pair::default();
            for nth in 0..self.options.calls {
                let user = self.somebody();
                pair.time(nth, call(&self.partitioned, user), call(&self.plain, user))
                    .await?;
            }
            if round > 0 {
                pairs.push(pair.medians());
            }
        }
        self.print(name, "plain", "ms", pairs);
        Ok(())
    }

    /// New sales of one author.
    fn sales(&self, days: Days) -> Result<Vec<NewSale>> {
        let platforms = [Platform::KDP, Platform::GUMROAD, Platform::APPLE_BOOKS];
        let books = self.options.sales.div_ceil(days.len() * platforms.len());
        let ids: Vec<Id<Book>> = (0..books).map(|_| Id::new()).collect();
        let dollars: authorstack_core::Currency = "USD".parse()?;
        let price = "4.99".parse()?;
        let keys = ids.into_iter().flat_map(|book_id| {
            let platforms = platforms.clone();
            days.iter().flat_map(move |date| {
                platforms
                    .clone()
                    .map(|platform| SaleKey::new(book_id, platform, date))
            })
        });
        let sales = keys.map(|key| NewSale::new(key, price, dollars.clone()));
        Ok(sales.take(self.options.sales).collect())
    }

    async fn upserts(&self, days: Days) -> Result<()> {
        let count = self.options.sales;
        let mut pairs = Vec::new();
        for round in 0..=self.options.rounds {
            let mut pair = Pair::default();
            let (user, sales) = (self.somebody(), self.sales(days)?);
            let ours = self.partitioned.upsert(user, &sales);
            pair.time(round, ours, self.plain.upsert(user, &sales))
                .await?;
            if round > 0 {
                pairs.push(pair.medians());
            }
        }
        self.print(&format!("upsert of {count} sales"), "plain", "ms", pairs);
        let (user, sales) = (self.somebody(), self.sales(days)?);
        let pages = self.pages(async |side: &Side| {
            let once = Side::open(side.url.clone()).await?;
            once.upsert(user, &sales).await?;
            once.close().await;
            Ok(())
        });
        self.print("  pages read for it", "plain", "pages", vec![pages.await?]);
        Ok(())
    }

    /// Pages that the same work fetches on each side, by connections that it closes: a connection
    /// notes its pages when it ends, or when it is idle for ten seconds.
    async fn pages(&self, work: impl AsyncFn(&Side) -> Result<()>) -> Result<(f64, f64)> {
        tokio::time::sleep(Duration::from_secs(11)).await;
        let mut pages = Vec::new();
        for side in [&self.partitioned, &self.plain] {
            let before = side.pages_read().await?;
            work(side).await?;
            // At least one: the count is rough, and there must be a ratio.
            pages.push((side.pages_read().await? - before).max(1.0));
        }
        Ok((pages[0], pages[1]))
    }

    /// The next months, all at once, into partitions that are there.
    async fn bulk(&self) -> Result<()> {
        let make = format!("select authorstack.make_sales_partitions({LONG_ROUNDS} + 1)");
        self.partitioned.run(&[make]).await?;
        let mut pairs = Vec::new();
        for round in 1..=LONG_ROUNDS {
            let first = month(i32::try_from(round)?)?;
            let mut pair = Pair::default();
            let ours = insert_month(&self.partitioned.pool, first, self.options);
            let theirs = insert_month(&self.plain.pool, first, self.options);
            pair.time(usize::try_from(round)?, ours, theirs).await?;
            pairs.push(pair.medians());
        }
        self.print("insert of a month of all users", "plain", "ms", pairs);
        let last = month(i32::try_from(LONG_ROUNDS + 1)?)?;
        let pages = self.pages(async |side: &Side| {
            let pool = PgPool::connect(&side.url).await?;
            insert_month(&pool, last, self.options).await?;
            pool.close().await;
            Ok(())
        });
        self.print("  pages read for it", "plain", "pages", vec![pages.await?]);
        Ok(())
    }

    /// Times statements that come as (not measured, measured) on both sides, in turn.
    async fn statements(
        &self,
        name: &str,
        make: impl Fn(u32, bool) -> Result<(Vec<String>, Vec<String>)>,
    ) -> Result<()> {
        let mut pairs = Vec::new();
        for round in 0..LONG_ROUNDS {
            let (mut ours, mut theirs) = (0.0, 0.0);
            for is_ours in [round % 2 == 0, round % 2 == 1] {
                let side = if is_ours {
                    &self.partitioned
                } else {
                    &self.plain
                };
                let (before, measured) = make(round, is_ours)?;
                side.run(&before).await?;
                let took = side.run(&measured).await?;
                *(if is_ours { &mut ours } else { &mut theirs }) = took;
            }
            pairs.push((ours, theirs));
        }
        self.print(name, "plain", "ms", pairs);
        Ok(())
    }

    /// After every sale of a month has changed. `index_cleanup`, since below two percent of the
    /// pages VACUUM leaves the indexes and the dead rows' places as they are.
    async fn vacuums(&self) -> Result<()> {
        let statements = |round: u32, is_ours: bool| {
            let first = month(-i32::try_from(round)?)?;
            let last = Days::month(first).last();
            let change = format!(
                "update public.sales_data set units = units + 1 where date between '{first}' and '{last}'"
            );
            let table = if is_ours {
                partition(first)
            } else {
                "public.sales_data".to_owned()
            };
            let vacuum = format!("vacuum (analyze, index_cleanup on) {table}");
            Ok((vec![change], vec![vacuum]))
        };
        self.statements("vacuum after a changed month", statements)
            .await
    }

    async fn analyzes(&self) -> Result<()> {
        let analyze = |_, _| Ok((vec![], vec!["analyze public.sales_data".to_owned()]));
        self.statements("analyze of the whole table", analyze).await
    }

    /// The oldest months are removed.
    async fn retention(&self) -> Result<()> {
        let oldest = 1 - i32::try_from(self.options.months)?;
        let statements = |round: u32, is_ours: bool| {
            let first = month(oldest + i32::try_from(round)?)?;
            let next = month(oldest + i32::try_from(round)? + 1)?;
            let measured = if is_ours {
                let part = partition(first);
                vec![
                    format!("alter table public.sales_data detach partition {part}"),
                    format!("drop table {part}"),
                ]
            } else {
                vec![
                    format!("delete from public.sales_data where date < '{next}'"),
                    "vacuum (index_cleanup on) public.sales_data".to_owned(),
                ]
            };
            Ok((vec![], measured))
        };
        self.statements("removing the oldest month", statements)
            .await
    }

    async fn deletions(&self) -> Result<()> {
        let mut pairs = Vec::new();
        for (round, user) in self.users.iter().take(self.options.rounds).enumerate() {
            let delete = async |side: &Side| Ok(side.stack.users().delete(*user).await?);
            let mut pair = Pair::default();
            pair.time(round, delete(&self.partitioned), delete(&self.plain))
                .await?;
            pairs.push(pair.medians());
        }
        self.print("deleting a user", "plain", "ms", pairs);
        Ok(())
    }

    fn print(
        &self,
        name: &str,
        peer_name: &'static str,
        unit: &'static str,
        pairs: Vec<(f64, f64)>,
    ) {
        Comparison {
            bench: name.to_owned(),
            peer_name,
            goal: None,
            unit,
            pairs,
            peak_mb: None,
        }
        .print(self.options.json);
    }
}

fn partition(day: NaiveDate) -> String {
    format!("authorstack.sales_data_{}", day.format("%Y_%m"))
}
