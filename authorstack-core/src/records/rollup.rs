//! Roll-ups: a user's sales summed by day, in one currency, for dashboards. The schema calls them
//! daily aggregates (`daily_aggregates`), and so do the identifiers.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::{
    fields::{
        Field, FieldReader, FieldValue, FieldWriter, Fields, Read, Scalar, Shape, Value, fields,
    },
    json::json,
    ranking::{books, days, platforms},
};
use crate::{
    Amount, Book, Currency, Error, Id, Platform, Result, Sale, Sums, User, values::days::check_day,
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
    /// The sales of each platform.
    pub platform_breakdown: BTreeMap<Platform, Sums>,
    /// The sales of each book.
    pub book_breakdown: BTreeMap<Id<Book>, Sums>,
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
        check_totals(self)
    }
}

json!(DailyAggregate);

fields! {
    Columns;
    id: "id" required("give the row a number"),
    user_id: "user_id" required("say whose day it is"),
    date: "date" required("say which day"),
    total_revenue: "total_revenue" required("say what was earned"),
    total_units: "total_units" shape(INTEGER) required("say how many were sold"),
    total_page_reads: "total_page_reads" shape(INTEGER) or(0),
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
    K: Ord + std::fmt::Display + std::fmt::Debug + std::str::FromStr<Err = Error>,
{
    const SHAPE: Shape = Shape::Sums;

    fn value(&self) -> Value<'_> {
        Value::Sums(self)
    }

    fn of(value: Value<'_>) -> Result<Self> {
        match value {
            Value::Sums(breakdown) => breakdown
                .sums()
                .map(|(key, sums)| Ok((key.parse()?, sums)))
                .collect(),
            other => Err(Error::invalid(
                "value",
                format!("expected sums, found {other:?}"),
            )),
        }
    }
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

    /// The error for sales in currencies without a rate.
    #[must_use]
    pub fn missing(&self, currencies: &[Currency]) -> Error {
        let names: Vec<&str> = currencies.iter().map(Currency::as_str).collect();
        let reason = format!(
            "there are sales in {}, and no rate into {}; supply one for each",
            names.join(", "),
            self.currency
        );
        Error::invalid("rates", reason)
    }
}

/// What a refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RefreshCounts {
    /// Days whose roll-up was created or changed.
    pub written: u64,
    /// Days whose roll-up was removed, because they have no sales any more.
    pub removed: u64,
}

impl std::ops::AddAssign for RefreshCounts {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.removed += other.removed;
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

/// Rolls up the sales of one user in memory, by day.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) naming the currencies without a rate, or a
/// total that the tables cannot hold.
pub fn roll_up<'s>(
    user_id: Id<User>,
    sales: impl IntoIterator<Item = &'s Sale>,
    conversion: &Conversion,
) -> Result<BTreeMap<NaiveDate, DailyAggregate>> {
    let mut days: BTreeMap<NaiveDate, DailyAggregate> = BTreeMap::new();
    let mut unknown = std::collections::BTreeSet::new();
    for sale in sales {
        let Some(revenue) = conversion.convert(sale.revenue, &sale.currency) else {
            unknown.insert(sale.currency.clone());
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
        });
        day.totals += sums;
        *day.platform_breakdown
            .entry(sale.platform.clone())
            .or_default() += sums;
        *day.book_breakdown.entry(sale.book_id).or_default() += sums;
    }
    if !unknown.is_empty() {
        let unknown: Vec<Currency> = unknown.into_iter().collect();
        return Err(conversion.missing(&unknown));
    }
    for day in days.values() {
        check_totals(day)?;
    }
    Ok(days)
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
