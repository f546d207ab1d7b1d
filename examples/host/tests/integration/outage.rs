//! Stores that are slow, stuck or away, and come back; and what is left of an hour's requests.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use crate::{
    client::{Answer, Client},
    journeys::common::{DAYS, book},
    stage::Stage,
    wires::{State, Wires},
};

/// One request each second for an hour. `AUTHORSTACK_TEST_HOST_REQUESTS` sets another number.
const REQUESTS: usize = 3_600;

/// How many clients send at the same time.
const CLIENTS: usize = 20;

/// The host answers within 15 seconds; the rest is for a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(40);

/// What an idle host may have more than before: a connection or two that a pool has opened since.
const SLACK: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_an_hours_requests_in_memory() {
    let stage = Stage::memory_with(vec![Stage::without_limit()]).await;
    let wires = Wires::new();
    stage.run(async |stage| outages(stage, &wires).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_stores_that_are_away_are_told_and_the_host_recovers() {
    let mut wires = Wires::new();
    let stage = Stage::distributed_through(|setting, url| wires.lead(setting, &url)).await;
    stage.run(async |stage| outages(stage, &wires).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supabase_that_is_away_is_told_and_the_host_recovers() {
    let mut wires = Wires::new();
    let stage = Stage::supabase_through(|setting, url| wires.lead(setting, &url)).await;
    stage.run(async |stage| outages(stage, &wires).await).await;
}

/// A store as `/readyz` names it, and what the host answers without it.
fn without(setting: &str) -> (&'static str, &'static [(&'static str, u16)]) {
    match setting {
        "mongodb_url" => ("MongoDB", &[("/api/books", 503)]),
        "postgres_url" => ("PostgreSQL", &[("/api/insights", 503), ("/api/books", 200)]),
        "appwrite_endpoint" => ("Appwrite", &[("/api/books", 503)]),
        // The cache and the limits do without.
        "redis_url" => ("Redis", &[("/api/books", 200), ("/api/jobs/1", 503)]),
        "supabase_db_url" => ("Supabase", &[("/api/books", 503)]),
        "supabase_auth_url" => ("Supabase Auth", &[("/api/books", 503)]),
        other => panic!("{other}"),
    }
}

async fn outages(stage: &Stage, wires: &Wires) {
    let ada = stage.user("Ada").await;
    let page = Page::of(&ada).await;
    page.load(&ada, 200).await;
    // Whatever a first outage makes is there before anything is counted.
    for setting in wires.settings() {
        stick(stage, wires, setting, &ada).await;
    }
    page.load(&ada, 200).await;
    let before = Left::of(wires, None).await;

    wires.set_all(State::Slow(Duration::from_millis(20)));
    page.load(&ada, 100).await;
    wires.set_all(State::Open);
    for setting in wires.settings() {
        cut(stage, wires, setting, &ada).await;
    }
    let requests = env::var("AUTHORSTACK_TEST_HOST_REQUESTS");
    let requests = requests.map_or(REQUESTS, |count| count.parse().unwrap());
    page.load(&ada, requests).await;
    Left::of(wires, Some(&before)).await;
}

/// Nothing passes for a while: requests are answered within the host's deadline.
async fn stick(stage: &Stage, wires: &Wires, setting: &str, ada: &Client) {
    let (_, paths) = without(setting);
    wires.of(setting).set(State::Stuck);
    for (path, status) in paths {
        let asked = (0..CLIENTS).map(|_| refused(ada, path, *status));
        let asked = futures::future::join_all(asked);
        timeout(PATIENCE, asked).await.unwrap();
    }
    assert_eq!(stage.nobody().get("/livez").await.status, 200);
    wires.of(setting).set(State::Open);
    back(stage, ada, paths).await;
}

async fn cut(stage: &Stage, wires: &Wires, setting: &str, ada: &Client) {
    let (name, paths) = without(setting);
    wires.of(setting).set(State::Cut);
    for (path, status) in paths {
        // Many at once: none waits for longer than the host's deadline.
        let asked = (0..CLIENTS).map(|_| refused(ada, path, *status));
        let asked = futures::future::join_all(asked);
        timeout(PATIENCE, asked).await.unwrap();
    }
    let ready = stage.nobody().get("/readyz").await.of(503);
    for store in ready["stores"].as_array().unwrap() {
        assert_eq!(store["ready"], store["name"] != name, "{ready}");
    }
    assert_eq!(stage.nobody().get("/livez").await.status, 200);
    wires.of(setting).set(State::Open);
    back(stage, ada, paths).await;
}

async fn refused(client: &Client, path: &str, status: u16) {
    let answer = client.get(path).await;
    if status != 503 {
        answer.of(status);
        return;
    }
    assert_ne!(answer.header("retry-after"), "");
    let code = answer.json()["code"].clone();
    assert!(code == "unavailable" || code == "timeout", "{code}");
    answer.of(503);
}

/// The host recovers by itself.
async fn back(stage: &Stage, ada: &Client, paths: &[(&str, u16)]) {
    let back = async {
        for (path, _) in paths {
            while ada.get(path).await.status == 503 {
                sleep(Duration::from_millis(100)).await;
            }
        }
        while stage.nobody().get("/readyz").await.status != 200 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_mins(1), back).await.unwrap();
}

/// What a user does over and over.
struct Page {
    post: String,
    book: String,
}

impl Page {
    async fn of(ada: &Client) -> Self {
        let book = book(ada, "The Tide House", "B08N5WRWNW").await;
        let post = ada.post("/api/posts", &json!({ "content": "Hello" })).await;
        let post = post.of(201)["id"].as_str().unwrap().to_owned();
        Self { post, book }
    }

    /// Sends this many requests, all of which succeed.
    async fn load(&self, ada: &Client, requests: usize) {
        let all = (0..requests).map(|n| async move {
            let answer = self.request(ada, n).await;
            assert!(answer.status.is_success(), "{n}: {}", answer.text);
        });
        let sent = futures::stream::iter(all).buffer_unordered(CLIENTS);
        sent.collect::<Vec<()>>().await;
        // Clients that go away in the middle of a stream.
        for _ in 0..requests.div_ceil(100) {
            let mut live = Box::pin(ada.events("/api/preferences/live").await);
            timeout(PATIENCE, live.next()).await.unwrap().unwrap();
        }
    }

    async fn request(&self, ada: &Client, n: usize) -> Answer {
        match n % 10 {
            0 | 1 => ada.get("/api/books").await,
            2 => ada.get(&format!("/api/books/{}", self.book)).await,
            3 | 4 => ada.get("/api/posts?everyone=true").await,
            5 => ada.get(&format!("/api/dashboard?{DAYS}")).await,
            6 => ada.get("/api/insights").await,
            7 => ada.put(&format!("/api/posts/{}/like", self.post)).await,
            8 => {
                let path = format!("/api/posts/{}/comments", self.post);
                ada.post(&path, &json!({ "content": "Well done." })).await
            }
            _ => {
                let path = format!("/api/jobs/refresh?{DAYS}");
                ada.post(&path, &Value::Null).await
            }
        }
    }
}

/// What an idle host still has.
#[derive(Debug)]
struct Left {
    tasks: usize,
    connections: BTreeMap<&'static str, usize>,
}

impl Left {
    /// Counts once nothing ends any more. With `before` it waits until there is no more than then.
    async fn of(wires: &Wires, before: Option<&Self>) -> Self {
        let since = Instant::now();
        let mut least = Self::now(wires);
        loop {
            sleep(Duration::from_millis(500)).await;
            let now = Self::now(wires);
            match before {
                Some(before) if now.is_at_most(before) => return now,
                Some(before) => assert!(
                    since.elapsed() < PATIENCE,
                    "before: {before:?}; left: {now:?}"
                ),
                None if since.elapsed() > Duration::from_secs(5) => return least,
                None if now.tasks < least.tasks => least = now,
                None => {}
            }
        }
    }

    fn now(wires: &Wires) -> Self {
        Self {
            tasks: Handle::current().metrics().num_alive_tasks(),
            connections: wires.open(),
        }
    }

    fn is_at_most(&self, before: &Self) -> bool {
        let mut each = self.connections.iter();
        self.tasks <= before.tasks + SLACK
            && each.all(|(setting, open)| *open <= before.connections[setting] + SLACK)
    }
}
