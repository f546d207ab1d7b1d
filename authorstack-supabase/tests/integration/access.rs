//! Sign-ups and their profiles; which columns are whose; when writing is closed.

use crate::common;

use std::{fs, sync::Arc};

use authorstack_core::{
    Attachment, AttachmentKind, AuthProvider, ErrorKind, Id, MemoryStore, NewBook, NewPost,
    NewUser, PageRequest, User,
    migrate::{Destination, Kind, Silent, Sink, TransactionalSink, plan},
    testing::servers::workspace,
};
use common::{Database, Via, as_account, as_role, author, on_database};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

const DENIED: &str = "42501";
const CLOSED: &str = "PT503";

/// Signs up as Supabase Auth does, in its role.
async fn sign_up(database: &Database, id: &str, columns: &str, values: &str) {
    let sql = format!(
        "insert into auth.users (id, aud, role, created_at {columns}) \
         values ('{id}', 'authenticated', 'authenticated', now() {values})"
    );
    as_auth(database, &sql).await;
}

async fn as_auth(database: &Database, sql: &str) {
    let url = database.url(Via::Direct);
    let url = url.replace("//postgres:", "//supabase_auth_admin:");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let done = connection.execute(AssertSqlSafe(sql)).await.unwrap();
    let is_change = sql.starts_with("insert") || sql.starts_with("update");
    assert_eq!(done.rows_affected(), u64::from(is_change), "{sql}");
}

const CONFIRMED: &str = ", email, email_confirmed_at, raw_user_meta_data";

fn v4(last: u8) -> String {
    format!("9d5a1f30-7d0c-4e21-9b7e-0000000000{last:02x}")
}

#[tokio::test]
async fn a_sign_up_becomes_a_user_who_reads_and_writes() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let account = v4(1);
        sign_up(
            database,
            &account,
            CONFIRMED,
            r#", 'ada@example.org', now(), '{"full_name": "Ada"}'"#,
        )
        .await;
        let ada = store
            .users()
            .get_by_auth_id(&account.parse().unwrap())
            .await
            .unwrap();
        assert_eq!(
            (ada.name.as_str(), ada.email.as_str(), ada.credits),
            ("Ada", "ada@example.org", 0)
        );
        assert_eq!(ada.auth_provider, AuthProvider::SUPABASE);
        assert_ne!(ada.id.to_uuid().to_string(), account);
        // In a browser, by the account's id.
        let act =
            async |sql: &str| as_account(database, "authenticated", Some(&account), sql).await;
        assert_eq!(act("select id from public.users").await, Ok(1));
        assert_eq!(act("update public.users set name = 'Ada L.'").await, Ok(1));
        let own = ada.id.to_uuid();
        for sql in [
            format!("insert into public.books (user_id, title) values ('{own}', 'Tide')"),
            format!(
                "insert into public.community_posts (author_id, content) values ('{own}', 'x')"
            ),
            format!(
                "insert into public.competitors (user_id, asin) values ('{own}', 'B08N5WRWNW')"
            ),
        ] {
            assert_eq!(act(&sql).await, Ok(1), "{sql}");
        }
        // The account's id is no user's.
        let theirs =
            format!("insert into public.books (user_id, title) values ('{account}', 'Tide')");
        assert_eq!(act(&theirs).await, Err(DENIED.to_owned()));
        // And from the host.
        let book = store
            .books()
            .create(ada.id, NewBook::new("Tide"))
            .await
            .unwrap();
        assert_eq!(act("select id from public.books").await, Ok(1));
        let read = "select id from public.books";
        let stranger = as_account(database, "authenticated", Some(&v4(2)), read).await;
        assert_eq!(stranger, Ok(0));
        store.books().get(ada.id, book.id).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_profile_of_the_host_s_making_is_its_account_s() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let account = v4(1);
        let new = NewUser::new(
            account.parse().unwrap(),
            "ada@example.org".parse().unwrap(),
            "Ada",
        );
        let ada = store.users().create(new).await.unwrap();
        sign_up(
            database,
            &account,
            CONFIRMED,
            ", 'ada@example.org', now(), null",
        )
        .await;
        assert_eq!(database.count("public.users").await, 1);
        let read = "select id from public.users";
        assert_eq!(
            as_account(database, "authenticated", Some(&account), read).await,
            Ok(1)
        );
        let found = store
            .users()
            .get_by_auth_id(&account.parse().unwrap())
            .await;
        assert_eq!(found.unwrap().id, ada.id);
    })
    .await;
}

