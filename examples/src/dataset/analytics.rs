//! The analytics of an app as the schema's own tables hold them: rows of SQL.

use std::{collections::BTreeMap, fmt::Write as _};

use authorstack_core::{Id, migrate::Kind};
use bson::oid::ObjectId;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{Case, Fate, Owned};

/// The rows of the analytics, and what each dirty one is expected to come to.
#[derive(Debug, Default)]
pub struct Analytics {
    rows: BTreeMap<Kind, Vec<String>>,
    /// The dirty rows.
    pub cases: Vec<Case>,
}

/// The columns that the rows give.
fn columns(kind: Kind) -> &'static str {
    match kind {
        Kind::SalesData => {
            "id, user_id, book_id, platform, date, revenue, units, page_reads, currency, synced_at"
        }
        Kind::DailyAggregates => {
            "id, user_id, date, total_revenue, total_units, total_page_reads, platform_breakdown, \
             book_breakdown"
        }
        Kind::SyncLogs => "id, user_id, platform, status, records_synced, error_message, synced_at",
        Kind::AiInsights => {
            "id, user_id, book_id, insight_type, content, confidence, valid_until, created_at"
        }
        _ => {
            "id, user_id, forecast_date, predicted_revenue, actual_revenue, confidence, factors, \
             created_at"
        }
    }
}

impl Analytics {
    /// How many rows of each kind there are.
    #[must_use]
    pub fn records(&self) -> BTreeMap<Kind, u64> {
        let count = |(kind, rows): (&Kind, &Vec<String>)| (*kind, rows.len() as u64);
        self.rows.iter().map(count).collect()
    }

    /// How many rows there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.records().values().sum()
    }

    /// Writes the rows into a database, as the old app had.
    ///
    /// # Errors
    /// What the driver fails with.
    pub async fn insert(&self, database: &mut PgConnection) -> sqlx::Result<()> {
        for (kind, rows) in &self.rows {
            for portion in rows.chunks(2_000) {
                let columns = columns(*kind);
                let sql = format!(
                    "insert into {kind} ({columns}) values {}",
                    portion.join(", ")
                );
                database.execute(AssertSqlSafe(sql)).await?;
            }
            let number = format!(
                "select setval('{kind}_id_seq', (select coalesce(max(id), 1) from {kind}))"
            );
            database.execute(AssertSqlSafe(number)).await?;
        }
        Ok(())
    }
}

/// Days from the first of January 2024.
fn day(number: u64) -> String {
    let first = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default();
    (first + chrono::Days::new(number)).to_string()
}

fn uuid(id: ObjectId) -> String {
    Id::<()>::from_bytes(id.bytes()).to_uuid().to_string()
}

struct Maker {
    random: StdRng,
    number: BTreeMap<Kind, i64>,
    set: Analytics,
}

impl Maker {
    /// Adds a row, whose number is given; numbers have gaps.
    fn add(&mut self, kind: Kind, values: &str) -> i64 {
        let gap = self.random.random_range(1..4);
        let number = self.number.entry(kind).or_default();
        *number += gap;
        let row = format!("({number}, {values})");
        let number = *number;
        self.set.rows.entry(kind).or_default().push(row);
        number
    }

    fn case(&mut self, kind: Kind, about: &'static str, fate: Fate, values: &str) {
        let key = self.add(kind, values).to_string();
        self.set.cases.push(Case {
            about,
            kind,
            key,
            fate,
        });
    }

    fn amount(&mut self) -> String {
        let cents = self.random.random_range(-500..20_000);
        format!("{}", rust_decimal::Decimal::new(cents, 2))
    }
}

pub(super) fn generate(seed: u64, owned: &[Owned], sales: usize) -> Analytics {
    let mut maker = Maker {
        random: StdRng::seed_from_u64(seed ^ 0x5a1e5),
        number: BTreeMap::new(),
        set: Analytics::default(),
    };
    for owner in owned {
        for number in 0..sales as u64 {
            maker.sound_sale(*owner, number);
        }
    }
    let mut users: Vec<Owned> = owned.to_vec();
    users.sort_by_key(|owner| owner.user);
    users.dedup_by_key(|owner| owner.user);
    for owner in &users {
        for number in 0..3 {
            maker.sound_day(*owner, number);
            maker.sound_others(*owner, number);
        }
    }
    if let Some(owner) = owned.first() {
        maker.dirty_references(*owner);
        maker.dirty_sales(*owner);
        maker.dirty_platforms(*owner);
        maker.dirty_days(*owner);
        maker.dirty_logs(*owner);
        maker.dirty_insights(*owner);
        maker.dirty_forecasts(*owner);
    }
    maker.set
}

