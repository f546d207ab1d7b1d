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
    /// Brings the table up to date. Returns how many rows it wrote, and for kinds without numbers the
    /// keys of those that it added, or a row of nulls.
    pub(super) merge: String,
    /// Gives records (`$1`) other unique values for a moment, if the kind has some that can change: the
    /// values of two records can then be exchanged.
    pub(super) leave: Option<String>,
    /// Changes the staged records to what the table holds of them, if it differs.
    pub(super) follow: Option<&'static str>,
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

/// The statements of a kind whose rows have numbers. The first two parameters are a range, the third
/// is the origin of the rows, which may be null.
pub(super) struct RowStatements {
    /// The digest of the rows.
    pub(super) digest: String,
    /// Removes staged rows if another record has their place, and returns both numbers. A row that was
    /// taken from the same origin gives its place, if it gets another one: it is returned without a
    /// second number. Last come the unique values of the other record.
    pub(super) taken: String,
    /// Removes rows (`$1`) that still have these unique values (`$2`).
    pub(super) give_way: Option<String>,
    /// Removes rows that get another place, by their numbers (`$1`), before they are added again.
    pub(super) renew: Option<String>,
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

/// Profiles follow their accounts: those whose account has moved have its new id.
const FOLLOW: &str = "with noted as (update authorstack.moved_accounts as account \
       set profile_provider = staged.auth_provider from pg_temp.authorstack_batch as staged \
       where account.old_id = staged.auth_id \
         and account.profile_provider is distinct from staged.auth_provider) \
     update pg_temp.authorstack_batch as staged \
     set auth_id = account.id::text, auth_provider = 'supabase' \
     from authorstack.moved_accounts as account where account.old_id = staged.auth_id";

/// All tables, without those of Supabase Auth.
fn tables() -> impl Iterator<Item = Table> {
    Kind::DATA.iter().map(|kind| Table {
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
        let read = self.as_it_came(&table);
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
            leave: self.leave(&table),
            rows: self.row_statements(),
            follow: (self.kind == Kind::Users).then_some(FOLLOW),
            first: format!("select {columns} from {read} order by {key} limit $1"),
            page: format!(
                "select {columns} from {read} where ({key}) > ({}) order by {key} limit ${last}",
                parameters.join(", ")
            ),
            some: format!("select {columns} from {read} where {these} order by {key}"),
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

    /// The table as its records came: profiles with the ids that their accounts had before they moved.
    fn as_it_came(&self, table: &str) -> String {
        if self.kind != Kind::Users {
            return table.to_owned();
        }
        let columns: Vec<&str> = self
            .columns
            .split(", ")
            .map(|column| match column {
                "auth_id" => "coalesce(account.old_id, held.auth_id) as auth_id",
                "auth_provider" => {
                    "coalesce(account.profile_provider, held.auth_provider) as auth_provider"
                }
                "id" => "held.id",
                other => other,
            })
            .collect();
        format!(
            "(select {} from {table} as held left join authorstack.moved_accounts as account \
               on account.id::text = held.auth_id) as held",
            columns.join(", ")
        )
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
        let is_moved = is_moved(kind, "held.id", "$3");
        let mut holders = format!(
            "select staged.id, case when {is_moved} then null else held.id end as holder, '' as place \
               from pg_temp.authorstack_batch as staged \
               join public.{kind} as held on held.id = staged.id and held.id > $1 and held.id <= $2 \
               where ({}) is distinct from ({})",
            of("held", identity),
            of("staged", identity)
        );
        for unique in kind.description().unique {
            let (held, staged, first, newer) = (
                of("held", unique.columns),
                of("staged", unique.columns),
                of("first", unique.columns),
                of("newer", unique.columns),
            );
            // Of several rows with the same key, the first stays, unless the table already has
            // another, which does not move away with this range: that one stays.
            let _ = write!(
                holders,
                " union all select staged.id, held.id, ({held})::text from pg_temp.authorstack_batch as staged \
                   join public.{kind} as held on ({held}) = ({staged}) and held.id <> staged.id \
                   where not exists (select from pg_temp.authorstack_batch as newer \
                     where newer.id = held.id and ({newer}) is distinct from ({held}) and {is_moved}) \
                 union all select staged.id, min(first.id), '' from pg_temp.authorstack_batch as staged \
                   join pg_temp.authorstack_batch as first on ({first}) = ({staged}) and first.id < staged.id \
                   where not exists (select from public.{kind} as held \
                     where held.id = staged.id and ({held}) = ({staged})) \
                   group by staged.id"
            );
        }
        let taken = format!(
            "with held as ({holders}), \
             gone as (delete from pg_temp.authorstack_batch as staged using held \
               where staged.id = held.id and held.holder is not null) \
             select distinct on (id) id, holder, place from held order by id, holder"
        );
        Some(RowStatements {
            digest: format!("select {digest} from public.{kind} where id > $1 and id <= $2"),
            taken,
            give_way: kind.description().unique.first().map(|unique| {
                format!(
                    "delete from public.{kind} as held \
                       using unnest($1::bigint[], $2::text[]) as asked (id, place) \
                       where held.id = asked.id and ({})::text = asked.place",
                    of("held", unique.columns)
                )
            }),
            renew: (!kind.description().unique.is_empty()).then(|| {
                format!("delete from public.{kind} where id = any ($1) and id between $2 and $3")
            }),
            add: format!(
                "with added as (insert into public.{kind} ({columns}) \
                   select {columns} from pg_temp.authorstack_batch where id between $1 and $2 \
                   returning id), noted as ({noted}) select count(*) from added",
                columns = self.columns,
                noted = note_rows(kind, "added"),
            ),
        })
    }

    /// Brings rows with numbers up to date without using a key: partitioned tables have no key of
    /// the number alone. The parameters are the first and the last number, and the origin.
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
               returning id), \
             noted as ({noted}) \
             select (select count(*) from changed) + (select count(*) from added)",
            noted = note_rows(self.kind, "added"),
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

    /// Each value keeps the form that its column's check demands.
    fn leave(&self, table: &str) -> Option<String> {
        let set = match self.kind {
            Kind::Users => {
                "auth_id = 'moving-' || id::text, email = 'moving-' || id::text || '@example.invalid'"
            }
            Kind::Competitors => {
                "asin = upper(substr(encode(sha256(uuid_send(id)), 'hex'), 1, 10))"
            }
            _ => return None,
        };
        Some(format!("update {table} set {set} where id = any ($1)"))
    }

    /// The columns of the key.
    fn of(&self, name: &str) -> String {
        let columns = self
            .key
            .iter()
            .map(|(column, _)| format!("{name}.{column}"));
        columns.collect::<Vec<_>>().join(", ")
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
             returning {returned}, xmax = 0 as is_new) \
             select (select count(*) from merged), {added} \
             from (values (1)) as one left join merged on merged.is_new",
            returned = self.of("held"),
            added = self.of("merged"),
        )
    }
}

