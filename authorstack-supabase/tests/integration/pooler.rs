//! The transaction pooler under load, and settings that are wrong.

use crate::common;

use std::{sync::Arc, time::Duration};

use authorstack_core::{
    AuthId, BookFilter, Error, ErrorKind, NewBook, NewUser, PageRequest, testing::servers,
};
use authorstack_supabase::{PoolMode, SupabaseConfig, SupabaseStore};
use common::{Host, Via, on_database};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_in_the_transaction_pooler() {
    const CLIENTS: i64 = 8;
    const ROUNDS: i64 = 20;
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let config = database.config(Via::Pooler).max_connections(4);
            let store = Arc::new(Host::connect(config).await.unwrap());
            clients.push(tokio::spawn(async move {
                let (users, books) = (store.users(), store.books());
                let auth_id: AuthId = format!("auth-{client}").parse().unwrap();
                let email = format!("u{client}@example.org").parse().unwrap();
                let user = users
                    .create(NewUser::new(auth_id.clone(), email, "u"))
                    .await
                    .unwrap();
                // Five calls a round, two of them at once.
                for _ in 0..ROUNDS {
                    let book = books.create(user.id, NewBook::new("A")).await.unwrap();
                    let (read, added) =
                        tokio::join!(books.get(user.id, book.id), users.add_credits(user.id, 1));
                    assert_eq!(read.unwrap(), book);
                    added.unwrap();
                    assert_eq!(users.get_by_auth_id(&auth_id).await.unwrap().id, user.id);
                    books
                        .list(user.id, BookFilter::default(), PageRequest::first(5))
                        .await
                        .unwrap();
                }
                assert_eq!(users.get(user.id).await.unwrap().credits, ROUNDS);
                store.close().await;
            }));
        }
        for client in futures::future::join_all(clients).await {
            client.unwrap();
        }
        assert_eq!(database.count("public.books").await, CLIENTS * ROUNDS);
    })
    .await;
}

fn changed(via: &str, change: impl Fn(&mut url::Url)) -> String {
    let mut url: url::Url = via.parse().unwrap();
    change(&mut url);
    url.into()
}

async fn refused(url: String, mode: PoolMode) -> Error {
    let config = SupabaseConfig::new(url)
        .pool_mode(mode)
        .connect_timeout(Duration::from_secs(3));
    Host::connect(config).await.unwrap_err()
}

fn assert_setting(error: &Error, hint: &str) {
    let shown = format!("{error} {error:?}");
    assert!(
        matches!(error.kind(), ErrorKind::Configuration { setting, .. } if setting == "supabase_db_url"),
        "{shown}"
    );
    assert!(shown.contains(hint), "{hint}: {shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn wrong_settings_say_what_is_wrong_and_never_the_password() {
    let ways = [
        (servers::supabase_db_url(), PoolMode::Session),
        (servers::supabase_session_pooler_url(), PoolMode::Session),
        (servers::supabase_pooler_url(), PoolMode::Transaction),
    ];
    for (url, mode) in &ways {
        let password = changed(url, |url| url.set_password(Some("hunter2")).unwrap());
        assert_setting(&refused(password, *mode).await, "password");
        let user = changed(url, |url| url.set_username("nobody").unwrap());
        assert_setting(&refused(user, *mode).await, "nobody");
        let database = changed(url, |url| url.set_path("as_test_none"));
        assert_setting(
            &refused(database, *mode).await,
            "has no database \"as_test_none\"",
        );
    }
    let host = changed(&ways[0].0, |url| {
        url.set_host(Some("db.hunter3.invalid")).unwrap();
        url.set_password(Some("hunter2")).unwrap();
    });
    assert_setting(&refused(host, PoolMode::Auto).await, "db.hunter3.invalid");
    assert_setting(
        &refused("hunter2".to_owned(), PoolMode::Auto).await,
        "postgres://",
    );
    let tls = changed(&ways[0].0, |url| url.set_query(Some("sslmode=require")));
    assert_setting(&refused(tls, PoolMode::Auto).await, "sslmode");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_and_named() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = refused(
        format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres"),
        PoolMode::Auto,
    )
    .await;
    drop(silent);
    let gone = refused(
        format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres"),
        PoolMode::Auto,
    )
    .await;
    for error in [error, gone] {
        let shown = format!("{error} {error:?}");
        assert!(
            matches!(error.kind(), ErrorKind::Unavailable { .. }),
            "{shown}"
        );
        assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
        assert!(
            error.is_retryable() && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

/// Lets everybody in, and then says nothing.
async fn silent_after_authentication(listener: TcpListener) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut heard = vec![0; 4096];
            client.read_exact(&mut heard[..8]).await.unwrap();
            client.write_all(b"N").await.unwrap();
            let startup = client.read(&mut heard).await.unwrap();
            assert!(startup > 0);
            let welcome = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
            client.write_all(welcome).await.unwrap();
            while client.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {}
        });
    }
}

