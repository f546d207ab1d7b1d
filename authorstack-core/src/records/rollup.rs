//! Roll-ups: a user's sales summed by day, in one currency, for dashboards. The schema calls them
//! daily aggregates (`daily_aggregates`), and so do the identifiers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::{
    check::check_fields,
    fields::{
        Field, FieldReader, FieldValue, FieldWriter, Fields, Read, Scalar, Shape, Value, fields,
    },
    json::json,
    ranking::{books, days, platforms},
};
use crate::{
    Amount, Book, Currency, Error, Extra, Id, Platform, Result, Sale, SalesChannel, Sums,
    Unreadable, User, values::days::check_day,
};

/// The roll-up of a user's day, in the currency that the caller of
/// [`AggregateRepository::refresh`](crate::AggregateRepository::refresh) chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyAggregate {
    /// The row number, assigned by the store; it stays when the day is refreshed.
    pub id: i64,
    /// The user. There is one roll-up for each user and day.
    pub user_id: Id<User>,
    /// The day.
    pub date: NaiveDate,
    /// All sales of the day.
    pub totals: Sums,
    /// The sales of each platform, in all its markets.
    pub platform_breakdown: BTreeMap<Platform, Sums>,
    /// The sales of each book.
    pub book_breakdown: BTreeMap<Id<Book>, Sums>,
    /// Fields that the schema does not know, such as columns of an old app.
    pub extra: Extra,
}

/// The fields as the schema names them.
struct Columns {
    id: i64,
    user_id: Id<User>,
    date: NaiveDate,
    total_revenue: Decimal,
    total_units: i64,
    total_page_reads: i64,
    platform_breakdown: BTreeMap<Platform, Sums>,
    book_breakdown: BTreeMap<Id<Book>, Sums>,
    extra: Extra,
}

impl From<Columns> for DailyAggregate {
    fn from(columns: Columns) -> Self {
        Self {
            id: columns.id,
            user_id: columns.user_id,
            date: columns.date,
            totals: Sums {
                revenue: columns.total_revenue,
                units: columns.total_units,
                page_reads: columns.total_page_reads,
            },
            platform_breakdown: columns.platform_breakdown,
            book_breakdown: columns.book_breakdown,
            extra: columns.extra,
        }
    }
}

impl From<DailyAggregate> for Columns {
    fn from(day: DailyAggregate) -> Self {
        Self {
            id: day.id,
            user_id: day.user_id,
            date: day.date,
            total_revenue: day.totals.revenue,
            total_units: day.totals.units,
            total_page_reads: day.totals.page_reads,
            platform_breakdown: day.platform_breakdown,
            book_breakdown: day.book_breakdown,
            extra: day.extra,
        }
    }
}

impl DailyAggregate {
    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_day("date", self.date)?;
        check_totals(self)?;
        check_fields(self)
    }
}

json!(DailyAggregate);

fields! {
    Columns, extra: extra;
    id: "id" required("give the row a number"),
    user_id: "user_id" required("say whose day it is"),
    date: "date" required("say which day"),
    total_revenue: "total_revenue" required("say what was earned"),
    total_units: "total_units" shape(INTEGER) required("say how many were sold"),
    total_page_reads: "total_page_reads" shape(INTEGER) vital("they are paid") or(0),
    platform_breakdown: "platform_breakdown" or(BTreeMap::new()),
    book_breakdown: "book_breakdown" or(BTreeMap::new()),
}

/// What the column of a total holds.
const INTEGER: Shape = Shape::Whole(i32::MIN as i64, i32::MAX as i64);

impl Fields for DailyAggregate {
    const FIELDS: &'static [Field] = Columns::FIELDS;
    const HAS_EXTRA: bool = Columns::HAS_EXTRA;

    fn write<W: FieldWriter>(&self, writer: &mut W) -> Result<()> {
        Columns::from(self.clone()).write(writer)
    }

    fn read<R: FieldReader>(reader: &mut R) -> Option<Self> {
        Columns::read(reader).map(Self::from)
    }
}

