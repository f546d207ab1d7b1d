//! What Realtime says: the same steps as those that were recorded, and the same messages.

use std::{collections::BTreeMap, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderName},
};

use super::{client::Server, replay::plain};

const USER: &str = "u-rt53864";
const ROWS: &str = "tablesdb.d1.tables.t1.rows";
const PASSWORD: &str = "Passw0rd-acc";

/// The recorded messages, by what was said of them.
fn recorded() -> BTreeMap<String, Vec<Value>> {
    let text = include_str!("../../appwrite/samples/realtime-messages.txt");
    let mut messages: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let Some(line) = line.strip_prefix("## ") else {
            continue;
        };
        if let Some((label, message)) = line.rsplit_once(" {\"type\":\"") {
            let message = format!("{{\"type\":\"{message}");
            let message = serde_json::from_str(&message).unwrap();
            let label = label.trim_end_matches(':').to_owned();
            messages.entry(label).or_default().push(message);
        }
    }
    messages
}

/// A message without what differs each time. The names of events come in any order behind the first.
fn comparable(message: &Value) -> Value {
    let mut message = plain(message);
    if let Some(names) = message
        .pointer_mut("/data/events")
        .and_then(Value::as_array_mut)
    {
        names[1..].sort_by_key(Value::to_string);
    }
    // A column that was added to the recorded table.
    if let Some(payload) = message
        .pointer_mut("/data/payload")
        .and_then(Value::as_object_mut)
    {
        payload.remove("extra");
        // The country's name is only filled in for clients, the name of the client differs.
        payload.remove("countryName");
    }
    message
}

struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    async fn open(server: &Server, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let host = server.host();
        let request = format!("ws://{host}/v1/realtime?{query}");
        let mut request = request.into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(host).await.unwrap();
        let (socket, _) = client_async(request, stream).await.unwrap();
        Self { socket }
    }

    async fn heard(&mut self) -> Option<Value> {
        let next = timeout(Duration::from_secs(5), self.socket.next());
        match next.await.unwrap()? {
            Ok(Message::Text(text)) => Some(serde_json::from_str(&text).unwrap()),
            // Broken off, without a close frame.
            Err(_) => None,
            other => panic!("{other:?}"),
        }
    }

    async fn say(&mut self, message: &str) {
        self.socket
            .send(Message::text(message.to_owned()))
            .await
            .unwrap();
    }

    async fn hears_nothing(&mut self) {
        let next = timeout(Duration::from_millis(200), self.socket.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

/// What is checked, one after the other.
struct Steps<'s> {
    server: &'s Server,
    recorded: BTreeMap<String, Vec<Value>>,
    /// The recorded id of a session, and ours.
    session: String,
}

impl Steps<'_> {
    async fn key(&self, method: &str, path: &str, body: Value) -> Value {
        let headers = [
            ("content-type", "application/json"),
            ("x-appwrite-project", "acc"),
            ("x-appwrite-key", tests_standins::appwrite::Appwrite::KEY),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.server.send(method, path, &headers, &body).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        answer.body
    }

    async fn row(&self, id: &str, reader: &str) {
        let permissions = [format!("read(\"{reader}\")")];
        let row = json!({ "rowId": id, "data": { "n": 1 }, "permissions": permissions });
        self.key("POST", "/tablesdb/d1/tables/t1/rows", row).await;
    }

    fn same(&mut self, label: &str, message: &Value) {
        let recorded = self.recorded.get_mut(label);
        let recorded = recorded.unwrap_or_else(|| panic!("nothing recorded: {label}"));
        let recorded = recorded.remove(0).to_string();
        let recorded = recorded.replace("6b0780e952db2dfdfef0", &self.session);
        let recorded: Value = serde_json::from_str(&recorded).unwrap();
        assert_eq!(comparable(message), comparable(&recorded), "{label}");
    }

    async fn hears(&mut self, client: &mut Client, label: &str) {
        let message = client.heard().await;
        self.same(
            label,
            &message.unwrap_or_else(|| panic!("broken off: {label}")),
        );
    }
}

pub(crate) async fn same_messages(server: &Server) {
    let mut steps = Steps {
        server,
        recorded: recorded(),
        session: String::new(),
    };
    let table = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("appwrite/samples/table-create.json"),
    );
    let table: Value = serde_json::from_str(&table.unwrap()).unwrap();
    let database = json!({ "databaseId": "d1", "name": "D" });
    steps.key("POST", "/tablesdb", database).await;
    let mut table = table["request"]["body"].clone();
    // The recorded table let its users create rows; its rows were of single readers.
    table["permissions"] = json!(["create(\"users\")"]);
    steps.key("POST", "/tablesdb/d1/tables", table).await;
    let user = json!({
        "userId": USER, "email": "rt53864@example.org", "password": PASSWORD,
    });
    steps.key("POST", "/users", user).await;
    refused_connections(&mut steps).await;

    let session = steps
        .key("POST", &format!("/users/{USER}/sessions"), Value::Null)
        .await;
    session["$id"]
        .as_str()
        .unwrap()
        .clone_into(&mut steps.session);
    let secret = session["secret"].as_str().unwrap().to_owned();
    let jwt = steps
        .key("POST", &format!("/users/{USER}/jwts"), json!({}))
        .await;
    let jwt = jwt["jwt"].as_str().unwrap().to_owned();
    let query = format!("project=acc&channels[]={ROWS}");

    let cookie = format!("a_session_acc={}", secret.replace('=', "%3D"));
    let mut by_cookie = Client::open(server, &query, &[("cookie", &cookie)]).await;
    steps.hears(&mut by_cookie, "session cookie").await;
    for (label, name) in [
        ("valid jwt in query", "jwt"),
        ("valid session in query", "session"),
    ] {
        let query = format!("{query}&{name}={jwt}");
        let mut client = Client::open(server, &query, &[]).await;
        steps.hears(&mut client, label).await;
    }
    let mut guest = Client::open(server, &query, &[]).await;
    steps.hears(&mut guest, "guest").await;
    let mut by_session = Client::open(server, &query, &[("x-appwrite-session", &secret)]).await;
    steps.hears(&mut by_session, "session in header").await;
    let mut by_jwt = Client::open(server, &query, &[("x-appwrite-jwt", &jwt)]).await;
    steps.hears(&mut by_jwt, "JWT in header").await;
    guest.say("{\"type\":\"ping\"}").await;
    steps.hears(&mut guest, "guest: after ping").await;

    rows(&mut steps, &mut guest, &mut by_session, &mut by_jwt).await;
    late_sign_in(&mut steps, &mut guest, &secret).await;
    account(&mut steps, &mut by_session, &secret).await;
}