/// Somebody may have had the id of another's account as a name at the old provider.
#[tokio::test]
async fn an_account_moved_with_its_profile_is_found_by_its_id() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, _) = author(&store, "ada").await;
        let account = ada.id.to_uuid().to_string();
        let new = NewUser::new(
            account.parse().unwrap(),
            "eve@example.org".parse().unwrap(),
            "Eve",
        );
        let eve = store.users().create(new).await.unwrap();
        sign_up(
            database,
            &account,
            CONFIRMED,
            ", 'ada@example.org', now(), null",
        )
        .await;
        assert_eq!(database.count("public.users").await, 2);
        let read = format!("select id from public.users where id = '{account}'");
        assert_eq!(
            as_account(database, "authenticated", Some(&account), &read).await,
            Ok(1)
        );
        let found = store
            .users()
            .get_by_auth_id(&account.parse().unwrap())
            .await
            .unwrap();
        assert_eq!(found.id, ada.id);
        // Without a profile of that id, the text decides.
        store.users().delete(ada.id).await.unwrap();
        let found = store
            .users()
            .get_by_auth_id(&account.parse().unwrap())
            .await
            .unwrap();
        assert_eq!(found.id, eve.id);
        // An account that comes before its profile gives it its id.
        let early = Id::<User>::new();
        let account = early.to_uuid().to_string();
        sign_up(
            database,
            &account,
            CONFIRMED,
            ", 'early@example.org', now(), null",
        )
        .await;
        assert_eq!(
            store.users().get(early).await.unwrap().auth_id.as_str(),
            account
        );
    })
    .await;
}

#[tokio::test]
async fn no_sign_up_fails_and_none_takes_over_a_profile() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, _) = author(&store, "ada").await;
        let profiles = async || database.count("public.users").await;
        // Her address, confirmed: the profile stays hers.
        sign_up(database, &v4(1), CONFIRMED, ", 'ADA@example.org', now(), null").await;
        assert_eq!(profiles().await, 1);
        assert_eq!(store.users().get(ada.id).await.unwrap(), ada);
        let read = "select id from public.users";
        assert_eq!(as_account(database, "authenticated", Some(&v4(1)), read).await, Ok(0));
        // No address, an unconfirmed one, no e-mail address at all.
        sign_up(database, &v4(2), ", phone", ", '4915112345678'").await;
        sign_up(database, &v4(3), ", email", ", 'later@example.org'").await;
        sign_up(database, &v4(4), ", is_anonymous", ", true").await;
        assert_eq!(profiles().await, 1);
        // They come with the address.
        as_auth(database, &format!("update auth.users set email_confirmed_at = now() where id = '{}'", v4(3))).await;
        as_auth(database, &format!("update auth.users set email = 'phone@example.org', email_confirmed_at = now() where id = '{}'", v4(2))).await;
        assert_eq!(profiles().await, 3);
        // Whatever a browser called itself.
        let long = format!(r#"{{"full_name": "{}"}}"#, "é".repeat(100_000));
        for (n, name) in [r#"{"name": {"a": 1}}"#, "[1]", "\"x\"", &long, r#"{"name": "a\nb"}"#].into_iter().enumerate() {
            let n = u8::try_from(n).unwrap() + 16;
            sign_up(database, &v4(n), CONFIRMED, &format!(", 'n{n}@example.org', now(), '{name}'")).await;
        }
        let users = store.users().list(PageRequest::default()).await.unwrap();
        assert_eq!(users.items.len(), 8);
        assert!(users.items.iter().all(|user| user.name.chars().count() <= 100));
        // A table that refuses everything, and one that is locked: the next sign-in makes up for it.
        database.execute("alter table public.users add constraint never check (false) not valid").await;
        sign_up(database, &v4(40), CONFIRMED, ", 'x@example.org', now(), null").await;
        database.execute("alter table public.users drop constraint never").await;
        let mut other = database.connection().await;
        sqlx::raw_sql("begin; lock table public.users in access exclusive mode").execute(&mut other).await.unwrap();
        sign_up(database, &v4(41), CONFIRMED, ", 'y@example.org', now(), null").await;
        sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
        assert_eq!(profiles().await, 8);
        as_auth(database, &format!("update auth.users set last_sign_in_at = now() where id = '{}'", v4(40))).await;
        as_auth(database, &format!("update auth.users set last_sign_in_at = now() where id = '{}'", v4(41))).await;
        assert_eq!(profiles().await, 10);
    })
    .await;
}

