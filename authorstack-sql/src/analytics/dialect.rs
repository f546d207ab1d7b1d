use authorstack_core::{fields::Shape, migrate::Kind};

use crate::ids::IdForm;

/// The differences between an Azure database and a Supabase project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Whether moments are in `TIMESTAMP` columns in UTC, instead of `timestamptz`.
    pub plain_timestamps: bool,
    /// Whether the database also has the users and books, so that a book's owner can be checked.
    pub has_books: bool,
    /// Whether an old app may have written platforms and currencies in any case.
    pub any_case: bool,
    /// How ids are written as UUIDs.
    pub ids: IdForm,
}

impl Dialect {
    /// The columns of a kind as [`read`](crate::read) needs them.
    #[must_use]
    pub fn select_list(self, kind: Kind) -> String {
        let columns = kind.fields().iter().filter_map(|field| {
            let column = field.column?;
            Some(match (column, field.shape) {
                // Infinity means that it is always valid.
                ("valid_until", _) => self.utc("nullif(valid_until, 'infinity')"),
                (_, Shape::Moment) => self.utc(column),
                _ => column.to_owned(),
            })
        });
        // The tables of an old app have columns for what the schema does not know; only a migration
        // reads them.
        let extra = if self.has_books {
            "extra"
        } else {
            "null::jsonb"
        };
        let extra = kind.has_extra().then(|| extra.to_owned());
        columns.chain(extra).collect::<Vec<_>>().join(", ")
    }

    /// SQL that converts a stored moment into one with a zone, and back.
    #[must_use]
    pub fn utc(self, moment: &str) -> String {
        if self.plain_timestamps {
            format!("timezone('UTC', {moment})")
        } else {
            moment.to_owned()
        }
    }

    /// The columns and the parameters of an insert, without the row's number: the table assigns it.
    /// A new row has no unknown fields.
    pub(super) fn insert(self, kind: Kind) -> (String, String) {
        let fields = kind.fields().iter().filter(|field| field.name != "id");
        let (mut columns, mut parameters) = (Vec::new(), Vec::new());
        for field in fields {
            let Some(column) = field.column else { continue };
            columns.push(column);
            let number = columns.len();
            parameters.push(match field.shape {
                Shape::Moment => self.utc(&format!("${number}::timestamptz")),
                _ => format!("${number}"),
            });
        }
        (columns.join(", "), parameters.join(", "))
    }

    /// The parameter for a column in such an insert.
    pub(super) fn parameter(self, kind: Kind, column: &str) -> String {
        let (columns, _) = self.insert(kind);
        let index = columns.split(", ").position(|name| name == column);
        // An unknown column gives a statement that always fails, so a test finds it.
        index.map_or_else(
            || format!("no_column_{column}"),
            |index| format!("${}", index + 1),
        )
    }
}