#[tokio::test]
async fn a_server_that_lets_us_in_and_says_nothing_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(silent_after_authentication(listener));
    let url = format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres");
    for mode in [PoolMode::Auto, PoolMode::Session, PoolMode::Transaction] {
        let error = refused(url.clone(), mode);
        let error = tokio::time::timeout(Duration::from_mins(1), error).await;
        let error = error.unwrap();
        let shown = format!("{error} {error:?}");
        assert!(
            matches!(error.kind(), ErrorKind::Unavailable { .. }),
            "{shown}"
        );
        assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_finds_out_the_mode_on_any_port() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        for (via, transaction) in [
            (Via::Direct, false),
            (Via::SessionPooler, false),
            (Via::Pooler, true),
        ] {
            let config = SupabaseConfig::new(database.url(via)).max_connections(4);
            let store = Arc::new(Host::connect(config).await.unwrap());
            let shown = format!("{store:?}");
            let expected = format!("transaction: {transaction}");
            assert!(shown.contains(&expected), "{via:?}: {shown}");
            let calls = (0..8).map(|_| {
                let store = Arc::clone(&store);
                async move {
                    for _ in 0..10 {
                        store.users().list(PageRequest::first(5)).await.unwrap();
                    }
                }
            });
            futures::future::join_all(calls).await;
            store.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_wrong_mode_is_a_wrong_setting() {
    let error = refused(servers::supabase_pooler_url(), PoolMode::Session).await;
    assert_setting(&error, "PoolMode::Transaction");
}

#[tokio::test]
async fn one_step_makes_a_fresh_database_usable() {
    on_database(async |database| {
        let bare = database.store(Via::Direct).await;
        let new = || NewUser::new("a".parse().unwrap(), "a@example.org".parse().unwrap(), "A");
        let error = bare.users().create(new()).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("SupabaseStore::prepare"));
        let config = database.config(Via::Direct);
        let store = SupabaseStore::connect_and_prepare(config).await.unwrap();
        store.prepare().await.unwrap();
        bare.users().create(new()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_store_survives_its_connections() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let page = PageRequest::default();
        store.users().list(page.clone()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        database
            .rows(
                // With a time, the server waits until the sessions are gone.
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()",
            )
            .await;
        store.users().list(page.clone()).await.unwrap();
        store.close().await;
        let error = store.users().list(page).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unavailable { .. }),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_server_that_goes_away_later_is_named_too() {
    // Passes connections on until it is closed.
    let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = front.local_addr().unwrap().port();
    let behind: url::Url = servers::supabase_db_url().parse().unwrap();
    let back = (
        behind.host_str().unwrap().to_owned(),
        behind.port().unwrap(),
    );
    let server = tokio::spawn(async move {
        let (mut client, _) = front.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect(back).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    let url = changed(behind.as_str(), |url| url.set_port(Some(port)).unwrap());
    let config = SupabaseConfig::new(url)
        .pool_mode(PoolMode::Transaction)
        .connect_timeout(Duration::from_secs(1));
    let store = Host::connect(config).await.unwrap();
    server.await.unwrap();
    let error = store
        .users()
        .list(PageRequest::default())
        .await
        .unwrap_err();
    let shown = error.to_string();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{shown}"
    );
    assert!(
        error.is_retryable() && shown.contains(&format!("127.0.0.1:{port}")),
        "{shown}"
    );
}

#[tokio::test]
async fn a_call_has_a_deadline() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        for via in [Via::Direct, Via::Pooler] {
            let limit = Duration::from_millis(300);
            let store = Host::connect(database.config(via).operation_timeout(limit))
                .await
                .unwrap();
            let mut writer = database.connection().await;
            sqlx::raw_sql("begin; lock table public.users")
                .execute(&mut writer)
                .await
                .unwrap();
            let error = store
                .users()
                .list(PageRequest::default())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Timeout { after: limit });
        }
    })
    .await;
}