#[tokio::test]
async fn a_database_whose_accounts_cannot_be_watched_is_migrated() {
    on_database(async |database| {
        as_auth(database, "revoke trigger on auth.users from postgres").await;
        let store = database.migrated(Via::Direct).await;
        sign_up(
            database,
            &v4(1),
            CONFIRMED,
            ", 'ada@example.org', now(), null",
        )
        .await;
        assert_eq!(database.count("public.users").await, 0);
        author(&store, "ada").await;
    })
    .await;
}

/// What the page of security says of a table: read, insert, change, delete.
fn documented(page: &str, kind: Kind) -> [Vec<String>; 4] {
    let (_, rest) = page
        .split_once(&format!("\n### `{kind}`\n"))
        .unwrap_or_else(|| panic!("docs/security.md has no section for {kind}"));
    let section = rest.split("\n### ").next().unwrap();
    ["read", "insert", "change", "delete"].map(|what| {
        let line = section
            .lines()
            .find_map(|line| line.strip_prefix(&format!("- {what}: ")));
        let line = line.unwrap_or_else(|| panic!("{kind}: nothing about {what}"));
        let mut words: Vec<String> = line
            .split(", ")
            .map(|word| word.trim_matches('`').to_owned())
            .collect();
        words.retain(|word| word != "nothing" && word != "no");
        words.sort_unstable();
        words
    })
}

#[tokio::test]
async fn the_grants_are_those_of_the_page_about_security() {
    let page = fs::read_to_string(workspace().join("docs/security.md")).unwrap();
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        for &kind in Kind::DATA {
            let columns = async |privilege: &str| {
                database
                    .texts(&format!(
                        "select attname::text from pg_attribute where attrelid = 'public.{kind}'::regclass \
                           and attnum > 0 and not attisdropped \
                           and has_column_privilege('authenticated', attrelid, attnum, '{privilege}') \
                         order by attname::text collate \"C\""
                    ))
                    .await
            };
            let deletes = database
                .texts(&format!("select 'yes' where has_table_privilege('authenticated', 'public.{kind}', 'DELETE')"))
                .await;
            let granted = [columns("SELECT").await, columns("INSERT").await, columns("UPDATE").await, deletes];
            assert_eq!(granted, documented(&page, kind), "{kind}: read, insert, change, delete");
            let hidden = &granted[0];
            assert!(!hidden.iter().any(|column| column == "extra" || column == "connected_platforms"), "{kind}");
            for written in [&granted[1], &granted[2]] {
                let ordering = ["id", "created_at", "updated_at", "last_checked", "started_at"];
                assert!(!written.iter().any(|column| ordering.contains(&column.as_str())), "{kind}: {written:?}");
            }
            let other = database
                .texts(&format!(
                    "select role || ' ' || what from unnest(array['anon', 'authenticated']) as role, \
                     unnest(array['TRUNCATE', 'REFERENCES', 'TRIGGER']) as what \
                     where has_table_privilege(role, 'public.{kind}', what) \
                     union all select 'anon' where has_any_column_privilege('anon', 'public.{kind}', 'SELECT, INSERT, UPDATE')"
                ))
                .await;
            assert!(other.is_empty(), "{kind}: {other:?}");
        }
    })
    .await;
}

