//! Records and patches as the arguments of statements.

use authorstack_core::{
    Change, Error, Extra, Result,
    fields::{Field, FieldValue, FieldWriter, Fields, PatchWriter, Shape, Value},
    time,
};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::{Arguments as _, Encode, Postgres, Type, postgres::PgArguments};
use uuid::Uuid;

use super::values::{SumsJson, texts};
use crate::{
    codec::{Jsonb, Moment, check_moment},
    ids::IdForm,
};

/// A record's fields as arguments, in the order of its columns.
///
/// # Errors
/// Invalid, naming the field, for a value that PostgreSQL cannot hold.
pub fn arguments<T: Fields>(record: &T) -> Result<PgArguments> {
    let mut writer = ArgumentWriter::default();
    record.write(&mut writer)?;
    Ok(writer.into_arguments())
}

/// Collects arguments: single values, the fields of a record, the changes of a patch.
#[derive(Debug, Default)]
pub struct ArgumentWriter {
    arguments: PgArguments,
    ids: IdForm,
    /// A column that the table itself fills.
    given: Option<&'static str>,
    /// Whether the table has no column for unknown fields, or the record has none.
    without_extra: bool,
}

impl ArgumentWriter {
    /// For tables whose ids have this form.
    #[must_use]
    pub fn with_ids(ids: IdForm) -> Self {
        Self {
            ids,
            ..Self::default()
        }
    }

    /// Leaves out a column that the table itself fills.
    #[must_use]
    pub fn without(mut self, column: &'static str) -> Self {
        self.given = Some(column);
        self
    }

    /// Leaves out the unknown fields.
    #[must_use]
    pub fn without_extra(mut self) -> Self {
        self.without_extra = true;
        self
    }

    /// Adds an argument.
    ///
    /// # Errors
    /// Invalid, for a value that PostgreSQL cannot hold.
    pub fn push<'t, T: Encode<'t, Postgres> + Type<Postgres>>(&mut self, value: T) -> Result<()> {
        self.add("value", value)
    }

    /// All arguments.
    #[must_use]
    pub fn into_arguments(self) -> PgArguments {
        self.arguments
    }

    fn add<'t, T: Encode<'t, Postgres> + Type<Postgres>>(
        &mut self,
        field: &'static str,
        value: T,
    ) -> Result<()> {
        let added = self.arguments.add(value);
        added.map_err(|error| Error::invalid(field, error.to_string()))
    }

    fn takes(&self, field: &'static Field) -> bool {
        field.column.is_some() && field.column != self.given
    }

    /// A missing value, with the type of the column.
    fn none(&mut self, field: &'static Field) -> Result<()> {
        let name = field.name;
        match field.shape {
            Shape::Id => self.add(name, None::<Uuid>),
            Shape::Text | Shape::TextOrEmpty => self.add(name, None::<&str>),
            Shape::Texts => self.add(name, None::<Vec<&str>>),
            Shape::Bool => self.add(name, None::<bool>),
            Shape::Whole(first, last) if is_integer(first, last) => self.add(name, None::<i32>),
            Shape::Whole(..) => self.add(name, None::<i64>),
            Shape::Float => self.add(name, None::<f64>),
            Shape::Decimal => self.add(name, None::<Decimal>),
            Shape::Day => self.add(name, None::<NaiveDate>),
            Shape::Moment => self.add(name, None::<Moment>),
            Shape::Json | Shape::Sums | Shape::Part | Shape::Parts => {
                self.add(name, None::<Jsonb<'_, ()>>)
            }
        }
    }
}

/// Whether a whole number within these bounds has a column of four bytes.
#[must_use]
pub const fn is_integer(first: i64, last: i64) -> bool {
    first >= i32::MIN as i64 && last <= i32::MAX as i64
}

impl FieldWriter for ArgumentWriter {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        if !self.takes(field) {
            return Ok(());
        }
        let Some(value) = value else {
            return self.none(field);
        };
        let name = field.name;
        match value {
            Value::Id(id) => self.add(name, self.ids.write(id)),
            Value::Text(text) => self.add(name, text),
            Value::Texts(list) => self.add(name, texts(list)),
            Value::Bool(yes) => self.add(name, yes),
            Value::Whole(number) => match field.shape {
                Shape::Whole(first, last) if is_integer(first, last) => {
                    self.add(name, integer(field, number)?)
                }
                _ => self.add(name, number),
            },
            Value::Float(number) => self.add(name, number),
            Value::Decimal(number) => self.add(name, number),
            Value::Day(day) => self.add(name, day),
            Value::Moment(at) => {
                check_moment(name, at)?;
                self.add(name, Moment(at))
            }
            Value::Json(json) => self.add(name, Jsonb(json)),
            Value::Sums(sums) => self.add(name, SumsJson(sums)),
        }
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()> {
        if self.takes(field) {
            self.add(field.name, Jsonb(part))?;
        }
        Ok(())
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()> {
        if self.takes(field) {
            self.add(field.name, Jsonb(&parts))?;
        }
        Ok(())
    }

    fn extra(&mut self, extra: &Extra) -> Result<()> {
        if self.without_extra {
            return Ok(());
        }
        self.add("extra", Jsonb(extra))
    }
}

/// A number for a column of four bytes.
///
/// # Errors
/// Invalid, naming the field.
pub fn integer(field: &'static Field, number: i64) -> Result<i32> {
    i32::try_from(number)
        .map_err(|_| Error::invalid(field.name, "is larger than the table can hold"))
}

/// Each field has two arguments: whether it changes, and its value.
impl PatchWriter for ArgumentWriter {
    fn change<T: FieldValue>(&mut self, field: &'static Field, change: Change<&T>) -> Result<()> {
        let (changes, value) = match change {
            Change::Keep => (false, None),
            Change::Clear => (true, None),
            Change::Set(value) => (true, Some(value)),
        };
        self.add(field.name, changes)?;
        match value {
            Some(value) => value.write(field, &mut Patched(self)),
            None => self.none(field),
        }
    }
}

/// The values of a patch. The moments of records have milliseconds.
struct Patched<'w>(&'w mut ArgumentWriter);

impl FieldWriter for Patched<'_> {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        let value = match value {
            Some(Value::Moment(at)) => Some(Value::Moment(time::to_millis(at))),
            other => other,
        };
        self.0.value(field, value)
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()> {
        self.0.part(field, part)
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()> {
        self.0.parts(field, parts)
    }

    fn extra(&mut self, extra: &Extra) -> Result<()> {
        self.0.extra(extra)
    }
}
