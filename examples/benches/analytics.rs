//! The analytics, against the same work by hand: a refresh of a year's roll-ups, an upsert of ten
//! thousand sales, a dashboard.

mod common;

use std::time::Instant;

use anyhow::{Result, ensure};
use authorstack_core::{
    AuthorStack, Book, Conversion, Days, Id, InsightKind, NewForecast, NewInsight, NewSale,
    NewUser, Platform, SaleKey, User,
    services::{Dashboard, DashboardQuery},
};
use authorstack_examples::scratch::Scratch;
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use chrono::NaiveDate;
use clap::Parser;
use common::{Comparison, Pair, dashboard, setting};
use sqlx::{Executor, PgPool, postgres::PgPoolOptions, query, types::Decimal};
use uuid::Uuid;

#[derive(Debug, Parser)]
struct Options {
    /// Pairs of rounds, after one that does not count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Books of the user, each sold on three platforms every day of a year
    #[arg(long, default_value_t = 200)]
    books: usize,
    /// Sales in an upsert
    #[arg(long, default_value_t = 10_000)]
    sales: usize,
    /// Dashboards in a round
    #[arg(long, default_value_t = 20)]
    dashboards: usize,
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
    let name = format!("as_bench_{:08x}", rand::random::<u32>());
    let (mongodb, supabase) = (
        setting("AUTHORSTACK_TEST_MONGODB_URL")?,
        setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?,
    );
    let scratch = Scratch::create(&name, &mongodb, &supabase).await?;
    let outcome = Box::pin(bench(&scratch.supabase_db_url(), &options)).await;
    scratch.remove().await?;
    outcome
}

async fn bench(url: &str, options: &Options) -> Result<()> {
    let store = SupabaseStore::connect(SupabaseConfig::new(url)).await?;
    store.migrate().await?;
    // As in our store: no round trip before each call to see whether the connection lives.
    let pool = PgPoolOptions::new().test_before_acquire(false);
    let pool = pool.connect(url).await?;
    let stack = AuthorStack::builder().store(&store).build();
    let stage = Stage::new(&stack, &pool, options).await?;
    let measured = async {
        stage.refreshes().await?;
        Box::pin(stage.upserts()).await?;
        stage.dashboards().await
    };
    let measured = measured.await;
    pool.close().await;
    store.close().await;
    measured
}

/// A user with a year of sales.
struct Stage<'s> {
    stack: &'s AuthorStack,
    pool: &'s PgPool,
    options: &'s Options,
    user: Id<User>,
    year: Days,
}

fn january(year: i32) -> Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, 1, 1).ok_or_else(|| anyhow::anyhow!("no such year"))
}

impl<'s> Stage<'s> {
    async fn new(stack: &'s AuthorStack, pool: &'s PgPool, options: &'s Options) -> Result<Self> {
        let author = NewUser::new("bench".parse()?, "bench@example.org".parse()?, "Bench");
        let user = stack.users().create(author).await?.id;
        let books: Vec<Uuid> = (0..options.books)
            .map(|_| Id::<Book>::new().to_uuid())
            .collect();
        let fill = query(
            "insert into public.sales_data (user_id, book_id, platform, date, revenue, units, page_reads) \
             select $1, book, platform, date, (random() * 90)::numeric(10,2), (random() * 9)::int, (random() * 900)::int \
             from generate_series($3::date::timestamp, $4::date::timestamp, '1 day') as date, \
                  unnest($2::uuid[]) as book, unnest(array['kdp', 'gumroad', 'apple_books']) as platform",
        );
        let year = Days::year(january(2023)?);
        fill.bind(user.to_uuid())
            .bind(books)
            .bind(year.first())
            .bind(year.last())
            .execute(pool)
            .await?;
        pool.execute("analyze public.sales_data").await?;
        Ok(Self {
            stack,
            pool,
            options,
            user,
            year,
        })
    }

    async fn forget_roll_ups(&self) -> Result<()> {
        self.pool
            .execute("delete from public.daily_aggregates")
            .await?;
        self.pool.execute("vacuum public.daily_aggregates").await?;
        Ok(())
    }