/// A call for each row would look the user up again for each.
#[tokio::test]
async fn policies_ask_who_is_signed_in_once_a_statement() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let policies = "select tablename || ': ' || concat_ws(' ', qual, with_check) \
                        from pg_policies where schemaname = 'public'";
        let policies = database.texts(policies).await;
        assert!(policies.len() >= 30, "{}", policies.len());
        for policy in policies {
            // The settings of an account have its id, which costs no look-up.
            if policy.starts_with("user_preferences: ") {
                let asked = policy.matches("auth.uid()").count();
                let once = policy.matches("SELECT auth.uid()").count();
                assert_eq!(asked, once, "{policy}");
                continue;
            }
            assert!(!policy.contains("auth.uid"), "{policy}");
            let asked = policy.matches("authorstack.user_id()").count();
            let once = policy.matches("SELECT authorstack.user_id()").count();
            assert_eq!(asked, once, "{policy}");
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_fields_are_the_host_s_alone() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        let post = store
            .community()
            .create(ada.id, NewPost::new("Out now"))
            .await
            .unwrap();
        store
            .community()
            .comment(ada.id, post.id, "Bravo".to_owned())
            .await
            .unwrap();
        for table in ["users", "books", "community_posts", "post_comments"] {
            database
                .execute(&format!(
                    "update public.{table} set extra = '{{\"ip\": \"192.0.2.1\"}}'"
                ))
                .await;
            for sql in [
                format!("select extra from public.{table}"),
                format!("select * from public.{table}"),
                format!("select id from public.{table} where extra ->> 'ip' = '192.0.2.1'"),
                format!("update public.{table} set extra = '{{}}'"),
            ] {
                let done = as_role(database, "authenticated", Some(&ada), &sql).await;
                assert_eq!(done, Err(DENIED.to_owned()), "{sql}");
            }
            let host = format!("select extra from public.{table}");
            assert_eq!(as_role(database, "service_role", None, &host).await, Ok(1));
        }
        for sql in [
            "select connected_platforms from public.users".to_owned(),
            "update public.users set connected_platforms = '[]'".to_owned(),
            format!(
                "insert into public.books (user_id, title, extra) values ('{}', 'x', '{{}}')",
                ada.id.to_uuid()
            ),
        ] {
            let done = as_role(database, "authenticated", Some(&ada), &sql).await;
            assert_eq!(done, Err(DENIED.to_owned()), "{sql}");
        }
        assert_eq!(
            store.books().get(ada.id, book).await.unwrap().extra["ip"],
            "192.0.2.1"
        );
    })
    .await;
}

