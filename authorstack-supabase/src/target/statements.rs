//! The statements of each kind.

use std::sync::LazyLock;

use authorstack_core::{
    Error, Id, Result,
    migrate::{Key, Kind},
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    row::{
        Moment, aggregate_columns, book_columns, boost_columns, checklist_columns, comment_columns,
        competitor_columns, first_moment, follow_columns, forecast_columns, insight_columns,
        like_columns, post_columns, price_columns, sale_columns, sync_log_columns, user_columns,
    },
    store::{DIALECT, Statement},
};

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
}

/// What the statements of a table are made of.
struct Table {
    kind: Kind,
    columns: &'static str,
    /// The columns that hold JSON.
    json: &'static [&'static str],
    /// The columns of the key, with their types.
    key: &'static [(&'static str, &'static str)],
}

const ID: &[(&str, &str)] = &[("id", "uuid")];
const ROW: &[(&str, &str)] = &[("id", "bigint")];

const TABLES: &[Table] = &[
    Table {
        kind: Kind::Users,
        columns: user_columns!(),
        json: &["preferences", "connected_platforms", "extra"],
        key: ID,
    },
    Table {
        kind: Kind::Books,
        columns: book_columns!(),
        json: &["metadata", "extra"],
        key: ID,
    },
    Table {
        kind: Kind::Checklists,
        columns: checklist_columns!(),
        json: &["tasks", "extra"],
        key: ID,
    },
    Table {
        kind: Kind::Follows,
        columns: follow_columns!(),
        json: &["extra"],
        key: ID,
    },
    Table {
        kind: Kind::CommunityPosts,
        columns: post_columns!(),
        json: &["attachments", "extra"],
        key: ID,
    },
    Table {
        kind: Kind::PostLikes,
        columns: like_columns!(),
        json: &[],
        key: &[("post_id", "uuid"), ("user_id", "uuid")],
    },
    Table {
        kind: Kind::PostComments,
        columns: comment_columns!(),
        json: &["extra"],
        key: &[("post_id", "uuid"), ("id", "text")],
    },
    Table {
        kind: Kind::MarketplaceBoosts,
        columns: boost_columns!(),
        json: &["extra"],
        key: ID,
    },
    Table {
        kind: Kind::Competitors,
        columns: competitor_columns!(),
        json: &["extra"],
        key: ID,
    },
    Table {
        kind: Kind::CompetitorPrices,
        columns: price_columns!(),
        json: &["extra"],
        key: &[("competitor_id", "uuid"), ("date", "timestamptz")],
    },
    Table {
        kind: Kind::SalesData,
        columns: sale_columns!(),
        json: &[],
        key: ROW,
    },
    Table {
        kind: Kind::DailyAggregates,
        columns: aggregate_columns!(),
        json: &["platform_breakdown", "book_breakdown"],
        key: ROW,
    },
    Table {
        kind: Kind::SyncLogs,
        columns: sync_log_columns!(),
        json: &[],
        key: ROW,
    },
    Table {
        kind: Kind::AiInsights,
        columns: insight_columns!(),
        json: &["content"],
        key: ROW,
    },
    Table {
        kind: Kind::RevenueForecasts,
        columns: forecast_columns!(),
        json: &["factors"],
        key: ROW,
    },
];

static STATEMENTS: LazyLock<Vec<(Kind, Statements)>> = LazyLock::new(|| {
    TABLES
        .iter()
        .map(|table| (table.kind, table.statements()))
        .collect()
});

impl Table {
    fn statements(&self) -> Statements {
        let (table, columns) = (format!("public.{}", self.kind), self.columns);
        let listed = DIALECT.select_list(self.kind);
        let listed = listed.as_deref().unwrap_or(columns);
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
            page: format!(
                "select {listed} from {table} where ({key}) > ({}) order by {key} limit ${last}",
                parameters.join(", ")
            ),
            some: format!(
                "select {listed} from {table} where ({key}) in (select * from unnest({})) \
                 order by {key}",
                arrays.join(", ")
            ),
        }
    }

    fn merge(&self, table: &str, key: &str) -> String {
        let columns = self.columns;
        let rest: Vec<&str> = columns
            .split(", ")
            .filter(|column| self.key.iter().all(|(part, _)| part != column))
            .collect();
        let change = if rest.is_empty() {
            "do nothing".to_owned()
        } else {
            let set: Vec<String> = rest
                .iter()
                .map(|column| format!("{column} = excluded.{column}"))
                .collect();
            // JSON is compared as text: 1 and 1.0 are equal as jsonb and differ as records.
            let side = |name: &str| {
                let values = rest.iter().map(|column| {
                    let text = if self.json.contains(column) {
                        "::text"
                    } else {
                        ""
                    };
                    format!("{name}.{column}{text}")
                });
                values.collect::<Vec<_>>().join(", ")
            };
            format!(
                "do update set {} where ({}) is distinct from ({})",
                set.join(", "),
                side("held"),
                side("excluded"),
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
        for table in TABLES {
            for column in table.json {
                let merge = table.statements().merge;
                assert!(merge.contains(&format!("held.{column}::text")), "{merge}");
            }
        }
    }
}
