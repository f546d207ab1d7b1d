//! The schema's migrations, by this crate and by the Supabase CLI.

use std::{fs, path::Path};

use crate::common;

use authorstack_core::{
    ErrorKind, NewUser,
    migrate::{Kind, Sink},
};
use common::{Cli, Via, author, on_database};
use sqlx::Row;

const FILES: [&str; 18] = [
    "20261123000000_authorstack_bookkeeping.sql",
    "20261123000001_authorstack_users_books.sql",
    "20261124000000_authorstack_documents.sql",
    "20261124000001_authorstack_analytics.sql",
    "20261125000000_authorstack_rows.sql",
    "20261126000000_authorstack_return.sql",
    "20261127000000_authorstack_access.sql",
    "20261127010000_authorstack_rules.sql",
    "20261127030000_authorstack_sales.sql",
    "20261127040000_authorstack_counts.sql",
    "20261128000000_authorstack_extra.sql",
    "20261128010000_authorstack_set_aside.sql",
    "20261128030000_authorstack_lengths.sql",
    "20261128040000_authorstack_moved.sql",
    "20261129000000_authorstack_preferences.sql",
    "20261130000000_authorstack_accounts.sql",
    "20261201000000_authorstack_checks.sql",
    "20261202000000_authorstack_moved_keys.sql",
];
const HISTORY: &str = "select version || ' ' || name || ' ' || statements::text \
                       from supabase_migrations.schema_migrations order by version";

#[tokio::test]
async fn migrates_once_and_again() {
    on_database(async |database| {
        let store = database.store(Via::Direct).await;
        assert_eq!(store.pending().await.unwrap(), FILES);
        store.migrate().await.unwrap();
        assert!(store.pending().await.unwrap().is_empty());
        let history = database.texts(HISTORY).await;
        store.migrate().await.unwrap();
        assert_eq!(database.texts(HISTORY).await, history);
    })
    .await;
}

#[tokio::test]
async fn migrates_through_the_transaction_pooler() {
    on_database(async |database| {
        let store = database.migrated(Via::Pooler).await;
        assert!(store.pending().await.unwrap().is_empty());
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrates_once_when_called_at_once() {
    on_database(async |database| {
        let store = database.store(Via::Direct).await;
        let calls = (0..4).map(|_| {
            tokio::spawn({
                let store = store.clone();
                async move { store.migrate().await }
            })
        });
        for call in futures::future::join_all(calls).await {
            call.unwrap().unwrap();
        }
        assert_eq!(database.texts(HISTORY).await.len(), FILES.len());
    })
    .await;
}

#[tokio::test]
async fn the_cli_finds_our_migrations_applied() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let (stdout, stderr) = Cli::new().run(database, &["migration", "up", "--yes"]);
        assert!(
            format!("{stdout}{stderr}").contains("up to date"),
            "{stdout}\n{stderr}"
        );
    })
    .await;
}