#[tokio::test]
async fn ids_and_moments_are_not_the_owner_s_to_write() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        let own = ada.id.to_uuid();
        let post = store.community().create(ada.id, NewPost::new("Out now")).await.unwrap();
        let rival = authorstack_core::NewCompetitor::new("B08N5WRWNW".parse().unwrap());
        let rival = store.competitors().create(ada.id, rival).await.unwrap();
        let far = "'261999-12-31'";
        let late = "ffffffff-ffff-8fff-8fff-ffffff000000";
        let (post_id, rival_id) = (post.id.to_uuid(), rival.id.to_uuid());
        for sql in [
            format!("update public.users set updated_at = {far}"),
            format!("update public.users set created_at = {far}"),
            format!("update public.books set updated_at = {far}"),
            format!("update public.community_posts set updated_at = {far}"),
            format!("update public.competitors set last_checked = {far}"),
            "update public.competitors set current_price = 1".to_owned(),
            format!("insert into public.books (id, user_id, title) values ('{late}', '{own}', 'x')"),
            format!("insert into public.books (user_id, title, created_at) values ('{own}', 'x', {far})"),
            format!("insert into public.community_posts (id, author_id) values ('{late}', '{own}')"),
            format!("insert into public.community_posts (author_id, updated_at) values ('{own}', {far})"),
            format!("insert into public.post_comments (post_id, id, author_id, content) values ('{post_id}', 'zzz', '{own}', 'x')"),
            format!("insert into public.post_comments (post_id, author_id, content, created_at) values ('{post_id}', '{own}', 'x', {far})"),
            format!("insert into public.follows (follower_id, author_id, created_at) values ('{own}', '{own}', {far})"),
            format!("insert into public.competitors (user_id, asin, last_checked) values ('{own}', 'B000000000', {far})"),
            format!("insert into public.competitor_prices (competitor_id, date, price) values ('{rival_id}', now() + interval '1 hour', 1)"),
        ] {
            let done = as_role(database, "authenticated", Some(&ada), &sql).await;
            assert_eq!(done, Err(DENIED.to_owned()), "{sql}");
        }
        // What browsers do write gets ids and moments of now, and moves forward.
        let commit = async |sql: &str| commit_as(database, "authenticated", &ada, sql).await;
        commit("update public.users set name = 'Ada L.'").await;
        commit("update public.books set title = 'Ebb'").await;
        commit("update public.community_posts set content = 'y'").await;
        let renamed = store.users().get(ada.id).await.unwrap();
        assert!(renamed.updated_at > ada.updated_at && renamed.name == "Ada L.");
        let stale = authorstack_core::UserPatch {
            name: Some("x".to_owned()),
            expected_updated_at: Some(ada.updated_at),
            ..Default::default()
        };
        let refused = store.users().update(ada.id, stale).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Conflict { .. }), "{refused:?}");
        let edited = store.books().get(ada.id, book).await.unwrap();
        assert!(edited.updated_at > edited.created_at, "{edited:?}");
        assert!(store.community().get(ada.id, post.id).await.unwrap().post.updated_at > post.updated_at);
        commit(&format!("insert into public.community_posts (author_id, content) values ('{own}', 'newer')")).await;
        commit(&format!("insert into public.competitor_prices (competitor_id, price) values ('{rival_id}', 4.5)")).await;
        let newest = database.texts("select content from public.community_posts order by id desc limit 1").await;
        assert!(["newer", "y"].contains(&newest[0].as_str()));
        let made = database.texts("select id::text from public.community_posts where content = 'newer'").await;
        let made = Id::<authorstack_core::Post>::from_uuid(made[0].parse::<Uuid>().unwrap()).unwrap();
        assert!((chrono::Utc::now() - made.created_at()).num_seconds().abs() < 60);
        // The host's own changes keep their moments.
        let before = store.books().get(ada.id, book).await.unwrap();
        database.execute("update public.books set title = 'Flow'").await;
        assert_eq!(store.books().get(ada.id, book).await.unwrap().updated_at, before.updated_at);
    })
    .await;
}

async fn commit_as(database: &Database, role: &str, user: &User, sql: &str) {
    let sub = user.id.to_uuid();
    database
        .execute(&format!(
            "begin; set local role {role}; \
             set local request.jwt.claims = '{{\"sub\":\"{sub}\"}}'; {sql}; commit"
        ))
        .await;
}