impl<K> FieldValue for BTreeMap<K, Sums>
where
    Self: Scalar,
{
    const SHAPE: Shape = Shape::Sums;

    fn write<W: FieldWriter>(&self, field: &'static Field, writer: &mut W) -> Result<()> {
        writer.value(field, Some(Scalar::value(self)))
    }

    fn read<R: FieldReader>(field: &'static Field, reader: &mut R) -> Read<Self> {
        reader.value(field)
    }
}

impl<K> Scalar for BTreeMap<K, Sums>
where
    K: BreakdownKey,
{
    const SHAPE: Shape = Shape::Sums;

    fn value(&self) -> Value<'_> {
        Value::Sums(self)
    }

    fn of(value: Value<'_>) -> Result<Self> {
        match value {
            Value::Sums(breakdown) => added_up(breakdown.sums()),
            other => super::fields::unexpected("sums", other),
        }
    }
}

/// What sums are made by. A table may name it in several ways.
trait BreakdownKey: Ord + std::fmt::Display + std::fmt::Debug + Sized {
    fn of_name(name: &str) -> Result<Self>;
}

impl BreakdownKey for Platform {
    /// An old app may have written `KDP` beside `kdp`, or sums by market.
    fn of_name(name: &str) -> Result<Self> {
        let channel: SalesChannel = name.parse()?;
        Ok(channel.platform())
    }
}

impl BreakdownKey for Id<Book> {
    fn of_name(name: &str) -> Result<Self> {
        name.parse()
    }
}

/// Named sums by what the names mean. Sums of one thing are added up.
fn added_up<K: BreakdownKey>(
    named: impl IntoIterator<Item = (String, Sums)>,
) -> Result<BTreeMap<K, Sums>> {
    let mut found: BTreeMap<K, Sums> = BTreeMap::new();
    for (name, sums) in named {
        *found.entry(K::of_name(&name)?).or_default() += sums;
    }
    Ok(found)
}

/// Converts amounts into one currency. A currency without a rate is refused by name.
///
/// ```
/// use authorstack_core::Conversion;
///
/// let into_usd = Conversion::into("USD".parse()?)
///     .rate("EUR".parse()?, "1.0845".parse().unwrap())?
///     .rate("JPY".parse()?, "0.006412".parse().unwrap())?;
/// let converted = into_usd.convert("100.01".parse()?, &"EUR".parse()?);
/// assert_eq!(converted.unwrap().to_string(), "108.46");
/// assert!(into_usd.convert("1".parse()?, &"GBP".parse()?).is_none());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    currency: Currency,
    rates: BTreeMap<Currency, Decimal>,
}

impl Conversion {
    /// Converts into this currency. Amounts in it stay as they are; every other currency needs a
    /// rate.
    #[must_use]
    pub fn into(currency: Currency) -> Self {
        let rates = BTreeMap::from([(currency.clone(), Decimal::ONE)]);
        Self { currency, rates }
    }

    /// Sets what one unit of another currency is worth in this one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the rate is not above zero and below a
    /// million, has more than twelve decimals, or converts the currency into itself.
    pub fn rate(mut self, from: Currency, rate: Decimal) -> Result<Self> {
        let rate = rate.normalize();
        let problem = if from == self.currency {
            "is that of the currency into itself; leave it out"
        } else if rate <= Decimal::ZERO || rate >= Decimal::from(1_000_000) {
            "is not above zero and below a million"
        } else if rate.scale() > 12 {
            "has more than twelve decimals; round it"
        } else {
            self.rates.insert(from, rate);
            return Ok(self);
        };
        let reason = format!("the rate {rate} of {from} {problem}");
        Err(Error::invalid("rates", reason))
    }

    /// The currency to convert into.
    #[must_use]
    pub const fn currency(&self) -> &Currency {
        &self.currency
    }

    /// Each currency with its rate, including the target currency itself.
    pub fn rates(&self) -> impl Iterator<Item = (&Currency, Decimal)> {
        self.rates.iter().map(|(currency, rate)| (currency, *rate))
    }

    /// The converted amount, rounded to the cent, with half a cent away from zero; `None` for a
    /// currency without a rate. Each sale is rounded on its own, so all sums of the same sales
    /// agree.
    #[must_use]
    pub fn convert(&self, amount: Amount, from: &Currency) -> Option<Decimal> {
        let rate = self.rates.get(from)?;
        let exact = amount.to_decimal() * rate;
        let mut rounded = exact.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        rounded.rescale(2);
        Some(rounded)
    }
}

