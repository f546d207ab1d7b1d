//! The client against servers on this machine: an HTTP server, and one that answers raw bytes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed check of a test panics"
)]

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use authorstack_core::{Error, ErrorKind};
use authorstack_http::{HttpClient, HttpSettings, Method, Service};
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

static SERVICE: Service = Service {
    name: "the test service",
    setting: "test_url",
    example: "https://example.org/v1",
};

const KEY: &str = "sb_secret_quokka";

/// What a server does with the number of a request.
type Answering = dyn Fn(u32, &HeaderMap) -> Response + Send + Sync;

/// A server that counts its requests.
struct Server {
    address: String,
    requests: Arc<AtomicU32>,
}

impl Server {
    async fn start(answer: impl Fn(u32, &HeaderMap) -> Response + Send + Sync + 'static) -> Self {
        let (requests, answer): (Arc<AtomicU32>, Arc<Answering>) =
            (Arc::default(), Arc::new(answer));
        let counted = Arc::clone(&requests);
        let handler = any(move |request: Request| {
            let (counted, answer) = (Arc::clone(&counted), Arc::clone(&answer));
            async move {
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                answer(number, request.headers())
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1/", listener.local_addr().unwrap());
        let router = Router::new().fallback_service(handler);
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, requests }
    }

    fn settings(&self) -> HttpSettings {
        HttpSettings::new(&SERVICE, &self.address).unwrap()
    }

    async fn send(&self, method: Method) -> Result<authorstack_http::Answer, Error> {
        let client = HttpClient::new(self.settings()).unwrap();
        let request = client.request(method, &["users", "a/b"]).unwrap();
        request.header("apikey", KEY).unwrap().send().await
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn fine() -> Response {
    axum::Json(json!({ "fine": true })).into_response()
}

#[tokio::test]
async fn a_request_says_who_asks_and_for_what() {
    let server = Server::start(|_, headers| {
        let of = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
        axum::Json(json!({ "agent": of("user-agent"), "key": of("apikey") })).into_response()
    })
    .await;
    let answer = server.send(Method::GET).await.unwrap();
    let json: Value = answer.json().unwrap();
    let agent = json["agent"].as_str().unwrap();
    assert!(agent.starts_with("authorstack/"), "{agent}");
    assert_eq!(json["key"], KEY);
    assert!(!answer.was_repeated());
}

#[tokio::test]
async fn a_segment_cannot_lead_elsewhere() {
    let client = HttpClient::new(HttpSettings::new(&SERVICE, "http://localhost:1/v1").unwrap());
    let client = client.unwrap();
    let request = client
        .request(Method::GET, &["users", "../admin?x#y"])
        .unwrap();
    assert!(format!("{request:?}").contains("/v1/users/..%2Fadmin%3Fx%23y"));
    for odd in ["", ".", ".."] {
        assert!(client.request(Method::GET, &["users", odd]).is_err());
    }
}

#[tokio::test]
async fn what_may_be_repeated_is() {
    let down = |number: u32, _: &HeaderMap| match number {
        1 | 2 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => fine(),
    };
    let server = Server::start(down).await;
    let answer = server.send(Method::GET).await.unwrap();
    assert_eq!(server.requests(), 3);
    assert!(answer.was_repeated());

    let server = Server::start(down).await;
    let refused = server.send(Method::POST).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Unavailable { .. }));
    assert_eq!(server.requests(), 1);

    let server = Server::start(down).await;
    let client = HttpClient::new(server.settings()).unwrap();
    let request = client.request(Method::POST, &["users"]).unwrap();
    request.repeatable(true).send().await.unwrap();
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn an_answer_of_the_service_is_never_repeated() {
    for status in [400, 401, 403, 404, 409, 422, 500] {
        let status = StatusCode::from_u16(status).unwrap();
        let refuse = move |_: u32, _: &HeaderMap| {
            (status, axum::Json(json!({ "error": "x" }))).into_response()
        };
        let server = Server::start(refuse).await;
        let answer = server.send(Method::GET).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn attempts_come_to_an_end() {
    let server = Server::start(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let refused = server.send(Method::GET).await.unwrap_err();
    assert!(refused.is_retryable());
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn a_limit_is_waited_for_if_there_is_time() {
    let limited = |wait: &'static str| {
        move |number: u32, _: &HeaderMap| match number {
            1 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait)]).into_response(),
            _ => fine(),
        }
    };
    // Also what may not be repeated otherwise: the server has not looked at it.
    let server = Server::start(limited("0")).await;
    server.send(Method::POST).await.unwrap();
    assert_eq!(server.requests(), 2);

    let server = Server::start(limited("3600")).await;
    let refused = server.send(Method::POST).await.unwrap_err();
    let hour = Duration::from_hours(1);
    assert_eq!(
        refused.kind(),
        &ErrorKind::RateLimited { retry_after: hour }
    );
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_page_of_html_names_the_setting() {
    for page in [
        (
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            "hello",
        ),
        (
            [(header::CONTENT_TYPE, "text/plain")],
            " <!DOCTYPE html><p>hello",
        ),
    ] {
        let server = Server::start(move |_, _| page.clone().into_response()).await;
        let refused = server.send(Method::GET).await.unwrap_err();
        let is_named = matches!(
            refused.kind(),
            ErrorKind::Configuration { setting, .. } if setting == "test_url"
        );
        assert!(is_named, "{refused}");
        assert!(refused.to_string().contains("https://example.org/v1"));
        assert!(!refused.to_string().contains("hello"));
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let server = Server::start(|_, _| "x".repeat(2_000).into_response()).await;
    let client = HttpClient::new(server.settings().most_bytes(1_000)).unwrap();
    let request = client.request(Method::GET, &["users"]).unwrap();
    let refused = request.send().await.unwrap_err();
    assert!(
        refused.to_string().contains("more than 1000 bytes"),
        "{refused}"
    );
    assert_eq!(server.requests(), 1);
}

#[derive(Debug, serde::Deserialize)]
struct Fine {
    #[serde(rename = "fine")]
    _fine: bool,
}

#[tokio::test]
async fn a_mistake_in_json_shows_no_value() {
    for (body, problem) in [
        (
            r#"{"fine": "sb_secret_quokka"}"#,
            "has not the expected fields",
        ),
        (r#"{"fine": "sb_secret_quo"#, "ends too early"),
        ("sb_secret_quokka", "is no JSON"),
    ] {
        let server = Server::start(move |_, _| body.into_response()).await;
        let answer = server.send(Method::GET).await.unwrap();
        let refused = answer.json::<Fine>().unwrap_err();
        assert!(refused.to_string().contains(problem), "{refused}");
        assert!(
            !format!("{refused:?} {answer:?}").contains("quo"),
            "{refused:?}"
        );
    }
}

/// A server that answers each connection with the next of these bytes, then closes it.
async fn raw(answers: &'static [&'static str]) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let number = counted.fetch_add(1, Ordering::SeqCst) as usize;
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let answer = answers[number.min(answers.len() - 1)];
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, connections)
}

const BROKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"fine\":";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"fine\":true}";

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let (address, connections) = raw(&[BROKEN, WHOLE]).await;
    let client = HttpClient::new(HttpSettings::new(&SERVICE, &address).unwrap()).unwrap();
    let request = client.request(Method::GET, &["users"]).unwrap();
    let answer = request.send().await.unwrap();
    assert_eq!(answer.json::<Value>().unwrap(), json!({ "fine": true }));
    assert_eq!(connections.load(Ordering::SeqCst), 2);

    // What may have been done is not done twice.
    let (address, connections) = raw(&[BROKEN, WHOLE]).await;
    let client = HttpClient::new(HttpSettings::new(&SERVICE, &address).unwrap()).unwrap();
    let request = client.request(Method::POST, &["users"]).unwrap();
    let refused = request.send().await.unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Unavailable { .. }),
        "{refused}"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_says_nothing_meets_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let limit = Duration::from_millis(50);
    let settings = HttpSettings::new(&SERVICE, &address).unwrap();
    let client = HttpClient::new(settings.attempt_timeout(limit)).unwrap();
    let request = client.request(Method::POST, &["users"]).unwrap();
    let refused = request.send().await.unwrap_err();
    assert_eq!(refused.kind(), &ErrorKind::Timeout { after: limit });
    drop(listener);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_a_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = HttpClient::new(HttpSettings::new(&SERVICE, &address).unwrap()).unwrap();
    let request = client.request(Method::POST, &["users"]).unwrap();
    let request = request.query("token", KEY).header("apikey", KEY).unwrap();
    assert!(!format!("{request:?} {client:?}").contains("quokka"));
    let refused = request.send().await.unwrap_err();
    assert!(refused.is_retryable());
    let shown = format!("{refused} {refused:?}");
    assert!(
        shown.contains("127.0.0.1") && !shown.contains("quokka"),
        "{shown}"
    );
}

#[test]
fn wrong_addresses_are_refused_before_anything_is_sent() {
    for address in [
        "",
        "example.org/v1",
        "ftp://example.org",
        "https://user:secret@example.org/v1",
        "https://example.org/v1?key=secret",
    ] {
        let refused = HttpSettings::new(&SERVICE, address).unwrap_err();
        assert!(refused.to_string().contains("test_url"), "{refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
    let clear = HttpSettings::new(&SERVICE, "http://example.org/v1").unwrap();
    let refused = HttpClient::new(clear).unwrap_err();
    assert!(refused.to_string().contains("https"), "{refused}");
    let missing = HttpSettings::new(&SERVICE, "https://example.org").unwrap();
    assert!(HttpClient::new(missing.root_certificate("/nowhere.pem")).is_err());
}