/// Every write of an API role that would be possible otherwise.
fn writes(
    user: &User,
    other: &User,
    book: Id<authorstack_core::Book>,
) -> Vec<(&'static str, String)> {
    let (user, other, book) = (user.id.to_uuid(), other.id.to_uuid(), book.to_uuid());
    vec![
        (
            "authenticated",
            format!(
                "insert into public.follows (follower_id, author_id) values ('{user}', '{other}')"
            ),
        ),
        (
            "authenticated",
            format!(
                "insert into public.follows (follower_id, author_id) values ('{user}', gen_random_uuid())"
            ),
        ),
        (
            "authenticated",
            format!("insert into public.books (user_id, title) values ('{user}', 'x')"),
        ),
        (
            "authenticated",
            "update public.users set name = 'x'".to_owned(),
        ),
        (
            "authenticated",
            format!("delete from public.books where id = '{book}'"),
        ),
        (
            "service_role",
            "update public.users set credits = 1".to_owned(),
        ),
        ("service_role", "delete from public.users".to_owned()),
        (
            "service_role",
            format!(
                "insert into public.sales_data (user_id, book_id, platform, date, revenue, units) values ('{user}', '{book}', 'kdp', '2024-01-01', 1, 1)"
            ),
        ),
    ]
}

#[tokio::test]
async fn api_roles_only_read_during_a_first_load() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let target = store.migration();
        let ((ada, book), (bob, _)) = (author(&store, "ada").await, author(&store, "bob").await);
        let refused = async |what: &str| {
            for (role, sql) in writes(&ada, &bob, book) {
                let done = as_role(database, role, Some(&ada), &sql).await;
                assert_eq!(done, Err(CLOSED.to_owned()), "{what}, {role}: {sql}");
            }
            let read = as_role(
                database,
                "authenticated",
                Some(&ada),
                "select id from public.books",
            )
            .await;
            assert_eq!(read, Ok(1), "{what}");
        };
        let open = async |what: &str| {
            for (role, sql) in writes(&ada, &bob, book) {
                let done = as_role(database, role, Some(&ada), &sql).await;
                assert_ne!(done, Err(CLOSED.to_owned()), "{what}, {role}: {sql}");
            }
        };
        open("before").await;
        target.begin_pass(Kind::Follows, 1).await.unwrap();
        refused("during a load").await;
        // The host and sign-ups: a profile comes when the load has ended.
        store.users().add_credits(ada.id, 1).await.unwrap();
        sign_up(
            database,
            &v4(1),
            CONFIRMED,
            ", 'eve@example.org', now(), null",
        )
        .await;
        assert_eq!(database.count("public.users").await, 2);
        // Killed, and begun again.
        let again = database.store(Via::Direct).await.migration();
        refused("after a run was killed").await;
        let to = Destination::transactional(Arc::new(again.clone()));
        let planned = plan(Arc::new(MemoryStore::new()), &to, &[Kind::Follows], &Silent).await;
        let notes = planned.unwrap().notes.join("\n");
        assert!(notes.contains("the Data API can only read"), "{notes}");
        again.begin_pass(Kind::Follows, 1).await.unwrap();
        refused("in the second run").await;
        again.finish_pass(Kind::Follows).await.unwrap();
        open("afterwards").await;
        as_auth(
            database,
            &format!(
                "update auth.users set last_sign_in_at = now() where id = '{}'",
                v4(1)
            ),
        )
        .await;
        assert_eq!(database.count("public.users").await, 3);
        // The lane of rows, also where the sales are partitioned.
        database.partition().await.unwrap();
        let rows = Sink::rows(&again, Kind::SyncLogs).unwrap();
        rows.begin_rows(Kind::SyncLogs, "one", false).await.unwrap();
        refused("in the lane of rows").await;
        again.finish_pass(Kind::SyncLogs).await.unwrap();
        open("after the rows").await;
        // A table that is not empty keeps its keys: nothing is closed.
        target.begin_pass(Kind::Users, 1).await.unwrap();
        open("in a later pass").await;
    })
    .await;
}

