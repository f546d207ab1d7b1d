//! The unique values that records of the target have.

use authorstack_core::{
    fields::Value,
    migrate::{Record, Unique},
};
use authorstack_sql::each_value;

/// Unique values that a record of the target has.
pub(super) struct Held {
    pub(super) unique: &'static Unique,
    pub(super) values: Vec<String>,
}

impl Held {
    /// Whether a record has these values.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        texts(record, self.unique.columns) == self.values
    }
}

/// Some columns of a record, in the server's text form.
pub(super) fn texts(record: &Record, columns: &'static [&'static str]) -> Vec<String> {
    let mut found = vec![String::new(); columns.len()];
    each_value(record, |field, value| {
        let mut columns = columns.iter();
        if let Some(at) = columns.position(|column| field.column == Some(*column)) {
            found[at] = match value {
                Some(Value::Id(id)) => id.to_uuid().to_string(),
                Some(Value::Text(text)) => text.to_owned(),
                other => format!("{other:?}"),
            };
        }
    });
    found
}