const GONE: ObjectId = super::maker::NOBODY;

impl Maker {
    fn sound_sale(&mut self, owner: Owned, number: u64) {
        let platforms = ["kdp", "gumroad", "apple_books"];
        let platform = platforms[usize::try_from(number % 3).unwrap_or(0)];
        let (user, book, amount) = (uuid(owner.user), uuid(owner.book), self.amount());
        let (units, reads) = (
            self.random.random_range(-1..9),
            self.random.random_range(0..900),
        );
        let micros: u32 = self.random.random_range(0..1_000_000);
        let values = format!(
            "'{user}', '{book}', '{platform}', '{}', {amount}, {units}, {reads}, 'USD', \
             '2025-01-01 03:04:05.{micros:06}'",
            day(number / 3)
        );
        self.add(Kind::SalesData, &values);
    }

    fn sound_day(&mut self, owner: Owned, number: u64) {
        let (user, amount) = (uuid(owner.user), self.amount());
        let sums = format!("{{\"revenue\": {amount}, \"units\": 2, \"page_reads\": 7}}");
        let values = format!(
            "'{user}', '{}', {amount}, 2, 7, '{{\"kdp\": {sums}}}', '{{\"{}\": {sums}}}'",
            day(number),
            owner.book.to_hex()
        );
        self.add(Kind::DailyAggregates, &values);
    }

    fn sound_others(&mut self, owner: Owned, number: u64) {
        let (user, book, day) = (uuid(owner.user), uuid(owner.book), day(number));
        let log = format!("'{user}', 'kdp', 'success', 12, null, '{day} 01:02:03'");
        self.add(Kind::SyncLogs, &log);
        let mut insight = format!("'{user}', ");
        match number {
            0 => insight.push_str("null"),
            _ => {
                let _ = write!(insight, "'{book}'");
            }
        }
        let _ = write!(
            insight,
            ", 'trend', '{{\"text\": \"up\", \"by\": [1, 1.0, 0.25, 1e20]}}', 0.75, \
             '{day} 00:00:00', '{day} 00:00:00'"
        );
        self.add(Kind::AiInsights, &insight);
        let forecast =
            format!("'{user}', '{day}', 12.34, 11.00, 0.50, '{{\"a\": 1}}', '{day} 00:00'");
        self.add(Kind::RevenueForecasts, &forecast);
    }

    /// A sale on a day of its own, after the sound ones.
    fn dirty_sale(&mut self, about: &'static str, fate: Fate, user: &str, book: &str, rest: &str) {
        let day = day(4_000 + self.set.cases.len() as u64);
        let rest = rest.replace("DAY", &format!("'{day}'"));
        let values = format!("'{user}', '{book}', {rest}");
        self.case(Kind::SalesData, about, fate, &values);
    }

    fn dirty_references(&mut self, owner: Owned) {
        let (user, book, gone) = (uuid(owner.user), uuid(owner.book), uuid(GONE));
        let right = format!("{}00000000", owner.user.to_hex());
        let left = format!("00000000{}", owner.book.to_hex());
        let plain = "'kdp', DAY, 2.70, 1, 0, 'USD', null";
        for (about, fate, user, book) in [
            ("a book that is gone", Fate::Carried, &user, &gone),
            (
                "a user who is gone",
                Fate::Rejected("user_id"),
                &gone,
                &book,
            ),
            (
                "a user padded on the right",
                Fate::Rejected("user_id"),
                &right,
                &book,
            ),
            (
                "a book padded on the left",
                Fate::Rejected("book_id"),
                &user,
                &left,
            ),
        ] {
            self.dirty_sale(about, fate, user, book, plain);
        }
        let own = "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11";
        let fate = Fate::Rejected("book_id");
        self.dirty_sale("a book by a UUID of its own", fate, &user, own, plain);
    }