#[tokio::test]
async fn every_table_is_closed_during_a_first_load() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let note = "insert into authorstack.deferred_ddl values ('follows', 'x', true, '')";
        database.execute(note).await;
        for &kind in Kind::DATA {
            let delete = format!("delete from public.{kind}");
            let done = as_role(database, "service_role", None, &delete).await;
            assert_eq!(done, Err(CLOSED.to_owned()), "{kind}");
            // The host and the migration go on.
            database.execute(&delete).await;
        }
    })
    .await;
}

#[tokio::test]
async fn rows_that_refer_to_nobody_are_named_with_the_way_out() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let target = store.migration();
        let (ada, _) = author(&store, "ada").await;
        let own = ada.id.to_uuid();
        target.begin_pass(Kind::Follows, 1).await.unwrap();
        let nobody = Id::<User>::new().to_uuid();
        database
            .execute(&format!(
                "insert into public.follows (follower_id, author_id) values ('{own}', '{nobody}')"
            ))
            .await;
        let id = database.texts("select id::text from public.follows").await;
        for _ in 0..2 {
            let error = target.finish_pass(Kind::Follows).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Blocked { .. }),
                "{error:?}"
            );
            let shown = error.to_string();
            for part in [
                &id[0],
                &nobody.to_string(),
                "author_id",
                "public.follows",
                "1 rows",
            ] {
                assert!(shown.contains(part), "{part}: {shown}");
            }
            assert!(!shown.contains("follower_id to"), "{shown}");
        }
        let error = target
            .finish_pass(Kind::Follows)
            .await
            .unwrap_err()
            .to_string();
        let (_, way_out) = error.split_once("remove the rows: ").unwrap();
        let (way_out, _) = way_out.split_once(". Then run again").unwrap();
        database.execute(way_out).await;
        assert_eq!(database.count("public.follows").await, 0);
        target.finish_pass(Kind::Follows).await.unwrap();
        assert_eq!(database.count("authorstack.deferred_ddl").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_plan_names_fields_that_would_be_seen_and_those_that_look_like_secrets() {
    let source = MemoryStore::new();
    let stack = source.stack();
    let fields = |value: serde_json::Value| value.as_object().unwrap().clone();
    let mut ada = NewUser::new(
        "a".parse().unwrap(),
        "ada@example.org".parse().unwrap(),
        "Ada",
    );
    ada.extra = fields(serde_json::json!({"passwordHash": "$2b$10$x", "__v": 0}));
    ada.preferences.extra = fields(serde_json::json!({"beta": true}));
    let ada = stack.users().create(ada).await.unwrap();
    let mut post = NewPost::new("Out now");
    let mut image = Attachment::new(
        AttachmentKind::IMAGE,
        "https://example.org/a.jpg".parse().unwrap(),
    );
    image.extra = fields(serde_json::json!({"uploadedFrom": "192.0.2.1"}));
    post.attachments = vec![image];
    post.extra = fields(serde_json::json!({"ip": "192.0.2.1"}));
    stack.community().create(ada.id, post).await.unwrap();
    let source = Arc::new(source);
    let kinds = [Kind::Users, Kind::CommunityPosts];
    on_database(async |database| {
        let store = database.store(Via::Direct).await;
        let shown = async || {
            let planned = plan(source.clone(), &store.destination(), &kinds, &Silent)
                .await
                .unwrap();
            let fields = planned.kinds.iter().flat_map(|kind| &kind.unknown_fields);
            fields.map(ToString::to_string).collect::<Vec<_>>()
        };
        let closed = [
            "passwordHash, in 1 record: looks like a secret; only the host can read it",
            "preferences.beta, in 1 record: readable by people who sign in",
            "attachments.uploadedFrom, in 1 record: readable by people who sign in",
        ];
        assert_eq!(shown().await, closed, "before the schema is there");
        store.migrate().await.unwrap();
        assert_eq!(shown().await, closed);
        // A project that grants more.
        database
            .execute("grant select on public.community_posts to authenticated")
            .await;
        assert_eq!(
            shown().await[3],
            "ip, in 1 record: readable by people who sign in"
        );
    })
    .await;
}
