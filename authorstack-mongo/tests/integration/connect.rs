//! Connecting, and what is said when that fails.

use crate::common;

use std::time::{Duration, Instant};

use authorstack_core::{
    AuthorStack, ConnectionSecurity, Error, ErrorKind, PageRequest,
    health::HealthCheck as _,
    layers::Operation,
    migrate::{Kind, Snapshot},
    testing::{new_author, servers},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use bson::doc;
use common::{documents, on_empty};

async fn refused(config: MongoConfig) -> Error {
    let error = MongoStore::connect(config).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::Connect));
    let all = format!("{error} {error:?}");
    assert!(!all.contains("hunter2"), "{all}");
    error
}

fn config(url: impl Into<String>) -> MongoConfig {
    MongoConfig::new(url.into()).connect_timeout(Duration::from_secs(10))
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let start = Instant::now();
    let error = refused(config("mongodb://ada:hunter2@127.0.0.1:9/app")).await;
    // Nothing is waited for: no server takes a connection.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(error.is_retryable());
    let ErrorKind::Unavailable { reason } = error.kind() else {
        panic!("{error:?}")
    };
    assert!(reason.contains("127.0.0.1:9, from mongodb_url"), "{reason}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unavailable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let start = Instant::now();
    let config = MongoConfig::new(format!("mongodb://{address}/app"))
        .connect_timeout(Duration::from_secs(1));
    let error = refused(config).await;
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    let text = error.to_string();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error:?}"
    );
    assert!(text.contains(&address.to_string()), "{text}");
}

#[tokio::test]
async fn an_unknown_host_is_a_wrong_setting() {
    let error = refused(config(
        "mongodb://ada:hunter2@no-such-host.invalid:27017/app?tls=true",
    ))
    .await;
    let ErrorKind::Configuration { setting, reason } = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!(setting, "mongodb_url");
    assert!(reason.contains("no-such-host.invalid:27017"), "{reason}");
}

#[tokio::test]
async fn a_refused_password_is_a_wrong_setting() {
    // Also a server that lets everyone in checks a password that it is given.
    let url = servers::mongodb_url().replacen("mongodb://", "mongodb://nobody:hunter2@", 1);
    let error = refused(MongoConfig::new(url)).await;
    let ErrorKind::Configuration { setting, reason } = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!(setting, "mongodb_url");
    assert!(reason.contains("user name or the password"), "{reason}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let config = MongoConfig::new("mongodb://ada:hunter2@h/app");
    assert!(!format!("{config:?}").contains("hunter2"));
    on_empty(async |store| {
        assert!(format!("{:?}", store.mongo).starts_with("MongoStore { database: \"as_test_"));
    })
    .await;
}

#[tokio::test]
async fn a_health_check_asks_the_server() {
    on_empty(async |store| {
        let config = config(servers::mongodb_url()).database(store.mongo.database().name());
        let own = MongoStore::connect(config).await.unwrap();
        own.check_health().await.unwrap();
        own.database().client().clone().shutdown().await;
        let error = own.check_health().await.unwrap_err();
        assert!(!error.to_string().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_call_keeps_its_deadline() {
    on_empty(async |store| {
        let database = store.mongo.database();
        let slow = doc! { "$function": {
            "body": "function() { sleep(5000); return true; }", "args": [], "lang": "js",
        } };
        documents(&store.mongo, "held")
            .insert_one(doc! { "_id": 1 })
            .await
            .unwrap();
        database
            .create_collection("users")
            .view_on("held")
            .pipeline([doc! { "$match": { "$expr": slow } }])
            .await
            .unwrap();
        let config = MongoConfig::new(servers::mongodb_url())
            .database(database.name().to_owned())
            .operation_timeout(Duration::from_millis(100));
        let stack = AuthorStack::builder()
            .documents(&MongoStore::connect(config).await.unwrap())
            .build();
        let error = stack
            .users()
            .list(PageRequest::default())
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_member_elsewhere_gets_no_clear_text_unasked() {
    // Not an address of the loopback network, though it leads to this machine.
    let url = servers::mongodb_url().replacen("127.0.0.1", "0.0.0.0", 1);
    let error = refused(MongoConfig::new(url.clone())).await;
    let ErrorKind::Configuration { setting, reason } = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!(setting, "mongodb_url");
    assert!(reason.contains("clear text"), "{reason}");
    let asked = format!(
        "{url}{}tls=false",
        if url.contains('?') { "&" } else { "?" }
    );
    let store = MongoStore::connect(MongoConfig::new(asked)).await.unwrap();
    assert_eq!(store.security(), ConnectionSecurity::ClearText);
}

#[tokio::test]
async fn one_step_makes_a_fresh_database_usable() {
    let name = servers::fresh_name();
    let config = || MongoConfig::new(servers::mongodb_url()).database(&name);
    let user = || new_author("ada");
    let bare = MongoStore::connect(config()).await.unwrap();
    let stack = AuthorStack::builder().documents(&bare).build();
    let error = stack.users().create(user()).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unsupported { .. }),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(
        said.contains("users.authId") && said.contains("MongoStore::prepare"),
        "{said}"
    );

    let store = MongoStore::connect_and_prepare(config()).await.unwrap();
    let prepared = AuthorStack::builder().documents(&store).build();
    let ada = prepared.users().create(user()).await.unwrap();
    let again = prepared.users().create(user()).await.unwrap_err();
    assert!(
        matches!(again.kind(), ErrorKind::AlreadyExists { .. }),
        "{again:?}"
    );
    // The first store sees that the indexes are there now.
    assert_eq!(stack.users().get(ada.id).await.unwrap(), ada);
    let again = stack.users().create(user()).await.unwrap_err();
    assert!(
        matches!(again.kind(), ErrorKind::AlreadyExists { .. }),
        "{again:?}"
    );
    store.database().drop().await.unwrap();
}

#[tokio::test]
async fn a_missing_database_is_said_with_the_ones_there() {
    on_empty(async |store| {
        documents(&store.mongo, "users")
            .insert_one(doc! {"a": 1})
            .await
            .unwrap();
        store.mongo.check(Kind::DOCUMENTS).await.unwrap();
        let present = store.mongo.database().name().to_owned();

        let config = MongoConfig::new(servers::mongodb_url()).database("as_test_missing");
        let other = MongoStore::connect(config).await.unwrap();
        let error = other.check(Kind::DOCUMENTS).await.unwrap_err();
        let ErrorKind::Configuration { setting, reason } = error.kind() else {
            panic!("{error:?}")
        };
        assert_eq!(setting, "mongodb_url");
        assert!(
            reason.contains("no database \"as_test_missing\"; it has: "),
            "{reason}"
        );
        assert!(reason.contains(&present), "{reason}");
    })
    .await;
}

#[tokio::test]
async fn a_database_of_something_else_is_said() {
    on_empty(async |store| {
        documents(&store.mongo, "invoices")
            .insert_one(doc! {"a": 1})
            .await
            .unwrap();
        let error = store
            .mongo
            .check(Kind::DOCUMENTS)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("none of the schema's collections"),
            "{error}"
        );
    })
    .await;
}
