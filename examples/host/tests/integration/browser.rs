//! The page in a real browser: headless Chromium, driven by its `DevTools` protocol.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use authorstack_host::demo;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_mins(1);

struct Browser {
    /// Killed when it is dropped.
    _child: Child,
    _profile: tempfile::TempDir,
    socket: WebSocketStream<TcpStream>,
    calls: u64,
    /// What went wrong in a page.
    errors: Vec<String>,
}

/// A tab, by its session.
#[derive(Clone)]
struct Tab(String);

impl Browser {
    async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("install Debian's package chromium; `cargo xtask test` does");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
            let line = line.expect("chromium has ended");
            if let Some((_, address)) = line.split_once("DevTools listening on ") {
                break address.to_owned();
            }
        };
        // Chromium stops when nobody reads what it says.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let host = address
            .trim_start_matches("ws://")
            .split('/')
            .next()
            .unwrap();
        let stream = TcpStream::connect(host).await.unwrap();
        let (socket, _) = client_async(address.as_str(), stream).await.unwrap();
        Self {
            _child: child,
            _profile: profile,
            socket,
            calls: 0,
            errors: Vec::new(),
        }
    }

    async fn call(&mut self, tab: Option<&Tab>, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({ "id": id, "method": method, "params": parameters });
        if let Some(Tab(session)) = tab {
            call["sessionId"] = session.as_str().into();
        }
        let call = Message::text(call.to_string());
        self.socket.send(call).await.unwrap();
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await;
            let Message::Text(text) = message.unwrap().unwrap().unwrap() else {
                continue;
            };
            let said: Value = serde_json::from_str(&text).unwrap();
            if said["id"] == id {
                assert_eq!(said["error"], Value::Null, "{method}: {said}");
                return said["result"].clone();
            }
            let is_error = said["method"] == "Runtime.exceptionThrown"
                || said["params"]["entry"]["level"] == "error";
            if is_error {
                self.errors.push(said["params"].to_string());
            }
        }
    }

    async fn open(&mut self, address: &str) -> Tab {
        let target = self.call(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let target = target.await["targetId"].clone();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = self.call(None, "Target.attachToTarget", attach).await;
        let tab = Tab(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            self.call(Some(&tab), domain, json!({})).await;
        }
        let size =
            json!({ "width": 1100, "height": 1100, "deviceScaleFactor": 1, "mobile": false });
        let set_size = "Emulation.setDeviceMetricsOverride";
        self.call(Some(&tab), set_size, size).await;
        let navigate = json!({ "url": address });
        self.call(Some(&tab), "Page.navigate", navigate).await;
        self.wait(&tab, "document.readyState === 'complete'").await;
        tab
    }

    /// The value of an expression in the page.
    async fn eval(&mut self, tab: &Tab, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call(Some(tab), "Runtime.evaluate", parameters).await;
        assert_eq!(
            result["exceptionDetails"],
            Value::Null,
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    async fn wait(&mut self, tab: &Tab, condition: &str) {
        let waiting = async {
            while self.eval(tab, condition).await != true {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            let shown = self.eval(tab, "document.body.innerText").await;
            panic!(
                "{condition} did not come true; {:?}; the page shows {shown}",
                self.errors
            );
        }
    }

    /// Fills in a form, and sends it.
    async fn submit(&mut self, tab: &Tab, form: &str, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            let set = format!("document.forms[{form:?}].elements[{name:?}].value = {value:?}");
            self.eval(tab, &set).await;
        }
        let click = format!("document.forms[{form:?}].querySelector('button').click()");
        self.eval(tab, &click).await;
    }

    async fn sign_in(&mut self, tab: &Tab) {
        let fields = [("email", demo::ADA), ("password", demo::PASSWORD)];
        self.submit(tab, "sign-in", &fields).await;
        self.wait(tab, "!document.getElementById('app').hidden")
            .await;
        self.wait(tab, "document.querySelectorAll('#chart rect').length > 30")
            .await;
        self.wait(
            tab,
            "document.getElementById('live').textContent === 'live'",
        )
        .await;
    }
}

/// A host on a socket, with demo data.
pub(crate) async fn served(stage: &Stage) -> String {
    demo::fill(&stage.app).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = stage.nobody().router;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Puts a report into the form as a user's choice of a file does.
const CHOOSE_REPORT: &str = "{
    const report = 'date,asin,units,royalty,currency\\n' + new Date().toISOString().slice(0, 10)
        + ',B08N5WRWNW,3,333.00,USD\\n';
    const files = new DataTransfer();
    files.items.add(new File([report], 'report.csv', { type: 'text/csv' }));
    document.forms['report'].elements.file.files = files.files;
}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_works_in_a_browser() {
    Stage::memory().await.run(work_on_the_page).await;
}

async fn work_on_the_page(stage: &Stage) {
    let address = served(stage).await;
    let mut browser = Browser::start().await;
    let tab = browser.open(&address).await;
    browser.sign_in(&tab).await;

    browser
        .submit(&tab, "new-book", &[("title", "Low Water")])
        .await;
    browser
        .wait(
            &tab,
            "document.getElementById('books').textContent.includes('Low Water')",
        )
        .await;

    let bars = "document.querySelectorAll('#chart rect').length";
    let before = browser.eval(&tab, bars).await.as_u64().unwrap();
    browser.eval(&tab, CHOOSE_REPORT).await;
    browser
        .submit(&tab, "report", &[("platform", "lulu")])
        .await;
    browser
        .wait(
            &tab,
            "document.getElementById('imported').value.startsWith('1 new')",
        )
        .await;
    browser
        .wait(&tab, &format!("{bars} === {}", before + 1))
        .await;

    browser
        .eval(&tab, "document.querySelector('#feed button').click()")
        .await;
    browser
        .wait(
            &tab,
            "document.querySelector('#feed button').textContent === '♥ 1'",
        )
        .await;

    let position = "document.querySelectorAll('#leaderboard li').length";
    assert_eq!(browser.eval(&tab, position).await, 1);
    browser.submit(&tab, "boost", &[("credits", "120")]).await;
    browser.wait(&tab, &format!("{position} === 2")).await;
    browser
        .wait(
            &tab,
            "document.getElementById('who').textContent.includes('380 credits')",
        )
        .await;

    let other = browser.open(&address).await;
    browser.sign_in(&other).await;
    let change =
        "{ const theme = document.forms['preferences'].elements.theme; theme.value = 'dark';
        theme.dispatchEvent(new Event('change', { bubbles: true })); }";
    browser.eval(&tab, change).await;
    browser
        .wait(
            &other,
            "document.forms['preferences'].elements.theme.value === 'dark'",
        )
        .await;

    let picture = browser
        .call(Some(&tab), "Page.captureScreenshot", json!({}))
        .await;
    save("host.png", picture["data"].as_str().unwrap());
    let docs = browser.open(&format!("{address}/docs")).await;
    browser
        .wait(
            &docs,
            "document.querySelectorAll('#operations details').length > 50",
        )
        .await;
    // A response that is no success would be one, too.
    assert_eq!(browser.errors, [""; 0]);
}

/// Keeps a picture where people look at it.
fn save(name: &str, picture: &str) {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let folder = authorstack_core::testing::servers::workspace().join("target/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), BASE64_STANDARD.decode(picture).unwrap()).unwrap();
}