async fn refused_connections(steps: &mut Steps<'_>) {
    let server = steps.server;
    let rows = format!("project=acc&channels[]={ROWS}");
    for (label, query, header) in [
        ("project missing", "channels[]=x", None),
        ("project unknown", "project=zzz&channels[]=x", None),
        ("no channels", "project=acc", None),
        (
            "foreign Origin",
            &rows,
            Some(("origin", "http://evil.example")),
        ),
        (
            "API key in header",
            &rows,
            Some(("x-appwrite-key", "standard_of_the_tests")),
        ),
        ("nonsense jwt in query", &format!("{rows}&jwt=a.b.c"), None),
        (
            "nonsense JWT in header",
            &rows,
            Some(("x-appwrite-jwt", "a.b.c")),
        ),
        (
            "wrong session in header",
            &rows,
            Some(("x-appwrite-session", "eyJpZCI6IngifQ==")),
        ),
    ] {
        let headers: Vec<_> = header.into_iter().collect();
        let mut client = Client::open(server, query, &headers).await;
        steps.hears(&mut client, label).await;
        let is_refused = matches!(
            label,
            "project unknown" | "no channels" | "foreign Origin" | "nonsense JWT in header"
        );
        if is_refused {
            assert_eq!(client.heard().await, None, "{label}");
        }
    }
}

