//! What users do, the same on every backend.

use std::time::Duration;

use authorstack_core::{NewForecast, NewInsight, chrono::TimeDelta, time};
use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};

use crate::{client::Client, stage::Stage};

async fn id_of(client: &Client) -> String {
    let me = client.get("/api/me").await.of(200);
    me["id"].as_str().unwrap().to_owned()
}

async fn book(client: &Client, title: &str, asin: &str) -> String {
    let new = json!({ "title": title, "asin": asin, "status": "published" });
    let book = client.post("/api/books", &new).await.of(201);
    book["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn nobody_gets_in_without_a_token(stage: &Stage) {
    let mut client = stage.nobody();
    let refused = client.get("/api/me").await;
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    refused.problem(401, "unauthenticated");
    client.token = Some("wrong".to_owned());
    client
        .get("/api/books")
        .await
        .problem(401, "unauthenticated");

    let ada = stage.user("Ada").await;
    let session = ada.get("/api/session").await.of(200);
    assert_eq!(session["user"]["name"], "Ada");
    // The profile is made once.
    assert_eq!(
        session["user"]["id"],
        ada.get("/api/me").await.of(200)["id"]
    );
    assert_eq!(ada.delete("/api/session").await.status, 204);
    ada.get("/api/session")
        .await
        .problem(401, "unauthenticated");
}

pub(crate) async fn books_are_added_changed_and_deleted(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    let wrong = json!({ "titel": "The Tide House" });
    let problem = ada.post("/api/books", &wrong).await.problem(422, "invalid");
    assert!(
        problem["detail"].as_str().unwrap().contains("titel"),
        "{problem}"
    );
    let wrong = json!({ "title": "Tide", "isbn": "978-3-16-148410-1" });
    let problem = ada.post("/api/books", &wrong).await.problem(422, "invalid");
    assert_eq!(problem["field"], "isbn", "{problem}");

    let new = json!({ "title": "The Tide House", "genres": ["Mystery"] });
    let created = ada.post("/api/books", &new).await;
    let tag = created.header("etag").to_owned();
    let created = created.of(201);
    let path = format!("/api/books/{}", created["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.of(200), created);
    bob.get(&path).await.problem(404, "not_found");
    ada.get("/api/books/no-id").await.problem(404, "not_found");

    let change = json!({ "subtitle": "A novel" });
    let condition = [("if-match", tag.as_str())];
    let changed = ada.json(Method::PATCH, &path, &condition, &change).await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.of(200)["subtitle"], "A novel");
    let stale = ada.json(Method::PATCH, &path, &condition, &change).await;
    stale.problem(412, "changed");
    let old = json!({ "subtitle": null, "expectedUpdatedAt": created["updatedAt"] });
    ada.patch(&path, &old).await.problem(409, "conflict");

    book(&ada, "Salt", "B08N5WRWNW").await;
    let page = ada.get("/api/books?limit=1").await.of(200);
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["total"]),
        (1, &json!(2))
    );
    let next = page["next"].as_str().unwrap();
    let rest = ada
        .get(&format!("/api/books?limit=1&after={next}"))
        .await
        .of(200);
    assert_eq!(
        (&rest["items"][0]["title"], &rest["next"]),
        (&json!("The Tide House"), &Value::Null)
    );
    let drafts = ada.get("/api/books?status=draft").await.of(200);
    assert_eq!(drafts["total"], 1);
    ada.get("/api/books?status=lost")
        .await
        .problem(400, "query");

    assert_eq!(ada.delete(&path).await.status, 204);
    ada.delete(&path).await.problem(404, "not_found");
}

const REPORT: &str = "date,asin,marketplace,units,refunds,royalty,currency,kenp\n\
    2024-03-01,B08N5WRWNW,Amazon.com,5,1,13.96,USD,120\n\
    2024-03-01,B08N5WRWNW,Amazon.com,1,0,3.49,USD,\n\
    2024-03-01,B08N5WRWNW,Amazon.de,2,0,5.00,EUR,\n\
    2024-03-02,B08N5WRWNW,Amazon.com,0,1,-3.49,USD,\n";

