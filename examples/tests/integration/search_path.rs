//! No function or operator of another schema runs in place of PostgreSQL's own, whoever has made it.

use crate::common;

use authorstack_core::{
    AuthorStack, Book, Conversion, Days, Feed, Id, MemoryStore, NewBook, NewPost, NewSale,
    PageRequest, Platform, SaleKey, SalesFilter, TotalsBy, User,
    services::{Dashboard, DashboardQuery, SalesIngest},
    testing::{author, servers},
};
use authorstack_examples::{dataset, scratch::Scratch, tool::Tool};
use authorstack_postgres::{PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use common::{TOOL, fresh};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const SHADOWS: &str = include_str!("common/shadows.sql");

/// A role for one test on the plain server. The database that it has made functions in is dropped
/// before it is.
async fn low_privileged(database: &mut PgConnection) -> String {
    let role = servers::fresh_name();
    let create = format!("create role {role}; grant {role} to current_user");
    database.execute(AssertSqlSafe(create)).await.unwrap();
    role
}

async fn remove(scratch: &Scratch, role: &str) {
    scratch.remove().await.unwrap();
    let server = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let mut database = PgConnection::connect(&server).await.unwrap();
    let drop = format!("drop role {role}");
    database.execute(AssertSqlSafe(drop)).await.unwrap();
}

/// Makes the shadows as a role that may do no more than create functions in `public`.
async fn shadow(database: &mut PgConnection, role: &str) {
    let prepare = format!("grant create on schema public to {role}; set role {role}");
    database.execute(AssertSqlSafe(prepare)).await.unwrap();
    database.execute(SHADOWS).await.unwrap();
    database.execute("reset role").await.unwrap();
    // They work: this is what happens to who trusts the search path.
    for sql in [
        "select btrim('x'::varchar)",
        "select to_jsonb('x'::varchar)",
        "select 'x'::varchar = 'x'::varchar",
        "select 'x'::varchar || 'y'::varchar",
        "select count('x'::varchar)",
    ] {
        let error = database.execute(sql).await.unwrap_err().to_string();
        assert!(error.contains("a shadow was called"), "{sql}: {error}");
    }
}

fn sales(book: Id<Book>) -> Vec<NewSale> {
    let sale = |n: u32| {
        let key = SaleKey {
            book_id: book,
            channel: Platform::KDP.into(),
            date: format!("2024-03-0{n}").parse().unwrap(),
        };
        NewSale::new(key, "1.10".parse().unwrap(), "USD".parse().unwrap())
    };
    (1..=9).map(sale).collect()
}

/// Calls of an app that use what the shadows could take.
async fn call_everything(stack: &AuthorStack, user: Id<User>, book: Id<Book>) {
    let dollars = Conversion::into("USD".parse().unwrap());
    let ingest = SalesIngest::new(stack);
    let report = ingest
        .run(user, &Platform::KDP, sales(book), &dollars)
        .await
        .unwrap();
    assert_eq!(report.counts.inserted, 9, "{report:?}");
    assert!(report.refreshed.gaps.is_empty());
    let days = Days::new("2024-03-01".parse().unwrap(), "2024-03-31".parse().unwrap()).unwrap();
    for by in [TotalsBy::Day, TotalsBy::Month, TotalsBy::Platform] {
        let filter = SalesFilter::of(days);
        let totals = stack.sales().totals(user, &filter, by).await;
        assert!(!totals.unwrap().is_empty());
    }
    let dashboard = Dashboard::new(stack);
    dashboard
        .summary(user, &DashboardQuery::of(days))
        .await
        .unwrap();
}

/// A database of each kind, with sound records in the old ones.
async fn filled() -> Scratch {
    let (scratch, _) = fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let size = dataset::Size {
        users: 10,
        books: 30,
    };
    let data = dataset::generate(17, size);
    data.insert(&scratch.mongodb().await.unwrap())
        .await
        .unwrap();
    let analytics = data.analytics(17, size, 60);
    let mut database = scratch.postgres().await.unwrap();
    analytics.insert(&mut database).await.unwrap();
    scratch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tool_runs_no_function_of_another_schema() {
    let scratch = filled().await;
    let mut postgres = scratch.postgres().await.unwrap();
    let role = low_privileged(&mut postgres).await;
    shadow(&mut postgres, &role).await;
    shadow(&mut scratch.supabase().await.unwrap(), "anon").await;
    let mut tool = Tool::new(TOOL, &scratch).unwrap();
    let plan = tool.ask(&["plan"]).unwrap();
    // The data set has rejects.
    assert_eq!(plan.code, Some(1), "{} {}", plan.json, plan.stderr);
    let run = tool.ask(&["run"]).unwrap();
    assert_eq!(run.code, Some(1), "{} {}", run.json, run.stderr);
    assert!(plan.sum("written") > 0);
    assert_eq!(plan.sum("written"), run.sum("written"));

    // Each transaction of a pooler in transaction mode has another session.
    let pooler = servers::supabase_pooler_url().parse().unwrap();
    tool.supabase_db_url = scratch.through(&pooler);
    for command in ["verify", "run", "repair"] {
        let answer = tool.ask(&[command]).unwrap();
        assert_eq!(answer.code, Some(1), "{} {}", answer.json, answer.stderr);
        assert_eq!(answer.sum("differing"), 0, "{}", answer.json);
        assert_eq!(answer.sum("read"), run.sum("read"));
    }

    // The way back writes to PostgreSQL.
    let (back, _) = fresh().await;
    let server = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let back = back.with_empty_postgres(&server).await.unwrap();
    let mut postgres = back.postgres().await.unwrap();
    shadow(&mut postgres, &role).await;
    tool.mongodb_url = back.mongodb_url().to_owned();
    tool.postgres_url = back.postgres_url();
    for command in ["run", "verify"] {
        let answer = tool.ask(&[command, "--from", "supabase"]).unwrap();
        assert_eq!(answer.code, Some(0), "{} {}", answer.json, answer.stderr);
    }
    back.remove().await.unwrap();
    remove(&scratch, &role).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_runs_no_function_of_another_schema() {
    let (scratch, _) = fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_empty_postgres(&postgres).await.unwrap();
    let mut postgres = scratch.postgres().await.unwrap();
    let role = low_privileged(&mut postgres).await;
    shadow(&mut postgres, &role).await;
    shadow(&mut scratch.supabase().await.unwrap(), "anon").await;

    let config = PostgresConfig::new(scratch.postgres_url().unwrap());
    let store = PostgresStore::connect_and_prepare(config).await.unwrap();
    let stack = AuthorStack::distributed(&MemoryStore::new(), &store);
    let ada = author(&stack, "ada").await.id;
    let book = stack.books().create(ada, NewBook::new("A")).await.unwrap();
    call_everything(&stack, ada, book.id).await;
    store.close().await;

    for (name, server) in [
        ("ada", servers::supabase_db_url()),
        ("bob", servers::supabase_pooler_url()),
        ("cleo", servers::supabase_session_pooler_url()),
    ] {
        let url = scratch.through(&server.parse().unwrap());
        let store = SupabaseStore::connect_and_prepare(SupabaseConfig::new(url))
            .await
            .unwrap();
        let stack = AuthorStack::supabase(&store);
        let user = author(&stack, name).await.id;
        let book = stack.books().create(user, NewBook::new("A")).await.unwrap();
        call_everything(&stack, user, book.id).await;
        stack.users().add_credits(user, 5).await.unwrap();
        stack.users().spend_credits(user, 3).await.unwrap();
        let community = stack.community();
        let post = community.create(user, NewPost::new("Hello")).await.unwrap();
        community.like(user, post.id).await.unwrap();
        let feed = community.feed(user, Feed::Author(user), PageRequest::first(5));
        assert_eq!(feed.await.unwrap().items.len(), 1);
        store.close().await;
    }
    remove(&scratch, &role).await;
}
