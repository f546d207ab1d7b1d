//! The statements of each kind.

use std::{fmt::Write as _, sync::LazyLock};

use authorstack_core::{
    Error, Result,
    fields::Shape,
    migrate::{Kind, Unique},
};
use authorstack_sql::{json_columns, row_digest};

use super::place::key_columns;

/// The statements of a kind.
pub(super) struct Statements {
    /// COPY directly into the table.
    pub(super) direct: String,
    /// Creates the staging table of a batch.
    pub(super) staging: String,
    /// COPY into the staging table.
    pub(super) stage: String,
    /// Brings the table up to date. Returns how many rows it wrote.
    pub(super) merge: String,
    /// The first rows.
    pub(super) first: String,
    /// The rows after a key.
    pub(super) page: String,
    /// The rows with these keys.
    pub(super) some: String,
    /// The row with this key, as JSON.
    pub(super) json: String,
    /// Deletes the rows with these keys.
    pub(super) remove: String,
    /// Finds the unique values that other records have, in the order of the description.
    pub(super) holders: Vec<String>,
    /// More statements, for kinds whose rows have numbers.
    pub(super) rows: Option<RowStatements>,
}

/// The statements of a kind whose rows have numbers. The first two parameters are a range.
pub(super) struct RowStatements {
    /// The digest of the rows.
    pub(super) digest: String,
    /// Removes staged rows if another record has their place. Returns both numbers.
    pub(super) taken: String,
    /// Adds the staged rows to a table that has none of them. Returns how many it wrote.
    pub(super) add: String,
}

/// The building blocks of a table's statements.
struct Table {
    kind: Kind,
    columns: String,
    /// The columns that hold JSON.
    json: Vec<&'static str>,
    /// The columns of the key, with their types.
    key: &'static [(&'static str, &'static str)],
}

/// All tables.
fn tables() -> impl Iterator<Item = Table> {
    Kind::ALL.iter().map(|kind| Table {
        kind: *kind,
        columns: kind.column_names().join(", "),
        json: json_columns(*kind),
        key: key_columns(*kind),
    })
}

static STATEMENTS: LazyLock<Vec<(Kind, Statements)>> = LazyLock::new(|| {
    tables()
        .map(|table| (table.kind, table.statements()))
        .collect()
});

impl Table {
    fn statements(&self) -> Statements {
        let (table, columns) = (format!("public.{}", self.kind), &self.columns);
        let keys: Vec<&str> = self.key.iter().map(|(column, _)| *column).collect();
        let key = keys.join(", ");
        let parameters: Vec<String> = (1..=keys.len()).map(|n| format!("${n}")).collect();
        let last = keys.len() + 1;
        let arrays: Vec<String> = self
            .key
            .iter()
            .zip(&parameters)
            .map(|((_, kind), parameter)| format!("{parameter}::{kind}[]"))
            .collect();
        let these = format!("({key}) in (select * from unnest({}))", arrays.join(", "));
        Statements {
            direct: format!("copy {table} ({columns}) from stdin with (format binary)"),
            staging: format!(
                "create temp table authorstack_batch on commit drop as \
                 select {columns} from {table} with no data"
            ),
            stage: format!(
                "copy pg_temp.authorstack_batch ({columns}) from stdin with (format binary)"
            ),
            merge: self.merge(&table, &key),
            rows: self.row_statements(),
            first: format!("select {columns} from {table} order by {key} limit $1"),
            page: format!(
                "select {columns} from {table} where ({key}) > ({}) order by {key} limit ${last}",
                parameters.join(", ")
            ),
            some: format!("select {columns} from {table} where {these} order by {key}"),
            json: format!(
                "select to_jsonb(held)::text from {table} as held where ({key}) = ({})",
                parameters.join(", ")
            ),
            remove: format!("delete from {table} where {these}"),
            holders: self
                .kind
                .description()
                .unique
                .iter()
                .map(|unique| self.holders(unique))
                .collect(),
        }
    }

