//! Many records as the arguments of one statement: one array for each column.

use std::collections::BTreeMap;

use authorstack_core::{
    Error, Extra, Id, Result, Sums,
    fields::{Field, FieldWriter, Fields, Shape, Value},
    migrate::{Kind, Record},
};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::{Arguments as _, postgres::PgArguments};
use uuid::Uuid;

use super::{
    arguments::{integer, is_integer},
    sums::write_sums,
};
use crate::{
    codec::{Moment, check_moment, write_json},
    ids::IdForm,
};

/// Writes ids in the form of a table.
pub trait WriteIds {
    /// The UUID for an id.
    fn uuid(&self, id: Id<()>) -> Uuid;

    /// The key of a field's sums in the table.
    fn key(&self, field: &'static Field, key: String) -> String {
        let _ = field;
        key
    }
}

impl WriteIds for IdForm {
    fn uuid(&self, id: Id<()>) -> Uuid {
        self.write(id)
    }
}

/// The values of a column.
#[derive(Debug)]
enum Column {
    Ids(Vec<Option<Uuid>>),
    Texts(Vec<Option<String>>),
    Bools(Vec<Option<bool>>),
    Integers(Vec<Option<i32>>),
    Bigints(Vec<Option<i64>>),
    Decimals(Vec<Option<Decimal>>),
    Days(Vec<Option<NaiveDate>>),
    Moments(Vec<Option<Moment>>),
    /// JSON as text: the statement casts it to `jsonb`.
    Jsons(Vec<Option<String>>),
    /// A column whose type has no array here.
    Refused,
}

impl Column {
    fn new(field: &'static Field) -> Self {
        match field.shape {
            Shape::Id => Self::Ids(Vec::new()),
            Shape::Text | Shape::TextOrEmpty => Self::Texts(Vec::new()),
            Shape::Bool => Self::Bools(Vec::new()),
            Shape::Whole(first, last) if is_integer(first, last) => Self::Integers(Vec::new()),
            Shape::Whole(..) => Self::Bigints(Vec::new()),
            Shape::Decimal => Self::Decimals(Vec::new()),
            Shape::Day => Self::Days(Vec::new()),
            Shape::Moment => Self::Moments(Vec::new()),
            Shape::Json | Shape::Sums => Self::Jsons(Vec::new()),
            Shape::Texts | Shape::Float | Shape::Part | Shape::Parts => Self::Refused,
        }
    }

    const fn sql_type(&self) -> &'static str {
        match self {
            Self::Ids(_) => "uuid[]",
            Self::Texts(_) | Self::Jsons(_) | Self::Refused => "text[]",
            Self::Bools(_) => "bool[]",
            Self::Integers(_) => "int[]",
            Self::Bigints(_) => "bigint[]",
            Self::Decimals(_) => "numeric[]",
            Self::Days(_) => "date[]",
            Self::Moments(_) => "timestamptz[]",
        }
    }
}

fn no_array(field: &'static Field) -> Error {
    Error::internal(format!("{} has no array", field.name))
}

/// Bytes of JSON as text.
fn json(field: &'static Field, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Error::invalid(field.name, error.to_string()))
}

/// Collects the values of each column of many records.
#[derive(Debug)]
pub struct ArrayWriter<I = IdForm> {
    ids: I,
    columns: Vec<(&'static Field, Column)>,
    /// The unknown fields as JSON, null where a record has none; `None` where they are left out.
    extra: Option<Vec<Option<String>>>,
    next: usize,
}

impl<I: WriteIds> ArrayWriter<I> {
    /// For records of this type, without some columns.
    pub(crate) fn new<T: Fields>(ids: I, without: &[&str]) -> Self {
        Self::of(T::FIELDS, ids, without, None)
    }

    /// For records of a kind.
    #[must_use]
    pub fn of_kind(kind: Kind, ids: I) -> Self {
        let extra = kind.has_extra().then_some(Vec::new());
        Self::of(kind.fields(), ids, &[], extra)
    }

    fn of(
        fields: &'static [Field],
        ids: I,
        without: &[&str],
        extra: Option<Vec<Option<String>>>,
    ) -> Self {
        let fields = fields.iter();
        let taken =
            fields.filter(|field| field.column.is_some_and(|name| !without.contains(&name)));
        Self {
            ids,
            columns: taken.map(|field| (field, Column::new(field))).collect(),
            extra,
            next: 0,
        }
    }

    /// The names of the columns.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let names = self.columns.iter().filter_map(|(field, _)| field.column);
        names
            .chain(self.extra.is_some().then_some("extra"))
            .collect()
    }

    /// The parameters with their array types, numbered from `first`.
    #[must_use]
    pub fn parameters(&self, first: usize) -> String {
        let types = self.columns.iter().map(|(_, column)| column.sql_type());
        let types = types.chain(self.extra.is_some().then_some("text[]"));
        let parameters = types
            .zip(first..)
            .map(|(sql_type, number)| format!("${number}::{sql_type}"));
        parameters.collect::<Vec<_>>().join(", ")
    }