#[tokio::test]
async fn we_find_the_clis_migrations_applied_and_write_the_same_history() {
    on_database(async |by_cli| {
        Cli::new().run(by_cli, &["migration", "up", "--yes"]);
        let store = by_cli.store(Via::Direct).await;
        assert!(store.pending().await.unwrap().is_empty());
        store.migrate().await.unwrap();
        on_database(async |by_us| {
            by_us.migrated(Via::Direct).await;
            let ours = by_us.texts(HISTORY).await;
            assert_eq!(ours, by_cli.texts(HISTORY).await);
            assert_eq!(ours.len(), FILES.len());
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_project_may_have_migrations_of_its_own() {
    on_database(async |database| {
        let cli = Cli::new();
        cli.add_migration(
            "20250101000000_notes.sql",
            "create table public.notes (id int primary key);",
        );
        cli.run(database, &["migration", "up", "--yes"]);
        let store = database.store(Via::Direct).await;
        assert!(store.pending().await.unwrap().is_empty());
    })
    .await;
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let cli = Cli::new();
        cli.add_migration(
            "20270101000000_notes.sql",
            "create table public.notes (id int primary key);",
        );
        cli.run(database, &["migration", "up", "--yes"]);
        assert_eq!(database.texts(HISTORY).await.len(), FILES.len() + 1);
        database.store(Via::Direct).await.migrate().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_lost_history_is_written_again() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let history = database.texts(HISTORY).await;
        database
            .execute("drop schema supabase_migrations cascade")
            .await;
        assert!(store.pending().await.unwrap().is_empty());
        store.migrate().await.unwrap();
        assert_eq!(database.texts(HISTORY).await, history);
    })
    .await;
}

#[tokio::test]
async fn a_foreign_table_blocks() {
    on_database(async |database| {
        database
            .execute("create table public.books (id int primary key)")
            .await;
        let store = database.store(Via::Direct).await;
        let error = store.migrate().await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Blocked { .. }),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .contains("public.books exists and was not made by"),
            "{error}"
        );
        let state = store.migration().inspect().await.unwrap();
        assert_eq!(state.blockers.len(), 1);
        assert_eq!(state.pending_migrations, FILES);
        assert!(
            database
                .rows("select from pg_namespace where nspname = 'authorstack'")
                .await
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn another_migration_with_our_number_blocks() {
    on_database(async |database| {
        let cli = Cli::new();
        for file in FILES {
            cli.add_migration(file, "select 1;");
        }
        cli.run(database, &["migration", "up", "--yes"]);
        database
            .execute("update supabase_migrations.schema_migrations set name = 'other'")
            .await;
        let error = database
            .store(Via::Direct)
            .await
            .migrate()
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("number 20261123000000"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_newer_schema_blocks() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        database
            .execute("insert into authorstack.schema_version (version) values ('29991231000000')")
            .await;
        let error = store.migrate().await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Blocked { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("update the program"), "{error}");
        assert_eq!(store.migration().inspect().await.unwrap().blockers.len(), 1);
    })
    .await;
}

/// A program finds such a schema if it is newer, or was killed between two migrations.
#[tokio::test]
async fn every_earlier_schema_is_inspected_as_the_newest() {
    on_database(async |database| {
        let target = database.store(Via::Direct).await.migration();
        let mut states = vec![target.inspect().await.unwrap()];
        for file in FILES {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("supabase/migrations");
            let sql = fs::read_to_string(folder.join(file)).unwrap();
            database.execute(&sql).await;
            states.push(target.inspect().await.unwrap());
        }
        let newest = states[FILES.len()].clone();
        assert!(!newest.readable_columns.is_empty());
        for (applied, state) in states.into_iter().enumerate() {
            assert_eq!(state.pending_migrations, FILES[applied..]);
            assert_eq!(
                state.readable_columns, newest.readable_columns,
                "{applied} are applied"
            );
            assert!(state.blockers.is_empty() && state.notes.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_schema_says_what_to_do() {
    on_database(async |database| {
        let store = database.store(Via::Direct).await;
        let user = NewUser::new("a".parse().unwrap(), "a@b.c".parse().unwrap(), "");
        let error = store.users().create(user).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("SupabaseStore::prepare"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn supabases_advisors_find_nothing() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let findings = Cli::new().advisors(database);
        assert!(findings.is_empty(), "{findings:#?}");
    })
    .await;
}

#[tokio::test]
async fn every_foreign_key_has_an_index_and_every_table_row_level_security() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let open = database
            .texts("select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity")
            .await;
        assert!(open.is_empty(), "{open:?}");
        let slow = database
            .texts("select conname::text from pg_constraint as c where contype = 'f' and connamespace = 'public'::regnamespace \
                    and not exists (select from pg_index where indrelid = c.conrelid and indkey[0] = c.conkey[1])")
            .await;
        assert!(slow.is_empty(), "{slow:?}");
        let leaks = database
            .rows("select table_name::text from information_schema.role_table_grants \
                   where (grantee = 'anon' and table_schema = 'public') \
                      or (grantee in ('anon', 'authenticated', 'service_role', 'PUBLIC') and table_schema = 'authorstack')")
            .await;
        assert!(leaks.is_empty(), "{:?}", leaks[0].get::<String, _>(0));
    })
    .await;
}

#[tokio::test]
async fn tables_have_exactly_the_columns_of_their_records() {
    /// What the database computes and no field holds.
    const COMPUTED: &[(Kind, &str)] = &[
        (Kind::Checklists, "progress"),
        (Kind::CommunityPosts, "like_count"),
        (Kind::CommunityPosts, "comment_count"),
    ];
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        for kind in Kind::DATA {
            let mut columns = database
                .texts(&format!(
                    "select column_name::text from information_schema.columns \
                     where table_schema = 'public' and table_name = '{kind}'"
                ))
                .await;
            columns.sort_unstable();
            let computed = COMPUTED.iter().filter(|(of, _)| of == kind);
            let mut fields = kind.column_names();
            fields.extend(computed.map(|(_, column)| *column));
            fields.sort_unstable();
            assert_eq!(columns, fields, "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn ids_made_by_the_database_are_in_our_form() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        for row in database
            .rows("select authorstack.new_id() from generate_series(1, 100)")
            .await
        {
            let id = authorstack_core::Id::<()>::from_uuid(row.get(0)).unwrap();
            let age = chrono::Utc::now() - id.created_at();
            assert!(age.num_seconds().abs() < 60, "{age}");
        }
    })
    .await;
}

#[tokio::test]
async fn sales_in_capitals_become_small_and_two_of_one_kind_are_named() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        let (user, book) = (ada.id.to_uuid(), book.to_uuid());
        let sale = |platform: &str, date: &str| {
            format!(
                "insert into public.sales_data (user_id, book_id, platform, date, revenue, units) \
                 values ('{user}', '{book}', '{platform}', '{date}', 1, 1);"
            )
        };
        let before = format!(
            "alter table public.sales_data drop constraint sales_data_platform_check; \
             alter table public.sync_logs drop constraint sync_logs_platform_case; \
             delete from authorstack.schema_version where version = '20261127030000'; \
             delete from supabase_migrations.schema_migrations where version = '20261127030000'; \
             {}{}{} \
             insert into public.sync_logs (user_id, platform, status) \
             values ('{user}', 'KDP', 'success');",
            sale("KDP:Amazon.DE", "2024-03-01"),
            sale("KDP", "2024-03-02"),
            sale("kdp", "2024-03-02"),
        );
        database.execute(&before).await;
        let platforms = "select platform from public.sales_data order by id";
        let error = store.migrate().await.unwrap_err();
        let shown = error.to_string();
        assert!(matches!(error.kind(), ErrorKind::Blocked { .. }), "{shown}");
        for part in ["sales 2 and 3", "KDP and kdp", "migrate again"] {
            assert!(shown.contains(part), "{shown}");
        }
        let unchanged = ["KDP:Amazon.DE", "KDP", "kdp"];
        assert_eq!(database.texts(platforms).await, unchanged);

        database
            .execute("delete from public.sales_data where id = 2")
            .await;
        store.migrate().await.unwrap();
        assert_eq!(database.texts(platforms).await, ["kdp:amazon.de", "kdp"]);
        let logs = "select platform from public.sync_logs";
        assert_eq!(database.texts(logs).await, ["kdp"]);
        for table in ["sales_data", "sync_logs"] {
            let shout = format!("update public.{table} set platform = 'KDP'");
            let mut connection = database.connection().await;
            let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(shout));
            let refused = refused.execute(&mut connection).await.unwrap_err();
            assert!(refused.to_string().contains("platform_case"), "{refused}");
        }
    })
    .await;
}