/// What a refresh did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RefreshReport {
    /// Days whose roll-up was created or changed.
    pub written: u64,
    /// Days whose roll-up was removed: they have no sales any more, or are among `gaps`.
    pub removed: u64,
    /// Days with sales that could not be rolled up, in order. They have no roll-up now: an old one
    /// would no longer be right. Refresh them again once the problem is fixed.
    pub gaps: Vec<Gap>,
}

impl std::ops::AddAssign for RefreshReport {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.removed += other.removed;
        self.gaps.extend(other.gaps);
    }
}

/// A day that could not be rolled up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The day.
    pub date: NaiveDate,
    /// Why, and so what to do.
    pub reason: GapReason,
}

/// Why a day could not be rolled up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GapReason {
    /// There are sales in these currencies, and no rate for them: supply one for each.
    WithoutRate(BTreeSet<Currency>),
    /// The sums are larger than the table can hold: look for a wrong amount or rate.
    TooLarge,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.reason {
            GapReason::WithoutRate(currencies) => {
                let names: Vec<&str> = currencies.iter().map(Currency::as_str).collect();
                write!(f, "{} (no rate of {})", self.date, names.join(", "))
            }
            GapReason::TooLarge => write!(f, "{} (larger than the table can hold)", self.date),
        }
    }
}

/// The roll-ups of some days, summed for a dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The whole range.
    pub totals: Sums,
    /// The same number of days right before ([`Days::before`](crate::Days::before)).
    pub previous: Sums,
    /// Each day that has sales, in order.
    #[serde(with = "days")]
    pub days: Vec<(NaiveDate, Sums)>,
    /// The platforms, highest revenue first, then by name.
    #[serde(with = "platforms")]
    pub platforms: Vec<(Platform, Sums)>,
    /// The books, highest revenue first, then by id.
    #[serde(with = "books")]
    pub books: Vec<(Id<Book>, Sums)>,
    /// The roll-ups that could not be read: the sums are without what could not be read of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

impl Overview {
    /// Sums roll-ups in memory: `range` are those of the days, `before` those of the days before;
    /// `top` is how many books and platforms to keep.
    #[must_use]
    pub fn of<'a>(
        range: impl IntoIterator<Item = &'a DailyAggregate>,
        before: impl IntoIterator<Item = &'a DailyAggregate>,
        top: usize,
    ) -> Self {
        let mut overview = Self::default();
        let (mut platforms, mut books) = (BTreeMap::new(), BTreeMap::new());
        for day in range {
            overview.totals += day.totals;
            overview.days.push((day.date, day.totals));
            for (platform, sums) in &day.platform_breakdown {
                *platforms
                    .entry(platform.clone())
                    .or_insert_with(Sums::default) += *sums;
            }
            for (book, sums) in &day.book_breakdown {
                *books.entry(*book).or_insert_with(Sums::default) += *sums;
            }
        }
        for day in before {
            overview.previous += day.totals;
        }
        overview.platforms = highest_first(platforms, top);
        overview.books = highest_first(books, top);
        overview
    }
}

fn highest_first<K: Ord>(sums: BTreeMap<K, Sums>, top: usize) -> Vec<(K, Sums)> {
    let mut sums: Vec<(K, Sums)> = sums.into_iter().collect();
    // The sort is stable: entries with equal revenue stay in the order of their keys.
    sums.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.revenue));
    sums.truncate(top);
    sums
}

