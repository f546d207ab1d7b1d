//! The user's own account: signing in, settings, export, erasure; and what operators see.

use std::time::Duration;

use authorstack_core::{NewForecast, NewInsight, chrono::TimeDelta, time};
use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::common::{DAYS, REPORT, UPLOAD, book, id_of};
use crate::stage::Stage;

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
