//! Sales: what a book sold on a platform, or in a market of it, on a day.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    check::check_fields,
    fields::{Shape, fields},
    json::{input_json, json, read_input},
    sums::Sums,
};
use crate::{
    Amount, Book, Currency, Days, Error, Extra, Id, Market, Platform, Result, SalesChannel, User,
    values::days::{check_day, first_of_month, first_of_week},
};

/// What a book sold in one place on a day. A user has one for each [`SaleKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The row number, assigned by the store.
    pub id: i64,
    /// The user.
    pub user_id: Id<User>,
    /// The book. It may no longer exist: sales outlive their book.
    pub book_id: Id<Book>,
    /// Where it was sold: on a platform, or in a market of it.
    pub channel: SalesChannel,
    /// The day, as the platform reports it.
    pub date: NaiveDate,
    /// What the author earned; below zero where refunds are more than sales.
    pub revenue: Amount,
    /// How many copies were sold; below zero where more were returned.
    pub units: i32,
    /// How many pages were read by subscribers (KENP).
    pub page_reads: i32,
    /// The currency of the revenue.
    pub currency: Currency,
    /// When it was last written; `None` if an old app did not write it.
    pub synced_at: Option<DateTime<Utc>>,
    /// Fields that the schema does not know, such as columns of an old app.
    pub extra: Extra,
}

/// The key of a sale, unique for each user.
///
/// A sale has one currency. What is sold in several currencies on one day is sold in several
/// markets: each is a sale of its own, such as `kdp:amazon.com` and `kdp:amazon.de`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleKey {
    /// The book.
    pub book_id: Id<Book>,
    /// Where it was sold: on a platform, or in a market of it.
    #[serde(rename = "platform")]
    pub channel: SalesChannel,
    /// The day.
    pub date: NaiveDate,
}

impl SaleKey {
    /// The key of a sale on a platform, or in a market of one.
    #[must_use]
    pub fn new(book_id: Id<Book>, channel: impl Into<SalesChannel>, date: NaiveDate) -> Self {
        Self {
            book_id,
            channel: channel.into(),
            date,
        }
    }
}

impl std::fmt::Display for SaleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "book {} on {} at {}",
            self.book_id, self.channel, self.date
        )
    }
}

/// A sale as a platform reports it.
///
/// ```
/// use authorstack_core::{Id, NewSale, Platform, SaleKey};
///
/// let germany = Platform::KDP.in_market(&"amazon.de".parse()?)?;
/// let key = SaleKey::new(Id::new(), germany, "2024-03-01".parse().unwrap());
/// let mut sale = NewSale::new(key, "27.93".parse()?, "EUR".parse()?);
/// sale.units = 7;
/// sale.page_reads = 1_250;
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSale {
    /// The key.
    pub key: SaleKey,
    /// What the author earned.
    pub revenue: Amount,
    /// The currency of the revenue. It cannot change once it is stored.
    pub currency: Currency,
    /// How many copies were sold.
    pub units: i32,
    /// How many pages were read by subscribers (KENP).
    pub page_reads: i32,
}

impl NewSale {
    /// A sale with no units and no page reads; set them if there are any.
    #[must_use]
    pub const fn new(key: SaleKey, revenue: Amount, currency: Currency) -> Self {
        Self {
            key,
            revenue,
            currency,
            units: 0,
            page_reads: 0,
        }
    }
}

impl Sale {
    /// The key.
    #[must_use]
    pub fn key(&self) -> SaleKey {
        SaleKey {
            book_id: self.book_id,
            channel: self.channel.clone(),
            date: self.date,
        }
    }

    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_day("date", self.date)?;
        check_fields(self)
    }
}

json!(Sale);

/// A [`NewSale`] as JSON has it: the key's fields beside the others.
struct Reported {
    book_id: Id<Book>,
    channel: SalesChannel,
    date: NaiveDate,
    revenue: Amount,
    currency: Currency,
    units: i32,
    page_reads: i32,
}

input_json! {
    Reported;
    book_id: "bookId" required("say which book was sold"),
    channel: "platform" required("say where it was sold"),
    date: "date" required("say on which day"),
    revenue: "revenue" required("say what was earned"),
    currency: "currency" required("name the currency of the revenue"),
    units: "units" or(0),
    page_reads: "pageReads" or(0),
}