/// Rolls up the sales of one user in memory, by day. Days that cannot be rolled up come apart, in
/// order.
#[must_use]
pub fn roll_up<'s>(
    user_id: Id<User>,
    sales: impl IntoIterator<Item = &'s Sale>,
    conversion: &Conversion,
) -> (BTreeMap<NaiveDate, DailyAggregate>, Vec<Gap>) {
    let mut days: BTreeMap<NaiveDate, DailyAggregate> = BTreeMap::new();
    let mut unknown: BTreeMap<NaiveDate, BTreeSet<Currency>> = BTreeMap::new();
    for sale in sales {
        let Some(revenue) = conversion.convert(sale.revenue, &sale.currency) else {
            let without_rate = unknown.entry(sale.date).or_default();
            without_rate.insert(sale.currency.clone());
            continue;
        };
        let sums = Sums {
            revenue,
            units: sale.units.into(),
            page_reads: sale.page_reads.into(),
        };
        let day = days.entry(sale.date).or_insert_with(|| DailyAggregate {
            id: 0,
            user_id,
            date: sale.date,
            totals: Sums::default(),
            platform_breakdown: BTreeMap::new(),
            book_breakdown: BTreeMap::new(),
            extra: Extra::new(),
        });
        day.totals += sums;
        *day.platform_breakdown
            .entry(sale.channel.platform())
            .or_default() += sums;
        *day.book_breakdown.entry(sale.book_id).or_default() += sums;
    }
    let mut gaps: BTreeMap<NaiveDate, GapReason> = BTreeMap::new();
    for day in days.values().filter(|day| check_totals(day).is_err()) {
        gaps.insert(day.date, GapReason::TooLarge);
    }
    // A missing rate comes first: the rest of the day says nothing about its sum.
    let unknown = unknown.into_iter();
    gaps.extend(unknown.map(|(date, currencies)| (date, GapReason::WithoutRate(currencies))));
    days.retain(|date, _| !gaps.contains_key(date));
    let gaps = gaps.into_iter().map(|(date, reason)| Gap { date, reason });
    (days, gaps.collect())
}

