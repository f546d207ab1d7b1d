use std::{collections::VecDeque, fmt::Debug};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures::TryStreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

use super::{Stage, holds_users};
use crate::{
    Amount, AuthorStack, Book, Conversion, Currency, DailyAggregate, Days, Forecast, Id, Insight,
    InsightKind, InsightScope, Listed, MemoryStore, NewBook, NewForecast, NewInsight, NewSale,
    NewSyncLog, Order, PageRequest, Platform, Result, Sale, SaleKey, SalesChannel, SalesFilter,
    SyncLog, SyncStatus, TotalsBy, User,
    migrate::{Record, Sink, SinkBatch},
    testing::{author, random},
};

/// The default number of operations.
const OPERATIONS: usize = 500;

/// Runs random operations on the store and on the in-memory model, and compares the answers.
pub async fn agrees_with_the_model(stage: Stage<'_>) {
    let (seed, operations) = random::settings(OPERATIONS);
    agrees(stage, seed, operations).await;
}

/// Runs a number of operations with a given seed.
pub async fn agrees(stage: Stage<'_>, seed: u64, operations: usize) {
    let model = MemoryStore::new();
    put_user(&model, stage.user, Some(stage.book)).await;
    put_user(&model, stage.stranger, None).await;
    let mut both = Both {
        sides: [&model.stack(), stage.store],
        users: [stage.user, stage.stranger],
        nobody: holds_users(stage.store).await.then(Id::new),
        own_book: stage.book,
        books: [stage.book, Id::new(), Id::new()],
        random: StdRng::seed_from_u64(seed),
        seed,
        done: 0,
        log: VecDeque::new(),
        start: Utc::now(),
    };
    for done in 0..operations {
        both.done = done;
        both.step().await;
    }
    for user in both.users {
        both.look_at_sales(user, SalesFilter::of(Days::ALL)).await;
        both.look_at_rollups(user, all_days()).await;
    }
}

/// Gives the model a user with the id that the store has given.
async fn put_user(model: &MemoryStore, id: Id<User>, book: Option<Id<Book>>) {
    let scratch = MemoryStore::new();
    let mut user = author(&scratch.stack(), &id.to_string()).await;
    let title = NewBook::new("The Tide House");
    let mut held = scratch
        .stack()
        .books()
        .create(user.id, title)
        .await
        .unwrap();
    user.id = id;
    held.user_id = id;
    let mut records: Vec<Record> = vec![user.into()];
    if let Some(book) = book {
        held.id = book;
        records.push(held.into());
    }
    for record in records {
        let batch = SinkBatch {
            kind: record.kind(),
            upserts: &[record],
            removals: &[],
        };
        let applied = model.apply(&batch).await.unwrap();
        assert_eq!(applied.refused, []);
    }
}

fn first_day() -> NaiveDate {
    super::day("2024-02-26")
}

/// The days of all operations.
fn all_days() -> Days {
    Days::new(first_day(), first_day() + TimeDelta::days(11)).unwrap()
}

struct Both<'s> {
    sides: [&'s AuthorStack; 2],
    users: [Id<User>; 2],
    /// An unknown user, for stacks that know who exists.
    nobody: Option<Id<User>>,
    /// A book of the first user.
    own_book: Id<Book>,
    /// Books of sales; they need not exist.
    books: [Id<Book>; 3],
    random: StdRng,
    seed: u64,
    done: usize,
    log: VecDeque<String>,
    start: DateTime<Utc>,
}

/// Asks both sides and compares, without what each store makes itself: row numbers and moments.
macro_rules! both {
    ($both:ident, $what:expr, |$store:ident| $call:expr, $bare:expr) => {{
        let mut answers = Vec::new();
        for $store in $both.sides {
            let bare = $bare;
            answers.push($call.await.map(|answer| bare(answer)));
        }
        $both.agree(&$what, answers);
    }};
    ($both:ident, $what:expr, |$store:ident| $call:expr) => {
        both!($both, $what, |$store| $call, |answer| answer)
    };
}

