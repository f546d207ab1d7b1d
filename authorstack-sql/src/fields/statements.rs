//! Builds statements from the lists of fields. Callers build a statement once and keep it.

use authorstack_core::{
    fields::{Fields, Patch},
    migrate::{Kind, Stored},
};

/// How many columns a record has.
#[must_use]
pub fn width<T: Stored>() -> usize {
    T::KIND.column_names().len()
}

/// The columns of a kind that hold JSON.
#[must_use]
pub fn json_columns(kind: Kind) -> Vec<&'static str> {
    let is_json = |column: &&str| {
        let mut fields = kind.fields().iter();
        let field = fields.find(|field| field.column == Some(*column));
        // A column without a field is `extra`, which contains the unknown fields.
        field.is_none_or(|field| field.shape.is_json())
    };
    let columns = kind.column_names().into_iter();
    columns.filter(is_json).collect()
}

/// Selects records from their table.
#[must_use]
pub fn select<T: Stored>(condition: &str) -> String {
    format!(
        "select {} from public.{} {condition}",
        T::columns(),
        T::KIND
    )
}

/// The parameters for a record's columns, numbered from the first parameter.
#[must_use]
pub fn placeholders<T: Stored>() -> String {
    let parameters = (1..=width::<T>()).map(|number| format!("${number}"));
    parameters.collect::<Vec<_>>().join(", ")
}

/// The parameter for a column, as in [`placeholders`].
#[must_use]
pub fn parameter<T: Stored>(column: &str) -> String {
    let columns = T::KIND.column_names();
    let index = columns.iter().position(|name| *name == column);
    // An unknown column gives a statement that always fails, so a test finds it.
    index.map_or_else(
        || format!("no_column_{column}"),
        |index| format!("${}", index + 1),
    )
}

/// Inserts a record into its table.
#[must_use]
pub fn insert<T: Stored>() -> String {
    format!(
        "insert into public.{} ({}) values ({})",
        T::KIND,
        T::columns(),
        placeholders::<T>()
    )
}

/// Applies a patch if a condition is true, and returns the record. `set` contains further
/// assignments and ends in a comma. The patch's parameters come after the other `parameters`.
#[must_use]
pub fn update<P: Patch>(set: &str, condition: &str, parameters: usize) -> String
where
    P::Record: Stored,
{
    let columns = P::FIELDS.iter().filter_map(|field| field.column);
    let pairs = columns.enumerate().map(|(index, column)| {
        let changes = parameters + 1 + 2 * index;
        let value = changes + 1;
        format!("{column} = case when ${changes} then ${value} else {column} end")
    });
    let pairs: Vec<String> = pairs.collect();
    format!(
        "update public.{} set {set}{} where {condition} returning {}",
        P::Record::KIND,
        pairs.join(", "),
        P::Record::columns()
    )
}

#[cfg(test)]
mod tests {
    use authorstack_core::{Book, BookPatch, Checklist, DailyAggregate};

    use super::*;

    #[test]
    fn statements_name_every_column() {
        let insert = insert::<Checklist>();
        assert!(insert.ends_with(
            "checklists (id, book_id, user_id, template_id, name, tasks, created_at, updated_at, \
             extra) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ));
        assert_eq!(parameter::<Checklist>("user_id"), "$3");
        assert_eq!(json_columns(Kind::Books), ["metadata", "extra"]);
        assert_eq!(
            json_columns(DailyAggregate::KIND),
            ["platform_breakdown", "book_breakdown", "extra"]
        );
    }

    #[test]
    fn an_update_has_two_parameters_a_field() {
        let update = update::<BookPatch>("x = 1, ", "id = $1", 4);
        assert!(update.starts_with(
            "update public.books set x = 1, title = case when $5 then $6 else title end, subtitle"
        ));
        let returned = format!(" where id = $1 returning {}", Book::columns());
        assert!(update.ends_with(&returned));
        let last = 4 + 2 * BookPatch::FIELDS.len();
        assert!(update.contains(&format!("${last} else metadata end")));
    }
}
