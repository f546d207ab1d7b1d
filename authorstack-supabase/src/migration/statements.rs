//! The statements of each kind.

use std::{fmt::Write as _, sync::LazyLock};

use authorstack_core::{
    Error, Id, Result,
    migrate::{Key, Kind},
};
use authorstack_sql::{
    Moment, Statement, first_moment, identity_columns, json_columns, row_digest, unique_columns,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The statements of a kind.
pub(super) struct Statements {
    /// COPY straight into the table.
    pub(super) direct: String,
    /// Makes the table that a batch is staged in.
    pub(super) staging: String,
    /// COPY into that.
    pub(super) stage: String,
    /// Brings the table up to date; answers how many rows it wrote.
    pub(super) merge: String,
    /// The rows behind a key.
    pub(super) page: String,
    /// The rows with these keys.
    pub(super) some: String,
    /// More statements, for kinds whose rows have numbers.
    pub(super) rows: Option<RowStatements>,
}

/// The statements of a kind whose rows have numbers. The first two parameters are a range.
pub(super) struct RowStatements {
    /// The digest of the rows.
    pub(super) digest: String,
    /// Removes staged rows whose place another record has; answers both numbers.
    pub(super) taken: String,
}

/// What the statements of a table are made of.
struct Table {
    kind: Kind,
    columns: String,
    /// The columns that hold JSON.
    json: Vec<&'static str>,
    /// The columns of the key, with their types.
    key: &'static [(&'static str, &'static str)],
}

const ID: &[(&str, &str)] = &[("id", "uuid")];
const ROW: &[(&str, &str)] = &[("id", "bigint")];

/// The columns of a kind's key, with their types.
fn key_of(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::PostLikes => &[("post_id", "uuid"), ("user_id", "uuid")],
        Kind::PostComments => &[("post_id", "uuid"), ("id", "text")],
        Kind::CompetitorPrices => &[("competitor_id", "uuid"), ("date", "timestamptz")],
        kind if Kind::ANALYTICS.contains(&kind) => ROW,
        _ => ID,
    }
}

/// All tables.
fn tables() -> impl Iterator<Item = Table> {
    Kind::ALL.iter().map(|kind| Table {
        kind: *kind,
        columns: kind.column_names().join(", "),
        json: json_columns(*kind),
        key: key_of(*kind),
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
            page: format!(
                "select {columns} from {table} where ({key}) > ({}) order by {key} limit ${last}",
                parameters.join(", ")
            ),
            some: format!(
                "select {columns} from {table} where ({key}) in (select * from unnest({})) \
                 order by {key}",
                arrays.join(", ")
            ),
        }
    }

    fn row_statements(&self) -> Option<RowStatements> {
        if self.key != ROW {
            return None;
        }
        let (kind, digest) = (self.kind, row_digest(self.kind));
        let of = |name: &str, columns: &[&str]| {
            let columns = columns.iter().map(|column| format!("{name}.{column}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        let identity = identity_columns(kind);
        let mut holders = format!(
            "select staged.id, held.id as holder from pg_temp.authorstack_batch as staged \
               join public.{kind} as held on held.id = staged.id and held.id > $1 and held.id <= $2 \
               where ({}) is distinct from ({})",
            of("held", identity),
            of("staged", identity)
        );
        let unique = unique_columns(kind);
        if !unique.is_empty() {
            let (held, staged, first) = (
                of("held", unique),
                of("staged", unique),
                of("first", unique),
            );
            // Of several rows with one key the first stays, unless the table has another already.
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
        })
    }

    /// Brings rows with numbers up to date without relying on a key: partitions have none over the
    /// number alone. The parameters are the first number and the last.
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
               select {columns} from pg_temp.authorstack_batch as staged where not exists \
                 (select from {table} as held where held.id = staged.id and held.id between $1 and $2) \
               returning 1) \
             select (select count(*) from changed) + (select count(*) from added)",
            set = set.join(", "),
            held = self.side("held", rest),
            staged = self.side("staged", rest),
        )
    }

    /// Columns to compare. JSON is compared as text: 1 and 1.0 are equal as jsonb and differ as
    /// records.
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
        if self.key == ROW {
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
        .ok_or_else(|| Error::internal(format!("the Supabase target has no table for {kind}")))
}

/// Binds the key that a page starts behind; `None` for the first page.
pub(super) fn bind_after<'q>(
    statement: Statement<'q>,
    kind: Kind,
    after: Option<&'q Key>,
) -> Statement<'q> {
    match (kind, after) {
        (_, Some(Key::Like(post, user))) => statement.bind(post.to_uuid()).bind(user.to_uuid()),
        (_, Some(Key::Comment(post, id))) => statement.bind(post.to_uuid()).bind(id.as_str()),
        (_, Some(Key::Price(competitor, at))) => {
            statement.bind(competitor.to_uuid()).bind(Moment(*at))
        }
        (Kind::PostLikes, _) => statement.bind(Uuid::nil()).bind(Uuid::nil()),
        (Kind::PostComments, _) => statement.bind(Uuid::nil()).bind(""),
        (Kind::CompetitorPrices, _) => statement.bind(Uuid::nil()).bind(Moment(first_moment())),
        (_, Some(Key::Row(number))) => statement.bind(*number),
        (kind, _) if Kind::ANALYTICS.contains(&kind) => statement.bind(i64::MIN),
        (_, after) => statement.bind(after.map_or(Uuid::nil(), uuid_of)),
    }
}

/// The UUID of the record, or of the one that it is part of.
fn uuid_of(key: &Key) -> Uuid {
    key.id().map_or(Uuid::nil(), Id::to_uuid)
}

/// Binds keys of a kind, an array for each of their parts.
pub(super) fn bind_keys<'q>(statement: Statement<'q>, kind: Kind, keys: &[Key]) -> Statement<'q> {
    if Kind::ANALYTICS.contains(&kind) {
        let number = |key: &Key| match key {
            Key::Row(number) => Some(*number),
            _ => None,
        };
        return statement.bind(keys.iter().filter_map(number).collect::<Vec<i64>>());
    }
    let ids: Vec<Uuid> = keys.iter().map(uuid_of).collect();
    let statement = statement.bind(ids);
    match kind {
        Kind::PostLikes => {
            let user = |key: &Key| match key {
                Key::Like(_, user) => user.to_uuid(),
                _ => Uuid::nil(),
            };
            statement.bind(keys.iter().map(user).collect::<Vec<_>>())
        }
        Kind::PostComments => {
            let id = |key: &Key| match key {
                Key::Comment(_, id) => id.to_string(),
                _ => String::new(),
            };
            statement.bind(keys.iter().map(id).collect::<Vec<_>>())
        }
        Kind::CompetitorPrices => {
            let date = |key: &Key| match key {
                Key::Price(_, at) => *at,
                _ => DateTime::<Utc>::UNIX_EPOCH,
            };
            statement.bind(keys.iter().map(date).collect::<Vec<_>>())
        }
        _ => statement,
    }
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