fn check_totals(day: &DailyAggregate) -> Result<()> {
    let too_large = |field: &'static str| {
        let reason = format!(
            "the total of {} is larger than the table can hold",
            day.date
        );
        Error::invalid(field, reason)
    };
    Amount::new(day.totals.revenue).map_err(|_| too_large("total_revenue"))?;
    i32::try_from(day.totals.units).map_err(|_| too_large("total_units"))?;
    i32::try_from(day.totals.page_reads).map_err(|_| too_large("total_page_reads"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn bad_rates_are_refused() {
        let into = || Conversion::into(currency("USD"));
        for rate in ["0", "-1", "1000000", "0.0000000000001"] {
            let refused = into().rate(currency("EUR"), rate.parse().unwrap());
            assert!(refused.unwrap_err().to_string().contains("EUR"), "{rate}");
        }
        assert!(into().rate(currency("USD"), Decimal::TWO).is_err());
    }

    #[test]
    fn half_a_cent_goes_away_from_zero() {
        let into = Conversion::into(currency("USD")).rate(currency("EUR"), "0.5".parse().unwrap());
        let into = into.unwrap();
        for (amount, converted) in [("0.01", "0.01"), ("-0.01", "-0.01"), ("0.03", "0.02")] {
            let found = into.convert(amount.parse().unwrap(), &currency("EUR"));
            assert_eq!(found.unwrap().to_string(), converted);
        }
    }

    #[test]
    fn a_platform_in_several_spellings_has_one_sum() {
        let json = serde_json::json!({
            "id": 1, "user_id": Id::<User>::new(), "date": "2024-03-01",
            "total_revenue": "6.50", "total_units": 6,
            "platform_breakdown": {
                "KDP": {"revenue": "1", "units": 1, "page_reads": 0},
                "kdp": {"revenue": "2.50", "units": 2, "page_reads": 7},
                "kdp:amazon.de": {"revenue": "3", "units": 3, "page_reads": 0},
            },
        });
        let day: DailyAggregate = serde_json::from_value(json).unwrap();
        let sums = Sums {
            revenue: "6.50".parse().unwrap(),
            units: 6,
            page_reads: 7,
        };
        let expected = BTreeMap::from([(Platform::KDP, sums)]);
        assert_eq!(day.platform_breakdown, expected);
    }

    /// Sales of few days, channels and books.
    fn sales() -> impl proptest::strategy::Strategy<Value = Vec<Sale>> {
        use proptest::prelude::*;

        let channels = [
            "kdp",
            "KDP:us",
            "kdp:de",
            "gumroad",
            "shop: x",
            "shop: x:us",
        ];
        let codes = ["USD", "EUR", "GBP"];
        let sale = (
            proptest::sample::select(channels.to_vec()),
            proptest::sample::select(codes.to_vec()),
            (1..4_u32, 0..2_u8),
            (-1_000_000_i64..1_000_000, -50..50_i32, 0..900_i32),
        );
        let sale = sale.prop_map(
            |(channel, code, (day, book), (cents, units, page_reads))| Sale {
                id: 0,
                user_id: Id::from_bytes([1; 12]),
                book_id: Id::from_bytes([book; 12]),
                channel: channel.parse().unwrap(),
                date: NaiveDate::from_ymd_opt(2024, 3, day).unwrap(),
                revenue: Amount::from_cents(cents).unwrap(),
                units,
                page_reads,
                currency: currency(code),
                synced_at: None,
                extra: Extra::new(),
            },
        );
        proptest::collection::vec(sale, 0..40)
    }

    proptest::proptest! {
        /// The sum of a platform is the sum of its markets: in totals, and in roll-ups.
        #[test]
        fn platforms_are_the_sum_of_their_markets(sales in sales()) {
            use crate::{TotalsBy, TotalsGroup, sales::total_sales};

            let mut folded: BTreeMap<_, Sums> = BTreeMap::new();
            for total in total_sales(&sales, TotalsBy::Market) {
                let TotalsGroup::Market(channel) = total.group else { panic!("no market") };
                *folded.entry((channel.platform(), total.currency)).or_default() += total.sums;
            }
            let platforms = total_sales(&sales, TotalsBy::Platform).into_iter().map(|total| {
                let TotalsGroup::Platform(platform) = total.group else { panic!("no platform") };
                ((platform, total.currency), total.sums)
            });
            proptest::prop_assert_eq!(platforms.collect::<BTreeMap<_, _>>(), folded);

            // Pounds have no rate.
            let into = Conversion::into(currency("USD"));
            let into = into.rate(currency("EUR"), "1.0847".parse().unwrap()).unwrap();
            let (days, gaps) = roll_up(Id::from_bytes([1; 12]), &sales, &into);
            let mut expected: BTreeMap<(NaiveDate, Platform), Sums> = BTreeMap::new();
            let mut without_rate = BTreeSet::new();
            for sale in &sales {
                match into.convert(sale.revenue, &sale.currency) {
                    None => { without_rate.insert(sale.date); }
                    Some(revenue) => {
                        let sums = expected.entry((sale.date, sale.channel.platform())).or_default();
                        sums.revenue += revenue;
                        sums.units += i64::from(sale.units);
                        sums.page_reads += i64::from(sale.page_reads);
                    }
                }
            }
            expected.retain(|(date, _), _| !without_rate.contains(date));
            let mut found = BTreeMap::new();
            for (date, day) in days {
                let mut all = Sums::default();
                day.platform_breakdown.values().for_each(|sums| all += *sums);
                proptest::prop_assert_eq!(all, day.totals);
                found.extend(day.platform_breakdown.into_iter().map(|(p, sums)| ((date, p), sums)));
            }
            proptest::prop_assert_eq!(found, expected);
            let gaps: BTreeSet<NaiveDate> = gaps.into_iter().map(|gap| gap.date).collect();
            proptest::prop_assert_eq!(gaps, without_rate);
        }
    }

    proptest::proptest! {
        /// The largest products fit into a decimal number without losing a digit.
        #[test]
        fn conversion_is_exact(cents in -9_999_999_999_i64..=9_999_999_999, rate in 1..1_000_000_000_000_000_000_i64) {
            let conversion = Conversion::into(currency("USD"));
            let conversion = conversion.rate(currency("EUR"), Decimal::new(rate, 12)).unwrap();
            let amount = Amount::from_cents(cents).unwrap();
            let converted = conversion.convert(amount, &currency("EUR")).unwrap();
            let exact = i128::from(cents) * i128::from(rate);
            let unit = 1_000_000_000_000_i128;
            let rounded = (exact.abs() + unit / 2) / unit * exact.signum();
            proptest::prop_assert_eq!(converted.mantissa(), rounded);
        }
    }
}