    fn dirty_sales(&mut self, owner: Owned) {
        let (user, book) = (uuid(owner.user), uuid(owner.book));
        for (about, fate, rest) in [
            (
                "no reads, no currency, no date",
                Fate::Carried,
                "'kdp', DAY, 1, 1, null, null, null",
            ),
            (
                "a currency in small letters",
                Fate::Carried,
                "'kdp', DAY, 1, 1, 0, 'eur', null",
            ),
            (
                "a refund",
                Fate::Carried,
                "'kdp', DAY, -9.99, -1, 0, 'USD', null",
            ),
            (
                "another platform",
                Fate::Carried,
                "'draft2digital', DAY, 1, 1, 0, 'USD', null",
            ),
            (
                "the most that fits",
                Fate::Carried,
                "'kdp', DAY, 99999999.99, 2147483647, 0, 'USD', null",
            ),
            (
                "microseconds",
                Fate::Carried,
                "'kdp', DAY, 1, 1, 0, 'USD', '2024-01-01 00:00:00.000001'",
            ),
            (
                "a long time ago",
                Fate::Carried,
                "'kdp', '0001-01-01', 1, 1, 0, 'USD', null",
            ),
            (
                "no number",
                Fate::Rejected("revenue"),
                "'kdp', DAY, 'NaN', 1, 0, 'USD', null",
            ),
            (
                "for ever",
                Fate::Rejected("date"),
                "'kdp', 'infinity', 1, 1, 0, 'USD', null",
            ),
            (
                "before our time",
                Fate::Rejected("date"),
                "'kdp', '0044-03-15 BC', 1, 1, 0, 'USD', null",
            ),
            (
                "half a currency",
                Fate::Rejected("currency"),
                "'kdp', DAY, 1, 1, 0, 'eu ', null",
            ),
            (
                "a sign",
                Fate::Rejected("currency"),
                "'kdp', DAY, 1, 1, 0, '€', null",
            ),
            (
                "no platform",
                Fate::Rejected("platform"),
                "'', DAY, 1, 1, 0, 'USD', null",
            ),
            (
                "a platform with a space",
                Fate::Carried,
                "' kdp', DAY, 1, 1, 0, 'USD', null",
            ),
            (
                "a platform of fifty characters, a hundred bytes",
                Fate::Carried,
                "repeat('ü', 50), DAY, 1, 1, 0, 'USD', null",
            ),
            (
                "synced at an infinite moment",
                Fate::SetAside("synced_at"),
                "'kdp', DAY, 1, 1, 0, 'USD', '-infinity'",
            ),
        ] {
            self.dirty_sale(about, fate, &user, &book, rest);
        }
    }

    fn dirty_platforms(&mut self, owner: Owned) {
        let (user, book) = (uuid(owner.user), uuid(owner.book));
        for (about, fate, rest) in [
            (
                "a market in another currency",
                Fate::Carried,
                "'kdp:amazon.de', DAY, 1, 1, 0, 'EUR', null",
            ),
            (
                "a platform in capitals",
                Fate::Carried,
                "'KDP', DAY, 1, 1, 0, 'USD', null",
            ),
        ] {
            self.dirty_sale(about, fate, &user, &book, rest);
        }
    }

    fn dirty_days(&mut self, owner: Owned) {
        let (user, book) = (uuid(owner.user), uuid(owner.book));
        let digits = owner.book.to_hex();
        let sums = "{\"revenue\": 1.50, \"units\": 1}";
        let mut number = 4_000;
        for (about, fate, rest) in [
            (
                "no breakdowns, no reads",
                Fate::Carried,
                "1.50, 1, null, null, null".to_owned(),
            ),
            (
                "floats, texts and exponents",
                Fate::Carried,
                "0.60, 2, 0, '{\"kdp\": {\"revenue\": 0.30000000000000004, \"units\": 1}, \
                  \"gumroad\": {\"revenue\": \"3e-1\", \"units\": 1, \"page_reads\": \"4\"}}', null"
                    .to_owned(),
            ),
            (
                "a book by its UUID",
                Fate::Carried,
                format!("1.50, 1, 0, null, '{{\"{book}\": {sums}}}'"),
            ),
            (
                "a book in both forms",
                Fate::SetAside("book_breakdown"),
                format!("3, 2, 0, null, '{{\"{book}\": {sums}, \"{digits}\": {sums}}}'"),
            ),
            (
                "a book that is none",
                Fate::SetAside("book_breakdown"),
                format!("1.50, 1, 0, null, '{{\"Tide\": {sums}}}'"),
            ),
            (
                "a list of platforms",
                Fate::SetAside("platform_breakdown"),
                "1.50, 1, 0, '[\"kdp\"]', null".to_owned(),
            ),
            (
                "sums without revenue",
                Fate::Carried,
                "1.50, 1, 0, '{\"kdp\": {\"units\": 1}}', null".to_owned(),
            ),
            (
                "no number",
                Fate::Rejected("total_revenue"),
                "'NaN', 1, 0, null, null".to_owned(),
            ),
        ] {
            number += 1;
            let values = format!("'{user}', '{}', {rest}", day(number));
            self.case(Kind::DailyAggregates, about, fate, &values);
        }
        let values = format!("'{}', '{}', 1, 1, 0, null, null", uuid(GONE), day(1));
        self.case(
            Kind::DailyAggregates,
            "a user who is gone",
            Fate::Rejected("user_id"),
            &values,
        );
    }