    /// Finds the records that have unique values: an array of texts for each column.
    fn holders(&self, unique: &Unique) -> String {
        let columns = unique.columns;
        let as_text: Vec<String> = columns
            .iter()
            .map(|column| format!("{column}::text"))
            .collect();
        let arrays: Vec<String> = (1..=columns.len())
            .map(|n| format!("${n}::text[]"))
            .collect();
        let asked: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cast = if self.holds_uuids(column) {
                    "::uuid"
                } else {
                    ""
                };
                format!("asked.c{at}{cast}")
            })
            .collect();
        let names: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
        format!(
            "select id, {} from public.{} where ({}) in \
               (select {} from unnest({}) as asked ({}))",
            as_text.join(", "),
            self.kind,
            columns.join(", "),
            asked.join(", "),
            arrays.join(", "),
            names.join(", "),
        )
    }

    fn holds_uuids(&self, column: &str) -> bool {
        let mut fields = self.kind.fields().iter();
        let field = fields.find(|field| field.column == Some(column));
        field.is_some_and(|field| field.shape == Shape::Id)
    }

    fn row_statements(&self) -> Option<RowStatements> {
        if !self.kind.is_numbered() {
            return None;
        }
        let (kind, digest) = (self.kind, row_digest(self.kind));
        let of = |name: &str, columns: &[&str]| {
            let columns = columns.iter().map(|column| format!("{name}.{column}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        let identity = kind.description().identity;
        let mut holders = format!(
            "select staged.id, held.id as holder from pg_temp.authorstack_batch as staged \
               join public.{kind} as held on held.id = staged.id and held.id > $1 and held.id <= $2 \
               where ({}) is distinct from ({})",
            of("held", identity),
            of("staged", identity)
        );
        for unique in kind.description().unique {
            let (held, staged, first) = (
                of("held", unique.columns),
                of("staged", unique.columns),
                of("first", unique.columns),
            );
            // Of several rows with the same key, the first stays, unless the table already has
            // another.
            let _ = write!(
                holders,
                " union all select staged.id, held.id from pg_temp.authorstack_batch as staged \
                   join public.{kind} as held on ({held}) = ({staged}) and held.id <> staged.id \
                 union all select staged.id, min(first.id) from pg_temp.authorstack_batch as staged \
                   join pg_temp.authorstack_batch as first on ({first}) = ({staged}) and first.id < staged.id \
                   group by staged.id"
            );
        }
        let taken = format!(
            "with held as ({holders}), \
             gone as (delete from pg_temp.authorstack_batch as staged using held where staged.id = held.id) \
             select id, min(holder) from held group by id order by id"
        );
        Some(RowStatements {
            digest: format!("select {digest} from public.{kind} where id > $1 and id <= $2"),
            taken,
            add: format!(
                "with added as (insert into public.{kind} ({columns}) \
                   select {columns} from pg_temp.authorstack_batch where id between $1 and $2 \
                   returning 1) select count(*) from added",
                columns = self.columns
            ),
        })
    }

    /// Brings rows with numbers up to date without using a key: partitioned tables have no key of
    /// the number alone. The parameters are the first and the last number.
    fn merge_rows(&self, table: &str, rest: &[&str]) -> String {
        let columns = &self.columns;
        let set: Vec<String> = rest
            .iter()
            .map(|column| format!("{column} = staged.{column}"))
            .collect();
        format!(
            "with changed as (update {table} as held set {set} from pg_temp.authorstack_batch as staged \
               where held.id = staged.id and held.id between $1 and $2 \
                 and ({held}) is distinct from ({staged}) returning 1), \
             added as (insert into {table} ({columns}) \
               select {columns} from pg_temp.authorstack_batch as staged \
               where staged.id between $1 and $2 and not exists \
                 (select from {table} as held where held.id = staged.id and held.id between $1 and $2) \
               returning 1) \
             select (select count(*) from changed) + (select count(*) from added)",
            set = set.join(", "),
            held = self.side("held", rest),
            staged = self.side("staged", rest),
        )
    }

    /// The columns to compare. JSON is compared as text: 1 and 1.0 are equal as `jsonb`, but differ
    /// as records.
    fn side(&self, name: &str, columns: &[&str]) -> String {
        let values = columns.iter().map(|column| {
            let text = if self.json.contains(column) {
                "::text"
            } else {
                ""
            };
            format!("{name}.{column}{text}")
        });
        values.collect::<Vec<_>>().join(", ")
    }

    fn merge(&self, table: &str, key: &str) -> String {
        let columns = &self.columns;
        let rest: Vec<&str> = columns
            .split(", ")
            .filter(|column| self.key.iter().all(|(part, _)| part != column))
            .collect();
        if self.kind.is_numbered() {
            return self.merge_rows(table, &rest);
        }
        let change = if rest.is_empty() {
            "do nothing".to_owned()
        } else {
            let set: Vec<String> = rest
                .iter()
                .map(|column| format!("{column} = excluded.{column}"))
                .collect();
            format!(
                "do update set {} where ({}) is distinct from ({})",
                set.join(", "),
                self.side("held", &rest),
                self.side("excluded", &rest),
            )
        };
        format!(
            "with merged as (insert into {table} as held ({columns}) \
             select {columns} from pg_temp.authorstack_batch on conflict ({key}) {change} \
             returning 1) select count(*) from merged"
        )
    }
}

pub(super) fn statements(kind: Kind) -> Result<&'static Statements> {
    let found = STATEMENTS.iter().find(|(of, _)| *of == kind);
    found
        .map(|(_, statements)| statements)
        .ok_or_else(|| Error::internal(format!("Supabase has no table for {kind}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_statements() {
        for kind in Kind::ALL {
            let statements = statements(*kind).unwrap();
            assert!(statements.direct.contains(kind.as_str()));
        }
    }

    #[test]
    fn json_is_compared_as_text() {
        for table in tables() {
            for column in &table.json {
                let merge = table.statements().merge;
                assert!(merge.contains(&format!("held.{column}::text")), "{merge}");
            }
        }
    }
}