    /// Refreshes the roll-ups of a user's year.
    async fn refreshes(&self) -> Result<()> {
        let dollars = Conversion::into("USD".parse()?);
        let days = self.year.len();
        let mut pairs = Vec::new();
        for round in 0..=self.options.rounds {
            let (mut ours, mut theirs) = (0.0, 0.0);
            for is_ours in [round % 2 == 0, round % 2 == 1] {
                // What a side writes is removed before its turn, and that is not timed.
                self.forget_roll_ups().await?;
                let started = Instant::now();
                if is_ours {
                    let aggregates = self.stack.aggregates();
                    let done = aggregates.refresh(self.user, self.year, &dollars).await?;
                    ensure!(done.written == days as u64, "{done:?}");
                    ours = started.elapsed().as_secs_f64() * 1_000.0;
                } else {
                    self.refresh_by_hand().await?;
                    theirs = started.elapsed().as_secs_f64() * 1_000.0;
                }
            }
            if round > 0 {
                pairs.push((ours, theirs));
            }
        }
        let name = format!("analytics refresh, {} books", self.options.books);
        self.print(name, "the same SQL by hand", 1.1, pairs);
        Ok(())
    }

    async fn refresh_by_hand(&self) -> Result<()> {
        let sql = "with sale as materialized ( \
              select date, platform, book_id, round(revenue * rate, 2) as revenue, \
                     units::bigint as units, page_reads::bigint as page_reads \
              from public.sales_data join (values ('USD', 1::numeric)) as r (currency, rate) using (currency) \
              where user_id = $1 and date between $2 and $3), \
            platforms as ( \
              select date, sum(revenue) as revenue, sum(units) as units, sum(page_reads) as page_reads, \
                     jsonb_object_agg(platform, jsonb_build_object('revenue', revenue, 'units', units, 'page_reads', page_reads)) as breakdown \
              from (select date, platform, sum(revenue) as revenue, sum(units) as units, sum(page_reads) as page_reads \
                    from sale group by date, platform) as p group by date), \
            books as ( \
              select date, jsonb_object_agg(authorstack.id_text(book_id), \
                     jsonb_build_object('revenue', revenue, 'units', units, 'page_reads', page_reads)) as breakdown \
              from (select date, book_id, sum(revenue) as revenue, sum(units) as units, sum(page_reads) as page_reads \
                    from sale group by date, book_id) as b group by date), \
            removed as (delete from public.daily_aggregates as held \
              where user_id = $1 and date between $2 and $3 \
                and not exists (select from sale where sale.date = held.date)) \
            insert into public.daily_aggregates \
              (user_id, date, total_revenue, total_units, total_page_reads, platform_breakdown, book_breakdown) \
            select $1, date, revenue, units, page_reads, platforms.breakdown, books.breakdown \
            from platforms join books using (date) \
            on conflict (user_id, date) do update set total_revenue = excluded.total_revenue, \
              total_units = excluded.total_units, total_page_reads = excluded.total_page_reads, \
              platform_breakdown = excluded.platform_breakdown, book_breakdown = excluded.book_breakdown";
        let done = query(sql)
            .bind(self.user.to_uuid())
            .bind(self.year.first())
            .bind(self.year.last())
            .execute(self.pool)
            .await?;
        ensure!(done.rows_affected() == self.year.len() as u64, "{done:?}");
        Ok(())
    }

    /// Sales that are not there yet, of days of their own in each round.
    async fn upserts(&self) -> Result<()> {
        let count = self.options.sales;
        let mut pairs = Vec::new();
        for round in 0..=self.options.rounds {
            let mut pair = Pair::default();
            let (ours, theirs) = (self.sales(round * 2)?, self.sales(round * 2 + 1)?);
            let upsert = async {
                let sales = self.stack.sales();
                let counts = sales.upsert(self.user, &ours).await?;
                ensure!(counts.inserted == count as u64, "{counts:?}");
                Ok(())
            };
            pair.time(round, upsert, Box::pin(self.upsert_by_hand(&theirs)))
                .await?;
            if round > 0 {
                pairs.push(pair.medians());
            }
        }
        let name = format!("analytics upsert, {count} sales");
        let peer = "COPY into a temporary table and merge";
        self.print(name, peer, 1.2, pairs);
        Ok(())
    }

