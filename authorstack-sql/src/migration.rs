//! What a table of PostgreSQL refuses of the records of a migration, and how that is said.

use authorstack_core::{
    Error, ErrorKind, Extra, Result,
    fields::{Field, FieldWriter, Fields, Value},
    migrate::{Kind, Problem, Problems, Record},
};
use serde::Serialize;

use crate::codec::postgres_micros;

/// The problems of a record's dates that have columns of their own.
#[must_use]
pub fn check_dates(record: &Record) -> Problems {
    let within = place_of(record.kind());
    let mut problems = Problems::default();
    each_value(record, |field, value| {
        if let Some(Value::Moment(date)) = value
            && postgres_micros(date).is_none()
        {
            problems.push(Problem::new(
                format!("{within}{}", field.name),
                format!(
                    "{date} is outside PostgreSQL's range of dates, which begins in 4713 BC; \
                     correct it"
                ),
            ));
        }
    });
    problems
}

/// Looks at each value of a record that has a column of its own.
pub fn each_value(record: &Record, look: impl FnMut(&'static Field, Option<Value<'_>>)) {
    // This writer never fails.
    let _ = record.write(&mut Columns(look));
}

/// Where the document that holds a part has its fields.
const fn place_of(kind: Kind) -> &'static str {
    match kind {
        Kind::PostComments => "comments.",
        Kind::CompetitorPrices => "priceHistory.",
        Kind::Users
        | Kind::Books
        | Kind::Checklists
        | Kind::Follows
        | Kind::CommunityPosts
        | Kind::PostLikes
        | Kind::MarketplaceBoosts
        | Kind::Competitors
        | Kind::SalesData
        | Kind::DailyAggregates
        | Kind::SyncLogs
        | Kind::AiInsights
        | Kind::RevenueForecasts => "",
    }
}

/// Whether two rows with one number are one record: their identity columns are equal.
#[must_use]
pub fn is_same_record(a: &Record, b: &Record) -> bool {
    a.kind() == b.kind() && identity(a) == identity(b)
}

/// The values of a record's identity columns.
fn identity(record: &Record) -> Vec<String> {
    let columns = record.kind().description().identity;
    let mut values = Vec::with_capacity(columns.len());
    each_value(record, |field, value| {
        if field.column.is_some_and(|name| columns.contains(&name)) {
            values.push(format!("{value:?}"));
        }
    });
    values
}

/// Looks at the values that have columns of their own; parts are stored as JSON.
struct Columns<F>(F);

impl<F: FnMut(&'static Field, Option<Value<'_>>)> FieldWriter for Columns<F> {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        (self.0)(field, value);
        Ok(())
    }

    fn part<T: Fields + Serialize>(&mut self, _: &'static Field, _: &T) -> Result<()> {
        Ok(())
    }

    fn parts<T: Fields + Serialize>(&mut self, _: &'static Field, _: &[T]) -> Result<()> {
        Ok(())
    }

    fn extra(&mut self, _: &Extra) -> Result<()> {
        Ok(())
    }
}

/// The problem of a row whose number or unique values another record of the target has.
#[must_use]
pub fn taken_by(kind: Kind, number: i64, holder: i64) -> Problems {
    let one = kind.one();
    let unique = kind.description().unique.first();
    let (field, problem) = match unique {
        Some(unique) if number != holder => {
            let problem = format!(
                "{one} {holder} is of the same {}; delete or change one of the two, then replay",
                words(unique.columns)
            );
            (unique.field, problem)
        }
        _ => {
            let problem = format!(
                "{number} is the number of another {one} in the target, which was written there; \
                 give one of the two another number, then run again"
            );
            ("id", problem)
        }
    };
    Problem::new(field, problem).into()
}

/// Columns in a sentence, such as `user, book and day`.
fn words(columns: &[&str]) -> String {
    let words = columns.iter().map(|column| match *column {
        "date" => "day",
        column => column.strip_suffix("_id").unwrap_or(column),
    });
    let words: Vec<&str> = words.collect();
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// What the server's refusal says of a record.
#[must_use]
pub fn refusal(record: &Record, error: Error) -> Problems {
    match error.kind() {
        ErrorKind::NotFound => {
            let references = record.refers_to().into_iter();
            let problems = references.map(|(field, _, _)| {
                let problem = "one of the records that it refers to is gone from the target; move \
                               or fix it first, then replay";
                Problem::new(field, problem)
            });
            Problems(problems.collect())
        }
        ErrorKind::AlreadyExists { field } => Problem::new(
            field.clone(),
            "another record of the target has this value; change one of the two, then replay",
        )
        .into(),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_place_is_described_by_its_columns() {
        let said = |kind, holder| taken_by(kind, 7, holder).to_string();
        assert_eq!(
            said(Kind::SalesData, 8),
            "date: sale 8 is of the same user, book, platform and day; delete or change one of the \
             two, then replay"
        );
        assert_eq!(
            said(Kind::DailyAggregates, 8),
            "date: roll-up 8 is of the same user and day; delete or change one of the two, then replay"
        );
        assert!(said(Kind::SyncLogs, 7).starts_with("id: 7 is the number of another sync log"));
    }
}