    fn dirty_logs(&mut self, owner: Owned) {
        let (user, gone) = (uuid(owner.user), uuid(GONE));
        for (about, fate, values) in [
            (
                "required fields only",
                Fate::Carried,
                format!("'{user}', 'kdp', 'failed', null, null, null"),
            ),
            (
                "a long message",
                Fate::Carried,
                format!("'{user}', 'kdp', 'partial', 1, repeat('no', 9000), null"),
            ),
            (
                "an unknown status",
                Fate::Rejected("status"),
                format!("'{user}', 'kdp', 'ok', 1, null, null"),
            ),
            (
                "no platform",
                Fate::Rejected("platform"),
                format!("'{user}', '', 'success', 1, null, null"),
            ),
            (
                "for ever",
                Fate::SetAside("synced_at"),
                format!("'{user}', 'kdp', 'success', 1, null, 'infinity'"),
            ),
            (
                "a user who is gone",
                Fate::Rejected("user_id"),
                format!("'{gone}', 'kdp', 'success', 1, null, null"),
            ),
        ] {
            self.case(Kind::SyncLogs, about, fate, &values);
        }
    }

    fn dirty_insights(&mut self, owner: Owned) {
        let (user, book, gone) = (uuid(owner.user), uuid(owner.book), uuid(GONE));
        for (about, fate, values) in [
            (
                "a text, valid for ever",
                Fate::Carried,
                format!("'{user}', null, null, '\"up\"', null, 'infinity', null"),
            ),
            (
                "an unknown kind",
                Fate::Carried,
                format!("'{user}', '{book}', 'mood', 'null', 1.00, null, null"),
            ),
            (
                "a book that is gone",
                Fate::Rejected("book_id"),
                format!("'{user}', '{gone}', 'trend', '{{}}', 0.5, null, null"),
            ),
            (
                "a user who is gone",
                Fate::Rejected("user_id"),
                format!("'{gone}', null, 'trend', '{{}}', 0.5, null, null"),
            ),
            (
                "a confidence above one",
                Fate::SetAside("confidence"),
                format!("'{user}', null, 'trend', '{{}}', 1.50, null, null"),
            ),
            (
                "no number",
                Fate::SetAside("confidence"),
                format!("'{user}', null, 'trend', '{{}}', 'NaN', null, null"),
            ),
            (
                "no kind",
                Fate::SetAside("insight_type"),
                format!("'{user}', null, '', '{{}}', 0.5, null, null"),
            ),
            (
                "never valid",
                Fate::SetAside("valid_until"),
                format!("'{user}', null, 'trend', '{{}}', 0.5, '-infinity', null"),
            ),
            (
                "created at an infinite moment",
                Fate::SetAside("created_at"),
                format!("'{user}', null, 'trend', '{{}}', 0.5, null, 'infinity'"),
            ),
            (
                "a number beyond a double",
                Fate::Rejected("content"),
                format!("'{user}', null, 'trend', '{{\"a\": [1e400]}}', 0.5, null, null"),
            ),
        ] {
            self.case(Kind::AiInsights, about, fate, &values);
        }
    }

    fn dirty_forecasts(&mut self, owner: Owned) {
        let (user, gone) = (uuid(owner.user), uuid(GONE));
        for (about, fate, values) in [
            (
                "required fields only",
                Fate::Carried,
                format!("'{user}', '2025-01-01', null, null, null, null, null"),
            ),
            (
                "a loss",
                Fate::Carried,
                format!("'{user}', '2025-01-02', 1, -3.50, 0, '[]', null"),
            ),
            (
                "no number",
                Fate::Rejected("predicted_revenue"),
                format!("'{user}', '2025-01-03', 'NaN', 1, 0.5, null, null"),
            ),
            (
                "no number earned",
                Fate::Rejected("actual_revenue"),
                format!("'{user}', '2025-01-03', 1, 'NaN', 0.5, null, null"),
            ),
            (
                "a confidence below zero",
                Fate::SetAside("confidence"),
                format!("'{user}', '2025-01-03', 1, 1, -0.5, null, null"),
            ),
            (
                "no day",
                Fate::Rejected("forecast_date"),
                format!("'{user}', '-infinity', 1, 1, 0.5, null, null"),
            ),
            (
                "a user who is gone",
                Fate::Rejected("user_id"),
                format!("'{gone}', '2025-01-03', 1, 1, 0.5, null, null"),
            ),
        ] {
            self.case(Kind::RevenueForecasts, about, fate, &values);
        }
    }
}
