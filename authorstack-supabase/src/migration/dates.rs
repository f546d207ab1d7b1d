//! Dates that PostgreSQL cannot hold.

use authorstack_core::{
    Extra, Result,
    fields::{Field, FieldWriter, Fields, Value},
    migrate::{Kind, Problem, Problems, Record},
};
use authorstack_sql::postgres_micros;
use serde::Serialize;

/// The problems of a record's dates that have columns of their own.
pub(super) fn check_dates(record: &Record) -> Problems {
    let mut dates = Dates {
        within: within(record.kind()),
        problems: Problems::default(),
    };
    // Looking at a field cannot fail.
    let _ = record.write(&mut dates);
    dates.problems
}

/// Where the fields of a kind stand in the document that holds them.
fn within(kind: Kind) -> &'static str {
    match kind {
        Kind::PostComments => "comments.",
        Kind::CompetitorPrices => "priceHistory.",
        _ => "",
    }
}

struct Dates {
    within: &'static str,
    problems: Problems,
}

impl FieldWriter for Dates {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        if let Some(Value::Moment(date)) = value
            && postgres_micros(date).is_none()
        {
            self.problems.push(Problem::new(
                format!("{}{}", self.within, field.name),
                format!("{date} is outside PostgreSQL's range of dates, which begins in 4713 BC; correct it"),
            ));
        }
        Ok(())
    }

    /// The dates of parts are JSON, which holds any.
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
