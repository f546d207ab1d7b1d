//! Connecting: servers that are refused, and what the errors say.

use crate::common;

use std::time::Duration;

use authorstack_core::{ConnectionSecurity, Error, ErrorKind, health::HealthCheck as _};
use authorstack_redis::{RedisConfig, RedisStore};
use common::{Server, free_port, url};
use redis::AsyncCommands;

const SECRET: &str = "p4ssw0rd";

async fn refusal(config: RedisConfig) -> Error {
    let error = RedisStore::connect(config).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains(SECRET), "{said}");
    assert!(said.contains("redis_url"), "{said}");
    error
}

#[track_caller]
fn assert_configuration(error: &Error, part: &str) {
    assert!(
        matches!(error.kind(), ErrorKind::Configuration { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(part), "{error}");
}

#[tokio::test]
async fn a_server_is_found() {
    let store = RedisStore::connect(RedisConfig::new(url())).await.unwrap();
    assert_eq!(store.security(), ConnectionSecurity::Local);
    let answer: String = store.connection().ping().await.unwrap();
    assert_eq!(answer, "PONG");
    assert!(!format!("{store:?}").contains("127.0.0.1"));
}

#[tokio::test]
async fn a_health_check_asks_the_server() {
    let server = Server::start(&[]).await;
    let config = RedisConfig::new(server.url()).operation_timeout(Duration::from_millis(200));
    let store = RedisStore::connect(config).await.unwrap();
    store.check_health().await.unwrap();
    server.pause();
    let error = store.check_health().await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    server.go_on();
}

#[tokio::test]
async fn nobody_answers() {
    let url = format!("redis://u:{SECRET}@127.0.0.1:{}", free_port());
    let error = refusal(RedisConfig::new(url)).await;
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error:?}"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time() {
    let server = Server::start(&[]).await;
    server.pause();
    let config = RedisConfig::new(server.url()).connect_timeout(Duration::from_millis(200));
    let error = refusal(config).await;
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error:?}"
    );
    server.go_on();
}

#[tokio::test]
async fn an_unknown_host() {
    let url = format!("redis://u:{SECRET}@no-such-host.invalid?tls=false");
    let error = refusal(RedisConfig::new(url)).await;
    assert_configuration(&error, "spelling");
}

#[tokio::test]
async fn a_wrong_password() {
    let server = Server::start(&["--requirepass", "other"]).await;
    let url = format!("redis://default:{SECRET}@127.0.0.1:{}", server.port());
    assert_configuration(&refusal(RedisConfig::new(url)).await, "password");
    assert_configuration(&refusal(RedisConfig::new(server.url())).await, "password");
    let right = format!("redis://default:other@127.0.0.1:{}", server.port());
    RedisStore::connect(RedisConfig::new(right)).await.unwrap();
}

#[tokio::test]
async fn a_password_where_the_server_has_none() {
    let server = Server::start(&[]).await;
    let url = format!("redis://nobody:{SECRET}@127.0.0.1:{}", server.port());
    assert_configuration(&refusal(RedisConfig::new(url)).await, "password");
}

#[tokio::test]
async fn a_database_that_does_not_exist() {
    let server = Server::start(&["--databases", "2"]).await;
    let error = refusal(RedisConfig::new(format!("{}/7", server.url()))).await;
    assert_configuration(&error, "database");
}

#[tokio::test]
async fn a_cluster() {
    let server = Server::start(&["--cluster-enabled", "yes"]).await;
    let error = refusal(RedisConfig::new(server.url())).await;
    assert_configuration(&error, "Cluster");
}

#[tokio::test]
async fn a_replica() {
    let primary = Server::start(&[]).await;
    let port = primary.port().to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port]).await;
    let error = refusal(RedisConfig::new(replica.url())).await;
    assert_configuration(&error, "replica");
}

#[tokio::test]
async fn a_server_that_is_no_redis() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let web = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 64];
            drop(stream.read(&mut asked).await);
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let error = refusal(RedisConfig::new(format!("redis://127.0.0.1:{port}"))).await;
    assert_configuration(&error, "no answer of Redis");
    web.abort();
}

/// A user who may use the keys, and not ask what the server is.
#[tokio::test]
async fn a_user_of_few_rights_connects() {
    let server = Server::start(&[]).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let mut rights = redis::cmd("ACL");
    rights
        .arg("SETUSER")
        .arg("few")
        .arg("on")
        .arg(">few")
        .arg("~authorstack:*");
    rights.arg("+@read").arg("+@write").arg("+ping");
    rights.exec_async(&mut admin).await.unwrap();
    let url = format!("redis://few:few@127.0.0.1:{}", server.port());
    RedisStore::connect(RedisConfig::new(url)).await.unwrap();
}
