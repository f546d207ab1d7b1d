//! The tool reaches both stores through TLS, and only with a certificate that it can check.

use std::{fs, net::SocketAddr, sync::Arc};

use authorstack_core::testing::servers;
use authorstack_examples::{dataset, scratch::Scratch, tool::Tool};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};
use url::Url;

const TOOL: &str = env!("CARGO_BIN_EXE_authorstack-migrate");

/// An authority, and what a server for 127.0.0.1 shows that it has signed.
fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// Takes TLS off in front of a server. A client of PostgreSQL asks for TLS first.
async fn front(server: &str, acceptor: TlsAcceptor, is_postgres: bool) -> SocketAddr {
    let url = Url::parse(server).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                if is_postgres {
                    let mut request = [0; 8];
                    client.read_exact(&mut request).await.ok()?;
                    assert_eq!(
                        request[4..],
                        80_877_103_u32.to_be_bytes(),
                        "not an SSLRequest"
                    );
                    client.write_all(b"S").await.ok()?;
                }
                let mut client = acceptor.accept(client).await.ok()?;
                let mut server = TcpStream::connect(server).await.ok()?;
                copy_bidirectional(&mut client, &mut server).await.ok()
            });
        }
    });
    address
}

fn through(url: &str, address: SocketAddr, query: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    url.set_port(Some(address.port())).unwrap();
    url.set_query(Some(query));
    url.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_stores_are_reached_through_tls() {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap();
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let database = scratch.mongodb().await.unwrap();
    let (ids, users) = dataset::sound_users(41, 5);
    dataset::insert(&database, "users", &users).await.unwrap();
    dataset::insert(&database, "books", &dataset::sound_books(100, &ids, 50))
        .await
        .unwrap();

    let (certificate, acceptor) = authority();
    let (stranger, _) = authority();
    let mongodb = front(&mongodb, acceptor.clone(), false).await;
    let postgres = front(&postgres, acceptor.clone(), true).await;
    let supabase = front(&supabase, acceptor, true).await;
    let mut tool = Tool::new(TOOL, &scratch).unwrap();
    fs::write(tool.folder().join("right.pem"), certificate).unwrap();
    fs::write(tool.folder().join("wrong.pem"), stranger).unwrap();
    let mongodb = |authority: &str| {
        let query = format!(
            "tls=true&tlsCAFile={authority}.pem&directConnection=true&serverSelectionTimeoutMS=3000"
        );
        through(scratch.mongodb_url(), mongodb, &query)
    };
    let sql = |url: &str, address, authority: &str| {
        let query = format!("sslmode=verify-full&sslrootcert={authority}.pem");
        through(url, address, &query)
    };
    let supabase = |authority: &str| sql(&scratch.supabase_db_url(), supabase, authority);
    let postgres = |authority: &str| sql(&scratch.postgres_url().unwrap(), postgres, authority);

    for (first, second, third, flag) in [
        ("wrong", "right", "right", "--mongodb-url"),
        ("right", "wrong", "right", "--postgres-url"),
        ("right", "right", "wrong", "--supabase-db-url"),
    ] {
        tool.mongodb_url = mongodb(first);
        tool.postgres_url = Some(postgres(second));
        tool.supabase_db_url = supabase(third);
        let refused = tool.ask(&["run"]).unwrap();
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(flag), "{}", refused.stderr);
        let said = refused.stderr.to_lowercase();
        assert!(said.contains("certificate"), "{}", refused.stderr);
    }
    tool.postgres_url = Some(postgres("right"));
    tool.supabase_db_url = supabase("right");
    let plan = tool.ask(&["plan"]).unwrap();
    for setting in ["mongodb_url", "postgres_url", "supabase_db_url"] {
        let connections = &plan.json["connections"];
        assert_eq!(connections[setting], "verified", "{connections}");
    }
    for command in ["run", "verify"] {
        let answer = tool.ask(&[command]).unwrap();
        assert_eq!(answer.code, Some(0), "{} {}", answer.json, answer.stderr);
        assert_eq!(answer.sum("read"), 55);
    }

    // The authority can be named by a setting of its own, which wins over the address.
    let flags = [
        "--mongodb-ca-file",
        "--postgres-ca-file",
        "--supabase-ca-file",
    ];
    tool.mongodb_url = mongodb("wrong");
    tool.postgres_url = Some(postgres("wrong"));
    tool.supabase_db_url = supabase("wrong");
    let named = flags.map(|flag| [flag, "right.pem"]).concat();
    let answer = tool.ask(&[&["verify"], &named[..]].concat()).unwrap();
    assert_eq!(answer.code, Some(0), "{} {}", answer.json, answer.stderr);
    let missing = [&["verify"], &named[..5], &["no-such.pem"]].concat();
    let answer = tool.ask(&missing).unwrap();
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    assert!(answer.stderr.contains("no-such.pem"), "{}", answer.stderr);
    scratch.remove().await.unwrap();
}

/// Answers PostgreSQL's first message with a byte, and returns what a client sent until it hung up.
async fn overheard(answer: u8) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 8];
        client.read_exact(&mut heard).await.unwrap();
        // Two gigabytes are announced as well, before anybody has said who they are.
        let answer = [answer, b'R', 0x7f, 0xff, 0xff, 0xff];
        client.write_all(&answer).await.unwrap();
        let _ = client.read_to_end(&mut heard).await;
        heard
    });
    (port, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_elsewhere_gets_no_password_in_clear_text() {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let scratch = Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap();
    let (_, users) = dataset::sound_users(43, 2);
    let database = scratch.mongodb().await.unwrap();
    dataset::insert(&database, "users", &users).await.unwrap();
    let mut tool = Tool::new(TOOL, &scratch).unwrap();

    // Not an address of the loopback network, though it leads to this machine. The server has no
    // TLS: it is asked for it, and gets nothing else.
    let (port, heard) = overheard(b'N').await;
    tool.supabase_db_url = format!("postgres://postgres:hunter2@0.0.0.0:{port}/postgres");
    let refused = tool.ask(&["plan"]).unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("sslmode=disable"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    let ssl_request = [0, 0, 0, 8, 4, 210, 22, 47];
    assert_eq!(heard.await.unwrap(), ssl_request);

    // What may be clear text is refused before anything is sent.
    for mode in ["prefer", "allow"] {
        tool.supabase_db_url = format!("postgres://u:hunter2@0.0.0.0:1/d?sslmode={mode}");
        let refused = tool.ask(&["plan"]).unwrap();
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("clear text"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    }

    // Who asks for it gets it, and `plan` says so.
    let mut url = Url::parse(&scratch.supabase_db_url()).unwrap();
    url.set_host(Some("0.0.0.0")).unwrap();
    url.set_query(Some("sslmode=disable"));
    tool.supabase_db_url = url.into();
    let plan = tool.ask(&["plan"]).unwrap();
    assert_eq!(plan.code, Some(0), "{} {}", plan.json, plan.stderr);
    let connections = &plan.json["connections"];
    assert_eq!(
        connections["supabase_db_url"], "clear_text",
        "{connections}"
    );
    assert_eq!(connections["mongodb_url"], "local", "{connections}");
    let mut command = tool.command(&["plan"]);
    // A variable that is set to nothing names no file.
    let output = command
        .env("AUTHORSTACK_SUPABASE_CA_FILE", "")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("supabase_db_url    CLEAR TEXT"), "{text}");
    scratch.remove().await.unwrap();
}
