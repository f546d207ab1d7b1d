//! What browsers may do: row level security and grants, as the Data API would ask.

use crate::common;

use authorstack_core::{
    AuthorStack, Book, BookFilter, ErrorKind, NewBook, NewUser, PageRequest, Platform, User,
};
use common::{Via, as_role, on_database};

async fn two_authors(store: &AuthorStack) -> (User, User, Book) {
    let user = |name: &str| {
        let auth_id = name.parse().unwrap();
        NewUser::new(
            auth_id,
            format!("{name}@example.org").parse().unwrap(),
            name,
        )
    };
    let ada = store.users().create(user("ada")).await.unwrap();
    let bob = store.users().create(user("bob")).await.unwrap();
    let book = store
        .books()
        .create(ada.id, NewBook::new("Mine"))
        .await
        .unwrap();
    (ada, bob, book)
}

const DENIED: &str = "42501";
const REFUSED: &str = "23514";

#[tokio::test]
async fn only_the_owner_reads_and_writes() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, bob, book) = two_authors(&store).await;
        let as_user = async |user: Option<&User>, sql: String| {
            as_role(database, "authenticated", user, &sql).await
        };
        let (own, book_id) = (ada.id.to_uuid(), book.id.to_uuid());

        let read = "select from public.users".to_owned();
        assert_eq!(as_user(Some(&ada), read.clone()).await, Ok(1));
        assert_eq!(as_user(None, read).await, Ok(0));
        let rename = format!("update public.users set name = 'x' where id = '{own}'");
        assert_eq!(as_user(Some(&ada), rename.clone()).await, Ok(1));
        assert_eq!(as_user(Some(&bob), rename).await, Ok(0));
        for column in [
            "credits = 999",
            "subscription_tier = 'enterprise'",
            "email = 'x@y.z'",
            "extra = '{}'",
            "connected_platforms = '[]'",
            "created_at = now()",
            "updated_at = now()",
            "auth_id = 'x'",
            "id = id",
        ] {
            let raise = format!("update public.users set {column} where id = '{own}'");
            assert_eq!(
                as_user(Some(&ada), raise).await,
                Err(DENIED.to_owned()),
                "{column}"
            );
        }
        for sql in [
            "delete from public.users",
            "insert into public.users (auth_id) values ('x')",
            "truncate public.users",
        ] {
            assert_eq!(
                as_user(Some(&ada), sql.to_owned()).await,
                Err(DENIED.to_owned()),
                "{sql}"
            );
        }

        assert_eq!(
            as_user(Some(&ada), "select from public.books".to_owned()).await,
            Ok(1)
        );
        assert_eq!(
            as_user(Some(&bob), "select from public.books".to_owned()).await,
            Ok(0)
        );
        let add = format!("insert into public.books (user_id, title) values ('{own}', 'New')");
        assert_eq!(as_user(Some(&ada), add.clone()).await, Ok(1));
        assert_eq!(as_user(Some(&bob), add).await, Err(DENIED.to_owned()));
        let change = format!("update public.books set title = 'x' where id = '{book_id}'");
        assert_eq!(as_user(Some(&ada), change.clone()).await, Ok(1));
        assert_eq!(as_user(Some(&bob), change).await, Ok(0));
        let give = format!(
            "update public.books set user_id = '{}' where id = '{book_id}'",
            bob.id.to_uuid()
        );
        assert_eq!(as_user(Some(&ada), give).await, Err(DENIED.to_owned()));
        let delete = format!("delete from public.books where id = '{book_id}'");
        assert_eq!(as_user(Some(&bob), delete.clone()).await, Ok(0));
        assert_eq!(as_user(Some(&ada), delete).await, Ok(1));
    })
    .await;
}

#[tokio::test]
async fn others_see_nothing_and_the_service_everything() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, ..) = two_authors(&store).await;
        for sql in [
            "select from public.users",
            "select from public.books",
            "delete from public.books",
        ] {
            assert_eq!(
                as_role(database, "anon", Some(&ada), sql).await,
                Err(DENIED.to_owned()),
                "{sql}"
            );
        }
        for role in ["anon", "authenticated", "service_role"] {
            let sql = "select from authorstack.rejects";
            assert_eq!(
                as_role(database, role, Some(&ada), sql).await,
                Err(DENIED.to_owned()),
                "{role}"
            );
        }
        assert_eq!(
            as_role(database, "service_role", None, "select from public.users").await,
            Ok(2)
        );
        assert_eq!(
            as_role(
                database,
                "service_role",
                None,
                "update public.users set credits = 1"
            )
            .await,
            Ok(2)
        );
    })
    .await;
}