    fn sales(&self, year: usize) -> Result<Vec<NewSale>> {
        let first = january(2000 - i32::try_from(year)?)?;
        let book_ids: Vec<Id<Book>> = (0..self.options.sales.div_ceil(300))
            .map(|_| Id::new())
            .collect();
        let dates = first.iter_days().take(300);
        let all = book_ids.into_iter().flat_map(|book_id| {
            dates
                .clone()
                .map(move |date| SaleKey::new(book_id, Platform::KDP, date))
        });
        let sale = |(n, key): (usize, SaleKey)| {
            let revenue = Decimal::new(i64::try_from(n % 9_000)?, 2).try_into()?;
            let mut sale = NewSale::new(key, revenue, "USD".parse()?);
            sale.units = 3;
            sale.page_reads = 250;
            Ok(sale)
        };
        all.take(self.options.sales).enumerate().map(sale).collect()
    }

    async fn upsert_by_hand(&self, sales: &[NewSale]) -> Result<()> {
        use std::fmt::Write;

        let mut rows = String::new();
        for sale in sales {
            let (user, book) = (self.user.to_uuid(), sale.key.book_id.to_uuid());
            writeln!(
                rows,
                "{user}\t{book}\t{}\t{}\t{}\t{}\t{}\t{}",
                sale.key.channel,
                sale.key.date,
                sale.revenue,
                sale.units,
                sale.page_reads,
                sale.currency
            )?;
        }
        let mut transaction = self.pool.begin().await?;
        let columns = "user_id, book_id, platform, date, revenue, units, page_reads, currency";
        let stage = "create temp table stage on commit drop as select user_id, book_id, platform, \
             date, revenue, units, page_reads, currency from public.sales_data with no data";
        transaction.execute(stage).await?;
        let mut copy = transaction.copy_in_raw("copy stage from stdin").await?;
        copy.send(rows.as_bytes()).await?;
        copy.finish().await?;
        let merge = sqlx::AssertSqlSafe(format!(
            "insert into public.sales_data as held ({columns}) select {columns} from stage \
             on conflict (user_id, book_id, platform, date) do update set revenue = excluded.revenue, \
               units = excluded.units, page_reads = excluded.page_reads, synced_at = now() \
             where (held.revenue, held.units, held.page_reads) \
               is distinct from (excluded.revenue, excluded.units, excluded.page_reads)"
        ));
        let done = transaction.execute(query(merge)).await?;
        transaction.commit().await?;
        ensure!(done.rows_affected() == sales.len() as u64, "{done:?}");
        Ok(())
    }

    /// What an author sees of a year.
    async fn dashboards(&self) -> Result<()> {
        let dollars = Conversion::into("USD".parse()?);
        let aggregates = self.stack.aggregates();
        aggregates.refresh(self.user, self.year, &dollars).await?;
        let insight = NewInsight::new(InsightKind::TREND, serde_json::json!({ "text": "up" }));
        for _ in 0..20 {
            self.stack
                .insights()
                .create(self.user, insight.clone())
                .await?;
        }
        let forecasts: Result<Vec<NewForecast>> = self
            .year
            .iter()
            .map(|date| Ok(NewForecast::new(date, "90.00".parse()?)))
            .collect();
        self.stack.forecasts().create(self.user, forecasts?).await?;
        self.pool.execute("vacuum analyze").await?;

        let service = Dashboard::new(self.stack);
        let ask = DashboardQuery::of(self.year);
        let mut pairs = Vec::new();
        for round in 0..=self.options.rounds {
            let mut pair = Pair::default();
            for call in 0..self.options.dashboards {
                let ours = async {
                    let found = service.summary(self.user, &ask).await?;
                    ensure!(found.books.len() == 10.min(self.options.books), "books");
                    Ok(())
                };
                let theirs = async {
                    let (pool, user) = (self.pool, self.user.to_uuid());
                    dashboard::of(pool, user, self.year).await.map(drop)
                };
                pair.time(call, ours, theirs).await?;
            }
            if round > 0 {
                pairs.push(pair.medians());
            }
        }
        let rows = self.options.books * 3 * self.year.len();
        let name = format!("analytics dashboard, {rows} sales");
        self.print(name, "the same queries by hand, p50", 1.1, pairs);
        Ok(())
    }

    fn print(&self, bench: String, peer_name: &'static str, goal: f64, pairs: Vec<(f64, f64)>) {
        Comparison {
            bench,
            peer_name,
            goal: Some(goal),
            unit: "ms",
            pairs,
            peak_mb: None,
        }
        .print(self.options.json);
    }
}
