//! A trigger of the target's owner that raises: the record that it refuses is named, with what the
//! trigger says, and everything else moves as it would without the trigger.

use crate::common;

use std::collections::BTreeMap;

use authorstack_core::{Book, Id, User, migrate::Kind, testing::servers};
use authorstack_examples::{dataset, scratch::Scratch, tool::Tool};
use authorstack_postgres::IdForm;
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use common::{TOOL, fresh};
use sqlx::{AssertSqlSafe, Executor, Row, query};

/// The rows of each kind of the analytics.
const ROWS: i64 = 1_000;

/// Books, and sales and roll-ups whose JSON holds what no record could: unknown keys, and numbers
/// with more digits than any type of ours has.
async fn filled() -> (Scratch, Tool) {
    let (scratch, _) = fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let tool = Tool::new(TOOL, &scratch).unwrap();
    let database = scratch.mongodb().await.unwrap();
    let (ids, users) = dataset::sound_users(11, 2);
    dataset::insert(&database, "users", &users).await.unwrap();
    let books = dataset::sound_books(1_000, &ids, 300);
    dataset::insert(&database, "books", &books).await.unwrap();
    let book = books[0].get_object_id("_id").unwrap();
    let book = IdForm::Embedded.write::<Book>(Id::from_bytes(book.bytes()));
    let user = IdForm::Embedded.write::<User>(Id::from_bytes(ids[0].bytes()));
    let sql = format!(
        "insert into sales_data (user_id, book_id, date, platform, units, revenue) \
         select '{user}', '{book}', date '2000-01-01' + number, 'kdp', number, 2.50 \
         from generate_series(1, {ROWS}) as number; \
         insert into daily_aggregates (user_id, date, total_revenue, total_units, \
           platform_breakdown, book_breakdown) \
         select '{user}', date '2000-01-01' + number, 2.50, number, \
           '{{\"kdp\": {{\"revenue\": 2.50, \"units\": 1, \"page_reads\": 0, \"borrows\": 7}}}}', '{{}}' \
         from generate_series(1, {ROWS}) as number; \
         insert into ai_insights (user_id, insight_type, content) \
         select '{user}', 'trend', '{{\"n\": 12345678901234567890123}}' \
         from generate_series(1, {ROWS}) as number"
    );
    let mut old = scratch.postgres().await.unwrap();
    old.execute(AssertSqlSafe(sql)).await.unwrap();
    (scratch, tool)
}

/// The texts of a table's rows, by their ids.
async fn rows(scratch: &Scratch, table: &str) -> BTreeMap<String, String> {
    let mut target = scratch.supabase().await.unwrap();
    let select = format!("select id::text, to_jsonb(t)::text from public.{table} as t");
    let rows = query(AssertSqlSafe(select)).fetch_all(&mut target).await;
    let rows = rows.unwrap().into_iter();
    rows.map(|row| (row.get(0), row.get(1))).collect()
}

const TABLES: &[Kind] = &[
    Kind::Books,
    Kind::SalesData,
    Kind::DailyAggregates,
    Kind::AiInsights,
];

#[tokio::test]
async fn what_a_trigger_refuses_is_named_and_the_rest_moves() {
    let (scratch, mut tool) = filled().await;
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(0), "{} {}", run.json, run.stderr);
    let mut expected = BTreeMap::new();
    for kind in TABLES {
        expected.insert(*kind, rows(&scratch, kind.as_str()).await);
    }
    let book = expected[&Kind::Books].keys().nth(150).unwrap().clone();

    let (other, _) = fresh().await;
    tool.supabase_db_url = other.supabase_db_url();
    let store = SupabaseStore::connect(SupabaseConfig::new(other.supabase_db_url()))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let mut target = other.supabase().await.unwrap();
    target
        .execute(
            "create function public.owners_check() returns trigger language plpgsql as $$ \
             begin \
               if new.id::text = any (tg_argv) then \
                 raise 'the owner does not want % in %', new.id, tg_table_name; \
               end if; \
               return new; \
             end $$",
        )
        .await
        .unwrap();
    for (kind, refused) in [
        (Kind::Books, book.as_str()),
        (Kind::SalesData, "137"),
        (Kind::DailyAggregates, "500"),
        (Kind::AiInsights, "1000"),
    ] {
        let create = format!(
            "create trigger owners before insert or update on public.{kind} \
             for each row execute function public.owners_check('{refused}')"
        );
        target.execute(AssertSqlSafe(create)).await.unwrap();
    }
    for again in [false, true] {
        let run = tool.ask(&["run"]).unwrap();
        assert_eq!(run.code, Some(1), "{} {}", run.json, run.stderr);
        assert_eq!(run.sum("rejected"), 4, "{}", run.json);
        let moved = run.sum("read") - 4;
        let (count, none) = if again {
            ("unchanged", "written")
        } else {
            ("written", "unchanged")
        };
        assert_eq!((run.sum(count), run.sum(none)), (moved, 0), "{}", run.json);
        let rejects = tool.rejects().unwrap();
        assert_eq!(rejects.len(), 4);
        for reject in &rejects {
            let said = reject.problems.to_string();
            let table = reject.kind.as_str();
            assert!(
                said.starts_with("record: is refused by a trigger"),
                "{said}"
            );
            assert!(said.contains("the owner does not want"), "{said}");
            assert!(said.contains(&format!(" in {table}; ")), "{said}");
        }
        for (kind, all) in &expected {
            let mut all = all.clone();
            let refused = match kind {
                Kind::Books => book.as_str(),
                Kind::SalesData => "137",
                Kind::DailyAggregates => "500",
                _ => "1000",
            };
            all.remove(refused).unwrap();
            assert_eq!(rows(&other, kind.as_str()).await, all, "{kind}");
        }
    }
    // What the reject keeps is whole.
    let rejects = tool.rejects().unwrap();
    let of = |kind| {
        &rejects
            .iter()
            .find(|reject| reject.kind == kind)
            .unwrap()
            .record
    };
    let aggregate = of(Kind::DailyAggregates);
    assert_eq!(
        aggregate["platform_breakdown"]["kdp"]["borrows"], 7,
        "{aggregate}"
    );
    let insight = of(Kind::AiInsights);
    assert!(
        insight.to_string().contains("12345678901234567890123"),
        "{insight}"
    );
    let verify = tool.ask(&["verify"]).unwrap();
    assert_eq!(verify.sum("differing"), 0, "{}", verify.json);
    scratch.remove().await.unwrap();
    other.remove().await.unwrap();
}