async fn rows(
    steps: &mut Steps<'_>,
    guest: &mut Client,
    by_session: &mut Client,
    by_jwt: &mut Client,
) {
    let place = "/tablesdb/d1/tables/t1/rows";
    steps.row("privatert53864", &format!("user:{USER}")).await;
    steps.hears(by_session, "session: private row").await;
    steps.hears(by_jwt, "JWT: private row").await;
    guest.hears_nothing().await;
    steps.row("publicrt53864", "any").await;
    steps.hears(guest, "guest: public row").await;
    for label in ["guest: patch", "guest: patch that changes nothing"] {
        let patch = json!({ "data": { "n": 2 } });
        steps
            .key("PATCH", &format!("{place}/publicrt53864"), patch)
            .await;
        steps.hears(guest, label).await;
    }
    let put = json!({ "data": { "n": 2 }, "permissions": ["read(\"any\")"] });
    steps.key("PUT", &format!("{place}/putrt53864"), put).await;
    steps.hears(guest, "guest: PUT").await;
    steps
        .key("DELETE", &format!("{place}/putrt53864"), Value::Null)
        .await;
    steps.hears(guest, "guest: delete").await;
    let row = |id: &str| json!({ "$id": id, "n": 1, "$permissions": ["read(\"any\")"] });
    let bulk = json!({ "rows": [row("b1rt53864"), row("b2rt53864")] });
    steps.key("POST", place, bulk).await;
    steps.hears(guest, "guest: bulk create").await;
    steps.hears(guest, "guest: bulk create").await;
}

async fn late_sign_in(steps: &mut Steps<'_>, guest: &mut Client, secret: &str) {
    let with = |session: &str| {
        json!({ "type": "authentication", "data": { "session": session } }).to_string()
    };
    for (label, message) in [
        ("guest: sent nonsense", "nonsense".to_owned()),
        (
            "guest: sent {\"type\":\"wat\"}",
            json!({ "type": "wat" }).to_string(),
        ),
        (
            "guest: sent authentication with a wrong session",
            with("wrong"),
        ),
        ("guest: sent authentication with a session", with(secret)),
    ] {
        guest.say(&message).await;
        steps.hears(guest, label).await;
    }
    steps.row("latert53864", &format!("user:{USER}")).await;
    steps
        .hears(guest, "guest, now signed in: private row")
        .await;
}

async fn account(steps: &mut Steps<'_>, by_session: &mut Client, secret: &str) {
    let server = steps.server;
    let header = [("x-appwrite-session", secret)];
    let mut client = Client::open(server, "project=acc&channels[]=account", &header).await;
    steps.hears(&mut client, "account channel").await;
    let place = format!("/users/{USER}");
    steps
        .key("PATCH", &format!("{place}/name"), json!({ "name": "N" }))
        .await;
    steps
        .hears(&mut client, "account: name changed by API key")
        .await;
    let headers = [
        ("content-type", "application/json"),
        ("x-appwrite-project", "acc"),
        ("x-appwrite-session", secret),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let renamed = server
        .send("PATCH", "/account/name", &headers, "{\"name\":\"M\"}")
        .await;
    assert_eq!(renamed.status, 200);
    steps
        .hears(&mut client, "account: name changed by the user")
        .await;
    let prefs = json!({ "prefs": { "a": 2 } });
    steps.key("PATCH", &format!("{place}/prefs"), prefs).await;
    steps
        .hears(&mut client, "account: prefs changed by API key")
        .await;
    let status = |status: bool| json!({ "status": status });
    steps
        .key("PATCH", &format!("{place}/status"), status(false))
        .await;
    steps
        .hears(&mut client, "account: blocked by API key")
        .await;

    // Whatever becomes of the login, the connection goes on.
    while by_session.heard().await.unwrap()["data"]["payload"]["$id"] != "latert53864" {}
    let query = format!("project=acc&channels[]={ROWS}");
    steps.row("blkrt53864", &format!("user:{USER}")).await;
    steps
        .hears(by_session, "session of a blocked user: private row")
        .await;
    let mut blocked = Client::open(server, &query, &header).await;
    steps.hears(&mut blocked, "blocked user connects").await;
    steps
        .key("PATCH", &format!("{place}/status"), status(true))
        .await;
    client.heard().await.unwrap();
    let session = steps.session.clone();
    steps
        .key(
            "DELETE",
            &format!("{place}/sessions/{session}"),
            Value::Null,
        )
        .await;
    steps
        .hears(&mut client, "account: its session deleted")
        .await;
    steps.row("delsrt53864", &format!("user:{USER}")).await;
    steps
        .hears(by_session, "session deleted: private row")
        .await;
    let mut deleted = Client::open(server, &query, &header).await;
    steps.hears(&mut deleted, "deleted session connects").await;
    steps.key("DELETE", &place, Value::Null).await;
    steps.row("delurt53864", &format!("user:{USER}")).await;
    steps.hears(by_session, "user deleted: private row").await;
}