const UPLOAD: &str = "/api/sales/reports?platform=kdp";
const DAYS: &str = "first=2024-03-01&last=2024-03-31";

pub(crate) async fn a_report_shows_on_the_dashboard(stage: &Stage) {
    let ada = stage.user("Ada").await;
    book(&ada, "The Tide House", "B08N5WRWNW").await;
    let upload = async |report: &'static str| {
        let headers = [("content-type", "text/csv"), ("idempotency-key", "march")];
        ada.send(Method::POST, UPLOAD, &headers, report).await
    };
    let imported = upload(REPORT).await.of(200);
    let expected =
        json!({ "inserted": 3, "updated": 0, "unchanged": 0, "rejected": [], "gaps": [] });
    assert_eq!(imported, expected);
    // Repeated under its key, it is not imported again, and answers the same.
    assert_eq!(upload(REPORT).await.of(200), expected);
    let other = REPORT.trim_end_matches("2024-03-02,B08N5WRWNW,Amazon.com,0,1,-3.49,USD,\n");
    upload(other).await.problem(422, "idempotency_key");
    let logs = ada.get("/api/sales/imports").await.of(200);
    assert_eq!(logs["items"].as_array().unwrap().len(), 1);
    // Without a key, the same report changes nothing.
    let again = ada.send(Method::POST, UPLOAD, &[], REPORT).await.of(200);
    assert_eq!(again["unchanged"], 3);

    let totals = ada
        .get(&format!("/api/sales/totals?by=market&{DAYS}"))
        .await
        .of(200);
    assert_eq!(totals[0]["group"], json!({ "market": "kdp:amazon.com" }));
    assert_eq!(
        (&totals[0]["revenue"], &totals[0]["units"]),
        (&json!("13.96"), &json!(4))
    );
    let dashboard = ada.get(&format!("/api/dashboard?{DAYS}")).await.of(200);
    // Euros count twice.
    assert_eq!(
        dashboard["totals"],
        json!({ "revenue": "23.96", "units": 6, "pageReads": 120 })
    );
    assert_eq!(dashboard["series"].as_array().unwrap().len(), 31);
    let wrong = "/api/dashboard?first=2024-04-01&last=2024-03-01";
    ada.get(wrong).await.problem(422, "invalid");
}