#[tokio::test]
async fn what_an_owner_writes_stays_readable_for_everyone() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, ..) = two_authors(&store).await;
        let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(200), "]".repeat(200));
        for preferences in [
            "[]",
            "null",
            "\"dark\"",
            r#"{"theme": "pink"}"#,
            r#"{"theme": 1}"#,
            r#"{"timezone": 1}"#,
            r#"{"currency": "euro"}"#,
            r#"{"currency": 1}"#,
            r#"{"weeklyDigest": "yes"}"#,
            &deep,
        ] {
            let sql = format!("update public.users set preferences = '{preferences}'");
            let done = as_role(database, "authenticated", Some(&ada), &sql).await;
            assert_eq!(done, Err(REFUSED.to_owned()), "{preferences}");
        }
        let sound = r#"{"theme": "dark", "currency": "EUR", "timezone": null, "beta": {"x": [1]}}"#;
        let sql = format!("update public.users set preferences = '{sound}'");
        assert_eq!(
            as_role(database, "authenticated", Some(&ada), &sql).await,
            Ok(1)
        );
        database.execute(&sql).await;
        assert_eq!(
            store
                .users()
                .list(PageRequest::default())
                .await
                .unwrap()
                .items
                .len(),
            2
        );
    })
    .await;
}

#[tokio::test]
async fn rows_that_make_no_sense_are_corrupt_and_named() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, _, book) = two_authors(&store).await;
        database.without_checks("books").await;
        for (set, field) in [
            ("isbn = '123'", "isbn"),
            ("asin = 'x'", "asin"),
            ("platforms = '{\"\"}'", "platforms"),
            ("metadata = '{\"pageCount\": -1}'", "metadata"),
            ("published_date = 'infinity'", "publishedDate"),
            ("published_date = '294000-01-01'", "publishedDate"),
        ] {
            database.execute(&format!("update public.books set {set}")).await;
            let error = store.books().get(ada.id, book.id).await.unwrap_err();
            let shown = error.to_string();
            assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{set}: {error:?}");
            assert!(shown.contains(field) && shown.contains(&book.id.to_string()), "{shown}");
            database.execute("update public.books set isbn = null, asin = null, platforms = '{}', metadata = '{}', published_date = null").await;
        }
        assert_eq!(store.books().get(ada.id, book.id).await.unwrap(), book);
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_an_owner_wrote_in_capitals_is_the_same() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, _, book) = two_authors(&store).await;
        database
            .execute(
                "update public.books set platforms = '{Lulu,KDP}'; \
                 update public.users set connected_platforms = '[{\"platform\": \"KDP\", \"note\": 1}]'",
            )
            .await;
        let (users, now) = (store.users(), authorstack_core::time::now());
        let filter = BookFilter {
            platform: Some(Platform::KDP),
            ..BookFilter::default()
        };
        let page = PageRequest::first(5);
        let found = store.books().list(ada.id, filter, page).await.unwrap();
        assert_eq!((found.items.len(), found.items[0].id), (1, book.id));
        let user = users.connect_platform(ada.id, Platform::KDP, now).await;
        let platforms = user.unwrap().connected_platforms;
        assert_eq!((platforms.len(), platforms[0].connected_at), (1, Some(now)));
        let user = users.mark_synced(ada.id, &Platform::KDP, now).await;
        assert_eq!(user.unwrap().connected_platforms[0].last_sync, Some(now));
        // The entry keeps its spelling.
        let held = "select connected_platforms -> 0 ->> 'platform' from public.users order by id";
        assert_eq!(database.texts(held).await[0], "KDP");
        let user = users.disconnect_platform(ada.id, &Platform::KDP).await;
        assert!(user.unwrap().connected_platforms.is_empty());
    })
    .await;
}
