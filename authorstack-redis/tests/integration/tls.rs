//! TLS, with authorities of the test's own.

use crate::common;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use authorstack_core::{
    AuthorStack, ConnectionSecurity, ErrorKind, MemoryStore,
    layers::Cached,
    queue::{JobEvent, JobQueue, NewJob, QueueName, Worker},
    serde_json::Value,
    testing::author,
};
use authorstack_redis::{RedisConfig, RedisStore};
use common::{Server, free_port};
use futures::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// The files of an authority, and of what it has signed for these names.
struct Signed {
    folder: TempDir,
}

impl Signed {
    fn new(names: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("leaf.pem"), leaf.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server that shows the certificate at a port, and speaks clear text at another one.
    async fn server(&self) -> (Server, u16) {
        let port = free_port();
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let server = Server::start(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &path("leaf.pem"),
            "--tls-key-file",
            &path("key.pem"),
            "--tls-ca-cert-file",
            &path("ca.pem"),
            "--tls-auth-clients",
            "no",
            "--requirepass",
            "hush",
        ])
        .await;
        (server, port)
    }
}

fn at(host: &str, port: u16) -> RedisConfig {
    RedisConfig::new(format!("rediss://default:hush@{host}:{port}"))
        .connect_timeout(Duration::from_secs(20))
}

async fn refusal(config: RedisConfig) -> String {
    let error = RedisStore::connect(config).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Configuration { .. }),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_server_whose_authority_is_named_is_trusted() {
    let signed = Signed::new(&["127.0.0.1", "localhost"]);
    let (_server, port) = signed.server().await;
    for host in ["127.0.0.1", "localhost"] {
        let config = at(host, port).root_certificate(signed.authority());
        let store = RedisStore::connect(config).await.unwrap();
        assert_eq!(store.security(), ConnectionSecurity::Verified);
        // And it works.
        let stack = AuthorStack::builder().store(&MemoryStore::new());
        let stack = stack.layer(Cached::new(store.cache())).build();
        let ada = author(&stack, "ada").await;
        for _ in 0..2 {
            assert_eq!(stack.users().get(ada.id).await.unwrap(), ada);
        }
        assert_eq!(store.flush_cache().await.unwrap(), 1);
    }
}

/// A worker waits on a connection of its own, which is as well secured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_work_through_tls() {
    let signed = Signed::new(&["127.0.0.1"]);
    let (_server, port) = signed.server().await;
    let config = at("127.0.0.1", port).root_certificate(signed.authority());
    let store = RedisStore::connect(config).await.unwrap();
    let queue: Arc<dyn JobQueue> = Arc::new(store.queue(QueueName::NOTIFICATIONS));
    let handler = |_, _| async { Ok(Value::Null) };
    let worker = Worker::new(Arc::clone(&queue), handler)
        .start()
        .await
        .unwrap();
    let mut events = queue.events(Some("0-0".to_owned().into()));
    // Long enough for the worker to wait.
    tokio::time::sleep(Duration::from_millis(200)).await;
    queue.add(NewJob::new("one", Value::Null)).await.unwrap();
    loop {
        let event = events.next().await.unwrap().unwrap();
        if matches!(event.event, JobEvent::Completed { .. }) {
            break;
        }
    }
    worker.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn other_certificates_are_refused() {
    let signed = Signed::new(&["db.example.org"]);
    let (_server, port) = signed.server().await;
    // Another name; an authority that nobody named; another authority.
    let config = at("127.0.0.1", port).root_certificate(signed.authority());
    assert!(refusal(config).await.contains("certificate"));
    assert!(refusal(at("127.0.0.1", port)).await.contains("certificate"));
    let other = Signed::new(&["127.0.0.1"]);
    let config = at("127.0.0.1", port).root_certificate(other.authority());
    assert!(refusal(config).await.contains("certificate"));
}

#[tokio::test]
async fn tls_where_there_is_none_and_the_reverse() {
    let signed = Signed::new(&["127.0.0.1"]);
    let (server, port) = signed.server().await;
    // It waits for the rest of a command, and we for its part of the handshake.
    let config = at("127.0.0.1", server.port()).root_certificate(signed.authority());
    let config = config.connect_timeout(Duration::from_millis(500));
    let error = RedisStore::connect(config).await.unwrap_err();
    assert!(error.to_string().contains("may not speak TLS"), "{error}");
    // Clear text to a port that demands TLS: the server ends the connection.
    let clear = RedisConfig::new(format!("redis://default:hush@127.0.0.1:{port}"));
    let error = RedisStore::connect(clear).await.unwrap_err();
    assert!(error.to_string().contains("redis_url"), "{error}");
    assert!(error.to_string().contains("rediss://"), "{error}");
}