impl<'de> Deserialize<'de> for NewSale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let sale = read_input(deserializer, Reported::read)?;
        Ok(Self {
            key: SaleKey {
                book_id: sale.book_id,
                channel: sale.channel,
                date: sale.date,
            },
            revenue: sale.revenue,
            currency: sale.currency,
            units: sale.units,
            page_reads: sale.page_reads,
        })
    }
}

fields! {
    Sale, extra: extra;
    id: "id" required("give the row a number"),
    user_id: "user_id" required("say whose sale it is"),
    book_id: "book_id" required("say which book was sold"),
    channel: "platform" column("platform") required("say where it was sold"),
    date: "date" required("say on which day"),
    revenue: "revenue" required("say what was earned"),
    units: "units" required("say how many were sold"),
    page_reads: "page_reads" vital("they are paid") or(0),
    currency: "currency" shape(Shape::Text) vital("an amount needs one") or(Currency::usd()),
    synced_at: "synced_at",
}

/// What an upsert did with the rows of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpsertCounts {
    /// New sales.
    pub inserted: u64,
    /// Stored sales whose figures changed.
    pub updated: u64,
    /// Stored sales with equal figures; their `synced_at` stays.
    pub unchanged: u64,
}

impl std::ops::AddAssign for UpsertCounts {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
    }
}

/// A filter for a user's sales.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalesFilter {
    /// The days.
    pub days: Days,
    /// On this platform only, in all its markets.
    pub platform: Option<Platform>,
    /// In this market only. Platforms may have markets of the same name: set the platform, too.
    pub market: Option<Market>,
    /// Of this book only.
    pub book_id: Option<Id<Book>>,
    /// In this currency only.
    pub currency: Option<Currency>,
}

impl SalesFilter {
    /// All sales of these days.
    #[must_use]
    pub const fn of(days: Days) -> Self {
        Self {
            days,
            platform: None,
            market: None,
            book_id: None,
            currency: None,
        }
    }

    /// Whether a sale matches.
    #[must_use]
    pub fn matches(&self, sale: &Sale) -> bool {
        self.days.contains(sale.date)
            && self.platform.as_ref().is_none_or(|p| sale.channel.is_of(p))
            && (self.market.is_none() || self.market == sale.channel.market())
            && self.book_id.is_none_or(|id| id == sale.book_id)
            && self.currency.as_ref().is_none_or(|c| *c == sale.currency)
    }
}

/// How sales are grouped for sums, in addition to their currency: currencies never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TotalsBy {
    /// No further group: one sum for each currency.
    Currency,
    /// The day.
    Day,
    /// The week, by its Monday (ISO 8601).
    Week,
    /// The month, by its first day.
    Month,
    /// The platform; its markets are summed.
    Platform,
    /// The market of a platform. Sales without a market are a group of their platform.
    Market,
    /// The book.
    Book,
}

impl TotalsBy {
    /// The group of a sale.
    #[must_use]
    pub fn group(self, sale: &Sale) -> TotalsGroup {
        match self {
            Self::Currency => TotalsGroup::All,
            Self::Day => TotalsGroup::From(sale.date),
            Self::Week => TotalsGroup::From(first_of_week(sale.date)),
            Self::Month => TotalsGroup::From(first_of_month(sale.date)),
            Self::Platform => TotalsGroup::Platform(sale.channel.platform()),
            Self::Market => TotalsGroup::Market(sale.channel.clone()),
            Self::Book => TotalsGroup::Book(sale.book_id),
        }
    }
}

/// The group of a sum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TotalsGroup {
    /// All sales.
    All,
    /// The day, or the first day of the week or the month.
    From(NaiveDate),
    /// The platform.
    Platform(Platform),
    /// The market of a platform, or the platform of sales without a market.
    Market(SalesChannel),
    /// The book.
    Book(Id<Book>),
}

/// A sum of sales of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesTotal {
    /// The group.
    pub group: TotalsGroup,
    /// Their currency.
    pub currency: Currency,
    /// The sums.
    #[serde(flatten)]
    pub sums: Sums,
}

impl Sums {
    /// Adds a sale. The caller makes sure that the currency is the same.
    pub fn add_sale(&mut self, sale: &Sale) {
        self.revenue = self.revenue + sale.revenue;
        self.units += i64::from(sale.units);
        self.page_reads += i64::from(sale.page_reads);
    }
}

