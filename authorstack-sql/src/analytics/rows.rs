//! The digest of rows.

use authorstack_core::{fields::Shape, migrate::Kind};

use crate::fields::{is_integer, json_columns};

/// The select list that digests the rows of a kind: their count, and the sum of their hashes as a
/// text.
///
/// - JSON is hashed as text, in which 1 and 1.0 differ.
/// - The server's hash of a decimal ignores its sign, and that of a `bigint` folds its halves
///   together, so the sign and the upper half are hashed beside them.
/// - The server's hash of a row is linear in those of its columns: values exchanged between two
///   rows would leave the sum as it is. The hash around it mixes them. It is that of a double, whose
///   eight bytes are hashed: of 64 bits, 53 count. That of a `bigint` would fold them into 32, and
///   that of a text takes longer.
#[must_use]
pub fn row_digest(kind: Kind) -> String {
    let json = json_columns(kind);
    let mut values: Vec<String> = Vec::new();
    for column in kind.column_names() {
        let text = if json.contains(&column) { "::text" } else { "" };
        values.push(format!("{column}{text}"));
        let mut fields = kind.fields().iter();
        let field = fields.find(|field| field.column == Some(column));
        match field.map(|field| field.shape) {
            Some(Shape::Decimal) => values.push(format!("{column} < 0")),
            Some(Shape::Whole(first, last)) if !is_integer(first, last) => {
                values.push(format!("{column} >> 32"));
            }
            _ => {}
        }
    }
    format!(
        "count(*), coalesce(sum(hashfloat8extended(\
           hash_record_extended(({})::record, 0)::float8, 1)), 0)::text",
        values.join(", ")
    )
}
