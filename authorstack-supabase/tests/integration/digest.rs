//! The digest of rows overlooks no change: values exchanged between rows, moved from one to
//! another, with the other sign, or other by one bit, in every column of every kind.

use crate::common;

use authorstack_core::{fields::Shape, migrate::Kind};
use authorstack_sql::row_digest;
use common::{Database, on_database};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// How many rows are made of each kind.
const ROWS: u32 = 400;

fn shape(kind: Kind, column: &str) -> Shape {
    let mut fields = kind.fields().iter();
    let field = fields.find(|field| field.column == Some(column));
    // The column that has no field is `extra`.
    field.map_or(Shape::Json, |field| field.shape)
}

/// SQL that makes a value. Small sets of values, so that neighbours often share one.
fn made(shape: Shape) -> &'static str {
    match shape {
        Shape::Id => "md5(random()::text)::uuid",
        Shape::Whole(_, last) if last > i64::from(i32::MAX) => "(random() * 2e11 - 1e11)::bigint",
        Shape::Whole(..) => "(random() * 20 - 10)::int",
        Shape::Decimal => "(random() * 4 - 2)::numeric(3, 2)",
        Shape::Day => "date '2024-01-01' + (random() * 40)::int",
        Shape::Moment => "timestamptz '2024-01-01Z' + random() * interval '400 days'",
        Shape::Json | Shape::Sums => {
            "case when random() < 0.3 then null else \
               jsonb_build_object('kdp', (random() * 9)::int, 'b', (random() * 9)::numeric(3, 2)) end"
        }
        Shape::Text | Shape::TextOrEmpty => "left(md5(random()::text), 2)",
        Shape::Texts | Shape::Bool | Shape::Float | Shape::Part | Shape::Parts => {
            panic!("the analytics have no {shape:?}")
        }
    }
}

/// The changes of a column: what becomes of it in one row and in the next. `{row}` and `{next}`
/// stand for the values there.
fn changes(shape: Shape) -> Vec<(&'static str, &'static str)> {
    let mut changes = vec![
        ("{next}", "{row}"),
        ("{next}", "{next}"),
        ("null", "{next}"),
    ];
    changes.extend(match shape {
        Shape::Whole(..) => vec![
            ("- {row}", "{next}"),
            ("- {row}", "- {next}"),
            ("{row} + 1", "{next} - 1"),
            ("{row} # 1", "{next}"),
            ("{row} # (1 << 30)", "{next}"),
        ],
        Shape::Decimal => vec![
            ("- {row}", "{next}"),
            ("- {row}", "- {next}"),
            ("{row} + 0.01", "{next} - 0.01"),
            ("{row} + 0.01", "{next}"),
        ],
        Shape::Day => vec![("{row} + 1", "{next} - 1"), ("{row} + 1", "{next}")],
        Shape::Moment => vec![
            ("{row} + interval '1 us'", "{next}"),
            ("{row} + interval '1 us'", "{next} - interval '1 us'"),
        ],
        Shape::Id => vec![(
            "(overlay({row}::text placing case when right({row}::text, 1) = '0' then '1' else '0' end from 36))::uuid",
            "{next}",
        )],
        Shape::Json | Shape::Sums => vec![
            ("replace({row}::text, '\": ', '\": -')::jsonb", "{next}"),
            ("jsonb_set({row}, '{kdp}', '1.0')", "{next}"),
        ],
        Shape::Text | Shape::TextOrEmpty => {
            vec![("{row} || ' '", "{next}"), ("upper({row})", "{next}")]
        }
        _ => panic!("the analytics have no {shape:?}"),
    });
    if let Shape::Whole(_, last) = shape
        && last > i64::from(i32::MAX)
    {
        // The server folds the halves of such a number together.
        changes.push(("({row} # 1) # (1::bigint << 32)", "{next}"));
        changes.push(("{row} # (1::bigint << 40)", "{next}"));
    }
    changes
}

/// How many changes of two neighbouring rows there are, and how many of them the digest overlooks.
async fn overlooked(
    connection: &mut PgConnection,
    kind: Kind,
    column: &str,
    (first, second): (&str, &str),
) -> (i64, i64) {
    let changed = |change: &str| {
        let change = change.replace("{row}", &format!("(pair.row).{column}"));
        change.replace("{next}", &format!("(pair.next).{column}"))
    };
    let row = |of: &str, change: &str| {
        let columns = kind.column_names().into_iter().map(|name| {
            if name == column {
                format!("({change}) as {name}")
            } else {
                format!("(pair.{of}).{name}")
            }
        });
        format!("select {}", columns.collect::<Vec<_>>().join(", "))
    };
    let text = |value: &str| format!("({value})::text");
    let digest = row_digest(kind);
    let sql = format!(
        "select count(*), count(*) filter (where before.sum = after.sum) \
         from (select made as row, lead(made) over (order by place) as next from made) as pair, \
           lateral (select {digest} from (select (pair.row).* union all select (pair.next).*) as two) \
             as before (rows, sum), \
           lateral (select {digest} from ({} union all {}) as two) as after (rows, sum) \
         where pair.next is not null \
           and (({} is distinct from {}) or ({} is distinct from {})) \
           -- Exchanged, two rows that have nothing else are the same two rows.
           and not (({}, {}) is not distinct from ({}, {}) and {})",
        row("row", &changed(first)),
        row("next", &changed(second)),
        text(&changed(first)),
        text(&changed("{row}")),
        text(&changed(second)),
        text(&changed("{next}")),
        text(&changed(first)),
        text(&changed(second)),
        text(&changed("{next}")),
        text(&changed("{row}")),
        same_otherwise(kind, column),
    );
    let row = connection.fetch_one(AssertSqlSafe(sql)).await.unwrap();
    (row.get(0), row.get(1))
}

/// SQL that is true if two neighbours differ in no other column.
fn same_otherwise(kind: Kind, column: &str) -> String {
    let others = kind.column_names().into_iter();
    let others: Vec<&str> = others.filter(|name| *name != column).collect();
    let of = |row: &str| {
        let values = others
            .iter()
            .map(|name| format!("(pair.{row}).{name}::text"));
        values.collect::<Vec<_>>().join(", ")
    };
    format!("({}) is not distinct from ({})", of("row"), of("next"))
}

async fn test(database: &Database, kind: Kind) {
    let mut connection: PgConnection = database.connection().await;
    let columns = kind.column_names();
    let made: Vec<&str> = columns
        .iter()
        .map(|column| made(shape(kind, column)))
        .collect();
    let sql = format!(
        "select setseed(0.5); \
         create temp table made as select {} from public.{kind} with no data; \
         insert into made ({}) select {} from generate_series(1, {ROWS}); \
         alter table made add place serial",
        columns.join(", "),
        columns.join(", "),
        made.join(", "),
    );
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    for column in columns {
        for change in changes(shape(kind, column)) {
            let found = overlooked(&mut connection, kind, column, change).await;
            let (changed, overlooked) = found;
            assert!(
                changed > 30,
                "{kind}.{column} {change:?}: {changed} changes"
            );
            assert_eq!(overlooked, 0, "{kind}.{column} {change:?}: of {changed}");
        }
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn no_change_of_rows_is_overlooked() {
    on_database(async |database| {
        let store = database.migrated(common::Via::Direct).await;
        for kind in Kind::ANALYTICS {
            test(database, *kind).await;
        }
        store.close().await;
    })
    .await;
}
