//! The records of a migration that a table of PostgreSQL refuses, and the messages for them.

use authorstack_core::{
    Error, ErrorKind, Extra, Result,
    fields::{Field, FieldWriter, Fields, Value},
    migrate::{KeyForm, Kind, Problem, Problems, Record},
};
use serde::Serialize;

use sqlx::postgres::PgRow;

use crate::{codec::postgres_micros, error::get};

/// Asks whether the database takes writes; for [`read_only_blocker`].
pub const READ_ONLY: &str = "select pg_is_in_recovery(), \
    current_setting('default_transaction_read_only') = 'on', current_database()::text";

/// Why a database takes no writes, from the answer to [`READ_ONLY`]; `None` if it takes some.
///
/// # Errors
/// Corrupt if the row is another answer.
pub fn read_only_blocker(row: &PgRow) -> Result<Option<String>> {
    let (is_replica, is_read_only): (bool, bool) = (get(row, 0)?, get(row, 1)?);
    let name: String = get(row, 2)?;
    Ok(if is_replica {
        Some(format!(
            "the server of {name} is a replica, which takes no writes; name the primary server"
        ))
    } else if is_read_only {
        Some(format!(
            "the database {name} takes no writes: default_transaction_read_only is on; set it off \
             for the database or the role"
        ))
    } else {
        None
    })
}

/// The problems of a record's dates in columns of their own.
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

/// Passes each value with a column of its own to a function.
pub fn each_value(record: &Record, look: impl FnMut(&'static Field, Option<Value<'_>>)) {
    // This writer never fails.
    let _ = record.write(&mut Columns(look));
}

/// The path of a part's fields in its document.
const fn place_of(kind: Kind) -> &'static str {
    match kind.description().key {
        KeyForm::Comment => "comments.",
        KeyForm::Price => "priceHistory.",
        KeyForm::Id | KeyForm::Like | KeyForm::Row | KeyForm::Account | KeyForm::Identity => "",
    }
}

/// Whether two rows with the same number are the same record: their identity columns are equal.
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

/// Passes on the values with columns of their own. Parts are stored as JSON.
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

/// The problem of a row if another record of the target has its number or its unique values.
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

/// Columns in a sentence, such as `user and day`.
fn words(columns: &[&str]) -> String {
    let words = columns.iter().map(|column| match *column {
        "date" => "day",
        column => column.strip_suffix("_id").unwrap_or(column),
    });
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// The problem of a record that the server refused.
#[must_use]
pub fn refusal(record: &Record, error: Error) -> Problems {
    let references = record.refers_to().into_iter();
    refused(references.map(|(field, _, _)| field), error)
}

/// The problem of a row that the server refused, and that was not read as a record.
#[must_use]
pub fn row_refusal(kind: Kind, error: Error) -> Problems {
    let references = kind.description().refers_to.iter();
    refused(references.map(|reference| reference.column), error)
}

/// The problem of what refers to others by these fields.
fn refused(references: impl Iterator<Item = &'static str>, error: Error) -> Problems {
    match error.kind() {
        ErrorKind::NotFound => {
            let problem = "one of the records that it refers to is gone from the target; move or \
                           fix it first, then replay";
            Problems(
                references
                    .map(|field| Problem::new(field, problem))
                    .collect(),
            )
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
            "date: sale 8 is of the same user, book, platform and day; delete or change one of \
             the two, then replay"
        );
        assert_eq!(
            said(Kind::DailyAggregates, 8),
            "date: roll-up 8 is of the same user and day; delete or change one of the two, then \
             replay"
        );
        assert!(said(Kind::SyncLogs, 7).starts_with("id: 7 is the number of another sync log"));
    }
}