/// SQL for whether a row was taken from an origin, which is a parameter.
pub(super) fn is_moved(kind: Kind, number: &str, origin: &str) -> String {
    format!(
        "exists (select from authorstack.moved as moved \
           where moved.kind = '{kind}' and moved.origin = {origin} \
             and moved.first <= {number} and moved.last >= {number} and moved.numbers @> {number})"
    )
}

/// SQL that notes rows that came from the origin `$3`, if there is one. A range of all numbers has
/// no end, so the last one of all is left out.
fn note_rows(kind: Kind, rows: &str) -> String {
    format!(
        "insert into authorstack.moved (kind, origin, first, last, numbers) \
         select '{kind}', $3::text, min(id), max(id), range_agg(int8range(id, id, '[]')) \
         from {rows} where $3::text is not null and id < {} having count(*) > 0",
        i64::MAX
    )
}

pub(super) fn statements(kind: Kind) -> Result<&'static Statements> {
    let found = STATEMENTS.iter().find(|(of, _)| *of == kind);
    found
        .map(|(_, statements)| statements)
        .ok_or_else(|| Error::internal(format!("Supabase has no table for {kind}")))
}

/// The statements of a kind whose rows have numbers.
pub(super) fn row_statements(kind: Kind) -> Result<&'static RowStatements> {
    let rows = statements(kind)?.rows.as_ref();
    rows.ok_or_else(|| Error::internal(format!("{kind} have no numbers")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_statements() {
        for kind in Kind::DATA {
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