    /// Adds a record.
    pub(crate) fn push<T: Fields>(&mut self, record: &T) -> Result<()> {
        self.next = 0;
        record.write(self)
    }

    /// Adds a record of the kind.
    ///
    /// # Errors
    /// Invalid, naming the field, for a value that PostgreSQL cannot hold.
    pub fn push_record(&mut self, record: &Record) -> Result<()> {
        self.next = 0;
        record.write(self)
    }

    /// Adds the arrays to arguments.
    ///
    /// # Errors
    /// Invalid, naming the field, for values that PostgreSQL cannot hold.
    pub fn add_to(self, arguments: &mut PgArguments) -> Result<()> {
        for (field, column) in self.columns {
            let added = match column {
                Column::Ids(values) => arguments.add(values),
                Column::Texts(values) | Column::Jsons(values) => arguments.add(values),
                Column::Bools(values) => arguments.add(values),
                Column::Integers(values) => arguments.add(values),
                Column::Bigints(values) => arguments.add(values),
                Column::Decimals(values) => arguments.add(values),
                Column::Days(values) => arguments.add(values),
                Column::Moments(values) => arguments.add(values),
                Column::Refused => return Err(no_array(field)),
            };
            added.map_err(|error| Error::invalid(field.name, error.to_string()))?;
        }
        if let Some(extra) = self.extra {
            let added = arguments.add(extra);
            added.map_err(|error| Error::invalid("extra", error.to_string()))?;
        }
        Ok(())
    }
}

impl<I: WriteIds> FieldWriter for ArrayWriter<I> {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        // Columns that are left out are not in the list.
        let Some((of, column)) = self.columns.get_mut(self.next) else {
            return Ok(());
        };
        if *of != field {
            return Ok(());
        }
        self.next += 1;
        match (column, value) {
            (Column::Ids(ids), Some(Value::Id(id))) => ids.push(Some(self.ids.uuid(id))),
            (Column::Texts(texts), Some(Value::Text(text))) => texts.push(Some(text.to_owned())),
            (Column::Bools(bools), Some(Value::Bool(yes))) => bools.push(Some(yes)),
            (Column::Integers(numbers), Some(Value::Whole(number))) => {
                numbers.push(Some(integer(field, number)?));
            }
            (Column::Bigints(numbers), Some(Value::Whole(number))) => numbers.push(Some(number)),
            (Column::Decimals(numbers), Some(Value::Decimal(number))) => {
                numbers.push(Some(number));
            }
            (Column::Days(days), Some(Value::Day(day))) => days.push(Some(day)),
            (Column::Moments(moments), Some(Value::Moment(at))) => {
                check_moment(field.name, at)?;
                moments.push(Some(Moment(at)));
            }
            (Column::Jsons(jsons), Some(Value::Json(value))) => {
                let mut bytes = Vec::new();
                write_json(&mut bytes, value)
                    .map_err(|error| Error::invalid(field.name, error.to_string()))?;
                jsons.push(Some(json(field, bytes)?));
            }
            (Column::Jsons(jsons), Some(Value::Sums(sums))) => {
                let entries = sums.sums();
                let named: BTreeMap<String, Sums> = entries
                    .map(|(key, sums)| (self.ids.key(field, key), sums))
                    .collect();
                let mut bytes = Vec::new();
                write_sums(&mut bytes, &named);
                jsons.push(Some(json(field, bytes)?));
            }
            (Column::Ids(ids), None) => ids.push(None),
            (Column::Texts(texts), None) => texts.push(None),
            (Column::Bools(bools), None) => bools.push(None),
            (Column::Integers(numbers), None) => numbers.push(None),
            (Column::Bigints(numbers), None) => numbers.push(None),
            (Column::Decimals(numbers), None) => numbers.push(None),
            (Column::Days(days), None) => days.push(None),
            (Column::Moments(moments), None) => moments.push(None),
            (Column::Jsons(jsons), None) => jsons.push(None),
            (Column::Refused, None) | (_, Some(_)) => return Err(no_array(field)),
        }
        Ok(())
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, _: &T) -> Result<()> {
        Err(no_array(field))
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, _: &[T]) -> Result<()> {
        Err(no_array(field))
    }

    fn extra(&mut self, extra: &Extra) -> Result<()> {
        match &mut self.extra {
            Some(column) if extra.is_empty() => column.push(None),
            Some(column) => {
                let invalid = |error: String| Error::invalid("extra", error);
                let mut bytes = Vec::new();
                write_json(&mut bytes, extra).map_err(|error| invalid(error.to_string()))?;
                let text = String::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
                column.push(Some(text));
            }
            None => {}
        }
        Ok(())
    }
}