/// Sums sales in memory, ordered by group, then by currency.
#[must_use]
pub fn total_sales<'s>(sales: impl IntoIterator<Item = &'s Sale>, by: TotalsBy) -> Vec<SalesTotal> {
    let mut totals: BTreeMap<(TotalsGroup, Currency), Sums> = BTreeMap::new();
    for sale in sales {
        let place = (by.group(sale), sale.currency.clone());
        totals.entry(place).or_default().add_sale(sale);
    }
    let totals = totals.into_iter();
    totals
        .map(|((group, currency), sums)| SalesTotal {
            group,
            currency,
            sums,
        })
        .collect()
}

/// Checks a batch of sales.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming a field, or the sales that the batch
/// contains twice.
pub fn check_batch(sales: &[NewSale]) -> Result<()> {
    for sale in sales {
        check_new(sale).map_err(|error| error.for_record(&sale.key))?;
    }
    let batch = in_order(sales);
    let same = batch.chunk_by(|a, b| a.key == b.key);
    let twice: Vec<String> = same.filter_map(reported_twice).collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("sales", listed(&twice)))
}

/// Checks one sale of a batch.
pub(crate) fn check_new(sale: &NewSale) -> Result<()> {
    check_day("date", sale.key.date)?;
    sale.key.channel.check()
}

/// What to do about sales of one key; `None` if it is one sale.
pub(crate) fn reported_twice(same: &[&NewSale]) -> Option<String> {
    let (first, rest) = same.split_first()?;
    if rest.is_empty() {
        return None;
    }
    let mut currencies: Vec<&str> = same.iter().map(|sale| sale.currency.as_str()).collect();
    currencies.sort_unstable();
    currencies.dedup();
    let key = &first.key;
    let way_out = match (currencies.as_slice(), key.channel.market()) {
        ([_], None) => format!(
            "add them up if they are parts of one sum, give each its market if they are of \
             several ({}:us), or leave the outdated ones out",
            key.channel
        ),
        ([_], Some(_)) => "add them up if they are parts of one sum, or leave the outdated ones \
                           out"
        .to_owned(),
        (_, None) => format!(
            "a sale has one currency: give each its market, such as {}:us",
            key.channel
        ),
        (_, Some(_)) => "a sale has one currency: give those in each currency a market of their \
                         own"
        .to_owned(),
    };
    Some(format!(
        "there is more than one sale of {key}, in {}; {way_out}",
        currencies.join(" and ")
    ))
}

/// A batch in the order of its keys. Writers that lock rows in one order do not deadlock.
#[must_use]
pub fn in_order(sales: &[NewSale]) -> Vec<&NewSale> {
    let mut batch: Vec<&NewSale> = sales.iter().collect();
    batch.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    batch
}

/// The error for sales whose stored currency differs from the batch's. Nothing was written.
#[must_use]
pub fn currency_conflict(changed: &[(SaleKey, Currency, Currency)]) -> Error {
    let named: Vec<String> = changed
        .iter()
        .map(|(key, stored, new)| format!("{key} (stored in {stored}, now {new})"))
        .collect();
    let reason = format!(
        "the currency would change of {}; if both were sold, give each its market, such as \
         kdp:amazon.de; if the stored one is wrong, delete it first",
        listed(&named)
    );
    Error::new(crate::ErrorKind::Conflict {
        reason: reason.into(),
    })
}

/// The error for a sale that the table holds in several spellings of its platform, as an old app
/// may have left it. Each spelling comes with its key.
#[must_use]
pub fn several_spellings(held: &[(SaleKey, String)]) -> Error {
    let named = held.iter().map(|(key, names)| format!("{key} ({names})"));
    let named: Vec<String> = named.collect();
    let reason = format!(
        "the platform is written in several ways in the table: {}; the rows are one sale now, and \
         only one can be kept: delete the sale, which removes all of them, and write it again",
        listed(&named)
    );
    Error::new(crate::ErrorKind::Conflict {
        reason: reason.into(),
    })
}

/// The first few items, and how many more there are.
pub(crate) fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    const NAMED: usize = 5;
    let named: Vec<String> = items.iter().take(NAMED).map(ToString::to_string).collect();
    match items.len().checked_sub(NAMED) {
        None | Some(0) => named.join(", "),
        Some(more) => format!("{} and {more} more", named.join(", ")),
    }
}