fn bare_sale(sale: Sale) -> Sale {
    Sale {
        id: 0,
        synced_at: None,
        ..sale
    }
}

fn bare_log(log: SyncLog) -> SyncLog {
    SyncLog {
        id: 0,
        synced_at: None,
        ..log
    }
}

fn bare_insight(insight: Insight) -> Insight {
    Insight {
        id: 0,
        created_at: None,
        ..insight
    }
}

fn bare_forecast(forecast: Forecast) -> Forecast {
    Forecast {
        id: 0,
        created_at: None,
        ..forecast
    }
}

impl Both<'_> {
    fn agree<T: PartialEq + Debug>(&mut self, what: &str, answers: Vec<Result<T>>) {
        const REMEMBERED: usize = 25;
        if self.log.len() == REMEMBERED {
            self.log.pop_front();
        }
        self.log.push_back(format!("{}: {what}", self.done));
        let answers: Vec<_> = answers.into_iter().map(random::said).collect();
        let [model, store] = answers.as_slice() else {
            panic!("two sides answer");
        };
        if model != store {
            let log: Vec<&str> = self.log.iter().map(String::as_str).collect();
            panic!(
                "the store differs from the model at operation {}\nmodel: {model:?}\nstore: \
                 {store:?}\nthe last operations:\n{}\nrepeat it with AUTHORSTACK_TEST_SEED={}",
                self.done,
                log.join("\n"),
                self.seed
            );
        }
    }

    fn number(&mut self, below: u32) -> u32 {
        self.random.random_range(0..below)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.random).expect("a choice").clone()
    }

    fn user(&mut self) -> Id<User> {
        if let Some(nobody) = self.nobody
            && self.number(25) == 0
        {
            return nobody;
        }
        let users = self.users;
        self.pick(&users)
    }

    fn date(&mut self) -> NaiveDate {
        first_day() + TimeDelta::days(self.number(12).into())
    }

    fn days(&mut self) -> Days {
        let (one, other) = (self.date(), self.date());
        Days::new(one.min(other), one.max(other)).unwrap()
    }

    fn platform(&mut self) -> Platform {
        self.pick(&[Platform::KDP, Platform::GUMROAD, Platform::APPLE_BOOKS])
    }

    fn currency(&mut self) -> Currency {
        // Most are alike, so that currencies change now and then only.
        let code = self.pick(&[
            "USD", "USD", "USD", "USD", "USD", "USD", "USD", "EUR", "JPY",
        ]);
        super::currency(code)
    }

    fn amount(&mut self) -> Amount {
        let cents = self.random.random_range(-500..100_000);
        rust_decimal::Decimal::new(cents, 2).try_into().unwrap()
    }

    fn key(&mut self) -> SaleKey {
        let books = self.books;
        SaleKey {
            book_id: self.pick(&books),
            channel: self.channel(),
            date: self.date(),
        }
    }

    fn channel(&mut self) -> SalesChannel {
        let channels = [
            "kdp",
            "KDP:amazon.de",
            "kdp:amazon.com",
            "gumroad",
            "Apple_Books:us",
        ];
        self.pick(&channels).parse().unwrap()
    }

    fn filter(&mut self) -> SalesFilter {
        let mut filter = SalesFilter::of(self.days());
        if self.number(3) == 0 {
            filter.platform = Some(self.platform());
        }
        if self.number(6) == 0 {
            let markets = ["amazon.de", "us"];
            filter.market = Some(self.pick(&markets).parse().unwrap());
        }
        if self.number(3) == 0 {
            let books = self.books;
            filter.book_id = Some(self.pick(&books));
        }
        if self.number(4) == 0 {
            filter.currency = Some(self.currency());
        }
        filter
    }

    fn request(&mut self) -> PageRequest {
        let order = self.pick(&[Order::NewestFirst, Order::OldestFirst]);
        PageRequest::first(self.number(6) + 1).order(order)
    }

    /// One of few moments around the start: what is valid until then is outdated for some.
    fn moment(&mut self) -> DateTime<Utc> {
        self.start + TimeDelta::hours(i64::from(self.number(9)) - 4)
    }

    async fn step(&mut self) {
        match self.number(100) {
            0..30 => self.upsert().await,
            30..36 => self.delete().await,
            36..46 => {
                let (user, filter) = (self.user(), self.filter());
                self.look_at_sales(user, filter).await;
            }
            46..60 => self.refresh().await,
            60..68 => {
                let (user, days) = (self.user(), self.days());
                self.look_at_rollups(user, days).await;
            }
            68..76 => self.step_with_logs().await,
            76..88 => self.step_with_insights().await,
            88..99 => self.step_with_forecasts().await,
            _ => self.erase().await,
        }
    }

    async fn erase(&mut self) {
        let (user, book) = (self.user(), self.own_book);
        if self.number(2) == 0 {
            let what = format!("erase the analytics of {user}");
            both!(self, what, |store| store.erasure().erase_user(user));
        } else {
            let what = format!("erase what {user} has about {book}");
            both!(self, what, |store| store.erasure().erase_book(user, book));
        }
    }

    async fn upsert(&mut self) {
        let user = self.user();
        let count = self.number(12);
        let mut sales = Vec::new();
        for _ in 0..count {
            let mut sale = NewSale::new(self.key(), self.amount(), self.currency());
            sale.units = self.random.random_range(-3..40);
            sale.page_reads = self.random.random_range(0..5_000);
            // Twice in a batch is an error, which few batches shall have.
            if sales.iter().all(|other: &NewSale| other.key != sale.key) || self.number(20) == 0 {
                sales.push(sale);
            }
        }
        let what = format!("upsert for {user}: {sales:?}");
        both!(self, what, |store| store.sales().upsert(user, &sales));
    }

    async fn delete(&mut self) {
        let (user, key) = (self.user(), self.key());
        let what = format!("delete {key:?} of {user}");
        both!(self, what, |store| store.sales().delete(user, &key));
    }

    async fn look_at_sales(&mut self, user: Id<User>, filter: SalesFilter) {
        let by = self.pick(&[
            TotalsBy::Currency,
            TotalsBy::Day,
            TotalsBy::Week,
            TotalsBy::Month,
            TotalsBy::Platform,
            TotalsBy::Market,
            TotalsBy::Book,
        ]);
        let what = format!("totals of {user} by {by:?}, {filter:?}");
        both!(self, what, |store| store.sales().totals(user, &filter, by));
        let what = format!("stream of {user}, {filter:?}");
        both!(self, what, |store| store
            .sales()
            .stream(user, filter.clone())
            .map_ok(bare_sale)
            .try_collect::<Vec<_>>());
        let key = self.key();
        let what = format!("get {key:?} of {user}");
        both!(self, what, |store| store.sales().get(user, &key), bare_sale);
    }

    async fn refresh(&mut self) {
        let (user, days) = (self.user(), self.days());
        let mut conversion = Conversion::into(super::currency("USD"));
        for (code, rate) in [("EUR", "1.0847"), ("JPY", "0.006651")] {
            if self.number(8) > 0 {
                let rate = rate.parse().unwrap();
                conversion = conversion.rate(super::currency(code), rate).unwrap();
            }
        }
        let what = format!("refresh {days} of {user} by {conversion:?}");
        both!(self, what, |store| store.aggregates().refresh(
            user,
            days,
            &conversion
        ));
    }

    async fn look_at_rollups(&mut self, user: Id<User>, days: Days) {
        let what = format!("roll-ups of {user}, {days}");
        let bare = |days: Listed<DailyAggregate>| days.map(|day| DailyAggregate { id: 0, ..day });
        both!(
            self,
            what,
            |store| store.aggregates().list(user, days),
            bare
        );
        let what = format!("days without a roll-up of {user}, {days}");
        both!(self, what, |store| store.aggregates().gaps(user, days));
        let top = self.number(4);
        let what = format!("overview of {user}, {days}, top {top}");
        both!(self, what, |store| store
            .aggregates()
            .overview(user, days, top));
    }

    async fn step_with_logs(&mut self) {
        let user = self.user();
        if self.number(2) == 0 {
            let log = NewSyncLog {
                platform: self.platform(),
                status: self.pick(&[SyncStatus::Success, SyncStatus::Partial, SyncStatus::Failed]),
                records_synced: self.random.random_range(0..90),
                error_message: self.pick(&[None, Some("late".to_owned()), Some("a\0".to_owned())]),
            };
            let what = format!("append {log:?} of {user}");
            both!(
                self,
                what,
                |store| store.sync_logs().create(user, log.clone()),
                bare_log
            );
            return;
        }
        let platform = (self.number(2) == 0).then(|| self.platform());
        let request = self.request();
        let what = format!("logs of {user}, {platform:?}, {request:?}");
        let bare = |page: crate::Page<SyncLog>| {
            let more = page.next.is_some();
            (
                page.items.into_iter().map(bare_log).collect::<Vec<_>>(),
                more,
            )
        };
        both!(
            self,
            what,
            |store| store
                .sync_logs()
                .list(user, platform.clone(), request.clone()),
            bare
        );
    }

    async fn step_with_insights(&mut self) {
        let user = self.user();
        let kinds = [InsightKind::TREND, InsightKind::PRICING];
        let kind = self.pick(&kinds);
        let own = (user == self.users[0] && self.number(2) == 0).then_some(self.own_book);
        let at = self.moment();
        match self.number(10) {
            0..4 => {
                let mut new = NewInsight::new(kind, json!({ "n": self.number(1000) }));
                new.book_id = own;
                new.valid_until = (self.number(2) == 0).then_some(at);
                let what = format!("put {new:?} of {user}");
                both!(
                    self,
                    what,
                    |store| store.insights().create(user, new.clone()),
                    bare_insight
                );
            }
            4..7 => {
                let scope = own.map_or(InsightScope::User, InsightScope::Book);
                let what = format!("latest {kind:?} of {user}, {scope:?}, at {at}");
                both!(
                    self,
                    what,
                    |store| store.insights().latest(user, scope, &kind, at),
                    bare_insight
                );
            }
            7..9 => {
                let request = self.request();
                let what = format!("insights of {user} at {at}, {request:?}");
                let bare = |page: crate::Page<Insight>| {
                    let more = page.next.is_some();
                    let items: Vec<_> = page.items.into_iter().map(bare_insight).collect();
                    (items, more)
                };
                both!(
                    self,
                    what,
                    |store| store.insights().list_valid(user, at, request.clone()),
                    bare
                );
            }
            _ => {
                let what = format!("purge what is outdated at {at}");
                both!(self, what, |store| store.insights().delete_expired(at));
            }
        }
    }

    async fn step_with_forecasts(&mut self) {
        let (user, days) = (self.user(), self.days());
        match self.number(4) {
            0 => {
                let mut new = Vec::new();
                for _ in 0..self.number(4) {
                    let mut forecast = NewForecast::new(self.date(), self.amount());
                    forecast.confidence = Some("0.7".parse().unwrap());
                    new.push(forecast);
                }
                let what = format!("put {new:?} of {user}");
                let bare =
                    |all: Vec<Forecast>| all.into_iter().map(bare_forecast).collect::<Vec<_>>();
                both!(
                    self,
                    what,
                    |store| store.forecasts().create(user, new.clone()),
                    bare
                );
            }
            1 => {
                let what = format!("fill in actuals of {user}, {days}");
                both!(self, what, |store| store
                    .forecasts()
                    .fill_actuals(user, days));
            }
            2 => {
                let what = format!("accuracy of {user}, {days}");
                both!(self, what, |store| store.forecasts().accuracy(user, days));
            }
            _ => {
                let what = format!("forecasts of {user}, {days}");
                let bare = |all: Listed<Forecast>| all.map(bare_forecast);
                both!(self, what, |store| store.forecasts().list(user, days), bare);
            }
        }
    }
}
