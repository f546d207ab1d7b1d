//! Reading a sales report in CSV. Whatever is wrong with it is named with its line.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use authorstack_core::{
    Amount, Asin, Book, Currency, Id, Market, NewSale, Platform, SaleKey, SalesChannel, User,
    chrono::NaiveDate,
};
use serde::Deserialize;

use crate::{app::App, problem::Problem};

/// How many lines a report has at most.
const MOST_LINES: usize = 100_000;

/// How many books a report names at most: each is looked up.
const MOST_BOOKS: usize = 500;

/// A line, with its number in the file.
#[derive(Debug)]
pub struct Line {
    number: u64,
    date: NaiveDate,
    asin: Asin,
    market: Option<Market>,
    units: i32,
    royalty: Amount,
    currency: Currency,
    pages: i32,
}

/// The columns, as texts.
#[derive(Debug, Deserialize)]
struct Columns {
    date: String,
    asin: String,
    #[serde(default)]
    marketplace: String,
    #[serde(default)]
    units: String,
    #[serde(default)]
    refunds: String,
    royalty: String,
    currency: String,
    #[serde(default)]
    kenp: String,
}

/// Reads the lines of a report.
///
/// # Errors
/// 422, naming the line and the column.
pub fn read(csv: &[u8]) -> Result<Vec<Line>, Problem> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(csv);
    let headers = reader.headers().map_err(malformed)?.clone();
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        let number = record.position().map_or(0, csv::Position::line);
        if lines.len() == MOST_LINES {
            return Err(wrong(number, "", "is one too many; split the report"));
        }
        let columns = record.deserialize(Some(&headers)).map_err(malformed)?;
        lines.push(Line::of(number, &columns)?);
    }
    Ok(lines)
}

impl Line {
    fn of(number: u64, columns: &Columns) -> Result<Self, Problem> {
        let of = |column| move |why: Why| wrong(number, column, why);
        let market = &columns.marketplace;
        let units: i32 = count(&columns.units).map_err(of("units"))?;
        let refunds: i32 = count(&columns.refunds).map_err(of("refunds"))?;
        let units = units.checked_sub(refunds);
        Ok(Self {
            number,
            date: parse(&columns.date).map_err(of("date"))?,
            asin: parse(&columns.asin).map_err(of("asin"))?,
            market: match market.as_str() {
                "" => None,
                market => Some(parse(market).map_err(of("marketplace"))?),
            },
            units: units.ok_or_else(|| wrong(number, "refunds", "are too many"))?,
            royalty: parse(&columns.royalty).map_err(of("royalty"))?,
            currency: parse(&columns.currency).map_err(of("currency"))?,
            pages: count(&columns.kenp).map_err(of("kenp"))?,
        })
    }
}

/// Makes sales of the lines: those of one book, place and day are one sale.
///
/// # Errors
/// 422 for a book that the user does not have, and for sums that are too large.
pub async fn sales(
    app: &App,
    user: Id<User>,
    platform: &Platform,
    lines: Vec<Line>,
) -> Result<Vec<NewSale>, Problem> {
    let books = books(app, user, &lines).await?;
    let mut sales: BTreeMap<SaleKey, NewSale> = BTreeMap::new();
    for line in lines {
        let number = line.number;
        let book = books.get(&line.asin).copied().flatten();
        let book = book.ok_or_else(|| {
            wrong(
                number,
                "asin",
                format_args!("{} is no book of yours", line.asin),
            )
        })?;
        let channel = match &line.market {
            None => SalesChannel::from(platform.clone()),
            Some(market) => platform.in_market(market)?,
        };
        let key = SaleKey::new(book, channel, line.date);
        let new = || NewSale::new(key.clone(), Amount::default(), line.currency.clone());
        let sale = sales.entry(key.clone()).or_insert_with(new);
        if sale.currency != line.currency {
            let why = "is not that of another line of this book, place and day";
            return Err(wrong(number, "currency", why));
        }
        let revenue = sale.revenue.to_decimal() + line.royalty.to_decimal();
        sale.revenue = Amount::new(revenue).map_err(|why| wrong(number, "royalty", why))?;
        sale.units = sale.units.saturating_add(line.units);
        sale.page_reads = sale.page_reads.saturating_add(line.pages);
    }
    Ok(sales.into_values().collect())
}

/// The books of the report, by their ASINs.
async fn books(
    app: &App,
    user: Id<User>,
    lines: &[Line],
) -> Result<BTreeMap<Asin, Option<Id<Book>>>, Problem> {
    let mut books = BTreeMap::new();
    for line in lines {
        if books.contains_key(&line.asin) {
            continue;
        }
        if books.len() == MOST_BOOKS {
            return Err(wrong(
                line.number,
                "asin",
                "is one book too many; split the report",
            ));
        }
        let found = app.stack.books().list_by_asin(user, &line.asin).await?;
        books.insert(line.asin.clone(), found.first().map(|book| book.id));
    }
    Ok(books)
}

/// Why a column cannot be read.
type Why = Box<dyn Display + Send>;

fn parse<T: FromStr>(text: &str) -> Result<T, Why>
where
    T::Err: Display + Send + 'static,
{
    text.parse().map_err(|why| Box::new(why) as Why)
}

fn count(text: &str) -> Result<i32, Why> {
    if text.is_empty() { Ok(0) } else { parse(text) }
}

fn wrong(line: u64, column: &str, why: impl Display) -> Problem {
    Problem::unreadable(format!("line {line}: {column}: {why}"))
}

fn malformed(error: csv::Error) -> Problem {
    let line = error.position().map(csv::Position::line);
    let line = line.map_or_else(String::new, |line| format!("line {line}: "));
    let why = match error.into_kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("has {len} columns, and the first line {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "is no text in UTF-8".to_owned(),
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        _ => "cannot be read".to_owned(),
    };
    Problem::unreadable(line + &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "date,asin,marketplace,units,refunds,royalty,currency,kenp\n";

    fn problem(lines: &str) -> String {
        let problem = read(format!("{HEAD}{lines}").as_bytes()).unwrap_err();
        serde_json::to_value(problem).unwrap()["detail"].to_string()
    }

    #[test]
    fn lines_are_read_with_refunds_and_pages() {
        let csv = format!("{HEAD}2024-03-01,B08N5WRWNW,Amazon.de,5,2,-3.49,EUR,\n");
        let lines = read(csv.as_bytes()).unwrap();
        assert_eq!((lines[0].number, lines[0].units, lines[0].pages), (2, 3, 0));
        assert_eq!(lines[0].royalty.to_string(), "-3.49");
        let short = b"royalty,currency,asin,date\n1,USD,B08N5WRWNW,2024-03-01\n";
        assert_eq!(read(short).unwrap()[0].market, None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let good = "2024-03-01,B08N5WRWNW,,1,0,3.49,USD,0\n";
        for (bad, named) in [
            ("2024-13-01,B08N5WRWNW,,1,0,3.49,USD,0\n", "line 3: date: "),
            ("2024-03-01,B08,,1,0,3.49,USD,0\n", "line 3: asin: "),
            ("2024-03-01,B08N5WRWNW,,x,0,3.49,USD,0\n", "line 3: units: "),
            (
                "2024-03-01,B08N5WRWNW,,1,0,much,USD,0\n",
                "line 3: royalty: ",
            ),
            ("2024-03-01,B08N5WRWNW,,1,0,3.49\n", "line 3: has 6 columns"),
        ] {
            let problem = problem(&format!("{good}{bad}"));
            assert!(problem.contains(named), "{problem}");
        }
    }
}
