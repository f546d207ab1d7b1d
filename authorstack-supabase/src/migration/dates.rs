//! Dates that PostgreSQL cannot hold.

use authorstack_core::{
    Extra, Result,
    fields::{Field, FieldWriter, Fields, Value},
    migrate::{KeyForm, Kind, Problem, Problems, Record},
};
use authorstack_sql::postgres_micros;
use serde::Serialize;

/// The problems of a record's dates that have columns of their own.
pub(super) fn check_dates(record: &Record) -> Problems {
    let mut dates = Dates {
        within: place_of(record.kind()),
        problems: Problems::default(),
    };
    // This writer never fails.
    let _ = record.write(&mut dates);
    dates.problems
}

/// Where the document that holds a part has its fields.
fn place_of(kind: Kind) -> &'static str {
    match kind.description().key {
        KeyForm::Comment => "comments.",
        KeyForm::Price => "priceHistory.",
        KeyForm::Id | KeyForm::Like | KeyForm::Row => "",
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

    /// Parts are stored as JSON, which holds any date.
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