pub(crate) async fn a_wrong_report_is_named_by_its_line(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let upload = async |report: String| {
        let answer = ada.send(Method::POST, UPLOAD, &[], report).await;
        answer.problem(422, "invalid")["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let unknown = upload(REPORT.to_owned()).await;
    assert!(
        unknown.starts_with("line 2: asin: B08N5WRWNW is no book of yours"),
        "{unknown}"
    );
    book(&ada, "The Tide House", "B08N5WRWNW").await;
    let wrong = upload(REPORT.replace("2024-03-02", "2024-03-32")).await;
    assert!(wrong.starts_with("line 5: date: "), "{wrong}");
    let wrong = upload(REPORT.replace("3.49,USD,\n2024-03-01", "3.49,GBP,\n2024-03-01")).await;
    assert!(wrong.starts_with("line 3: currency: "), "{wrong}");
    // Nothing of a wrong report is imported.
    let logs = ada.get("/api/sales/imports").await.of(200);
    assert_eq!(logs["items"], json!([]));
}

pub(crate) async fn posts_are_seen_liked_and_commented(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    let bobs_id = id_of(&bob).await;
    let post = json!({ "content": "The cover is out!", "visibility": "followers" });
    let post = bob.post("/api/posts", &post).await.of(201);
    let path = format!("/api/posts/{}", post["id"].as_str().unwrap());
    ada.get(&path).await.problem(404, "not_found");
    assert_eq!(
        ada.put(&format!("/api/users/{bobs_id}/follow"))
            .await
            .status,
        204
    );
    let profile = ada.get(&format!("/api/users/{bobs_id}")).await.of(200);
    assert_eq!(
        profile,
        json!({ "id": bobs_id, "name": "Bob", "followers": 1, "following": 0, "isFollowed": true })
    );
    let followers = ada
        .get(&format!("/api/users/{bobs_id}/followers"))
        .await
        .of(200);
    assert_eq!(followers["items"][0]["name"], "Ada");

    assert_eq!(ada.put(&format!("{path}/like")).await.of(200)["likes"], 1);
    let said = ada
        .post(&format!("{path}/comments"), &json!({ "content": "Lovely" }))
        .await
        .of(201);
    let feed = ada.get("/api/posts").await.of(200);
    let seen = &feed["items"][0];
    assert_eq!(seen["author"], json!({ "id": bobs_id, "name": "Bob" }));
    assert_eq!(
        (&seen["likeCount"], &seen["commentCount"], &seen["liked"]),
        (&json!(1), &json!(1), &json!(true))
    );
    let comments = bob.get(&format!("{path}/comments")).await.of(200);
    assert_eq!(comments["items"][0]["author"]["name"], "Ada");
    ada.patch(&path, &json!({ "content": "Mine" }))
        .await
        .problem(404, "not_found");
    let comment = format!("{path}/comments/{}", said["id"].as_str().unwrap());
    assert_eq!(bob.delete(&comment).await.status, 204);
    assert_eq!(
        ada.delete(&format!("{path}/like")).await.of(200)["likes"],
        0
    );
    assert_eq!(
        ada.delete(&format!("/api/users/{bobs_id}/follow"))
            .await
            .status,
        204
    );
    assert_eq!(ada.get("/api/posts").await.of(200)["items"], json!([]));
    assert_eq!(bob.delete(&path).await.status, 204);
}

pub(crate) async fn a_boost_is_bought_once_and_leads(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    let boosted = book(&ada, "The Tide House", "B08N5WRWNW").await;
    let boost = json!({ "bookId": boosted, "duration": 7, "creditsSpent": 60 });
    ada.post("/api/boosts", &boost)
        .await
        .problem(402, "insufficient_credits");
    let id = id_of(&ada).await.parse().unwrap();
    stage.app.stack.users().add_credits(id, 100).await.unwrap();

    let key = [("idempotency-key", "one boost")];
    let first = ada
        .json(Method::POST, "/api/boosts", &key, &boost)
        .await
        .of(201);
    let again = ada
        .json(Method::POST, "/api/boosts", &key, &boost)
        .await
        .of(201);
    assert_eq!(first["id"], again["id"]);
    assert_eq!(ada.get("/api/me").await.of(200)["credits"], 40);
    let other = json!({ "bookId": boosted, "duration": 8, "creditsSpent": 60 });
    let other = ada.json(Method::POST, "/api/boosts", &key, &other).await;
    other.problem(409, "conflict");
    // A key is its user's: Bob's is another one.
    let bobs = bob.json(Method::POST, "/api/boosts", &key, &boost).await;
    bobs.problem(404, "not_found");

    let leaders = bob.get("/api/leaderboard").await.of(200);
    assert_eq!(leaders[0]["book"]["title"], "The Tide House");
    assert_eq!(leaders[0]["author"]["name"], "Ada");
    assert_eq!(
        ada.get("/api/boosts").await.of(200)["items"][0]["id"],
        first["id"]
    );
}

pub(crate) async fn checklists_are_worked_through(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let book = book(&ada, "The Tide House", "B08N5WRWNW").await;
    let new = json!({ "bookId": book, "name": "Launch", "tasks": [
        { "title": "Cover", "dueDate": "2024-01-01T00:00:00Z" }, { "title": "Blurb" },
    ] });
    let list = ada.post("/api/checklists", &new).await.of(201);
    let path = format!("/api/checklists/{}", list["id"].as_str().unwrap());
    let due = ada.get("/api/tasks/due").await.of(200);
    assert_eq!(due["items"][0]["task"]["title"], "Cover");
    let done = format!(
        "{path}/tasks/{}/done",
        list["tasks"][0]["id"].as_str().unwrap()
    );
    assert_eq!(ada.put(&done).await.of(200)["progress"], 50);
    assert_eq!(ada.get("/api/tasks/due").await.of(200)["items"], json!([]));
    assert_eq!(ada.delete(&done).await.of(200)["progress"], 0);
    let added = ada
        .post(&format!("{path}/tasks"), &json!({ "title": "Newsletter" }))
        .await
        .of(200);
    assert_eq!(added["tasks"].as_array().unwrap().len(), 3);
    let task = format!("{path}/tasks/{}", added["tasks"][2]["id"].as_str().unwrap());
    assert_eq!(
        ada.delete(&task).await.of(200)["tasks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let renamed = ada
        .patch(&path, &json!({ "name": "Launch day" }))
        .await
        .of(200);
    assert_eq!(renamed["name"], "Launch day");
    assert_eq!(ada.get(&path).await.of(200), renamed);
    let lists = ada
        .get(&format!("/api/checklists?book={book}"))
        .await
        .of(200);
    assert_eq!(lists["items"], json!([renamed]));
    assert_eq!(ada.delete(&path).await.status, 204);
}

pub(crate) async fn competitors_prices_are_noted(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let new = json!({ "asin": "B07XJ8C8F5", "title": "Rival", "currency": "USD" });
    let rival = ada.post("/api/competitors", &new).await.of(201);
    let problem = ada
        .post("/api/competitors", &new)
        .await
        .problem(409, "already_exists");
    assert_eq!(problem["field"], "asin");
    let path = format!("/api/competitors/{}", rival["id"].as_str().unwrap());
    let seen = json!({ "price": "4.99", "date": "2024-03-01T00:00:00Z" });
    let noted = ada.post(&format!("{path}/prices"), &seen).await.of(200);
    assert_eq!(noted["currentPrice"], "4.99");
    ada.post(&format!("{path}/prices"), &json!({ "price": "3.99" }))
        .await
        .of(200);
    let prices = ada.get(&format!("{path}/prices")).await.of(200);
    assert_eq!(prices["items"].as_array().unwrap().len(), 2);
    let changed = ada
        .patch(&path, &json!({ "genre": "Mystery" }))
        .await
        .of(200);
    assert_eq!(
        (&changed["genre"], &changed["currentPrice"]),
        (&json!("Mystery"), &json!("3.99"))
    );
    assert_eq!(
        ada.get("/api/competitors").await.of(200)["items"],
        json!([changed])
    );
    assert_eq!(ada.delete(&path).await.status, 204);
    ada.get(&path).await.problem(404, "not_found");
}

pub(crate) async fn insights_and_forecasts_are_shown(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let id = id_of(&ada).await.parse().unwrap();
    let stack = &stage.app.stack;
    let mut insight = NewInsight::new("pricing".parse().unwrap(), json!({ "text": "Try 4.99" }));
    insight.valid_until = Some(time::now() + TimeDelta::days(1));
    stack.insights().create(id, insight).await.unwrap();
    let day = "2024-03-02".parse().unwrap();
    let forecast = NewForecast::new(day, "12.50".parse().unwrap());
    stack.forecasts().create(id, vec![forecast]).await.unwrap();

    let insights = ada.get("/api/insights").await.of(200);
    assert_eq!(insights["items"][0]["content"]["text"], "Try 4.99");
    let forecasts = ada.get(&format!("/api/forecasts?{DAYS}")).await.of(200);
    assert_eq!(forecasts[0]["predictedRevenue"], "12.50");
    let accuracy = ada
        .get(&format!("/api/forecasts/accuracy?{DAYS}"))
        .await
        .of(200);
    assert_eq!(accuracy["days"], 0);
    let changed = ada
        .patch("/api/me", &json!({ "name": "Ada M." }))
        .await
        .of(200);
    assert_eq!(changed["name"], "Ada M.");
    ada.patch("/api/me", &json!({ "subscriptionTier": "pro" }))
        .await
        .problem(422, "invalid");
    let connected = ada.put("/api/me/platforms/kdp").await.of(200);
    assert_eq!(connected["connectedPlatforms"][0]["platform"], "kdp");
    let gone = ada.delete("/api/me/platforms/kdp").await.of(200);
    assert_eq!(gone["connectedPlatforms"], json!([]));
}

pub(crate) async fn preferences_are_followed_live(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let mut live = Box::pin(ada.events("/api/preferences/live").await);
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(30), live.next()).await;
        event.unwrap().unwrap()
    };
    assert_eq!(next().await["theme"], Value::Null);
    let changed = ada
        .patch("/api/preferences", &json!({ "theme": "dark" }))
        .await
        .of(200);
    assert_eq!(next().await, changed);
    assert_eq!(ada.get("/api/preferences").await.of(200), changed);
    ada.patch("/api/preferences", &json!({ "theme": "loud" }))
        .await
        .problem(422, "invalid");
    // A host that stops ends its streams.
    stage.app.close();
    let end = tokio::time::timeout(Duration::from_secs(30), live.next()).await;
    assert_eq!(end.unwrap(), None);
}

pub(crate) async fn a_job_runs_and_shows_its_progress(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    book(&ada, "The Tide House", "B08N5WRWNW").await;
    ada.send(Method::POST, UPLOAD, &[], REPORT).await.of(200);
    let refresh = "/api/jobs/refresh?first=2024-01-15&last=2024-03-31";
    let accepted = ada.post(refresh, &Value::Null).await.of(202);
    let path = format!("/api/jobs/{}", accepted["id"].as_str().unwrap());
    bob.get(&path).await.problem(404, "not_found");
    let job = loop {
        let job = ada.get(&path).await.of(200);
        assert_ne!(job["state"], "failed", "{job}");
        if job["state"] == "completed" {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(job["progress"], 100);
    assert_eq!(job["result"]["gaps"], 0);
    ada.get("/api/jobs/none").await.problem(404, "not_found");
}

pub(crate) async fn all_of_a_user_is_exported_and_erased(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let book = book(&ada, "The Tide House", "B08N5WRWNW").await;
    ada.post(
        "/api/checklists",
        &json!({ "bookId": book, "name": "Launch" }),
    )
    .await
    .of(201);
    ada.post("/api/posts", &json!({ "content": "Hello" }))
        .await
        .of(201);
    ada.send(Method::POST, UPLOAD, &[], REPORT).await.of(200);
    ada.patch("/api/preferences", &json!({ "theme": "dark" }))
        .await
        .of(200);

    let export = ada.get("/api/me/export").await;
    let lines: Vec<Value> = export
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    let counts = [
        "user",
        "preferences",
        "book",
        "checklist",
        "post",
        "sale",
        "import",
        "problem",
    ]
    .map(of);
    assert_eq!(counts, [1, 1, 1, 1, 1, 3, 1, 0]);

    let erased = ada.delete("/api/me").await.of(200);
    assert_eq!(
        (&erased["user"], &erased["account"]["account"]),
        (&json!(true), &json!(true))
    );
    ada.get("/api/me").await.problem(401, "unauthenticated");
}

pub(crate) async fn operators_see_what_is_going_on(stage: &Stage) {
    let client = stage.nobody();
    assert_eq!(client.get("/livez").await.status, 200);
    let ready = client.get("/readyz").await.of(200);
    assert_eq!(ready["ready"], true, "{ready}");
    let ada = stage.user("Ada").await;
    ada.get("/api/books").await.of(200);
    let metrics = client.get("/metrics").await.text;
    for name in [
        "http_request_duration_seconds_bucket",
        "route=\"/api/books\"",
        "authorstack_calls_total",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    let page = client
        .send(Method::GET, "/", &[("x-request-id", "of-the-client")], "")
        .await;
    assert_eq!(page.header("x-request-id"), "of-the-client");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert!(!client.get("/docs").await.header("x-request-id").is_empty());
    client.get("/nowhere").await.problem(404, "not_found");
}
